//! The keys of mini-programs whose calls of WeChat are signed and encrypted: they come in and never go out.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_crypto::Secret;
use wxgate_domain::{AdminScope, ApiSecurityState, ApiSecurityStatus, KeySerial, KnownKey, WechatAppid};

use super::{AppReply, unchanged};
use crate::operation::secret_text::SecretText;
use crate::operation::{Method, Operation, Route};
use crate::service::admin::{Admin, AdminError, GivenKeys};

/// What may be known of a mini-program's keys.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ApiSecurityReply {
    pub(crate) current: KeySetReply,
    /// Those before, which are used where WeChat does not know the current ones yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) previous: Option<KeySetReply>,
}

/// A set of keys.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct KeySetReply {
    pub(crate) symmetric_key: KeyReply,
    pub(crate) private_key: KeyReply,
    pub(crate) certificate: KeyReply,
}

/// A key.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct KeyReply {
    /// WeChat's number of it.
    #[schema(value_type = String)]
    pub(crate) serial: KeySerial,
    /// Tells it from others: 16 hexadecimal digits, equal for equal keys of one tenant.
    pub(crate) fingerprint: String,
}

impl From<ApiSecurityState> for ApiSecurityReply {
    fn from(state: ApiSecurityState) -> Self {
        Self { current: state.current.into(), previous: state.previous.map(KeySetReply::from) }
    }
}

impl From<ApiSecurityStatus> for KeySetReply {
    fn from(status: ApiSecurityStatus) -> Self {
        let reply = |key: KnownKey| KeyReply { serial: key.serial, fingerprint: key.fingerprint };
        Self {
            symmetric_key: reply(status.symmetric),
            private_key: reply(status.private),
            certificate: reply(status.certificate),
        }
    }
}

/// Keys with which the calls of a mini-program are signed and encrypted, from WeChat's console; what is left out stays. The
/// set in use is kept beside the new one.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetApiSecurity {
    /// WeChat's id of the mini-program, or ours.
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
    /// The number of the symmetric key.
    #[arg(long, value_name = "SERIAL")]
    #[schema(value_type = Option<String>)]
    pub(crate) symmetric_serial: Option<KeySerial>,
    /// The symmetric key: 32 bytes in base64. No answer ever shows it.
    #[arg(skip)]
    #[schema(value_type = Option<String>, format = Password, max_length = 128)]
    pub(crate) symmetric_key: Option<SecretText>,
    /// The number of the mini-program's own key.
    #[arg(long, value_name = "SERIAL")]
    #[schema(value_type = Option<String>)]
    pub(crate) private_serial: Option<KeySerial>,
    /// The mini-program's own key: RSA as PEM. No answer ever shows it.
    #[arg(skip)]
    #[schema(value_type = Option<String>, format = Password, max_length = 4096)]
    pub(crate) private_key: Option<SecretText>,
    /// The number of WeChat's certificate: the console's, not the one inside.
    #[arg(long, value_name = "SERIAL")]
    #[schema(value_type = Option<String>)]
    pub(crate) certificate_serial: Option<KeySerial>,
    /// WeChat's certificate as PEM.
    #[arg(skip)]
    #[schema(max_length = 4096)]
    pub(crate) certificate: Option<String>,
}

impl SetApiSecurity {
    /// Each key with its number, or neither.
    fn given(self) -> Result<GivenKeys, AdminError> {
        let secret = |text: SecretText| Secret::new(text.expose().trim().to_owned());
        Ok(GivenKeys {
            symmetric: both(self.symmetric_serial, self.symmetric_key.map(secret))?,
            private: both(self.private_serial, self.private_key.map(secret))?,
            certificate: both(self.certificate_serial, self.certificate)?,
        })
    }
}

fn both<S, K>(serial: Option<S>, key: Option<K>) -> Result<Option<(S, K)>, AdminError> {
    match (serial, key) {
        (Some(serial), Some(key)) => Ok(Some((serial, key))),
        (None, None) => Ok(None),
        _ => Err(AdminError::KeysIncomplete),
    }
}

impl Operation for SetApiSecurity {
    type Reply = AppReply;
    const ROUTE: Route = Route {
        id: "setApiSecurity",
        method: Method::Put,
        path: "/apps/{app}/api-security",
        scope: AdminScope::Secrets,
        summary: "Sign and encrypt the calls of a mini-program with these keys.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.app(&self.app).await?;
        let app = admin.set_api_security(&found, self.given()?, unchanged(admin, &found.0.slug)).await?;
        Ok(AppReply::of(&found.0.slug, app))
    }
}

/// A mini-program whose keys are to be forgotten.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForgetApiSecurity {
    /// WeChat's id of it, or ours.
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
}

impl Operation for ForgetApiSecurity {
    type Reply = ();
    const ROUTE: Route = Route {
        id: "forgetApiSecurity",
        method: Method::Delete,
        path: "/apps/{app}/api-security",
        scope: AdminScope::Secrets,
        summary: "Forget the keys of a mini-program, whose calls then go out plain.",
    };
    const MATCHES: bool = true;

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.app(&self.app).await?;
        admin.forget_api_security(&found, false, unchanged(admin, &found.0.slug)).await.map(drop)
    }
}

/// A mini-program of which only the keys before those in use are to be forgotten: WeChat knows the new ones.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForgetPreviousApiSecurity {
    /// WeChat's id of it, or ours.
    #[schema(value_type = String)]
    pub(crate) app: WechatAppid,
}

impl Operation for ForgetPreviousApiSecurity {
    type Reply = ();
    const ROUTE: Route = Route {
        id: "forgetPreviousApiSecurity",
        method: Method::Delete,
        path: "/apps/{app}/api-security/previous",
        scope: AdminScope::Secrets,
        summary: "Forget the keys of a mini-program before those in use.",
    };
    const MATCHES: bool = true;

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let found = admin.app(&self.app).await?;
        admin.forget_api_security(&found, true, unchanged(admin, &found.0.slug)).await.map(drop)
    }
}
