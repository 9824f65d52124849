//! A WeChat that is away, and apps that stand beside a broken one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::TcpSocket;
use tokio::task::JoinSet;

use super::{check, login, patience};
use crate::harness::wechat::{Answer, Wechat};
use crate::harness::{APP, Gateway, OTHER_APP, PATIENCE, within};

const PERSON: &str = r#"{"session_key":"AAAAAAAAAAAAAAAAAAAAAA==","openid":"oSomebody"}"#;

#[tokio::test]
async fn while_nobody_listens_no_code_is_lost() {
    // A bound socket that does not listen refuses connections, and keeps the port for later.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gateway = Gateway::dev().wechat_url(format!("http://{}", socket.local_addr().unwrap())).await;

    let reply = login(gateway.client(), APP, "patience").await;
    let problem = check(&reply, &patience(503, "UPSTREAM_UNAVAILABLE"), "nobody listens");
    assert!(problem["retry_after"].as_u64().unwrap() >= 1);

    let wechat = Wechat::start_on(socket.listen(16).unwrap(), |_| Answer::body(PERSON));
    let reply = login(gateway.client(), APP, "patience").await;
    assert_eq!(reply.ok()["user"]["openid"], "oSomebody");
    assert_eq!(wechat.calls(), 1);
}

#[tokio::test]
async fn a_silent_app_starves_nobody_and_comes_back() {
    let healed = Arc::new(AtomicBool::new(false));
    let healthy = healed.clone();
    let wechat = Wechat::start(move |request| {
        let of_this_app = request.contains(&format!("appid={APP}&"));
        if of_this_app && !healthy.load(Ordering::Relaxed) { Answer::silence() } else { Answer::body(PERSON) }
    })
    .await;
    let gateway = Gateway::dev()
        .wechat_url(wechat.url())
        .env("WXGATE__WECHAT__CALLS_PER_APP", "8")
        .env("WXGATE__LIMITS__ADDRESS_BURST", "10000")
        .await;

    let mut broken = JoinSet::new();
    for number in 0..60 {
        let client = gateway.client().clone();
        broken.spawn(async move { login(&client, APP, &format!("broken-{number}")).await });
    }
    within(PATIENCE, "calls of the silent app hang", async || (wechat.calls() >= 8).then_some(())).await;
    // Eight times: a person may log in ten times a minute.
    for number in 0..8 {
        login(gateway.client(), OTHER_APP, &format!("healthy-{number}")).await.ok();
    }
    let replies = broken.join_all().await;
    let of = |code: &str| replies.iter().filter(|reply| reply.json()["code"] == code).count();
    let (timeouts, shed) = (of("UPSTREAM_TIMEOUT"), of("OVERLOADED"));
    assert!(timeouts >= 8 && shed >= 1, "{timeouts} timeouts, {shed} shed");
    assert_eq!(timeouts + shed, replies.len(), "{:?}", replies.iter().map(|reply| reply.status).collect::<Vec<_>>());
    for reply in replies.iter().filter(|reply| reply.json()["code"] == "OVERLOADED") {
        assert_eq!(reply.json()["action"], "wait");
        assert!(!reply.header("retry-after").is_empty());
    }

    healed.store(true, Ordering::Relaxed);
    let mut number = 0;
    within(PATIENCE, "the app comes back", async || {
        number += 1;
        (login(gateway.client(), APP, &format!("healed-{number}")).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_breaker_answers_at_once_and_for_its_app_alone() {
    let wechat = Wechat::start(|request| {
        let of_this_app = request.contains(&format!("appid={APP}&"));
        if of_this_app { Answer::hang_up() } else { Answer::body(PERSON) }
    })
    .await;
    let gateway = Gateway::dev().wechat_url(wechat.url()).env("WXGATE__LIMITS__ADDRESS_BURST", "10000").await;
    let mut number = 0;
    let opened = within(PATIENCE, "the breaker opens", async || {
        number += 1;
        let reply = login(gateway.client(), APP, &format!("broken-{number}")).await;
        (reply.json()["code"] == "UPSTREAM_UNAVAILABLE").then_some(reply)
    });
    check(&opened.await, &patience(503, "UPSTREAM_UNAVAILABLE"), "the breaker is open");
    assert!(wechat.calls() < number, "the last ones were not sent");
    login(gateway.client(), OTHER_APP, "healthy").await.ok();
}
