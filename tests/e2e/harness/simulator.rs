//! The simulated WeChat, steered over HTTP: inside `wxgate dev`, or `wxgate sim` as a process of its own.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use wxgate_crypto::{Digest, encoding};

use super::client::Client;
use super::process::Process;
use super::{PATIENCE, within};

/// A simulator at some address.
#[derive(Clone, Debug)]
pub(crate) struct Simulator {
    client: Client,
}

/// What `wx.login` gave, and who the person is.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(crate) code: String,
    pub(crate) openid: String,
    pub(crate) unionid: Option<String>,
}

/// What `wx.getUserInfo` and its like gave.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) encrypted_data: String,
    pub(crate) iv: String,
    pub(crate) raw_data: String,
    pub(crate) signature: String,
}

impl Simulator {
    /// The simulator at `base`.
    pub(crate) fn at(base: impl Into<String>) -> Self {
        Self { client: Client::new(base) }
    }

    /// Its address, as `--wechat-url` takes it.
    pub(crate) fn url(&self) -> &str {
        self.client.base()
    }

    /// A steering request.
    pub(crate) async fn steer(&self, path: &str, body: &Value) -> Value {
        self.client.post(path, body).await.ok()
    }

    /// The same to take something back.
    pub(crate) async fn take_back(&self, path: &str, body: &Value) -> Value {
        self.client.send(self.client.request(Method::DELETE, path).json(body)).await.ok()
    }

    /// `wx.login` of a new person.
    pub(crate) async fn code(&self, appid: &str) -> Issued {
        self.issue(&json!({ "appid": appid })).await
    }

    /// `wx.login` of a known person, whose session_key changes.
    pub(crate) async fn code_of(&self, appid: &str, openid: &str) -> Issued {
        self.issue(&json!({ "appid": appid, "openid": openid })).await
    }

    /// `wx.login` with everything the steering takes: `{appid, openid?, unionid?, rotate?}`.
    pub(crate) async fn issue(&self, body: &Value) -> Issued {
        let issued = self.steer("/sim/codes", body).await;
        Issued {
            code: text(&issued, "code"),
            openid: text(&issued, "openid"),
            unionid: issued.get("unionid").map(|unionid| unionid.as_str().unwrap().to_owned()),
        }
    }

    /// The phone button's code.
    pub(crate) async fn phone_code(&self, appid: &str) -> String {
        text(&self.steer("/sim/phone-codes", &json!({ "appid": appid })).await, "code")
    }

    /// The phone button's code for a person and a number of theirs.
    pub(crate) async fn phone_code_of(&self, appid: &str, openid: &str, phone: &str) -> String {
        let body = json!({ "appid": appid, "openid": openid, "phone": phone });
        text(&self.steer("/sim/phone-codes", &body).await, "code")
    }

    /// How often WeChat was called on a route, by the last part of its path.
    pub(crate) async fn calls_of(&self, route: &str) -> usize {
        let of = |call: &&Value| call["route"].as_str().is_some_and(|path| path.rsplit('/').next() == Some(route));
        self.journal().await.iter().filter(of).count()
    }

    /// Sealed data of a person: `{appid, openid, kind, ...}`.
    pub(crate) async fn encrypt(&self, body: &Value) -> Sealed {
        let sealed = self.steer("/sim/encrypt", body).await;
        Sealed {
            encrypted_data: text(&sealed, "encryptedData"),
            iv: text(&sealed, "iv"),
            raw_data: text(&sealed, "rawData"),
            signature: text(&sealed, "signature"),
        }
    }

    /// A push: `{url?, appid, token, mode, format, message, ...}`. What was pushed, and what was answered.
    pub(crate) async fn push(&self, body: &Value) -> Value {
        self.steer("/sim/push", body).await
    }

    /// WeChat verifies the address of pushes: `{url, token, ...}`. Whether the echo was right, and what was answered.
    pub(crate) async fn verify_push(&self, body: &Value) -> Value {
        self.steer("/sim/push/verify", body).await
    }

    /// `wx.getUserInfo` of a person.
    pub(crate) async fn user_info(&self, appid: &str, openid: &str) -> Sealed {
        self.encrypt(&json!({ "appid": appid, "openid": openid, "kind": "user_info" })).await
    }

    /// Ends all tokens of an app at once, as another system that refreshed twice.
    pub(crate) async fn end_tokens(&self, appid: &str) {
        self.steer("/sim/tokens/end", &json!({ "appid": appid })).await;
    }

