//! Keys turn, and nobody is refused; a stolen one goes, and nobody gets in with it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use wxgate_token::{Issuer, VerifyError, VerifyingKeys};

use crate::harness::database::age_signing_keys;
use crate::harness::simulator::Simulator;
use crate::harness::{APP, Client, Gateway, PATIENCE, jwt, within};

const JWKS: &str = "/t/demo/jwks.json";
const HOUR: Duration = Duration::from_hours(1);

async fn age(gateway: &Gateway, by: Duration) {
    age_signing_keys(&gateway.data().join("wxgate.db"), by).await;
}

async fn token(gateway: &Gateway) -> Value {
    let issued = gateway.simulator().code(APP).await;
    gateway.client().login_with(APP, &issued.code).await.ok()["access_token"].clone()
}

fn kid(token: &Value) -> String {
    jwt::parts(token).0["kid"].as_str().unwrap().to_owned()
}

/// The kid in this state, as the operator sees it.
async fn in_state(gateway: &Gateway, state: &str) -> String {
    let keys = gateway.command(["signing-key", "list", "--tenant", "demo", "--json"]).run().await.json();
    let mut found = keys.as_array().unwrap().iter().filter(|key| key["state"] == state);
    found.next().unwrap_or_else(|| panic!("no key is {state}: {keys}"))["kid"].as_str().unwrap().to_owned()
}

/// Waits until this gateway signs with another key than `old`; returns its first token by that.
async fn another_signs(gateway: &Gateway, old: &str) -> Value {
    within(PATIENCE, "another key signs", async || {
        let token = token(gateway).await;
        (kid(&token) != old).then_some(token)
    })
    .await
}

async fn published(gateway: &Gateway) -> HashSet<String> {
    let set = gateway.client().get(JWKS).await.ok();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_tenant_begins_with_a_key_that_signs_and_one_that_is_known_before_it_does() {
    let gateway = Gateway::dev().await;
    let (active, next) = (in_state(&gateway, "active").await, in_state(&gateway, "next").await);
    assert_eq!(published(&gateway).await, HashSet::from([active.clone(), next]));
    assert_eq!(kid(&token(&gateway).await), active);
}

/// Logs people in until told to stop, and verifies each token with keys that were read before.
async fn log_in_and_verify(
    (client, simulator): (Client, Simulator),
    (keys, issuer): (Arc<VerifyingKeys>, Issuer),
    (stop, count): (Arc<AtomicBool>, Arc<AtomicUsize>),
    tokens: Arc<Mutex<Vec<Value>>>,
) {
    while !stop.load(Ordering::Relaxed) {
        let code = simulator.code(APP).await.code;
        let token = client.login_with(APP, &code).await.ok()["access_token"].clone();
        jwt::verify_with(&keys, &issuer, APP, &token).unwrap();
        tokens.lock().unwrap().push(token);
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Security test 21, from outside: a backend read the keys before the rotation, and reads none while it lasts.
#[tokio::test]
async fn refuses_no_token_before_during_and_after_a_rotation_under_load() {
    let many = "100000";
    let gateway =
        Gateway::dev().env("WXGATE__LIMITS__ADDRESS_PER_SECOND", many).env("WXGATE__LIMITS__ADDRESS_BURST", many).await;
    let cached = (Arc::new(jwt::keys(&gateway, "demo").await), jwt::issuer(&gateway, "demo"));
    let tag = gateway.client().get(JWKS).await.header("etag").to_owned();
    age(&gateway, 25 * HOUR).await;
    let (old, new) = (in_state(&gateway, "active").await, in_state(&gateway, "next").await);

    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let tokens = Arc::new(Mutex::new(Vec::new()));
    let mut people = JoinSet::new();
    for _ in 0..6 {
        let parties = (gateway.client().clone(), gateway.simulator().clone());
        people.spawn(log_in_and_verify(parties, cached.clone(), (stop.clone(), count.clone()), tokens.clone()));
    }
    let reached = async |wanted: usize| {
        within(PATIENCE, "tokens are issued", async || (count.load(Ordering::Relaxed) >= wanted).then_some(())).await;
    };
    reached(20).await;
    gateway.command(["signing-key", "rotate", "--tenant", "demo"]).run().await.ok();
    another_signs(&gateway, &old).await;
    reached(count.load(Ordering::Relaxed) + 20).await;
    stop.store(true, Ordering::Relaxed);
    people.join_all().await;

    // Whoever reads the keys now finds those of before and after, and the one that comes after that.
    let reply = gateway.client().get(JWKS).await;
    assert_ne!(reply.header("etag"), tag);
    let fresh = VerifyingKeys::from_jwks(reply.text.as_bytes()).unwrap();
    let tokens = std::mem::take(&mut *tokens.lock().unwrap());
    for token in &tokens {
        jwt::verify_with(&fresh, &cached.1, APP, token).unwrap();
    }
    assert_eq!(tokens.iter().map(kid).collect::<HashSet<_>>(), HashSet::from([old.clone(), new.clone()]));
    let next = in_state(&gateway, "next").await;
    assert_eq!(published(&gateway).await, HashSet::from([old, new, next]));
}

#[tokio::test]
async fn keys_turn_by_themselves_and_old_ones_go_when_their_tokens_have_ended() {
    let mut gateway = Gateway::dev().await;
    let (first, second) = (in_state(&gateway, "active").await, in_state(&gateway, "next").await);
    let turn = async |gateway: &mut Gateway, days: u32| {
        age(gateway, days * 24 * HOUR).await;
        gateway.terminate().await;
        gateway.restart().await;
    };
    turn(&mut gateway, 89).await;
    assert_eq!(kid(&token(&gateway).await), first, "its days are not over");

    turn(&mut gateway, 1).await;
    assert_eq!(kid(&another_signs(&gateway, &first).await), second);
    assert_eq!(published(&gateway).await.len(), 3);

    turn(&mut gateway, 2).await;
    within(PATIENCE, "the first key is gone", async || (!published(&gateway).await.contains(&first)).then_some(()))
        .await;
    assert_eq!(published(&gateway).await.len(), 2);
    assert_eq!(kid(&token(&gateway).await), second);
}

#[tokio::test]
async fn refuses_what_a_stolen_key_signed_and_goes_on_with_the_next() {
    let gateway = Gateway::dev().await;
    let cached = jwt::keys(&gateway, "demo").await;
    let before = token(&gateway).await;
    let (stolen, next) = (in_state(&gateway, "active").await, in_state(&gateway, "next").await);
    let told = gateway.command(["signing-key", "retire", "--tenant", "demo", &stolen]).run().await.ok();
    assert!(told.contains(&format!("{stolen} signs and verifies nothing any more")), "{told}");

    let after = another_signs(&gateway, &stolen).await;
    assert_eq!(kid(&after), next);
    let issuer = jwt::issuer(&gateway, "demo");
    jwt::verify_with(&cached, &issuer, APP, &after).expect("the next key was published before");
    jwt::verify(&gateway, "demo", APP, &after).await.unwrap();
    assert_eq!(jwt::verify(&gateway, "demo", APP, &before).await.unwrap_err(), VerifyError::UnknownKey);
    let published = published(&gateway).await;
    assert!(published.len() == 2 && !published.contains(&stolen), "{published:?}");
}
