//! Clients that were written for another server: their own paths, fields and answers over the same use cases.
//!
//! A request comes to a path of [`profiles`], the app is found, and the app's policy says whose clients it has. What
//! another convention's clients would ask there is not found. Then the request is read ([`given`]), the use case of the
//! native route is asked, and the answer is written from the convention's template ([`reply`], [`failed`]).

mod about;
mod convention;
mod failed;
mod given;
mod profiles;
mod reply;

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use wxgate_domain::{ClientProfile, Profile};

use self::convention::{Convention, Method, Route, Template, Verb};
pub(super) use self::failed::Failed;
use self::failed::Words;
use self::given::{Fields, Given};
use self::reply::Facts;
use super::code::Code;
use super::endpoint::Endpoint;
use super::error::ApiError;
use super::extract::client::Client;
use super::extract::{named_app, path};
use super::login;
use crate::app::Gateway;
use crate::service::account::{LogoutScope, SignedIn};
use crate::service::directory::ActiveApp;
use crate::service::login::Login;
use crate::service::refresh::Refreshed;
use crate::service::user_data::UserDataRequest;

/// Where the path may name the app, before the convention's own.
const OF_APP: &str = "/apps/{appid}";

/// Every address of every convention, by itself and below that of an app.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let mut paths: BTreeMap<String, BTreeMap<Method, Vec<ClientProfile>>> = BTreeMap::new();
    for convention in profiles::CONVENTIONS {
        for (path, route) in convention.addresses() {
            let methods = paths.entry(path).or_default();
            methods.entry(route.method).or_default().push(convention.profile);
        }
    }
    let endpoint = |(path, methods): (String, BTreeMap<Method, Vec<ClientProfile>>)| {
        methods.into_iter().fold(Endpoint::at(path.clone()), |endpoint, (method, profiles)| {
            let path = path.clone();
            endpoint.on(method.as_list(), web::to(answer), move || about::route(&path, method, &profiles))
        })
    };
    let below: BTreeMap<_, _> =
        paths.iter().map(|(path, methods)| (format!("{OF_APP}{path}"), methods.clone())).collect();
    paths.into_iter().chain(below).map(endpoint).collect()
}

/// One request of such a client.
struct Asked<'a> {
    request: &'a HttpRequest,
    gateway: &'a Gateway,
    client: &'a Client,
    app: &'a Arc<ActiveApp>,
    convention: &'static Convention,
}

/// Finds the app and its convention, and answers in its words.
async fn answer(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    client: web::ReqData<Client>,
    payload: web::Payload,
) -> Result<HttpResponse, Failed> {
    let given = Given::read(&request, payload).await;
    let in_body = given.as_ref().map_or(Ok(None), Given::appid)?;
    let app = gateway.directory.active_app(&named_app::of(&request, &gateway, in_body).await?).await?;
    let policy = &app.app.policy;
    let (convention, route) = find(policy.profile, &request).ok_or(Code::NotFound)?;
    let always_ok = policy.always_ok.unwrap_or(convention.always_ok);
    let with_token = matches!(route.verb, Verb::Show | Verb::FillIn | Verb::LogOut);
    let words = Words { convention, always_ok, with_token };
    let asked = Asked { request: &request, gateway: &gateway, client: &client, app: &app, convention };
    let told = match given.and_then(|given| given.fields(&request, route)) {
        Ok(fields) => asked.answered(route, fields).await,
        Err(error) => Err(error),
    };
    told.map(|body| HttpResponse::Ok().json(body)).map_err(|error| Failed::of(words, error))
}

/// The route that the clients of a profile mean by this address.
fn find(profile: ClientProfile, request: &HttpRequest) -> Option<(&'static Convention, &'static Route)> {
    let convention = profiles::CONVENTIONS.iter().find(|convention| convention.profile == profile)?;
    let path = match path::field(request, "appid") {
        Some(appid) => request.path().strip_prefix("/apps/")?.strip_prefix(appid)?,
        None => request.path(),
    };
    let asks = |(known, route): &(String, &'static Route)| {
        known == path && route.method.as_list().contains(&request.method().as_str())
    };
    convention.addresses().find(asks).map(|(_, route)| (convention, route))
}

