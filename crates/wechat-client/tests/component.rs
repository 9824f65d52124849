//! A third-party platform against the simulator, and its pushes opened by the crate that opens WeChat's.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

use std::time::Duration;

use serde_json::{Value, json};
use wxgate_crypto::push::{EncodingAesKey, PushFailure, PushKeys, PushToken, Stamp, body_fields, encrypt_of};
use wxgate_crypto::{Random, Secret};
use wxgate_domain::{AppSecret, WechatAppid};
use wxgate_wechat_client::{
    BaseUrl, CallError, Client, ClientConfig, Component, ComponentLoginError, ExchangeError, RefreshToken,
    RefusedClass, RejectedClass,
};
use wxgate_wechat_sim::{SimulatedApp, Simulator, SimulatorConfig};

const APPID: &str = "wx0000000000000001";
const PLATFORM: &str = "wx00000000000000cc";

struct World {
    simulator: Simulator,
    client: Client,
    steering: reqwest::Client,
    platform: WechatAppid,
    secret: AppSecret,
}

impl World {
    async fn start() -> Self {
        let app = SimulatedApp { appid: APPID.into(), secret: "unknown-to-us".into(), union_group: None };
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
        let (platform, secret) = (PLATFORM.parse().unwrap(), "platform-secret".parse().unwrap());
        let world = Self { simulator, client, steering, platform, secret };
        world.steer("components", json!({ "appid": PLATFORM, "secret": "platform-secret" })).await;
        world
    }

    async fn steer(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/sim/{path}", self.simulator.url());
        let reply = self.steering.post(url).json(&body).send().await.unwrap();
        assert!(reply.status().is_success(), "{path} {body}: {}", reply.status());
        reply.json().await.unwrap()
    }

    async fn ticket(&self) -> Secret<String> {
        let reply = self.steer("components/tickets", json!({ "appid": PLATFORM })).await;
        Secret::new(reply["ticket"].as_str().unwrap().to_owned())
    }
}

