//! WeChat's interfaces other than code2Session: the table, and the order of the checks.

use std::collections::HashMap;

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::web::Query;
use serde_json::{Map, Value};

use crate::api_security::{self, AppKeys, SealedAnswer, Signed};
use crate::faults::{FaultKind, Stage};
use crate::rids::Traced;
use crate::state::{Met, Outcome, Refusal, Success, World};
use crate::tokens::Kind;
use crate::{answer, business, component, operations, token_routes};

/// The answer of an interface: the fields of a success, or an errcode.
pub(crate) type Answer = Result<Map<String, Value>, Refusal>;

/// What a call proves itself with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// An app's AppSecret, among the parameters.
    Secret,
    /// An app's AppSecret as `appsecret`, with its appid, in the query or in the body.
    AppSecret,
    /// An access_token of an app, in the query.
    Token,
    /// The token of a third-party platform, in the query.
    Component,
    /// The interface looks for itself.
    Open,
}

/// One interface.
pub(crate) struct Api {
    pub(crate) path: &'static str,
    pub(crate) method: Method,
    pub(crate) proof: Proof,
    /// What the fault `missing_field` leaves out.
    pub(crate) main_field: &'static str,
    /// What it does once all checks have passed. The text is the appid that was proved, empty for [`Proof::Open`].
    pub(crate) run: fn(&mut World, &str, &Asked, u64) -> Answer,
}

impl Api {
    /// Whether its answer is a token with the seconds that it lives.
    pub(crate) fn gives_token(&self) -> bool {
        self.main_field.ends_with("access_token")
    }

    /// Whether it is called by this method. What is signed has a body, so it is always posted.
    fn is_called_by(&self, method: &Method) -> bool {
        *method == self.method || (*method == Method::POST && api_security::covers(self.path))
    }
}

/// All of them.
pub(crate) const APIS: &[&Api] = &[
    &token_routes::STABLE_TOKEN,
    &token_routes::TOKEN,
    &business::PHONE_NUMBER,
    &business::CHECK_SESSION,
    &business::RESET_SESSION_KEY,
    &business::CHECK_ENCRYPTED,
    &business::PAID_UNIONID,
    &business::ENCRYPT_KEY,
    &operations::CALLBACK_ADDRESSES,
    &operations::API_ADDRESSES,
    &operations::QUOTA,
    &operations::CLEAR_QUOTA,
    &operations::CLEAR_QUOTAS,
    &operations::CLEAR_QUOTAS_BY_SECRET,
    &operations::TRACE,
    &component::TOKEN,
    &component::START_TICKETS,
    &component::PRE_AUTH_CODE,
    &component::QUERY_AUTH,
    &component::AUTHORIZER_TOKEN,
    &component::AUTHORIZER_LIST,
    &component::LOGIN,
];

/// What was asked.
pub(crate) struct Asked {
    query: HashMap<String, String>,
    /// The fields of the body; an errcode if there are none to be had.
    body: Result<Map<String, Value>, i64>,
    is_get: bool,
    /// The call as it came, for an app whose calls are signed.
    signed: Signed,
}

impl Asked {
    pub(crate) fn read(api: &Api, request: &HttpRequest, body: &[u8]) -> Self {
        let (query, signed) = (request.query_string(), Signed::read(request, body));
        let pairs = Query::<Vec<(String, String)>>::from_query(query).map(Query::into_inner).unwrap_or_default();
        let mut query = HashMap::new();
        // The first of two wins, and what is empty is missing.
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.entry(name).or_insert(value);
        }
        let body =
            if body.trim_ascii().is_empty() { Err(44002) } else { serde_json::from_slice(body).map_err(|_| 47001) };
        Self { query, body, is_get: api.method == Method::GET, signed }
    }

    /// A parameter: of the query for a GET, of the body for a POST. What is empty is missing.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        if self.is_get {
            return self.query.get(name).map(String::as_str);
        }
        self.body.as_ref().ok()?.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// A parameter of the query or of the body.
    pub(crate) fn anywhere(&self, name: &str) -> Option<&str> {
        let in_body = || self.body.as_ref().ok()?.get(name)?.as_str().filter(|text| !text.is_empty());
        self.query.get(name).map(String::as_str).or_else(in_body)
    }

    /// A parameter that must be there.
    pub(crate) fn required(&self, name: &str, missing: i64) -> Result<&str, Refusal> {
        self.text(name).ok_or(Refusal::new(missing))
    }

    /// A truth value of the body; false if it is absent.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.body.as_ref().is_ok_and(|body| body.get(name).and_then(Value::as_bool).unwrap_or_default())
    }

    /// A whole number of the body.
    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.body.as_ref().ok()?.get(name)?.as_u64().and_then(|number| number.try_into().ok())
    }

    /// The token in the query.
    pub(crate) fn token(&self) -> Option<&str> {
        self.query.get("access_token").map(String::as_str)
    }
}

