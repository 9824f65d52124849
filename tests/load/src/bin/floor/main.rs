//! The floor: the least that any durable login or refresh costs, and what a request costs that asks for nothing.
//!
//! A login is one call to code2Session, one row in a group-committed SQLite transaction, one ES256 signature with a key
//! that was parsed once, and nothing else: no checks, no limits, no log, no tenants. A refresh is one updated row and one
//! signature. Both are as durable as the gateway's: the row is synced to disk before anyone is answered.

mod batch;

use std::path::PathBuf;
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, error, web};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use clap::Parser;
use reqwest::{redirect, retry};
use serde::{Deserialize, Serialize};

use crate::batch::{Batcher, Write};

#[derive(Parser)]
struct Args {
    /// WeChat's API, without a path.
    #[arg(long)]
    wechat: String,
    /// The AppSecret of every app.
    #[arg(long)]
    secret: String,
    /// The SQLite database, made here.
    #[arg(long)]
    database: PathBuf,
}

struct Floor {
    http: reqwest::Client,
    code_to_session: String,
    secret: String,
    sessions: Batcher,
    key: EcdsaKeyPair,
    random: SystemRandom,
}

#[derive(Deserialize)]
struct LoginBody {
    code: String,
}

#[derive(Deserialize)]
struct Identity {
    openid: String,
    session_key: String,
}

#[derive(Deserialize)]
struct RefreshBody {
    refresh_token: String,
}

#[derive(Serialize)]
struct Reply {
    access_token: String,
    refresh_token: String,
}

async fn login(
    floor: web::Data<Floor>,
    appid: web::Path<String>,
    body: web::Json<LoginBody>,
) -> actix_web::Result<HttpResponse> {
    let query = [
        ("appid", appid.as_str()),
        ("secret", &floor.secret),
        ("js_code", &body.code),
        ("grant_type", "authorization_code"),
    ];
    let answer = floor.http.get(&floor.code_to_session).query(&query).send().await.map_err(error::ErrorBadGateway)?;
    let answer = answer.bytes().await.map_err(error::ErrorBadGateway)?;
    let identity: Identity = serde_json::from_slice(&answer).map_err(error::ErrorBadGateway)?;
    let Identity { openid, session_key } = identity;
    let session = floor.sessions.commit(Write::Open { openid: openid.clone(), session_key }).await;
    floor.answer(&openid, session.map_err(error::ErrorServiceUnavailable)?)
}

async fn refresh(floor: web::Data<Floor>, body: web::Json<RefreshBody>) -> actix_web::Result<HttpResponse> {
    let session = body.refresh_token.parse().map_err(error::ErrorUnprocessableEntity)?;
    let session = floor.sessions.commit(Write::Rotate { session }).await;
    floor.answer("", session.map_err(error::ErrorGone)?)
}

/// What a server costs that does nothing.
async fn hello() -> &'static str {
    "Hello, world!"
}

impl Floor {
    fn answer(&self, openid: &str, session: i64) -> actix_web::Result<HttpResponse> {
        let claims = format!(r#"{{"sub":"{openid}","sid":{session}}}"#);
        let mut token = BASE64URL.encode(r#"{"alg":"ES256","typ":"at+jwt"}"#);
        token.push('.');
        BASE64URL.encode_string(claims, &mut token);
        let signature = self.key.sign(&self.random, token.as_bytes()).map_err(error::ErrorServiceUnavailable)?;
        token.push('.');
        BASE64URL.encode_string(signature, &mut token);
        Ok(HttpResponse::Ok().json(Reply { access_token: token, refresh_token: session.to_string() }))
    }
}

/// With the settings of the gateway's client.
fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .http1_only()
        .connect_timeout(Duration::from_secs(1))
        .timeout(Duration::from_secs(2))
        .pool_max_idle_per_host(256)
        .pool_idle_timeout(Duration::from_secs(30))
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(retry::never())
        .build()
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Args { wechat, secret, database } = Args::parse();
    let sessions = Batcher::start(&database)?;
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(|e| e.to_string())?;
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).map_err(|e| e.to_string())?;
    let code_to_session = format!("{wechat}/sns/jscode2session");
    let floor = web::Data::new(Floor { http: client()?, code_to_session, secret, sessions, key, random });

    let server = HttpServer::new(move || {
        App::new()
            .app_data(floor.clone())
            .route("/v1/apps/{appid}/login", web::post().to(login))
            .route("/v1/token/refresh", web::post().to(refresh))
            .route("/hello", web::get().to(hello))
    })
    .bind("127.0.0.1:0")?;
    for address in server.addrs() {
        println!("floor listening on http://{address}");
    }
    server.run().await?;
    Ok(())
}
