//! An app that takes pushes, and its user.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{APP, Gateway, Reply};

/// What the app and WeChat have in common.
pub(super) struct Channel<'a> {
    gateway: &'a Gateway,
    pub(super) appid: String,
    pub(super) token: String,
    pub(super) key: String,
}

impl<'a> Channel<'a> {
    /// Sets up the pushes of the first app.
    pub(super) async fn open(gateway: &'a Gateway, mode: &str) -> Self {
        let reply = gateway.operator().put(&format!("/apps/{APP}/push"), &json!({ "mode": mode })).await.ok();
        let text = |name: &str| reply[name].as_str().unwrap().to_owned();
        Self { gateway, appid: APP.to_owned(), token: text("token"), key: text("encoding_aes_key") }
    }

    /// From now on in this mode.
    pub(super) async fn mode(&self, mode: &str) {
        self.gateway.operator().put(&format!("/apps/{APP}/push"), &json!({ "mode": mode })).await.ok();
    }

    /// The address that is entered in WeChat's console.
    pub(super) fn url(&self) -> String {
        format!("{}/wechat/push/{}", self.gateway.client().base(), self.appid)
    }

    /// The simulator pushes: `{message, mode?, format?, flaw?, ...}`. Returns all that it tells.
    pub(super) async fn push(&self, more: Value) -> Value {
        let mut body = json!({
            "url": self.url(), "appid": self.appid, "token": self.token, "encoding_aes_key": self.key,
            "mode": "safe", "format": "json",
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.gateway.simulator().push(&body).await
    }

    /// A push that is only shown: `{query, body, content_type}`.
    pub(super) async fn written(&self, mode: &str, message: &Value) -> Value {
        let body = json!({
            "appid": self.appid, "token": self.token, "encoding_aes_key": self.key, "mode": mode, "format": "json",
            "message": message,
        });
        self.gateway.simulator().push(&body).await["push"].clone()
    }

    /// The simulator pushes, and must be answered.
    pub(super) async fn accepted(&self, more: Value) -> Value {
        let told = self.push(more).await;
        for delivery in told["deliveries"].as_array().unwrap() {
            assert_eq!(*delivery, json!({ "status": 200, "body": "success" }), "{told}");
        }
        told
    }

    /// The simulator pushes, and must be refused in two words.
    pub(super) async fn refused(&self, more: Value, status: u16, words: &str) {
        let told = self.push(more).await;
        assert_eq!(told["deliveries"], json!([{ "status": status, "body": words }]), "{told}");
    }

    /// Sends a body of one's own making.
    pub(super) async fn send(&self, query: &str, body: impl Into<reqwest::Body>) -> Reply {
        let path = format!("/wechat/push/{}?{query}", self.appid);
        let client = self.gateway.client();
        client.send(client.request(Method::POST, &path).body(body)).await
    }
}

/// Somebody with a profile, who is logged in.
pub(super) struct Person<'a> {
    gateway: &'a Gateway,
    pub(super) openid: String,
    pub(super) id: Value,
    token: String,
}

impl<'a> Person<'a> {
    pub(super) async fn new(gateway: &'a Gateway) -> Self {
        let issued = gateway.simulator().code(APP).await;
        let login = gateway.client().login_with(APP, &issued.code).await.ok();
        let token = login["access_token"].as_str().unwrap().to_owned();
        let person = Self { gateway, openid: issued.openid, id: login["user"]["id"].clone(), token };
        person.fill_in().await;
        person
    }

    /// Fills in nickname and avatar.
    pub(super) async fn fill_in(&self) {
        let profile = json!({ "nickname": "Ada", "avatar_url": "https://example.com/ada.png" });
        let request = self.gateway.client().request(Method::PATCH, "/v1/me").json(&profile);
        self.gateway.client().send(request.bearer_auth(&self.token)).await.ok();
    }

    /// Binds a phone number.
    pub(super) async fn bind(&self, number: &str) {
        let code = self.gateway.simulator().phone_code_of(APP, &self.openid, number).await;
        let request = self.gateway.client().request(Method::POST, "/v1/me/phone").json(&json!({ "phoneCode": code }));
        self.gateway.client().send(request.bearer_auth(&self.token)).await.ok();
    }

    /// How the gateway answers them.
    pub(super) async fn me(&self) -> Reply {
        let request = self.gateway.client().request(Method::GET, "/v1/me");
        self.gateway.client().send(request.bearer_auth(&self.token)).await
    }

    /// Whether nickname and avatar are there.
    pub(super) async fn has(&self) -> (bool, bool) {
        let me = self.me().await.ok();
        (me["nickname"] == "Ada", me["avatar_url"] == "https://example.com/ada.png")
    }

    /// An event about them.
    pub(super) fn event(&self, event: &str) -> Value {
        json!({ "Event": event, "OpenID": self.openid, "AppID": APP })
    }

    /// They take back what these numbers name.
    pub(super) fn revoke(&self, numbers: &str) -> Value {
        let mut event = self.event("user_authorization_revoke");
        event["RevokeInfo"] = json!(numbers);
        event
    }
}
