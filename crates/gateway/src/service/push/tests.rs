//! How long WeChat waits, to the millisecond and without waiting.

use serde_json::json;
use wxgate_crypto::push::PushKeys;
use wxgate_domain::{AppPolicy, PushMode};
use wxgate_storage::{NewApp, PushChange};

use super::*;
use crate::service::testing::{House, StandingClock};

/// An app that takes plaintext pushes, and what signs them.
async fn app(house: &House) -> PushKeys {
    let new = NewApp {
        name: "Shop".to_owned(),
        appid: house.app.clone(),
        secret: "5ec2e7".parse().unwrap(),
        is_accepted: true,
        union_group: None,
        policy: AppPolicy::default(),
        may_move: false,
    };
    let tx = house.storage.begin().await.unwrap();
    let scope = tx.tenant(house.tenant.id);
    scope.apps().add(new).await.unwrap();
    let change = PushChange { mode: Some(PushMode::Plain), ..PushChange::default() };
    let (_, keys, _) = scope.push_settings().set(&house.app, change).await.unwrap();
    tx.commit().await.unwrap();
    keys
}

fn push(house: &House, keys: &PushKeys, event: &str) -> IncomingPush {
    let (timestamp, nonce) = (house.clock.now().seconds().to_string(), "1234".to_owned());
    let signature = keys.token.signature(&Stamp { timestamp: &timestamp, nonce: &nonce });
    let body = json!({ "MsgType": "event", "Event": event, "CreateTime": 1, "FromUserName": "o" });
    IncomingPush {
        timestamp,
        nonce,
        signature: Some(signature),
        msg_signature: None,
        says_encrypted: false,
        body: body.to_string().into_bytes(),
    }
}

/// Lets what can go on go on.
async fn let_go_on() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn wechat_waits_for_four_and_a_half_seconds_and_what_was_begun_is_done() {
    let house = House::new().await;
    let keys = app(&house).await;
    let (tasks, other) = (TaskTracker::new(), house.another_process().await);
    let pushes = Pushes::new(house.clock.clone(), house.storage.clone(), Metrics::new(), tasks.clone());
    // Somebody else writes, and does not come to an end.
    let writing = other.begin().await.unwrap();
    let time = StandingClock::begin();
    let asked = {
        let (pushes, appid, push) = (pushes.clone(), house.app.clone(), push(&house, &keys, "debug_demo"));
        tokio::spawn(async move { pushes.receive(&appid, &push).await })
    };
    while tasks.is_empty() {
        tokio::task::yield_now().await;
    }
    time.pass(Duration::from_millis(4_499)).await;
    let_go_on().await;
    assert!(!asked.is_finished(), "WeChat still waits");
    time.pass(Duration::from_millis(2)).await;
    assert!(matches!(asked.await.unwrap(), Err(PushError::Overloaded)));
    assert!(!tasks.is_empty(), "what was begun goes on");

    drop(writing);
    other.stop().await;
    tasks.close();
    tasks.wait().await;
    let forged = pushes.receive(&house.app, &push(&house, &keys, "another")).await;
    assert!(matches!(forged, Err(PushError::Replayed)), "its time and nonce are known: {forged:?}");
    pushes.receive(&house.app, &push(&house, &keys, "debug_demo")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_answer_has_the_same_limit() {
    let after = async |millis| {
        let answer = async {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            Ok(())
        };
        let began = tokio::time::Instant::now();
        (in_time(PushError::Overloaded, answer).await.is_ok(), began.elapsed().as_millis())
    };
    assert_eq!(after(4_499).await, (true, 4_499));
    assert_eq!(after(60_000).await, (false, 4_500));
}
