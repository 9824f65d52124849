//! Tokens that several nodes share: a platform's own, and those of the apps that authorised it.
//!
//! Whoever fetches the next one holds a lease under a random name, and what they write counts only as long as they hold it.
//! A refresh token is written by the same statement as the access token that came with it: nobody ever uses one without
//! the other being kept.

use std::time::Duration;

use sea_orm::{ConnectionTrait, QueryResult};
use uuid::Uuid;
use wxgate_crypto::{Place, Secret};
use wxgate_domain::{PlatformId, Timestamp, WechatAppid};

use super::{TenantPlatforms, text};
use crate::error::StorageError;
use crate::sql::{self, bytes, get, id, statement};

/// How long a lease is held at most: several times as long as a call to WeChat may take.
const HELD: Duration = Duration::from_secs(15);

/// Whose token it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LeasedToken {
    /// A platform's own (`component_access_token`).
    Platform(PlatformId),
    /// An app's under a platform (`authorizer_access_token`).
    App(PlatformId, WechatAppid),
}

/// A token as it is stored.
#[derive(Clone, Debug)]
pub struct StoredToken {
    /// The token; `None` before the first one.
    pub token: Option<(Secret<String>, Timestamp)>,
    /// What the next one comes from; an app's alone, and `None` if it has none.
    pub refresh_token: Option<Secret<String>>,
}

/// A token that was fetched.
#[derive(Clone, Copy, Debug)]
pub struct NextToken<'a> {
    /// The token.
    pub token: &'a Secret<String>,
    /// The end of its life.
    pub expires_at: Timestamp,
    /// The refresh token that came with it; an app's alone.
    pub refresh_token: Option<&'a Secret<String>>,
}

impl LeasedToken {
    fn table(&self) -> &'static str {
        match self {
            Self::Platform(_) => "platform",
            Self::App(..) => "platform_app",
        }
    }
}

impl TenantPlatforms {
    /// The token as it is stored now, whether it still lives or not.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if there is no such platform or app under it; or a token does not open.
    pub async fn token(&self, of: &LeasedToken) -> Result<StoredToken, StorageError> {
        let row = self.token_row(of).await?.ok_or(StorageError::NotFound)?;
        let row_id: Uuid = get(&row, 0)?;
        let open = async |column, sealed: Option<Vec<u8>>| match sealed {
            Some(sealed) => text(&self.storage.core, self.place(of, column, &row_id), sealed).await.map(Some),
            None => Ok(None),
        };
        let (sealed, until): (Option<Vec<u8>>, Option<i64>) = (get(&row, 1)?, get(&row, 2)?);
        let token = open("access_token", sealed).await?;
        let refresh_token = match of {
            LeasedToken::Platform(_) => None,
            LeasedToken::App(..) => open("refresh_token", get(&row, 3)?).await?,
        };
        Ok(StoredToken { token: token.zip(until.map(Timestamp::from_millis)), refresh_token })
    }

    /// Takes the right to fetch the next token, for fifteen seconds; whether it was free.
    ///
    /// # Errors
    /// The database fails.
    pub async fn lease(&self, of: &LeasedToken, owner: Uuid) -> Result<bool, StorageError> {
        let core = &self.storage.core;
        let now = sql::now(&core.writer, &core.clock).await?;
        let Some(row) = self.row_id(of).await? else { return Ok(false) };
        let text = format!(
            "UPDATE {} SET lease_owner = ?, lease_until = ? \
             WHERE tenant_id = ? AND id = ? AND (lease_until IS NULL OR lease_until <= ?)",
            of.table()
        );
        let values =
            vec![id(owner), now.plus(HELD).millis().into(), id(self.tenant.uuid()), id(row), now.millis().into()];
        self.write(&text, values).await
    }

    /// Stores what was fetched, and gives the lease back. Whether it was still held: if not, nothing is written.
    ///
    /// # Errors
    /// The database fails.
    pub async fn keep_token(&self, of: &LeasedToken, owner: Uuid, next: &NextToken<'_>) -> Result<bool, StorageError> {
        let core = &self.storage.core;
        let Some(row) = self.row_id(of).await? else { return Ok(false) };
        let keys = core.keys(self.tenant).await?;
        let seal = |column, text: &Secret<String>| {
            let sealed = keys.seal.seal(&self.place(of, column, &row), text.expose().as_bytes(), &core.random);
            bytes(&sealed.into_bytes())
        };
        let mut values = vec![seal("access_token", next.token), next.expires_at.millis().into()];
        let refresh_token = next.refresh_token.map_or("", |token| {
            values.push(seal("refresh_token", token));
            ", refresh_token = ?"
        });
        values.extend([id(self.tenant.uuid()), id(row), id(owner)]);
        let text = format!(
            "UPDATE {} SET access_token = ?, token_expires_at = ?{refresh_token}, lease_owner = NULL, lease_until = NULL \
             WHERE tenant_id = ? AND id = ? AND lease_owner = ?",
            of.table()
        );
        self.write(&text, values).await
    }

    /// Gives a lease back after nothing was fetched.
    ///
    /// # Errors
    /// The database fails.
    pub async fn release(&self, of: &LeasedToken, owner: Uuid) -> Result<(), StorageError> {
        let Some(row) = self.row_id(of).await? else { return Ok(()) };
        let text = format!(
            "UPDATE {} SET lease_owner = NULL, lease_until = NULL WHERE tenant_id = ? AND id = ? AND lease_owner = ?",
            of.table()
        );
        self.write(&text, vec![id(self.tenant.uuid()), id(row), id(owner)]).await.map(drop)
    }

    async fn row_id(&self, of: &LeasedToken) -> Result<Option<Uuid>, StorageError> {
        self.token_row(of).await?.map(|row| get(&row, 0)).transpose()
    }

    async fn token_row(&self, of: &LeasedToken) -> Result<Option<QueryResult>, StorageError> {
        let (text, values) = match of {
            LeasedToken::Platform(platform) => (
                "SELECT id, access_token, token_expires_at FROM platform WHERE tenant_id = ? AND id = ?",
                vec![id(self.tenant.uuid()), id(platform.uuid())],
            ),
            LeasedToken::App(platform, appid) => (
                "SELECT id, access_token, token_expires_at, refresh_token FROM platform_app \
                 WHERE tenant_id = ? AND platform_id = ? AND appid = ?",
                vec![id(self.tenant.uuid()), id(platform.uuid()), bytes(appid.as_str().as_bytes())],
            ),
        };
        let core = &self.storage.core;
        let (text, values) = (&text, &values);
        core.read(
            |db| async move { db.query_one_raw(statement(db.get_database_backend(), text, values.clone())).await },
        )
        .await
    }

    async fn write(&self, text: &str, values: Vec<sea_orm::Value>) -> Result<bool, StorageError> {
        let writer = &self.storage.core.writer;
        let statement = statement(writer.get_database_backend(), text, values);
        Ok(writer.execute_raw(statement).await?.rows_affected() > 0)
    }

    fn place<'a>(&self, of: &LeasedToken, column: &'static str, row: &'a Uuid) -> Place<'a> {
        Place { tenant: self.tenant.uuid(), table: of.table(), column, row: row.as_bytes() }
    }
}
