//! AppSecrets: WeChat is asked, the one that works is never lost, and none comes back out.

use reqwest::Method;
use serde_json::{Value, json};

use super::{NEW_APP, SECRET, WRONG, new_app, two_tenants};
use crate::harness::{APP, Gateway, Operator, PATIENCE, Reply, within};

async fn put_secret(operator: &Operator, body: &Value) -> Reply {
    operator.send(operator.request(Method::PUT, &format!("/apps/{APP}/secret")).json(body)).await
}

async fn secret(operator: &Operator) -> Value {
    operator.get(&format!("/apps/{APP}")).await.ok()["secret"].clone()
}

async fn login(gateway: &Gateway) {
    let issued = gateway.simulator().code(APP).await;
    gateway.client().login_with(APP, &issued.code).await.ok();
}

#[tokio::test]
async fn a_secret_that_wechat_refuses_is_not_stored() {
    let (gateway, acme, _) = two_tenants().await;
    gateway.simulator().put_app(NEW_APP, SECRET, None).await;
    let refused = acme.post("/apps", &new_app("acme", WRONG)).await.refused(422, "SECRET_REFUSED");
    assert!(refused["detail"].as_str().unwrap().contains("errcode 40125"), "{refused}");
    acme.get(&format!("/apps/{NEW_APP}")).await.refused(404, "NOT_FOUND");
    let add = ["app", "add", "--tenant", "acme", "--appid", NEW_APP, "--secret-file", "-"];
    for command in [gateway.command(add), gateway.remote(add)] {
        let told = command.stdin(WRONG).run().await.failed();
        assert!(told.contains("WeChat refuses the AppSecret") && !told.contains(WRONG), "{told}");
    }

    let operator = gateway.operator();
    let before = secret(&operator).await;
    put_secret(&operator, &json!({ "secret": WRONG })).await.refused(422, "SECRET_REFUSED");
    assert_eq!(secret(&operator).await, before);
    login(&gateway).await;
}

#[tokio::test]
async fn a_secret_is_rotated_under_logins_and_nobody_is_refused() {
    let gateway = Gateway::dev().await;
    let operator = gateway.operator();
    let first = secret(&operator).await;
    let logins = async |times: usize| {
        for _ in 0..times {
            login(&gateway).await;
        }
    };
    let new = json!({ "secret": SECRET, "ahead": true });
    let ((), pending) = tokio::join!(logins(10), put_secret(&operator, &new));
    let pending = pending.ok()["secret"].clone();
    assert_eq!((&pending["state"], &pending["previous_fingerprint"]), (&json!("pending"), &first["fingerprint"]));
    assert!(pending["changed_at"].is_i64() && pending["fingerprint"] != first["fingerprint"], "{pending}");
    within(PATIENCE, "the old secret serves", async || {
        login(&gateway).await;
        (gateway.metric("wxgate_previous_secret_exchanges_total").await > 0).then_some(())
    })
    .await;
    assert_eq!(secret(&operator).await["state"], "pending");
    // WeChat says no, so the rotation is not over.
    let verify = format!("/apps/{APP}/verify");
    operator.post(&verify, &json!({})).await.refused(422, "SECRET_REFUSED");
    // A second one in a row does not push out the one that works.
    let third = json!({ "secret": "f00df00d5ec2e7f00df00d5ec2e7f00d", "ahead": true });
    assert_eq!(put_secret(&operator, &third).await.ok()["secret"]["previous_fingerprint"], first["fingerprint"]);
    put_secret(&operator, &new).await.ok();

    tokio::join!(logins(10), gateway.simulator().put_app(APP, SECRET, Some("demo")));
    let accepted = within(PATIENCE, "a login proves the new secret", async || {
        login(&gateway).await;
        let now = secret(&operator).await;
        (now["state"] == "accepted").then_some(now)
    })
    .await;
    assert_eq!(accepted["previous_fingerprint"], first["fingerprint"], "it is kept for an hour");
    let over = operator.post(&verify, &json!({})).await.ok()["secret"].clone();
    assert_eq!((&over["state"], &over["previous_fingerprint"]), (&json!("accepted"), &Value::Null));
    login(&gateway).await;
}

#[tokio::test]
async fn a_secret_is_taken_while_wechat_is_silent_and_proved_by_a_login() {
    let (gateway, acme, _) = two_tenants().await;
    gateway.simulator().put_app(NEW_APP, SECRET, None).await;
    gateway.simulator().fault(json!({ "kind": "busy", "appid": NEW_APP, "times": 2 })).await;
    let added = acme.post("/apps", &new_app("acme", SECRET)).await;
    added.status_is(201);
    assert_eq!(added.json()["secret"]["state"], "unverified");
    acme.post(&format!("/apps/{NEW_APP}/verify"), &json!({})).await.refused(503, "UPSTREAM_UNAVAILABLE");

    gateway.comes_to_answer(NEW_APP, "CODE_INVALID").await;
    let issued = gateway.simulator().code(NEW_APP).await;
    gateway.client().login_with(NEW_APP, &issued.code).await.ok();
    within(PATIENCE, "the login proves the secret", async || {
        let app = acme.get(&format!("/apps/{NEW_APP}")).await.ok();
        (app["secret"]["state"] == "accepted").then_some(())
    })
    .await;
}

#[tokio::test]
async fn no_secret_comes_back_out() {
    const NEW: &str = "f00df00d5ec2e7f00df00d5ec2e7f00d";
    let (gateway, acme, _) = two_tenants().await;
    let address = format!("/apps/{NEW_APP}");
    let mut told = String::new();
    told += &acme.post("/apps", &new_app("acme", SECRET)).await.text;
    told += &acme.post("/apps", &new_app("acme", SECRET)).await.text;
    told += &acme.get(&address).await.text;
    told += &acme.get("/apps").await.text;
    told += &acme.patch(&address, &json!({ "name": "Shop" })).await.text;
    for body in [
        json!({ "secret": NEW }),
        json!({ "secret": NEW, "ahead": true }),
        json!({ "secret": [NEW] }),
        json!({ "secret": format!("{NEW} {NEW}") }),
        json!({ "secret": NEW, "more": NEW }),
    ] {
        told += &acme.send(acme.request(Method::PUT, &format!("{address}/secret")).json(&body)).await.text;
    }
    for action in ["disable", "enable", "verify"] {
        told += &acme.post(&format!("{address}/{action}"), &json!({})).await.text;
    }
    told += &gateway.remote(["app", "show", NEW_APP]).run().await.ok();
    told +=
        &gateway.remote(["app", "rotate-secret", NEW_APP, "--ahead", "--secret-file", "-"]).stdin(NEW).run().await.ok();
    for secret in [SECRET, NEW] {
        assert!(!told.contains(secret), "{told}");
        assert!(!gateway.log().contains(secret), "the log tells a secret");
    }
    assert!(told.contains("fingerprint"));

    // Whoever may write may not set secrets.
    let key = json!({ "name": "writer", "tenant": "acme", "scopes": ["read", "write"] });
    let made = gateway.operator().post("/admin-keys", &key).await.json();
    let writer = acme.with_key(made["secret"].as_str().unwrap());
    let put = writer.request(Method::PUT, &format!("{address}/secret")).json(&json!({ "secret": NEW }));
    writer.send(put).await.refused(403, "NOT_GRANTED");
}
