//! Reading many rows on the hot path.
//!
//! SQLite's thread hands rows over one by one: a wake-up for each, and an allocation for each of its columns. So there
//! all rows come as one, packed as JSON. The servers send theirs together anyway.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, QueryResult, TryGetable, Value};
use serde_json::Value as Json;
use uuid::Uuid;
use wxgate_crypto::encoding;

use crate::error::StorageError;
use crate::sql::{Sized, get};

/// One statement in all its sizes that reads by keys. Its text for SQLite is what [`packed`] makes of it.
pub(crate) struct Reading {
    sized: Sized,
    is_packed: bool,
}

/// A row of a [`Reading`].
pub(crate) enum Row {
    /// As the driver gave it.
    Sent(QueryResult),
    /// As SQLite packed it.
    Packed(Vec<Json>),
}

impl Reading {
    /// `render` writes it for so many keys, a power of two.
    pub(crate) fn new(backend: DbBackend, render: fn(DbBackend, usize) -> String) -> Self {
        Self { sized: Sized::new(backend, render), is_packed: backend == DbBackend::Sqlite }
    }

    /// Reads by any number of keys: one statement for each 256, filled up with keys that no row has.
    pub(crate) async fn read<const N: usize>(
        &self,
        tx: &DatabaseTransaction,
        keys: impl Iterator<Item = [Value; N]> + Send,
    ) -> Result<Vec<Row>, StorageError> {
        let mut found = Vec::new();
        for statement in self.sized.by(keys) {
            if self.is_packed {
                let row = tx.query_one_raw(statement).await?.ok_or_else(unreadable)?;
                let rows: Vec<Vec<Json>> = serde_json::from_str(&get::<String>(&row, 0)?).map_err(|_| unreadable())?;
                found.extend(rows.into_iter().map(Row::Packed));
            } else {
                found.extend(tx.query_all_raw(statement).await?.into_iter().map(Row::Sent));
            }
        }
        Ok(found)
    }
}

/// The text of a statement for SQLite that gives the rows of `inner` as one JSON array of arrays. `columns` has a character
/// for each column: `b` for bytes, which JSON has not and which are packed in hexadecimal; anything else for the rest.
pub(crate) fn packed(columns: &str, inner: &str) -> String {
    let names: Vec<_> = (0..columns.len()).map(|number| format!("c{number}")).collect();
    let value = |(name, kind): (&String, char)| if kind == 'b' { format!("hex({name})") } else { name.clone() };
    let values: Vec<_> = names.iter().zip(columns.chars()).map(value).collect();
    let (names, values) = (names.join(", "), values.join(", "));
    format!("WITH r ({names}) AS ({inner}) SELECT json_group_array(json_array({values})) FROM r")
}

fn unreadable() -> StorageError {
    StorageError::inconsistent("(rows)", "(packed)")
}

/// What columns are read from.
pub(crate) trait Columns {
    /// The column of this number.
    fn column<T: Column>(&self, number: usize) -> Result<T, StorageError>;
}

/// A type that columns have.
pub(crate) trait Column: TryGetable {
    /// The value of a packed column.
    fn unpacked(value: &Json) -> Option<Self>;
}

impl Columns for QueryResult {
    fn column<T: Column>(&self, number: usize) -> Result<T, StorageError> {
        Ok(self.try_get_by_index(number)?)
    }
}

impl Columns for Row {
    fn column<T: Column>(&self, number: usize) -> Result<T, StorageError> {
        match self {
            Self::Sent(row) => row.column(number),
            Self::Packed(values) => values.get(number).and_then(T::unpacked).ok_or_else(unreadable),
        }
    }
}

impl Column for i64 {
    fn unpacked(value: &Json) -> Option<Self> {
        value.as_i64()
    }
}

impl Column for i32 {
    fn unpacked(value: &Json) -> Option<Self> {
        value.as_i64()?.try_into().ok()
    }
}

impl Column for String {
    fn unpacked(value: &Json) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl Column for Vec<u8> {
    fn unpacked(value: &Json) -> Option<Self> {
        encoding::upper_hex(value.as_str()?)
    }
}

impl Column for Uuid {
    fn unpacked(value: &Json) -> Option<Self> {
        Self::try_parse(value.as_str()?).ok()
    }
}

impl<T: Column> Column for Option<T> {
    /// In hexadecimal, nothing is the empty text. No column of ours holds one.
    fn unpacked(value: &Json) -> Option<Self> {
        match value {
            Json::Null => Some(None),
            Json::String(text) if text.is_empty() => Some(None),
            value => T::unpacked(value).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row() -> Row {
        Row::Packed(vec![
            json!("0192AB00000070008000000000000001"),
            json!("6F41"),
            json!("Ada \"\u{1f9ee}\""),
            json!(i64::MAX),
            json!(7),
            Json::Null,
            json!(""),
        ])
    }

    #[test]
    fn each_type_comes_back_as_it_went() {
        let row = row();
        assert_eq!(row.column::<Uuid>(0).unwrap(), Uuid::from_u128(0x0192_ab00_0000_7000_8000_0000_0000_0001));
        assert_eq!(row.column::<Vec<u8>>(1).unwrap(), b"oA");
        assert_eq!(row.column::<String>(2).unwrap(), "Ada \"\u{1f9ee}\"");
        assert_eq!(row.column::<i64>(3).unwrap(), i64::MAX);
        assert_eq!((row.column::<i32>(4).unwrap(), row.column::<Option<i32>>(4).unwrap()), (7, Some(7)));
        assert_eq!(row.column::<Option<String>>(5).unwrap(), None);
        assert_eq!(row.column::<Option<Vec<u8>>>(6).unwrap(), None);
    }

    #[test]
    fn what_is_not_of_its_type_is_an_error() {
        let row = row();
        assert!(row.column::<i32>(3).is_err(), "too large");
        assert!(row.column::<String>(5).is_err() && row.column::<Uuid>(6).is_err(), "nothing");
        assert!(row.column::<Uuid>(2).is_err() && row.column::<i64>(2).is_err(), "a text");
        assert!(row.column::<Option<i64>>(7).is_err(), "beyond the row");
    }

    #[test]
    fn bytes_are_packed_in_hexadecimal() {
        assert_eq!(
            packed("b.", "SELECT x, y FROM z"),
            "WITH r (c0, c1) AS (SELECT x, y FROM z) SELECT json_group_array(json_array(hex(c0), c1)) FROM r"
        );
    }
}
