//! What tenants and apps tune, and whether a tenant may act.

use reqwest::Method;
use serde_json::json;

use super::{FAILURE, House, USAGE, refused};
use crate::harness::{APP, Gateway, PATIENCE, jwt, within};

const SECRET: &str = "c0ffee5ec2e7c0ffee5ec2e7c0ffee42";

#[tokio::test]
async fn a_tenant_s_policy_is_shown_and_changed_within_its_bounds() {
    let house = House::furnished().await;
    let shown = house.run(["tenant", "policy", "acme"]).run().await.ok();
    for line in ["access_token_seconds", "algorithm", "max_sessions"] {
        assert!(shown.lines().any(|shown| shown.starts_with(line)), "{shown}");
    }
    let changed = house
        .run(["tenant", "policy", "acme", "--access-token-seconds", "60", "--refresh-idle-seconds", "3600", "--json"])
        .run()
        .await
        .json();
    assert_eq!((&changed["slug"], &changed["policy"]["access_token_seconds"]), (&json!("acme"), &json!(60)));
    let rest = [
        ("--refresh-absolute-seconds", "7200"),
        ("--refresh-grace-seconds", "0"),
        ("--max-sessions", "1"),
        ("--user-data-window-seconds", "90"),
        ("--signing-key-days", "30"),
        ("--algorithm", "EdDSA"),
    ];
    let all = rest
        .iter()
        .fold(house.run(["tenant", "policy", "acme"]), |run, (option, value)| run.argument(option).argument(value));
    all.run().await.ok();
    let policy = house.run(["tenant", "list", "--json"]).run().await.json()[0]["policy"].clone();
    let expected = json!({
        "version": 1, "algorithm": "EdDSA", "access_token_seconds": 60, "refresh_idle_seconds": 3600,
        "refresh_absolute_seconds": 7200, "refresh_grace_seconds": 0, "max_sessions": 1, "user_data_window_seconds": 90,
        "signing_key_days": 30, "audit_days": 400, "merge": "manual", "phone_move_days": 7,
    });
    assert_eq!(policy, expected, "what was not named stays as it was");

    for (option, value, bounds) in [
        ("--access-token-seconds", "59", "60 to 86400"),
        ("--refresh-grace-seconds", "61", "0 to 60"),
        ("--max-sessions", "0", "1 to 100"),
    ] {
        let told = refused(house.run(["tenant", "policy", "acme", option, value]).run().await, FAILURE);
        assert!(told.contains(bounds), "{told}");
    }
    refused(house.run(["tenant", "policy", "acme", "--max-sessions", "many"]).run().await, USAGE);
    let told = refused(house.run(["tenant", "policy", "nobody"]).run().await, FAILURE);
    assert!(told.contains("there is no tenant nobody"), "{told}");
    assert_eq!(house.run(["tenant", "list", "--json"]).run().await.json()[0]["policy"], expected);
}

