//! WeChat's encrypted user data, opened with the keys of whoever logged in.

use std::sync::Arc;

use serde_json::{Map, Value};
use wxgate_crypto::strict_json;
use wxgate_crypto::user_data::{EncryptedUserData, Expected, Failure, Freshness, SessionKey};
use wxgate_domain::{Clock, OpenId, OpenedSession, Profile, User};
use wxgate_storage::{Storage, StorageError};

use super::account::SignedIn;
use super::directory::ActiveApp;
use crate::metrics::Metrics;

/// What a client sent of its user's data, of plausible shape.
#[derive(Debug)]
pub(crate) struct UserDataRequest {
    encrypted: Option<EncryptedUserData>,
    signed: Option<Signed>,
}

#[derive(Debug)]
struct Signed {
    raw_data: String,
    signature: String,
}

/// The fields of a request that make up user data.
#[derive(Debug, Default)]
pub(crate) struct UserDataFields {
    pub(crate) encrypted_data: Option<String>,
    pub(crate) iv: Option<String>,
    pub(crate) raw_data: Option<String>,
    pub(crate) signature: Option<String>,
}

/// User data of no possible shape; found before a code is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("encryptedData and iv, or rawData and signature, do not have the shape that WeChat gives them")]
pub(crate) struct Misshapen;

impl UserDataRequest {
    /// Checks the shape; `None` if no data was sent. Each field needs its partner.
    pub(crate) fn parse(fields: UserDataFields) -> Result<Option<Self>, Misshapen> {
        let encrypted = match (fields.encrypted_data, fields.iv) {
            (Some(data), Some(iv)) => Some(EncryptedUserData::parse(&data, &iv).map_err(|_| Misshapen)?),
            (None, None) => None,
            _ => return Err(Misshapen),
        };
        let signed = match (fields.raw_data, fields.signature) {
            (Some(raw_data), Some(signature)) => Some(Signed { raw_data, signature }),
            (None, None) => None,
            _ => return Err(Misshapen),
        };
        let sent = encrypted.is_some() || signed.is_some();
        Ok(sent.then_some(Self { encrypted, signed }))
    }

    /// The encrypted data, if some was sent.
    pub(crate) fn encrypted(&self) -> Option<&EncryptedUserData> {
        self.encrypted.as_ref()
    }

    /// The same where there must be encrypted data.
    pub(crate) fn parse_encrypted(fields: UserDataFields) -> Result<Self, Misshapen> {
        Self::parse(fields)?.filter(|data| data.encrypted.is_some()).ok_or(Misshapen)
    }
}

/// Opens user data and keeps the profile that it shows.
#[derive(Clone)]
pub(crate) struct UserData {
    pub(crate) clock: Clock,
    pub(crate) storage: Storage,
    pub(crate) metrics: Arc<Metrics>,
}

impl UserData {
    /// Opens the data with the session's key or one that it superseded a moment ago: the data may have been sealed
    /// before `wx.login` ran again. A real profile in it becomes the user's.
    pub(crate) async fn open(
        &self,
        app: &ActiveApp,
        session: &mut Arc<OpenedSession>,
        request: &UserDataRequest,
    ) -> Result<Result<Map<String, Value>, Failure>, StorageError> {
        let keys = (&session.openid, session.session_key.as_ref());
        let opened = self.first_that_opens(app, keys, request, Unmarked::Refused).await?;
        if let Ok(data) = &opened
            && let Some(profile) = self.keep_profile(app, &session.user, data).await?
        {
            Arc::make_mut(session).user.profile = profile;
        }
        Ok(opened)
    }

    /// Opens any data of a user who is logged in. Nothing of it but a profile is kept: a phone number in it may be forged.
    pub(crate) async fn decrypt(
        &self,
        who: &SignedIn,
        request: &UserDataRequest,
    ) -> Result<Result<Map<String, Value>, Failure>, StorageError> {
        let opened = self.first_that_opens(&who.app, (&who.session.openid, None), request, Unmarked::Groups).await?;
        if let Ok(data) = &opened {
            self.keep_profile(&who.app, &who.session.user, data).await?;
        }
        Ok(opened)
    }

    /// Opens data of a user that must have a watermark, and keeps nothing of it.
    pub(crate) async fn read(
        &self,
        app: &ActiveApp,
        openid: &OpenId,
        request: &UserDataRequest,
    ) -> Result<Result<Map<String, Value>, Failure>, StorageError> {
        self.first_that_opens(app, (openid, None), request, Unmarked::Refused).await
    }

