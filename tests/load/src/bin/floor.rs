//! The floor: the least that any durable login costs.
//!
//! One call to code2Session, one row in a group-committed SQLite transaction, one ES256 signature with a key that was
//! parsed once, and nothing else: no checks, no limits, no log, no tenants. It is as durable as the gateway: the row is
//! synced to disk before anyone is answered.

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, error, web};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use clap::Parser;
use reqwest::{redirect, retry};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// The same bound as the gateway's.
const LARGEST_BATCH: usize = 256;

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
    sessions: mpsc::Sender<Job>,
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

#[derive(Serialize)]
struct LoginReply<'a> {
    access_token: &'a str,
    openid: &'a str,
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

    let (caller, committed) = oneshot::channel();
    let job = Job { openid: identity.openid.clone(), session_key: identity.session_key, caller };
    floor.sessions.send(job).map_err(error::ErrorServiceUnavailable)?;
    let session = committed.await.map_err(error::ErrorServiceUnavailable)?;

    let claims = format!(r#"{{"sub":"{}","sid":{session}}}"#, identity.openid);
    let mut token = BASE64URL.encode(r#"{"alg":"ES256","typ":"at+jwt"}"#);
    token.push('.');
    BASE64URL.encode_string(claims, &mut token);
    let signature = floor.key.sign(&floor.random, token.as_bytes()).map_err(error::ErrorServiceUnavailable)?;
    token.push('.');
    BASE64URL.encode_string(signature, &mut token);
    Ok(HttpResponse::Ok().json(LoginReply { access_token: &token, openid: &identity.openid }))
}

struct Job {
    openid: String,
    session_key: String,
    caller: oneshot::Sender<i64>,
}

/// Group commit on a thread of its own: while one transaction is in flight the next batch collects in the channel.
fn batcher(mut database: Connection, jobs: &mpsc::Receiver<Job>) -> rusqlite::Result<()> {
    while let Ok(first) = jobs.recv() {
        let batch: Vec<_> = std::iter::once(first).chain(jobs.try_iter().take(LARGEST_BATCH - 1)).collect();
        let mut ids = Vec::with_capacity(batch.len());
        let transaction = database.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO session (openid, session_key) VALUES (?, ?)")?;
            for job in &batch {
                ids.push(insert.insert(params![job.openid, job.session_key])?);
            }
        }
        transaction.commit()?;
        for (job, id) in batch.into_iter().zip(ids) {
            // A caller that has gone needs no answer.
            let _ = job.caller.send(id);
        }
    }
    Ok(())
}

fn open(path: &PathBuf) -> rusqlite::Result<Connection> {
    let database = Connection::open(path)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute_batch("CREATE TABLE session (id INTEGER PRIMARY KEY, openid TEXT, session_key TEXT)")?;
    Ok(database)
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
    let Args { wechat, secret, database, .. } = Args::parse();
    let database = open(&database)?;
    let (sessions, jobs) = mpsc::channel();
    thread::spawn(move || {
        if let Err(error) = batcher(database, &jobs) {
            eprintln!("the batcher ended: {error}");
        }
    });
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(|e| e.to_string())?;
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).map_err(|e| e.to_string())?;
    let code_to_session = format!("{wechat}/sns/jscode2session");
    let floor = web::Data::new(Floor { http: client()?, code_to_session, secret, sessions, key, random });

    let server = HttpServer::new(move || {
        App::new().app_data(floor.clone()).route("/v1/apps/{appid}/login", web::post().to(login))
    })
    .bind("127.0.0.1:0")?;
    for address in server.addrs() {
        println!("floor listening on http://{address}");
    }
    server.run().await?;
    Ok(())
}
