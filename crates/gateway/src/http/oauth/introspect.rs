//! `POST /t/{tenant}/oauth/introspect`: what a token is worth now (RFC 7662).

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use wxgate_token::Claims;

use super::code::OAuthCode;
use super::error::OAuthError;
use crate::app::Gateway;
use crate::http::extract::client::Client;
use crate::http::extract::form::Form;

/// An answer (section 2.2). Of a token that is not valid, or not for the client, nothing is told.
#[derive(Serialize)]
struct Introspection<'a> {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(flatten)]
    claims: Option<&'a Claims>,
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
