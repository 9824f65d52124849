//! `/sim/api-security`: keys for calls that are signed and encrypted.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, ServiceConfig};
use serde::Deserialize;
use serde_json::json;

use super::{Body, Refused, read, resource};
use crate::api_security::{self, Half};
use crate::routes::Shared;
use crate::state::SteeringError;

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(resource("/api-security", [web::post().to(switch_on), web::delete().to(switch_off)]))
        .service(resource("/api-security/keys", [web::delete().to(forget)]))
        .service(resource("/api-security/certificate", [web::post().to(replace), web::delete().to(retire)]));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppBody {
    appid: String,
}

/// Gives an app new keys, and has it use them from now on.
async fn switch_on(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let AppBody { appid } = read(body)?;
    let mut world = shared.world();
    let made = api_security::make(&mut world.chance).ok_or_else(no_keys)?;
    let app = world.apps.get_mut(&appid).ok_or(SteeringError::UnknownApp)?;
    let (keys, console) = made;
    app.api_security = Some(keys);
    Ok(HttpResponse::Ok().json(console))
}

async fn switch_off(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let AppBody { appid } = read(body)?;
    let mut world = shared.world();
    world.apps.get_mut(&appid).ok_or(SteeringError::UnknownApp)?.api_security = None;
    Ok(HttpResponse::Ok().json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForgetBody {
    appid: String,
    key: Half,
}

/// Takes one of the app's keys out of the console.
async fn forget(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let ForgetBody { appid, key } = read(body)?;
    let mut world = shared.world();
    let keys = world.apps.get_mut(&appid).and_then(|app| app.api_security.as_mut()).ok_or(SteeringError::UnknownApp)?;
    keys.forget(key);
    Ok(HttpResponse::Ok().json(json!({})))
}

/// Replaces WeChat's certificate; the one before signs beside it.
async fn replace(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let AppBody { appid } = read(body)?;
    let world = &mut *shared.world();
    let keys = world.apps.get_mut(&appid).and_then(|app| app.api_security.as_mut()).ok_or(SteeringError::UnknownApp)?;
    let (serial, certificate) = keys.replace_certificate(&mut world.chance).ok_or_else(no_keys)?;
    Ok(HttpResponse::Ok().json(json!({ "certificate_serial": serial, "certificate": certificate })))
}

/// The certificate before signs no more.
async fn retire(shared: Data<Shared>, body: Body) -> Result<HttpResponse, Refused> {
    let AppBody { appid } = read(body)?;
    let mut world = shared.world();
    let keys = world.apps.get_mut(&appid).and_then(|app| app.api_security.as_mut()).ok_or(SteeringError::UnknownApp)?;
    keys.retire();
    Ok(HttpResponse::Ok().json(json!({})))
}

fn no_keys() -> Refused {
    Refused(StatusCode::INTERNAL_SERVER_ERROR, "no keys could be made".into())
}