impl Convention {
    /// Its addresses, each with its route.
    fn addresses(&'static self) -> impl Iterator<Item = (String, &'static Route)> {
        let at = |route: &'static Route| self.bases.iter().map(move |base| (format!("{base}{}", route.path), route));
        self.routes.iter().flat_map(at)
    }
}

impl Asked<'_> {
    async fn answered(&self, route: &Route, mut fields: Fields) -> Result<Value, ApiError> {
        let told = match route.verb {
            Verb::LogIn(code) => self.log_in(&mut fields, code, route.reply).await,
            Verb::Refresh(token) => self.refresh(&mut fields, token, route.reply).await,
            Verb::Grant if fields.is_refresh() => self.refresh(&mut fields, "refresh_token", route.reply).await,
            Verb::Grant => self.log_in(&mut fields, "code", route.reply).await,
            Verb::Show => self.signed_in(&fields).await.map(|who| self.about(&who, route.reply)),
            Verb::FillIn => self.fill_in(&mut fields, route.reply).await,
            Verb::LogOut => self.log_out(&fields, route.reply).await,
        };
        for name in fields.strangers() {
            self.gateway.metrics.stranger(self.convention.profile.as_str(), name);
        }
        told
    }

    /// As `POST /v1/apps/{appid}/login`. A nickname beside the code is what the client says, and never a reason to fail.
    async fn log_in(&self, fields: &mut Fields, code: &str, reply: Template) -> Result<Value, ApiError> {
        let code = fields.code(code)?;
        let data = UserDataRequest::parse(fields.user_data()?);
        let data = data.map_err(|error| ApiError::caused(Code::RequestInvalid, error))?;
        let (nickname, avatar_url) = fields.profile()?;
        let attempt = login::attempt(self.request, self.client, &code, fields.digest)?;
        let phone_code = fields.phone_code()?;
        let login = self.gateway.logins.login_with_phone(self.app, attempt, data, phone_code.as_deref()).await?;
        let Login { session, tokens, user_data, phone } = login;
        let phone_error = phone.and_then(Result::err).map(|error| json!(login::tell_part(error.into())));

        let mut who = SignedIn { app: self.app.clone(), session: Arc::unwrap_or_clone(session) };
        let said = Profile::shown(nickname.as_deref(), avatar_url.as_deref());
        who.session.user.profile = self.gateway.accounts.fill_in(&who, &said).await?;
        let facts = Facts { tokens: Some(&tokens), user_data: user_data.as_ref(), phone_error, ..self.facts(&who) };
        Ok(facts.tell(reply))
    }

    /// As `POST /v1/token/refresh`.
    async fn refresh(&self, fields: &mut Fields, token: &str, reply: Template) -> Result<Value, ApiError> {
        let (token, by) = (fields.refresh_token(token)?, self.client.presented_by());
        let next = self.gateway.refreshes.refresh(&token, by, Some(self.app.app.id)).await?;
        let Refreshed { session, tokens } = &next;
        let now = self.gateway.clock.now();
        let facts = Facts {
            now,
            appid: &self.app.app.appid,
            who: session.into(),
            tokens: Some(tokens),
            user_data: None,
            phone_error: None,
        };
        Ok(facts.tell(reply))
    }

    /// As `PATCH /v1/me`.
    async fn fill_in(&self, fields: &mut Fields, reply: Template) -> Result<Value, ApiError> {
        let mut who = self.signed_in(fields).await?;
        let (nickname, avatar_url) = fields.profile()?;
        let profile = Profile::asserted(nickname.as_deref(), avatar_url.as_deref());
        let profile = profile.map_err(|error| ApiError::caused(Code::RequestInvalid, error))?;
        who.session.user.profile = self.gateway.accounts.fill_in(&who, &profile).await?;
        Ok(self.about(&who, reply))
    }

    /// As `POST /v1/logout` of this session.
    async fn log_out(&self, fields: &Fields, reply: Template) -> Result<Value, ApiError> {
        let who = self.signed_in(fields).await?;
        self.gateway.accounts.logout(&who, LogoutScope::This).await?;
        Ok(self.about(&who, reply))
    }

    fn about(&self, who: &SignedIn, reply: Template) -> Value {
        self.facts(who).tell(reply)
    }

    fn facts<'a>(&self, who: &'a SignedIn) -> Facts<'a> {
        let (now, appid) = (self.gateway.clock.now(), &who.app.app.appid);
        Facts { now, appid, who: (&who.session).into(), tokens: None, user_data: None, phone_error: None }
    }

    /// The user whose token the request has. It must be of this app: the app was found by what anybody can say.
    async fn signed_in(&self, fields: &Fields) -> Result<SignedIn, ApiError> {
        let token = self.gateway.verified.user(&self.token(fields)?).await?;
        if let Some(id) = self.convention.session_id {
            let said = self.request.headers().get(id).and_then(|id| id.to_str().ok());
            if said.map(str::to_owned) != token.claims.sid.map(|sid| sid.to_string()) {
                return Err(Code::TokenInvalid.into());
            }
        }
        let who = self.gateway.accounts.signed_in(&token.claims, &token.tenant).await?;
        if who.app.app.id == self.app.app.id { Ok(who) } else { Err(Code::TokenInvalid.into()) }
    }

    /// The one token of the request: from where the convention has it, or from Authorization.
    fn token(&self, fields: &Fields) -> Result<String, ApiError> {
        let mut found: Vec<_> =
            self.convention.token.iter().filter_map(|place| fields.token(self.request, *place)).collect();
        for value in self.request.headers().get_all(header::AUTHORIZATION) {
            found.extend(bare(value.to_str().map_err(|_| Code::TokenInvalid)?).map(str::to_owned));
        }
        found.dedup();
        match <[String; 1]>::try_from(found) {
            Ok([token]) => Ok(token),
            Err(none) if none.is_empty() => Err(ApiError::challenging(Code::TokenInvalid, "Bearer")),
            Err(_) => Err(Code::TokenInvalid.into()),
        }
    }
}

