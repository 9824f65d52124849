//! The keys of apps whose calls are signed and encrypted.

use wxgate_crypto::Secret;
use wxgate_domain::{ApiSecuritySet, App, KeySerial, Tenant};

use super::super::{Admin, AdminError, Event};

/// Keys that are given; what is left out stays as it is.
#[derive(Debug, Default)]
pub(crate) struct GivenKeys {
    pub(crate) symmetric: Option<(KeySerial, Secret<String>)>,
    pub(crate) private: Option<(KeySerial, Secret<String>)>,
    pub(crate) certificate: Option<(KeySerial, String)>,
}

impl GivenKeys {
    /// A whole set: what is given, and what is in use for the rest. Nothing that is no key gets in.
    fn over(self, current: Option<ApiSecuritySet>) -> Result<ApiSecuritySet, AdminError> {
        let (symmetric, private, certificate) = match current {
            Some(set) => (Some(set.symmetric), Some(set.private), Some(set.certificate)),
            None => (None, None, None),
        };
        let set = ApiSecuritySet {
            symmetric: self.symmetric.or(symmetric).ok_or(AdminError::KeysIncomplete)?,
            private: self.private.or(private).ok_or(AdminError::KeysIncomplete)?,
            certificate: self.certificate.or(certificate).ok_or(AdminError::KeysIncomplete)?,
        };
        set.keys(None).map_err(|_| AdminError::KeysRefused)?;
        Ok(set)
    }
}

impl Admin {
    /// Takes keys for the calls of a mini-program, which go out signed and encrypted from then on. The set that was in use
    /// stays beside the new one. `still` gets the app as it is, locked, and may refuse.
    pub(crate) async fn set_api_security(
        &self,
        (tenant, app): &(Tenant, App),
        given: GivenKeys,
        still: impl FnOnce(App) -> Result<(), AdminError>,
    ) -> Result<App, AdminError> {
        let tx = self.storage.begin().await?;
        let apps = tx.tenant(tenant.id).apps();
        still(apps.current(&app.appid).await?)?;
        let app = apps.change_api_security(&app.appid, |current| given.over(current)).await?;
        self.commit(tx, Event::of(tenant.id, "app.set-api-security", &app.appid)).await?;
        Ok(app)
    }

    /// Forgets the keys of a mini-program, whose calls go out plain from then on; or only the set before the one in use.
    pub(crate) async fn forget_api_security(
        &self,
        (tenant, app): &(Tenant, App),
        only_previous: bool,
        still: impl FnOnce(App) -> Result<(), AdminError>,
    ) -> Result<App, AdminError> {
        let tx = self.storage.begin().await?;
        let apps = tx.tenant(tenant.id).apps();
        still(apps.current(&app.appid).await?)?;
        let app = apps.forget_api_security(&app.appid, only_previous).await?;
        self.commit(tx, Event::of(tenant.id, "app.forget-api-security", &app.appid)).await?;
        Ok(app)
    }
}
