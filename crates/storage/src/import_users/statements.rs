//! The statements of an import, as text.

use sea_orm::DbBackend;

use crate::open_session::statements::{USER, select};
use crate::sql::{Sized, insert_into, list};

/// All of them, for one engine.
pub(super) struct Statements {
    /// Rows (tenant, app, openid): [`USER`], app, openid, id and unionid of those that are there.
    pub(super) read_identities: Sized,
    /// Rows (tenant, union group, unionid): group, unionid and user of the members, locked in the order of their keys.
    pub(super) lock_members: Sized,
    /// Rows (id): [`USER`].
    pub(super) read_users: Sized,
    /// Rows (tenant, external id): [`USER`].
    pub(super) read_named: Sized,
    /// Rows (tenant, digest): the digests that have a tombstone.
    pub(super) read_tombstones: Sized,
    /// Rows (id, tenant, status, nickname, external id, sessions epoch, created at).
    pub(super) insert_users: Sized,
    /// Rows (tenant, union group, unionid, user, created at).
    pub(super) insert_members: Sized,
    /// Rows (id, tenant, app, openid, unionid, user, created at).
    pub(super) insert_identities: Sized,
    /// All pairs (id, unionid), then all ids again.
    pub(super) name_identities: Sized,
    /// All pairs (id, external id), then all ids again.
    pub(super) name_users: Sized,
    /// All pairs (id, nickname), then all ids again.
    pub(super) nickname_users: Sized,
}

impl Statements {
    pub(super) fn new(backend: DbBackend) -> Self {
        let sized = |render| Sized::new(backend, render);
        Self {
            read_identities: sized(|backend, rows| {
                let what = format!("{USER}, i.app_id, i.openid, i.id, i.unionid");
                let from = r#"identity i JOIN "user" u ON u.tenant_id = i.tenant_id AND u.id = i.user_id"#;
                select(backend, &what, from, &["i.tenant_id", "i.app_id", "i.openid"], rows)
            }),
            lock_members: sized(lock_members),
            read_users: sized(|_, rows| format!(r#"SELECT {USER} FROM "user" u WHERE u.id IN ({})"#, list("?", rows))),
            read_named: sized(|backend, rows| {
                select(backend, USER, r#""user" u"#, &["u.tenant_id", "u.external_id"], rows)
            }),
            read_tombstones: sized(|backend, rows| {
                select(backend, "t.digest", "tombstone t", &["t.tenant_id", "t.digest"], rows)
            }),
            insert_users: sized(|backend, rows| {
                let into = r#""user" (id, tenant_id, status, nickname, external_id, sessions_epoch, created_at)"#;
                insert_into(backend, into, "(?, ?, ?, ?, ?, ?, ?)", rows)
            }),
            insert_members: sized(|backend, rows| {
                let into = "union_member (tenant_id, union_group_id, unionid, user_id, created_at)";
                insert_into(backend, into, "(?, ?, ?, ?, ?)", rows)
            }),
            insert_identities: sized(|backend, rows| {
                let into = "identity (id, tenant_id, app_id, openid, unionid, user_id, created_at)";
                insert_into(backend, into, "(?, ?, ?, ?, ?, ?, ?)", rows)
            }),
            name_identities: sized(|_, rows| set("identity", "unionid", rows)),
            name_users: sized(|_, rows| set(r#""user""#, "external_id", rows)),
            nickname_users: sized(|_, rows| set(r#""user""#, "nickname", rows)),
        }
    }
}

fn lock_members(backend: DbBackend, rows: usize) -> String {
    let key = ["m.tenant_id", "m.union_group_id", "m.unionid"];
    let read = select(backend, "m.union_group_id, m.unionid, m.user_id", "union_member m", &key, rows);
    match backend {
        // The transaction holds the one write lock already.
        DbBackend::Sqlite => read,
        DbBackend::Postgres => format!("{read} ORDER BY 1, 2 FOR UPDATE OF m"),
        _ => format!("{read} ORDER BY 1, 2 FOR UPDATE"),
    }
}

/// Fills a column in where it is empty.
fn set(table: &str, column: &str, rows: usize) -> String {
    let cases = " WHEN ? THEN ?".repeat(rows);
    format!("UPDATE {table} SET {column} = CASE id{cases} END WHERE {column} IS NULL AND id IN ({})", list("?", rows))
}
