//! Steering of pushes and of third-party platforms.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, ServiceConfig};
use serde::Deserialize;
use serde_json::json;

use super::{Body, Refused, read, resource};
use crate::post::{NotSent, get, post};
use crate::push::{PushBody, VerifyBody};
use crate::routes::Shared;

/// How often WeChat sends a push at most that is not answered.
const MOST_DELIVERIES: u8 = 3;

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(resource("/push", [web::post().to(push)]))
        .service(resource("/push/verify", [web::post().to(verify)]))
        .service(resource("/components", [web::post().to(put_component)]))
        .service(resource("/components/tickets", [web::post().to(issue_ticket)]))
        .service(resource("/authorizations", [web::post().to(authorize), web::delete().to(unauthorize)]));
}

async fn push(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let body: PushBody = read(body)?;
    let now_ms = shared.clock.now_ms();
    let written = body.write(now_ms, &mut shared.world().chance);
    let push = written.map_err(|error| Refused(StatusCode::BAD_REQUEST, error.to_string()))?;
    let mut deliveries = Vec::new();
    if let Some(url) = &body.url {
        for _ in 0..if body.until_answered { MOST_DELIVERIES } else { body.times } {
            let sent = post(url, &push, shared.exposed).await.map_err(not_sent)?;
            let done = body.until_answered && sent.is_answer();
            deliveries.push(sent);
            if done {
                break;
            }
        }
    }
    Ok(HttpResponse::Ok().json(json!({ "push": push, "deliveries": deliveries })))
}

async fn verify(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let body: VerifyBody = read(body)?;
    let verification = body.write(shared.clock.now_ms(), &mut shared.world().chance);
    let answer = get(&body.url, &verification.query, shared.exposed).await.map_err(not_sent)?;
    let verified = answer.echoes(&verification.echostr);
    Ok(HttpResponse::Ok().json(json!({ "verified": verified, "query": verification.query, "answer": answer })))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn not_sent(error: NotSent) -> Refused {
    Refused(StatusCode::BAD_REQUEST, error.to_string())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ComponentBody {
    appid: String,
    secret: String,
}

async fn put_component(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let ComponentBody { appid, secret } = read(body)?;
    shared.world().put_component(appid, secret)?;
    Ok(HttpResponse::Ok().json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TicketBody {
    appid: String,
}

async fn issue_ticket(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let TicketBody { appid } = read(body)?;
    let now_ms = shared.clock.now_ms();
    let ticket = shared.world().issue_ticket(&appid, now_ms)?;
    Ok(HttpResponse::Ok().json(json!({ "ticket": ticket })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorizationBody {
    component_appid: String,
    appid: String,
}

async fn authorize(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let AuthorizationBody { component_appid, appid } = read(body)?;
    let now_ms = shared.clock.now_ms();
    let code = shared.world().authorize(&component_appid, &appid, now_ms)?;
    Ok(HttpResponse::Ok().json(json!({ "authorization_code": code })))
}

async fn unauthorize(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let AuthorizationBody { component_appid, appid } = read(body)?;
    shared.world().unauthorize(&component_appid, &appid)?;
    Ok(HttpResponse::Ok().json(json!({})))
}
