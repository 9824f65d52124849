//! `POST /v1/me/decrypt`: what WeChat sealed for the server, opened for whoever it is about.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::code::Code;
use super::error::ApiError;
use super::extract::bearer::User;
use super::extract::body::JsonBody;
use super::extract::then::Then;
use super::openapi::about::{self, About};
use crate::app::Gateway;
use crate::service::account::AccountError;
use crate::service::user_data::{UserDataFields, UserDataRequest};

/// What a client API of WeChat's gave. The names are WeChat's.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DecryptBody {
    /// Base64 of at most 48 KiB, whole blocks of 16 bytes. Required.
    encrypted_data: Option<String>,
    /// Base64 of 16 bytes. Required.
    iv: Option<String>,
    /// The text that `signature` is over. If one of these two is sent, both are, and the signature must agree.
    raw_data: Option<String>,
    /// SHA-1 of `rawData` and the session_key, in hexadecimal.
    signature: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct DecryptReply {
    /// What `encryptedData` held, as WeChat wrote it. It proves nothing: the cipher has no integrity.
    #[schema(value_type = Object)]
    user_data: Map<String, Value>,
}

pub(super) fn about() -> About {
    About::new("decrypt", "Open encryptedData of whoever is logged in.")
        .says(
            "User info, profiles, phone numbers, groups, steps: whatever WeChat seals for this user. It opens with the \
             session_key of the user's latest login, or with one of the two before it for ten minutes after each was replaced, \
             so it may have been sealed before wx.login ran again. A profile becomes the user's, unless it is WeChat's \
             placeholder; nothing else is kept. A phone number counts nowhere: send it to `POST /v1/me/phone`.\n\n\
             The watermark must be of this mini-program and within ten minutes of now (by the tenant's policy a minute to a \
             day), and `openId`, where there is one, the user's. Only the group of a shared card may lack a watermark.\n\n\
             REQUEST_INVALID: a field is missing or has no possible shape. SESSION_KEY_STALE: everything else, whatever \
             failed; call wx.login, log in, and ask the user again, in that order.",
        )
        .tag(about::MINI_PROGRAM)
        .user()
        .body::<DecryptBody>()
        .gives::<DecryptReply>(200, "What it held.")
        .fails(&[Code::SessionKeyStale])
}

/// Opens the data with the keys of the user's latest logins. Whatever is wrong with it, the answer is the same.
pub(super) async fn post(
    gateway: web::Data<Gateway>,
    Then(user, body): Then<User, JsonBody<DecryptBody>>,
) -> Result<HttpResponse, ApiError> {
    let DecryptBody { encrypted_data, iv, raw_data, signature } = body.value;
    let data = UserDataRequest::parse_encrypted(UserDataFields { encrypted_data, iv, raw_data, signature });
    let data = data.map_err(|error| ApiError::caused(Code::RequestInvalid, error))?;
    let opened = gateway.logins.user_data.decrypt(&user.0, &data).await.map_err(AccountError::from)?;
    let user_data = opened.map_err(|_| Code::SessionKeyStale)?;
    Ok(HttpResponse::Ok().json(DecryptReply { user_data }))
}
