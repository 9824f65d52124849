//! No secret in any error, `Debug` text or log line, at the most talkative level, of this crate or those below it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

#[path = "support/upstream.rs"]
mod upstream;

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;
use upstream::{Answer, Upstream, wechat};
use wxgate_domain::AppSecrets;
use wxgate_wechat_client::{BaseUrl, Client, ClientConfig, ExchangeError, Exchanged, Rejected, RejectedClass};

const CURRENT: &str = "canary+current/0123456789abcdef";
const PREVIOUS: &str = "canary+previous/0123456789abcdef";
const CODE: &str = "canary-code-0123456789";
/// Base64 of 16 bytes.
const SESSION_KEY: &str = "canary0session0keyAAAA==";
/// What would show in a log whatever way the value is escaped.
const TRACES: [&str; 6] =
    ["canary+current", "canary%2Bcurrent", "canary+previous", "canary%2Bprevious", CODE, "canary0session0key"];

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

fn answers() -> Vec<Answer> {
    let success = format!(r#"{{"session_key":"{SESSION_KEY}","openid":"o1"}}"#);
    let echo = format!("{CODE} {CURRENT} rid: 652d44d0-1d0af18b-5b069232");
    vec![
        Answer::Keep(wechat(&success)),
        // A refused secret, then a success with the previous one.
        Answer::Keep(wechat(&format!(r#"{{"errcode":40125,"errmsg":"{echo}"}}"#))),
        Answer::Keep(wechat(&success)),
        Answer::Keep(wechat(&format!(r#"{{"errcode":40029,"errmsg":"{echo}","session_key":"{SESSION_KEY}"}}"#))),
        Answer::Keep(wechat(&format!("<html>{CODE}"))),
        Answer::Keep(wechat(&success.replace("o1", CURRENT))),
        Answer::Keep(wechat(&success.replace("==", "="))),
        Answer::Keep(wechat(&success[..success.len() - 1])),
        Answer::Keep(format!("HTTP/1.1 302 Found\r\nLocation: /?{CODE}\r\nContent-Length: 0\r\n\r\n").into_bytes()),
        Answer::Keep(b"this is not HTTP\r\n\r\n".to_vec()),
        Answer::Close(vec![]),
        Answer::Close(wechat(&success)[..90].to_vec()),
        Answer::Stall(vec![]),
    ]
}

#[tokio::test]
async fn errors_debug_texts_and_logs_tell_no_secret() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(move || writer.clone()).init();

    let credential = AppSecrets { current: CURRENT.parse().unwrap(), previous: Some(PREVIOUS.parse().unwrap()) };
    let (appid, code) = ("wx0000000000000001".parse().unwrap(), CODE.parse().unwrap());
    let upstream = Upstream::answering(answers()).await;
    let refused = Upstream::slamming().await.url().replace("http:", "https:");
    let mut shown = format!("{credential:?} {code:?}");
    let mut classes = Vec::new();
    for (url, calls) in [(upstream.url(), answers().len() - 1), (refused, 1)] {
        let config = ClientConfig {
            base_url: BaseUrl::parse(&url, true).unwrap(),
            connect_timeout: Duration::from_millis(1_400),
            total_timeout: Duration::from_millis(1_500),
            ..ClientConfig::default()
        };
        let client = Client::new(config.clone()).unwrap();
        write!(shown, "{config:?} {client:?}").unwrap();
        for _ in 0..calls {
            let result = client.code_to_session(&appid, &credential, &code).await;
            write!(shown, "{result:?} {result:#?}").unwrap();
            classes.push(result.as_ref().map_or_else(ExchangeError::errcode_class, Exchanged::errcode_class));
            if let Err(error) = &result {
                let source = std::error::Error::source(error);
                write!(shown, "{error} {source:?}").unwrap();
            }
        }
    }
    let rejected = Rejected { class: RejectedClass::CodeInvalid, errcode: 40029, rid: None, is_mock_code: false };
    write!(shown, "{rejected} {rejected:?}").unwrap();

    let bad = ["bad_response"; 6];
    let lost = ["timeout"; 3];
    let expected = [&["ok", "ok", "code_invalid"][..], &bad, &lost, &["unavailable"]].concat();
    assert_eq!(classes, expected, "every way out was taken");

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    // What proves that the log below is the whole log: our line, and those of the crates below at TRACE.
    for present in ["called WeChat", "wechat.rid", "652d44d0-1d0af18b-5b069232", "starting new connection", "TRACE"] {
        assert!(logged.contains(present), "{present} is not in the log");
    }
    assert!(!logged.contains("grant_type"), "an address was logged");
    for secret in TRACES {
        assert!(!logged.contains(secret), "{secret} is in the log");
        assert!(!shown.contains(secret), "{secret} is in a text");
    }
}
