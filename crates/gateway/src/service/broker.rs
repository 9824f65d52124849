//! WeChat's access_token for services that call WeChat themselves: one owner of the AppSecret for all of them.

mod tallies;

use std::net::IpAddr;
use std::sync::Arc;

use wxgate_crypto::Digest;
use wxgate_domain::ServiceClient;
use wxgate_storage::{NewAuditEntry, StorageError};
use wxgate_wechat_client::AccessToken;

use self::tallies::Tallies;
use super::access_tokens::{AccessTokens, ReportError, TokenCallError, Verdict};
use super::directory::ActiveApp;
use super::limits::{Limits, Wait};

/// Gives access_tokens to service clients.
#[derive(Clone)]
pub(crate) struct Broker {
    access_tokens: AccessTokens,
    limits: Arc<Limits>,
    tallies: Tallies,
}

/// A service client that asks, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) client: &'a ServiceClient,
    pub(crate) address: IpAddr,
    pub(crate) request_id: Option<&'a str>,
}

/// A token that is given away.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) token: AccessToken,
    /// Seconds that it is good for, at least one.
    pub(crate) expires_in: u64,
}

/// Why a service client gets nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokerError {
    #[error("the client may not have the access_token of this app")]
    NotGranted,
    #[error("too many requests of this client")]
    TooOften(Wait),
    #[error(transparent)]
    Token(#[from] TokenCallError),
    /// What is not written down is not given.
    #[error("it could not be written down: {0}")]
    NotWritten(#[from] StorageError),
}

impl From<ReportError> for BrokerError {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::TooSoon(left) => Self::TooOften(Wait::of(left)),
            ReportError::Token(error) => Self::Token(error),
            ReportError::Storage(error) => Self::NotWritten(error),
        }
    }
}

impl Broker {
    /// A broker of these tokens.
    pub(crate) fn new(access_tokens: AccessTokens, limits: Arc<Limits>) -> Self {
        Self { access_tokens, limits, tallies: Tallies::default() }
    }

    /// The app's token, for a client that its policy grants it.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub(crate) async fn give(&self, app: &Arc<ActiveApp>, asker: Asker<'_>) -> Result<Given, BrokerError> {
        self.must_be_granted(app, asker).await?;
        let held = self.access_tokens.token(app).await?;
        self.write_down(app, asker, TAKEN).await?;
        self.access_tokens.metrics.brokered("given");
        let left = held.until.since(self.access_tokens.clock.now()).as_secs().max(1);
        Ok(Given { token: held.token.clone(), expires_in: left })
    }

    /// Hears from a client that a token is dead: only what is the present one's digest is looked into, and WeChat is asked
    /// first.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub(crate) async fn hear_of_dead(
        &self,
        app: &Arc<ActiveApp>,
        asker: Asker<'_>,
        digest: &Digest,
    ) -> Result<Verdict, BrokerError> {
        self.must_be_granted(app, asker).await?;
        let verdict = self.access_tokens.look_into(app, digest).await?;
        if verdict == Verdict::Replaced {
            self.write_down(app, asker, REPLACED).await?;
        }
        Ok(verdict)
    }

    async fn must_be_granted(&self, app: &ActiveApp, asker: Asker<'_>) -> Result<(), BrokerError> {
        if !asker.client.policy.grants_token_of(&app.app.appid) {
            self.access_tokens.metrics.brokered("not_granted");
            self.write_down(app, asker, REFUSED).await?;
            return Err(BrokerError::NotGranted);
        }
        self.limits.brokered(app.tenant.id(), asker.client.id.clone()).map_err(|wait| {
            self.access_tokens.metrics.brokered("rate_limited");
            BrokerError::TooOften(wait)
        })
    }

    /// Writes into the tenant's audit log who took what, once an hour for each client, app and kind: a service that asks
    /// before each of its calls fills no table. Each entry says how often it happened since the one before.
    async fn write_down(&self, app: &ActiveApp, asker: Asker<'_>, kind: Kind) -> Result<(), StorageError> {
        let key = (asker.client.id.clone(), app.app.id, kind.outcome);
        let Some(due) = self.tallies.count(key, self.access_tokens.clock.now()) else { return Ok(()) };
        let entry = NewAuditEntry {
            actor: format!("client:{}", asker.client.id),
            action: kind.action.to_owned(),
            target: app.app.appid.to_string(),
            outcome: kind.outcome.to_owned(),
            request_id: asker.request_id.map(str::to_owned),
            detail: due.detail(),
            personal: Some(asker.address.to_string()),
        };
        let tx = self.access_tokens.storage.begin().await?;
        tx.audit(Some(app.tenant.id())).record(&entry).await?;
        tx.commit().await?;
        due.written();
        Ok(())
    }
}

/// What is written down, and how it is called.
#[derive(Clone, Copy, Debug)]
struct Kind {
    action: &'static str,
    outcome: &'static str,
}

const TAKEN: Kind = Kind { action: "access_token.take", outcome: "done" };
const REFUSED: Kind = Kind { action: "access_token.take", outcome: "refused" };
const REPLACED: Kind = Kind { action: "access_token.replace", outcome: "replaced" };
