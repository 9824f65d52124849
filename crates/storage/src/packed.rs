//! Reading many rows on the hot path.
//!
//! SQLite's thread hands rows over one by one: a wake-up for each, and an allocation for each of its columns. So there
//! all rows come as one, packed as JSON. The servers send theirs together anyway.

use std::borrow::Cow;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, QueryResult, TryGetable, Value};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
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
pub(crate) enum Row<'a> {
    /// As the driver gave it.
    Sent(QueryResult),
    /// As SQLite packed it.
    Packed(&'a [Cell<'a>]),
}

impl Reading {
    /// `render` writes it for so many keys, a power of two.
    pub(crate) fn new(backend: DbBackend, render: fn(DbBackend, usize) -> String) -> Self {
        Self { sized: Sized::new(backend, render), is_packed: backend == DbBackend::Sqlite }
    }

    /// Reads by any number of keys, and gives each row to `take`: one statement for each 256, filled up with keys that no
    /// row has.
    pub(crate) async fn read<const N: usize>(
        &self,
        tx: &DatabaseTransaction,
        keys: impl Iterator<Item = [Value; N]> + Send,
        mut take: impl FnMut(Row<'_>) -> Result<(), StorageError> + Send,
    ) -> Result<(), StorageError> {
        for statement in self.sized.by(keys) {
            if self.is_packed {
                let row = tx.query_one_raw(statement).await?.ok_or_else(unreadable)?;
                let text: String = get(&row, 0)?;
                let Table { cells, columns } = serde_json::from_str(&text).map_err(|_| unreadable())?;
                cells.chunks(columns.max(1)).map(Row::Packed).try_for_each(&mut take)?;
            } else {
                tx.query_all_raw(statement).await?.into_iter().map(Row::Sent).try_for_each(&mut take)?;
            }
        }
        Ok(())
    }
}

/// The cells of all packed rows, which are equally long.
struct Table<'a> {
    cells: Vec<Cell<'a>>,
    columns: usize,
}

/// A value as SQLite packed it. Texts stay where they are.
#[derive(Debug)]
pub(crate) enum Cell<'a> {
    Null,
    Number(i64),
    Text(Cow<'a, str>),
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
    fn unpacked(cell: &Cell<'_>) -> Option<Self>;
}

impl Columns for QueryResult {
    fn column<T: Column>(&self, number: usize) -> Result<T, StorageError> {
        Ok(self.try_get_by_index(number)?)
    }
}

impl Columns for Row<'_> {
    fn column<T: Column>(&self, number: usize) -> Result<T, StorageError> {
        match self {
            Self::Sent(row) => row.column(number),
            Self::Packed(cells) => cells.get(number).and_then(T::unpacked).ok_or_else(unreadable),
        }
    }
}

impl Cell<'_> {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Number(_) => None,
        }
    }
}

impl Column for i64 {
    fn unpacked(cell: &Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Number(number) => Some(*number),
            Cell::Null | Cell::Text(_) => None,
        }
    }
}

impl Column for i32 {
    fn unpacked(cell: &Cell<'_>) -> Option<Self> {
        i64::unpacked(cell)?.try_into().ok()
    }
}

impl Column for String {
    fn unpacked(cell: &Cell<'_>) -> Option<Self> {
        cell.text().map(str::to_owned)
    }
}

impl Column for Vec<u8> {
    fn unpacked(cell: &Cell<'_>) -> Option<Self> {
        encoding::upper_hex(cell.text()?)
    }
}

impl Column for Uuid {
    fn unpacked(cell: &Cell<'_>) -> Option<Self> {
        Self::try_parse(cell.text()?).ok()
    }
}

impl<T: Column> Column for Option<T> {
    /// In hexadecimal, nothing is the empty text. No column of ours holds one.
    fn unpacked(cell: &Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            Cell::Text(text) if text.is_empty() => Some(None),
            cell => T::unpacked(cell).map(Some),
        }
    }
}

impl<'de> Deserialize<'de> for Table<'de> {
    fn deserialize<D: Deserializer<'de>>(rows: D) -> Result<Self, D::Error> {
        rows.deserialize_seq(Self { cells: Vec::new(), columns: 0 })
    }
}

