//! `POST /t/{tenant}/oauth/token`: a grant for tokens (RFC 6749 section 3.2, RFC 8693).

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;
use wxgate_crypto::Secret;
use wxgate_domain::{Audience, Scope};

use super::CLIENT_SECRET;
use super::code::OAuthCode;
use super::error::OAuthError;
use crate::app::Gateway;
use crate::http::discovery;
use crate::http::error::ApiError;
use crate::http::extract::client::Client;
use crate::http::extract::credentials;
use crate::http::extract::form::Form;
use crate::http::login;
use crate::http::openapi::about::{self, About};
use crate::service::directory::{ActiveApp, DirectoryError, KnownTenant};
use crate::service::oauth::{ClientTokenRequest, Exchange, GrantError, ServiceToken};
use crate::service::tokens::Issued;

/// A code of `wx.login` (an extension grant, RFC 6749 section 4.5).
const WECHAT_CODE: &str = "urn:wxgate:grant:wechat-code";
const REFRESH_TOKEN: &str = "refresh_token";
const CLIENT_CREDENTIALS: &str = "client_credentials";
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The only type of token that is exchanged, and given for one (RFC 8693 section 3).
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A successful reply (RFC 6749 section 5.1, RFC 8693 section 2.2.1). Times are seconds.
#[derive(Serialize, ToSchema)]
struct TokenReply<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
    token_type: &'static str,
    expires_in: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
}

pub(in crate::http) fn about() -> About {
    About::new("token", "Get tokens for a grant (RFC 6749, RFC 8693).")
        .tag(about::SERVICES)
        .says("docs/oauth.md says which parameters each grant takes.")
        .path("tenant", discovery::TENANT)
        .form(1, PARAMETERS)
        .gives::<TokenReply>(200, "Tokens.")
        .oauth_fails(&[
            OAuthCode::SubjectInvalid,
            OAuthCode::ExchangedTooOften,
            OAuthCode::CodeRejected,
            OAuthCode::RefreshRejected,
            OAuthCode::UserBlocked,
            OAuthCode::ClientDisabled,
            OAuthCode::GrantUnsupported,
            OAuthCode::ScopeInvalid,
            OAuthCode::TargetInvalid,
            OAuthCode::ClientInvalid,
            OAuthCode::UpstreamBadResponse,
            OAuthCode::UpstreamUnavailable,
        ])
}

/// What the grants take.
const PARAMETERS: &[(&str, &str)] = &[
    ("grant_type", "Which grant; the discovery document names them."),
    ("client_id", "The appid of the mini-program, or the id of the service client."),
    ("client_secret", CLIENT_SECRET),
    ("code", "What `wx.login` gave."),
    ("refresh_token", "The refresh token."),
    ("scope", "What the token is to allow: words with spaces between."),
    ("audience", "Whom the token is to be for."),
    ("resource", "The same (RFC 8707)."),
    ("subject_token", "The user's token that is exchanged."),
    ("subject_token_type", ACCESS_TOKEN),
    ("requested_token_type", ACCESS_TOKEN),
];

/// One request, as each grant needs it.
struct Asked<'a> {
    request: &'a HttpRequest,
    gateway: &'a Gateway,
    tenant: &'a Arc<KnownTenant>,
    sender: &'a Client,
    form: &'a Form,
}

/// Gives tokens for a grant.
pub(in crate::http) async fn post(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    sender: web::ReqData<Client>,
    form: Form,
) -> Result<HttpResponse, OAuthError> {
    let tenant = super::tenant(&request, &gateway).await?;
    let asked = Asked { request: &request, gateway: &gateway, tenant: &tenant, sender: &sender, form: &form };
    // Each on the heap, so that no grant's future is as large as the largest.
    match form.required("grant_type")? {
        WECHAT_CODE => Box::pin(asked.wechat_code()).await,
        REFRESH_TOKEN => Box::pin(asked.refresh_token()).await,
        CLIENT_CREDENTIALS => Box::pin(asked.client_credentials()).await,
        TOKEN_EXCHANGE => Box::pin(asked.token_exchange()).await,
        _ => Err(OAuthCode::GrantUnsupported.into()),
    }
}