impl World {
    /// Whom a call is about, for the journal and for faults: the app it names, or that of its token.
    pub(crate) fn caller(&self, api: &Api, asked: &Asked) -> Option<String> {
        match api.proof {
            Proof::AppSecret => asked.anywhere("appid").map(str::to_owned),
            Proof::Secret | Proof::Open => asked.text("appid").or(asked.text("component_appid")).map(str::to_owned),
            Proof::Token | Proof::Component => {
                asked.token().and_then(|token| self.tokens.owner(token)).map(|owner| owner.to_string())
            }
        }
    }

    /// Answers a call, with the checks in WeChat's order.
    pub(crate) fn answer(&mut self, api: &Api, method: &Method, asked: &Asked, now_ms: u64) -> Outcome {
        let caller = self.caller(api, asked);
        let mut met = Met::default();
        let mut result = self.checked_call(api, method, asked, now_ms, &mut met);
        if let Ok(fields) = &mut result {
            met.note(self.faults.take(api.path, caller.as_deref(), Stage::Success, now_ms));
            met.change(fields, api.main_field);
        }
        let flaw = met.last();
        met.note(self.faults.take(api.path, caller.as_deref(), Stage::Answer, now_ms));
        let sealed = match (&result, &caller) {
            (Ok(fields), Some(appid)) => self.sealed(api, asked, (appid, fields), flaw, now_ms),
            _ => None,
        };
        let outcome = Outcome { sealed, ..self.outcome(result.map(Success::Fields), &met, now_ms) };
        if let Some(appid) = caller.filter(|_| outcome.result.is_err() && !api.path.starts_with("/sns/")) {
            let response = String::from_utf8_lossy(&answer::body(&outcome, false)).into_owned();
            let traced = Traced { appid, at_ms: now_ms, path: api.path, request: asked.sent(api), response };
            self.rids.note(&outcome.rid, traced);
        }
        outcome
    }

    fn checked_call(&mut self, api: &Api, method: &Method, asked: &Asked, now_ms: u64, met: &mut Met) -> Answer {
        if !api.is_called_by(method) {
            return Err(Refusal::new(if asked.is_get { 43001 } else { 43002 }));
        }
        let appid = match api.proof {
            Proof::Secret => {
                asked.checked_body()?;
                self.proved_by_secret(asked)?
            }
            Proof::AppSecret => {
                let appid = asked.anywhere("appid").ok_or(Refusal::new(41002))?;
                let secret = asked.anywhere("appsecret").ok_or(Refusal::new(41004))?;
                self.adopt(appid, secret);
                self.apps.get(appid).ok_or(Refusal::new(40013))?.prove(secret)?;
                appid.to_owned()
            }
            Proof::Token | Proof::Component => {
                let appid = self.proved_by_token(api, asked, now_ms, met)?;
                if let Some(keys) = self.keys_of(api, &appid) {
                    let body = Ok(keys.open(&appid, &asked.signed, now_ms / 1000)?);
                    let opened = Asked { query: HashMap::new(), body, is_get: false, signed: Signed::default() };
                    self.admit(api, &appid, met, now_ms)?;
                    return (api.run)(self, &appid, &opened, now_ms);
                }
                asked.checked_body()?;
                appid
            }
            Proof::Open => {
                asked.checked_body()?;
                String::new()
            }
        };
        let about = self.caller(api, asked).unwrap_or_default();
        self.admit(api, &about, met, now_ms)?;
        (api.run)(self, &appid, asked, now_ms)
    }