#[tokio::test]
async fn an_app_s_policy_names_only_audiences_of_its_tenant() {
    let wechat = ["wx1", "wx2", "wx9"].map(|appid| format!("{appid}={SECRET}"));
    let house = House::with_wechat(&wechat.each_ref().map(String::as_str)).await;
    house.run(["tenant", "add", "other"]).run().await.ok();
    for (tenant, appid) in [("acme", "wx1"), ("acme", "wx2"), ("other", "wx9")] {
        let add = house.run(["app", "add", "--tenant", tenant, "--appid", appid, "--secret-file", "-"]);
        add.stdin(SECRET).run().await.ok();
    }
    house.run(["audience", "add", "--tenant", "acme", "orders"]).run().await.ok();
    house.run(["audience", "add", "--tenant", "other", "theirs"]).run().await.ok();

    let shown = house.run(["app", "policy", "wx1"]).run().await.ok();
    assert!(shown.contains("logins_per_minute         10\n"), "{shown}");
    let options = ["--audience", "orders", "--audience", "wx1", "--audience", "wx2", "--scope", "user"];
    let options = options.iter().chain(&["--scope", "orders:read", "--openid-claim", "true", "--request-burst", "7"]);
    let change = options.fold(house.run(["app", "policy", "wx1", "--json"]), |run, option| run.argument(option));
    let policy = change.run().await.json()["policy"].clone();
    assert_eq!(policy["audiences"], json!(["orders", "wx1", "wx2"]));
    assert_eq!(policy["scopes"], json!(["user", "orders:read"]));
    assert_eq!((&policy["openid_claim"], &policy["request_burst"]), (&json!(true), &json!(7)));
    let again = house.run(["app", "policy", "wx1", "--logins-per-minute", "3", "--json"]).run().await.json();
    assert_eq!(again["policy"]["audiences"], policy["audiences"], "what was not named stays as it was");

    for foreign in ["theirs", "wx9", "nobodys"] {
        let told = refused(house.run(["app", "policy", "wx1", "--audience", foreign]).run().await, FAILURE);
        assert!(told.contains(&format!("does not own the audience {foreign}")), "{told}");
        assert!(told.contains("wxgate audience add --tenant acme"), "{told}");
    }
    for issuer in ["https://login.example.com/t/acme", "http://127.0.0.1:8080/t/other"] {
        let told = refused(house.run(["app", "policy", "wx1", "--audience", issuer]).run().await, USAGE);
        assert!(told.contains("issuer"), "{told}");
    }
    refused(house.run(["app", "policy", "wx1", "--scope", "two words"]).run().await, USAGE);
    let told = refused(house.run(["app", "policy", "wx1", "--requests-per-second", "0"]).run().await, FAILURE);
    assert!(told.contains("requests_per_second must be 1 to 100000"), "{told}");
    let told = refused(house.run(["app", "policy", "wx7"]).run().await, FAILURE);
    assert!(told.contains("there is no app wx7"), "{told}");
}

#[tokio::test]
async fn a_changed_policy_shows_in_the_next_tokens_of_a_running_gateway() {
    let gateway = Gateway::dev().await;
    let log_in = async || {
        let issued = gateway.simulator().code(APP).await;
        gateway.client().login_with(APP, &issued.code).await.ok()
    };
    let before = log_in().await;
    assert!(before["expires_in"].as_u64().is_some_and(|seconds| seconds > 60), "{before}");
    gateway.command(["audience", "add", "--tenant", "demo", "orders"]).run().await.ok();
    gateway.command(["tenant", "policy", "demo", "--access-token-seconds", "60"]).run().await.ok();
    let change = ["app", "policy", APP, "--audience", "orders", "--scope", "orders:read", "--openid-claim", "true"];
    gateway.command(change).run().await.ok();
    let after = within(PATIENCE, "both policies are taken up", async || {
        let reply = log_in().await;
        let changed = reply["scope"] == "orders:read" && reply["expires_in"].as_u64().is_some_and(|n| n <= 60);
        changed.then_some(reply)
    })
    .await;
    let claims = jwt::verify(&gateway, "demo", "orders", &after["access_token"]).await.unwrap();
    assert_eq!(claims.openid.unwrap().as_str(), after["user"]["openid"]);
    assert!(!claims.aud.contains(&APP.to_owned()), "the appid is an audience only where none is named");
}

#[tokio::test]
async fn a_suspended_tenant_is_served_nothing_until_it_is_resumed() {
    let gateway = Gateway::dev().await;
    let code = gateway.simulator().code(APP).await.code;
    let login = gateway.client().login_with(APP, &code).await.ok();
    let told = gateway.command(["tenant", "suspend", "demo"]).run().await.ok();
    assert!(told.contains("demo: suspended"), "{told}");
    gateway.comes_to_answer(APP, "APP_DISABLED").await;
    let me = gateway.client().request(Method::GET, "/v1/me").bearer_auth(login["access_token"].as_str().unwrap());
    assert_eq!(gateway.client().send(me).await.refused(403, "APP_DISABLED")["action"], "stop");
    let again = gateway.command(["tenant", "suspend", "demo", "--json"]).run().await.json();
    assert_eq!(again["status"], "suspended");
    assert_eq!(gateway.command(["tenant", "list", "--json"]).run().await.json()[0]["status"], "suspended");

    gateway.command(["tenant", "resume", "demo"]).run().await.ok();
    gateway.comes_to_answer(APP, "CODE_INVALID").await;
    for command in ["suspend", "resume"] {
        let told = refused(gateway.command(["tenant", command, "nobody"]).run().await, FAILURE);
        assert!(told.contains("there is no tenant nobody"), "{told}");
    }
}
