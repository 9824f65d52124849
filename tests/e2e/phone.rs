//! A user's phone number: bound by the code of the phone button, or by the data of an older client.

mod codes;
mod data;
mod login;
mod taken;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::harness::{APP, Gateway, PATIENCE, Reply, jwt, within};

/// What WeChat is asked for a number.
const EXCHANGE: &str = "getuserphonenumber";

/// A user who is logged in.
struct User {
    pair: Value,
    openid: String,
}

impl User {
    async fn new(gateway: &Gateway) -> Self {
        let issued = gateway.simulator().code(APP).await;
        let pair = gateway.client().login_with(APP, &issued.code).await.ok();
        Self { pair, openid: issued.openid }
    }

    fn request(&self, gateway: &Gateway, method: Method, path: &str) -> RequestBuilder {
        gateway.client().request(method, path).bearer_auth(self.pair["access_token"].as_str().unwrap())
    }

    /// A code of the phone button, pressed by this user.
    async fn phone_code(&self, gateway: &Gateway, number: &str) -> String {
        gateway.simulator().phone_code_of(APP, &self.openid, number).await
    }

    /// A fresh code of `wx.login`.
    async fn login_code(&self, gateway: &Gateway) -> String {
        gateway.simulator().code_of(APP, &self.openid).await.code
    }

    /// `POST /v1/me/phone`.
    async fn send(&self, gateway: &Gateway, body: Value) -> Reply {
        gateway.client().send(self.request(gateway, Method::POST, "/v1/me/phone").json(&body)).await
    }

    /// Presses the phone button and sends what it gives.
    async fn bind(&self, gateway: &Gateway, number: &str) -> Reply {
        let code = self.phone_code(gateway, number).await;
        self.send(gateway, json!({ "phoneCode": code })).await
    }

    async fn release(&self, gateway: &Gateway, body: Value) -> Reply {
        gateway.client().send(self.request(gateway, Method::DELETE, "/v1/me/phone").json(&body)).await
    }

    async fn me(&self, gateway: &Gateway) -> Value {
        gateway.client().send(self.request(gateway, Method::GET, "/v1/me")).await.ok()
    }

    /// Logs in again.
    async fn again(&self, gateway: &Gateway) -> Value {
        let code = self.login_code(gateway).await;
        gateway.client().login_with(APP, &code).await.ok()
    }

    fn id(&self) -> &Value {
        &self.pair["user"]["id"]
    }
}

fn shown(masked: &str, verified: bool) -> Value {
    json!({ "masked": masked, "country_code": "86", "verified": verified })
}

#[tokio::test]
async fn a_number_is_bound_shown_masked_and_let_go() {
    let gateway = Gateway::dev().await;
    let ada = User::new(&gateway).await;
    assert_eq!(ada.pair["user"].get("phone_masked"), None);
    assert_eq!(ada.me(&gateway).await.get("phone_masked"), None);

    let bound = ada.bind(&gateway, "13800138000").await.ok();
    assert_eq!(bound, json!({ "outcome": "bound", "phone": shown("+86 138****8000", true) }));
    let me = ada.me(&gateway).await;
    assert_eq!((&me["phone_masked"], &me["phone_verified"]), (&json!("+86 138****8000"), &json!(true)));
    assert_eq!(ada.again(&gateway).await["user"]["phone_masked"], "+86 138****8000");
    assert_eq!(ada.bind(&gateway, "13800138000").await.ok()["outcome"], "already_yours");

    // Another number takes its place only with a fresh code of the same user; the phone code is good for both requests.
    let code = ada.phone_code(&gateway, "13900139000").await;
    let refused = ada.send(&gateway, json!({ "phoneCode": code })).await;
    assert_eq!(refused.refused(403, "STEP_UP_REQUIRED")["action"], "new_code");
    let eve = gateway.simulator().code(APP).await.code;
    ada.send(&gateway, json!({ "phoneCode": code, "code": eve })).await.refused(403, "STEP_UP_REQUIRED");
    let calls = gateway.simulator().calls_of(EXCHANGE).await;
    let own = ada.login_code(&gateway).await;
    let replaced = ada.send(&gateway, json!({ "phoneCode": code, "code": own })).await.ok();
    assert_eq!((&replaced["outcome"], &replaced["phone"]["masked"]), (&json!("bound"), &json!("+86 139****9000")));
    assert_eq!(gateway.simulator().calls_of(EXCHANGE).await, calls, "paid for once");

    ada.release(&gateway, json!({})).await.refused(403, "STEP_UP_REQUIRED");
    let own = ada.login_code(&gateway).await;
    ada.release(&gateway, json!({ "code": own })).await.status_is(204);
    assert_eq!(ada.me(&gateway).await.get("phone_masked"), None);
    for number in ["13800138000", "13900139000"] {
        assert!(!gateway.log().contains(number), "a number stands in the log");
    }
}

