//! A tenant that is deleted: nothing of it is left, in no table, and nothing of the others is missing.

use std::time::Duration;

use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query, SimpleExpr};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use uuid::Uuid;
use wxgate_crypto::Digest;
use wxgate_domain::{AdminScopes, Event, EventKinds, JobState, NodeId, Tenant, TenantId, TenantStatus, WebhookStatus};
use wxgate_storage::{
    Arrival, Engine, NewAdminKey, NewForwardAuthPolicy, NewWebhook, Outcome, PushChange, Receiver, Storage,
    StorageError,
};

use crate::support::{TestDatabase, app_in_group, audience, new_tenant, service_client, tenant, union_group};
use crate::support_rows::{identity, insert, session, user};

/// Every table of the live schema that has a column `tenant_id`.
async fn tables_of_tenants(database: &TestDatabase, raw: &DatabaseConnection) -> Vec<String> {
    let query = match database.engine {
        Engine::Sqlite => {
            "SELECT m.name AS name FROM sqlite_master m JOIN pragma_table_info(m.name) c \
             WHERE m.type = 'table' AND c.name = 'tenant_id'"
        }
        Engine::Postgres => {
            "SELECT CAST(table_name AS TEXT) AS name FROM information_schema.columns \
             WHERE column_name = 'tenant_id' AND table_schema = current_schema()"
        }
        Engine::MySql => {
            "SELECT CAST(table_name AS CHAR) AS name FROM information_schema.columns \
             WHERE column_name = 'tenant_id' AND table_schema = DATABASE()"
        }
    };
    #[expect(clippy::disallowed_methods, reason = "the schema's own tables")]
    let rows = raw.query_all_raw(Statement::from_string(raw.get_database_backend(), query)).await.unwrap();
    rows.iter().map(|row| row.try_get("", "name").unwrap()).collect()
}

async fn rows_of(raw: &DatabaseConnection, table: &str, tenant: TenantId) -> i64 {
    let query = Query::select()
        .expr_as(Expr::col("tenant_id").count(), "rows")
        .from(Alias::new(table))
        .and_where(Expr::col("tenant_id").eq(tenant.uuid()))
        .to_owned();
    raw.query_one(&query).await.unwrap().unwrap().try_get("", "rows").unwrap()
}

/// A row in every table that has rows of tenants.
async fn furnish(storage: &Storage, raw: &DatabaseConnection, tenant: &Tenant, number: u32) {
    let group = union_group(storage, tenant, "main").await;
    let app = app_in_group(storage, tenant, &format!("wx{number}"), Some(group.id)).await;
    audience(storage, tenant, &format!("orders{number}")).await;
    crate::platforms::furnish(storage, tenant, number).await;
    service_client(storage, tenant, "Orders").await;
    let tx = storage.begin().await.unwrap();
    let policy = NewForwardAuthPolicy {
        name: format!("api{number}").parse().unwrap(),
        audience: format!("orders{number}").parse().unwrap(),
        scopes: Vec::new(),
    };
    tx.tenant(tenant.id).forward_auth_policies().add(policy).await.unwrap();
    let scopes: AdminScopes = "read".parse().unwrap();
    let key = NewAdminKey { tenant: Some(tenant.id), name: "admins".to_owned(), scopes, expires_at: None };
    tx.admin_keys().add(key).await.unwrap();
    let url = "https://hooks.example/".parse().unwrap();
    let (events, status) = (EventKinds::EVERY, WebhookStatus::Enabled);
    tx.tenant(tenant.id)
        .webhooks()
        .add(NewWebhook { name: "all".to_owned(), url, events, status }, None)
        .await
        .unwrap();
    let created = Event::PhoneBound { user: tenant.id.uuid().into() };
    tx.tenant(tenant.id).events().tell(&created).await.unwrap();
    tx.tenants().set_status(tenant.id, TenantStatus::Suspended).await.unwrap();
    tx.jobs().add(Some(tenant.id), wxgate_domain::Task::Reseal {}).await.unwrap();
    let scope = tx.tenant(tenant.id);
    scope.push_settings().set(&app.appid, PushChange::default()).await.unwrap();
    let digest = Digest::sha256(b"a push");
    let arrival = Arrival { receiver: Receiver::App(app.id), stamp: digest, body: digest, message: None };
    scope.push_marks().arrive(&arrival).await.unwrap();
    tx.commit().await.unwrap();

    let now = tenant.created_at;
    let user = user(raw, tenant.id, now).await;
    // More than one piece deletes at once.
    for openid in 0..250 {
        let identity = identity(raw, tenant.id, app.id, user, &format!("o{openid}")).await.unwrap();
        session(raw, (tenant.id, app.id), identity, now).await.unwrap();
        let superseded = vec![
            ("id", identity.into()),
            ("tenant_id", tenant.id.uuid().into()),
            ("identity_id", identity.into()),
            ("session_key", vec![1_u8; 53].into()),
            ("superseded_at", now.millis().into()),
        ];
        insert(raw, "superseded_key", superseded).await.unwrap();
    }
    fill_up(raw, tenant, (group.id.uuid(), user.uuid(), app.id.uuid()), number).await;
}

