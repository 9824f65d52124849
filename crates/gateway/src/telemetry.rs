//! The log: one line for each event, text or JSON, on standard error.

mod fields;
mod lines;
mod time;

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use self::fields::Fields;
use self::lines::Out;
use self::time::Now;
use crate::config::{Log, LogFormat};

/// Libraries whose notices say nothing to an operator.
const QUIET: [&str; 3] = ["actix_server", "sea_orm_migration", "sqlx::postgres::notice"];

/// Libraries that print addresses, statements or headers below INFO, and with them secrets.
const CAPPED: [&str; 14] = [
    "actix_http",
    "actix_web",
    "h2",
    "hyper",
    "hyper_util",
    "mio",
    "moka",
    "reqwest",
    "rustls",
    "sea_orm",
    "sea_query",
    "sqlx",
    "tokio",
    "want",
];

/// Starts the log. A second call changes nothing.
pub(crate) fn start(log: Log) {
    let filter = EnvFilter::new(directives(log.level));
    let colours = std::io::stderr().is_terminal();
    let log_to = fmt().with_env_filter(filter).with_writer(Out::start()).with_ansi(colours).with_timer(Now);
    // Fails only if a log is there already, which is then as good.
    let _ = match log.format {
        LogFormat::Text => log_to.fmt_fields(Fields).try_init(),
        LogFormat::Json => log_to.json().flatten_event(true).try_init(),
    };
}

/// Writes what is still to be written of the log, before the process ends.
pub(crate) fn finish() {
    lines::flush();
}

/// What says of a request that is no HTTP that it is an error: a stranger could fill the log with it, and nobody here can
/// mend it.
const SILENT: &str = "actix_http::h1::dispatcher=off";

fn directives(level: Level) -> String {
    let capped = CAPPED.iter().map(|name| (name, level.min(Level::INFO)));
    let quiet = QUIET.iter().map(|name| (name, level.min(Level::WARN)));
    let text = capped.chain(quiet).fold(level.to_string(), |text, (name, cap)| format!("{text},{name}={cap}"));
    format!("{text},{SILENT}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_that_print_addresses_never_go_below_info() {
        assert!(directives(Level::TRACE).starts_with("TRACE,actix_http=INFO,"));
        assert!(directives(Level::TRACE).contains(",sqlx=INFO"));
        assert!(directives(Level::ERROR).contains(",reqwest=ERROR"));
    }
}
