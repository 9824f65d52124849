//! The keys of apps whose calls are signed and encrypted: a set in use, and the one before.

use sea_orm::Set;
use wxgate_crypto::{Sealed, Secret};
use wxgate_domain::{ApiSecuritySet, ApiSecurityState, App, WechatAppid};

use super::{TxApps, of_row, place};
use crate::entity::app;
use crate::error::StorageError;
use crate::keys::TenantKeys;

/// The column of the set in use, which is part of its seal.
const CURRENT: &str = "api_security";
/// The column of the set before it.
const PREVIOUS: &str = "previous_api_security";

/// The sets of a row, the one in use first.
pub(super) fn sets(row: &app::Model, keys: &TenantKeys) -> Result<Vec<ApiSecuritySet>, StorageError> {
    let columns = [(CURRENT, &row.api_security), (PREVIOUS, &row.previous_api_security)];
    let stored = columns.into_iter().filter_map(|(column, sealed)| Some((column, sealed.as_ref()?)));
    let open = |(column, sealed): (&'static str, &Vec<u8>)| {
        let opened = keys.open(&place(row.tenant_id, column, &row.id), &Sealed::parse(sealed.clone())?)?;
        let text = String::from_utf8(opened.expose().clone()).map(Secret::new);
        text.ok()
            .and_then(|text| ApiSecuritySet::from_json(&text))
            .ok_or_else(|| StorageError::inconsistent("app", column))
    };
    stored.map(open).collect()
}

/// What may be known of them.
pub(super) fn state(sets: &[ApiSecuritySet], keys: &TenantKeys) -> Option<ApiSecurityState> {
    let mut known = sets.iter().map(|set| set.status(&keys.digest));
    Some(ApiSecurityState { current: known.next()?, previous: known.next() })
}

impl TxApps<'_> {
    /// Changes the keys of an app: `change` gets the set in use, locked, and says which one is to be used. The one that was
    /// in use stays beside it, where WeChat does not know the new one yet.
    ///
    /// # Errors
    /// What `change` fails with; [`StorageError::NotFound`] if the tenant has no such app.
    pub async fn change_api_security<E: From<StorageError>>(
        &self,
        appid: &WechatAppid,
        change: impl FnOnce(Option<ApiSecuritySet>) -> Result<ApiSecuritySet, E>,
    ) -> Result<App, E> {
        let (row, keys) = self.locked_with_keys(appid).await?;
        let current = sets(&row, &keys)?.into_iter().next();
        let new = change(current.clone())?;
        let status = new.status(&keys.digest);
        if current.as_ref().is_some_and(|current| current.status(&keys.digest) == status) {
            return Ok(of_row(row, &keys)?.0);
        }
        let sealed = |column, set: &ApiSecuritySet| {
            let place = place(row.tenant_id, column, &row.id);
            Some(keys.seal.seal(&place, set.to_json().expose().as_bytes(), &self.tx.core.random).into_bytes())
        };
        let written = app::ActiveModel {
            api_security: Set(sealed(CURRENT, &new)),
            previous_api_security: Set(current.as_ref().and_then(|current| sealed(PREVIOUS, current))),
            api_security_changed_at: Set(Some(self.tx.core.clock.now().millis())),
            ..Default::default()
        };
        self.update(row.id, written).await?;
        let api_security = state(&[Some(new), current].into_iter().flatten().collect::<Vec<_>>(), &keys);
        Ok(App { api_security, ..of_row(row, &keys)?.0 })
    }

    /// Forgets the keys of an app, or only those before the ones in use.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such app.
    pub async fn forget_api_security(&self, appid: &WechatAppid, only_previous: bool) -> Result<App, StorageError> {
        let app = self.current(appid).await?;
        let mut change = app::ActiveModel { previous_api_security: Set(None), ..Default::default() };
        if !only_previous {
            change.api_security = Set(None);
            change.api_security_changed_at = Set(None);
        }
        self.update(app.id.uuid(), change).await?;
        let left = app.api_security.filter(|_| only_previous);
        let api_security = left.map(|state| ApiSecurityState { previous: None, ..state });
        Ok(App { api_security, ..app })
    }
}
