//! `wxgate user export`: all users of a tenant as a table, page by page.

use std::fs::{self, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use wxgate_domain::Slug;

use super::super::Failure;
use super::super::door::Door;
use super::table::{Format, Sheet};
use crate::operation::Limit;
use crate::operation::users::ListUsers;

/// A table to be written: a line for each user in each mini-program.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// A new file, which nobody else may read; standard output if left out, or for `-`.
    file: Option<PathBuf>,
    /// The tenant; a tenant's key may leave it out.
    #[arg(long)]
    tenant: Option<Slug>,
    /// How to write it, csv or jsonl; else as the file's name says, or CSV.
    #[arg(long, hide_possible_values = true)]
    format: Option<Format>,
}

impl Export {
    pub(super) async fn run(self, door: &Door) -> Result<(), Failure> {
        let file = self.file.as_deref().filter(|file| *file != Path::new("-"));
        let by_name = || file.and_then(Format::of);
        let format = self.format.or_else(by_name).unwrap_or(Format::Csv);
        let Some(path) = file else {
            return self.write(door, BufWriter::new(std::io::stdout()), format).await;
        };
        let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
        let file = file.map_err(|error| format!("{}: {error}", path.display()))?;
        let written = self.write(door, BufWriter::new(file), format).await;
        if written.is_err() {
            // Half a table looks like a whole one.
            let _ = fs::remove_file(path);
        }
        written
    }

    async fn write(&self, door: &Door, target: impl Write, format: Format) -> Result<(), Failure> {
        let mut sheet = Sheet::begin(target, format)?;
        let mut cursor = None;
        loop {
            let list = ListUsers { tenant: self.tenant.clone(), cursor, limit: Limit::MOST, ..ListUsers::default() };
            let page = door.call(list).await?;
            for user in &page.items {
                sheet.write(user)?;
            }
            cursor = page.next_cursor.map(|cursor| cursor.parse()).transpose()?;
            if cursor.is_none() {
                return sheet.end();
            }
        }
    }
}
