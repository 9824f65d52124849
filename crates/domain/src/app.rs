//! An app: one mini-program.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use wxgate_crypto::{MacKey, Secret, encoding};

use crate::api_security::ApiSecurityState;
use crate::ids::{AppId, TenantId, UnionGroupId, WechatAppid};
use crate::policy::AppPolicy;
use crate::time::Timestamp;

/// One mini-program of one tenant.
#[derive(Clone, Debug)]
pub struct App {
    /// Our id.
    pub id: AppId,
    /// The tenant that owns it.
    pub tenant: TenantId,
    /// WeChat's id, unique among all apps.
    pub appid: WechatAppid,
    /// Its name for people, at most 200 characters.
    pub name: String,
    /// Whether it may act.
    pub status: AppStatus,
    /// The Open Platform account it is bound to, if any.
    pub union_group: Option<UnionGroupId>,
    /// What it tunes.
    pub policy: AppPolicy,
    /// Raised to end every session of the app at once; sessions carry the value they began with.
    pub sessions_epoch: u32,
    /// How WeChat knows that we act for it.
    pub credential: CredentialStatus,
    /// What may be known of its keys, if its calls are signed and encrypted.
    pub api_security: Option<ApiSecurityState>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// What may be known of a [`Credential`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialStatus {
    /// The app's own AppSecret.
    AppSecret(SecretStatus),
    /// A third-party platform that the app authorised.
    Component(ComponentStatus),
}

impl CredentialStatus {
    /// Whether WeChat ever accepted it. An app comes under a platform only by WeChat's word.
    pub fn is_proved(&self) -> bool {
        self.secret().is_none_or(SecretStatus::is_proved)
    }

    /// What may be known of the AppSecret, if that is what the app has.
    pub fn secret(&self) -> Option<&SecretStatus> {
        match self {
            Self::AppSecret(secret) => Some(secret),
            Self::Component(_) => None,
        }
    }

    /// How the app stands with its platform, if it has one.
    pub fn component(&self) -> Option<&ComponentStatus> {
        match self {
            Self::AppSecret(_) => None,
            Self::Component(component) => Some(component),
        }
    }
}

/// How an app stands with the third-party platform that acts for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentStatus {
    /// WeChat's id of the platform.
    pub platform: WechatAppid,
    /// Since when the app does not authorise it any more: nobody logs in until it does again.
    pub withdrawn_at: Option<Timestamp>,
}

/// What may be known of an AppSecret: that it was proved, when it changed, and whether it is the same as another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretStatus {
    /// Whether WeChat has accepted it.
    pub state: SecretState,
    /// When it took the place of the one before; `None` for the first one.
    pub changed_at: Option<Timestamp>,
    /// Tells it from others, and nothing else about it.
    pub fingerprint: SecretFingerprint,
    /// The same of the secret in the second slot.
    pub previous: Option<SecretFingerprint>,
}

impl SecretStatus {
    /// Whether WeChat ever accepted a secret of the app.
    pub fn is_proved(&self) -> bool {
        self.state != SecretState::Unverified
    }
}

/// Whether WeChat has accepted the AppSecret in the first slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretState {
    /// No secret of the app was ever accepted: so far its registration owns nothing.
    Unverified,
    /// The one before was accepted, and this one is new.
    Pending,
    /// WeChat has accepted it.
    Accepted,
}

impl SecretState {
    /// The word in storage and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Pending => "pending",
            Self::Accepted => "accepted",
        }
    }

    /// The state of a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Unverified, Self::Pending, Self::Accepted].into_iter().find(|state| state.as_str() == word)
    }

    /// The state once another secret stands in the first slot.
    pub fn replaced(self, accepted: bool) -> Self {
        match (self, accepted) {
            (_, true) => Self::Accepted,
            (Self::Unverified, false) => Self::Unverified,
            (Self::Pending | Self::Accepted, false) => Self::Pending,
        }
    }
}

/// 16 hexadecimal digits of a keyed digest of an AppSecret: equal for equal secrets of one tenant, and of no use for
/// finding one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretFingerprint(String);

impl SecretFingerprint {
    /// The fingerprint of a secret under a tenant's key.
    pub fn of(secret: &AppSecret, key: &MacKey) -> Self {
        Self::labelled("app_secret", secret.expose(), key)
    }

