//! Asked to stop, a gateway turns away, finishes and goes; started again, it is the one it was.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::harness::{APP, Gateway, OTHER_APP, PATIENCE, jwt, within};

#[tokio::test]
async fn what_was_accepted_is_answered_before_the_end() {
    const PEOPLE: usize = 12;
    let mut gateway = Gateway::dev().await;
    let simulator = gateway.simulator().clone();
    simulator.fault(json!({ "kind": "latency", "delay_ms": 1_200, "times": PEOPLE })).await;
    let mut people = JoinSet::new();
    for number in 0..PEOPLE {
        let client = gateway.client().clone();
        let openid = format!("oPatient{number}");
        let issued = simulator.issue(&json!({ "appid": APP, "openid": openid, "unionid": openid })).await;
        people.spawn(async move { (openid, client.login_with(APP, &issued.code).await) });
    }
    within(PATIENCE, "WeChat is asked", async || (simulator.exchanges().await == PEOPLE).then_some(())).await;

    let began = Instant::now();
    assert!(gateway.terminate().await.success());
    assert!(began.elapsed() < Duration::from_secs(10), "the end took {:?}", began.elapsed());
    let replies = people.join_all().await;
    assert!(gateway.log().contains("stopped"));

    gateway.restart().await;
    for (openid, reply) in replies {
        let user = reply.ok()["user"].clone();
        let issued = gateway.simulator().issue(&json!({ "appid": APP, "openid": openid, "unionid": openid })).await;
        let again = gateway.client().login_with(APP, &issued.code).await.ok();
        assert_eq!((&again["user"]["id"], &again["user"]["is_new"]), (&user["id"], &json!(false)));
    }
}

#[tokio::test]
async fn while_it_drains_probes_say_so_and_logins_work_and_a_second_signal_ends_at_once() {
    let mut gateway = Gateway::dev().env("WXGATE__HTTP__DRAIN_SECONDS", "60").await;
    assert_eq!(gateway.client().get("/readyz").await.status, 200);
    gateway.ask_to_end();
    let not_ready = within(PATIENCE, "/readyz turns away", async || {
        let reply = gateway.client().get("/readyz").await;
        (reply.status != 200).then_some(reply)
    })
    .await;
    assert_eq!(not_ready.status, 503, "{}", not_ready.text);
    assert_eq!(gateway.admin().get("/readyz").await.status, 503);
    assert_eq!(gateway.client().get("/livez").await.status, 200);
    let issued = gateway.simulator().code(APP).await;
    let reply = gateway.client().login_with(APP, &issued.code).await;
    assert_eq!(reply.header("connection"), "close", "the next request goes to another process");
    reply.ok();

    let began = Instant::now();
    let status = gateway.terminate().await;
    assert!(began.elapsed() < Duration::from_secs(20), "the second signal did not end it");
    assert_eq!(status.code(), Some(1), "{status}");
}

#[tokio::test]
async fn a_second_trial_on_the_same_data_keeps_everything() {
    let mut gateway = Gateway::dev().await;
    let person = |appid: &str| json!({ "appid": appid, "openid": format!("o{appid}"), "unionid": "uTheSame" });
    let issued = gateway.simulator().issue(&person(APP)).await;
    let before = gateway.client().login_with(APP, &issued.code).await.ok();
    let keys = gateway.client().get("/t/demo/jwks.json").await.ok();
    let (public_url, master) =
        (gateway.public_url().to_owned(), std::fs::read(gateway.data().join("master-key")).unwrap());

    for kind in ["stopped", "killed"] {
        if kind == "stopped" {
            assert!(gateway.terminate().await.success());
        } else {
            gateway.kill9();
        }
        gateway.restart().await;
        assert_eq!(gateway.client().get("/t/demo/jwks.json").await.ok(), keys, "{kind}");
        let document = gateway.client().get("/t/demo/.well-known/openid-configuration").await.ok();
        assert_eq!(document["issuer"], format!("{public_url}/t/demo"), "{kind}");
        assert_eq!(std::fs::read(gateway.data().join("master-key")).unwrap(), master, "{kind}");
        jwt::verify(&gateway, "demo", APP, &before["access_token"]).await.unwrap();
        for appid in [APP, OTHER_APP] {
            let issued = gateway.simulator().issue(&person(appid)).await;
            let again = gateway.client().login_with(appid, &issued.code).await.ok();
            assert_eq!(again["user"]["id"], before["user"]["id"], "{kind}, {appid}");
        }
    }
    assert_eq!(gateway.client().base(), public_url, "the port of the first start is taken again");
}
