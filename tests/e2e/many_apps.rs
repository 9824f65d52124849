//! Many mini-programs of many tenants behind one gateway, added, disabled and rotated while it runs.

use reqwest::Method;
use serde_json::{Value, json};
use wxgate_token::VerifyError;

use crate::harness::database::{Engine, TestDatabase};
use crate::harness::{APP, Gateway, OTHER_APP, PATIENCE, jwt, within};

const NEW_APP: &str = "wx00000000000000a1";

async fn login(gateway: &Gateway, appid: &str) -> Value {
    let issued = gateway.simulator().code(appid).await;
    gateway.client().login_with(appid, &issued.code).await.ok()
}

#[tokio::test]
async fn a_tenant_and_an_app_added_while_it_runs_are_served() {
    let gateway = Gateway::dev().await;
    // Asked for before they exist, so that their absence is remembered.
    gateway.client().login_with(NEW_APP, "?").await.refused(404, "APP_UNKNOWN");
    gateway.client().get("/t/acme/jwks.json").await.refused(404, "NOT_FOUND");

    gateway.command(["tenant", "add", "acme", "--name", "Acme Ltd."]).run().await.ok();
    within(PATIENCE, "the tenant has keys", async || {
        (gateway.client().get("/t/acme/jwks.json").await.status == 200).then_some(())
    })
    .await;
    gateway.add_app("acme", NEW_APP, None).await;

    let reply = login(&gateway, NEW_APP).await;
    let claims = jwt::verify(&gateway, "acme", NEW_APP, &reply["access_token"]).await.unwrap();
    assert_eq!(claims.iss, format!("{}/t/acme", gateway.public_url()));
    // The others never noticed.
    login(&gateway, APP).await;
}

#[tokio::test]
async fn the_simulator_of_a_trial_hears_of_new_apps_too() {
    let gateway = Gateway::dev().await;
    gateway
        .command(["app", "add", "--tenant", "demo", "--appid", NEW_APP])
        .env("WXGATE_APP_SECRET", "5ec2e7from-the-environment")
        .run()
        .await
        .ok();
    gateway.comes_to_answer(NEW_APP, "CODE_INVALID").await;
    // Nobody told the simulator but the gateway: steering an unknown app is refused.
    within(PATIENCE, "the simulator knows the app", async || {
        let request = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = request.post(format!("{}/sim/codes", gateway.simulator().url()));
        let reply = request.json(&json!({ "appid": NEW_APP })).send().await.unwrap();
        (reply.status() == 200).then_some(())
    })
    .await;
    login(&gateway, NEW_APP).await;
}

#[tokio::test]
async fn a_disabled_app_is_refused_and_served_again_when_enabled() {
    let gateway = Gateway::dev().await;
    login(&gateway, APP).await;

    gateway.command(["app", "disable", APP]).run().await.ok();
    gateway.comes_to_answer(APP, "APP_DISABLED").await;
    let issued = gateway.simulator().code(APP).await;
    let refused = gateway.client().login_with(APP, &issued.code).await.refused(403, "APP_DISABLED");
    assert_eq!(refused["action"], "stop");
    login(&gateway, OTHER_APP).await;

    gateway.command(["app", "enable", APP]).run().await.ok();
    gateway.comes_to_answer(APP, "CODE_INVALID").await;
    gateway.client().login_with(APP, &issued.code).await.ok();
}

#[tokio::test]
async fn unknown_apps_are_refused_whatever_their_name() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let long = "w".repeat(500);
    let upper = APP.to_uppercase();
    for appid in [
        "wx00000000000000ff",
        "nonsense",
        upper.as_str(),
        "wx%00",
        "wx%0d%0aX:1",
        "wx000000000000de01%20",
        "wx000000000000de01%26secret=x",
        long.as_str(),
    ] {
        gateway.client().login_with(appid, &issued.code).await.refused(404, "APP_UNKNOWN");
    }
    assert_eq!(gateway.simulator().exchanges().await, 0);
    gateway.client().login_with(APP, &issued.code).await.ok();
}

#[tokio::test]
async fn refuses_a_token_at_another_app_s_audience() {
    let gateway = Gateway::dev().await;
    let token = login(&gateway, APP).await["access_token"].clone();
    jwt::verify(&gateway, "demo", APP, &token).await.unwrap();
    assert_eq!(jwt::verify(&gateway, "demo", OTHER_APP, &token).await.unwrap_err(), VerifyError::Audience);
}

#[tokio::test]
async fn refuses_a_token_of_one_tenant_in_another() {
    let gateway = Gateway::dev().await;
    gateway.command(["tenant", "add", "acme"]).run().await.ok();
    gateway.add_app("acme", NEW_APP, None).await;
    let (ours, theirs) = (login(&gateway, APP).await, login(&gateway, NEW_APP).await);

    for (tenant, appid, own, foreign) in [("demo", APP, &ours, &theirs), ("acme", NEW_APP, &theirs, &ours)] {
        jwt::verify(&gateway, tenant, appid, &own["access_token"]).await.unwrap();
        for audience in [APP, NEW_APP] {
            let refused = jwt::verify(&gateway, tenant, audience, &foreign["access_token"]).await.unwrap_err();
            assert_eq!(refused, VerifyError::UnknownKey, "no key of one tenant stands in the other's set");
        }
    }
}