fn class<T: std::fmt::Debug>(result: Result<T, CallError>) -> RefusedClass {
    match result {
        Err(CallError::Refused(refused)) => refused.class,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_platform_goes_from_its_ticket_to_a_login() {
    let world = World::start().await;
    let (client, platform) = (&world.client, &world.platform);
    let unknown = Secret::new("ticket@@@unknown".to_owned());
    let refused = client.component_token(platform, &world.secret, &unknown).await;
    assert_eq!(class(refused), RefusedClass::TicketInvalid);
    client.start_tickets(platform, &world.secret).await.unwrap();
    let token = client.component_token(platform, &world.secret, &world.ticket().await).await.unwrap();
    assert_eq!(token.expires_in, Duration::from_hours(2));
    let component = Component { appid: platform, token: &token.token };
    assert_eq!(client.pre_auth_code(&component).await.unwrap().expires_in, Duration::from_mins(30));

    let appid: WechatAppid = APPID.parse().unwrap();
    let code = world.steer("codes", json!({ "appid": APPID, "openid": "oAlice" })).await;
    let code = code["code"].as_str().unwrap().parse().unwrap();
    match client.component_code_to_session(&component, &appid, &code).await {
        Err(ComponentLoginError::Exchange(ExchangeError::Rejected(rejected))) => {
            assert_eq!(rejected.class, RejectedClass::NotAuthorized);
        }
        other => panic!("{other:?}"),
    }
    let grant = world.steer("authorizations", json!({ "component_appid": PLATFORM, "appid": APPID })).await;
    let grant = Secret::new(grant["authorization_code"].as_str().unwrap().to_owned());
    let authorization = client.query_auth(&component, &grant).await.unwrap();
    assert_eq!((authorization.appid.as_str(), authorization.permissions), (APPID, vec![17, 18]));
    assert_eq!(class(client.query_auth(&component, &grant).await), RefusedClass::CodeInvalid);
    let identity = client.component_code_to_session(&component, &appid, &code).await.unwrap();
    assert_eq!(identity.openid.as_str(), "oAlice");

    let refreshed = client.authorizer_token(&component, &appid, &authorization.refresh_token).await.unwrap();
    assert_eq!(refreshed.1.expose(), authorization.refresh_token.expose());
    assert_ne!(refreshed.0.token, authorization.token.token);
    let (listed, total) = client.authorizer_list(&component, 0, 500).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|(appid, token)| (appid.as_str(), token.expose())).collect();
    assert_eq!((listed, total), (vec![(APPID, authorization.refresh_token.expose())], 1));
    assert!(client.authorizer_list(&component, 1, 500).await.unwrap().0.is_empty());
    let other = RefreshToken::parse("refreshtoken@@@other").unwrap();
    assert_eq!(class(client.authorizer_token(&component, &appid, &other).await), RefusedClass::NotAuthorized);
    let shown = format!("{component:?} {authorization:?} {refreshed:?}", authorization = authorization.refresh_token);
    assert!(!shown.contains("refreshtoken") && !shown.contains("89_"), "{shown}");

    world.steer("clock", json!({ "advance_ms": 7_200_000 })).await;
    let late = client.component_code_to_session(&component, &appid, &code).await;
    assert!(matches!(late, Err(ComponentLoginError::TokenDead(_))), "{late:?}");
    assert!(client.pre_auth_code(&component).await.unwrap_err().token_is_dead());
}

#[tokio::test]
async fn pushes_of_every_mode_and_format_open() {
    let world = World::start().await;
    let random = Random::seeded(1);
    let keys = PushKeys {
        token: PushToken::generate(&random),
        previous_token: None,
        current: EncodingAesKey::generate(&random),
        previous: None,
    };
    let push = async |more: Value| {
        let mut body = json!({
            "appid": APPID, "token": keys.token.expose(), "encoding_aes_key": keys.current.expose(),
            "message": { "Event": "user_authorization_revoke", "OpenID": "oAlice", "RevokeInfo": "小" },
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.steer("push", body).await["push"].clone()
    };
    let query = |push: &Value, name: &str| {
        let pairs = push["query"].as_str().unwrap().split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(found, _)| *found == name).map(|(_, value)| value.to_owned()).next().unwrap_or_default()
    };
    let open = |push: &Value| {
        let encrypt = encrypt_of(push["body"].as_str().unwrap().as_bytes())?;
        let (timestamp, nonce) = (query(push, "timestamp"), query(push, "nonce"));
        let stamp = Stamp { timestamp: &timestamp, nonce: &nonce };
        assert!(stamp.seconds().is_some());
        let opened = keys.open(&stamp, &query(push, "msg_signature"), &encrypt, APPID)?;
        Ok::<_, PushFailure>(body_fields(&opened.message).unwrap())
    };
    for format in ["json", "xml"] {
        for mode in ["safe", "compatible"] {
            let message = open(&push(json!({ "format": format, "mode": mode })).await).unwrap();
            assert_eq!([&message["OpenID"], &message["RevokeInfo"]], ["oAlice", "小"], "{format} {mode}");
        }
        let plain = push(json!({ "format": format, "mode": "plain" })).await;
        assert_eq!(open(&plain), Err(PushFailure::MissingEncrypt));
        let (timestamp, nonce) = (query(&plain, "timestamp"), query(&plain, "nonce"));
        let stamp = Stamp { timestamp: &timestamp, nonce: &nonce };
        assert!(keys.token.signs(&stamp, &query(&plain, "signature")));
        for (flaw, failure) in [("wrong_signature", PushFailure::Signature), ("other_appid", PushFailure::Appid)] {
            let push = push(json!({ "format": format, "mode": "safe", "flaw": flaw })).await;
            assert_eq!(open(&push), Err(failure), "{flaw}");
        }
        assert!(open(&push(json!({ "format": format, "mode": "safe", "flaw": "wrong_key" })).await).is_err());
    }
}
