//! An operator merges, undoes, and leaves two users two.

use serde_json::json;

use super::Person;
use crate::harness::{APP, Gateway, OTHER_APP};

#[tokio::test]
async fn an_operator_merges_and_undoes_and_the_log_says_so() {
    let gateway = Gateway::dev().await;
    let operator = gateway.operator();
    let (one, other) = (Person::new(&gateway, APP).await, Person::new(&gateway, OTHER_APP).await);
    let body = json!({"tenant": "demo", "user": one.id(), "into": other.id()});
    let merge = operator.post("/merges", &body).await;
    assert_eq!(merge.status, 201, "{}", merge.text);
    let merge = merge.json();
    assert_eq!((&merge["gone"], &merge["user"], &merge["cause"]), (one.id(), other.id(), &json!("operator")));
    operator.post("/merges", &body).await.refused(409, "NOT_MERGEABLE");

    // The old id finds the user, and blocks the user.
    let (gone, user) = (one.id().as_str().unwrap(), other.id().as_str().unwrap());
    let shown = operator.get(&format!("/users/{gone}?tenant=demo")).await.ok();
    assert_eq!((&shown["id"], shown["identities"].as_array().unwrap().len()), (other.id(), 2));
    gateway.command(["user", "block", "--tenant", "demo", gone]).run().await.ok();
    one.me(&gateway).await.refused(403, "USER_BLOCKED");
    other.me(&gateway).await.refused(403, "USER_BLOCKED");
    gateway.command(["user", "unblock", "--tenant", "demo", user]).run().await.ok();

    let id = merge["id"].as_str().unwrap();
    let listed = gateway.command(["merge", "list", "--tenant", "demo", "--json"]).run().await.json();
    assert_eq!(listed[0]["id"], id);
    let undone = gateway.command(["merge", "undo", "--tenant", "demo", id, "--json"]).run().await.json();
    assert_eq!((&undone["user"], &undone["from"]), (one.id(), other.id()));
    assert_eq!(&one.login(&gateway).await["user"]["id"], one.id());
    operator.post(&format!("/merges/{id}/undo"), &json!({"tenant": "demo"})).await.refused(404, "NOT_FOUND");
    let log = operator.get("/audit?tenant=demo").await.ok();
    for action in ["user.merge", "user.unmerge"] {
        assert!(log.to_string().contains(action), "{action}");
    }
}

#[tokio::test]
async fn erasing_by_the_old_id_erases_the_user() {
    let gateway = Gateway::dev().await;
    let (one, other) = (Person::new(&gateway, APP).await, Person::new(&gateway, OTHER_APP).await);
    let body = json!({"tenant": "demo", "user": one.id(), "into": other.id()});
    let merge = gateway.operator().post("/merges", &body).await.json();
    let gone = one.id().as_str().unwrap();
    gateway.command(["user", "erase", "--tenant", "demo", "--yes", gone]).run().await.ok();
    for person in [&one, &other] {
        person.me(&gateway).await.refused(401, "SESSION_ENDED");
        assert_eq!(person.login(&gateway).await["user"]["is_new"], true);
    }
    let undo = format!("/merges/{}/undo", merge["id"].as_str().unwrap());
    gateway.operator().post(&undo, &json!({"tenant": "demo"})).await.refused(404, "NOT_FOUND");
}
