//! The client against a WeChat that keeps its own books: what was exchanged, how often, and what was used up.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

use std::time::Duration;

use serde_json::{Value, json};
use wxgate_domain::AppSecrets;
use wxgate_wechat_client::{
    BadResponse, BaseUrl, Client, ClientConfig, ExchangeError, Exchanged, RejectedClass, SecretSlot,
};
use wxgate_wechat_sim::{SimulatedApp, Simulator, SimulatorConfig};

const ALONE: &str = "wx0000000000000001";
const BOUND: &str = "wx0000000000000002";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OLD_SECRET: &str = "fedcba9876543210fedcba9876543210";

struct World {
    simulator: Simulator,
    client: Client,
    steering: reqwest::Client,
}

impl World {
    async fn start(total_timeout: Duration) -> Self {
        let app = |appid: &str, group: Option<&str>| SimulatedApp {
            appid: appid.to_owned(),
            secret: SECRET.to_owned(),
            union_group: group.map(str::to_owned),
        };
        let apps = vec![app(ALONE, None), app(BOUND, Some("group"))];
        let listen = "127.0.0.1:0".parse().unwrap();
        let simulator = Simulator::start(SimulatorConfig { listen, apps, expose: false, adopts: false }).await.unwrap();
        let client = Client::new(ClientConfig {
            base_url: BaseUrl::parse(&simulator.url(), true).unwrap(),
            connect_timeout: total_timeout / 2,
            total_timeout,
            ..ClientConfig::default()
        })
        .unwrap();
        let steering = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { simulator, client, steering }
    }

    async fn patient() -> Self {
        Self::start(Duration::from_secs(30)).await
    }

    async fn steer(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/sim/{path}", self.simulator.url());
        let reply = self.steering.post(url).json(&body).send().await.unwrap();
        assert!(reply.status().is_success(), "{path} {body}: {}", reply.status());
        reply.json().await.unwrap()
    }

    async fn code(&self, appid: &str) -> String {
        let reply = self.steer("codes", json!({ "appid": appid })).await;
        reply["code"].as_str().unwrap().to_owned()
    }

    async fn fault(&self, more: Value) {
        let mut fault = json!({ "route": "jscode2session" });
        fault.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.steer("faults", fault).await;
    }

    /// How many calls WeChat saw.
    async fn calls(&self) -> u64 {
        let url = format!("{}/sim/journal", self.simulator.url());
        let journal: Value = self.steering.get(url).send().await.unwrap().json().await.unwrap();
        journal["total"].as_u64().unwrap()
    }

    async fn exchange_with(&self, appid: &str, secrets: &[&str], code: &str) -> Result<Exchanged, ExchangeError> {
        let credential = AppSecrets {
            current: secrets[0].parse().unwrap(),
            previous: secrets.get(1).map(|previous| previous.parse().unwrap()),
        };
        self.client.code_to_session(&appid.parse().unwrap(), &credential, &code.parse().unwrap()).await
    }

    async fn exchange(&self, code: &str) -> Result<Exchanged, ExchangeError> {
        self.exchange_with(ALONE, &[SECRET], code).await
    }
}