impl Asked<'_> {
    /// A login.
    async fn wechat_code(&self) -> Result<HttpResponse, OAuthError> {
        let app = self.app().await?;
        let code = self.form.required("code")?;
        let attempt = login::attempt(self.request, self.sender, code, self.form.digest())?;
        let login = self.gateway.logins.login(&app, attempt, None).await.map_err(ApiError::from)?;
        Ok(pair(&login.tokens))
    }

    /// The next pair of a session, which must be this app's.
    async fn refresh_token(&self) -> Result<HttpResponse, OAuthError> {
        let app = self.app().await?;
        let token = Secret::new(self.form.required("refresh_token")?.to_owned());
        let by = self.sender.presented_by();
        let next = self.gateway.refreshes.refresh(&token, by, Some(app.app.id)).await.map_err(ApiError::from)?;
        Ok(pair(&next.tokens))
    }

    /// A service client's token for itself.
    async fn client_credentials(&self) -> Result<HttpResponse, OAuthError> {
        let known = super::client(self.gateway, self.tenant, (self.request, self.sender, self.form)).await?;
        let asked = ClientTokenRequest { scopes: self.scopes()?, audience: self.audience()? };
        let token = self.gateway.oauth.client_token(self.tenant, &known.client, &asked)?;
        Ok(service_token(&token, None))
    }

    /// A user's token for a narrower one. The client itself acts: an actor of its own choosing is none.
    async fn token_exchange(&self) -> Result<HttpResponse, OAuthError> {
        let known = super::client(self.gateway, self.tenant, (self.request, self.sender, self.form)).await?;
        let form = self.form;
        let subject = form.required("subject_token")?;
        let types = [Some(form.required("subject_token_type")?), form.get("requested_token_type")];
        let only_access_tokens = types.into_iter().flatten().all(|of| of == ACCESS_TOKEN);
        if !only_access_tokens || form.get("actor_token").or(form.get("actor_token_type")).is_some() {
            return Err(OAuthCode::RequestInvalid.into());
        }
        let audience = self.audience()?.ok_or(OAuthCode::TargetInvalid)?;
        let exchange = Exchange { subject, audience, scopes: self.scopes()? };
        let token = self.gateway.oauth.exchange(self.tenant, &known.client, &exchange).await?;
        Ok(service_token(&token, Some(ACCESS_TOKEN)))
    }

    /// The mini-program that asks. It has no secret, and one that sends any has mistaken itself for a service client.
    async fn app(&self) -> Result<Arc<ActiveApp>, OAuthError> {
        if credentials::of(self.request, self.form)?.is_some() {
            return Err(OAuthCode::RequestInvalid.into());
        }
        let appid = self.form.required("client_id")?.parse().map_err(|_| OAuthCode::ClientInvalid)?;
        let app = match self.gateway.directory.active_app(&appid).await {
            Ok(app) if app.tenant.id() == self.tenant.id() => app,
            // Of another tenant, or of none: nobody learns which.
            Ok(_) | Err(DirectoryError::Unknown) => return Err(OAuthCode::ClientInvalid.into()),
            Err(error) => return Err(ApiError::from(error).into()),
        };
        // An app's tokens have all its scopes; what it does not have it cannot ask for.
        let has = |scope: &Scope| app.app.policy.scopes.iter().any(|own| own == scope.as_str());
        match self.scopes()? {
            Some(asked) if !asked.iter().all(has) => Err(OAuthCode::ScopeInvalid.into()),
            _ => Ok(app),
        }
    }

    fn scopes(&self) -> Result<Option<Vec<Scope>>, OAuthError> {
        let scopes = self.form.get("scope").map(Scope::list).transpose();
        scopes.map_err(|_| OAuthCode::ScopeInvalid.into())
    }

    /// Whom the token is to be for: `audience` (RFC 8693) or `resource` (RFC 8707), one name if both are there.
    fn audience(&self) -> Result<Option<Audience>, OAuthError> {
        let (audience, resource) = (self.form.get("audience"), self.form.get("resource"));
        if audience.is_some() && resource.is_some() && audience != resource {
            return Err(OAuthCode::TargetInvalid.into());
        }
        let named = audience.or(resource).map(str::parse).transpose();
        named.map_err(|_| OAuthCode::TargetInvalid.into())
    }
}

fn pair(tokens: &Issued) -> HttpResponse {
    super::reply().json(TokenReply {
        access_token: tokens.access_token.expose(),
        issued_token_type: None,
        token_type: "Bearer",
        expires_in: tokens.expires_in,
        refresh_token: Some(tokens.refresh_token.expose()),
        scope: &tokens.scope,
    })
}

fn service_token(token: &ServiceToken, issued_token_type: Option<&'static str>) -> HttpResponse {
    super::reply().json(TokenReply {
        access_token: token.access_token.expose(),
        issued_token_type,
        token_type: "Bearer",
        expires_in: token.expires_in,
        refresh_token: None,
        scope: &token.scope,
    })
}

impl From<GrantError> for OAuthError {
    fn from(error: GrantError) -> Self {
        let code = match &error {
            GrantError::Suspended => OAuthCode::ClientDisabled,
            GrantError::Scope => OAuthCode::ScopeInvalid,
            GrantError::Target => OAuthCode::TargetInvalid,
            GrantError::Subject(_) => OAuthCode::SubjectInvalid,
            GrantError::Actors => OAuthCode::ExchangedTooOften,
            GrantError::Overloaded => return Self::caused(OAuthCode::Overloaded, error).retry_after(1),
            GrantError::Internal(_) => OAuthCode::ServerError,
        };
        Self::caused(code, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grants_are_those_that_discovery_names() {
        let grants = [WECHAT_CODE, REFRESH_TOKEN, CLIENT_CREDENTIALS, TOKEN_EXCHANGE];
        assert_eq!(grants, wxgate_token::discovery::GRANT_TYPES);
    }
}