#[tokio::test]
async fn refuses_a_login_that_names_two_apps() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    let issued = gateway.simulator().code(APP).await;
    let attempt = async |headers: &[&str]| {
        let mut request = client.request(Method::POST, &format!("/v1/apps/{APP}/login"));
        for appid in headers {
            request = request.header("X-App-Id", *appid);
        }
        client.send(request.json(&json!({ "code": issued.code }))).await
    };
    for headers in [&[OTHER_APP][..], &[APP, OTHER_APP], &[OTHER_APP, APP], &["wx00000000000000ff"]] {
        attempt(headers).await.refused(400, "APP_MISMATCH");
    }
    assert_eq!(gateway.simulator().exchanges().await, 0);
    attempt(&[APP, APP]).await.ok();
}

#[tokio::test]
async fn a_new_secret_serves_before_and_after_wechat_knows_it() {
    let database = TestDatabase::create(Engine::Sqlite).await.unwrap();
    let gateway = Gateway::serve(database).await;
    let simulator = gateway.simulator();
    login(&gateway, APP).await;
    assert_eq!(simulator.exchanges().await, 1);

    // The operator rotates here first: WeChat still wants the old secret, the second slot has it.
    let rotate = async |secret: &str| {
        gateway.command(["app", "rotate-secret", APP, "--ahead", "--secret-file", "-"]).stdin(secret).run().await.ok();
    };
    // How many exchanges one login takes now.
    let calls_of_a_login = async || {
        let before = simulator.exchanges().await;
        login(&gateway, APP).await;
        simulator.exchanges().await - before
    };
    rotate("5ec2e7second").await;
    within(PATIENCE, "both secrets are tried", async || (calls_of_a_login().await == 2).then_some(())).await;
    assert!(gateway.log().contains("WeChat accepts only the previous AppSecret"));

    // Then at WeChat: the first slot serves alone.
    simulator.put_app(APP, "5ec2e7second", Some("demo")).await;
    assert_eq!(calls_of_a_login().await, 1);
    within(PATIENCE, "the login proves the new secret", async || {
        let app = gateway.command(["app", "show", APP, "--json"]).run().await.json();
        (app["secret"]["state"] == "accepted").then_some(())
    })
    .await;

    // However many secrets are tried, the one that works is not lost.
    rotate("5ec2e7third").await;
    rotate("5ec2e7fourth").await;
    within(PATIENCE, "both secrets are tried", async || (calls_of_a_login().await == 2).then_some(())).await;

    // With a secret that is in no slot the app's set-up needs its operator, and the code is told so.
    simulator.put_app(APP, "5ec2e7elsewhere", Some("demo")).await;
    let refused = within(PATIENCE, "neither secret is right", async || {
        let issued = simulator.code(APP).await;
        let reply = gateway.client().login_with(APP, &issued.code).await;
        (reply.status != 200).then_some((issued, reply))
    })
    .await;
    let (issued, refused) = refused;
    assert_eq!(refused.refused(500, "APP_MISCONFIGURED")["action"], "stop");
    assert!(!refused.text.contains("40125") && !refused.text.contains("5ec2e7"), "{}", refused.text);
    // Once the secrets agree again the next code works; this one was answered.
    simulator.put_app(APP, "5ec2e7fourth", Some("demo")).await;
    let exchanges = simulator.exchanges().await;
    gateway.client().login_with(APP, &issued.code).await.refused(500, "APP_MISCONFIGURED");
    assert_eq!(simulator.exchanges().await, exchanges, "WeChat is not asked about one code twice");
    login(&gateway, APP).await;
    // The other app has its own secret.
    login(&gateway, OTHER_APP).await;
    let log = gateway.log();
    assert!(log.contains("40125"), "the operator learns the number");
    assert!(!log.contains("5ec2e7"), "and no secret");
}

#[tokio::test]
async fn openids_of_two_apps_are_two_people_even_if_they_are_spelled_the_same() {
    let gateway = Gateway::dev().await;
    let mut ids = Vec::new();
    for (appid, unionid) in [(APP, "uOne"), (OTHER_APP, "uTwo")] {
        let person = json!({ "appid": appid, "openid": "oSameSpelling", "unionid": unionid });
        let issued = gateway.simulator().issue(&person).await;
        let user = gateway.client().login_with(appid, &issued.code).await.ok()["user"].clone();
        assert_eq!(user["is_new"], true);
        ids.push(user["id"].clone());
    }
    assert_ne!(ids[0], ids[1]);
}
