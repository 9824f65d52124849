//! Creations with an `Idempotency-Key`: a lost answer is asked for again, and nothing is made twice.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::Reply;
use crate::harness::gateway::Gateway;
use crate::harness::operator::Operator;

async fn create(operator: &Operator, path: &str, key: &str, body: &Value) -> Reply {
    operator.send(operator.request(Method::POST, path).header("Idempotency-Key", key).json(body)).await
}

async fn keys(operator: &Operator) -> usize {
    operator.get("/admin-keys?limit=500").await.ok()["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_same_key_gets_the_same_answer_without_its_secret() {
    let mut gateway = Gateway::dev().await;
    let operator = gateway.operator();
    let before = keys(&operator).await;
    let body = json!({"name": "pipeline", "scopes": ["read"]});
    let first = create(&operator, "/admin-keys", "k-1", &body).await;
    first.status_is(201);
    let mut expected = first.json();
    let secret = expected.as_object_mut().unwrap().remove("secret").unwrap();
    gateway.restart().await;
    let operator = gateway.operator();
    for _ in 0..2 {
        let again = create(&operator, "/admin-keys", "k-1", &body).await;
        again.status_is(201);
        assert_eq!((again.header("idempotent-replayed"), again.json()), ("true", expected.clone()));
        assert!(!again.text.contains(secret.as_str().unwrap()));
    }
    assert_eq!(keys(&operator).await, before + 1);

    // Another request under it, another operation under it, another holder with it.
    create(&operator, "/admin-keys", "k-1", &json!({"name": "other"})).await.refused(422, "IDEMPOTENCY_KEY_REUSED");
    create(&operator, "/tenants", "k-1", &json!({"slug": "acme"})).await.refused(422, "IDEMPOTENCY_KEY_REUSED");
    let other = operator.with_key(secret.as_str().unwrap());
    create(&other, "/admin-keys", "k-1", &body).await.refused(403, "NOT_GRANTED");
    let admin = operator.admin_of("demo").await;
    let theirs = create(&admin, "/admin-keys", "k-1", &body).await;
    theirs.status_is(201);
    assert!(theirs.json()["id"] != expected["id"], "each key's holder has their own");

    for wrong in ["", &"x".repeat(256), "two words"] {
        create(&operator, "/admin-keys", wrong, &body).await.refused(400, "REQUEST_INVALID");
    }
    create(&operator, "/admin-keys", &"x".repeat(255), &body).await.status_is(201);
}

#[tokio::test]
async fn what_failed_may_be_tried_again_under_its_key() {
    let gateway = Gateway::dev().await;
    let operator = gateway.operator();
    create(&operator, "/tenants", "k-2", &json!({"slug": "demo"})).await.refused(409, "TAKEN");
    create(&operator, "/tenants", "k-2", &json!({"slug": "NOT ONE"})).await.refused(400, "REQUEST_INVALID");
    create(&operator, "/tenants", "k-2", &json!({"slug": "acme"})).await.status_is(201);
    let again = create(&operator, "/tenants", "k-2", &json!({"slug": "acme"})).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, "true"), "and not TAKEN");
}

#[tokio::test]
async fn of_many_at_once_one_creates_and_all_are_answered_alike() {
    let gateway = Gateway::dev().await;
    let operator = gateway.operator();
    let before = keys(&operator).await;
    for (path, body) in [("/admin-keys", json!({"name": "raced"})), ("/tenants", json!({"slug": "raced"}))] {
        let racers = (0..12).map(|_| create(&operator, path, path, &body));
        let replies = futures_util::future::join_all(racers).await;
        let fresh = replies.iter().filter(|reply| {
            reply.status_is(201);
            reply.headers.get("idempotent-replayed").is_none()
        });
        assert_eq!(fresh.count(), 1, "{path}");
        let ids: std::collections::BTreeSet<_> = replies.iter().map(|reply| reply.json()["id"].to_string()).collect();
        assert_eq!(ids.len(), 1, "{path}");
    }
    assert_eq!(keys(&operator).await, before + 1);
    let log = operator.get("/audit?tenant=raced").await.ok();
    assert_eq!(log["items"].as_array().unwrap().len(), 1, "one move, one entry: {log}");
}
