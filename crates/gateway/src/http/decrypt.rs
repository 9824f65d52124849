//! `POST /v1/me/decrypt`: what WeChat sealed for the server, opened for whoever it is about.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::code::Code;
use super::error::ApiError;
use super::extract::bearer::User;
use super::extract::body::JsonBody;
use super::openapi::about::{self, About};
use crate::app::Gateway;
use crate::service::account::AccountError;
use crate::service::user_data::{UserDataFields, UserDataRequest};

/// What a client API of WeChat's gave. The names are WeChat's.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DecryptBody {
    encrypted_data: Option<String>,
    iv: Option<String>,
    raw_data: Option<String>,
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
        .says("User info, profiles, phone numbers, groups, steps. A profile becomes the user's; nothing else is kept.")
        .tag(about::MINI_PROGRAM)
        .user()
        .body::<DecryptBody>()
        .gives::<DecryptReply>(200, "What it held.")
        .fails(&[Code::SessionKeyStale])
}

/// Opens the data with the keys of the user's latest logins. Whatever is wrong with it, the answer is the same.
pub(super) async fn post(
    gateway: web::Data<Gateway>,
    user: User,
    body: JsonBody<DecryptBody>,
) -> Result<HttpResponse, ApiError> {
    let DecryptBody { encrypted_data, iv, raw_data, signature } = body.value;
    let data = UserDataRequest::parse_encrypted(UserDataFields { encrypted_data, iv, raw_data, signature });
    let data = data.map_err(|error| ApiError::caused(Code::RequestInvalid, error))?;
    let opened = gateway.logins.user_data.decrypt(&user.0, &data).await.map_err(AccountError::from)?;
    let user_data = opened.map_err(|_| Code::SessionKeyStale)?;
    Ok(HttpResponse::Ok().json(DecryptReply { user_data }))
}
