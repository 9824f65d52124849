//! `POST /t/{tenant}/oauth/revoke`: a token is given back (RFC 7009).

use actix_web::{HttpRequest, HttpResponse, web};
use wxgate_crypto::Secret;

use super::code::OAuthCode;
use super::error::OAuthError;
use super::{CLIENT_ID, CLIENT_SECRET};
use crate::app::Gateway;
use crate::http::discovery;
use crate::http::extract::client::Client;
use crate::http::extract::form::Form;
use crate::http::openapi::about::{self, About};
use crate::service::oauth::{RevokeError, Revoker};

pub(in crate::http) fn about() -> About {
    About::new("revoke", "Give a token back (RFC 7009).")
        .tag(about::SERVICES)
        .path("tenant", discovery::TENANT)
        .form(1, &[("token", "The token."), ("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)])
        .nothing(200, "It is worth nothing now.")
        .oauth_fails(&[OAuthCode::ClientInvalid, OAuthCode::NotTheHolder, OAuthCode::TokenUnsupported])
}

/// Ends the session of a token. 200 also for what is no token: its holder wanted it to be worth nothing.
pub(in crate::http) async fn post(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    sender: web::ReqData<Client>,
    form: Form,
) -> Result<HttpResponse, OAuthError> {
    let tenant = super::tenant(&request, &gateway).await?;
    let by = if super::claimed_client(&gateway, &tenant, (&request, &sender, &form)).await?.is_some() {
        Revoker::Service
    } else {
        // Without a secret, `client_id` is a mini-program's.
        let appid = form.get("client_id").map(str::parse).transpose();
        Revoker::Holder(appid.map_err(|_| OAuthCode::ClientInvalid)?)
    };
    let token = Secret::new(form.required("token")?.to_owned());
    gateway.oauth.revoke(&tenant, &token, &by).await?;
    Ok(super::reply().finish())
}

impl From<RevokeError> for OAuthError {
    fn from(error: RevokeError) -> Self {
        let code = match &error {
            RevokeError::NotTheHolder => OAuthCode::NotTheHolder,
            RevokeError::Unsupported => OAuthCode::TokenUnsupported,
            RevokeError::Overloaded => return Self::caused(OAuthCode::Overloaded, error).retry_after(1),
            RevokeError::Internal(_) => OAuthCode::ServerError,
        };
        Self::caused(code, error)
    }
}
