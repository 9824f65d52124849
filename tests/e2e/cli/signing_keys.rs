//! Signing keys: shown with what comes next, turned early, replaced in an emergency.

use std::time::Duration;

use serde_json::Value;

use super::{FAILURE, House, USAGE, refused};
use crate::harness::database::age_signing_keys;

const HOUR: Duration = Duration::from_hours(1);
const DAY: i64 = 86_400;

async fn list(house: &House) -> Vec<Value> {
    let list = house.run(["signing-key", "list", "--tenant", "acme", "--json"]).run().await.json();
    list.as_array().unwrap().clone()
}

fn in_state<'a>(keys: &'a [Value], state: &str) -> &'a Value {
    let mut found = keys.iter().filter(|key| key["state"] == state);
    found.next().unwrap_or_else(|| panic!("no key is {state}: {keys:?}"))
}

#[tokio::test]
async fn keys_are_shown_with_their_state_and_what_comes_next() {
    let house = House::furnished().await;
    let keys = list(&house).await;
    assert_eq!(keys.len(), 2);
    let (active, next) = (in_state(&keys, "active"), in_state(&keys, "next"));
    let promotion = active["published_at"].as_i64().unwrap() + 90 * DAY;
    assert_eq!((&active["next_step"], &active["next_step_at"]), (&"ceases to sign".into(), &promotion.into()));
    assert_eq!((&next["next_step"], &next["next_step_at"]), (&"signs".into(), &promotion.into()));
    for key in &keys {
        assert_eq!((&key["tenant"], &key["algorithm"]), (&"acme".into(), &"ES256".into()));
        assert!(key.get("private").is_none() && key["kid"].as_str().unwrap().len() == 43, "{key}");
    }
    let table = house.run(["signing-key", "list", "--tenant", "acme"]).run().await.ok();
    assert!(table.starts_with("KID ") && table.contains("NEXT STEP"), "{table}");
    assert!(table.contains(" 0 min ") && table.contains("signs 20"), "{table}");
}

#[tokio::test]
async fn a_key_that_verifiers_may_not_know_is_not_promoted() {
    let house = House::furnished().await;
    let told = refused(house.run(["signing-key", "rotate", "--tenant", "acme"]).run().await, FAILURE);
    assert!(told.contains("wait until 20") && told.contains("wxgate signing-key retire --tenant acme KID"), "{told}");

    let before = list(&house).await;
    age_signing_keys(&house.path("data/wxgate.db"), 24 * HOUR).await;
    let after = house.run(["signing-key", "rotate", "--tenant", "acme", "--json"]).run().await.json();
    let after = after.as_array().unwrap().clone();
    assert_eq!(after.len(), 3);
    assert_eq!(in_state(&after, "active")["kid"], in_state(&before, "next")["kid"]);
    assert_eq!(in_state(&after, "retiring")["kid"], in_state(&before, "active")["kid"]);
    assert_eq!(in_state(&after, "retiring")["next_step"], "is forgotten");
    assert!(!in_state(&after, "retiring")["retired_at"].is_null());
    // The one that now stands by was published just now.
    refused(house.run(["signing-key", "rotate", "--tenant", "acme"]).run().await, FAILURE);
}

#[tokio::test]
async fn a_stolen_key_is_replaced_whatever_its_state() {
    let house = House::furnished().await;
    for state in ["active", "next", "active"] {
        let before = list(&house).await;
        let stolen = in_state(&before, state)["kid"].as_str().unwrap().to_owned();
        let told = house.run(["signing-key", "retire", "--tenant", "acme", &stolen]).run().await.ok();
        assert!(told.starts_with(&format!("tenant acme: {stolen} signs and verifies nothing any more")), "{told}");
        let after = list(&house).await;
        assert!(after.len() == 2 && after.iter().all(|key| key["kid"] != *stolen), "{after:?}");
        if state == "active" {
            assert_eq!(in_state(&after, "active")["kid"], in_state(&before, "next")["kid"]);
        }
        let told = refused(house.run(["signing-key", "retire", "--tenant", "acme", &stolen]).run().await, FAILURE);
        assert!(told.contains("no such signing key") && told.contains("signing-key list --tenant acme"), "{told}");
    }
    // What begins with a hyphen is an id all the same, and no option.
    let hyphen = format!("-{}", "A".repeat(42));
    let unknown = [["--tenant", "acme", hyphen.as_str()], ["--tenant", "nobody", hyphen.as_str()]];
    for arguments in unknown {
        let run = arguments.iter().fold(house.run(["signing-key", "retire"]), |run, argument| run.argument(argument));
        let told = refused(run.run().await, FAILURE);
        assert!(told.contains("no such signing key") || told.contains("there is no tenant nobody"), "{told}");
    }
    refused(house.run(["signing-key", "retire", "--tenant", "acme", "nonsense"]).run().await, USAGE);
}
