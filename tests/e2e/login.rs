//! A mini-program posts the code of `wx.login` and gets a token that any backend can verify.

mod discovery;
mod engines;
mod tokens;
mod unionid;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::wechat::{Answer, Wechat};
use crate::harness::{APP, Gateway};

/// The keys of an object, in order.
fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Lower-case UUID text.
fn is_uuid(value: &Value) -> bool {
    let text = value.as_str().unwrap();
    text.len() == 36 && text.parse::<uuid::Uuid>().is_ok_and(|id| id.to_string() == text)
}

#[tokio::test]
async fn the_first_login_makes_a_user_and_the_next_one_finds_it() {
    let gateway = Gateway::dev().await;
    let (client, simulator) = (gateway.client(), gateway.simulator());

    let issued = simulator.code(APP).await;
    let first = client.login_with(APP, &issued.code).await.ok();
    assert_eq!(first["user"]["is_new"], true);
    assert_eq!(first["user"]["openid"], issued.openid);

    let issued = simulator.code_of(APP, &issued.openid).await;
    let next = client.login_with(APP, &issued.code).await.ok();
    assert_eq!(next["user"]["is_new"], false);
    assert_eq!(next["user"]["id"], first["user"]["id"]);
    assert_eq!(next["user"]["openid"], first["user"]["openid"]);
    assert_ne!(next["session_id"], first["session_id"], "every code opens a session of its own");
    assert_ne!(next["refresh_token"], first["refresh_token"]);

    let stranger = simulator.code(APP).await;
    let stranger = client.login_with(APP, &stranger.code).await.ok();
    assert_eq!(stranger["user"]["is_new"], true);
    assert_ne!(stranger["user"]["id"], first["user"]["id"]);

    assert_eq!(gateway.metric("wxgate_logins_total{outcome=\"success\"}").await, 3);
    let counted = "wxgate_http_requests_total{route=\"/v1/apps/{appid}/login\",status=\"200\"}";
    assert_eq!(gateway.metric(counted).await, 3);
}

#[tokio::test]
async fn the_reply_has_these_fields_and_no_others() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let reply = gateway.client().login_with(APP, &issued.code).await;

    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(reply.header("x-request-id").len(), 32);

    let body = reply.ok();
    let expected = [
        "access_token",
        "expires_in",
        "refresh_expires_in",
        "refresh_token",
        "scope",
        "server_time",
        "session_id",
        "token_type",
        "user",
    ];
    assert_eq!(keys(&body), expected);
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["scope"], "user");
    assert!(is_uuid(&body["session_id"]));
    // Fifteen minutes, ten per cent more or less; thirty days.
    assert!((810..=990).contains(&body["expires_in"].as_i64().unwrap()), "{body}");
    assert_eq!(body["refresh_expires_in"], 30 * 86_400);
    let seconds = gateway.simulator().seconds().await;
    assert!((seconds - 30..=seconds).contains(&body["server_time"].as_i64().unwrap()), "{body}");
    let refresh = body["refresh_token"].as_str().unwrap();
    let payload = refresh.strip_prefix("wxr_").unwrap();
    assert!(payload.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{refresh}");

    // The demo apps are bound to an Open Platform account, so WeChat gives a unionid.
    assert_eq!(keys(&body["user"]), ["id", "is_new", "openid", "unionid"]);
    assert!(is_uuid(&body["user"]["id"]));
    assert_eq!(body["user"]["unionid"], issued.unionid.unwrap());
}

#[tokio::test]
async fn without_a_unionid_of_wechats_the_reply_has_none() {
    let wechat = Wechat::of_person("oWithoutUnionid").await;
    let gateway = Gateway::dev().wechat_url(wechat.url()).await;
    let body = gateway.client().login_with(APP, "code").await.ok();
    assert_eq!(keys(&body["user"]), ["id", "is_new", "openid"]);
}

#[tokio::test]
async fn a_session_key_is_in_no_reply_and_no_log() {
    const KEY: &str = "U2VjcmV0U2Vzc2lvbktleQ==";
    let answer = format!(r#"{{"session_key":"{KEY}","openid":"oSomebody","unionid":"uSomebody"}}"#);
    let wechat = Wechat::start(move |_| Answer::body(&answer)).await;
    let gateway = Gateway::dev().wechat_url(wechat.url()).env("WXGATE__LOG__LEVEL", "trace").await;

    let login = gateway.client().login_with(APP, "code-one").await;
    let tutorial = gateway.client().request(Method::POST, "/user/wxlogin").header("X-App-Id", APP);
    let tutorial = gateway.client().send(tutorial.json(&json!({ "platCode": "code-two" }))).await;
    for reply in [&login, &tutorial] {
        assert_eq!(reply.status, 200, "{}", reply.text);
        let whole = format!("{:?} {}", reply.headers, reply.text);
        assert!(!whole.contains(KEY) && !whole.contains("session_key"), "{whole}");
    }
    assert!(!gateway.log().contains(KEY));
    assert_eq!(wechat.calls(), 2);
}

#[tokio::test]
async fn what_wechat_is_asked_is_one_get_with_four_parameters() {
    let wechat = Wechat::of_person("oAsked").await;
    let gateway = Gateway::dev().app("wx00000000000000aa=5ec2e7aa").wechat_url(wechat.url()).await;
    gateway.client().login_with("wx00000000000000aa", "the-code_1").await.ok();

    let requests = wechat.requests();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    let line = request.lines().next().unwrap();
    let target = line.strip_prefix("GET ").unwrap().strip_suffix(" HTTP/1.1").unwrap();
    let (path, query) = target.split_once('?').unwrap();
    assert_eq!(path, "/sns/jscode2session");
    let mut pairs: Vec<_> = query.split('&').collect();
    pairs.sort_unstable();
    let expected =
        ["appid=wx00000000000000aa", "grant_type=authorization_code", "js_code=the-code_1", "secret=5ec2e7aa"];
    assert_eq!(pairs, expected);
}

#[tokio::test]
async fn unknown_fields_are_ignored_and_known_ones_must_have_their_type() {
    let gateway = Gateway::dev().await;
    let (client, simulator) = (gateway.client(), gateway.simulator());
    let issued = simulator.code(APP).await;
    for body in [
        json!({}),
        json!({ "code": null }),
        json!({ "code": 7 }),
        json!({ "code": [issued.code] }),
        json!({ "code": issued.code, "encryptedData": 7, "iv": 7 }),
        json!([{ "code": issued.code }]),
        json!(issued.code),
    ] {
        client.login(APP, &body).await.refused(400, "REQUEST_INVALID");
    }
    assert_eq!(simulator.exchanges().await, 0);

    let later = json!({ "code": issued.code, "envVersion": "trial", "somethingOfTomorrow": { "deep": [1, 2] } });
    client.login(APP, &later).await.ok();
}
