//! Whether a session_key is still WeChat's: `GET /wxa/checksession` and `GET /wxa/resetusersessionkey`.
//!
//! Source: WeChat, "API: checkSessionKey" and "ResetUserSessionKey". The key is proved by an HMAC over the empty text and
//! does not travel. The pages speak of a body; these are GET calls and take the query.

use serde_json::Value;
use wxgate_crypto::Secret;
use wxgate_crypto::user_data::SessionKey;
use wxgate_domain::OpenId;

use crate::answer::take_text;
use crate::call::{Access, fields};
use crate::client::{Client, Inner};
use crate::error::BadResponse;
use crate::refusal::{CallError, Proof};
use crate::transport::Budget;

const CHECK: &str = "/wxa/checksession";
const RESET: &str = "/wxa/resetusersessionkey";

impl Client {
    /// Asks whether the key is still this user's.
    ///
    /// # Errors
    /// [`RefusedClass::SessionKeyStale`](crate::RefusedClass::SessionKeyStale) if it is not; all others see
    /// [`CallError`].
    pub async fn check_session(&self, access: &Access<'_>, openid: &OpenId, key: &SessionKey) -> Result<(), CallError> {
        let mut budget = self.0.budget();
        let deadline = budget.deadline();
        let check = async {
            let answer = self.0.prove(CHECK, access, openid, key, &mut budget).await?;
            // The answer has nothing else to say: without it nobody vouched for the key.
            if answer.contains_key("errcode") { Ok(()) } else { Err(BadResponse::Field("errcode").into()) }
        };
        self.call(CHECK, access.appid, deadline, check).await
    }

    /// Replaces the key by a new one, which lives as long as the old one would have.
    ///
    /// # Errors
    /// As [`Client::check_session`]. After [`CallError::Timeout`] and [`CallError::BadResponse`] the old key may be dead and the
    /// new one unknown to us: only a new login helps then.
    pub async fn reset_session_key(
        &self,
        access: &Access<'_>,
        openid: &OpenId,
        key: &SessionKey,
    ) -> Result<SessionKey, CallError> {
        let mut budget = self.0.budget();
        let deadline = budget.deadline();
        let reset = async {
            let mut answer = self.0.prove(RESET, access, openid, key, &mut budget).await?;
            let new = take_text(&mut answer, "session_key").map(Secret::new);
            if answer.get("openid").and_then(Value::as_str) != Some(openid.as_str()) {
                return Err(BadResponse::OpenId.into());
            }
            let new = new.and_then(|text| SessionKey::parse(text).ok());
            new.ok_or_else(|| BadResponse::SessionKey.into())
        };
        self.call(RESET, access.appid, deadline, reset).await
    }
}

impl Inner {
    /// Makes a call that proves the key.
    async fn prove(
        &self,
        route: &str,
        access: &Access<'_>,
        openid: &OpenId,
        key: &SessionKey,
        budget: &mut Budget,
    ) -> Result<serde_json::Map<String, Value>, CallError> {
        let query = [
            ("access_token", access.token.expose()),
            ("openid", openid.as_str()),
            ("signature", &key.signature_of(b"")),
            ("sig_method", "hmac_sha256"),
        ];
        fields(self.get(&self.base_url.address(route, &query), budget).await, Proof::Token).await
    }
}