/// A row in each of the tables that nothing has written to; of today, so that the sweep beside this story leaves it.
#[expect(clippy::too_many_lines, reason = "a table")]
async fn fill_up(raw: &DatabaseConnection, tenant: &Tenant, (group, user, app): (Uuid, Uuid, Uuid), number: u32) {
    let id = || SimpleExpr::from(tenant.id.uuid());
    let bytes = |length| SimpleExpr::from(vec![u8::try_from(number).unwrap(); length]);
    let zero = || SimpleExpr::from(0_i64);
    let now = || SimpleExpr::from(tenant.created_at.millis());
    let later = || SimpleExpr::from(tenant.created_at.plus(Duration::from_hours(24)).millis());
    let today = || SimpleExpr::from(tenant.created_at.beijing_day().number());
    let rows: [(&'static str, Vec<(&'static str, SimpleExpr)>); 18] = [
        (
            "access_token",
            vec![("app_id", app.into()), ("fetched_at", now()), ("expires_at", later()), ("lease_until", later())],
        ),
        (
            "wechat_call",
            vec![
                ("app_id", app.into()),
                ("day", today()),
                ("interface", "/x".into()),
                ("outcome", "ok".into()),
                ("calls", zero()),
            ],
        ),
        (
            "webhook",
            vec![
                ("id", user.into()),
                ("name", "hook".into()),
                ("url", "https://hooks.example/".into()),
                ("events", "[]".into()),
                ("status", "enabled".into()),
                ("secret", bytes(64)),
                ("created_at", now()),
            ],
        ),
        (
            "webhook_turn",
            vec![
                ("webhook_id", user.into()),
                ("failures", 0.into()),
                ("paused_until", later()),
                ("lease_until", later()),
            ],
        ),
        ("outbox", vec![("id", user.into()), ("kind", "user.created".into()), ("at", now())]),
        (
            "delivery",
            vec![
                ("webhook_id", user.into()),
                ("event_id", user.into()),
                ("state", "waiting".into()),
                ("since", now()),
                ("attempts", 0.into()),
            ],
        ),
        (
            "merge_token",
            vec![
                ("digest", bytes(32)),
                ("user_id", user.into()),
                ("other_id", user.into()),
                ("session_id", user.into()),
                ("expires_at", later()),
            ],
        ),
        (
            "merge",
            vec![
                ("id", user.into()),
                ("gone_id", group.into()),
                ("user_id", user.into()),
                ("into_id", user.into()),
                ("cause", "proof".into()),
                ("at", now()),
                ("undo_until", later()),
            ],
        ),
        (
            "merge_candidate",
            vec![
                ("id", user.into()),
                ("user_id", user.into()),
                ("other_id", user.into()),
                ("cause", "unionid".into()),
                ("state", "open".into()),
                ("created_at", now()),
            ],
        ),
        (
            "union_member",
            vec![
                ("union_group_id", group.into()),
                ("unionid", bytes(3)),
                ("user_id", user.into()),
                ("created_at", now()),
            ],
        ),
        ("phone", vec![("id", user.into()), ("user_id", user.into()), ("number", bytes(64)), ("bound_at", now())]),
        (
            "phone_code",
            vec![
                ("id", user.into()),
                ("app_id", user.into()),
                ("digest", bytes(32)),
                ("openid", bytes(3)),
                ("state", "pending".into()),
                ("at", now()),
            ],
        ),
        ("phone_budget", vec![("app_id", user.into()), ("openid", bytes(3)), ("day", today()), ("used", 1.into())]),
        ("released_appid", vec![("appid", bytes(5)), ("at", now())]),
        (
            "tombstone",
            vec![
                ("digest", bytes(32)),
                ("digest_key", 2.into()),
                ("user_id", user.into()),
                ("blocked", 0.into()),
                ("at", now()),
            ],
        ),
        (
            "idempotency",
            vec![
                ("owner", id()),
                ("key_digest", bytes(32)),
                ("request_digest", bytes(32)),
                ("status", 201.into()),
                ("reply", "{}".into()),
                ("at", now()),
            ],
        ),
        (
            "audit_chain",
            vec![
                ("seq", zero()),
                ("head", bytes(32)),
                ("pruned", zero()),
                ("pruned_mac", bytes(32)),
                ("anchor", bytes(32)),
            ],
        ),
        (
            "audit_entry",
            vec![
                ("seq", 1_000_i64.into()),
                ("at", now()),
                ("actor", "console".into()),
                ("action", "x".into()),
                ("target", "x".into()),
                ("outcome", "ok".into()),
                ("commitment", bytes(32)),
                ("mac_key", 4.into()),
                ("mac", bytes(32)),
            ],
        ),
    ];
    for (table, row) in rows {
        if rows_of(raw, table, tenant.id).await == 0 {
            let row = row.into_iter().chain([("tenant_id", id())]);
            insert(raw, table, row.collect()).await.unwrap();
        }
    }
}

