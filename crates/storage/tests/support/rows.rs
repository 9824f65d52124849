//! Rows as a login would write them, for stories about what stands in the tables.
#![allow(dead_code, reason = "each test binary uses its part")]

use sea_orm::sea_query::{Query, SimpleExpr};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, TryGetable};
use uuid::Uuid;
use wxgate_crypto::Random;
use wxgate_domain::{AppId, SessionId, TenantId, Timestamp, UserId};

/// Any row.
pub(crate) async fn insert(
    db: &DatabaseConnection,
    table: &'static str,
    row: Vec<(&'static str, SimpleExpr)>,
) -> Result<(), DbErr> {
    let (columns, values): (Vec<_>, Vec<_>) = row.into_iter().unzip();
    let insert = Query::insert().into_table(table).columns(columns).values_panic(values).to_owned();
    db.execute(&insert).await.map(|_| ())
}

/// A column of the first row whose other column is this.
pub(crate) async fn first<T: TryGetable>(
    db: &DatabaseConnection,
    table: &'static str,
    column: &'static str,
    (other, value): (&'static str, SimpleExpr),
) -> T {
    use sea_orm::sea_query::{Expr, ExprTrait};
    let query = Query::select().column(column).from(table).and_where(Expr::col(other).eq(value)).to_owned();
    db.query_one(&query).await.unwrap().unwrap().try_get("", column).unwrap()
}

/// A user.
pub(crate) async fn user(db: &DatabaseConnection, tenant: TenantId, now: Timestamp) -> UserId {
    let id = UserId::new(now, &Random::system().unwrap());
    let row = vec![
        ("id", id.uuid().into()),
        ("tenant_id", tenant.uuid().into()),
        ("status", "active".into()),
        ("sessions_epoch", 0_i32.into()),
        ("created_at", now.millis().into()),
    ];
    insert(db, "user", row).await.unwrap();
    id
}

/// An identity of a user.
pub(crate) async fn identity(
    db: &DatabaseConnection,
    tenant: TenantId,
    app: AppId,
    user: UserId,
    openid: &str,
) -> Result<Uuid, DbErr> {
    let id = Random::system().unwrap().uuid_v7(0);
    let row = vec![
        ("id", id.into()),
        ("tenant_id", tenant.uuid().into()),
        ("app_id", app.uuid().into()),
        ("openid", openid.as_bytes().to_vec().into()),
        ("user_id", user.uuid().into()),
        ("created_at", 0_i64.into()),
    ];
    insert(db, "identity", row).await.map(|()| id)
}

/// A session of an identity with a key of some bytes.
pub(crate) async fn session(
    db: &DatabaseConnection,
    (tenant, app): (TenantId, AppId),
    identity: Uuid,
    opened_at: Timestamp,
) -> Result<SessionId, DbErr> {
    let id = SessionId::new(opened_at, &Random::system().unwrap());
    let row = vec![
        ("id", id.uuid().into()),
        ("tenant_id", tenant.uuid().into()),
        ("identity_id", identity.into()),
        ("app_id", app.uuid().into()),
        ("session_key", vec![1_u8; 53].into()),
        ("generation", 0_i32.into()),
        ("mac_key", 3_i32.into()),
        ("tenant_epoch", 0_i32.into()),
        ("app_epoch", 0_i32.into()),
        ("user_epoch", 0_i32.into()),
        ("opened_at", opened_at.millis().into()),
    ];
    insert(db, "session", row).await.map(|()| id)
}

/// The sessions that still have their key, oldest first.
pub(crate) async fn sessions_with_key(db: &DatabaseConnection) -> Vec<SessionId> {
    use sea_orm::sea_query::{Expr, ExprTrait};
    let query = Query::select()
        .column("id")
        .from("session")
        .and_where(Expr::col("session_key").is_not_null())
        .order_by("id", sea_orm::Order::Asc)
        .to_owned();
    let rows = db.query_all(&query).await.unwrap();
    rows.iter().map(|row| SessionId::from(row.try_get::<Uuid>("", "id").unwrap())).collect()
}
