//! The log's way out. Where many lines come at once they leave together, for each write costs about as much as the line.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line waits for others at most. One at `warn` or `error` does not wait, nor do those before it.
const MOMENT: Duration = Duration::from_millis(50);

/// So many lines of a moment are few, and do not wait either.
const FEW: u32 = 16;

/// So many bytes do not wait.
const FULL: usize = 32 * 1024;

/// What is not written yet. There is one standard error, so there is one of this.
static LINES: Lines = Lines::new(standard_error);

struct Lines {
    waiting: Mutex<Waiting>,
    /// There is a line where there was none.
    begun: Condvar,
    write: fn(&[u8]),
}

struct Waiting {
    lines: Vec<u8>,
    /// When the present moment began, and how many lines came since.
    moment: Option<Instant>,
    came: u32,
}

/// Nobody is left to be told that standard error is gone.
fn standard_error(lines: &[u8]) {
    let _ = io::stderr().write_all(lines);
}

impl Lines {
    const fn new(write: fn(&[u8])) -> Self {
        let waiting = Waiting { lines: Vec::new(), moment: None, came: 0 };
        Self { waiting: Mutex::new(waiting), begun: Condvar::new(), write }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Whole lines are added, so what a panic leaves behind is valid.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &[u8], urgent: bool, now: Instant) {
        let mut waiting = self.waiting();
        let was_empty = waiting.lines.is_empty();
        waiting.lines.extend_from_slice(line);
        let is_one_of_few = waiting.count(now) <= FEW && was_empty;
        if urgent || is_one_of_few || waiting.lines.len() >= FULL {
            self.write(&mut waiting);
        } else if was_empty {
            self.begun.notify_one();
        }
    }

    /// Under the lock, so that lines stay in their order.
    fn write(&self, waiting: &mut Waiting) {
        (self.write)(&waiting.lines);
        waiting.lines.clear();
    }

    fn keep_writing(&self) {
        loop {
            let waiting = self.begun.wait_while(self.waiting(), |waiting| waiting.lines.is_empty());
            drop(waiting);
            thread::sleep(MOMENT);
            self.write(&mut self.waiting());
        }
    }
}

impl Waiting {
    /// Counts a line; how many came in this moment.
    fn count(&mut self, now: Instant) -> u32 {
        if self.moment.is_none_or(|moment| now.duration_since(moment) >= MOMENT) {
            (self.moment, self.came) = (Some(now), 0);
        }
        self.came = self.came.saturating_add(1);
        self.came
    }
}

/// Writes what waits.
pub(super) fn flush() {
    LINES.write(&mut LINES.waiting());
}

/// Where the log is written to.
#[derive(Clone, Copy)]
pub(super) struct Out {
    /// Whether there is a thread that writes what waits.
    collects: bool,
}

impl Out {
    /// A way out that collects lines. Without a thread to write them, each leaves at once.
    pub(super) fn start() -> Self {
        static STARTED: OnceLock<bool> = OnceLock::new();
        let start = || thread::Builder::new().name("log".to_owned()).spawn(|| LINES.keep_writing()).is_ok();
        Self { collects: *STARTED.get_or_init(start) }
    }
}

impl MakeWriter<'_> for Out {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line { urgent: true }
    }

    fn make_writer_for(&self, of: &Metadata<'_>) -> Line {
        Line { urgent: !self.collects || *of.level() <= Level::WARN }
    }
}

/// Takes one line.
pub(super) struct Line {
    urgent: bool,
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        LINES.add(line, self.urgent, Instant::now());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static WRITTEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

    fn note(lines: &[u8]) {
        WRITTEN.lock().unwrap().push(String::from_utf8(lines.to_vec()).unwrap());
    }

    #[test]
    fn few_lines_do_not_wait_and_many_wait_for_one_that_is_urgent() {
        let (lines, now) = (Lines::new(note), Instant::now());
        let written = || WRITTEN.lock().unwrap().clone();
        (0..FEW).for_each(|_| lines.add(b"few\n", false, now));
        assert_eq!(written(), ["few\n"; FEW as usize]);
        lines.add(b"one\n", false, now);
        lines.add(b"two\n", false, now + MOMENT * 2);
        assert_eq!(written().len(), FEW as usize);
        lines.add(b"three\n", true, now + MOMENT * 2);
        assert_eq!(written().last().unwrap(), "one\ntwo\nthree\n");
        lines.add(b"four\n", false, now + MOMENT * 4);
        assert_eq!(written().last().unwrap(), "four\n");
        (0..FEW).for_each(|_| lines.add(b"few\n", false, now + MOMENT * 4));
        lines.add(&vec![b'x'; FULL], false, now + MOMENT * 4);
        assert!(written().last().unwrap().ends_with('x') && lines.waiting().lines.is_empty());
    }
}
