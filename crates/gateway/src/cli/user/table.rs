//! Tables of users as files: CSV, or a JSON object on each line. What is written can be read back.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use clap::ValueEnum;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::Failure;
use crate::operation::user_import::ImportRow;
use crate::operation::users::{IdentityReply, UserReply};

/// Longest line of a file of JSON objects, in bytes.
const LONGEST: u64 = 64 * 1024;

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Comma-separated values with a header (RFC 4180).
    Csv,
    /// A JSON object on each line.
    Jsonl,
}

impl Format {
    /// What the file's name says.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            _ => None,
        }
    }
}

/// The columns that are read and written, in this order.
const COLUMNS: [&str; 5] = ["appid", "openid", "unionid", "external_id", "nickname"];

/// The columns that are written beside them, and passed over when they are read.
const OURS: [&str; 3] = ["user", "status", "created_at"];

/// A row with its line, or why the line is none.
pub(super) type Numbered = (u64, Result<ImportRow, String>);

/// Reads a table row by row.
pub(super) enum Rows<R: Read> {
    Csv { reader: Box<csv::Reader<R>>, columns: Vec<Option<usize>>, width: usize },
    Jsonl { reader: BufReader<R>, line: u64 },
}

impl<R: Read> Rows<R> {
    /// Begins to read. Of CSV this reads the header, which must name `appid` and `openid` and nothing that is unknown.
    pub(super) fn begin(source: R, format: Format) -> Result<Self, Failure> {
        if format == Format::Jsonl {
            return Ok(Self::Jsonl { reader: BufReader::new(source), line: 0 });
        }
        let mut reader = Box::new(csv::ReaderBuilder::new().flexible(true).from_reader(source));
        let header = reader.headers()?.clone();
        let names: Vec<_> = header.iter().map(|name| name.trim_start_matches('\u{feff}').trim()).collect();
        if let Some(unknown) = names.iter().find(|name| !COLUMNS.contains(*name) && !OURS.contains(*name)) {
            return Err(format!("the header has a column {unknown:?}; known are {}", COLUMNS.join(", ")).into());
        }
        let columns: Vec<_> = COLUMNS.iter().map(|column| names.iter().position(|name| name == column)).collect();
        if columns.iter().take(2).any(Option::is_none) {
            return Err("the first line must be a header that names appid and openid".into());
        }
        Ok(Self::Csv { reader, columns, width: names.len() })
    }

    /// The next row; `None` at the end. The outer error: the file cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Numbered>, Failure> {
        match self {
            Self::Csv { reader, columns, width } => {
                let mut record = csv::ByteRecord::new();
                if !reader.read_byte_record(&mut record)? {
                    return Ok(None);
                }
                let line = record.position().map_or(0, csv::Position::line);
                Ok(Some((line, of_record(&record, columns, *width))))
            }
            Self::Jsonl { reader, line } => loop {
                let mut bytes = Vec::new();
                if reader.by_ref().take(LONGEST + 1).read_until(b'\n', &mut bytes)? == 0 {
                    return Ok(None);
                }
                *line += 1;
                if bytes.len() as u64 > LONGEST {
                    return Err(format!("line {line} is too long to be a user").into());
                }
                if !bytes.trim_ascii().is_empty() {
                    return Ok(Some((*line, of_object(&bytes))));
                }
            },
        }
    }
}

fn of_record(record: &csv::ByteRecord, columns: &[Option<usize>], width: usize) -> Result<ImportRow, String> {
    if record.len() != width {
        return Err(format!("{} columns where the header has {width}", record.len()));
    }
    let cell = |column: usize| {
        let bytes = columns.get(column).copied().flatten().and_then(|at| record.get(at)).unwrap_or_default();
        std::str::from_utf8(bytes).map(str::trim).map_err(|_| "not UTF-8".to_owned())
    };
    let filled = |column| cell(column).map(|text| (!text.is_empty()).then(|| text.to_owned()));
    Ok(ImportRow {
        appid: cell(0)?.to_owned(),
        openid: cell(1)?.to_owned(),
        unionid: filled(2)?,
        external_id: filled(3)?,
        nickname: filled(4)?,
    })
}

