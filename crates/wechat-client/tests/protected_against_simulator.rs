//! Signed and encrypted calls against a WeChat that verifies and answers them with code of its own.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use wxgate_crypto::Secret;
use wxgate_crypto::api_security::{ApiSecurity, ApiSecurityFailure, PlatformKey, RequestKey, SymmetricKey};
use wxgate_domain::{AppSecrets, Timestamp, WechatAppid};
use wxgate_wechat_client::{
    Access, AccessToken, BadResponse, BaseUrl, CallError, Client, ClientConfig, DailyQuota, PhoneCode, Security,
    TokenMode,
};
use wxgate_wechat_sim::{SimulatedApp, Simulator, SimulatorConfig};

const APPID: &str = "wx0000000000000001";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

struct World {
    simulator: Simulator,
    client: Client,
    steering: reqwest::Client,
    appid: WechatAppid,
    token: AccessToken,
    certificate_ends: AtomicBool,
}

impl World {
    async fn start() -> Self {
        let app = SimulatedApp { appid: APPID.into(), secret: SECRET.into(), union_group: None };
        let listen = "127.0.0.1:0".parse().unwrap();
        let simulator =
            Simulator::start(SimulatorConfig { listen, apps: vec![app], expose: false, adopts: false }).await.unwrap();
        let client = Client::new(ClientConfig {
            base_url: BaseUrl::parse(&simulator.url(), true).unwrap(),
            connect_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(30),
            ..ClientConfig::default()
        })
        .unwrap();
        let credential = AppSecrets::only(SECRET.parse().unwrap());
        let appid: WechatAppid = APPID.parse().unwrap();
        let token = client.stable_token(&appid, &credential, TokenMode::Normal).await.unwrap().token;
        let steering = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { simulator, client, steering, appid, token, certificate_ends: AtomicBool::new(false) }
    }

    async fn steer(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let url = format!("{}/sim/{path}", self.simulator.url());
        let reply = self.steering.request(method, url).json(&body).send().await.unwrap();
        assert!(reply.status().is_success(), "{path} {body}: {}", reply.status());
        reply.json().await.unwrap()
    }

    /// The simulator's console, and the keys as we read them.
    async fn keys(&self) -> (Value, ApiSecurity) {
        let console = self.steer(reqwest::Method::POST, "api-security", json!({ "appid": APPID })).await;
        let keys = read(&console);
        (console, keys)
    }

    async fn now(&self) -> Timestamp {
        let url = format!("{}/sim/health", self.simulator.url());
        let health: Value = self.steering.get(url).send().await.unwrap().json().await.unwrap();
        Timestamp::from_millis(health["now_ms"].as_i64().unwrap())
    }

    async fn quota(&self, keys: Option<(&ApiSecurity, Timestamp)>) -> Result<DailyQuota, CallError> {
        let security = keys.map(|(keys, now)| Security { keys, now, certificate_ends: &self.certificate_ends });
        let access = Access { security, ..Access::plain(&self.appid, &self.token) };
        self.client.daily_quota(&access, &"/wxa/business/getuserphonenumber".parse().unwrap()).await
    }
}

fn read(console: &Value) -> ApiSecurity {
    let text = |name: &str| console[name].as_str().unwrap();
    let secret = |name: &str| Secret::new(text(name).to_owned());
    ApiSecurity {
        symmetric: SymmetricKey::parse(text("symmetric_serial"), &secret("symmetric_key")).unwrap(),
        signer: RequestKey::parse(&secret("private_key")).unwrap(),
        platform: vec![PlatformKey::parse(text("certificate_serial"), text("certificate")).unwrap()],
    }
}

