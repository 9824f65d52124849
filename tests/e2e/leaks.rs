//! No secret in any log, metric, reply or file: the other stories once more with everything logged, then every byte
//! is searched.

mod access_tokens;
mod canaries;
mod folder;
mod phones;
mod pushes;
mod services;

use reqwest::Method;
use serde_json::{Value, json};

use self::canaries::Canaries;
use crate::harness::gateway::Launch;
use crate::harness::wechat::{Answer, Wechat};
use crate::harness::{APP, Gateway, OTHER_APP, Reply};

/// An AppSecret that nothing else looks like.
const SECRET: &str = "ca7a51b0c0ffee5ec2e7ca7a51b0c0de";
const OTHER_SECRET: &str = "0ddba11ca7a51b0c0ffee5ec2e70ddba";

fn talkative() -> Launch {
    Gateway::dev()
        .app(format!("{APP}={SECRET}"))
        .app(format!("{OTHER_APP}={OTHER_SECRET}"))
        .env("WXGATE__LOG__LEVEL", "trace")
        .env("WXGATE__LIMITS__ADDRESS_BURST", "1000")
}

/// What a client of the gateway was told, other than tokens where a token is the answer; and how many tokens.
#[derive(Default)]
struct Told(Vec<String>, usize);

impl Told {
    /// Remembers a reply. The tokens of a login are its answer, and become canaries themselves.
    fn hear(&mut self, reply: &Reply, canaries: &mut Canaries) {
        self.0.extend(reply.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or("?"))));
        let Ok(mut body) = serde_json::from_str::<Value>(&reply.text) else {
            self.0.push(reply.text.clone());
            return;
        };
        // The tutorial's reply keeps its tokens in an object.
        let tokens = if body["token"].is_object() { &mut body["token"] } else { &mut body };
        for name in ["access_token", "refresh_token"].into_iter().filter(|_| reply.status == 200) {
            if let Some(token) = tokens.get_mut(name).map(Value::take) {
                canaries.token(name, token.as_str().unwrap());
                self.1 += 1;
            }
        }
        self.0.push(body.to_string());
    }
}

/// The session_key of one code: 16 bytes that nothing else looks like.
fn session_key(number: u8) -> [u8; 16] {
    *b"canary key no. \0".map(|byte| if byte == 0 { number } else { byte | 0x80 }).first_chunk().unwrap()
}

/// Everything that a login can go through, at TRACE.
async fn everything(gateway: &Gateway, told: &mut Told, canaries: &mut Canaries) {
    let client = gateway.client();
    for (number, appid) in [(1, APP), (2, OTHER_APP)] {
        let code = canaries.code(number);
        let key = "idempotency-canary-0123456789abcdef";
        canaries.text("Idempotency-Key", key);
        let request =
            || client.request(Method::POST, &format!("/v1/apps/{appid}/login")).header("Idempotency-Key", key);
        let body = json!({ "code": code });
        told.hear(&client.send(request().json(&body)).await, canaries);
        // The same again is a replay; another body, another client, another app are not.
        told.hear(&client.send(request().json(&body)).await, canaries);
        told.hear(&client.login_with(appid, &code).await, canaries);
        told.hear(&client.login(appid, &json!({ "code": code, "iv": "x" })).await, canaries);
    }
    for (number, path) in [(3, format!("/apps/{APP}/user/wxlogin")), (4, format!("/apps/{OTHER_APP}/user/wxlogin"))] {
        let body = json!({ "platCode": canaries.code(number) });
        told.hear(&client.post(&path, &body).await, canaries);
        let broken =
            json!({ "platCode": canaries.code(number), "platUserInfoMap": { "encryptedData": "AAAA", "iv": "AAAA" } });
        told.hear(&client.post(&path, &broken).await, canaries);
    }
    // Data that opens with no key, so that every stage of opening it fails in turn.
    for (number, data) in [(5, "AAAAAAAAAAAAAAAAAAAAAA=="), (6, "not base64"), (7, "")] {
        let body = json!({
            "code": canaries.code(number), "encryptedData": data, "iv": "AAAAAAAAAAAAAAAAAAAAAA==",
            "rawData": "{}", "signature": "0000000000000000000000000000000000000000",
        });
        told.hear(&client.login(APP, &body).await, canaries);
    }
    // Each odd answer of WeChat's, some of which repeat what they were asked.
    for number in 20..30 {
        told.hear(&client.login_with(APP, &canaries.code(number)).await, canaries);
    }
    // Requests that carry secrets where none belongs.
    let code = canaries.code(40);
    told.hear(&client.get(&format!("/user/wxlogin?platCode={code}")).await, canaries);
    told.hear(&client.post(&format!("/v1/apps/{APP}/login?code={code}"), &json!({ "code": code })).await, canaries);
    told.hear(
        &client.post(&format!("/v1/apps/{APP}/login"), &json!({ "code": code, "session_key": code })).await,
        canaries,
    );
    told.hear(&client.post(&format!("/v1/apps/{code}/login"), &json!({ "code": code })).await, canaries);
    let bearer = client.request(Method::GET, "/t/demo/jwks.json").header("Authorization", format!("Bearer {code}"));
    told.hear(&client.send(bearer.header("Cookie", format!("session={code}"))).await, canaries);
    let broken =
        client.request(Method::POST, &format!("/v1/apps/{APP}/login")).header("Content-Type", "application/json");
    told.hear(&client.send(broken.body(format!("{{\"code\":\"{code}\",,}}"))).await, canaries);
}

