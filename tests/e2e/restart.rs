//! Killed or stopped, nothing that was answered is lost.

mod refreshing;
mod stopping;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;

use crate::harness::database::{Engine, TestDatabase};
use crate::harness::simulator::Simulator;
use crate::harness::{APP, Client, Gateway, PATIENCE, jwt, within};

/// People who log in at the same time.
const PEOPLE: usize = 24;

/// Logins that are answered before the process is killed, each time.
const BEFORE_THE_KILL: [usize; 3] = [40, 150, 1];

/// Who was answered 200: openid and user id.
type Answered = Arc<Mutex<HashMap<String, String>>>;

/// First logins, one after another, until the gateway is gone.
async fn log_in_until_it_is_gone(client: Client, simulator: Simulator, answered: Answered, count: Arc<AtomicUsize>) {
    loop {
        let issued = simulator.code(APP).await;
        let body = serde_json::json!({ "code": issued.code });
        let request = client.request(reqwest::Method::POST, &format!("/v1/apps/{APP}/login")).json(&body);
        let Ok(reply) = client.try_send(request).await else { return };
        let user = &reply.ok()["user"];
        assert_eq!(user["is_new"], true);
        answered.lock().unwrap().insert(issued.openid, user["id"].as_str().unwrap().to_owned());
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Kills the gateway in the middle of load, three times, and looks for everybody who was answered.
async fn whoever_was_answered_is_there_after_a_kill(engine: Engine) {
    let Some(database) = TestDatabase::create(engine).await else { return };
    let many = "100000";
    let mut gateway = Gateway::serve(database)
        .env("WXGATE__LIMITS__ADDRESS_PER_SECOND", many)
        .env("WXGATE__LIMITS__ADDRESS_BURST", many)
        .await;
    let answered = Answered::default();
    for wanted in BEFORE_THE_KILL {
        let count = Arc::new(AtomicUsize::new(0));
        let mut people = JoinSet::new();
        for _ in 0..PEOPLE {
            let (client, simulator) = (gateway.client().clone(), gateway.simulator().clone());
            people.spawn(log_in_until_it_is_gone(client, simulator, answered.clone(), count.clone()));
        }
        within(PATIENCE, "logins are answered", async || (count.load(Ordering::Relaxed) >= wanted).then_some(())).await;
        gateway.kill9();
        people.join_all().await;
        gateway.restart().await;
    }

    let answered = answered.lock().unwrap().clone();
    assert!(answered.len() >= BEFORE_THE_KILL.iter().sum(), "{} logins", answered.len());
    for (openid, id) in &answered {
        let issued = gateway.simulator().code_of(APP, openid).await;
        let reply = gateway.client().login_with(APP, &issued.code).await.ok();
        assert_eq!(reply["user"]["is_new"], false, "{openid} was answered and is lost");
        assert_eq!(reply["user"]["id"], **id, "{openid} has become somebody else");
    }
}

/// A code that was answered before the kill opens no second session after it.
async fn a_spent_code_stays_spent_after_a_kill(engine: Engine) {
    let Some(database) = TestDatabase::create(engine).await else { return };
    let mut gateway = Gateway::serve(database).await;
    let issued = gateway.simulator().code(APP).await;
    gateway.client().login_with(APP, &issued.code).await.ok();
    gateway.kill9();
    gateway.restart().await;
    let reply = gateway.client().login_with(APP, &issued.code).await;
    assert_eq!(reply.refused(409, "CODE_USED")["action"], "new_code");
}

/// The keys are the tenant's, not the process's: what was signed before verifies after.
async fn tokens_and_keys_outlive_the_process(engine: Engine) {
    let Some(database) = TestDatabase::create(engine).await else { return };
    let mut gateway = Gateway::serve(database).await;
    let issued = gateway.simulator().code(APP).await;
    let before = gateway.client().login_with(APP, &issued.code).await.ok();
    assert!(gateway.terminate().await.success());
    gateway.restart().await;

    let claims = jwt::verify(&gateway, "demo", APP, &before["access_token"]).await.unwrap();
    assert_eq!(claims.sub, before["user"]["id"].as_str().unwrap());
    let issued = gateway.simulator().code_of(APP, &issued.openid).await;
    let after = gateway.client().login_with(APP, &issued.code).await.ok();
    assert_eq!(after["user"]["id"], before["user"]["id"]);
    let kid = |reply: &serde_json::Value| jwt::parts(&reply["access_token"]).0["kid"].clone();
    assert_eq!(kid(&after), kid(&before));
}

/// The stories as tests of one engine's module, which is how a run of one engine finds them.
macro_rules! on {
    ($($module:ident $engine:expr;)*) => {$(
        mod $module {
            use super::Engine;

            #[tokio::test]
            async fn whoever_was_answered_is_there_after_a_kill() {
                super::whoever_was_answered_is_there_after_a_kill($engine).await;
            }

            #[tokio::test]
            async fn nobody_loses_a_session_to_a_kill() {
                super::refreshing::nobody_loses_a_session_to_a_kill($engine).await;
            }

            #[tokio::test]
            async fn a_spent_code_stays_spent_after_a_kill() {
                super::a_spent_code_stays_spent_after_a_kill($engine).await;
            }

            #[tokio::test]
            async fn tokens_and_keys_outlive_the_process() {
                super::tokens_and_keys_outlive_the_process($engine).await;
            }
        }
    )*};
}

on! {
    sqlite Engine::Sqlite;
    postgres Engine::Postgres;
    mysql Engine::MySql;
}