    /// The caller's address, the day's quota, the rate, and WeChat's own troubles.
    fn admit(&mut self, api: &Api, appid: &str, met: &mut Met, now_ms: u64) -> Result<(), Refusal> {
        self.meet_faults((api.path, appid), &[Stage::Address], met, now_ms)?;
        // Whoever names an app that there is not has no quota.
        if self.apps.contains_key(appid) || self.components.contains_key(appid) {
            self.quotas.count(appid, api.path, now_ms)?;
        }
        self.meet_faults((api.path, appid), &[Stage::Rate, Stage::Inside], met, now_ms)
    }

    /// The keys of an app whose calls of this interface must be signed.
    fn keys_of(&self, api: &Api, appid: &str) -> Option<&AppKeys> {
        self.apps.get(appid).filter(|_| api_security::covers(api.path))?.api_security.as_ref()
    }

    /// The answer to a signed call.
    fn sealed(
        &mut self,
        api: &Api,
        asked: &Asked,
        (appid, fields): (&str, &Map<String, Value>),
        flaw: Option<FaultKind>,
        now_ms: u64,
    ) -> Option<SealedAnswer> {
        let app = self.apps.get_mut(appid).filter(|_| api_security::covers(api.path))?;
        let to = (appid, asked.signed.url());
        app.api_security.as_mut()?.seal(to, (fields.clone(), flaw), now_ms / 1000, &mut self.chance)
    }

    /// Parameters, appid, grant_type, secret.
    fn proved_by_secret(&mut self, asked: &Asked) -> Result<String, Refusal> {
        let appid = asked.required("appid", 41002)?;
        let secret = asked.required("secret", 41004)?;
        self.adopt(appid, secret);
        let app = self.apps.get(appid).ok_or(Refusal::new(40013))?;
        if asked.text("grant_type") != Some("client_credential") {
            return Err(Refusal::new(40002));
        }
        app.prove(secret)?;
        Ok(appid.to_owned())
    }

    /// Token present, well-formed, known and latest, not expired, of an app.
    fn proved_by_token(&mut self, api: &Api, asked: &Asked, now_ms: u64, met: &mut Met) -> Result<String, Refusal> {
        let token = asked.token().ok_or(Refusal::new(41001))?;
        let (owner, kind) = self.tokens.check(token, now_ms).map_err(Refusal::new)?;
        self.meet_faults((api.path, &owner), &[Stage::Token], met, now_ms)?;
        let of_component = kind == Kind::Component;
        match (api.proof == Proof::Component, of_component) {
            (true, false) => Err(Refusal::new(61014)),
            (false, true) => Err(Refusal::new(61015)),
            (true, true) => Ok(owner.to_string()),
            (false, false) => match self.apps.get(&*owner) {
                None => Err(Refusal::new(40001)),
                Some(app) if app.condition.unauthorized => Err(Refusal::new(48001)),
                Some(_) => Ok(owner.to_string()),
            },
        }
    }

    /// Lets the faults of these stages happen.
    pub(crate) fn meet_faults(
        &mut self,
        (path, appid): (&str, &str),
        stages: &[Stage],
        met: &mut Met,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        for stage in stages {
            met.note(self.faults.take(path, Some(appid), *stage, now_ms));
            if let Some(refusal) = met.refusal {
                return Err(refusal);
            }
        }
        Ok(())
    }
}

impl Asked {
    /// The body of a call that named no secret, as WeChat remembers it.
    fn sent(&self, api: &Api) -> String {
        let body = self.body.as_ref().ok().filter(|_| api.proof == Proof::Token);
        body.and_then(|body| serde_json::to_string(body).ok()).unwrap_or_default()
    }

    /// The body of a POST is there and is a JSON object.
    fn checked_body(&self) -> Result<(), Refusal> {
        match self.body {
            Err(errcode) if !self.is_get => Err(Refusal::new(errcode)),
            _ => Ok(()),
        }
    }
}

/// The fields of a success that carries errcode and errmsg.
pub(crate) fn ok(more: Value) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("errcode".into(), 0.into());
    fields.insert("errmsg".into(), "ok".into());
    fields.extend(plain(more));
    fields
}

/// The fields of a success that carries neither.
pub(crate) fn plain(fields: Value) -> Map<String, Value> {
    if let Value::Object(fields) = fields { fields } else { Map::new() }
}
