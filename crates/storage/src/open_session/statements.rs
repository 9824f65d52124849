//! The statements of a login, as text. All that differs between engines is in this file.

use sea_orm::DbBackend;

use crate::packed::{Reading, packed};
use crate::repo::phones::{JOIN_PHONE, PHONE, PHONE_BYTES};
use crate::sql::{Sized, insert_into, list};

/// All statements of a login that work on many rows, for one engine.
pub(super) struct Statements {
    /// Rows (tenant, app, openid): [`USER`], [`PHONE`] and [`IDENTITY`] of those that are there.
    pub(super) read_identities: Reading,
    /// Rows (tenant, union group, unionid): key and user of the members, locked in the order of their keys.
    pub(super) lock_members: Sized,
    /// Rows (id): [`USER`] and [`PHONE`].
    pub(super) read_users: Sized,
    /// Rows (tenant, digest): those of tombstones of people who were blocked.
    pub(super) read_bans: Sized,
    /// Rows (id, tenant, status, sessions epoch, created at).
    pub(super) insert_users: Sized,
    /// Rows (tenant, union group, unionid, user, created at).
    pub(super) insert_members: Sized,
    /// Rows (id, tenant, app, openid, unionid, user, created at).
    pub(super) insert_identities: Sized,
    /// All pairs (id, unionid), then all ids again.
    pub(super) update_unionids: Sized,
    /// Rows (id, tenant, identity, app, session key, MAC key, tenant epoch, app epoch, user epoch, opened at, access
    /// until).
    pub(super) insert_sessions: Sized,
}

impl Statements {
    pub(super) fn new(backend: DbBackend) -> Self {
        let sized = |render| Sized::new(backend, render);
        Self {
            read_identities: Reading::new(backend, read_identities),
            lock_members: sized(lock_members),
            read_users: sized(|_, rows| {
                let from = format!(r#""user" u {JOIN_PHONE}"#);
                format!("SELECT {USER}, {PHONE} FROM {from} WHERE u.id IN ({})", list("?", rows))
            }),
            read_bans: sized(|backend, rows| {
                let key = ["t.tenant_id", "t.digest"];
                select(backend, &key.join(", "), "tombstone t", &key, rows) + " AND t.blocked = 1"
            }),
            insert_users: sized(|backend, rows| {
                let into = r#""user" (id, tenant_id, status, sessions_epoch, created_at)"#;
                insert_into(backend, into, "(?, ?, ?, ?, ?)", rows)
            }),
            insert_members: sized(|backend, rows| {
                let into = "union_member (tenant_id, union_group_id, unionid, user_id, created_at)";
                insert_into(backend, into, "(?, ?, ?, ?, ?)", rows)
            }),
            insert_identities: sized(|backend, rows| {
                let into = "identity (id, tenant_id, app_id, openid, unionid, user_id, created_at)";
                insert_into(backend, into, "(?, ?, ?, ?, ?, ?, ?)", rows)
            }),
            update_unionids: sized(|_, rows| {
                let cases = " WHEN ? THEN ?".repeat(rows);
                // What was there is looked at first, also by MySQL, which assigns from left to right.
                let changed = "unionid_changed = CASE WHEN unionid IS NULL THEN unionid_changed ELSE 1 END";
                format!("UPDATE identity SET {changed}, unionid = CASE id{cases} END WHERE id IN ({})", list("?", rows))
            }),
            insert_sessions: sized(insert_sessions),
        }
    }
}

/// What is read of a user, by the alias `u`.
pub(crate) const USER: &str = "u.id, u.status, u.nickname, u.avatar_url, u.sessions_epoch, u.created_at, u.external_id";

/// Which of them are bytes, for [`packed`].
const USER_BYTES: &str = "b......";

/// How many columns that is.
pub(crate) const AFTER_USER: usize = USER_BYTES.len();

/// How many columns [`USER`] and [`PHONE`] are.
pub(crate) const AFTER_PHONE: usize = AFTER_USER + PHONE_BYTES.len();

/// What is read of an identity, by the alias `i`. Its sessions are counted in the index alone.
const IDENTITY: &str = "i.tenant_id, i.app_id, i.openid, i.id, i.unionid, \
    (SELECT COUNT(*) FROM session s WHERE s.tenant_id = i.tenant_id AND s.identity_id = i.id)";

/// Which of them are bytes.
const IDENTITY_BYTES: &str = "bbbbb.";

fn read_identities(backend: DbBackend, rows: usize) -> String {
    let what = format!("{USER}, {PHONE}, {IDENTITY}");
    let from = format!(r#"identity i JOIN "user" u ON u.tenant_id = i.tenant_id AND u.id = i.user_id {JOIN_PHONE}"#);
    let read = select(backend, &what, &from, &["i.tenant_id", "i.app_id", "i.openid"], rows);
    match backend {
        DbBackend::Sqlite => packed(&[USER_BYTES, PHONE_BYTES, IDENTITY_BYTES].concat(), &read),
        _ => read,
    }
}

/// On SQLite a session has room for what its first refresh writes, a time (6 bytes) and who presented the token (16), so
/// that its row is overwritten where it lies. A row that grows moves its neighbours to other pages, and to sort those by
/// their numbers costs a walk through the whole page cache at the next commit.
fn insert_sessions(backend: DbBackend, rows: usize) -> String {
    let room = format!(", X'{}'", "00".repeat(22));
    let (client, room) = if backend == DbBackend::Sqlite { (", client", room.as_str()) } else { ("", "") };
    let into = format!(
        "session (id, tenant_id, identity_id, app_id, session_key, mac_key, tenant_epoch, app_epoch, user_epoch, \
         opened_at, access_until, generation{client})"
    );
    insert_into(backend, &into, &format!("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0{room})"), rows)
}

fn lock_members(backend: DbBackend, rows: usize) -> String {
    let key = ["m.tenant_id", "m.union_group_id", "m.unionid"];
    let what = format!("{}, m.user_id", key.join(", "));
    let read = select(backend, &what, "union_member m", &key, rows);
    match backend {
        // The transaction holds the one write lock already.
        DbBackend::Sqlite => read,
        DbBackend::Postgres => format!("{read} ORDER BY 1, 2, 3 FOR UPDATE OF m"),
        _ => format!("{read} ORDER BY 1, 2, 3 FOR UPDATE"),
    }
}

/// Reads by many keys of several columns, in the form that each engine answers from the index.
pub(crate) fn select(backend: DbBackend, what: &str, from: &str, columns: &[&str], rows: usize) -> String {
    let keys = list(&format!("({})", list("?", columns.len())), rows);
    if backend == DbBackend::MySql {
        // Read as ranges of the index; a join with VALUES is written differently by MySQL and by MariaDB.
        return format!("SELECT {what} FROM {from} WHERE ({}) IN ({keys})", columns.join(", "));
    }
    // SQLite would scan the whole table for the other form, and CROSS JOIN keeps it from turning the join around.
    let names: Vec<_> = (1..=columns.len()).map(|number| format!("c{number}")).collect();
    let same = columns.iter().zip(&names).map(|(column, name)| format!("{column} = k.{name}")).collect::<Vec<_>>();
    let with = format!("WITH k ({}) AS (VALUES {keys})", names.join(", "));
    format!("{with} SELECT {what} FROM k CROSS JOIN {from} WHERE {}", same.join(" AND "))
}
