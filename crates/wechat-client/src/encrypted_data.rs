//! Whether WeChat made a ciphertext: `POST /wxa/business/checkencryptedmsg`.
//!
//! Source: WeChat, "API: checkEncryptedData". Phone data of the last three days only. This is the only protection that
//! phone data has: the cipher itself can be forged (see `wxgate_crypto::user_data`).

use serde_json::{Map, Value};
use wxgate_crypto::encoding::to_hex;
use wxgate_crypto::user_data::EncryptedUserData;

use crate::call::Access;
use crate::client::{Client, Inner};
use crate::error::BadResponse;
use crate::refusal::CallError;
use crate::transport::Budget;

const ROUTE: &str = "/wxa/business/checkencryptedmsg";

/// "data not exit": WeChat knows no such ciphertext of this app from the last three days.
const UNKNOWN: i64 = 1;

impl Client {
    /// Whether WeChat made this ciphertext of phone data for this app within the last three days; if so, when, in seconds
    /// since 1970.
    ///
    /// WeChat's page leaves open whether the digest is over the base64 text or over the bytes. SDKs take the text; where
    /// WeChat does not know that, the bytes are tried.
    ///
    /// # Errors
    /// See [`CallError`]. The call changes nothing and can be repeated.
    pub async fn confirm_phone_data(
        &self,
        access: &Access<'_>,
        data: &EncryptedUserData,
    ) -> Result<Option<i64>, CallError> {
        let mut budget = self.0.budget();
        let deadline = budget.deadline();
        let confirm = async {
            for digest in [data.text_digest(), data.digest()] {
                if let Some(made_at) = self.0.confirm(access, &to_hex(digest.as_bytes()), &mut budget).await? {
                    return Ok(Some(made_at));
                }
            }
            Ok(None)
        };
        self.call(ROUTE, access.appid, deadline, confirm).await
    }
}

impl Inner {
    async fn confirm(
        &self,
        access: &Access<'_>,
        encrypted_msg_hash: &str,
        budget: &mut Budget,
    ) -> Result<Option<i64>, CallError> {
        let parameters = [("encrypted_msg_hash".to_owned(), encrypted_msg_hash.into())].into_iter().collect();
        match self.post_as(access, ROUTE, parameters, budget).await {
            Ok(answer) => read(&answer).map_err(CallError::from),
            Err(CallError::Refused(refused)) if refused.errcode == UNKNOWN => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The field really is spelled `vaild`.
fn read(answer: &Map<String, Value>) -> Result<Option<i64>, BadResponse> {
    if !answer.get("vaild").and_then(Value::as_bool).ok_or(BadResponse::Field("vaild"))? {
        return Ok(None);
    }
    answer.get("create_time").and_then(Value::as_i64).map(Some).ok_or(BadResponse::Field("create_time"))
}
