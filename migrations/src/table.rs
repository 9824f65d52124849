//! Columns and tables as every engine of ours writes them.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

/// A column of one of our ids.
pub(crate) fn id(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).uuid().not_null().to_owned()
}

/// A column of bytes that are compared as bytes: other types ignore case or trailing spaces on some engine.
pub(crate) fn bytes(name: &'static str, longest: u32) -> ColumnDef {
    ColumnDef::new(name).var_binary(longest).not_null().to_owned()
}

/// A column of bytes that are never compared, up to 16 MiB.
pub(crate) fn large(manager: &SchemaManager<'_>, name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    match manager.get_connection().get_database_backend() {
        // Its `blob` ends at 64 KiB.
        DbBackend::MySql => column.custom("mediumblob"),
        _ => column.blob(),
    };
    column
}

/// A column of one word of ours, such as a status.
pub(crate) fn word(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).string_len(16).not_null().to_owned()
}

/// A column of text for people, at most `longest` characters.
pub(crate) fn text(name: &'static str, longest: u32) -> ColumnDef {
    ColumnDef::new(name).string_len(longest).not_null().to_owned()
}

/// A column of a JSON document as text.
pub(crate) fn document(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().not_null().to_owned()
}

/// A column of a number up to 2^31 - 1.
pub(crate) fn number(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).integer().not_null().to_owned()
}

/// A column of a number up to 2^63 - 1, or of a moment in milliseconds since 1970.
pub(crate) fn big(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().to_owned()
}

/// The same column, which may be empty.
pub(crate) fn optional(column: ColumnDef) -> ColumnDef {
    let mut column = column;
    column.null();
    column
}

/// The same column as the primary key.
pub(crate) fn key(column: ColumnDef) -> ColumnDef {
    let mut column = column;
    column.primary_key();
    column
}

/// A primary key of several columns.
pub(crate) fn key_of(columns: &[&'static str]) -> IndexCreateStatement {
    over(Index::create(), columns)
}

/// A foreign key that cannot leave its tenant: `columns` and `parent_columns` begin with the tenant's.
pub(crate) fn reference(
    child: &'static str,
    columns: &[&'static str],
    parent: &'static str,
    parent_columns: &[&'static str],
) -> ForeignKeyCreateStatement {
    let mut key = ForeignKey::create();
    key.name(format!("fk_{child}_{parent}")).from_tbl(child).to_tbl(parent);
    for column in columns {
        key.from_col(*column);
    }
    for column in parent_columns {
        key.to_col(*column);
    }
    key
}

/// Creates a table: InnoDB with four-byte characters compared exactly on MySQL, plain elsewhere.
pub(crate) async fn create(
    manager: &SchemaManager<'_>,
    name: &'static str,
    parts: impl FnOnce(&mut TableCreateStatement),
) -> Result<(), DbErr> {
    let mut table = Table::create();
    table.table(name);
    parts(&mut table);
    if manager.get_connection().get_database_backend() == DbBackend::MySql {
        table.engine("InnoDB").character_set("utf8mb4").collate("utf8mb4_bin");
    }
    manager.create_table(table).await
}

/// Creates a unique index, named so that errors can be told apart on every engine: `uq_TABLE_COLUMN_COLUMN`.
pub(crate) async fn unique(
    manager: &SchemaManager<'_>,
    table: &'static str,
    columns: &[&'static str],
) -> Result<(), DbErr> {
    let mut index = over(Index::create(), columns);
    index.unique().name(format!("uq_{table}_{}", columns.join("_"))).table(table);
    manager.create_index(index).await
}

/// Creates an index, named `ix_TABLE_COLUMN_COLUMN`.
pub(crate) async fn index(
    manager: &SchemaManager<'_>,
    table: &'static str,
    columns: &[&'static str],
) -> Result<(), DbErr> {
    let mut index = over(Index::create(), columns);
    index.name(format!("ix_{table}_{}", columns.join("_"))).table(table);
    manager.create_index(index).await
}

/// Adds a column to a table.
pub(crate) async fn add_column(
    manager: &SchemaManager<'_>,
    table: &'static str,
    column: ColumnDef,
) -> Result<(), DbErr> {
    manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await
}

/// Drops a column of a table.
pub(crate) async fn drop_column(
    manager: &SchemaManager<'_>,
    table: &'static str,
    column: &'static str,
) -> Result<(), DbErr> {
    manager.alter_table(Table::alter().table(table).drop_column(column).to_owned()).await
}

fn over(mut index: IndexCreateStatement, columns: &[&'static str]) -> IndexCreateStatement {
    for column in columns {
        index.col(*column);
    }
    index
}
