//! How far something is, drawn on a terminal and nowhere else.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error, if a person sits there.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// A bar for what goes on, unless nobody wants one.
    pub(super) fn new(what: &str, wanted: bool) -> Self {
        let shown = wanted && std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target).with_message(what.to_owned());
        let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos} of {human_len} {eta}");
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    /// So much is done.
    pub(super) fn is_at(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// Takes the bar away.
    pub(super) fn ends(&self) {
        self.0.finish_and_clear();
    }
}
