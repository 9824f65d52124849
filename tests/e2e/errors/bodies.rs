//! Bodies: their size, their type, and the one meaning that they must have.

use reqwest::{Body, Method};
use serde_json::json;

use super::{conversation, tells_nothing};
use crate::harness::{APP, Client, Gateway, Reply};

const LIMIT: usize = 64 * 1024;

async fn send(client: &Client, media_type: &str, body: impl Into<Body>) -> Reply {
    let request = client.request(Method::POST, &format!("/v1/apps/{APP}/login"));
    client.send(request.header("Content-Type", media_type).body(body)).await
}

async fn json(client: &Client, body: impl Into<Body>) -> Reply {
    send(client, "application/json", body).await
}

/// A login body of exactly this many bytes.
fn sized(code: &str, size: usize) -> String {
    let empty = json!({ "code": code, "later": "" }).to_string().len();
    json!({ "code": code, "later": "x".repeat(size - empty) }).to_string()
}

#[tokio::test]
async fn a_full_body_is_read_and_a_byte_more_is_not() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    let issued = gateway.simulator().code(APP).await;
    let full = sized(&issued.code, LIMIT);
    assert_eq!(full.len(), LIMIT);
    let too_much = sized(&issued.code, LIMIT + 1);
    json(client, too_much.clone()).await.refused(413, "BODY_TOO_LARGE");
    // Without a length, only counting finds out.
    let head = format!(
        "POST /v1/apps/{APP}/login HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        client.authority()
    );
    let reply = conversation(client, format!("{head}{:x}\r\n{too_much}\r\n0\r\n\r\n", too_much.len()).as_bytes()).await;
    assert!(reply.starts_with("HTTP/1.1 413 ") && reply.contains("BODY_TOO_LARGE"), "{reply}");
    let reply = json(client, "x".repeat(4 << 20)).await;
    reply.refused(413, "BODY_TOO_LARGE");
    tells_nothing(&reply);
    assert_eq!(gateway.simulator().exchanges().await, 0);

    assert_eq!(json(client, full).await.ok()["user"]["openid"], issued.openid);
}

#[tokio::test]
async fn only_json_is_read() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    let body = r#"{"code":"abc"}"#;
    for wrong in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json", "application/jsonx"]
    {
        let reply = send(client, wrong, body).await;
        reply.refused(415, "MEDIA_TYPE");
        tells_nothing(&reply);
    }
    let login = || client.request(Method::POST, &format!("/v1/apps/{APP}/login"));
    client.send(login().body(body)).await.refused(415, "MEDIA_TYPE");
    let packed = login().header("Content-Type", "application/json").header("Content-Encoding", "gzip");
    client.send(packed.body(body)).await.refused(415, "MEDIA_TYPE");

    for (right, code) in [("application/json; charset=utf-8", "one"), ("Application/JSON", "two")] {
        send(client, right, json!({ "code": code }).to_string()).await.refused(400, "CODE_INVALID");
    }
}

#[tokio::test]
async fn a_body_has_one_meaning_or_none() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    let deep = |levels: usize| format!(r#"{{"code":"abc","a":{}1{}}}"#, "[".repeat(levels), "]".repeat(levels));
    let wrong: [&[u8]; 21] = [
        b"",
        b"null",
        b"[]",
        br#"[{"code":"abc"}]"#,
        b"\"abc\"",
        b"{",
        b"{}",
        br#"{"code":"abc""#,
        br#"{"code":"abc"}}"#,
        br#"{"code":"abc"} {"code":"abc"}"#,
        br#"{"code":"abc",}"#,
        b"{'code':'abc'}",
        br#"{"code":"abc","code":"abd"}"#,
        br#"{"code":"abc","later":{"a":1,"a":1}}"#,
        br#"{"code":null}"#,
        br#"{"code":1}"#,
        br#"{"code":["abc"]}"#,
        br#"{"code":"abc","iv":1}"#,
        b"{\"code\":\"\xff\"}",
        b"\xef\xbb\xbf{\"code\":\"abc\"}",
        br#"{"code":"\ud800"}"#,
    ];
    for body in wrong.iter().map(|body| body.to_vec()).chain([deep(8).into_bytes(), deep(30_000).into_bytes()]) {
        let reply = json(client, body.clone()).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert_eq!(reply.status, 400, "{shown}: {}", reply.text);
        reply.refused(400, "REQUEST_INVALID");
        tells_nothing(&reply);
    }
    assert_eq!(gateway.simulator().exchanges().await, 0);

    // Seven lists inside the object are eight levels; what later versions add is ignored.
    let issued = gateway.simulator().code(APP).await;
    let body = deep(7).replace("abc", &issued.code);
    json(client, body).await.ok();
}

#[tokio::test]
async fn what_must_never_be_sent_is_refused_and_not_repeated() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    for body in [
        r#"{"code":"abc","session_key":"c2VjcmV0IGtleSBvZiBzZXNzaW9u"}"#,
        r#"{"code":"abc","sessionKey":"c2VjcmV0IGtleSBvZiBzZXNzaW9u"}"#,
        r#"{"code":"abc","later":[{"session_key":"c2VjcmV0IGtleSBvZiBzZXNzaW9u"}]}"#,
    ] {
        let reply = json(client, body).await;
        reply.refused(400, "FIELD_FORBIDDEN");
        assert!(!reply.text.contains("c2Vj"), "{}", reply.text);
    }
    for query in ["code=xyz", "x=1&platCode=xyz", "session_key=xyz", "c%6Fde=xyz"] {
        let path = format!("/v1/apps/{APP}/login?{query}");
        client.post(&path, &json!({ "code": "xyz" })).await.refused(400, "FIELD_FORBIDDEN");
    }
    for path in ["/v1/me?session_key=xyz", "/v1/me/sessions?x=1&Session%5Fkey=xyz"] {
        client.get(path).await.refused(400, "FIELD_FORBIDDEN");
    }
    let tutorial = client.get("/user/wxlogin?platCode=xyz").await;
    assert!((400..=415).contains(&tutorial.status), "{}", tutorial.text);
    assert_eq!(gateway.simulator().exchanges().await, 0);
    // No request id can spell it.
    assert!(!gateway.log().contains("xyz"), "no query and no code in the log");
}
