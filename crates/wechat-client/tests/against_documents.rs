//! The client against recorded and broken documents, over real connections.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

#[path = "support/upstream.rs"]
mod upstream;

use std::time::{Duration, Instant};

use upstream::{Answer, Upstream, http, wechat};
use wxgate_domain::{AppSecrets, WechatAppid};
use wxgate_wechat_client::{
    BadResponse, BaseUrl, Client, ClientConfig, ConfigError, ExchangeError, Exchanged, Rejected, RejectedClass,
    SecretSlot,
};

const SUCCESS: &str = r#"{"session_key":"aAf3uQ5AslIObWmLT+BXPg==","openid":"oFoSZ5T0DOf8Fhfz2SZfWcaJW-b0"}"#;
const WRONG_SECRET: &str = r#"{"errcode":40125,"errmsg":"invalid appsecret, rid: 652d44d0-1d0af18b-5b069232"}"#;
const CODE: &str = "0a1b2c3d4e";

fn refusal(errcode: i64) -> Vec<u8> {
    wechat(&format!(r#"{{"errcode":{errcode},"errmsg":"no rid: 652d44d0-1d0af18b-5b069232"}}"#))
}

fn app(number: u8) -> WechatAppid {
    format!("wx00000000000000{number:02}").parse().unwrap()
}

fn one_slot() -> AppSecrets {
    AppSecrets::only("newsecret".parse().unwrap())
}

fn two_slots() -> AppSecrets {
    AppSecrets { current: "newsecret".parse().unwrap(), previous: Some("oldsecret".parse().unwrap()) }
}

/// Time enough for a busy machine, for tests that are not about time.
fn patient(url: &str) -> ClientConfig {
    ClientConfig {
        base_url: BaseUrl::parse(url, true).unwrap(),
        connect_timeout: Duration::from_secs(10),
        total_timeout: Duration::from_secs(30),
        ..ClientConfig::default()
    }
}

/// For tests whose time must run out.
fn hasty(url: &str) -> ClientConfig {
    ClientConfig {
        connect_timeout: Duration::from_millis(700),
        total_timeout: Duration::from_millis(800),
        ..patient(url)
    }
}

async fn exchange(client: &Client) -> Result<Exchanged, ExchangeError> {
    client.code_to_session(&app(1), &one_slot(), &CODE.parse().unwrap()).await
}

/// One exchange with a server that answers so.
async fn exchange_with(answer: Answer) -> Result<Exchanged, ExchangeError> {
    let upstream = Upstream::answering([answer]).await;
    let result = exchange(&Client::new(patient(&upstream.url())).unwrap()).await;
    assert_eq!(upstream.seen().requests.len(), 1, "a code is sent once");
    result
}

fn bad(result: Result<Exchanged, ExchangeError>) -> BadResponse {
    match result {
        Err(ExchangeError::BadResponse(bad)) => bad,
        other => panic!("{other:?}"),
    }
}

fn rejected(result: Result<Exchanged, ExchangeError>) -> Rejected {
    match result {
        Err(ExchangeError::Rejected(rejected)) => rejected,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_success_is_asked_for_and_read_as_documented() {
    let with_unionid = SUCCESS.replace('}', r#","unionid":"oU_-1","errcode":0,"new":{"field":[1]}}"#);
    let upstream = Upstream::answering([
        Answer::Keep(wechat(SUCCESS)),
        Answer::Keep(http("200 OK", "Content-Type: application/json; encoding=utf-8\r\n", &with_unionid)),
        Answer::Keep(wechat(
            &SUCCESS.replace("aAf3uQ5AslIObWmLT+BXPg==", r"\/\/\/\/\/\/\/\/\/\/\/\/\/\/\/\/\/\/\/\/\/w=="),
        )),
    ])
    .await;
    let client = Client::new(patient(&upstream.url())).unwrap();

    let first = exchange(&client).await.unwrap();
    assert_eq!(first.slot, SecretSlot::Current);
    assert_eq!(first.errcode_class(), "ok");
    assert_eq!(first.identity.openid.as_str(), "oFoSZ5T0DOf8Fhfz2SZfWcaJW-b0");
    assert_eq!(first.identity.unionid, None);
    assert_eq!(exchange(&client).await.unwrap().identity.unionid.unwrap().as_str(), "oU_-1");
    assert_eq!(exchange(&client).await.unwrap().identity.session_key.bytes().expose(), &[0xff; 16]);

    let seen = upstream.seen();
    assert_eq!(seen.connections, 1, "one connection serves one call after the other");
    let head = seen.requests[0].to_ascii_lowercase();
    assert!(seen.requests[0].starts_with(
        "GET /sns/jscode2session?appid=wx0000000000000001&secret=newsecret&js_code=0a1b2c3d4e\
         &grant_type=authorization_code HTTP/1.1\r\n"
    ));
    assert!(!head.contains("accept-encoding") && !head.contains("referer"), "{head}");
}

#[tokio::test]
async fn every_errcode_has_its_class() {
    use RejectedClass::{
        Busy, CodeInvalid, CodeUsed, Misconfigured, NotAuthorized, QuotaExhausted, RateLimited, UserBlocked,
    };
    let mut expected =
        vec![(-1, Busy), (40029, CodeInvalid), (41008, CodeInvalid), (40163, CodeUsed), (40226, UserBlocked)];
    expected.extend([(50002, UserBlocked), (45011, RateLimited), (45009, QuotaExhausted), (61003, NotAuthorized)]);
    let misconfigured = [
        40001, 40002, 40013, 40125, 40164, 40243, 41002, 41004, 43001, 43002, 43003, 45035, 48001, 48004, 50003, 50007,
        61004, 61007, 89501, 89503, 89506, 89507, 1, 99_999,
    ];
    expected.extend(misconfigured.map(|errcode| (errcode, Misconfigured)));

    let upstream = Upstream::answering(expected.iter().map(|(errcode, _)| Answer::Keep(refusal(*errcode)))).await;
    let client = Client::new(ClientConfig { breaker_threshold: 1, ..patient(&upstream.url()) }).unwrap();
    for (errcode, class) in expected {
        let error = exchange(&client).await.unwrap_err();
        assert_eq!(error.errcode_class(), class.label());
        let rejected = rejected(Err(error));
        assert_eq!((rejected.errcode, rejected.class), (errcode, class));
        assert_eq!(rejected.rid.as_ref().unwrap().as_str(), "652d44d0-1d0af18b-5b069232");
        assert_eq!(rejected.meaning().starts_with("unknown"), [1, 99_999].contains(&errcode), "{errcode}");
    }
}

#[tokio::test]
async fn a_refusal_is_read_from_the_body_whatever_surrounds_it() {
    let body = r#"{"errcode":"40029","errmsg":"invalid code, the code is a mock one"}"#;
    for answer in [
        wechat(body),
        http("200 OK", "Content-Type: text/html\r\n", body),
        http("400 Bad Request", "", body),
        http("302 Found", "Location: /elsewhere\r\n", body),
    ] {
        let rejected = rejected(exchange_with(Answer::Keep(answer)).await);
        assert_eq!(rejected.class, RejectedClass::CodeInvalid);
        assert!(rejected.is_mock_code);
    }
    let both = SUCCESS.replace('}', r#","errcode":40163}"#);
    assert_eq!(rejected(exchange_with(Answer::Keep(wechat(&both))).await).class, RejectedClass::CodeUsed);
}

#[tokio::test]
async fn documents_that_are_no_answer_are_bad_responses() {
    let long_key = SUCCESS.replace("aAf3uQ5AslIObWmLT+BXPg==", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    for (answer, expected) in [
        (wechat(""), BadResponse::Empty),
        (http("204 No Content", "", ""), BadResponse::Empty),
        (http("200 OK", "", "<!DOCTYPE html><title>Wi-Fi login</title>"), BadResponse::Html),
        (http("502 Bad Gateway", "Content-Type: text/html\r\n", "<html>"), BadResponse::Status(502)),
        (http("500 Internal Server Error", "", SUCCESS), BadResponse::Status(500)),
        (wechat(&SUCCESS[..SUCCESS.len() / 2]), BadResponse::NotJson),
        (wechat(&SUCCESS.replace('{', r#"{"openid":"o2","#)), BadResponse::NotJson),
        (wechat("[]"), BadResponse::NotObject),
        (wechat(r#"{"errcode":0,"errmsg":"ok"}"#), BadResponse::OpenId),
        (wechat(&SUCCESS.replace("openid", "open_id")), BadResponse::OpenId),
        (wechat(&SUCCESS.replace("session_key", "key")), BadResponse::SessionKey),
        (wechat(&long_key), BadResponse::SessionKey),
        (wechat(&SUCCESS.replace('}', r#","unionid":"o U"}"#)), BadResponse::UnionId),
        (http("200 OK", "Content-Encoding: gzip\r\n", SUCCESS), BadResponse::Encoded),
    ] {
        let shown = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(bad(exchange_with(Answer::Keep(answer)).await), expected, "{shown}");
    }
}

#[tokio::test]
async fn a_redirect_takes_the_secret_nowhere() {
    let elsewhere = Upstream::answering([Answer::Keep(wechat(SUCCESS))]).await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = format!("Location: {}/sns/jscode2session\r\n", elsewhere.url());
        assert_eq!(bad(exchange_with(Answer::Keep(http(status, &location, ""))).await), BadResponse::Empty);
    }
    assert_eq!(elsewhere.seen().connections, 0);
}

#[tokio::test]
async fn no_body_is_too_long_to_refuse() {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let chunk = [b"1000\r\n".to_vec(), vec![b' '; 4096], b"\r\n".to_vec()].concat();
    assert_eq!(bad(exchange_with(Answer::Endless(head, chunk)).await), BadResponse::TooLarge);

    let padding = |length: usize| wechat(&format!("{SUCCESS}{}", " ".repeat(length - SUCCESS.len())));
    assert!(exchange_with(Answer::Keep(padding(64 * 1024))).await.is_ok());
    assert_eq!(bad(exchange_with(Answer::Keep(padding(64 * 1024 + 1))).await), BadResponse::TooLarge);
}

#[tokio::test]
async fn slow_answers_end_with_the_budget() {
    // A thousand blanks before the document: at ten milliseconds each, they outlast every budget here.
    let whole = wechat(&format!("{}{SUCCESS}", " ".repeat(1_000)));
    let body = whole.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    for answer in [
        Answer::Stall(vec![]),
        Answer::Stall(whole[..body + 10].to_vec()),
        Answer::Drip(vec![], whole.clone()),
        Answer::Drip(whole[..body].to_vec(), whole[body..].to_vec()),
    ] {
        let upstream = Upstream::answering([answer]).await;
        let started = Instant::now();
        let error = exchange(&Client::new(hasty(&upstream.url())).unwrap()).await.unwrap_err();
        assert_eq!(error, ExchangeError::Timeout);
        assert!(started.elapsed() < Duration::from_secs(5));
        assert_eq!(upstream.seen().requests.len(), 1);
    }
}

#[tokio::test]
async fn a_connection_lost_after_the_request_is_not_tried_again() {
    let half = wechat(SUCCESS)[..80].to_vec();
    for answer in [Answer::Close(vec![]), Answer::Close(half)] {
        assert_eq!(exchange_with(answer.clone()).await.unwrap_err(), ExchangeError::Timeout);

        // The same on a connection that has served before, where HTTP clients like to try again.
        let upstream = Upstream::answering([Answer::Keep(wechat(SUCCESS)), answer]).await;
        let client = Client::new(patient(&upstream.url())).unwrap();
        assert!(exchange(&client).await.is_ok());
        assert_eq!(exchange(&client).await.unwrap_err(), ExchangeError::Timeout);
        assert_eq!((upstream.seen().connections, upstream.seen().requests.len()), (1, 2));
    }
}

#[tokio::test]
async fn a_kept_connection_that_wechat_closed_costs_nothing() {
    let upstream = Upstream::answering([Answer::Close(wechat(SUCCESS)), Answer::Keep(wechat(SUCCESS))]).await;
    let client = Client::new(patient(&upstream.url())).unwrap();
    assert!(exchange(&client).await.is_ok());
    upstream.closed().await;
    assert!(exchange(&client).await.is_ok());
    assert_eq!((upstream.seen().connections, upstream.seen().requests.len()), (2, 2));
}

#[tokio::test]
async fn a_failed_connect_is_tried_once_more() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refusing = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(exchange(&Client::new(patient(&refusing)).unwrap()).await.unwrap_err(), ExchangeError::Unavailable);

    // TLS belongs to the connect: the request, and the secret in it, has not been sent.
    let slamming = Upstream::slamming().await;
    let url = slamming.url().replace("http:", "https:");
    assert_eq!(exchange(&Client::new(patient(&url)).unwrap()).await.unwrap_err(), ExchangeError::Unavailable);
    assert_eq!(slamming.seen().connections, 2);
}

#[tokio::test]
async fn a_connect_that_took_its_time_is_not_tried_again() {
    let silent = Upstream::silent().await;
    let client = Client::new(hasty(&silent.url().replace("http:", "https:"))).unwrap();
    let started = Instant::now();
    assert_eq!(exchange(&client).await.unwrap_err(), ExchangeError::Unavailable);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(silent.seen().connections, 1);
}

#[tokio::test]
async fn the_previous_secret_helps_only_where_the_current_one_is_refused() {
    let upstream = Upstream::answering([
        Answer::Keep(wechat(WRONG_SECRET)),
        Answer::Keep(wechat(SUCCESS)),
        Answer::Keep(refusal(40029)),
        Answer::Keep(wechat(WRONG_SECRET)),
    ])
    .await;
    let client = Client::new(patient(&upstream.url())).unwrap();
    let code = CODE.parse().unwrap();

    let exchanged = client.code_to_session(&app(1), &two_slots(), &code).await.unwrap();
    assert_eq!(exchanged.slot, SecretSlot::Previous);
    let requests = upstream.seen().requests;
    assert!(requests[0].contains("secret=newsecret&") && requests[1].contains("secret=oldsecret&"));

    let invalid = rejected(client.code_to_session(&app(1), &two_slots(), &code).await);
    assert_eq!((invalid.errcode, upstream.seen().requests.len()), (40029, 3));
    let both_wrong = rejected(client.code_to_session(&app(1), &two_slots(), &code).await);
    assert_eq!((both_wrong.errcode, upstream.seen().requests.len()), (40125, 5));
    let no_other = rejected(client.code_to_session(&app(1), &one_slot(), &code).await);
    assert_eq!((no_other.errcode, upstream.seen().requests.len()), (40125, 6));
}

#[tokio::test]
async fn both_secrets_share_one_budget() {
    let upstream = Upstream::answering([Answer::Keep(wechat(WRONG_SECRET)), Answer::Stall(vec![])]).await;
    let client = Client::new(hasty(&upstream.url())).unwrap();
    let started = Instant::now();
    let result = client.code_to_session(&app(1), &two_slots(), &CODE.parse().unwrap()).await;
    assert_eq!(result.unwrap_err(), ExchangeError::Timeout);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_slow_app_fills_its_own_lane_only() {
    let upstream = Upstream::answering([Answer::Stall(vec![]), Answer::Keep(wechat(SUCCESS))]).await;
    let client = Client::new(ClientConfig { max_in_flight_per_app: 1, ..patient(&upstream.url()) }).unwrap();
    let slow = tokio::spawn({
        let client = client.clone();
        async move { exchange(&client).await }
    });
    upstream.requests(1).await;
    assert_eq!(exchange(&client).await.unwrap_err(), ExchangeError::Overloaded);
    assert!(client.code_to_session(&app(2), &one_slot(), &CODE.parse().unwrap()).await.is_ok());

    slow.abort();
    assert!(slow.await.unwrap_err().is_cancelled());
    assert!(exchange(&client).await.is_ok(), "a caller that leaves gives its place back");
}

#[tokio::test]
async fn a_broken_app_trips_its_own_breaker_only() {
    let upstream = Upstream::answering([
        Answer::Keep(wechat("<html>")),
        Answer::Keep(refusal(-1)),
        Answer::Keep(wechat("")),
        Answer::Close(vec![]),
        Answer::Keep(wechat(SUCCESS)),
    ])
    .await;
    let client = Client::new(ClientConfig { breaker_threshold: 2, ..patient(&upstream.url()) }).unwrap();
    for class in ["bad_response", "busy", "bad_response", "timeout", "unavailable", "unavailable"] {
        assert_eq!(exchange(&client).await.unwrap_err().errcode_class(), class);
    }
    assert_eq!(upstream.seen().requests.len(), 4, "an open breaker sends nothing");
    assert!(client.code_to_session(&app(2), &one_slot(), &CODE.parse().unwrap()).await.is_ok());
}

#[test]
fn a_configuration_without_sense_makes_no_client() {
    let config = ClientConfig::default;
    for (wrong, expected) in [
        (ClientConfig { connect_timeout: Duration::ZERO, ..config() }, ConfigError::Timeouts),
        (ClientConfig { connect_timeout: Duration::from_secs(2), ..config() }, ConfigError::Timeouts),
        (ClientConfig { max_in_flight_per_app: 0, ..config() }, ConfigError::Limits),
        (ClientConfig { breaker_threshold: 0, ..config() }, ConfigError::Limits),
    ] {
        assert_eq!(Client::new(wrong).unwrap_err(), expected);
    }
    assert!(Client::new(config()).is_ok());
}
