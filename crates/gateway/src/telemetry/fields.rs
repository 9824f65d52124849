//! The fields of a line of text, as tracing-subscriber writes them, at a third of the cost: each request has a line, and of
//! what a cheap request costs that is a good part. Unlike there, no value begins a line of its own.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};

/// Writes fields.
pub(super) struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        if writer.has_ansi_escapes() {
            // Somebody looks on, at colours.
            return DefaultFields::new().format_fields(writer, fields);
        }
        let mut line = Line { writer, is_empty: true, result: Ok(()) };
        fields.record(&mut line);
        line.result
    }
}

/// A line that is being written.
struct Line<'w> {
    writer: Writer<'w>,
    is_empty: bool,
    result: fmt::Result,
}

impl Line<'_> {
    fn put(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = self.name(field).and_then(|()| value(&mut self.writer));
        }
    }

    fn name(&mut self, field: &Field) -> fmt::Result {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.writer.write_char(' ')?;
        }
        if is_message(field) {
            return Ok(());
        }
        self.writer.write_str(field.name())?;
        self.writer.write_char('=')
    }
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let is_message = is_message(field);
        self.put(field, |writer| match value.bytes().all(stands_for_itself) {
            true if is_message => writer.write_str(value),
            true => ["\"", value, "\""].into_iter().try_for_each(|part| writer.write_str(part)),
            false => write!(writer, "{value:?}"),
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, |writer| write!(OneLine(writer), "{value:?}"));
    }
}

fn is_message(field: &Field) -> bool {
    field.name() == "message"
}

/// Whether a text in quotes has this character as it is.
fn stands_for_itself(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

/// Escapes what would end the line, or steer the terminal of whoever reads it.
struct OneLine<'a, 'w>(&'a mut Writer<'w>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !text.chars().any(char::is_control) {
            return self.0.write_str(text);
        }
        text.chars().try_for_each(|character| {
            if character.is_control() {
                write!(self.0, "{}", character.escape_default())
            } else {
                self.0.write_char(character)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Kept {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// What is written of the events that `tell` makes.
    fn written<F: for<'w> FormatFields<'w> + Send + Sync + 'static>(fields: F, tell: fn()) -> String {
        let kept = Kept::default();
        let log = tracing_subscriber::fmt()
            .fmt_fields(fields)
            .without_time()
            .with_ansi(false)
            .with_writer(kept.clone())
            .finish();
        tracing::subscriber::with_default(log, tell);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_look_like_those_of_tracing_subscriber() {
        let tell = || {
            let (none, some): (Option<&str>, Option<&str>) = (None, Some("a\"b\\c\u{e9}"));
            tracing::info!(http.route = "/v1/apps/{appid}/login", status = 200, none, some, "request");
            tracing::warn!(ms = 0.25, is = true, list = ?[1, 2], shown = %"a b", nothing = "", "it was {}", "so");
            tracing::error!("nothing else");
            tracing::info!(alone = 1);
        };
        let ours = written(Fields, tell);
        assert_eq!(ours, written(DefaultFields::new(), tell));
        assert_eq!(ours.lines().count(), 4);
    }

    #[test]
    fn no_value_makes_a_line_of_its_own() {
        let tell = || {
            let evil = "a\nINFO b\u{1b}[2J\u{85}";
            tracing::info!(evil, shown = %evil, debug = ?evil, "{evil}");
        };
        let ours = written(Fields, tell);
        assert_eq!(ours.lines().count(), 1, "{ours:?}");
        assert!(!ours.trim_end().chars().any(char::is_control), "{ours:?}");
    }
}
