//! Whatever fails on this route, fails in its shape, with the real HTTP status.

use reqwest::Method;
use serde_json::json;

use super::{PATH, body, dumps, wx_request};
use crate::harness::{APP, Gateway, OTHER_APP, Reply};

#[tokio::test]
async fn data_that_does_not_open_is_a_conflict_but_the_session_stands() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let stranger = gateway.simulator().code(APP).await;
    let sealed = gateway.simulator().user_info(APP, &stranger.openid).await;

    let reply = wx_request(&gateway, APP, &body(&issued.code, &sealed)).await;
    let failure = reply.tutorial_refused(409, "SESSION_KEY_STALE");
    assert_eq!(failure["action"], "relogin_then_reauthorize");
    assert_eq!(reply.text, dumps(&failure), "sorted, four spaces, as the success");

    // The code was good, so its session_key is known from now on: the next one opens what was sealed in between.
    let sealed = gateway.simulator().user_info(APP, &issued.openid).await;
    let next = gateway.simulator().code_of(APP, &issued.openid).await;
    let reply = wx_request(&gateway, APP, &body(&next.code, &sealed)).await.ok();
    assert_eq!(reply["userinfo"]["openId"], issued.openid);
}

#[tokio::test]
async fn codes_that_are_no_good() {
    let gateway = Gateway::dev().await;
    let post = async |code: &str| wx_request(&gateway, APP, &json!({ "platCode": code })).await;

    let malformed = post("no code at all").await.tutorial_refused(400, "CODE_INVALID");
    assert_eq!(malformed["action"], "new_code");
    let unknown = post("0123456789abcdef0123456789abcdef").await.tutorial_refused(400, "CODE_INVALID");
    assert_eq!(unknown, malformed);
    let foreign = gateway.simulator().code(OTHER_APP).await;
    assert_eq!(post(&foreign.code).await.tutorial_refused(400, "CODE_INVALID"), unknown);
    assert_eq!(post(&foreign.code).await.tutorial_refused(409, "CODE_USED")["action"], "new_code");
}

#[tokio::test]
async fn requests_that_are_none() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    let by_path = format!("/apps/{APP}/user/wxlogin");
    for path in [PATH, &by_path] {
        let send = async |method: Method, text: String| -> Reply {
            let request = client.request(method, path).header("X-App-Id", APP);
            client.send(request.header("Content-Type", "application/json").body(text)).await
        };
        for text in ["", "not json", "[]", "{}", r#"{"platCode":7}"#, r#"{"code":"native"}"#, "{\"platCode\":\"a\"}}"] {
            send(Method::POST, text.to_owned()).await.tutorial_refused(400, "REQUEST_INVALID");
        }
        let twice = r#"{"platCode":"a","platCode":"b"}"#.to_owned();
        send(Method::POST, twice).await.tutorial_refused(400, "REQUEST_INVALID");
        send(Method::GET, String::new()).await.tutorial_refused(400, "REQUEST_INVALID");
        let key = r#"{"platCode":"a","platUserInfoMap":{"session_key":"x"}}"#.to_owned();
        send(Method::POST, key).await.tutorial_refused(400, "FIELD_FORBIDDEN");
        let huge = json!({ "platCode": "a", "more": "x".repeat(70 * 1024) }).to_string();
        send(Method::POST, huge).await.tutorial_refused(413, "BODY_TOO_LARGE");
        for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            let reply = send(method, "{}".to_owned()).await;
            reply.tutorial_refused(405, "METHOD_NOT_ALLOWED");
            assert_eq!(reply.header("allow"), "GET, POST");
        }
        let packed = client.request(Method::POST, path).header("X-App-Id", APP).header("Content-Encoding", "gzip");
        client.send(packed.body("{}")).await.tutorial_refused(415, "MEDIA_TYPE");
        let head = client.request(Method::POST, path).header("X-Padding", "x".repeat(17 * 1024));
        client.send(head.body("{}")).await.tutorial_refused(431, "HEADERS_TOO_LARGE");
    }
    assert_eq!(gateway.simulator().exchanges().await, 0);

    // Beside the route, errors have the shape of everything else.
    client.get("/user/wxlogin/more").await.refused(404, "NOT_FOUND");
    client.get("/apps/user/wxlogin").await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn data_of_no_possible_shape_does_not_cost_the_code() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let sealed = gateway.simulator().user_info(APP, &issued.openid).await;
    for map in [
        json!({ "encryptedData": sealed.encrypted_data }),
        json!({ "iv": sealed.iv }),
        json!({ "encryptedData": "", "iv": "" }),
        json!({ "encryptedData": sealed.encrypted_data, "iv": "AAAA" }),
        json!({ "encryptedData": sealed.encrypted_data.replace('/', "_").replace('+', " "), "iv": "?" }),
        json!({ "encryptedData": 1, "iv": 2 }),
        json!("text"),
    ] {
        let body = json!({ "platCode": issued.code, "platUserInfoMap": map });
        wx_request(&gateway, APP, &body).await.tutorial_refused(400, "REQUEST_INVALID");
    }
    assert_eq!(gateway.simulator().exchanges().await, 0);
    wx_request(&gateway, APP, &body(&issued.code, &sealed)).await.ok();
}

#[tokio::test]
async fn wechat_in_trouble() {
    let gateway = Gateway::dev().await;
    for (fault, status, error, action) in [
        (json!({ "kind": "busy" }), 503, "UPSTREAM_BUSY", json!("new_code")),
        (json!({ "kind": "html" }), 502, "UPSTREAM_BAD_RESPONSE", json!("new_code")),
        (json!({ "kind": "quota" }), 429, "RATE_LIMITED", json!("wait")),
        (json!({ "kind": "errcode", "errcode": 40226 }), 403, "USER_BLOCKED", json!("stop")),
        (json!({ "kind": "errcode", "errcode": 40243 }), 500, "APP_MISCONFIGURED", json!("stop")),
    ] {
        let issued = gateway.simulator().code(APP).await;
        gateway.simulator().fault(fault).await;
        let reply = wx_request(&gateway, APP, &json!({ "platCode": issued.code })).await;
        assert_eq!(reply.tutorial_refused(status, error)["action"], action);
        let waits = !reply.header("retry-after").is_empty();
        assert_eq!(waits, matches!(error, "UPSTREAM_BUSY" | "RATE_LIMITED"), "{error}");
    }
}

#[tokio::test]
async fn too_many_requests_of_one_address() {
    let gateway =
        Gateway::dev().env("WXGATE__LIMITS__ADDRESS_PER_SECOND", "1").env("WXGATE__LIMITS__ADDRESS_BURST", "1").await;
    // The first may pass; of many at once, most do not.
    let body = json!({ "platCode": "?" });
    let replies = futures_util::future::join_all((0..8).map(|_| wx_request(&gateway, APP, &body))).await;
    let refused = replies.iter().find(|reply| reply.status == 429).expect("eight at once are too many");
    assert_eq!(refused.tutorial_refused(429, "RATE_LIMITED")["action"], "wait");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
}
