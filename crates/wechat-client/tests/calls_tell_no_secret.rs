//! No secret, no token and no number in any error, `Debug` text or log line of the calls with an access_token.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

#[path = "support/upstream.rs"]
mod upstream;

use std::fmt::{Debug, Write as _};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tracing_subscriber::filter::LevelFilter;
use upstream::{Answer, Upstream, wechat};
use wxgate_crypto::Secret;
use wxgate_crypto::user_data::SessionKey;
use wxgate_domain::AppSecrets;
use wxgate_wechat_client::{Access, AccessToken, BaseUrl, CallError, Client, ClientConfig, PhoneCode, TokenMode};

const SECRET: &str = "canary+secret/0123456789abcdef";
const TOKEN: &str = "89_canarytoken0123456789";
const CODE: &str = "canarycode0123456789";
const NUMBER: &str = "13800138000";
/// Base64 of 16 bytes.
const SESSION_KEY: &str = "canary0session0keyAAAA==";
const TRACES: [&str; 6] =
    ["canary+secret", "canary%2Bsecret", "canarytoken", "canarycode", "13800138000", "canary0session0key"];

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Answers that each of the calls can meet; the success is its own.
fn answers(success: &str) -> Vec<Answer> {
    let echo = format!("{CODE} {SECRET} {TOKEN} {NUMBER} rid: 652d44d0-1d0af18b-5b069232");
    vec![
        Answer::Keep(wechat(success)),
        Answer::Keep(wechat(&json!({"errcode": 40013, "errmsg": echo, "access_token": TOKEN}).to_string())),
        Answer::Keep(wechat(&format!("<html>{echo}"))),
        Answer::Keep(wechat(&format!(
            "{{\"openid\":\"{echo}\",\"phone_info\":{{}},\"session_key\":\"{SESSION_KEY}!\"}}"
        ))),
        Answer::Keep(format!("HTTP/1.1 302 Found\r\nLocation: /?{TOKEN}\r\nContent-Length: 0\r\n\r\n").into_bytes()),
        Answer::Keep(b"this is not HTTP\r\n\r\n".to_vec()),
        Answer::Stall(vec![]),
    ]
}

fn show<T: Debug>(shown: &mut String, classes: &mut Vec<&'static str>, result: &Result<T, CallError>) {
    write!(shown, "{result:?} {result:#?}").unwrap();
    classes.push(result.as_ref().map_or_else(CallError::errcode_class, |_| "ok"));
    if let Err(error) = result {
        write!(shown, "{error} {:?}", std::error::Error::source(error)).unwrap();
    }
}

#[tokio::test]
async fn errors_debug_texts_and_logs_tell_no_secret() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(move || writer.clone()).init();

    let appid = "wx0000000000000001".parse().unwrap();
    let openid = "oAlice".parse().unwrap();
    let credential = AppSecrets::only(SECRET.parse().unwrap());
    let token = AccessToken::parse(TOKEN.to_owned()).unwrap();
    let code = PhoneCode::parse(CODE).unwrap();
    let key = SessionKey::parse(Secret::new(SESSION_KEY.to_owned())).unwrap();
    let access = Access::plain(&appid, &token);

    let issued = json!({"access_token": TOKEN, "expires_in": 7200}).to_string();
    let phone = json!({"phone_info": {"phoneNumber": NUMBER, "purePhoneNumber": NUMBER, "countryCode": "86",
        "watermark": {"appid": appid.as_str(), "timestamp": 1}}})
    .to_string();
    let reset = json!({"openid": "oAlice", "session_key": SESSION_KEY}).to_string();

    let (mut shown, mut classes) = (format!("{access:?} {code:?}"), Vec::new());
    for (call, success) in [&issued, &issued, &phone, &reset].into_iter().enumerate() {
        let upstream = Upstream::answering(answers(success)).await;
        let client = Client::new(ClientConfig {
            base_url: BaseUrl::parse(&upstream.url(), true).unwrap(),
            connect_timeout: Duration::from_millis(1_400),
            total_timeout: Duration::from_millis(1_500),
            ..ClientConfig::default()
        })
        .unwrap();
        for _ in 0..answers(success).len() {
            match call {
                0 => show(&mut shown, &mut classes, &client.stable_token(&appid, &credential, TokenMode::Force).await),
                1 => show(&mut shown, &mut classes, &client.legacy_token(&appid, &credential).await),
                2 => show(&mut shown, &mut classes, &client.phone_number(&access, &code, &openid).await),
                _ => show(&mut shown, &mut classes, &client.reset_session_key(&access, &openid, &key).await),
            }
        }
    }
    // To a phone code, an appid that does not fit says that the code is another app's.
    let each = ["misconfigured", "misconfigured", "code_invalid", "misconfigured"]
        .map(|refused| ["ok", refused, "bad_response", "bad_response", "bad_response", "bad_response", "timeout"]);
    assert_eq!(classes, each.concat(), "every way out was taken");

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for present in ["called WeChat", "652d44d0-1d0af18b-5b069232", "starting new connection", "TRACE"] {
        assert!(logged.contains(present), "{present} is not in the log");
    }
    for secret in TRACES {
        assert!(!logged.contains(secret), "{secret} is in the log");
        assert!(!shown.contains(secret), "{secret} is in a text");
    }
}
