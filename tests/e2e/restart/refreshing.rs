//! Killed while phones refresh: every turn is whole or not there, and nobody loses a session.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::database::{Engine, TestDatabase};
use crate::harness::{APP, Client, Gateway, PATIENCE, within};

/// Phones that refresh at the same time.
const PHONES: usize = 16;

/// Refreshes that are answered before the process is killed, each time.
const BEFORE_THE_KILL: [usize; 3] = [60, 1, 200];

/// Refreshes again and again until the gateway is gone; the newest pair that arrived.
async fn refresh_until_it_is_gone(client: Client, mut pair: Value, count: Arc<AtomicUsize>) -> Value {
    loop {
        let body = json!({ "refresh_token": pair["refresh_token"] });
        let request = client.request(Method::POST, "/v1/token/refresh").json(&body);
        let Ok(reply) = client.try_send(request).await else { return pair };
        pair = reply.ok();
        count.fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) async fn nobody_loses_a_session_to_a_kill(engine: Engine) {
    let Some(database) = TestDatabase::create(engine).await else { return };
    let many = "100000";
    let mut gateway = Gateway::serve(database)
        .env("WXGATE__LIMITS__ADDRESS_PER_SECOND", many)
        .env("WXGATE__LIMITS__ADDRESS_BURST", many)
        .await;
    let mut pairs = Vec::new();
    for _ in 0..PHONES {
        let issued = gateway.simulator().code(APP).await;
        pairs.push(gateway.client().login_with(APP, &issued.code).await.ok());
    }
    for wanted in BEFORE_THE_KILL {
        let count = Arc::new(AtomicUsize::new(0));
        let mut phones = JoinSet::new();
        for pair in pairs {
            phones.spawn(refresh_until_it_is_gone(gateway.client().clone(), pair, count.clone()));
        }
        within(PATIENCE, "refreshes are answered", async || (count.load(Ordering::Relaxed) >= wanted).then_some(()))
            .await;
        gateway.kill9();
        pairs = phones.join_all().await;
        gateway.restart().await;
    }
    // Each phone's newest token is that of the present turn, or of the one before, whose answer died with the process.
    for pair in pairs {
        let body = json!({ "refresh_token": pair["refresh_token"] });
        let next = gateway.client().post("/v1/token/refresh", &body).await.ok();
        assert_eq!(next["session_id"], pair["session_id"]);
    }
}
