//! Mini-programs that were written for another server change the host and nothing else.

mod conventions;
mod rules;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::harness::simulator::Issued;
use crate::harness::{APP, Gateway, OTHER_APP, PATIENCE, Reply, jwt, within};

/// A phone with a mini-program that was released: WeChat sets the Referer, and no request names an appid elsewhere.
struct Phone {
    gateway: Gateway,
}

impl Phone {
    /// A phone whose mini-program has these clients. `known` is a route of theirs.
    async fn with(profile: &str, (method, known): (Method, &str)) -> Self {
        let phone = Self { gateway: Gateway::dev().await };
        phone.tune(APP, &json!({ "profile": profile })).await;
        within(PATIENCE, "the gateway knows the profile", async || {
            let reply = phone.send(phone.ask(method.clone(), known)).await;
            (reply.status != 404).then_some(())
        })
        .await;
        phone
    }

    /// Changes what an app tunes.
    async fn tune(&self, appid: &str, policy: &Value) {
        self.gateway.operator().patch(&format!("/apps/{appid}"), &json!({ "policy": policy })).await.ok();
    }

    /// A request of `wx.request`, to be completed and sent.
    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        let referer = format!("https://servicewechat.com/{APP}/7/page-frame.html");
        self.gateway.client().request(method, path).header("Referer", referer)
    }

    async fn send(&self, request: RequestBuilder) -> Reply {
        self.gateway.client().send(request).await
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.send(headers.iter().fold(self.ask(Method::GET, path), |ask, (name, value)| ask.header(*name, *value)))
            .await
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let ask = headers.iter().fold(self.ask(Method::POST, path), |ask, (name, value)| ask.header(*name, *value));
        self.send(ask.json(body)).await
    }

    async fn put(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let ask = headers.iter().fold(self.ask(Method::PUT, path), |ask, (name, value)| ask.header(*name, *value));
        self.send(ask.json(body)).await
    }

    async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let ask = self.ask(Method::POST, path).header("Content-Type", "application/x-www-form-urlencoded");
        self.send(ask.body(form)).await
    }

    /// `wx.login`.
    async fn code(&self) -> String {
        self.person().await.code
    }

    async fn person(&self) -> Issued {
        self.gateway.simulator().code(APP).await
    }

    /// Fails unless a backend that knows nothing but JWKS accepts the token.
    async fn is_good(&self, token: &Value) {
        jwt::verify(&self.gateway, "demo", APP, token).await.unwrap();
    }

    /// Ends the session of a token from elsewhere.
    async fn end_session(&self, token: &Value) {
        let ask = self.gateway.client().request(Method::POST, "/v1/logout").bearer_auth(text(token));
        self.send(ask.json(&json!({ "scope": "this" }))).await.ok();
    }
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}