    /// The profile as it is now, if the data changed it.
    async fn keep_profile(
        &self,
        app: &ActiveApp,
        user: &User,
        data: &Map<String, Value>,
    ) -> Result<Option<Profile>, StorageError> {
        let text = |key| data.get(key).and_then(Value::as_str);
        let shown = Profile::shown(text("nickName"), text("avatarUrl"));
        let Some(profile) = user.profile.merged(&shown) else { return Ok(None) };
        self.storage.tenant(app.tenant.id()).update_profile(user.id, &profile).await?;
        Ok(Some(profile))
    }

    /// The failure of the current key counts: the others are only there to forgive, and to be read only then.
    async fn first_that_opens(
        &self,
        app: &ActiveApp,
        (openid, current): (&OpenId, Option<&SessionKey>),
        request: &UserDataRequest,
        unmarked: Unmarked,
    ) -> Result<Result<Map<String, Value>, Failure>, StorageError> {
        let now = self.clock.now();
        let window = i64::try_from(app.tenant.tenant.policy.user_data_window().as_secs()).unwrap_or(i64::MAX);
        let freshness = Some(Freshness { now: now.seconds(), max_age: window, max_ahead: window });
        let expected = Expected { appid: app.app.appid.as_str(), openid: Some(openid.as_str()), freshness };
        let mut first_failure = None;
        let mut opens = |key: &SessionKey| {
            open_with(key, request, &expected, unmarked).map_err(|failure| first_failure.get_or_insert(failure)).ok()
        };
        if let Some(data) = current.and_then(&mut opens) {
            return Ok(Ok(data));
        }
        let ring = self.storage.tenant(app.tenant.id()).key_ring(app.app.id, openid, now).await?;
        if let Some(data) = ring.iter().filter(|key| Some(*key) != current).find_map(opens) {
            return Ok(Ok(data));
        }
        let failure = first_failure.unwrap_or(Failure::Padding);
        self.metrics.decrypt_failure(failure.stage());
        Ok(Err(failure))
    }
}

/// Whether data is read that does not say for whom it was made, nor when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unmarked {
    Refused,
    /// If it names a group and nothing else: WeChat's own sample of `wx.getGroupEnterInfo` has no watermark.
    Groups,
}

fn open_with(
    key: &SessionKey,
    request: &UserDataRequest,
    expected: &Expected<'_>,
    unmarked: Unmarked,
) -> Result<Map<String, Value>, Failure> {
    if let Some(Signed { raw_data, signature }) = &request.signed
        && !key.signed(raw_data, signature)
    {
        return Err(Failure::Signature);
    }
    match (&request.encrypted, &request.signed) {
        (Some(encrypted), _) => match encrypted.open(key, expected) {
            Err(Failure::Watermark) if unmarked == Unmarked::Groups => group(encrypted.decrypt(key)?),
            opened => opened,
        },
        (None, Some(signed)) => match strict_json::parse_profile(signed.raw_data.as_bytes()) {
            Ok(Value::Object(object)) => Ok(object),
            _ => Err(Failure::Json),
        },
        (None, None) => Ok(Map::new()),
    }
}

/// The data, if it names a group and nothing else: what names a person must say for whom it was made.
fn group(data: Map<String, Value>) -> Result<Map<String, Value>, Failure> {
    let named = data.len() == 1 && data.get("openGId").is_some_and(Value::is_string);
    if named { Ok(data) } else { Err(Failure::Watermark) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_pair_is_no_user_data() {
        let some = || Some("AAAAAAAAAAAAAAAAAAAAAA==".to_owned());
        let parse = |encrypted_data, iv, raw_data, signature| {
            UserDataRequest::parse(UserDataFields { encrypted_data, iv, raw_data, signature })
                .map(|data| data.is_some())
        };
        assert_eq!(parse(None, None, None, None), Ok(false));
        assert_eq!(parse(some(), some(), None, None), Ok(true));
        assert_eq!(parse(None, None, some(), some()), Ok(true));
        assert_eq!(parse(some(), None, None, None), Err(Misshapen));
        assert_eq!(parse(None, some(), None, None), Err(Misshapen));
        assert_eq!(parse(some(), some(), some(), None), Err(Misshapen));
        assert_eq!(parse(some(), Some("short".to_owned()), None, None), Err(Misshapen));
    }
}