/// A line of a file of JSON objects. What is only written by us is passed over.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    appid: String,
    openid: String,
    unionid: Option<String>,
    /// The key of a table is often a number.
    external_id: Option<Value>,
    nickname: Option<String>,
    #[serde(default, rename = "user")]
    _user: IgnoredAny,
    #[serde(default, rename = "status")]
    _status: IgnoredAny,
    #[serde(default, rename = "created_at")]
    _created_at: IgnoredAny,
}

fn of_object(line: &[u8]) -> Result<ImportRow, String> {
    let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let external_id = match line.external_id {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(_) => return Err("external_id is neither text nor a number".to_owned()),
    };
    let Line { appid, openid, unionid, nickname, .. } = line;
    Ok(ImportRow { appid, openid, unionid, external_id, nickname })
}

/// A line that is written: a user in one mini-program.
#[derive(Serialize)]
struct Written<'a> {
    user: &'a str,
    status: &'a str,
    appid: &'a str,
    openid: &'a str,
    unionid: Option<&'a str>,
    external_id: Option<&'a str>,
    nickname: Option<&'a str>,
    created_at: i64,
}

impl<'a> Written<'a> {
    fn of(user: &'a UserReply, known: &'a IdentityReply) -> Self {
        Self {
            user: &user.id,
            status: &user.status,
            appid: &known.appid,
            openid: &known.openid,
            unionid: known.unionid.as_deref(),
            external_id: user.external_id.as_deref(),
            nickname: user.nickname.as_deref(),
            created_at: known.created_at,
        }
    }
}

/// Writes a table user by user.
pub(super) enum Sheet<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Jsonl(W),
}

impl<W: Write> Sheet<W> {
    pub(super) fn begin(target: W, format: Format) -> Result<Self, Failure> {
        if format == Format::Jsonl {
            return Ok(Self::Jsonl(target));
        }
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(target);
        writer.write_record([
            "user",
            "status",
            "appid",
            "openid",
            "unionid",
            "external_id",
            "nickname",
            "created_at",
        ])?;
        Ok(Self::Csv(Box::new(writer)))
    }

    /// A line for each identity.
    pub(super) fn write(&mut self, user: &UserReply) -> Result<(), Failure> {
        for known in &user.identities {
            let line = Written::of(user, known);
            match self {
                Self::Csv(writer) => writer.serialize(line)?,
                Self::Jsonl(target) => {
                    serde_json::to_writer(&mut *target, &line)?;
                    target.write_all(b"\n")?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn end(self) -> Result<(), Failure> {
        match self {
            Self::Csv(mut writer) => writer.flush()?,
            Self::Jsonl(mut target) => target.flush()?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, format: Format) -> Vec<Numbered> {
        let mut rows = Rows::begin(text.as_bytes(), format).unwrap();
        std::iter::from_fn(|| rows.next().unwrap()).collect()
    }

    #[test]
    fn a_spreadsheet_reads_by_its_header_and_bad_lines_stand_alone() {
        let text = "\u{feff}openid,appid,external_id,nickname\noA,wx1,42,\"A, da\"\noB,wx1\noC, wx1 ,,\n";
        let rows = all(text, Format::Csv);
        let row = rows[0].1.clone().unwrap();
        assert_eq!((rows[0].0, row.appid.as_str(), row.openid.as_str()), (2, "wx1", "oA"));
        assert_eq!(
            (row.external_id.as_deref(), row.nickname.as_deref(), row.unionid),
            (Some("42"), Some("A, da"), None)
        );
        assert_eq!((rows[1].0, rows[1].1.is_err()), (3, true));
        assert_eq!((rows[2].0, rows[2].1.clone().unwrap().appid.as_str()), (4, "wx1"));
        for header in ["openid,unionId,appid\n", "openid\n", ""] {
            assert!(Rows::begin(header.as_bytes(), Format::Csv).is_err(), "{header:?}");
        }
    }

    #[test]
    fn objects_read_line_by_line_with_numbers_as_names() {
        let text = "{\"appid\":\"wx1\",\"openid\":\"oA\",\"external_id\":42,\"status\":\"active\"}\n\n{\"appid\":1}\n";
        let rows = all(text, Format::Jsonl);
        assert_eq!(rows[0].1.clone().unwrap().external_id.as_deref(), Some("42"));
        assert_eq!((rows[1].0, rows[1].1.is_err(), rows.len()), (3, true, 2));
    }
}
