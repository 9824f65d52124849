//! `wxgate user import`: a table of users, however long, in batches.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::rc::Rc;

use clap::Args;
use serde::Serialize;
use wxgate_domain::Slug;

use super::super::admin::AdminArgs;
use super::super::door::Door;
use super::super::progress::Progress;
use super::super::{Failure, print};
use super::table::{Format, Rows};
use crate::operation::user_import::{ImportRow, ImportUsers};
use crate::service::admin::MOST_ROWS;

/// Most bytes of values in one batch: what the gateway reads at once, with room for JSON around them.
const MOST_BYTES: usize = 256 * 1024;

/// Most lines that are told of one by one.
const MOST_TOLD: usize = 1_000;

/// A table to be brought in.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file: .csv with a header, or .jsonl.
    file: PathBuf,
    /// The tenant. Left out: the key's own, or for an operator whichever has the mini-program of each line.
    #[arg(long)]
    tenant: Option<Slug>,
    /// Begin at this line of the file.
    #[arg(long, value_name = "N", default_value_t = 1)]
    from_line: u64,
    /// How the file is written, if its name does not say: csv or jsonl.
    #[arg(long, hide_possible_values = true)]
    format: Option<Format>,
}

/// What became of the lines.
#[derive(Debug, Default, Serialize)]
struct Totals {
    created: usize,
    changed: usize,
    unchanged: usize,
    left_out: usize,
    /// The first of those that were left out.
    errors: Vec<LineError>,
}

#[derive(Debug, Serialize)]
struct LineError {
    line: u64,
    code: String,
    detail: String,
}

/// Rows that are sent together.
#[derive(Default)]
struct Batch {
    lines: Vec<u64>,
    rows: Vec<ImportRow>,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, line: u64, row: ImportRow) {
        let optional = [&row.unionid, &row.external_id, &row.nickname].into_iter().flatten();
        self.bytes += 100 + row.appid.len() + row.openid.len() + optional.map(String::len).sum::<usize>();
        self.lines.push(line);
        self.rows.push(row);
    }

    fn is_full(&self) -> bool {
        self.rows.len() == MOST_ROWS || self.bytes >= MOST_BYTES
    }
}

impl Import {
    pub(super) async fn run(self, admin: &AdminArgs, door: &Door) -> Result<(), Failure> {
        let named = |error: io::Error| format!("{}: {error}", self.file.display());
        let format = self.format.or_else(|| Format::of(&self.file));
        let format = format.ok_or("the file is called neither .csv nor .jsonl: say which it is with --format")?;
        let file = File::open(&self.file).map_err(named)?;
        let length = file.metadata().map_err(named)?.len();
        let read = Rc::new(Cell::new(0));
        let mut rows = Rows::begin(Counted { file, read: read.clone() }, format)?;
        let progress = Progress::new("bytes", !admin.json);
        let mut totals = Totals::default();
        let mut batch = Batch::default();
        while let Some((line, row)) = rows.next()? {
            match row {
                _ if line < self.from_line => {}
                Ok(row) => batch.push(line, row),
                Err(why) => totals.leave_out(line, "malformed", &why),
            }
            if batch.is_full() {
                self.send(std::mem::take(&mut batch), door, &mut totals).await?;
                progress.is_at(read.get(), length);
            }
        }
        self.send(batch, door, &mut totals).await?;
        progress.ends();
        totals.tell(admin)
    }

    async fn send(&self, batch: Batch, door: &Door, totals: &mut Totals) -> Result<(), Failure> {
        let Some(first) = batch.lines.first().copied() else { return Ok(()) };
        let reply = door.call(ImportUsers { tenant: self.tenant.clone(), rows: batch.rows }).await;
        let reply = reply.map_err(|error| {
            format!("stopped at line {first}: {error}. What stands before it is in; go on with --from-line {first}")
        })?;
        totals.created += reply.created;
        totals.changed += reply.changed;
        totals.unchanged += reply.unchanged;
        for error in reply.errors {
            let line = batch.lines.get(error.row).copied().unwrap_or(first);
            totals.leave_out(line, &error.code, &error.detail);
        }
        Ok(())
    }
}

impl Totals {
    fn leave_out(&mut self, line: u64, code: &str, detail: &str) {
        self.left_out += 1;
        if self.errors.len() < MOST_TOLD {
            self.errors.push(LineError { line, code: code.to_owned(), detail: detail.to_owned() });
        }
    }

    /// Lines that were left out make the command fail, when all others are in.
    fn tell(mut self, admin: &AdminArgs) -> Result<(), Failure> {
        self.errors.sort_by_key(|error| error.line);
        let Self { created, changed, unchanged, left_out, errors } = &self;
        if admin.json {
            print::json(&self);
        } else {
            for LineError { line, code, detail } in errors {
                print::line(format!("line {line}: {detail} ({code})"));
            }
            print::line(format!(
                "{created} users created, {changed} rows added something, {unchanged} were there already"
            ));
        }
        if *left_out == 0 { Ok(()) } else { Err(format!("{left_out} lines were left out; all others are in").into()) }
    }
}

/// A file that knows how far it was read.
struct Counted {
    file: File,
    read: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}
