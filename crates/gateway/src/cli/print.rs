//! The one place that writes to the terminal.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its user")]

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::Value;

/// Prints a line for people.
pub(super) fn line(text: impl AsRef<str>) {
    println!("{}", text.as_ref());
}

/// Asks something on the terminal, apart from what a script could read.
pub(super) fn question(text: &str) {
    eprint!("{text}");
    let _ = std::io::stderr().flush();
}

/// Prints a value for scripts.
pub(super) fn json(value: &impl Serialize) {
    println!("{}", serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Prints the fields of an object, one line each; lists with spaces between.
pub(super) fn fields(object: &impl Serialize) {
    let Ok(Value::Object(fields)) = serde_json::to_value(object) else { return };
    let width = fields.keys().map(String::len).max().unwrap_or(0);
    for (name, value) in fields {
        let text = match value {
            Value::String(text) => text,
            Value::Array(items) => {
                let words = items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
                words.collect::<Vec<_>>().join(" ")
            }
            other => other.to_string(),
        };
        println!("{}", format!("{name:width$}  {text}").trim_end());
    }
}

/// Prints why a command failed.
pub(super) fn failure(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    eprintln!("error: {error}");
    let mut next = error.source();
    while let Some(source) = next {
        eprintln!("  because: {source}");
        next = source.source();
    }
    ExitCode::FAILURE
}

/// Prints rows under headings, in columns as wide as their widest cell.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) {
    let mut widths = headings.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let print = |cells: [&str; N]| {
        let columns = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        println!("{}", columns.collect::<Vec<_>>().join("  ").trim_end());
    };
    print(headings);
    for row in rows {
        print(row.each_ref().map(String::as_str));
    }
}
