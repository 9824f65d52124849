//! Third-party platforms: tickets, their tokens, and the apps that authorised them.

use std::collections::{BTreeMap, VecDeque};

use actix_web::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Answer, Api, Asked, Proof, ok, plain};
use crate::chance::Chance;
use crate::codes::Rejected;
use crate::push::{Push, PushBody, Receiver};
use crate::state::{Refusal, SteeringError, World};
use crate::tokens::Kind;

/// A ticket is good for twelve hours.
const TICKET_LIFE_MS: u64 = 12 * 60 * 60 * 1000;
/// An authorisation code for ten minutes.
const CODE_LIFE_MS: u64 = 10 * 60 * 1000;
/// Tickets remembered: those of twelve hours, one every ten minutes.
const MAX_TICKETS: usize = 72;
/// Platforms known at once.
const MAX_COMPONENTS: usize = 1_000;
/// A pre-auth code is good for half an hour.
const PRE_AUTH_LIFE_MS: u64 = 30 * 60 * 1000;
/// Pre-auth codes of a platform remembered.
const MAX_PRE_AUTH: usize = 1_000;
/// Apps in one page of the list of those that authorised a platform.
const MAX_LISTED: usize = 500;
/// Permission sets that an app grants unless others are named: user data needs 18.
const PERMISSIONS: [i64; 2] = [17, 18];

/// One platform.
#[derive(Default)]
pub(crate) struct Component {
    secret: String,
    /// Newest last.
    tickets: Vec<(String, u64)>,
    /// Newest last.
    pre_auth: VecDeque<(String, u64)>,
    /// By the appid of the app.
    grants: BTreeMap<String, Grant>,
    /// Where its events are pushed to.
    receiver: Option<Receiver>,
    /// Whether each call for an app's token gives another refresh token and ends the one before. WeChat's documents speak
    /// of this and WeChat does not do it.
    rotates_refresh_tokens: bool,
}

/// A platform, as the steering adds it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ComponentBody {
    appid: String,
    secret: String,
    receiver: Option<Receiver>,
    #[serde(default)]
    rotates_refresh_tokens: bool,
}

/// What an app's administrator does on WeChat's page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthorizationBody {
    pub(crate) component_appid: String,
    pub(crate) appid: String,
    /// Of the page's address, if the platform started this.
    pre_auth_code: Option<String>,
    /// Of the page's address: where the browser goes afterwards.
    redirect_uri: Option<String>,
    permissions: Option<Vec<i64>>,
    /// Whether the platform's event is pushed.
    #[serde(default = "yes")]
    pub(crate) pushed: bool,
}

fn yes() -> bool {
    true
}

/// What came of an authorisation.
pub(crate) struct Authorized {
    pub(crate) code: String,
    /// Where the browser goes.
    pub(crate) redirect: Option<String>,
    /// What is pushed to the platform.
    pub(crate) event: Value,
}

/// What an app granted.
struct Grant {
    /// Until it is exchanged.
    code: Option<(String, u64)>,
    refresh_token: String,
    permissions: Vec<i64>,
    /// Whether the code was exchanged: before that nothing can be done in the app's name.
    taken: bool,
}

macro_rules! api {
    ($name:ident, $path:literal, $method:ident, $proof:ident, $field:literal, $run:ident) => {
        pub(crate) const $name: Api =
            Api { path: $path, method: Method::$method, proof: Proof::$proof, main_field: $field, run: $run };
    };
}

api!(TOKEN, "/cgi-bin/component/api_component_token", POST, Open, "component_access_token", component_token);
api!(START_TICKETS, "/cgi-bin/component/api_start_push_ticket", POST, Open, "errmsg", start_tickets);
api!(PRE_AUTH_CODE, "/cgi-bin/component/api_create_preauthcode", POST, Component, "pre_auth_code", pre_auth_code);
api!(QUERY_AUTH, "/cgi-bin/component/api_query_auth", POST, Component, "authorization_info", query_auth);
api!(
    AUTHORIZER_TOKEN,
    "/cgi-bin/component/api_authorizer_token",
    POST,
    Component,
    "authorizer_access_token",
    authorizer_token
);
api!(AUTHORIZER_LIST, "/cgi-bin/component/api_get_authorizer_list", POST, Component, "list", authorizer_list);
api!(LOGIN, "/sns/component/jscode2session", GET, Open, "openid", login);

