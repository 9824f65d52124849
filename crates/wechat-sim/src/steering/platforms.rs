//! Steering of pushes and of third-party platforms.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, ServiceConfig};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Body, Refused, read, resource};
use crate::component::{AuthorizationBody, Authorized};
use crate::post::{Delivery, NotSent, get, post};
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

async fn put_component(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    shared.world().put_component(read(body)?)?;
    Ok(HttpResponse::Ok().json(json!({})))
}

/// Pushes an event to a platform as WeChat does: until it is answered, three times at most. `null` if it takes none.
async fn tell(shared: &Shared, appid: &str, event: Value) -> Result<Option<Delivery>, Refused> {
    let told = shared.world().component_push(appid, event, shared.clock.now_ms())?;
    let Some((url, push)) = told else { return Ok(None) };
    let mut last = None;
    for _ in 0..MOST_DELIVERIES {
        let sent = post(&url, &push, shared.exposed).await.map_err(not_sent)?;
        let done = sent.is_answer();
        last = Some(sent);
        if done {
            break;
        }
    }
    Ok(last)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TicketBody {
    appid: String,
}

async fn issue_ticket(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let TicketBody { appid } = read(body)?;
    let (ticket, delivery) = push_ticket(&shared, &appid).await?;
    Ok(HttpResponse::Ok().json(json!({ "ticket": ticket, "delivery": delivery })))
}

/// Pushes a new ticket, if the platform takes pushes.
pub(crate) async fn push_ticket(shared: &Shared, appid: &str) -> Result<(String, Option<Delivery>), Refused> {
    let ticket = shared.world().issue_ticket(appid, shared.clock.now_ms())?;
    let event = json!({ "InfoType": "component_verify_ticket", "ComponentVerifyTicket": ticket });
    let delivery = tell(shared, appid, event).await?;
    Ok((ticket, delivery))
}

async fn authorize(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let body: AuthorizationBody = read(body)?;
    let (component, pushed) = (body.component_appid.clone(), body.pushed);
    let now_ms = shared.clock.now_ms();
    let Authorized { code, redirect, event } = shared.world().authorize(body, now_ms)?;
    let delivery = if pushed { tell(&shared, &component, event).await? } else { None };
    Ok(HttpResponse::Ok().json(json!({ "authorization_code": code, "redirect": redirect, "delivery": delivery })))
}

async fn unauthorize(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let AuthorizationBody { component_appid, appid, pushed, .. } = read(body)?;
    shared.world().unauthorize(&component_appid, &appid)?;
    let event = json!({ "InfoType": "unauthorized", "AuthorizerAppid": appid });
    let delivery = if pushed { tell(&shared, &component_appid, event).await? } else { None };
    Ok(HttpResponse::Ok().json(json!({ "delivery": delivery })))
}
