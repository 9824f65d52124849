//! What of a mini-program's pushes, or of a platform's, is renewed.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_crypto::push::PushKeys;
use wxgate_storage::{PushRenewal, Renewal};

use super::secret_text::SecretText;
use crate::service::admin::AdminError;

/// What is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PushPart {
    /// The EncodingAESKey.
    Key,
    /// The Token.
    Token,
    /// Both.
    Both,
}

/// What is named, and what a value is given for, is renewed; without either, the key.
pub(super) fn renewal(
    what: Option<PushPart>,
    token: Option<&SecretText>,
    key: Option<&SecretText>,
) -> Result<PushRenewal, AdminError> {
    let what = what.or((token.is_none() && key.is_none()).then_some(PushPart::Key));
    let named = |part| what.is_some_and(|what| what == part || what == PushPart::Both);
    Ok(PushRenewal {
        token: of(token.map(SecretText::push_token).transpose()?, named(PushPart::Token)),
        key: of(key.map(SecretText::aes_key).transpose()?, named(PushPart::Key)),
    })
}

/// A value that is given, or one that is to be made.
fn of<T>(given: Option<T>, made: bool) -> Renewal<T> {
    match given {
        Some(given) => Renewal::Given(given),
        None if made => Renewal::Made,
        None => Renewal::Stays,
    }
}

/// The Token and the EncodingAESKey, each if it was made here: told once.
pub(super) fn told(keys: &PushKeys, token: bool, key: bool) -> (Option<SecretText>, Option<SecretText>) {
    let told = |made: bool, secret: &str| made.then(|| SecretText::telling(secret));
    (told(token, keys.token.expose()), told(key, keys.current.expose()))
}