/// An array of rows.
impl<'de> Visitor<'de> for Table<'de> {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("rows of equal length")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut rows: A) -> Result<Self, A::Error> {
        let mut before = 0;
        while rows.next_element_seed(OneRow(&mut self.cells))?.is_some() {
            let columns = self.cells.len() - before;
            if before == 0 {
                self.columns = columns;
            } else if self.columns != columns {
                return Err(A::Error::custom("rows of different lengths"));
            }
            before = self.cells.len();
        }
        Ok(self)
    }
}

/// An array of cells, to be put behind those of the rows before.
struct OneRow<'a, 'de>(&'a mut Vec<Cell<'de>>);

impl<'de> DeserializeSeed<'de> for OneRow<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, row: D) -> Result<(), D::Error> {
        row.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for OneRow<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a row")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut cells: A) -> Result<(), A::Error> {
        while let Some(cell) = cells.next_element()? {
            self.0.push(cell);
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Cell<'de> {
    fn deserialize<D: Deserializer<'de>>(cell: D) -> Result<Self, D::Error> {
        cell.deserialize_any(OneCell)
    }
}

// Derived, each number would be an error first, with its text, because it is no null.
struct OneCell;

impl<'de> Visitor<'de> for OneCell {
    type Value = Cell<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a text, a whole number or null")
    }

    fn visit_unit<E: Error>(self) -> Result<Cell<'de>, E> {
        Ok(Cell::Null)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Cell<'de>, E> {
        Ok(Cell::Number(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Cell<'de>, E> {
        number.try_into().map(Cell::Number).map_err(E::custom)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Cell<'de>, E> {
        Ok(Cell::Text(text.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Cell<'de>, E> {
        Ok(Cell::Text(text.to_owned().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = concat!(
        r#"["0192AB00000070008000000000000001","6F41","Ada \"\ud83e\uddee\"","#,
        r#"9223372036854775807,7,null,"",-1]"#
    );

    fn told(rows: &str, look: impl Fn(&[Row<'_>])) {
        let Table { cells, columns } = serde_json::from_str(rows).unwrap();
        look(&cells.chunks(columns.max(1)).map(Row::Packed).collect::<Vec<_>>());
    }

    #[test]
    fn each_type_comes_back_as_it_went() {
        told(&format!("[{ROW}]"), |rows| {
            let [row] = rows else { panic!("one row") };
            let id = Uuid::from_u128(0x0192_ab00_0000_7000_8000_0000_0000_0001);
            assert_eq!(row.column::<Uuid>(0).unwrap(), id);
            assert_eq!(row.column::<Vec<u8>>(1).unwrap(), b"oA");
            assert_eq!(row.column::<String>(2).unwrap(), "Ada \"\u{1f9ee}\"");
            assert_eq!(row.column::<i64>(3).unwrap(), i64::MAX);
            assert_eq!((row.column::<i32>(4).unwrap(), row.column::<Option<i32>>(4).unwrap()), (7, Some(7)));
            assert_eq!(row.column::<Option<String>>(5).unwrap(), None);
            assert_eq!(row.column::<Option<Vec<u8>>>(6).unwrap(), None);
            assert_eq!(row.column::<i32>(7).unwrap(), -1);
        });
    }

    #[test]
    fn what_is_not_of_its_type_is_an_error() {
        told(&format!("[{ROW}]"), |rows| {
            let [row] = rows else { panic!("one row") };
            assert!(row.column::<i32>(3).is_err(), "too large");
            assert!(row.column::<String>(5).is_err() && row.column::<Uuid>(6).is_err(), "nothing");
            assert!(row.column::<Uuid>(2).is_err() && row.column::<i64>(2).is_err(), "a text");
            assert!(row.column::<Option<i64>>(8).is_err(), "beyond the row");
        });
    }

    #[test]
    fn rows_are_told_apart() {
        told("[]", |rows| assert!(rows.is_empty()));
        told(r#"[["a",1],["b",2]]"#, |rows| {
            let texts: Vec<String> = rows.iter().map(|row| row.column(0).unwrap()).collect();
            assert_eq!(texts, ["a", "b"]);
        });
        for wrong in
            [r#"[["a",1],["b"]]"#, r#"[["a"],["b",1]]"#, "[[1.5]]", "[[[1]]]", "[[18446744073709551615]]", "{}"]
        {
            assert!(serde_json::from_str::<Table<'_>>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_are_packed_in_hexadecimal() {
        assert_eq!(
            packed("b.", "SELECT x, y FROM z"),
            "WITH r (c0, c1) AS (SELECT x, y FROM z) SELECT json_group_array(json_array(hex(c0), c1)) FROM r"
        );
    }
}