/// The token of an Authorization header, with the scheme Bearer in any case, glued to it, or without any.
fn bare(value: &str) -> Option<&str> {
    let glued = value.get(..6).filter(|scheme| scheme.eq_ignore_ascii_case("bearer")).and(value.get(6..));
    Some(glued.unwrap_or(value).trim()).filter(|token| !matches!(*token, "" | "undefined" | "null"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::routes;

    #[test]
    fn a_token_is_read_however_these_clients_write_it() {
        for written in ["Bearer eyJ.a.b", "bearer eyJ.a.b", "BEARER  eyJ.a.b", "bearereyJ.a.b", "eyJ.a.b"] {
            assert_eq!(bare(written), Some("eyJ.a.b"), "{written}");
        }
        for nothing in ["", "undefined", "Bearer ", "bearer", "null"] {
            assert_eq!(bare(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn every_profile_but_our_own_has_one_convention_with_a_login() {
        let known: Vec<_> = profiles::CONVENTIONS.iter().map(|convention| convention.profile).collect();
        let others = ClientProfile::ALL.iter().filter(|profile| **profile != ClientProfile::Native);
        assert_eq!(known, others.copied().collect::<Vec<_>>());
        for convention in profiles::CONVENTIONS {
            let logs_in = |route: &Route| matches!(route.verb, Verb::LogIn(_) | Verb::Grant);
            assert!(convention.routes.iter().any(logs_in), "{}", convention.profile);
            let asked: Vec<_> = convention.addresses().map(|(path, route)| (path, route.method)).collect();
            assert_eq!(asked.iter().collect::<BTreeSet<_>>().len(), asked.len(), "{}", convention.profile);
        }
    }

    #[test]
    fn no_convention_stands_in_the_way_of_our_own_routes() {
        let ours: BTreeSet<_> = routes::public().iter().map(|endpoint| endpoint.path().to_owned()).collect();
        let theirs: Vec<_> = endpoints().iter().map(|endpoint| endpoint.path().to_owned()).collect();
        assert_eq!(ours.iter().filter(|path| theirs.contains(path)).count(), theirs.len(), "each stands there once");
        for path in &theirs {
            let below_ours = ["/v1/", "/t/", "/.well-known/", "/forward-auth", "/wechat/", "/livez", "/readyz"];
            assert!(!below_ours.iter().any(|prefix| path.starts_with(prefix)), "{path}");
            assert!(!path.ends_with("/user/wxlogin"), "{path}");
        }
    }
}