/// A WeChat that knows secrets, and answers codes from 20 on in ways that repeat them.
async fn careless_wechat() -> Wechat {
    Wechat::start(|request| {
        let line = request.lines().next().unwrap_or_default().to_owned();
        let number = Canaries::number_of(&line).unwrap_or_default();
        let key = wxgate_crypto::encoding::to_base64(session_key(number));
        let identity = format!(r#"{{"session_key":"{key}","openid":"oPerson{number}","unionid":"uPerson{number}"}}"#);
        if let Some(answer) = access_tokens::answer(&line) {
            return Answer::body(answer);
        }
        match number {
            20 => Answer::body(format!(r#"{{"errcode":40125,"errmsg":"invalid appsecret {SECRET}, {line}"}}"#)),
            21 => Answer::body(format!(r#"{{"errcode":99999,"errmsg":"{line}","session_key":"{key}"}}"#)),
            22 => Answer::with("500 Internal Server Error", "text/html", format!("<pre>{line} {SECRET}</pre>")),
            23 => Answer::body(format!("{identity} and {line}")),
            24 => Answer::body(identity.replace("oPerson", "o Person ")),
            25 => Answer::raw(format!("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1{line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")),
            26 => Answer::raw(format!("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{identity}")),
            27 => Answer::raw(format!("{line}\r\n{SECRET}\r\n\r\n")),
            28 => Answer::silence(),
            29 => Answer::hang_up(),
            _ => Answer::body(identity),
        }
    })
    .await
}

#[tokio::test]
async fn every_byte_that_leaves_the_process_is_searched() {
    let wechat = careless_wechat().await;
    let mut gateway = talkative().wechat_url(wechat.url()).await;
    let mut canaries = Canaries::default();
    canaries.secret("AppSecret", SECRET);
    canaries.secret("AppSecret", OTHER_SECRET);
    for number in 0..50 {
        canaries.key(&session_key(number));
    }
    let mut told = Told::default();
    everything(&gateway, &mut told, &mut canaries).await;
    services::everything(&gateway, &mut told, &mut canaries).await;
    access_tokens::everything(&gateway, &mut told, &mut canaries).await;
    pushes::everything(&gateway, &mut told, &mut canaries).await;

    // The canaries did go through it, and the log does say much.
    let asked = wechat.requests().concat();
    assert!(asked.contains(SECRET) && asked.contains(OTHER_SECRET) && wechat.calls() >= 15, "{}", wechat.calls());
    assert!(told.1 >= 12, "{} tokens", told.1);
    let log = gateway.log();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "{log}");
    assert!(log.contains("/v1/apps/{appid}/login") && log.contains("/wechat/push/{appid}"), "{log}");
    for outcome in ["accepted", "verified", "signature", "appid"] {
        assert!(gateway.metric(&format!("wxgate_pushes_total{{outcome=\"{outcome}\"}}")).await > 0, "{outcome}");
    }

    let metrics = gateway.admin().get("/metrics").await.text;
    canaries.search("the metrics", metrics.as_bytes());
    for text in &told.0 {
        canaries.search("a reply", text.as_bytes());
    }
    let master_key = std::fs::read_to_string(gateway.data().join("master-key")).unwrap();
    canaries.secret("master key", master_key.trim());
    // Now, with everything in the write-ahead log; after an orderly end; and after the next start.
    folder::search(&gateway, &canaries);
    assert!(gateway.terminate().await.success());
    folder::search(&gateway, &canaries);
    // What is no secret is found, so a secret would be.
    let database = std::fs::read(gateway.data().join("wxgate.db")).unwrap();
    assert!(database.windows(8).any(|window| window == b"oPerson2"));
    gateway.restart().await;
    let reply = gateway.client().login_with(APP, &canaries.code(8)).await;
    reply.ok();
    told.hear(&reply, &mut canaries);
    gateway.kill9();
    folder::search(&gateway, &canaries);
}

#[tokio::test]
async fn a_wechat_that_is_away_costs_no_secret_either() {
    // Nothing listens on this port as long as the socket is bound.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gateway = talkative().wechat_url(format!("http://{}", socket.local_addr().unwrap())).await;
    let mut canaries = Canaries::default();
    canaries.secret("AppSecret", SECRET);
    let mut told = Told::default();
    for number in 0..25 {
        told.hear(&gateway.client().login_with(APP, &canaries.code(number)).await, &mut canaries);
    }
    for text in &told.0 {
        canaries.search("a reply", text.as_bytes());
    }
    folder::search(&gateway, &canaries);
}

#[tokio::test]
async fn the_simulator_s_journal_tells_digests_only() {
    let gateway = talkative().await;
    let issued = gateway.simulator().code(APP).await;
    gateway.client().login_with(APP, &issued.code).await.ok();
    let journal: Vec<Value> = gateway.simulator().journal().await;
    assert_eq!(journal.len(), 1);
    let mut canaries = Canaries::default();
    canaries.secret("AppSecret", SECRET);
    canaries.text("code", &issued.code);
    canaries.search("the journal", Value::from(journal).to_string().as_bytes());
    canaries.search("the log", gateway.log().as_bytes());
}