#[tokio::test]
async fn a_number_that_was_let_go_does_not_come_back_with_its_code() {
    let gateway = Gateway::dev().await;
    let ada = User::new(&gateway).await;
    let code = ada.phone_code(&gateway, "13800138000").await;
    assert_eq!(ada.send(&gateway, json!({ "phoneCode": code })).await.ok()["outcome"], "bound");
    let own = ada.login_code(&gateway).await;
    ada.release(&gateway, json!({ "code": own })).await.status_is(204);
    ada.send(&gateway, json!({ "phoneCode": code })).await.refused(400, "CODE_INVALID");
    assert_eq!(ada.me(&gateway).await.get("phone_masked"), None);
}

#[tokio::test]
async fn a_token_carries_the_number_only_where_the_app_opted_in() {
    let gateway = Gateway::dev().await;
    let ada = User::new(&gateway).await;
    ada.bind(&gateway, "13800138000").await.ok();
    let claims = |pair: &Value| jwt::parts(&pair["access_token"]).1;
    assert_eq!(claims(&ada.again(&gateway).await).get("phone_number"), None);

    let policy = json!({ "policy": { "phone_claim": true } });
    gateway.operator().patch(&format!("/apps/{APP}"), &policy).await.ok();
    let told = within(PATIENCE, "the gateway hears of the policy", async || {
        let pair = ada.again(&gateway).await;
        claims(&pair).get("phone_number").is_some().then_some(pair)
    });
    let pair = told.await;
    let expected = (json!("+8613800138000"), json!(true));
    let of = |claims: Value| (claims["phone_number"].clone(), claims["phone_number_verified"].clone());
    assert_eq!(of(claims(&pair)), expected);
    let body = json!({ "refresh_token": pair["refresh_token"] });
    let refreshed = gateway.client().post("/v1/token/refresh", &body).await.ok();
    assert_eq!(of(claims(&refreshed)), expected);
    let eve = User::new(&gateway).await;
    assert_eq!(claims(&eve.pair).get("phone_number"), None);
    assert_eq!(claims(&eve.pair).get("phone_number_verified"), None);
}

/// The operator finds a user by their number, which stands in no address and is shown to nobody.
#[tokio::test]
async fn an_operator_finds_a_user_by_their_number() {
    let gateway = Gateway::dev().await;
    let ada = User::new(&gateway).await;
    ada.bind(&gateway, "13800138000").await.ok();
    let operator = gateway.operator();
    let find = json!({ "tenant": "demo", "phone": "+86 138 0013 8000" });
    let found = operator.post("/users/find", &find).await.ok();
    assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found}");
    let user = &found["items"][0];
    assert_eq!((&user["id"], &user["phone_masked"]), (ada.id(), &json!("+86 138****8000")));
    assert_eq!(user["phone_verified"], true);
    let nobody = json!({ "tenant": "demo", "phone": "+8613900139000" });
    assert_eq!(operator.post("/users/find", &nobody).await.ok()["items"], json!([]));
    let wrong = json!({ "tenant": "demo", "phone": "13800138000" });
    operator.post("/users/find", &wrong).await.refused(400, "REQUEST_INVALID");

    let told = gateway.command(["user", "find", "--tenant", "demo", "--phone", "+8613800138000"]).run().await.ok();
    assert!(told.contains(ada.id().as_str().unwrap()) && told.contains("+86 138****8000"), "{told}");
    let entries = operator.get("/audit?tenant=demo&limit=500").await.ok();
    let finds = entries["items"].as_array().unwrap().iter().filter(|entry| entry["action"] == "user.find");
    assert!(finds.count() >= 3, "{entries}");
    assert!(!entries.to_string().contains("13800138000") && !gateway.log().contains("13800138000"));
}
