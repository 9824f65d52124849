//! A phone with a session: what it holds, and what it asks.

use wxgate_crypto::Secret;
use wxgate_domain::refresh::UnverifiedRefreshToken;
use wxgate_domain::{AppId, OpenedSession, RefreshToken, RefreshedSession, TenantId, TenantPolicy, UserStatus};
use wxgate_storage::{NotRefreshed, RefreshKeys, RefreshRequest, RefreshSessionError, Storage};

use crate::logins::Place;
use crate::support::{self, TestDatabase};

/// A phone that logged in to an app.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) place: Place,
    pub(crate) session: OpenedSession,
    pub(crate) policy: TenantPolicy,
    network: &'static [u8],
    agent: &'static [u8],
}

/// A started storage with a tenant, an app, and a phone that logged in.
pub(crate) async fn logged_in(database: &TestDatabase) -> (Storage, Device) {
    let storage = database.started().await;
    let place = place(&storage, "acme", "wxaaaaaaaaaaaaaaaa").await;
    let device = Device::login(&storage, database, &place, "oAda").await;
    (storage, device)
}

/// A tenant with an app.
pub(crate) async fn place(storage: &Storage, slug: &str, appid: &str) -> Place {
    let tenant = support::tenant(storage, slug).await;
    let app = support::app(storage, &tenant, appid).await;
    Place { tenant, app }
}

/// Blocks or unblocks whose phone it is.
pub(crate) async fn set_user_status(storage: &Storage, device: &Device, status: UserStatus) {
    let tx = storage.begin().await.unwrap();
    tx.tenant(device.place.tenant.id).users().set_status(device.session.user.id, status).await.unwrap();
    tx.commit().await.unwrap();
}

impl Device {
    pub(crate) async fn login(storage: &Storage, database: &TestDatabase, place: &Place, openid: &str) -> Self {
        let new = place.session_at(openid, None, 7, database.clock.now());
        let session = storage.tenant(place.tenant.id).open_session(new).await.unwrap();
        let policy = place.tenant.policy.clone();
        Self { place: place.clone(), session, policy, network: b"home", agent: b"phone" }
    }

    /// The same tokens in somebody else's hands.
    pub(crate) fn stolen(&self) -> Self {
        Self { network: b"elsewhere", agent: b"another", ..self.clone() }
    }

    /// The token of a turn.
    pub(crate) fn token(&self, generation: u32) -> RefreshToken {
        let OpenedSession { id, mac_key, .. } = self.session;
        RefreshToken { mac_key, tenant: self.place.tenant.id, session: id, generation }
    }

    /// The token's text, as it left the gateway.
    pub(crate) async fn text(&self, storage: &Storage, generation: u32) -> Secret<String> {
        let scope = storage.tenant(self.place.tenant.id);
        let keys = scope.refresh_keys(self.session.mac_key).await.unwrap();
        self.token(generation).mint(keys.key(self.session.mac_key).unwrap(), keys.restore_epoch())
    }

    /// Presents a token's text as a gateway does: the MAC first. `None` if it is not ours, or no longer.
    pub(crate) async fn present(
        &self,
        storage: &Storage,
        text: &Secret<String>,
    ) -> Option<Result<RefreshedSession, NotRefreshed>> {
        let scope = storage.tenant(self.place.tenant.id);
        let unverified = UnverifiedRefreshToken::parse(text).unwrap();
        let number = unverified.claimed().unwrap().mac_key;
        let keys = scope.refresh_keys(number).await.unwrap();
        let token = unverified.verify(keys.key(number).unwrap(), keys.restore_epoch())?;
        Some(self.refresh(storage, token.generation).await)
    }

    pub(crate) async fn refresh(&self, storage: &Storage, generation: u32) -> Result<RefreshedSession, NotRefreshed> {
        self.refresh_as(storage, self.place.tenant.id, None, generation).await
    }

    /// Presents the first token with these keys.
    pub(crate) async fn refresh_by(
        &self,
        storage: &Storage,
        keys: &RefreshKeys,
    ) -> Result<RefreshedSession, RefreshSessionError> {
        let Self { network, agent, policy, .. } = self;
        let request = RefreshRequest { token: self.token(0), keys, app: None, network, agent, policy };
        storage.tenant(self.place.tenant.id).refresh_session(&request).await
    }

    pub(crate) async fn refresh_as(
        &self,
        storage: &Storage,
        tenant: TenantId,
        app: Option<AppId>,
        generation: u32,
    ) -> Result<RefreshedSession, NotRefreshed> {
        let token = RefreshToken { tenant, ..self.token(generation) };
        let keys = &storage.tenant(tenant).refresh_keys(token.mac_key).await.unwrap();
        let request =
            RefreshRequest { token, keys, app, network: self.network, agent: self.agent, policy: &self.policy };
        match storage.tenant(tenant).refresh_session(&request).await {
            Ok(refreshed) => Ok(refreshed),
            Err(RefreshSessionError::Refused(refused)) => Err(refused),
            Err(other) => panic!("{other:?}"),
        }
    }
}
