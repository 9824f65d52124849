//! The statements of the hot path, as text.
//!
//! Those that work on many rows come in nine sizes, for 1, 2, 4 ... 256 rows, so that a connection prepares each once
//! and uses it for ever. Written by hand because an entity costs more than the row it writes; all that differs between
//! engines is in this file. (MySQL runs with `ANSI_QUOTES`, so `"user"` is a name everywhere.)

use std::sync::OnceLock;

use sea_orm::{DbBackend, Statement, Value};

const SIZES: usize = 9;

/// Most rows in one statement.
pub(super) const LARGEST: usize = 1 << (SIZES - 1);

/// One statement in all its sizes.
pub(super) struct Sized {
    backend: DbBackend,
    render: fn(DbBackend, usize) -> String,
    texts: [OnceLock<String>; SIZES],
}

impl Sized {
    fn new(backend: DbBackend, render: fn(DbBackend, usize) -> String) -> Self {
        Self { backend, render, texts: [const { OnceLock::new() }; SIZES] }
    }

    /// The statement for `rows` rows, a power of two of at most [`LARGEST`], with all their values.
    pub(super) fn with(&self, rows: usize, values: Vec<Value>) -> Statement {
        let render = || numbered(self.backend, (self.render)(self.backend, rows));
        let size = usize::try_from(rows.trailing_zeros()).unwrap_or(0);
        let text = self.texts.get(size).map_or_else(render, |text| text.get_or_init(render).clone());
        raw(self.backend, text, values)
    }
}

/// A statement with `?` for its values, whatever the engine writes for them.
pub(super) fn statement(backend: DbBackend, text: &str, values: Vec<Value>) -> Statement {
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

/// All statements of the hot path that work on many rows, for one engine.
pub(super) struct Statements {
    /// Rows (tenant, app, openid): [`USER`] and [`IDENTITY`] of those that are there.
    pub(super) read_identities: Sized,
    /// Rows (tenant, union group, unionid): key and user of the members, locked in the order of their keys.
    pub(super) lock_members: Sized,
    /// Rows (id): [`USER`].
    pub(super) read_users: Sized,
    /// Rows (id, tenant, status, sessions epoch, created at).
    pub(super) insert_users: Sized,
    /// Rows (tenant, union group, unionid, user, created at).
    pub(super) insert_members: Sized,
    /// Rows (id, tenant, app, openid, unionid, user, created at).
    pub(super) insert_identities: Sized,
    /// All pairs (id, unionid), then all ids again.
    pub(super) update_unionids: Sized,
    /// Rows (id, tenant, identity, app, user, session key, MAC key, tenant epoch, app epoch, user epoch, opened at).
    pub(super) insert_sessions: Sized,
}

impl Statements {
    pub(super) fn new(backend: DbBackend) -> Self {
        let sized = |render| Sized::new(backend, render);
        Self {
            read_identities: sized(read_identities),
            lock_members: sized(lock_members),
            read_users: sized(|_, rows| format!(r#"SELECT {USER} FROM "user" u WHERE u.id IN ({})"#, list("?", rows))),
            insert_users: sized(|_, rows| {
                let into = r#"INSERT INTO "user" (id, tenant_id, status, sessions_epoch, created_at)"#;
                format!("{into} VALUES {}", list("(?, ?, ?, ?, ?)", rows))
            }),
            insert_members: sized(|_, rows| {
                let into = "INSERT INTO union_member (tenant_id, union_group_id, unionid, user_id, created_at)";
                format!("{into} VALUES {}", list("(?, ?, ?, ?, ?)", rows))
            }),
            insert_identities: sized(|_, rows| {
                let into = "INSERT INTO identity (id, tenant_id, app_id, openid, unionid, user_id, created_at)";
                format!("{into} VALUES {}", list("(?, ?, ?, ?, ?, ?, ?)", rows))
            }),
            update_unionids: sized(|_, rows| {
                let cases = " WHEN ? THEN ?".repeat(rows);
                format!("UPDATE identity SET unionid = CASE id{cases} END WHERE id IN ({})", list("?", rows))
            }),
            insert_sessions: sized(|_, rows| {
                let into = "INSERT INTO session (id, tenant_id, identity_id, app_id, user_id, session_key, mac_key, \
                            tenant_epoch, app_epoch, user_epoch, opened_at, generation)";
                format!("{into} VALUES {}", list("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)", rows))
            }),
        }
    }
}

/// What is read of a user, by the alias `u`.
pub(super) const USER: &str = "u.id, u.status, u.nickname, u.avatar_url, u.sessions_epoch, u.created_at";

/// What is read of an identity, by the alias `i`.
const IDENTITY: &str = "i.tenant_id, i.app_id, i.openid, i.id, i.unionid";

fn read_identities(backend: DbBackend, rows: usize) -> String {
    let what = format!("{USER}, {IDENTITY}");
    let from = r#"identity i JOIN "user" u ON u.tenant_id = i.tenant_id AND u.id = i.user_id"#;
    select(backend, &what, from, ["i.tenant_id", "i.app_id", "i.openid"], rows)
}

fn lock_members(backend: DbBackend, rows: usize) -> String {
    let key = ["m.tenant_id", "m.union_group_id", "m.unionid"];
    let what = format!("{}, m.user_id", key.join(", "));
    let read = select(backend, &what, "union_member m", key, rows);
    match backend {
        // The transaction holds the one write lock already.
        DbBackend::Sqlite => read,
        DbBackend::Postgres => format!("{read} ORDER BY 1, 2, 3 FOR UPDATE OF m"),
        _ => format!("{read} ORDER BY 1, 2, 3 FOR UPDATE"),
    }
}

/// Reads by many keys of three columns, in the form that each engine answers from the index.
fn select(backend: DbBackend, what: &str, from: &str, [a, b, c]: [&str; 3], rows: usize) -> String {
    let keys = list("(?, ?, ?)", rows);
    if backend == DbBackend::MySql {
        // Read as ranges of the index; a join with VALUES is written differently by MySQL and by MariaDB.
        return format!("SELECT {what} FROM {from} WHERE ({a}, {b}, {c}) IN ({keys})");
    }
    // SQLite would scan the whole table for the other form, and CROSS JOIN keeps it from turning the join around.
    let with = format!("WITH k (a, b, c) AS (VALUES {keys})");
    format!("{with} SELECT {what} FROM k CROSS JOIN {from} WHERE {a} = k.a AND {b} = k.b AND {c} = k.c")
}

/// `part` so many times, with commas between.
fn list(part: &str, count: usize) -> String {
    let mut text = format!("{part}, ").repeat(count);
    text.truncate(text.len().saturating_sub(2));
    text
}
