//! What the statements of the hot path share: their sizes, their placeholders, their values.
//!
//! Those that work on many rows come in nine sizes, for 1, 2, 4 ... 256 rows, so that a connection prepares each once
//! and uses it for ever. Written by hand because an entity costs more than the row it writes. (MySQL runs with
//! `ANSI_QUOTES`, so `"user"` is a name everywhere.)

use std::sync::OnceLock;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, QueryResult, Statement, Value};
use uuid::Uuid;
use wxgate_domain::{Clock, Timestamp};

use crate::error::StorageError;
use crate::packed::{Column, Columns};

const SIZES: usize = 9;

/// Most rows in one statement.
pub(crate) const LARGEST: usize = 1 << (SIZES - 1);

/// One statement in all its sizes.
pub(crate) struct Sized {
    backend: DbBackend,
    render: fn(DbBackend, usize) -> String,
    texts: [OnceLock<String>; SIZES],
}

impl Sized {
    pub(crate) fn new(backend: DbBackend, render: fn(DbBackend, usize) -> String) -> Self {
        Self { backend, render, texts: [const { OnceLock::new() }; SIZES] }
    }

    /// The statement for `rows` rows, a power of two of at most [`LARGEST`], with all their values.
    pub(crate) fn with(&self, rows: usize, values: Vec<Value>) -> Statement {
        let render = || numbered(self.backend, (self.render)(self.backend, rows));
        let size = usize::try_from(rows.trailing_zeros()).unwrap_or(0);
        let text = self.texts.get(size).map_or_else(render, |text| text.get_or_init(render).clone());
        raw(self.backend, text, values)
    }

    /// Reads by any number of keys: one statement for each 256, filled up with keys that no row has.
    pub(crate) async fn read<const N: usize>(
        &self,
        tx: &DatabaseTransaction,
        keys: impl Iterator<Item = [Value; N]> + Send,
    ) -> Result<Vec<QueryResult>, StorageError> {
        let mut found = Vec::new();
        for statement in self.by(keys) {
            found.extend(tx.query_all_raw(statement).await?);
        }
        Ok(found)
    }

    /// One statement for each 256 keys or rows, filled up with nothing.
    pub(crate) fn by<const N: usize>(&self, keys: impl Iterator<Item = [Value; N]>) -> Vec<Statement> {
        filled_up(keys, LARGEST).into_iter().map(|(size, values)| self.with(size, values)).collect()
    }

    /// Inserts any number of rows with a statement of [`insert_into`].
    pub(crate) async fn insert<const N: usize>(
        &self,
        tx: &DatabaseTransaction,
        rows: impl Iterator<Item = [Value; N]> + Send,
    ) -> Result<(), StorageError> {
        if self.backend == DbBackend::Sqlite {
            for statement in self.by(rows) {
                tx.execute_raw(statement).await?;
            }
            return Ok(());
        }
        for (rows, values) in chunks(rows) {
            tx.execute_raw(self.with(rows, values)).await?;
        }
        Ok(())
    }
}

/// The keys in lists of at most `most`, each filled up to a power of two with nulls, which equal nothing: that power, and
/// the list's values.
pub(crate) fn filled_up<const N: usize>(
    keys: impl Iterator<Item = [Value; N]>,
    most: usize,
) -> Vec<(usize, Vec<Value>)> {
    let mut keys = keys.peekable();
    let mut lists = Vec::new();
    while keys.peek().is_some() {
        let mut values: Vec<Value> = keys.by_ref().take(most).flatten().collect();
        let size = (values.len() / N).next_power_of_two();
        let nothing: Vec<_> = values.iter().take(N).map(Value::as_null).collect();
        let missing = size * N - values.len();
        values.extend(nothing.into_iter().cycle().take(missing));
        lists.push((size, values));
    }
    lists
}

/// The rows in chunks of 256, 128 ... 1, so that a connection prepares few statements: the number of rows of each chunk,
/// and their values in one list.
pub(crate) fn chunks<const N: usize>(rows: impl Iterator<Item = [Value; N]>) -> Vec<(usize, Vec<Value>)> {
    let mut values: Vec<Value> = rows.flatten().collect();
    let mut chunks = Vec::new();
    while !values.is_empty() {
        let rows = (values.len() / N).min(LARGEST);
        let size = 1 << rows.ilog2();
        let rest = values.split_off(size * N);
        chunks.push((size, std::mem::replace(&mut values, rest)));
    }
    chunks
}

/// A statement with `?` for its values, whatever the engine writes for them.
pub(crate) fn statement(backend: DbBackend, text: &str, values: Vec<Value>) -> Statement {
    raw(backend, numbered(backend, text.to_owned()), values)
}

fn raw(backend: DbBackend, text: String, values: Vec<Value>) -> Statement {
    #[expect(clippy::disallowed_methods, reason = "the hot path: an entity costs more than the row it writes")]
    Statement::from_sql_and_values(backend, text, values)
}

/// PostgreSQL numbers its placeholders: `$1`, `$2` ... None of our texts has a `?` of its own.
fn numbered(backend: DbBackend, text: String) -> String {
    if backend != DbBackend::Postgres {
        return text;
    }
    let mut parts = text.split('?');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.zip(1..).fold(first, |text, (part, number)| text + "$" + &number.to_string() + part)
}

/// The text of a statement for [`Sized::insert`]: `into` names table and columns, `row` has their placeholders.
///
/// Each statement costs SQLite a way to its thread and back, so there the rows are one statement, filled up with rows of
/// nulls that are left out. The servers could not tell the type of such rows, and get 256, 128 ... 1 at a time.
pub(crate) fn insert_into(backend: DbBackend, into: &str, row: &str, rows: usize) -> String {
    let rows = list(row, rows);
    match backend {
        DbBackend::Sqlite => format!("INSERT INTO {into} SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL"),
        _ => format!("INSERT INTO {into} VALUES {rows}"),
    }
}

/// `part` so many times, with commas between.
pub(crate) fn list(part: &str, count: usize) -> String {
    let mut text = format!("{part}, ").repeat(count);
    text.truncate(text.len().saturating_sub(2));
    text
}

/// The time now, as the database's server tells it: for what several processes must agree on. SQLite has no other clock
/// than the process's.
pub(crate) async fn now<C: ConnectionTrait>(db: &C, clock: &Clock) -> Result<Timestamp, StorageError> {
    let text = match db.get_database_backend() {
        DbBackend::Sqlite => return Ok(clock.now()),
        DbBackend::Postgres => "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        _ => "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)",
    };
    let told = db.query_one_raw(statement(db.get_database_backend(), text, Vec::new())).await?;
    let told = told.map(|row| get(&row, 0)).transpose()?;
    Ok(told.map_or_else(|| clock.now(), |told| clock.or_told(Timestamp::from_millis(told))))
}

/// The column of this number.
pub(crate) fn get<T: Column>(row: &impl Columns, column: usize) -> Result<T, StorageError> {
    row.column(column)
}

pub(crate) fn id(id: Uuid) -> Value {
    id.into()
}

pub(crate) fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(Some(bytes.to_vec()))
}

pub(crate) fn time(at: Timestamp) -> Value {
    at.millis().into()
}

/// Epochs, turns and key numbers count single events, so they stay below 2^31.
pub(crate) fn number(number: u32) -> Value {
    i32::try_from(number).unwrap_or(i32::MAX).into()
}
