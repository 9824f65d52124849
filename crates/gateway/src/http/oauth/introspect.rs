//! `POST /t/{tenant}/oauth/introspect`: what a token is worth now (RFC 7662).

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use wxgate_token::Claims;

use super::code::OAuthCode;
use super::error::OAuthError;
use super::{CLIENT_ID, CLIENT_SECRET};
use crate::app::Gateway;
use crate::http::discovery;
use crate::http::extract::client::Client;
use crate::http::extract::form::Form;
use crate::http::openapi::about::{self, About};

/// An answer (section 2.2). Of a token that is not valid, or not for the client, nothing is told.
#[derive(Serialize)]
struct Introspection<'a> {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(flatten)]
    claims: Option<&'a Claims>,
}

pub(in crate::http) fn about() -> About {
    About::new("introspect", "Ask what a token is worth now (RFC 7662).")
        .tag(about::SERVICES)
        .service_client()
        .path("tenant", discovery::TENANT)
        .form(1, &[("token", "The access token."), ("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)])
        .gives_object("`active`, and the claims if it is.")
        .oauth_fails(&[OAuthCode::ClientInvalid, OAuthCode::NotGranted])
}

/// Answers service clients that have the grant for it.
pub(in crate::http) async fn post(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    sender: web::ReqData<Client>,
    form: Form,
) -> Result<HttpResponse, OAuthError> {
    let tenant = super::tenant(&request, &gateway).await?;
    let known = super::client(&gateway, &tenant, (&request, &sender, &form)).await?;
    if !known.client.policy.introspect {
        return Err(OAuthCode::NotGranted.into());
    }
    let claims = gateway.oauth.introspect(&tenant, &known.client, form.required("token")?).await?;
    let token_type = claims.is_some().then_some("Bearer");
    Ok(super::reply().json(Introspection { active: claims.is_some(), token_type, claims: claims.as_deref() }))
}