fn errcode(result: Result<DailyQuota, CallError>) -> i64 {
    match result {
        Err(CallError::Refused(refused)) => refused.errcode,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn both_sides_understand_each_other() {
    let world = World::start().await;
    let (_, keys) = world.keys().await;
    let now = world.now().await;
    assert_eq!(world.quota(Some((&keys, now))).await.unwrap().remain, 1_000_000);

    let body = json!({ "appid": APPID, "openid": "oAlice", "phone": "13800138000" });
    let code = world.steer(reqwest::Method::POST, "phone-codes", body).await;
    let code = PhoneCode::parse(code["code"].as_str().unwrap()).unwrap();
    let security = Some(Security { keys: &keys, now, certificate_ends: &world.certificate_ends });
    let access = Access { security, ..Access::plain(&world.appid, &world.token) };
    let phone = world.client.phone_number(&access, &code, &"oAlice".parse().unwrap()).await.unwrap();
    assert_eq!(phone.national(), "13800138000");
    assert!(!world.certificate_ends.load(Ordering::Relaxed));
    // What does not take such calls goes out plain.
    world.client.check_token(&access).await.unwrap();
}

#[tokio::test]
async fn plain_calls_old_calls_and_foreign_keys_are_refused() {
    let world = World::start().await;
    world.quota(None).await.unwrap();
    let (console, keys) = world.keys().await;
    let now = world.now().await;
    assert_eq!(errcode(world.quota(None).await), 40_233);
    let old = Timestamp::from_millis(now.millis() - 400_000);
    assert_eq!(errcode(world.quota(Some((&keys, old))).await), 40_240);

    let (other, _) = world.keys().await;
    let mixed = |names: &[&str]| {
        let mut mixed = other.clone();
        for name in names {
            mixed[*name] = console[*name].clone();
        }
        read(&mixed)
    };
    assert_eq!(errcode(world.quota(Some((&mixed(&["private_key"]), now))).await), 40_234);
    assert_eq!(errcode(world.quota(Some((&mixed(&["symmetric_key"]), now))).await), 40_235);
    assert_eq!(errcode(world.quota(Some((&mixed(&["symmetric_serial"]), now))).await), 40_235);
    let unknown = world.quota(Some((&mixed(&["certificate_serial", "certificate"]), now))).await;
    assert_eq!(unknown, Err(CallError::BadResponse(BadResponse::Protection(ApiSecurityFailure::Serial))));
}

#[tokio::test]
async fn a_certificate_that_is_about_to_go_serves_and_is_noticed() {
    let world = World::start().await;
    let (mut console, keys) = world.keys().await;
    let now = world.now().await;
    let next = world.steer(reqwest::Method::POST, "api-security/certificate", json!({ "appid": APPID })).await;
    world.quota(Some((&keys, now))).await.unwrap();
    assert!(world.certificate_ends.swap(false, Ordering::Relaxed));

    for name in ["certificate_serial", "certificate"] {
        console[name] = next[name].clone();
    }
    world.quota(Some((&read(&console), now))).await.unwrap();
    assert!(!world.certificate_ends.load(Ordering::Relaxed));
    world.steer(reqwest::Method::DELETE, "api-security/certificate", json!({ "appid": APPID })).await;
    let unknown = world.quota(Some((&keys, now))).await;
    assert_eq!(unknown, Err(CallError::BadResponse(BadResponse::Protection(ApiSecurityFailure::Serial))));
}

#[tokio::test]
async fn keys_that_the_console_has_no_more_are_named() {
    let world = World::start().await;
    let (_, keys) = world.keys().await;
    let now = world.now().await;
    for (key, refused) in [("symmetric_key", 40_238), ("public_key", 40_239)] {
        let body = json!({ "appid": APPID, "key": key });
        world.steer(reqwest::Method::DELETE, "api-security/keys", body).await;
        assert_eq!(errcode(world.quota(Some((&keys, now))).await), refused);
    }
}

#[tokio::test]
async fn answers_that_were_tampered_with_are_none() {
    let world = World::start().await;
    let (_, keys) = world.keys().await;
    let now = world.now().await;
    world.quota(Some((&keys, now))).await.unwrap();
    for (kind, bad) in [
        ("wrong_serial", BadResponse::Protection(ApiSecurityFailure::Serial)),
        ("wrong_signature", BadResponse::Protection(ApiSecurityFailure::Signature)),
        ("wrong_aad", BadResponse::Protection(ApiSecurityFailure::Tag)),
        ("old_timestamp", BadResponse::Protection(ApiSecurityFailure::Stale)),
        ("replayed", BadResponse::Replayed),
        ("in_clear", BadResponse::Unprotected),
    ] {
        world
            .steer(reqwest::Method::POST, "faults", json!({ "route": "/cgi-bin/openapi/quota/get", "kind": kind }))
            .await;
        assert_eq!(world.quota(Some((&keys, now))).await, Err(CallError::BadResponse(bad)), "{kind}");
    }
    world.quota(Some((&keys, now))).await.unwrap();
}