    /// The fingerprint of a secret of another kind, which the label names.
    pub fn labelled(label: &str, secret: &str, key: &MacKey) -> Self {
        let digest = key.digest(label, &[secret.as_bytes()]);
        let (head, _) = digest.as_bytes().split_at(8);
        Self(encoding::to_hex(head))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether an app may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AppStatus {
    /// Serves logins.
    Enabled,
    /// Serves nothing until it is enabled.
    Disabled,
    /// Serves nothing any more, and goes with all that is known of it.
    Removing,
}

impl AppStatus {
    /// The word in storage and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Removing => "removing",
        }
    }

    /// The status of a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Enabled, Self::Disabled, Self::Removing].into_iter().find(|s| s.as_str() == word)
    }
}

/// A mini-program's AppSecret: 1 to 128 visible ASCII characters (WeChat gives 32 hexadecimal ones).
#[derive(Clone, Debug)]
pub struct AppSecret(Secret<String>);

impl AppSecret {
    /// The secret, for a request to WeChat.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Reads an AppSecret that somebody gives; white space around it is ignored, because files end with a newline.
    ///
    /// # Errors
    /// Empty, too long, with characters that no AppSecret has, or what stands in documents in the place of one.
    pub fn parse(text: &Secret<String>) -> Result<Self, MalformedSecret> {
        let text = text.expose().trim();
        if is_placeholder(text) { Err(MalformedSecret::Placeholder) } else { text.parse() }
    }
}

/// Texts that stand in documents and templates in the place of a secret, without regard to case, `-`, `_`, `<` and `>`.
const PLACEHOLDERS: [&str; 14] = [
    "secret",
    "appsecret",
    "yoursecret",
    "yourappsecret",
    "mysecret",
    "myappsecret",
    "wxsecret",
    "wechatsecret",
    "changeme",
    "password",
    "example",
    "placeholder",
    "todo",
    "0123456789abcdef0123456789abcdef",
];

/// Whether nobody can have got this from WeChat: one of those texts, or one character again and again.
fn is_placeholder(text: &str) -> bool {
    let bare: String = text.chars().filter(|c| !"-_<>{}$".contains(*c)).map(|c| c.to_ascii_lowercase()).collect();
    let mut characters = bare.chars();
    let first = characters.next();
    let one_only = first.is_some() && characters.all(|character| Some(character) == first);
    one_only || PLACEHOLDERS.contains(&bare.as_str())
}

/// As it is stored: what was taken once is not judged again.
impl FromStr for AppSecret {
    type Err = MalformedSecret;

    fn from_str(text: &str) -> Result<Self, MalformedSecret> {
        let fits = (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(Secret::new(text.to_owned()))).ok_or(MalformedSecret::Shape)
    }
}

/// Text that is no AppSecret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedSecret {
    /// The shape is not that of one.
    #[error("an AppSecret is 1 to 128 visible ASCII characters")]
    Shape,
    /// A text that stands in documents in the place of one.
    #[error("this is what stands in documents in the place of an AppSecret; give the one from WeChat's console")]
    Placeholder,
}

/// What proves to WeChat that we act for an app.
#[derive(Clone, Debug)]
pub enum Credential {
    /// The app's own AppSecret.
    AppSecret(AppSecrets),
    /// A third-party platform that the app authorised: it has the tokens, and nobody needs an AppSecret.
    Component {
        /// WeChat's id of the platform.
        platform: WechatAppid,
    },
}

/// The AppSecret of an app. While it is being rotated there are two: the new one is tried first.
#[derive(Clone)]
pub struct AppSecrets {
    /// The one to use.
    pub current: AppSecret,
    /// The one before, used once more when WeChat does not know the current one yet (errcode 40125).
    pub previous: Option<AppSecret>,
}

impl AppSecrets {
    /// One secret, and none before it.
    pub fn only(current: AppSecret) -> Self {
        Self { current, previous: None }
    }
}

impl fmt::Debug for AppSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppSecrets({})", if self.previous.is_some() { "two slots" } else { "one slot" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_documents_is_no_secret() {
        let parse = |text: &str| AppSecret::parse(&Secret::new(text.to_owned())).map(|_| ());
        for placeholder in
            ["secret", "APPSECRET\n", "<your-app-secret>", "00000000000000000000000000000000", "xxxx", "x"]
        {
            assert_eq!(parse(placeholder), Err(MalformedSecret::Placeholder), "{placeholder}");
        }
        for shape in ["", " ", "two words", "ünïcode"] {
            assert_eq!(parse(shape), Err(MalformedSecret::Shape), "{shape}");
        }
        for secret in ["c0ffee5ec2e7c0ffee5ec2e7c0ffee42", "5ec2e7a1", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"] {
            assert_eq!(parse(secret), Ok(()), "{secret}");
        }
    }
}