pub(crate) async fn nothing_is_left_of_a_tenant(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let raw = database.raw().await;
    furnish(&storage, &raw, &acme, 1).await;
    furnish(&storage, &raw, &umbrella, 2).await;
    // It runs beside this story anyway; nothing here may be for it.
    storage.sweep().await.unwrap();
    let tables = tables_of_tenants(&database, &raw).await;
    assert!(tables.len() >= 24, "{tables:?}");
    let mut before = Vec::new();
    for table in &tables {
        assert!(rows_of(&raw, table, acme.id).await > 0, "{table} has no row to be deleted: add one to this story");
        before.push(rows_of(&raw, table, umbrella.id).await);
    }

    let tx = storage.begin().await.unwrap();
    let job = tx.tenants().delete(acme.id, |_| Ok::<_, StorageError>(())).await.unwrap();
    tx.commit().await.unwrap();
    // At once, and before any job: no keys, so nothing can be opened.
    for table in ["data_key", "signing_key", "admin_key"] {
        assert_eq!(rows_of(&raw, table, acme.id).await, 0, "{table}");
    }
    assert!(storage.apps().find(&"wx1".parse().unwrap()).await.unwrap().is_none());
    let taken = |result: Result<_, StorageError>| assert!(matches!(result, Err(StorageError::NotUnique { .. })));
    let again = storage.begin().await.unwrap();
    taken(again.tenants().create(new_tenant("acme")).await.map(drop));
    drop(again);

    // Somebody dies half-way; the next one takes over when the time is up.
    let node = || NodeId::new(database.clock.now(), &database.random);
    let mut first = storage.jobs().take_job(job.id, node()).await.unwrap().unwrap();
    for _ in 0..3 {
        assert_eq!(first.piece().await.unwrap(), Outcome::More);
    }
    assert!(storage.jobs().take_job(job.id, node()).await.unwrap().is_none());
    database.clock.advance(Duration::from_secs(31));
    let mut second = storage.jobs().take_job(job.id, node()).await.unwrap().unwrap();
    assert_eq!(first.piece().await.unwrap(), Outcome::Lost);
    // A login that was under way.
    user(&raw, acme.id, acme.created_at).await;
    while second.piece().await.unwrap() == Outcome::More {}
    let done = storage.jobs().find(job.id).await.unwrap().unwrap();
    assert_eq!((done.state, done.done), (JobState::Done, done.total));
    assert!(done.total > 500, "{done:?}");

    for (table, before) in tables.iter().zip(before) {
        assert_eq!(rows_of(&raw, table, acme.id).await, 0, "{table}");
        assert!(rows_of(&raw, table, umbrella.id).await >= before, "{table}");
    }
    assert!(storage.tenants().of_id(acme.id).await.unwrap().is_none());
    assert!(storage.apps().find(&"wx2".parse().unwrap()).await.unwrap().is_some());
    let again = storage.begin().await.unwrap();
    taken(again.tenants().create(new_tenant("acme")).await.map(drop));
    drop(again);
    raw.close().await.unwrap();
    storage.stop().await;
}

pub(crate) async fn a_backup_brings_no_deleted_tenant_back(database: TestDatabase) {
    let (_folder, journal, storage) = database.started_with_journal().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let tx = storage.begin().await.unwrap();
    tx.tenants().delete(acme.id, |_| Ok::<_, StorageError>(())).await.unwrap();
    tx.commit().await.unwrap();
    let line = std::fs::read_to_string(journal.path()).unwrap();
    assert!(line.contains(&acme.id.to_string()), "{line}");

    // As if it had been the other one, which the backup has alive.
    std::fs::write(journal.path(), line.replace(&acme.id.to_string(), &umbrella.id.to_string())).unwrap();
    let replayed = storage.replay_erasures(&journal).await.unwrap();
    assert_eq!((replayed.entries, replayed.deleted_tenants, replayed.unreadable), (1, 1, 0));
    let status = storage.tenants().of_id(umbrella.id).await.unwrap().unwrap().status;
    assert_eq!(status, TenantStatus::Deleting);
    let replayed = storage.replay_erasures(&journal).await.unwrap();
    assert_eq!((replayed.entries, replayed.deleted_tenants), (1, 0));
    storage.stop().await;
}
