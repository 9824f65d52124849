//! The two slots of an app's secret: the new one is tried first, and the one before only when WeChat refuses it.

use std::time::Duration;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Set};
use uuid::Uuid;
use wxgate_domain::{
    App, AppSecret, AppSecrets, Credential, CredentialStatus, SecretFingerprint, SecretState, SecretStatus, TenantId,
    Timestamp, WechatAppid,
};

use super::{CURRENT, PREVIOUS, TxApps, of_row};
use crate::changes::{self, ChangeKind};
use crate::entity::app;
use crate::error::StorageError;
use crate::scope::update_of_tenant;
use crate::storage::Core;
use crate::tx;

/// How long after a rotation the secret before is kept at least, though WeChat has accepted the new one: WeChat has many
/// servers.
const OVERLAP: Duration = Duration::from_hours(1);

impl TxApps<'_> {
    /// Takes a new AppSecret into the first slot. The second slot gets the one that WeChat accepted last, so that no number
    /// of wrong secrets loses the one that works. An app that a platform acts for leaves it with that.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such app.
    pub async fn rotate_secret(
        &self,
        appid: &WechatAppid,
        new: &AppSecret,
        is_accepted: bool,
    ) -> Result<App, StorageError> {
        let (row, keys) = self.locked_with_keys(appid).await?;
        let id = row.id;
        let (app, credential) = of_row(row, &keys)?;
        // What a platform acted for is proved, so its appid stays the tenant's while the new secret waits.
        let before = app.credential.secret().map_or(SecretState::Accepted, |secret| secret.state);
        let working = match (credential, before) {
            (Credential::AppSecret(AppSecrets { current, .. }), SecretState::Accepted) => Some(current),
            (Credential::AppSecret(AppSecrets { previous, .. }), SecretState::Pending) => previous,
            (Credential::AppSecret(_), SecretState::Unverified) | (Credential::Component { .. }, _) => None,
        };
        let state = before.replaced(is_accepted);
        let previous = working.filter(|working| working.expose() != new.expose());
        let changed_at = self.tx.core.clock.now();
        let change = app::ActiveModel {
            secret: Set(self.sealed(&keys, CURRENT, id, new)),
            previous_secret: Set(previous.as_ref().map(|previous| self.sealed(&keys, PREVIOUS, id, previous))),
            secret_state: Set(state.as_str().to_owned()),
            secret_changed_at: Set(Some(changed_at.millis())),
            platform_appid: Set(None),
            withdrawn_at: Set(None),
            ..Default::default()
        };
        self.update(id, change).await?;
        self.park(appid).await?;
        let fingerprint = |secret: &AppSecret| SecretFingerprint::of(secret, &keys.digest);
        let secret = SecretStatus {
            state,
            changed_at: Some(changed_at),
            fingerprint: fingerprint(new),
            previous: previous.as_ref().map(fingerprint),
        };
        Ok(App { credential: CredentialStatus::AppSecret(secret), ..app })
    }

    /// Notes what WeChat said about the secret in the first slot: that it accepts it, or that it still wants the one
    /// before. Nothing happens if another secret stands there by now, or none.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such app.
    pub async fn note_secret(
        &self,
        appid: &WechatAppid,
        seen: &SecretFingerprint,
        is_accepted: bool,
    ) -> Result<App, StorageError> {
        let app = self.current(appid).await?;
        let Some(secret) = app.credential.secret().filter(|secret| secret.fingerprint == *seen) else { return Ok(app) };
        let state = secret.state.replaced(is_accepted);
        if secret.state == state {
            return Ok(app);
        }
        let secret = SecretStatus { state, ..secret.clone() };
        let change = app::ActiveModel { secret_state: Set(state.as_str().to_owned()), ..Default::default() };
        self.update(app.id.uuid(), change).await?;
        Ok(App { credential: CredentialStatus::AppSecret(secret), ..app })
    }

    /// Forgets the AppSecret of the second slot: the rotation is over.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such app.
    pub async fn drop_previous_secret(&self, appid: &WechatAppid) -> Result<App, StorageError> {
        let app = self.current(appid).await?;
        let Some(secret) = app.credential.secret().filter(|secret| secret.previous.is_some()) else { return Ok(app) };
        let secret = SecretStatus { previous: None, ..secret.clone() };
        self.update(app.id.uuid(), app::ActiveModel { previous_secret: Set(None), ..Default::default() }).await?;
        Ok(App { credential: CredentialStatus::AppSecret(secret), ..app })
    }
}

/// Forgets second slots whose first was accepted, an hour after the rotation.
pub(crate) async fn drop_old_secrets(core: &Core, now: Timestamp, limit: u64) -> Result<(), StorageError> {
    #[expect(clippy::disallowed_methods, reason = "swept for all tenants")]
    let over = app::Entity::find()
        .select_only()
        .columns([app::Column::TenantId, app::Column::Id])
        .filter(app::Column::PreviousSecret.is_not_null())
        .filter(app::Column::SecretState.eq(SecretState::Accepted.as_str()))
        .filter(app::Column::SecretChangedAt.lt(now.minus(OVERLAP).millis()))
        .limit(limit);
    let over = &over;
    let rows: Vec<(Uuid, Uuid)> = core.read(|db| async move { over.clone().into_tuple().all(&db).await }).await?;
    for (tenant, id) in rows {
        let tenant = TenantId::from(tenant);
        let tx = tx::begin(core).await?;
        let drop = update_of_tenant::<app::Entity>(tenant)
            .filter(app::Column::Id.eq(id))
            // Once more: an exchange may have said meanwhile that WeChat still wants it.
            .filter(app::Column::SecretState.eq(SecretState::Accepted.as_str()))
            .filter(app::Column::SecretChangedAt.lt(now.minus(OVERLAP).millis()))
            .set(app::ActiveModel { previous_secret: Set(None), ..Default::default() });
        drop.exec(&tx).await?;
        changes::record(&tx, ChangeKind::App, tenant, Some(id), now).await?;
        tx.commit().await?;
    }
    Ok(())
}
