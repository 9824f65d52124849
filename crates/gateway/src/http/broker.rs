//! `GET /v1/apps/{appid}/access-token`: WeChat's own access_token, for services that call WeChat themselves; and
//! `POST /v1/apps/{appid}/access-token/dead`, for those whom WeChat told that it is dead.

use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_crypto::{Digest, encoding};
use wxgate_storage::StorageError;

use super::boundary::RequestId;
use super::code::Code;
use super::error::ApiError;
use super::extract::body::JsonBody;
use super::extract::client::Client;
use super::extract::{credentials, named_app};
use super::login;
use super::openapi::about::{self, About};
use super::session_check::TOKEN_CALL;
use crate::app::Gateway;
use crate::service::access_tokens::Verdict;
use crate::service::broker::{Asker, BrokerError};
use crate::service::clients::KnownClient;
use crate::service::directory::ActiveApp;

/// A token of WeChat's.
#[derive(Serialize, ToSchema)]
struct AccessTokenReply<'a> {
    /// What WeChat's interfaces take as `access_token`. At most 1,024 characters.
    access_token: &'a str,
    /// Seconds that it is good for. It may be replaced earlier: ask again rather than keep it.
    expires_in: u64,
}

/// Which token is said to be dead.
#[derive(Deserialize, ToSchema)]
pub(super) struct DeadTokenBody {
    /// The SHA-256 of the token in 64 lower-case hexadecimal digits.
    digest: String,
}

#[derive(Serialize, ToSchema)]
struct DeadTokenReply {
    /// `replaced`: WeChat says so too, and there is another. `alive`: it works. `not_current`: another one is in use
    /// already. In all three cases ask for the token again.
    #[schema(value_type = String)]
    outcome: Verdict,
}

pub(super) fn about() -> About {
    About::new("accessToken", "Get WeChat's access_token of a mini-program.")
        .tag(about::SERVICES)
        .says("Only for service clients whose policy names the mini-program; docs/access-tokens.md says more.")
        .service_client()
        .path("appid", login::APPID)
        .gives::<AccessTokenReply<'_>>(200, "The token.")
        .fails(FAILURES)
}

pub(super) fn about_dead() -> About {
    About::new("reportDeadAccessToken", "Say that WeChat called an access_token dead.")
        .tag(about::SERVICES)
        .says("WeChat is asked, at most once a minute, and only about the token in use.")
        .service_client()
        .path("appid", login::APPID)
        .body::<DeadTokenBody>()
        .gives::<DeadTokenReply>(200, "What became of it.")
        .fails(FAILURES)
        .fails(TOKEN_CALL)
}

const FAILURES: &[Code] = &[
    Code::AppUnknown,
    Code::AppMismatch,
    Code::AppDisabled,
    Code::ClientInvalid,
    Code::NotGranted,
    Code::AppTokenUnavailable,
];

/// The token, for a client of the app's tenant.
pub(super) async fn get(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    sender: web::ReqData<Client>,
) -> Result<HttpResponse, ApiError> {
    let (app, known) = asking(&request, &gateway, &sender).await?;
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    let asker = Asker { client: &known.client, address: sender.address(), request_id: id.as_deref() };
    let given = gateway.broker.give(&app, asker).await?;
    // `no-store` is the boundary's, as of everything.
    Ok(HttpResponse::Ok().json(AccessTokenReply { access_token: given.token.expose(), expires_in: given.expires_in }))
}

/// What became of a token that is said to be dead.
pub(super) async fn post_dead(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    sender: web::ReqData<Client>,
    body: JsonBody<DeadTokenBody>,
) -> Result<HttpResponse, ApiError> {
    let (app, known) = asking(&request, &gateway, &sender).await?;
    let digest = digest(&body.value.digest).ok_or(Code::RequestInvalid)?;
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    let asker = Asker { client: &known.client, address: sender.address(), request_id: id.as_deref() };
    let outcome = gateway.broker.hear_of_dead(&app, asker, &digest).await?;
    Ok(HttpResponse::Ok().json(DeadTokenReply { outcome }))
}

/// The app that is asked about, and which client of its tenant asks.
async fn asking(
    request: &HttpRequest,
    gateway: &Gateway,
    sender: &Client,
) -> Result<(Arc<ActiveApp>, Arc<KnownClient>), ApiError> {
    let claimed = credentials::basic(request).ok().flatten().ok_or(Code::ClientInvalid)?;
    let app = gateway.directory.active_app(&named_app::in_path(request)?).await?;
    let known = gateway.clients.authenticate(&app.tenant, &claimed, sender.address()).await?;
    Ok((app, known))
}

/// A SHA-256 in lower-case hexadecimal digits.
fn digest(text: &str) -> Option<Digest> {
    Digest::from_slice(&encoding::hex(text)?)
}

impl From<BrokerError> for ApiError {
    fn from(error: BrokerError) -> Self {
        match error {
            BrokerError::NotGranted => Code::NotGranted.into(),
            BrokerError::TooOften(wait) => Self::from(Code::RateLimited).retry_after(wait.0),
            BrokerError::Token(error) => error.into(),
            BrokerError::NotWritten(StorageError::Busy | StorageError::Unavailable { .. }) => {
                Self::caused(Code::Overloaded, error).retry_after(1)
            }
            BrokerError::NotWritten(_) => Self::caused(Code::Internal, error),
        }
    }
}
