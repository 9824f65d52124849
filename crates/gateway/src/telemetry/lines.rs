//! The log's way out: the lines of a moment leave together, for each write costs about as much as the line.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line waits for others. One at `warn` or `error` does not, nor do those before it.
const LONGEST: Duration = Duration::from_millis(50);

/// So many bytes do not wait.
const FULL: usize = 32 * 1024;

/// What is not written yet. There is one standard error, so there is one of this.
static LINES: Lines = Lines::new(standard_error);

struct Lines {
    waiting: Mutex<Vec<u8>>,
    /// There is a line where there was none.
    begun: Condvar,
    write: fn(&[u8]),
}

/// Nobody is left to be told that standard error is gone.
fn standard_error(lines: &[u8]) {
    let _ = io::stderr().write_all(lines);
}

impl Lines {
    const fn new(write: fn(&[u8])) -> Self {
        Self { waiting: Mutex::new(Vec::new()), begun: Condvar::new(), write }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<u8>> {
        // Whole lines are added, so what a panic leaves behind is valid.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &[u8], urgent: bool) {
        let mut waiting = self.waiting();
        if waiting.is_empty() {
            self.begun.notify_one();
        }
        waiting.extend_from_slice(line);
        if urgent || waiting.len() >= FULL {
            self.write(&mut waiting);
        }
    }

    /// Under the lock, so that lines stay in their order.
    fn write(&self, waiting: &mut Vec<u8>) {
        (self.write)(waiting);
        waiting.clear();
    }

    fn keep_writing(&self) {
        loop {
            let waiting = self.begun.wait_while(self.waiting(), |waiting| waiting.is_empty());
            drop(waiting);
            thread::sleep(LONGEST);
            self.write(&mut self.waiting());
        }
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
        let started = thread::Builder::new().name("log".to_owned()).spawn(|| LINES.keep_writing());
        Self { collects: started.is_ok() }
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
        LINES.add(line, self.urgent);
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
    fn lines_wait_for_one_that_is_urgent_or_for_many() {
        let lines = Lines::new(note);
        lines.add(b"one\n", false);
        lines.add(b"two\n", false);
        assert!(WRITTEN.lock().unwrap().is_empty());
        lines.add(b"three\n", true);
        assert_eq!(*WRITTEN.lock().unwrap(), ["one\ntwo\nthree\n"]);
        lines.add(&[b'x'; FULL], false);
        assert_eq!(WRITTEN.lock().unwrap().len(), 2);
        assert!(lines.waiting().is_empty());
    }
}
