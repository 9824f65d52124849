//! A running simulator with two apps, and a client for it.

use std::time::Duration;

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wxgate_wechat_sim::{SimulatedApp, Simulator, SimulatorConfig};

/// In no union group.
pub(crate) const APP: &str = "wx00000000000000aa";
/// In a union group.
pub(crate) const BOUND_APP: &str = "wx00000000000000bb";

pub(crate) fn secret_of(appid: &str) -> String {
    format!("secret-{appid}-canary")
}

pub(crate) fn config() -> SimulatorConfig {
    let app = |appid: &str, union_group: Option<&str>| SimulatedApp {
        appid: appid.into(),
        secret: secret_of(appid),
        union_group: union_group.map(Into::into),
    };
    SimulatorConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        apps: vec![app(APP, None), app(BOUND_APP, Some("group"))],
        expose: false,
        adopts: false,
    }
}

pub(crate) struct Sim {
    pub(crate) simulator: Simulator,
    pub(crate) client: Client,
}

impl Sim {
    pub(crate) async fn start() -> Self {
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self { simulator: Simulator::start(config()).await.unwrap(), client }
    }

    pub(crate) async fn request(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.simulator.url()));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        (status, response.json().await.unwrap())
    }

    /// A steering request that must succeed.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let (status, reply) = self.request(Method::POST, path, Some(body)).await;
        assert_eq!(status, 200, "{path}: {reply}");
        reply
    }

    /// A steering request that must be refused: its status and its error.
    pub(crate) async fn refused(&self, method: Method, path: &str, body: Option<Value>) -> (u16, String) {
        let (status, reply) = self.request(method, path, body).await;
        (status.as_u16(), reply["error"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, reply) = self.request(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {reply}");
        reply
    }

    pub(crate) async fn code(&self, body: Value) -> String {
        self.post("/sim/codes", body).await["code"].as_str().unwrap().to_owned()
    }

    /// Sends parameters to code2Session and returns what came back, if anything did.
    pub(crate) async fn call(&self, parameters: &[(&str, &str)]) -> reqwest::Result<Response> {
        self.client.get(format!("{}/sns/jscode2session", self.simulator.url())).query(parameters).send().await
    }

    /// A proper exchange.
    pub(crate) async fn try_exchange(&self, appid: &str, code: &str) -> reqwest::Result<Response> {
        self.call(&[
            ("appid", appid),
            ("secret", &secret_of(appid)),
            ("js_code", code),
            ("grant_type", "authorization_code"),
        ])
        .await
    }

    /// A proper exchange that answers JSON as WeChat does.
    pub(crate) async fn exchange(&self, appid: &str, code: &str) -> Value {
        wechat_json(self.try_exchange(appid, code).await.unwrap()).await
    }

    /// A call of another interface than code2Session; its answer after a look at its wrapping.
    pub(crate) async fn api(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let mut request = self.client.request(method, format!("{}{path}", self.simulator.url()));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        assert_eq!((response.status().as_u16(), path), (200, path));
        assert_eq!(response.headers()["content-type"], "application/json; encoding=utf-8");
        response.json().await.unwrap()
    }

    /// The stable token of an app, or its refusal.
    pub(crate) async fn stable_token(&self, appid: &str, force_refresh: bool) -> Value {
        let secret = secret_of(appid);
        let body = json!({
            "grant_type": "client_credential", "appid": appid, "secret": secret, "force_refresh": force_refresh,
        });
        self.api(Method::POST, "/cgi-bin/stable_token", Some(body)).await
    }

    /// A stable token that works.
    pub(crate) async fn token(&self, appid: &str) -> String {
        self.stable_token(appid, false).await["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn fault(&self, fault: Value) {
        let mut body = json!({"route": "jscode2session"});
        body.as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
        self.post("/sim/faults", body).await;
    }

    /// Sends bytes over a connection of its own and returns all that comes back until its end.
    pub(crate) async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.simulator.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

/// The body of a WeChat answer, after a look at its wrapping.
pub(crate) async fn wechat_json(response: Response) -> Value {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/plain");
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
