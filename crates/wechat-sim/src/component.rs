//! Third-party platforms: tickets, their tokens, and the apps that authorised them.

use std::collections::HashMap;

use actix_web::http::Method;
use serde_json::json;

use crate::api::{Answer, Api, Asked, Proof, ok, plain};
use crate::chance::Chance;
use crate::codes::Rejected;
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

/// One platform.
#[derive(Default)]
pub(crate) struct Component {
    secret: String,
    /// Newest last.
    tickets: Vec<(String, u64)>,
    /// By the appid of the app.
    grants: HashMap<String, Grant>,
}

/// What an app granted.
struct Grant {
    /// Until it is exchanged.
    code: Option<(String, u64)>,
    refresh_token: String,
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
api!(LOGIN, "/sns/component/jscode2session", GET, Open, "openid", login);

impl World {
    /// Adds a platform, or replaces its secret.
    pub(crate) fn put_component(&mut self, appid: String, secret: String) -> Result<(), SteeringError> {
        crate::state::check_identifier("appid", &appid)?;
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SteeringError::BadSecret);
        }
        if self.components.len() == MAX_COMPONENTS && !self.components.contains_key(&appid) {
            return Err(SteeringError::TooManyApps);
        }
        self.components.entry(appid).or_default().secret = secret;
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

    /// An app's administrator authorises a platform: the authorisation code.
    pub(crate) fn authorize(&mut self, component: &str, appid: &str, now_ms: u64) -> Result<String, SteeringError> {
        if !self.apps.contains_key(appid) {
            return Err(SteeringError::UnknownApp);
        }
        let code = format!("queryauthcode@@@{}", self.chance.phone_code());
        let refresh_token = refresh_token(&mut self.chance);
        let component = self.components.get_mut(component).ok_or(SteeringError::UnknownApp)?;
        let grant = Grant { code: Some((code.clone(), now_ms)), refresh_token, taken: false };
        component.grants.insert(appid.to_owned(), grant);
        Ok(code)
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
    if component.secret == secret { Ok(ok(json!({}))) } else { Err(Refusal::new(40125)) }
}

fn pre_auth_code(world: &mut World, component: &str, asked: &Asked, _: u64) -> Answer {
    if asked.required("component_appid", 41018)? != component {
        return Err(Refusal::new(40013));
    }
    let code = format!("preauthcode@@@{}", world.chance.phone_code());
    Ok(plain(json!({ "pre_auth_code": code, "expires_in": 1800 })))
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
    let issued = world.tokens.renew(&appid, Kind::Authorizer, now_ms, &mut world.chance);
    Ok(plain(json!({ "authorization_info": {
        "authorizer_appid": appid,
        "authorizer_access_token": *issued.text,
        "expires_in": issued.expires_in,
        "authorizer_refresh_token": refresh_token,
        "func_info": [{ "funcscope_category": { "id": 17 } }, { "funcscope_category": { "id": 18 } }],
    }})))
}

fn authorizer_token(world: &mut World, component: &str, asked: &Asked, now_ms: u64) -> Answer {
    let appid = asked.required("authorizer_appid", 41002)?;
    let sent = asked.required("authorizer_refresh_token", 61023)?;
    let grant = world.component(component)?.grants.get(appid).filter(|grant| grant.taken);
    let refresh_token = grant.ok_or(Refusal::new(61003))?.refresh_token.clone();
    if refresh_token != sent {
        return Err(Refusal::new(61023));
    }
    let issued = world.tokens.renew(appid, Kind::Authorizer, now_ms, &mut world.chance);
    Ok(plain(json!({
        "authorizer_access_token": *issued.text,
        "expires_in": issued.expires_in,
        "authorizer_refresh_token": refresh_token,
    })))
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
