//! The whole of it against a simulated WeChat, with a clock that is set by hand.

use serde_json::{Value, json};
use wxgate_domain::{AppPolicy, WechatAppid};
use wxgate_storage::NewApp;
use wxgate_wechat_client::{BaseUrl, ClientConfig};
use wxgate_wechat_sim::{SimulatedApp, Simulator, SimulatorConfig};

use super::super::*;
use crate::service::testing::{House, PUBLIC_URL};

const SECRET: &str = "5ec2e7000000000000000000000000a1";

struct World {
    house: House,
    simulator: Simulator,
    http: reqwest::Client,
    tokens: AccessTokens,
    app: Arc<ActiveApp>,
}

impl World {
    async fn new() -> Self {
        let house = House::new().await;
        let listen = "127.0.0.1:0".parse().unwrap();
        let apps = vec![SimulatedApp { appid: house.app.to_string(), secret: SECRET.into(), union_group: None }];
        let simulator = Simulator::start(SimulatorConfig { listen, apps, expose: false, adopts: false }).await.unwrap();
        let (tokens, app) = tokens_of(&house, &simulator.url()).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { house, simulator, http, tokens, app }
    }

    async fn token(&self) -> String {
        self.tokens.token(&self.app).await.unwrap().token.expose().to_owned()
    }

    /// Lets time pass here and at WeChat.
    async fn pass(&self, time: Duration) {
        self.house.clock.advance(time);
        let url = format!("{}/sim/clock", self.simulator.url());
        let body = json!({ "advance_ms": u64::try_from(time.as_millis()).unwrap() });
        assert!(self.http.post(url).json(&body).send().await.unwrap().status().is_success());
    }

    /// Kills the tokens, as another system does.
    async fn end_tokens(&self) {
        let url = format!("{}/sim/tokens/end", self.simulator.url());
        let body = json!({ "appid": self.house.app.as_str() });
        assert!(self.http.post(url).json(&body).send().await.unwrap().status().is_success());
    }

    /// How often WeChat was asked for a token.
    async fn fetches(&self) -> usize {
        self.calls("/cgi-bin/stable_token").await
    }

    /// How often one of WeChat's interfaces was called.
    async fn calls(&self, route: &str) -> usize {
        let url = format!("{}/sim/journal", self.simulator.url());
        let journal: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        let calls = journal["calls"].as_array().unwrap().iter();
        calls.filter(|call| call["route"] == route).count()
    }

    /// Looks for tokens that are due, and waits until that is done.
    async fn look(&self) {
        self.tokens.refresh_due();
        self.tokens.tasks.close();
        self.tokens.tasks.wait().await;
        self.tokens.tasks.reopen();
    }
}

/// The tokens of the house's app, which come from the WeChat at this address.
pub(super) async fn tokens_of(house: &House, wechat: &str) -> (AccessTokens, Arc<ActiveApp>) {
    add_app(house).await;
    node(house, house.storage.clone(), wechat).await
}

/// The same at one of several nodes.
async fn node(house: &House, storage: Storage, wechat: &str) -> (AccessTokens, Arc<ActiveApp>) {
    let wechat = ClientConfig {
        base_url: BaseUrl::parse(wechat, true).unwrap(),
        connect_timeout: Duration::from_secs(10),
        total_timeout: Duration::from_secs(30),
        ..ClientConfig::default()
    };
    let directory = Directory::new(storage.clone(), PUBLIC_URL, &[]);
    let app = directory.active_app(&house.app).await.unwrap();
    let (time, tasks) = ((house.clock.clone(), house.random.clone()), TaskTracker::new());
    let wechat = Client::new(wechat).unwrap();
    let platforms = Platforms::new(time.clone(), storage.clone(), wechat.clone(), tasks.clone());
    let rows = (storage, directory);
    (AccessTokens::new(time, rows, (wechat, platforms), Metrics::new(), tasks), app)
}

async fn add_app(house: &House) {
    let appid: WechatAppid = house.app.clone();
    let new = NewApp {
        name: appid.to_string(),
        appid,
        secret: SECRET.parse().unwrap(),
        is_accepted: true,
        union_group: None,
        policy: AppPolicy::default(),
        may_move: false,
    };
    let tx = house.storage.begin().await.unwrap();
    tx.tenant(house.tenant.id).apps().add(new).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_token_in_use_is_replaced_in_the_background_and_one_that_nobody_uses_is_not() {
    let world = World::new().await;
    let first = world.token().await;
    world.pass(Duration::from_secs(5_000)).await;
    assert_eq!((world.token().await, world.fetches().await), (first.clone(), 1));
    world.look().await;
    assert_eq!(world.fetches().await, 1, "it is not due yet");

    // WeChat gives the same one, with what is left of its life: that is due again before its end.
    world.pass(Duration::from_secs(1_400)).await;
    world.look().await;
    assert_eq!((world.token().await, world.fetches().await), (first.clone(), 2));
    world.pass(Duration::from_secs(700)).await;
    world.look().await;
    let second = world.token().await;
    assert!(second != first && world.fetches().await == 3);

    world.pass(Duration::from_secs(7_000)).await;
    world.look().await;
    assert_eq!(world.fetches().await, 4, "it was used since");
    world.pass(Duration::from_secs(7_000)).await;
    world.look().await;
    assert_eq!(world.fetches().await, 4, "nobody used that one");
}

#[tokio::test]
async fn a_report_of_a_dead_token_is_looked_into_once_a_minute_at_all_nodes() {
    let world = World::new().await;
    let storage = world.house.another_process().await;
    let (there, app) = node(&world.house, storage, &world.simulator.url()).await;
    let (here, probes) = (&world.tokens, "/cgi-bin/getcallbackip");
    let token = world.token().await;
    assert_eq!(there.token(&app).await.unwrap().token.expose(), token, "one token for all nodes");
    let digest = Digest::sha256(token.as_bytes());
    let other = Digest::sha256(b"89_another");
    assert_eq!(here.look_into(&world.app, &other).await.unwrap(), Verdict::NotCurrent);
    assert_eq!(here.look_into(&world.app, &digest).await.unwrap(), Verdict::Alive);
    let too_soon = there.look_into(&app, &digest).await.unwrap_err();
    assert!(matches!(too_soon, ReportError::TooSoon(left) if left == Duration::from_mins(1)), "{too_soon:?}");
    assert_eq!(world.calls(probes).await, 1);

    world.pass(Duration::from_mins(1)).await;
    world.end_tokens().await;
    assert_eq!(here.look_into(&world.app, &digest).await.unwrap(), Verdict::Replaced);
    // The other node has it in hand still, and need not ask WeChat.
    assert_eq!(there.look_into(&app, &digest).await.unwrap(), Verdict::Replaced);
    assert_eq!(world.calls(probes).await, 2);
    let next = world.token().await;
    assert!(next != token && there.token(&app).await.unwrap().token.expose() == next);
    let next = Digest::sha256(next.as_bytes());
    assert!(matches!(there.look_into(&app, &next).await, Err(ReportError::TooSoon(_))), "dead or alive");
}
