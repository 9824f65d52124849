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

/// An answer without what is told but once; of an app's secret the fingerprint is told again.
fn told_again(mut reply: Value) -> Value {
    reply.as_object_mut().unwrap().retain(|name, value| name != "secret" || value["fingerprint"].is_string());
    reply
}

/// Everything that is created, in an order in which one can follow the other.
#[tokio::test]
async fn whatever_is_created_is_answered_again_and_made_once() {
    let mut gateway = Gateway::dev().await;
    let operator = gateway.operator();
    let mut made: Vec<(String, Value, Value)> = Vec::new();
    let steps = [
        ("/tenants", json!({"slug": "acme"})),
        ("/union-groups", json!({"tenant": "acme", "name": "main"})),
        ("/apps", json!({"tenant": "acme", "appid": "wxidempotent0001", "secret": "5ec2e700000000000000000000000001"})),
        ("/audiences", json!({"tenant": "acme", "name": "orders"})),
        ("/policies", json!({"tenant": "acme", "name": "orders", "audience": "orders"})),
        ("/service-clients", json!({"tenant": "acme", "name": "orders"})),
        ("/service-clients/{id}/rotate", json!({})),
        ("/webhooks", json!({"tenant": "acme", "name": "orders", "url": "https://hooks.example/"})),
        ("/webhooks/{id}/rotate", json!({})),
        ("/admin-keys", json!({"tenant": "acme", "name": "theirs"})),
        (
            "/platforms",
            json!({"tenant": "acme", "appid": "wxplatform000001", "secret": "5ec2e700000000000000000000000002"}),
        ),
    ];
    for (path, body) in steps {
        let last = made.last().and_then(|(_, _, reply)| reply["id"].as_str()).unwrap_or_default().to_owned();
        let path = path.replace("{id}", &last);
        let first = create(&operator, &path, &format!("key of {path}").replace(' ', "-"), &body).await;
        first.status_is(201);
        made.push((path, body, told_again(first.json())));
    }
    // Nothing of it hangs on the process that made it.
    gateway.restart().await;
    let operator = gateway.operator();
    for (path, body, reply) in &made {
        let again = create(&operator, path, &format!("key of {path}").replace(' ', "-"), body).await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (201, "true"), "{path}: {}", again.text);
        assert_eq!(again.json(), *reply, "{path}");
    }
    let log = operator.get("/audit?tenant=acme&limit=100").await.ok();
    assert_eq!(log["items"].as_array().unwrap().len(), made.len(), "one move, one entry: {log}");
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
