//! Calls with an access_token against a WeChat that keeps its own books: which token works, which code was used.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

use std::time::Duration;

use serde_json::{Value, json};
use wxgate_crypto::user_data::{EncryptedUserData, SessionKey};
use wxgate_domain::{AppSecrets, OpenId, PhoneNumber, WechatAppid};
use wxgate_wechat_client::{
    Access, AccessToken, BaseUrl, CallError, Client, ClientConfig, IssuedToken, PhoneCode, Refused, RefusedClass,
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
    openid: OpenId,
    credential: AppSecrets,
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
        let steering = reqwest::Client::builder().no_proxy().build().unwrap();
        let credential = AppSecrets::only(SECRET.parse().unwrap());
        let (appid, openid) = (APPID.parse().unwrap(), "oAlice".parse().unwrap());
        Self { simulator, client, steering, appid, openid, credential }
    }

    async fn steer(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/sim/{path}", self.simulator.url());
        let reply = self.steering.post(url).json(&body).send().await.unwrap();
        assert!(reply.status().is_success(), "{path} {body}: {}", reply.status());
        reply.json().await.unwrap()
    }

    async fn pass(&self, seconds: u64) {
        self.steer("clock", json!({ "advance_ms": seconds * 1000 })).await;
    }

    async fn stable(&self, mode: TokenMode) -> Result<IssuedToken, CallError> {
        self.client.stable_token(&self.appid, &self.credential, mode).await
    }

    async fn token(&self) -> AccessToken {
        self.stable(TokenMode::Normal).await.unwrap().token
    }

    async fn login(&self) -> SessionKey {
        let reply = self.steer("codes", json!({ "appid": APPID, "openid": "oAlice" })).await;
        let code = reply["code"].as_str().unwrap().parse().unwrap();
        self.client.code_to_session(&self.appid, &self.credential, &code).await.unwrap().identity.session_key
    }

    async fn phone_code(&self, more: Value) -> PhoneCode {
        let mut body = json!({ "appid": APPID, "openid": "oAlice", "phone": "13800138000" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let reply = self.steer("phone-codes", body).await;
        PhoneCode::parse(reply["code"].as_str().unwrap()).unwrap()
    }

    async fn phone(&self, token: &AccessToken, code: &PhoneCode) -> Result<PhoneNumber, CallError> {
        self.client.phone_number(&Access::plain(&self.appid, token), code, &self.openid).await
    }

    async fn check(&self, token: &AccessToken, key: &SessionKey) -> Result<(), CallError> {
        self.client.check_session(&Access::plain(&self.appid, token), &self.openid, key).await
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, CallError>) -> Refused {
    match result {
        Err(CallError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_lives_its_life() {
    let world = World::start().await;
    let key = world.login().await;
    let first = world.stable(TokenMode::Normal).await.unwrap();
    assert_eq!(first.expires_in, Duration::from_hours(2));
    world.pass(3_600).await;
    let later = world.stable(TokenMode::Normal).await.unwrap();
    assert_eq!(later.token, first.token);
    assert!(later.expires_in <= Duration::from_hours(1));

    let forced = world.stable(TokenMode::Force).await.unwrap();
    assert_ne!(forced.token, first.token);
    assert_eq!(world.check(&first.token, &key).await, Ok(()), "both work for five minutes");
    world.pass(300).await;
    assert!(world.check(&first.token, &key).await.unwrap_err().token_is_dead());
    assert_eq!(world.check(&forced.token, &key).await, Ok(()));
    world.pass(7_200).await;
    let expired = refused(world.check(&forced.token, &key).await);
    assert_eq!((expired.errcode, expired.class), (42001, RefusedClass::TokenDead));
}

#[tokio::test]
async fn a_dead_token_costs_one_more_call_and_no_code() {
    let world = World::start().await;
    let (token, code) = (world.token().await, world.phone_code(json!({})).await);
    world.steer("tokens/end", json!({ "appid": APPID })).await;
    assert!(world.phone(&token, &code).await.unwrap_err().token_is_dead());
    assert_eq!(world.phone(&world.token().await, &code).await.unwrap().national(), "13800138000");
}

#[tokio::test]
async fn an_older_token_ends_with_the_next_but_one() {
    let world = World::start().await;
    let key = world.login().await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(world.client.legacy_token(&world.appid, &world.credential).await.unwrap().token);
    }
    assert!(world.check(&tokens[0], &key).await.unwrap_err().token_is_dead());
    assert_eq!([world.check(&tokens[1], &key).await, world.check(&tokens[2], &key).await], [Ok(()), Ok(())]);
}

#[tokio::test]
async fn a_wrong_secret_and_a_refused_address_are_told_apart() {
    let world = World::start().await;
    let wrong = AppSecrets::only("wrong".parse().unwrap());
    let refusal = refused(world.client.stable_token(&world.appid, &wrong, TokenMode::Normal).await);
    assert_eq!((refusal.errcode, refusal.class), (40125, RefusedClass::Misconfigured));
    let fault = json!({ "route": "stable_token", "kind": "ip_whitelist" });
    world.steer("faults", fault).await;
    let refusal = refused(world.stable(TokenMode::Normal).await);
    assert_eq!(refusal.our_address, Some("203.0.113.7".parse().unwrap()));
    assert!(refusal.rid.is_some());
    world.steer("faults", json!({ "route": "stable_token", "kind": "ip_whitelist", "errcode": 89_506 })).await;
    assert_eq!(refused(world.stable(TokenMode::Normal).await).back_off(), Some(Duration::from_hours(24)));
    let slots = AppSecrets { current: "wrong".parse().unwrap(), previous: Some(SECRET.parse().unwrap()) };
    assert!(world.client.stable_token(&world.appid, &slots, TokenMode::Normal).await.is_ok());
}

#[tokio::test]
async fn a_phone_code_gives_a_number_once() {
    let world = World::start().await;
    let token = world.token().await;
    let code = world.phone_code(json!({ "country_code": 852 })).await;
    assert_eq!(world.phone(&token, &code).await.unwrap().e164().expose(), "+85213800138000");
    assert_eq!(refused(world.phone(&token, &code).await).class, RefusedClass::CodeInvalid);

    let of_bob = world.phone_code(json!({ "openid": "oBob" })).await;
    assert_eq!(refused(world.phone(&token, &of_bob).await).class, RefusedClass::CodeInvalid);
    let login_code = world.steer("codes", json!({ "appid": APPID })).await;
    let login_code = PhoneCode::parse(login_code["code"].as_str().unwrap()).unwrap();
    assert_eq!(refused(world.phone(&token, &login_code).await).class, RefusedClass::CodeOfOtherKind);
}

#[tokio::test]
async fn a_session_key_is_checked_and_replaced() {
    let world = World::start().await;
    let token = world.token().await;
    let old = world.login().await;
    let key = world.login().await;
    assert_eq!(refused(world.check(&token, &old).await).class, RefusedClass::SessionKeyStale);
    let access = Access::plain(&world.appid, &token);
    let new = world.client.reset_session_key(&access, &world.openid, &key).await.unwrap();
    assert_eq!(refused(world.check(&token, &key).await).class, RefusedClass::SessionKeyStale);
    assert_eq!(world.check(&token, &new).await, Ok(()));
}

#[tokio::test]
async fn only_phone_data_of_wechats_own_is_confirmed() {
    let world = World::start().await;
    world.login().await;
    let token = world.token().await;
    let access = Access::plain(&world.appid, &token);
    let seal = async |body: Value| {
        let sealed = world.steer("encrypt", body).await;
        EncryptedUserData::parse(sealed["encryptedData"].as_str().unwrap(), sealed["iv"].as_str().unwrap()).unwrap()
    };
    let genuine = seal(json!({ "appid": APPID, "openid": "oAlice", "kind": "phone" })).await;
    assert!(world.client.confirm_phone_data(&access, &genuine).await.unwrap().is_some());
    let forged = json!({ "appid": APPID, "openid": "oAlice", "kind": "raw", "payload": "{\"phoneNumber\":\"1\"}" });
    assert_eq!(world.client.confirm_phone_data(&access, &seal(forged).await).await, Ok(None));
}

#[tokio::test]
async fn a_token_that_is_refused_by_chance_is_told_as_dead() {
    let world = World::start().await;
    let (token, key) = (world.token().await, world.login().await);
    for errcode in [40001, 40014, 42001] {
        let fault = json!({ "route": "checksession", "kind": "token_expired", "errcode": errcode });
        world.steer("faults", fault).await;
        assert_eq!(refused(world.check(&token, &key).await).errcode, errcode);
    }
    assert_eq!(world.check(&token, &key).await, Ok(()));
}
