//! The routes under `/sim`.

mod api_security;
pub(crate) mod platforms;

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data, Path, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource, ResponseError, Route};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::codes::CountryCode;
use crate::faults::{FaultBody, InvalidFault, route_named};
use crate::routes::Shared;
use crate::simulator::SimulatedApp;
use crate::state::{SteeringError, World};
use crate::user_data::{self, EncryptBody, SealError};

/// Largest body taken, in bytes.
pub(crate) const MAX_BODY: usize = 64 * 1024;

pub(crate) fn configure(config: &mut ServiceConfig) {
    config
        .app_data(web::PayloadConfig::new(MAX_BODY))
        .service(resource("/codes", [web::post().to(issue_code)]))
        .service(resource("/phone-codes", [web::post().to(issue_phone_code)]))
        .service(resource("/encrypt", [web::post().to(encrypt)]))
        .service(resource("/tokens/end", [web::post().to(end_tokens)]))
        .service(resource("/faults", [web::post().to(add_fault), web::delete().to(clear_faults)]))
        .service(resource("/clock", [web::post().to(advance_clock)]))
        .service(resource("/journal", [web::get().to(read_journal), web::delete().to(clear_journal)]))
        .service(resource("/apps", [web::post().to(put_app)]))
        .service(resource("/apps/{appid}", [web::delete().to(remove_app)]))
        .service(resource("/apps/{appid}/condition", [web::put().to(put_condition)]))
        .service(resource("/quotas", [web::post().to(limit_quota)]))
        .service(resource("/payments", [web::post().to(pay)]))
        .service(resource("/encrypt-keys", [web::post().to(latest_encrypt_key)]))
        .configure(api_security::configure)
        .configure(platforms::configure)
        .service(resource("/health", [web::get().to(health)]))
        .default_service(web::to(no_such_route));
}

pub(crate) fn resource<const N: usize>(path: &str, routes: [Route; N]) -> Resource {
    routes.into_iter().fold(web::resource(path), Resource::route).default_service(web::to(wrong_method))
}

async fn no_such_route() -> Result<HttpResponse, Refused> {
    Err(Refused(StatusCode::NOT_FOUND, "no such route".into()))
}

async fn wrong_method() -> Result<HttpResponse, Refused> {
    Err(Refused(StatusCode::METHOD_NOT_ALLOWED, "this route does not take this method".into()))
}

/// A refusal of a steering request: `{"error": "..."}`.
#[derive(Debug, thiserror::Error)]
#[error("{1}")]
pub(crate) struct Refused(pub(crate) StatusCode, pub(crate) String);

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        self.0
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.0).json(json!({ "error": self.1 }))
    }
}

