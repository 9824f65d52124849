//! A third-party platform of the demo tenant, known to the gateway and to the simulated WeChat.

use std::time::Duration;

use reqwest::Url;
use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Reply, within};

/// WeChat's id of the platform.
pub(super) const PLATFORM: &str = "wx00000000000000cc";
/// A mini-program that WeChat knows and the gateway does not.
pub(super) const SHOP: &str = "wx00000000000005f0";

const SECRET: &str = "5ec2e7a1c0ffee5ec2e7c0ffee42aa17";

/// How long what is done beside the answers may take: a lease that nobody gave back, and the next look.
const BESIDE: Duration = Duration::from_secs(45);

/// The platform, and the keys of its pushes.
pub(super) struct World<'a> {
    pub(super) gateway: &'a Gateway,
    token: String,
    key: String,
}

impl<'a> World<'a> {
    /// Adds the platform on both sides.
    pub(super) async fn new(gateway: &'a Gateway) -> Self {
        let add = ["platform", "add", "--tenant", "demo", "--appid", PLATFORM, "--secret-file", "-", "--json"];
        let made = gateway.command(add).stdin(SECRET).run().await.json();
        let text = |name: &str| made["secret"][name].as_str().unwrap().to_owned();
        let world = Self { gateway, token: text("push_token"), key: text("encoding_aes_key") };
        world.introduce(json!({})).await;
        gateway.simulator().put_app(SHOP, "5ec2e7000000000000000000000005f0", None).await;
        world
    }

    /// The same platform after the gateway was started again.
    pub(super) fn again(gateway: &'a Gateway, (token, key): (String, String)) -> Self {
        Self { gateway, token, key }
    }

    /// The keys of its pushes.
    pub(super) fn keys(&self) -> (String, String) {
        (self.token.clone(), self.key.clone())
    }

    /// The same after its first ticket.
    pub(super) async fn with_ticket(gateway: &'a Gateway) -> Self {
        let world = Self::new(gateway).await;
        world.ticket().await;
        world
    }

    /// What the simulated WeChat knows of the platform, with more.
    pub(super) async fn introduce(&self, more: Value) {
        let receiver = json!({ "url": self.url(), "token": self.token, "encoding_aes_key": self.key });
        let mut body = json!({ "appid": PLATFORM, "secret": SECRET, "receiver": receiver });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.gateway.simulator().steer("/sim/components", &body).await;
    }

    /// Where WeChat pushes to.
    pub(super) fn url(&self) -> String {
        format!("{}/wechat/platform/{PLATFORM}", self.gateway.client().base())
    }

    /// WeChat pushes a ticket, which must be taken.
    pub(super) async fn ticket(&self) {
        let told = self.gateway.simulator().steer("/sim/components/tickets", &json!({ "appid": PLATFORM })).await;
        assert_eq!(told["delivery"], json!({ "status": 200, "body": "success" }));
    }

    /// A push of the caller's making: `{message, format?, mode?, flaw?, timestamp?, nonce?, times?}`; the first answer.
    pub(super) async fn push(&self, more: Value) -> (u64, String) {
        let mut body = json!({
            "url": self.url(), "appid": PLATFORM, "token": self.token, "encoding_aes_key": self.key,
            "mode": "safe", "format": "xml",
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let told = self.gateway.simulator().push(&body).await;
        let last = told["deliveries"].as_array().unwrap().last().unwrap().clone();
        (last["status"].as_u64().unwrap(), last["body"].as_str().unwrap().to_owned())
    }

    /// A pushed ticket that WeChat wrote then.
    pub(super) async fn ticket_of(&self, seconds: i64, ticket: &str) -> (u64, String) {
        let message = json!({
            "InfoType": "component_verify_ticket", "ComponentVerifyTicket": ticket, "CreateTime": seconds,
        });
        self.push(json!({ "message": message })).await
    }

    /// The platform as its operator sees it.
    pub(super) async fn shown(&self) -> Value {
        self.gateway.command(["platform", "show", PLATFORM, "--json"]).run().await.json()
    }

    /// What the platform knows of a mini-program; `null` if nothing.
    pub(super) async fn known(&self, appid: &str) -> Value {
        let apps = self.gateway.command(["platform", "apps", PLATFORM, "--json"]).run().await.json();
        apps.as_array().unwrap().iter().find(|app| app["appid"] == appid).cloned().unwrap_or_default()
    }

    /// Waits until the platform knows this of a mini-program.
    pub(super) async fn until_known(&self, appid: &str, state: &str) -> Value {
        within(BESIDE, &format!("{appid} is {state}"), async || {
            let known = self.known(appid).await;
            (known["state"] == state && known["is_pending"] != true).then_some(known)
        })
        .await
    }

    /// The mini-program's administrator agrees on WeChat's page, whose address an admin got: where the browser goes.
    pub(super) async fn agree(&self, appid: &str, started: &Value, more: Value) -> String {
        let page = Url::parse(started["in_wechat"].as_str().unwrap()).unwrap();
        let value = |name: &str| page.query_pairs().find(|(found, _)| found == name).unwrap().1.into_owned();
        let mut body = json!({
            "component_appid": PLATFORM, "appid": appid,
            "pre_auth_code": value("pre_auth_code"), "redirect_uri": value("redirect_uri"),
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let told = self.gateway.simulator().steer("/sim/authorizations", &body).await;
        told["redirect"].as_str().unwrap().to_owned()
    }

    /// The mini-program's administrator agrees on a page that nobody here asked for.
    pub(super) async fn agree_unasked(&self, appid: &str) -> Value {
        let body = json!({ "component_appid": PLATFORM, "appid": appid });
        self.gateway.simulator().steer("/sim/authorizations", &body).await
    }

    /// An admin asks, from the command line.
    pub(super) async fn start(&self) -> Value {
        self.gateway.command(["platform", "authorize", PLATFORM, "--json"]).run().await.json()
    }

    /// The browser comes back.
    pub(super) async fn come_back(&self, address: &str) -> Reply {
        let path = address.strip_prefix(self.gateway.public_url()).expect("it leads to the public address");
        self.gateway.client().get(path).await
    }

    /// From the asking to the end.
    pub(super) async fn attach(&self, appid: &str) {
        let started = self.start().await;
        let address = self.agree(appid, &started, json!({})).await;
        let page = self.come_back(&address).await;
        assert_eq!(page.status, 200, "{}", page.text);
        self.gateway.comes_to_answer(appid, "CODE_INVALID").await;
    }

    /// Somebody logs in.
    pub(super) async fn log_in(&self, appid: &str, openid: &str) -> Reply {
        let issued = self.gateway.simulator().code_of(appid, openid).await;
        self.gateway.client().login_with(appid, &issued.code).await
    }

    /// Calls of one interface of WeChat's, by their errcodes.
    pub(super) async fn calls(&self, path: &str) -> Vec<i64> {
        let journal = self.gateway.simulator().journal().await;
        let of_path = journal.iter().filter(|call| call["route"] == path);
        of_path.map(|call| call["errcode"].as_i64().unwrap_or(-2)).collect()
    }

    /// Waits until a mini-program answers a login so.
    pub(super) async fn until_refused(&self, appid: &str, code: &str) {
        within(PATIENCE, &format!("{appid} answers {code}"), async || {
            (self.log_in(appid, "oWhoever").await.json()["code"] == code).then_some(())
        })
        .await;
    }
}