impl World {
    /// Adds a platform, or replaces its secret and what it does.
    pub(crate) fn put_component(&mut self, body: ComponentBody) -> Result<(), SteeringError> {
        let ComponentBody { appid, secret, receiver, rotates_refresh_tokens } = body;
        crate::state::check_identifier("appid", &appid)?;
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SteeringError::BadSecret);
        }
        if self.components.len() == MAX_COMPONENTS && !self.components.contains_key(&appid) {
            return Err(SteeringError::TooManyApps);
        }
        let component = self.components.entry(appid).or_default();
        component.secret = secret;
        component.receiver = receiver;
        component.rotates_refresh_tokens = rotates_refresh_tokens;
        Ok(())
    }

    /// A new ticket, as WeChat pushes one every ten minutes.
    pub(crate) fn issue_ticket(&mut self, appid: &str, now_ms: u64) -> Result<String, SteeringError> {
        let ticket = format!("ticket@@@{}", self.chance.phone_code());
        let component = self.components.get_mut(appid).ok_or(SteeringError::UnknownApp)?;
        if component.tickets.len() == MAX_TICKETS {
            component.tickets.remove(0);
        }
        component.tickets.push((ticket.clone(), now_ms));
        Ok(ticket)
    }

    /// A platform's event as WeChat pushes it, and where to; `None` if the platform takes none.
    pub(crate) fn component_push(
        &mut self,
        appid: &str,
        message: Value,
        now_ms: u64,
    ) -> Result<Option<(String, Push)>, SteeringError> {
        let component = self.components.get(appid).ok_or(SteeringError::UnknownApp)?;
        let Some(receiver) = component.receiver.clone() else { return Ok(None) };
        let push = PushBody::of_component(appid, &receiver, message).write(now_ms, &mut self.chance);
        push.map(|push| Some((receiver.url, push))).map_err(|_| SteeringError::BadSecret)
    }

    /// An app's administrator authorises a platform.
    pub(crate) fn authorize(&mut self, body: AuthorizationBody, now_ms: u64) -> Result<Authorized, SteeringError> {
        let AuthorizationBody { component_appid, appid, pre_auth_code, redirect_uri, permissions, .. } = body;
        if !self.apps.contains_key(&appid) {
            return Err(SteeringError::UnknownApp);
        }
        let code = format!("queryauthcode@@@{}", self.chance.phone_code());
        let refresh_token = refresh_token(&mut self.chance);
        let component = self.components.get_mut(&component_appid).ok_or(SteeringError::UnknownApp)?;
        if let Some(named) = &pre_auth_code {
            let is_good =
                |(text, made): &(String, u64)| text == named && now_ms.saturating_sub(*made) < PRE_AUTH_LIFE_MS;
            if !component.pre_auth.iter().any(is_good) {
                return Err(SteeringError::UnknownPreAuthCode);
            }
            component.pre_auth.retain(|(text, _)| text != named);
        }
        let permissions = permissions.unwrap_or(PERMISSIONS.to_vec());
        let grant = Grant { code: Some((code.clone(), now_ms)), refresh_token, permissions, taken: false };
        component.grants.insert(appid.clone(), grant);
        let mut event = json!({
            "InfoType": "authorized",
            "AuthorizerAppid": appid,
            "AuthorizationCode": code,
            "AuthorizationCodeExpiredTime": (now_ms + CODE_LIFE_MS) / 1000,
        });
        if let (Some(pre_auth_code), Some(event)) = (pre_auth_code, event.as_object_mut()) {
            event.insert("PreAuthCode".into(), pre_auth_code.into());
        }
        let joint = if redirect_uri.as_ref().is_some_and(|uri| uri.contains('?')) { '&' } else { '?' };
        let redirect =
            redirect_uri.map(|uri| format!("{uri}{joint}auth_code={}&expires_in=600", code.replace('@', "%40")));
        Ok(Authorized { code, redirect, event })
    }

    /// An app's administrator withdraws.
    pub(crate) fn unauthorize(&mut self, component: &str, appid: &str) -> Result<(), SteeringError> {
        let component = self.components.get_mut(component).ok_or(SteeringError::UnknownApp)?;
        component.grants.remove(appid).map(drop).ok_or(SteeringError::UnknownApp)
    }

    fn component(&mut self, appid: &str) -> Result<&mut Component, Refusal> {
        self.components.get_mut(appid).ok_or(Refusal::new(61011))
    }
}

fn refresh_token(chance: &mut Chance) -> String {
    format!("refreshtoken@@@{}", chance.phone_code())
}

fn component_token(world: &mut World, _: &str, asked: &Asked, now_ms: u64) -> Answer {
    let appid = asked.required("component_appid", 41018)?;
    let secret = asked.required("component_appsecret", 41004)?;
    let ticket = asked.required("component_verify_ticket", 61006)?;
    let component = world.components.get(appid).ok_or(Refusal::new(40013))?;
    if component.secret != secret {
        return Err(Refusal::new(40125));
    }
    let (_, made_ms) = component.tickets.iter().find(|(text, _)| text == ticket).ok_or(Refusal::new(61006))?;
    if now_ms.saturating_sub(*made_ms) >= TICKET_LIFE_MS {
        return Err(Refusal::new(61005));
    }
    let issued = world.tokens.renew(appid, Kind::Component, now_ms, &mut world.chance);
    Ok(plain(json!({ "component_access_token": *issued.text, "expires_in": issued.expires_in })))
}

fn start_tickets(world: &mut World, _: &str, asked: &Asked, _: u64) -> Answer {
    let appid = asked.required("component_appid", 41018)?;
    let secret = asked.required("component_secret", 41004)?;
    let component = world.components.get(appid).ok_or(Refusal::new(40013))?;
    if component.secret != secret {
        return Err(Refusal::new(40125));
    }
    world.tickets_asked_for.insert(appid.to_owned());
    Ok(ok(json!({})))
}

