//! Logins as tests write them.
#![allow(dead_code, reason = "each test binary uses its part")]

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use wxgate_crypto::user_data::SessionKey;
use wxgate_domain::{App, NewSession, OpenedSession, Tenant, Timestamp, WechatIdentity};
use wxgate_storage::{Engine, OpenSessionError, Storage};

use crate::support::{START, TestDatabase};

/// A tenant and one of its apps: where somebody logs in.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) tenant: Tenant,
    pub(crate) app: App,
}

/// What WeChat says of somebody. Every byte of the session key is `key`.
pub(crate) fn identity(openid: &str, unionid: Option<&str>, key: u8) -> WechatIdentity {
    WechatIdentity {
        openid: openid.parse().unwrap(),
        unionid: unionid.map(|unionid| unionid.parse().unwrap()),
        session_key: SessionKey::from_bytes([key; 16]),
    }
}

impl Place {
    /// The session of a login at [`START`].
    pub(crate) fn session(&self, openid: &str, unionid: Option<&str>) -> NewSession {
        self.session_at(openid, unionid, 7, START)
    }

    /// The session of a login at any time, with any session key.
    pub(crate) fn session_at(&self, openid: &str, unionid: Option<&str>, key: u8, now: Timestamp) -> NewSession {
        NewSession::of(&self.app, &self.tenant, identity(openid, unionid, key), now)
    }

    /// Logs in.
    pub(crate) async fn try_login(
        &self,
        storage: &Storage,
        openid: &str,
        unionid: Option<&str>,
    ) -> Result<OpenedSession, OpenSessionError> {
        storage.tenant(self.tenant.id).open_session(self.session(openid, unionid)).await
    }

    /// Logs in, which must succeed.
    pub(crate) async fn login(&self, storage: &Storage, openid: &str, unionid: Option<&str>) -> OpenedSession {
        self.try_login(storage, openid, unionid).await.unwrap()
    }
}

/// A plain connection on which `"user"` is a name on every engine.
pub(crate) async fn raw(database: &TestDatabase) -> DatabaseConnection {
    let raw = database.raw().await;
    if database.engine == Engine::MySql {
        raw.execute_unprepared("SET SESSION sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')").await.unwrap();
    }
    raw
}

/// How many rows `FROM ..` has.
pub(crate) async fn count(database: &TestDatabase, from: &str) -> i64 {
    let raw = raw(database).await;
    #[expect(clippy::disallowed_methods, reason = "a look past storage's own reads")]
    let statement = Statement::from_string(raw.get_database_backend(), format!("SELECT COUNT(*) FROM {from}"));
    let count = raw.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    raw.close().await.unwrap();
    count
}

/// Users that no identity belongs to. A lost race must leave none.
pub(crate) async fn orphans(database: &TestDatabase) -> i64 {
    count(database, r#""user" u WHERE NOT EXISTS (SELECT 1 FROM identity i WHERE i.user_id = u.id)"#).await
}

/// Writes a user and an identity as a restored backup would have them.
pub(crate) async fn bring_back(raw: &DatabaseConnection, place: &Place, user: &wxgate_domain::User, openid: &str) {
    let tenant = place.tenant.id.uuid();
    let insert = |text: &str, values: Vec<sea_orm::Value>| {
        let backend = raw.get_database_backend();
        let text = if backend == sea_orm::DbBackend::Postgres {
            (1..=values.len()).fold(text.to_owned(), |text, number| text.replacen('?', &format!("${number}"), 1))
        } else {
            text.to_owned()
        };
        #[expect(clippy::disallowed_methods, reason = "rows that no use case writes")]
        Statement::from_sql_and_values(backend, text, values)
    };
    let text = r#"INSERT INTO "user" (id, tenant_id, status, sessions_epoch, created_at) VALUES (?, ?, ?, ?, ?)"#;
    let status = user.status.as_str().into();
    let values = vec![user.id.uuid().into(), tenant.into(), status, 0_i32.into(), 0_i64.into()];
    raw.execute_raw(insert(text, values)).await.unwrap();
    let text = "INSERT INTO identity (id, tenant_id, app_id, openid, user_id, created_at) VALUES (?, ?, ?, ?, ?, ?)";
    let openid = sea_orm::Value::Bytes(Some(openid.as_bytes().to_vec()));
    let app = place.app.id.uuid().into();
    let values = vec![user.id.uuid().into(), tenant.into(), app, openid, user.id.uuid().into(), 0_i64.into()];
    raw.execute_raw(insert(text, values)).await.unwrap();
}