fn refused(result: Result<Exchanged, ExchangeError>) -> (i64, RejectedClass) {
    match result {
        Err(ExchangeError::Rejected(rejected)) => {
            assert!(rejected.rid.is_some(), "WeChat's errmsg ends with a rid");
            (rejected.errcode, rejected.class)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_code_logs_in_once() {
    let world = World::patient().await;
    let reply = world.steer("codes", json!({ "appid": ALONE, "openid": "oAlice" })).await;
    let code = reply["code"].as_str().unwrap();

    let exchanged = world.exchange(code).await.unwrap();
    assert_eq!(exchanged.identity.openid.as_str(), "oAlice");
    assert_eq!((exchanged.identity.unionid, exchanged.slot), (None, SecretSlot::Current));
    assert_eq!(refused(world.exchange(code).await), (40163, RejectedClass::CodeUsed));
}

#[tokio::test]
async fn an_app_that_is_bound_tells_the_unionid() {
    let world = World::patient().await;
    let reply = world.steer("codes", json!({ "appid": BOUND, "unionid": "oUnion" })).await;
    let exchanged = world.exchange_with(BOUND, &[SECRET], reply["code"].as_str().unwrap()).await.unwrap();
    assert_eq!(exchanged.identity.unionid.unwrap().as_str(), "oUnion");
}

#[tokio::test]
async fn codes_that_are_unknown_foreign_or_old_are_invalid() {
    let world = World::patient().await;
    let foreign = world.code(BOUND).await;
    let old = world.code(ALONE).await;
    world.steer("clock", json!({ "advance_ms": 300_001 })).await;
    for code in ["no-such-code", &foreign, &old] {
        assert_eq!(refused(world.exchange(code).await), (40029, RejectedClass::CodeInvalid));
    }
}

#[tokio::test]
async fn a_rotation_never_costs_a_login() {
    let world = World::patient().await;
    let code = world.code(ALONE).await;
    assert_eq!(
        refused(world.exchange_with(ALONE, &[OLD_SECRET], &code).await),
        (40125, RejectedClass::Misconfigured),
        "and the code is still good:"
    );
    let exchanged = world.exchange_with(ALONE, &[OLD_SECRET, SECRET], &code).await.unwrap();
    assert_eq!(exchanged.slot, SecretSlot::Previous);
    let code = world.code(ALONE).await;
    let exchanged = world.exchange_with(ALONE, &[SECRET, OLD_SECRET], &code).await.unwrap();
    assert_eq!(exchanged.slot, SecretSlot::Current);
    let (errcode, class) = refused(world.exchange_with("wxunknown", &[SECRET], &code).await);
    assert_eq!((errcode, class), (40013, RejectedClass::Misconfigured));
}

#[tokio::test]
async fn troubles_inside_wechat_keep_their_class() {
    let world = World::patient().await;
    for (fault, expected) in [
        (json!({ "kind": "busy" }), (-1, RejectedClass::Busy)),
        (json!({ "kind": "quota" }), (45011, RejectedClass::RateLimited)),
        (json!({ "kind": "quota", "errcode": 45009 }), (45009, RejectedClass::QuotaExhausted)),
        (json!({ "kind": "errcode", "errcode": 40226 }), (40226, RejectedClass::UserBlocked)),
        (json!({ "kind": "string_errcode" }), (40029, RejectedClass::CodeInvalid)),
    ] {
        world.fault(fault).await;
        let code = world.code(ALONE).await;
        assert_eq!(refused(world.exchange(&code).await), expected);
        assert!(world.exchange(&code).await.is_ok(), "the code was not used up");
    }
}

#[tokio::test]
async fn broken_answers_are_told_apart() {
    let world = World::patient().await;
    for (kind, expected) in [
        ("html", BadResponse::Status(502)),
        ("status_500", BadResponse::Status(500)),
        ("empty", BadResponse::Empty),
        ("truncated", BadResponse::NotJson),
        ("huge", BadResponse::TooLarge),
        ("missing_field", BadResponse::OpenId),
    ] {
        world.fault(json!({ "kind": kind })).await;
        let code = world.code(ALONE).await;
        assert_eq!(world.exchange(&code).await.unwrap_err(), ExchangeError::BadResponse(expected), "{kind}");
    }
    assert!(world.exchange(&world.code(ALONE).await).await.is_ok());
}

#[tokio::test]
async fn a_lost_answer_is_never_asked_for_again() {
    let world = World::patient().await;
    assert!(world.exchange(&world.code(ALONE).await).await.is_ok(), "so that there is a kept connection");
    for (kind, then) in [("reset_before", Ok(())), ("reset_after", Err(40163))] {
        world.fault(json!({ "kind": kind })).await;
        let code = world.code(ALONE).await;
        let before = world.calls().await;
        assert_eq!(world.exchange(&code).await.unwrap_err(), ExchangeError::Timeout, "{kind}");
        assert_eq!(world.calls().await, before + 1, "{kind}");
        assert_eq!(world.exchange(&code).await.map(drop).map_err(|error| refused(Err(error)).0), then, "{kind}");
    }
}

#[tokio::test]
async fn a_late_answer_ends_with_the_budget() {
    let world = World::start(Duration::from_millis(800)).await;
    world.fault(json!({ "kind": "latency", "delay_ms": 60_000 })).await;
    let code = world.code(ALONE).await;
    assert_eq!(world.exchange(&code).await.unwrap_err(), ExchangeError::Timeout);
}