fn pre_auth_code(world: &mut World, component: &str, asked: &Asked, now_ms: u64) -> Answer {
    if asked.required("component_appid", 41018)? != component {
        return Err(Refusal::new(40013));
    }
    let code = format!("preauthcode@@@{}", world.chance.phone_code());
    let known = &mut world.component(component)?.pre_auth;
    if known.len() == MAX_PRE_AUTH {
        known.pop_front();
    }
    known.push_back((code.clone(), now_ms));
    Ok(plain(json!({ "pre_auth_code": code, "expires_in": PRE_AUTH_LIFE_MS / 1000 })))
}

fn query_auth(world: &mut World, component: &str, asked: &Asked, now_ms: u64) -> Answer {
    let code = asked.required("authorization_code", 61009)?;
    let grants = &mut world.component(component)?.grants;
    let of_code = |grant: &Grant| grant.code.as_ref().is_some_and(|(text, _)| text == code);
    let (appid, grant) = grants.iter_mut().find(|(_, grant)| of_code(grant)).ok_or(Refusal::new(61009))?;
    let (_, made_ms) = grant.code.take().ok_or(Refusal::new(61009))?;
    if now_ms.saturating_sub(made_ms) >= CODE_LIFE_MS {
        return Err(Refusal::new(61010));
    }
    grant.taken = true;
    let (appid, refresh_token) = (appid.clone(), grant.refresh_token.clone());
    let func_info: Vec<_> = grant.permissions.iter().map(|id| json!({ "funcscope_category": { "id": id } })).collect();
    let issued = world.tokens.renew(&appid, Kind::Authorizer, now_ms, &mut world.chance);
    Ok(plain(json!({ "authorization_info": {
        "authorizer_appid": appid,
        "authorizer_access_token": *issued.text,
        "expires_in": issued.expires_in,
        "authorizer_refresh_token": refresh_token,
        "func_info": func_info,
    }})))
}

fn authorizer_token(world: &mut World, component: &str, asked: &Asked, now_ms: u64) -> Answer {
    let appid = asked.required("authorizer_appid", 41002)?;
    let sent = asked.required("authorizer_refresh_token", 61023)?;
    let next = refresh_token(&mut world.chance);
    let component = world.component(component)?;
    let rotates = component.rotates_refresh_tokens;
    let grant = component.grants.get_mut(appid).filter(|grant| grant.taken).ok_or(Refusal::new(61003))?;
    if grant.refresh_token != sent {
        return Err(Refusal::new(61023));
    }
    if rotates {
        grant.refresh_token = next;
    }
    let refresh_token = grant.refresh_token.clone();
    let issued = world.tokens.renew(appid, Kind::Authorizer, now_ms, &mut world.chance);
    Ok(plain(json!({
        "authorizer_access_token": *issued.text,
        "expires_in": issued.expires_in,
        "authorizer_refresh_token": refresh_token,
    })))
}

/// Apps whose code was exchanged, by appid.
fn authorizer_list(world: &mut World, component: &str, asked: &Asked, _: u64) -> Answer {
    let (offset, count) = (asked.number("offset").unwrap_or(0), asked.number("count").unwrap_or(0));
    let taken: Vec<_> = world.component(component)?.grants.iter().filter(|(_, grant)| grant.taken).collect();
    let page = taken.iter().skip(offset).take(count.min(MAX_LISTED));
    let list: Vec<_> = page
        .map(
            |(appid, grant)| json!({ "authorizer_appid": appid, "refresh_token": grant.refresh_token, "auth_time": 0 }),
        )
        .collect();
    Ok(plain(json!({ "total_count": taken.len(), "list": list })))
}

fn login(world: &mut World, _: &str, asked: &Asked, now_ms: u64) -> Answer {
    let appid = asked.required("appid", 41002)?;
    let code = asked.required("js_code", 41008)?;
    let component = asked.required("component_appid", 41018)?;
    let token = asked.required("component_access_token", 41021)?;
    if asked.text("grant_type") != Some("authorization_code") {
        return Err(Refusal::new(40002));
    }
    let (owner, kind) = world.tokens.check(token, now_ms).map_err(Refusal::new)?;
    if kind != Kind::Component || *owner != *component {
        return Err(Refusal::new(40001));
    }
    if !world.component(component)?.grants.get(appid).is_some_and(|grant| grant.taken) {
        return Err(Refusal::new(61003));
    }
    let session = world.codes.exchange(code, appid, now_ms).map_err(|rejected| {
        Refusal::new(match rejected {
            Rejected::Invalid => 40029,
            Rejected::Used => 40163,
        })
    })?;
    let mut fields = plain(json!({ "openid": *session.openid, "session_key": *session.key }));
    if let Some(unionid) = session.unionid {
        fields.insert("unionid".into(), (*unionid).into());
    }
    Ok(fields)
}