impl From<SteeringError> for Refused {
    fn from(error: SteeringError) -> Self {
        let status = match error {
            SteeringError::UnknownApp => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        Self(status, error.to_string())
    }
}

impl From<InvalidFault> for Refused {
    fn from(error: InvalidFault) -> Self {
        Self(StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl From<SealError> for Refused {
    fn from(error: SealError) -> Self {
        Self(StatusCode::BAD_REQUEST, error.to_string())
    }
}

/// The body of a request as it came; a refusal stands for one that is too long or broke off.
pub(crate) type Body = Result<Bytes, actix_web::Error>;

/// Reads a body as JSON, whatever its label: it may come from `curl -d`.
pub(crate) fn read<T: DeserializeOwned>(body: Body) -> Result<T, Refused> {
    let body = body.map_err(|error| {
        Refused(error.as_response_error().status_code(), format!("the body must be whole and at most {MAX_BODY} bytes"))
    })?;
    // The message names line, column and field; its reader is who sent the body.
    serde_json::from_slice(&body).map_err(|error| Refused(StatusCode::BAD_REQUEST, error.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeBody {
    appid: String,
    openid: Option<String>,
    unionid: Option<String>,
    #[serde(default = "yes")]
    rotate: bool,
}

fn yes() -> bool {
    true
}

#[derive(Serialize)]
struct CodeReply<'a> {
    code: &'a str,
    openid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unionid: Option<&'a str>,
}

async fn issue_code(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let body: CodeBody = read(body)?;
    let now_ms = shared.clock.now_ms();
    let issued = shared.world().issue_login(&body.appid, body.openid, body.unionid, body.rotate, now_ms)?;
    Ok(HttpResponse::Ok().json(CodeReply {
        code: &issued.code,
        openid: &issued.openid,
        unionid: issued.unionid.as_deref(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PhoneCodeBody {
    appid: String,
    openid: Option<String>,
    phone: Option<String>,
    #[serde(default)]
    country_code: CountryCode,
}

async fn issue_phone_code(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let body: PhoneCodeBody = read(body)?;
    let now_ms = shared.clock.now_ms();
    let PhoneCodeBody { appid, openid, phone, country_code } = body;
    let issued = shared.world().issue_phone(&appid, openid, phone, country_code, now_ms)?;
    Ok(HttpResponse::Ok().json(json!({ "code": issued.code, "openid": issued.openid, "phone": issued.phone })))
}

async fn encrypt(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let mut body: EncryptBody = read(body)?;
    let subject = shared.world().subject(&body.appid, &body.openid, body.phone.take())?;
    let now_ms = shared.clock.now_ms();
    let sealed = user_data::seal(&body, &subject, now_ms)?;
    if body.is_genuine_phone() {
        shared.world().genuine.note(&body.appid, sealed.digest(), now_ms / 1000);
    }
    Ok(HttpResponse::Ok().json(sealed))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokensBody {
    appid: String,
}

async fn end_tokens(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let body: TokensBody = read(body)?;
    let now_ms = shared.clock.now_ms();
    let ended = shared.world().end_tokens(&body.appid, now_ms)?;
    Ok(HttpResponse::Ok().json(json!({ "ended": ended })))
}

async fn add_fault(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let body: FaultBody = read(body)?;
    let now_ms = shared.clock.now_ms();
    let pending = shared.world().faults.add(body, now_ms)?;
    Ok(HttpResponse::Ok().json(json!({ "pending": pending })))
}

async fn clear_faults(shared: Data<Shared>) -> HttpResponse {
    let cleared = shared.world().faults.clear();
    HttpResponse::Ok().json(json!({ "cleared": cleared }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockBody {
    advance_ms: u64,
}

async fn advance_clock(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let body: ClockBody = read(body)?;
    let now_ms = shared
        .clock
        .advance(body.advance_ms)
        .ok_or_else(|| Refused(StatusCode::BAD_REQUEST, "the clock can be moved by ten years in all".into()))?;
    Ok(HttpResponse::Ok().json(json!({ "now_ms": now_ms })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JournalQuery {
    #[serde(default)]
    since: u64,
}

async fn read_journal(shared: Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Refused> {
    let query = Query::<JournalQuery>::from_query(request.query_string())
        .map_err(|_| Refused(StatusCode::BAD_REQUEST, "the query takes since, a number".into()))?;
    let page = shared.journal().since(query.since);
    Ok(HttpResponse::Ok().json(page))
}

async fn clear_journal(shared: Data<Shared>) -> HttpResponse {
    let cleared = shared.journal().clear();
    HttpResponse::Ok().json(json!({ "cleared": cleared }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppBody {
    appid: String,
    secret: String,
    union_group: Option<String>,
}

async fn put_app(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let AppBody { appid, secret, union_group } = read(body)?;
    shared.world().put_app(SimulatedApp { appid, secret, union_group })?;
    Ok(HttpResponse::Ok().json(json!({})))
}

async fn remove_app(shared: Data<Shared>, appid: Path<String>) -> Result<HttpResponse, Refused> {
    shared.world().remove_app(&appid)?;
    Ok(HttpResponse::Ok().json(json!({})))
}

async fn put_condition(shared: Data<Shared>, appid: Path<String>, body: Body) -> Result<HttpResponse, Refused> {
    shared.world().put_condition(&appid, read(body)?)?;
    Ok(HttpResponse::Ok().json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuotaBody {
    appid: String,
    route: String,
    daily_limit: u64,
}

async fn limit_quota(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let QuotaBody { appid, route, daily_limit } = read(body)?;
    let (path, now_ms) = (route_named(&route)?, shared.clock.now_ms());
    let mut world = shared.world();
    if !world.apps.contains_key(&appid) && !world.components.contains_key(&appid) {
        return Err(SteeringError::UnknownApp.into());
    }
    world.quotas.limit(&appid, path, daily_limit, now_ms);
    Ok(HttpResponse::Ok().json(json!({})))
}

/// A person who has logged in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonBody {
    appid: String,
    openid: String,
}

impl PersonBody {
    fn must_be_known(&self, world: &World) -> Result<(), SteeringError> {
        world.session_key(&self.appid, &self.openid).map(drop).ok_or(SteeringError::NoSessionKey)
    }
}

async fn pay(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let person: PersonBody = read(body)?;
    let (mut world, now_ms) = (shared.world(), shared.clock.now_ms());
    person.must_be_known(&world)?;
    let World { payments, chance, .. } = &mut *world;
    Ok(HttpResponse::Ok().json(payments.make(&person.appid, &person.openid, now_ms, chance)))
}

async fn latest_encrypt_key(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let person: PersonBody = read(body)?;
    let (mut world, now_ms) = (shared.world(), shared.clock.now_ms());
    person.must_be_known(&world)?;
    let World { encrypt_keys, chance, .. } = &mut *world;
    Ok(HttpResponse::Ok().json(encrypt_keys.latest(&person.appid, &person.openid, now_ms / 1000, chance)))
}

async fn health(shared: Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok", "now_ms": shared.clock.now_ms() }))
}
