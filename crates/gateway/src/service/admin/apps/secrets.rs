//! AppSecrets: WeChat is asked before one is taken, and whoever is served by it proves it afterwards.

use wxgate_domain::{App, AppSecret, Credential, Tenant, WechatAppid};
use wxgate_wechat_client::SecretCheck;

use super::super::{Admin, AdminError, Event};

/// How it is found out whether WeChat accepts a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// WeChat is asked; a secret that it refuses is not taken.
    Ask,
    /// WeChat is asked; a secret that it does not know yet is taken all the same.
    Ahead,
    /// It is known already, one way or the other.
    Known(bool),
}

impl Admin {
    /// Whether WeChat accepts the secret; `false` if it could not be asked.
    pub(in crate::service::admin) async fn proved(
        &self,
        appid: &WechatAppid,
        secret: &AppSecret,
        proof: Proof,
    ) -> Result<bool, AdminError> {
        if let Proof::Known(accepted) = proof {
            return Ok(accepted);
        }
        match self.wechat.check_secret(appid, secret).await {
            SecretCheck::Accepted => Ok(true),
            SecretCheck::Refused { .. } if proof == Proof::Ahead => Ok(false),
            SecretCheck::Refused { errcode, meaning } => {
                Err(AdminError::SecretRefused { appid: appid.clone(), errcode, meaning })
            }
            // A login will prove it.
            SecretCheck::Unknown => Ok(false),
        }
    }

    /// Takes a new AppSecret into the first slot, unless WeChat refuses it. The one that works stays in the second. `still`
    /// gets the app as it is, locked, and may refuse.
    pub(crate) async fn rotate_secret(
        &self,
        (tenant, app): &(Tenant, App),
        secret: AppSecret,
        proof: Proof,
        still: impl FnOnce(App) -> Result<(), AdminError>,
    ) -> Result<App, AdminError> {
        let is_accepted = self.proved(&app.appid, &secret, proof).await?;
        let tx = self.storage.begin().await?;
        let apps = tx.tenant(tenant.id).apps();
        still(apps.current(&app.appid).await?)?;
        let app = apps.rotate_secret(&app.appid, &secret, is_accepted).await?;
        self.commit(tx, Event::of(tenant.id, "app.rotate-secret", &app.appid)).await?;
        Ok(app)
    }

    /// Asks WeChat about the secret in the first slot. If it is accepted, a rotation is over: the second slot is emptied.
    pub(crate) async fn verify_secret(&self, named: &WechatAppid) -> Result<(Tenant, App), AdminError> {
        let (tenant, app) = self.app(named).await?;
        let stored = self.storage.apps().find(&app.appid).await?;
        let stored = stored.ok_or_else(|| AdminError::NoApp(named.clone()))?;
        let (Credential::AppSecret(secrets), Some(asked)) = (&stored.credential, stored.app.credential.secret()) else {
            return Err(AdminError::NoAppSecret(app.appid));
        };
        if !self.proved(&app.appid, &secrets.current, Proof::Ask).await? {
            return Err(AdminError::WechatSilent(app.appid));
        }
        let tx = self.storage.begin().await?;
        let apps = tx.tenant(tenant.id).apps();
        let mut verified = apps.note_secret(&app.appid, &asked.fingerprint, true).await?;
        if verified.credential.secret().is_some_and(|secret| secret.fingerprint == asked.fingerprint) {
            verified = apps.drop_previous_secret(&app.appid).await?;
        }
        self.commit(tx, Event::of(tenant.id, "app.verify-secret", &app.appid)).await?;
        Ok((tenant, verified))
    }
}
