//! `wxgate completions`: what a shell needs to complete commands.

use clap::Args;
use clap_complete::Shell;

use super::{Failure, print};

/// Print a script that lets a shell complete commands and options.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wxgate completions bash > /etc/bash_completion.d/wxgate\n  wxgate completions zsh > \"${fpath[1]}/_wxgate\"\n  wxgate completions fish > ~/.config/fish/completions/wxgate.fish"
)]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    #[expect(clippy::unnecessary_wraps, reason = "commands can fail, this one happens not to")]
    pub(super) fn run(self, command: &mut clap::Command) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, "wxgate", &mut script);
        print::line(String::from_utf8_lossy(&script).trim_end());
        Ok(())
    }
}