    /// Steers the keys of an app whose calls are signed and encrypted.
    pub(crate) async fn api_security(&self, method: Method, path: &str, appid: &str) -> Value {
        let request = self.client.request(method, &format!("/sim/api-security{path}")).json(&json!({ "appid": appid }));
        self.client.send(request).await.ok()
    }

    /// Whether WeChat takes a token.
    pub(crate) async fn takes(&self, token: &str) -> bool {
        self.client.get(&format!("/cgi-bin/getcallbackip?access_token={token}")).await.ok()["ip_list"].is_array()
    }

    /// Adds a fault on code2Session, unless it names another route: `{kind, appid?, times?, delay_ms?, errcode?}`.
    pub(crate) async fn fault(&self, fault: Value) {
        let mut fault = fault;
        if fault["route"].is_null() {
            fault["route"] = json!("jscode2session");
        }
        self.steer("/sim/faults", &fault).await;
    }

    /// Forgets the faults that have not fired.
    pub(crate) async fn clear_faults(&self) {
        self.client.send(self.client.request(Method::DELETE, "/sim/faults")).await.ok();
    }

    /// Lets time pass at WeChat.
    pub(crate) async fn advance(&self, by: Duration) {
        self.steer("/sim/clock", &json!({ "advance_ms": u64::try_from(by.as_millis()).unwrap() })).await;
    }

    /// WeChat's own time, in seconds.
    pub(crate) async fn seconds(&self) -> i64 {
        self.client.get("/sim/health").await.ok()["now_ms"].as_i64().unwrap() / 1_000
    }

    /// Every call of WeChat's own routes so far.
    pub(crate) async fn journal(&self) -> Vec<Value> {
        self.client.get("/sim/journal").await.ok()["calls"].as_array().unwrap().clone()
    }

    /// How many exchanges WeChat has been asked for. Questions about an AppSecret, which come with a code of nobody, are
    /// none.
    pub(crate) async fn exchanges(&self) -> usize {
        let nobodys = Digest::sha256(b"wxgate-checks-the-appsecret");
        let nobodys = encoding::to_hex(nobodys.as_bytes());
        self.journal().await.iter().filter(|call| call["code_digest"] != *nobodys).count()
    }

    /// Adds an app, or replaces what is known of it.
    pub(crate) async fn put_app(&self, appid: &str, secret: &str, union_group: Option<&str>) {
        let mut app = json!({ "appid": appid, "secret": secret });
        if let Some(group) = union_group {
            app["union_group"] = json!(group);
        }
        self.steer("/sim/apps", &app).await;
    }

    /// Removes an app.
    pub(crate) async fn remove_app(&self, appid: &str) {
        self.client.send(self.client.request(Method::DELETE, &format!("/sim/apps/{appid}"))).await.ok();
    }
}

fn text(reply: &Value, key: &str) -> String {
    reply[key].as_str().unwrap_or_else(|| panic!("no {key} in {reply}")).to_owned()
}

/// `wxgate sim` as a process of its own: it stays while gateways come and go.
#[derive(Debug)]
pub(crate) struct SimulatorProcess {
    simulator: Simulator,
    process: Process,
    folder: TempDir,
}

impl SimulatorProcess {
    /// Starts one that knows these apps: `APPID=SECRET` or `APPID=SECRET@GROUP`.
    pub(crate) async fn start(apps: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut arguments = vec!["sim".to_owned(), "--listen".to_owned(), "127.0.0.1:0".to_owned()];
        for app in apps {
            arguments.extend(["--app".to_owned(), (*app).to_owned()]);
        }
        let mut process = Process::start(folder.path(), "sim", &arguments, &[]);
        let url = within(PATIENCE, "the simulator listens", async || {
            process.assert_alive();
            let text = process.stdout();
            let (_, rest) = text.split_once("simulated WeChat listening on ")?;
            rest.split_once('\n').map(|(url, _)| url.to_owned())
        });
        let simulator = Simulator::at(url.await);
        Self { simulator, process, folder }
    }

    /// Where it keeps its output.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it, so that nobody listens there any more.
    pub(crate) fn kill9(&mut self) {
        self.process.kill9();
    }
}

impl std::ops::Deref for SimulatorProcess {
    type Target = Simulator;

    fn deref(&self) -> &Simulator {
        &self.simulator
    }
}
