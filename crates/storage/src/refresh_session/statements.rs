//! The statements of refreshes and ends, as text. All that differs between engines is in this file.

use sea_orm::DbBackend;

use crate::packed::{Reading, packed};
use crate::repo::phones::{JOIN_PHONE, PHONE, PHONE_BYTES};
use crate::sql::{LARGEST, Sized, list};

/// All statements of refreshes and ends that work on many rows, for one engine.
pub(super) struct Statements {
    /// Rows (id): [`LOCKED`] of those that are there, locked in the order of their ids. Only servers need it.
    pub(super) lock_sessions: Option<Sized>,
    /// Rows (id) of apps: locks them and their tenants, so that nobody changes them meanwhile. Only servers need it.
    pub(super) hold_apps: Option<Sized>,
    /// Rows (id): see [`read_sessions`].
    pub(super) read_sessions: Reading,
    /// Turns, time, until when access tokens live, MAC key; then all pairs (id, presenter); and as
    /// [`Statements::repeats_ids`] says, all ids again.
    pub(super) move_on: Sized,
    /// Whether the ids stand twice among the values of [`Statements::move_on`].
    pub(super) repeats_ids: bool,
    /// Time and reason; then all ids.
    pub(super) end: Sized,
}

/// How often, which turn, id: a turn that a stranger repeated.
pub(super) const UPDATE_CONTESTED: &str = "UPDATE session SET contested = ?, contested_generation = ? WHERE id = ?";

impl Statements {
    pub(super) fn new(backend: DbBackend) -> Self {
        let sized = |render| Sized::new(backend, render);
        let server = backend != DbBackend::Sqlite;
        Self {
            lock_sessions: server.then(|| sized(lock_sessions)),
            hold_apps: server.then(|| sized(hold_apps)),
            read_sessions: Reading::new(backend, read_sessions),
            move_on: sized(move_on),
            repeats_ids: backend == DbBackend::MySql,
            end: sized(|_, rows| {
                let ids = list("?", rows);
                format!("UPDATE session SET ended_at = ?, end_reason = ? WHERE ended_at IS NULL AND id IN ({ids})")
            }),
        }
    }

    /// Most turns in one statement.
    pub(super) fn most_turns(&self) -> usize {
        if self.repeats_ids { FEW } else { LARGEST }
    }
}

/// Most turns in one statement on MySQL, which compares each row with each of them.
const FEW: usize = 16;

/// Every row gets its presenter, and all of them the rest.
fn move_on(backend: DbBackend, rows: usize) -> String {
    let set = "generation = generation + ?, refreshed_at = ?, access_until = ?, mac_key = ?";
    if backend == DbBackend::MySql {
        let cases = " WHEN ? THEN ?".repeat(rows);
        return format!("UPDATE session SET {set}, client = CASE id{cases} END WHERE id IN ({})", list("?", rows));
    }
    let turns = list("(?, ?)", rows);
    format!("UPDATE session SET {set}, client = k.column2 FROM (VALUES {turns}) AS k WHERE session.id = k.column1")
}

/// The database's time after the lock was got, and the app. Nodes differ, and the window of a lost answer must not.
fn lock_sessions(backend: DbBackend, rows: usize) -> String {
    let now = match backend {
        DbBackend::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        _ => "CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)",
    };
    format!("SELECT {now}, app_id FROM session WHERE id IN ({}) ORDER BY id FOR UPDATE", list("?", rows))
}

fn hold_apps(backend: DbBackend, rows: usize) -> String {
    // Both MySQL and MariaDB know this form.
    let lock = if backend == DbBackend::Postgres { "FOR SHARE" } else { "LOCK IN SHARE MODE" };
    let from = "app a JOIN tenant t ON t.id = a.tenant_id";
    format!("SELECT a.id FROM {from} WHERE a.id IN ({}) ORDER BY a.id {lock}", list("?", rows))
}

/// Everything that a turn depends on and its answer tells, in one row for each session.
///
/// How user, app and tenant stand is one number: 0 well, 1 user blocked, 2 app disabled or tenant suspended, 3 their
/// sessions were swept.
fn read_sessions(backend: DbBackend, rows: usize) -> String {
    let (with, from, of) = match backend {
        // A list after IN would be a table of its own, made and thrown away for each batch.
        DbBackend::Sqlite => {
            let keys = list("(?)", rows);
            (format!("WITH k (id) AS (VALUES {keys}) "), "k CROSS JOIN session s", "s.id = k.id".to_owned())
        }
        _ => (String::new(), "session s", format!("s.id IN ({})", list("?", rows))),
    };
    let read = format!(
        r#"{with}SELECT s.id, s.tenant_id, s.app_id, u.id, s.generation, s.mac_key, s.opened_at, s.refreshed_at, s.end_reason,
        s.access_until, s.client, s.contested_generation, s.contested, i.openid, i.unionid, u.external_id, {PHONE},
        CASE WHEN t.status <> 'active' OR a.status <> 'enabled' THEN 2 WHEN u.status <> 'active' THEN 1
            WHEN s.user_epoch <> u.sessions_epoch OR s.app_epoch <> a.sessions_epoch OR s.tenant_epoch <> t.sessions_epoch
            THEN 3 ELSE 0 END
        FROM {from}
        JOIN identity i ON i.id = s.identity_id
        JOIN "user" u ON u.id = i.user_id
        {JOIN_PHONE}
        JOIN app a ON a.id = s.app_id
        JOIN tenant t ON t.id = s.tenant_id
        WHERE {of}"#
    );
    match backend {
        DbBackend::Sqlite => packed(&["bbbb......b..bb.", PHONE_BYTES, "."].concat(), &read),
        _ => read,
    }
}
