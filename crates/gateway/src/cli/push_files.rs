//! A Token and an EncodingAESKey of one's own, from files: every user of the machine can see arguments.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use crate::operation::secret_text::SecretText;

/// Longest text that is read of standard input.
const LONGEST: u64 = 4_096;

/// Where they are.
#[derive(Debug, Args)]
pub(super) struct PushFiles {
    /// A file that holds the Token; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A file that holds the EncodingAESKey; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    aes_key_file: Option<PathBuf>,
}

impl PushFiles {
    /// The Token and the EncodingAESKey, as far as files are named.
    pub(super) fn read(&self) -> Result<(Option<SecretText>, Option<SecretText>), Failure> {
        let read = |file: &Option<PathBuf>| file.as_deref().map(read).transpose();
        Ok((read(&self.token_file)?, read(&self.aes_key_file)?))
    }
}

fn read(path: &Path) -> Result<SecretText, Failure> {
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().take(LONGEST).read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(SecretText::telling(text.trim()))
}
