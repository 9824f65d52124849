//! There is no appid in the tutorial's body: the app is found by path, X-App-Id, Referer, or by being the only one.

use reqwest::Method;
use serde_json::json;

use super::PATH;
use crate::harness::{APP, Gateway, OTHER_APP, PATIENCE, Reply, within};

const UNKNOWN_APP: &str = "wx00000000000000ff";

fn referer(appid: &str) -> String {
    format!("https://servicewechat.com/{appid}/0/page-frame.html")
}

/// One attempt with these headers and this code.
async fn attempt(gateway: &Gateway, path: &str, headers: &[(&str, &str)], code: &str) -> Reply {
    let mut request = gateway.client().request(Method::POST, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    gateway.client().send(request.json(&json!({ "platCode": code }))).await
}

#[tokio::test]
async fn path_before_header_before_referer() {
    let gateway = Gateway::dev().await;
    let by_path = format!("/apps/{APP}/user/wxlogin");
    let (here, there) = (referer(APP), referer(OTHER_APP));
    let ways: [(&str, &[(&str, &str)]); 7] = [
        (&by_path, &[]),
        (&by_path, &[("X-App-Id", APP)]),
        (&by_path, &[("X-App-Id", APP), ("Referer", &there)]),
        (&by_path, &[("Referer", &there)]),
        (PATH, &[("X-App-Id", APP)]),
        (PATH, &[("X-App-Id", APP), ("Referer", &there)]),
        (PATH, &[("Referer", &here)]),
    ];
    for (path, headers) in ways {
        let issued = gateway.simulator().code(APP).await;
        let reply = attempt(&gateway, path, headers, &issued.code).await.ok();
        assert_eq!(reply["userinfo"]["openId"], issued.openid, "{path} {headers:?}");
    }
    // A Referer that disagrees is counted; it is a hint, never a proof.
    assert_eq!(gateway.metric("wxgate_referer_mismatches_total").await, 3);
}

#[tokio::test]
async fn every_version_of_a_referer_counts_and_a_strange_one_is_ignored() {
    let gateway = Gateway::dev().await;
    for version in ["devtools", "0", "117"] {
        let issued = gateway.simulator().code(APP).await;
        let referer = format!("https://servicewechat.com/{APP}/{version}/page-frame.html");
        attempt(&gateway, PATH, &[("Referer", &referer)], &issued.code).await.ok();
    }
    let strange = [
        format!("https://servicewechat.com.evil.example/{APP}/0/page-frame.html"),
        format!("https://evil.example/?https://servicewechat.com/{APP}/0/page-frame.html"),
        format!("http://servicewechat.com/{APP}/0/page-frame.html"),
        format!("https://servicewechat.com/{APP}"),
        "nonsense".to_owned(),
    ];
    for referer in &strange {
        attempt(&gateway, PATH, &[("Referer", referer)], "code").await.tutorial_refused(400, "APP_REQUIRED");
    }
    assert_eq!(gateway.simulator().exchanges().await, 3);
}

#[tokio::test]
async fn naming_no_app_an_unknown_one_or_two() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let by_path = |appid: &str| format!("/apps/{appid}/user/wxlogin");
    let code = issued.code.as_str();

    attempt(&gateway, PATH, &[], code).await.tutorial_refused(400, "APP_REQUIRED");

    attempt(&gateway, &by_path(UNKNOWN_APP), &[], code).await.tutorial_refused(404, "APP_UNKNOWN");
    attempt(&gateway, PATH, &[("X-App-Id", UNKNOWN_APP)], code).await.tutorial_refused(404, "APP_UNKNOWN");
    attempt(&gateway, PATH, &[("X-App-Id", "no appid!")], code).await.tutorial_refused(404, "APP_UNKNOWN");
    attempt(&gateway, PATH, &[("Referer", &referer(UNKNOWN_APP))], code).await.tutorial_refused(404, "APP_UNKNOWN");

    let (one, other) = (("X-App-Id", APP), ("X-App-Id", OTHER_APP));
    attempt(&gateway, PATH, &[one, other], code).await.tutorial_refused(400, "APP_MISMATCH");
    attempt(&gateway, &by_path(APP), &[other], code).await.tutorial_refused(400, "APP_MISMATCH");
    attempt(&gateway, &by_path(APP), &[one, other], code).await.tutorial_refused(400, "APP_MISMATCH");

    // None of it cost the code.
    assert_eq!(gateway.simulator().exchanges().await, 0);
    attempt(&gateway, PATH, &[one, one], code).await.ok();
}

#[tokio::test]
async fn the_only_enabled_app_needs_no_name() {
    let gateway = Gateway::dev().app("wx00000000000000a1=5ec2e7a1").await;
    let issued = gateway.simulator().code("wx00000000000000a1").await;
    assert_eq!(attempt(&gateway, PATH, &[], &issued.code).await.ok()["userinfo"]["openId"], issued.openid);

    // With a second one, a name is needed; with that one disabled, it no longer is.
    gateway.add_app("demo", "wx00000000000000a2", None).await;
    within(PATIENCE, "two apps are no choice", async || {
        (attempt(&gateway, PATH, &[], "?").await.json()["error"] == "APP_REQUIRED").then_some(())
    })
    .await;
    gateway.command(["app", "disable", "wx00000000000000a1"]).run().await.ok();
    gateway.comes_to_answer("wx00000000000000a1", "APP_DISABLED").await;
    let issued = gateway.simulator().code("wx00000000000000a2").await;
    within(PATIENCE, "one enabled app is a choice again", async || {
        (attempt(&gateway, PATH, &[], "?").await.json()["error"] == "CODE_INVALID").then_some(())
    })
    .await;
    assert_eq!(attempt(&gateway, PATH, &[], &issued.code).await.ok()["userinfo"]["openId"], issued.openid);
    let named = [("X-App-Id", "wx00000000000000a1")];
    let refused = attempt(&gateway, PATH, &named, "code").await.tutorial_refused(403, "APP_DISABLED");
    assert_eq!(refused["action"], "stop");
}

/// Addresses reach logs and histories; a code in one could be used by whoever reads them first.
#[tokio::test]
async fn refuses_codes_and_session_keys_in_the_query_string() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let by_path = format!("/apps/{APP}/user/wxlogin");
    let code = &issued.code;
    for name in ["platCode", "code", "session_key", "sessionKey", "%63ode"] {
        for path in [PATH, by_path.as_str()] {
            let path = format!("{path}?x=1&{name}={code}");
            let with_body = attempt(&gateway, &path, &[("X-App-Id", APP)], code).await;
            with_body.tutorial_refused(400, "FIELD_FORBIDDEN");
            // As `wx.request` sends its data with GET: in the query string alone.
            for method in [Method::GET, Method::POST] {
                let request = gateway.client().request(method, &path).header("X-App-Id", APP);
                gateway.client().send(request).await.tutorial_refused(400, "FIELD_FORBIDDEN");
            }
        }
    }
    let native = format!("/v1/apps/{APP}/login?code={code}");
    gateway.client().post(&native, &json!({ "code": code })).await.refused(400, "FIELD_FORBIDDEN");
    for secret in ["refresh_token", "access_token", "phoneCode"] {
        let address = format!("/v1/token/refresh?{secret}=x");
        gateway.client().post(&address, &json!({ "refresh_token": "x" })).await.refused(400, "FIELD_FORBIDDEN");
    }
    let bare = gateway.client().request(Method::POST, &native);
    gateway.client().send(bare).await.refused(400, "FIELD_FORBIDDEN");
    assert_eq!(gateway.simulator().exchanges().await, 0);
    assert!(!gateway.log().contains(code.as_str()));
    attempt(&gateway, &format!("{by_path}?version=3"), &[], code).await.ok();
}
