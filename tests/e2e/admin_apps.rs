//! Mini-programs, moved by operators and tenants' admins: whose an appid is, and what becomes of secrets.

mod removal;
mod secrets;
mod trust;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::cli::NO_WECHAT;
use crate::harness::{Gateway, Operator};

const NEW_APP: &str = "wx00000000000000a1";
const SECRET: &str = "c0ffee5ec2e7c0ffee5ec2e7c0ffee42";
const WRONG: &str = "bad5ec2ebad5ec2ebad5ec2ebad5ec2e";

/// A trial with two more tenants, and an admin of each.
async fn two_tenants() -> (Gateway, Operator, Operator) {
    let gateway = Gateway::dev().await;
    for tenant in ["acme", "umbrella"] {
        gateway.operator().post("/tenants", &json!({ "slug": tenant })).await.status_is(201);
    }
    let (acme, umbrella) = (gateway.operator().admin_of("acme").await, gateway.operator().admin_of("umbrella").await);
    (gateway, acme, umbrella)
}

fn new_app(tenant: &str, secret: &str) -> Value {
    json!({ "tenant": tenant, "appid": NEW_APP, "secret": secret })
}

#[tokio::test]
async fn an_appid_counts_for_whoever_wechat_accepts() {
    let (gateway, acme, umbrella) = two_tenants().await;
    gateway.simulator().put_app(NEW_APP, SECRET, None).await;

    // WeChat does not answer, so nobody knows that the secret is wrong.
    let add = ["app", "add", "--tenant", "umbrella", "--appid", NEW_APP, "--secret-file", "-", "--json"];
    let squatted = gateway.command(add).asking(NO_WECHAT).stdin(WRONG).run().await.json();
    assert_eq!(squatted["secret"]["state"], "unverified");
    // What was not proved is nobody's audience.
    let policy = json!({ "tenant": "umbrella", "name": "squat", "audience": NEW_APP });
    let refused = umbrella.post("/policies", &policy).await.refused(400, "REQUEST_INVALID");
    assert!(refused["detail"].as_str().unwrap().contains("does not own the audience"), "{refused}");

    let owned = acme.post("/apps", &new_app("acme", SECRET)).await;
    owned.status_is(201);
    assert_eq!(owned.json()["secret"]["state"], "accepted");
    let id = squatted["id"].as_str().unwrap().to_owned();
    for operator in [&umbrella, &gateway.operator()] {
        operator.get(&format!("/apps/{id}")).await.refused(404, "NOT_FOUND");
    }
    assert_eq!(umbrella.get("/apps").await.ok()["items"], json!([]));

    // Whoever was accepted keeps it.
    umbrella.post("/apps", &new_app("umbrella", SECRET)).await.refused(409, "TAKEN");
    gateway.comes_to_answer(NEW_APP, "CODE_INVALID").await;
    let issued = gateway.simulator().code(NEW_APP).await;
    gateway.client().login_with(NEW_APP, &issued.code).await.ok();
}

#[tokio::test]
async fn an_app_is_one_tenant_s_and_nobody_else_sees_it() {
    let (gateway, acme, umbrella) = two_tenants().await;
    let made = acme.post("/apps", &new_app("acme", SECRET)).await;
    made.status_is(201);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    for named in [NEW_APP, &id] {
        let address = format!("/apps/{named}");
        assert_eq!(acme.get(&address).await.ok(), made.json());
        umbrella.get(&address).await.refused(404, "NOT_FOUND");
        umbrella.patch(&address, &json!({ "name": "Mine" })).await.refused(404, "NOT_FOUND");
        umbrella.delete(&address).await.refused(404, "NOT_FOUND");
        for action in ["enable", "disable", "verify"] {
            umbrella.post(&format!("{address}/{action}"), &json!({})).await.refused(404, "NOT_FOUND");
        }
        let secret = umbrella.request(Method::PUT, &format!("{address}/secret")).json(&json!({ "secret": WRONG }));
        umbrella.send(secret).await.refused(404, "NOT_FOUND");
    }
    umbrella.post("/apps", &new_app("acme", SECRET)).await.refused(404, "NOT_FOUND");
    umbrella.get("/apps?tenant=acme").await.refused(404, "NOT_FOUND");
    assert_eq!(umbrella.get("/apps").await.ok()["items"], json!([]));
    let all = gateway.operator().get("/apps").await.ok();
    assert_eq!(all["items"].as_array().unwrap().len(), 3, "the demo apps and this one: {all}");
}

#[tokio::test]
async fn an_app_is_changed_by_whoever_saw_it_last() {
    let (gateway, acme, _) = two_tenants().await;
    acme.post("/apps", &new_app("acme", SECRET)).await.status_is(201);
    acme.post("/union-groups", &json!({ "tenant": "acme", "name": "main" })).await.status_is(201);
    let address = format!("/apps/{NEW_APP}");
    let seen = acme.get(&address).await.header("etag").to_owned();
    let change = async |etag: &str, body: &Value| {
        acme.send(acme.request(Method::PATCH, &address).header("If-Match", etag).json(body)).await
    };
    let changed = change(&seen, &json!({ "name": "Shop", "union_group": "main" })).await;
    assert_eq!(changed.ok()["name"], "Shop");
    assert!(changed.json()["union_group_id"].is_string(), "{}", changed.text);
    change(&seen, &json!({ "name": "Other" })).await.refused(412, "PRECONDITION_FAILED");
    let policy = json!({ "policy": { "logins_per_minute": 3 }, "union_group": "" });
    let again = change(changed.header("etag"), &policy).await.ok();
    assert_eq!((&again["name"], &again["policy"]["logins_per_minute"]), (&json!("Shop"), &json!(3)));
    assert_eq!(again["union_group_id"], Value::Null);
    let foreign = json!({ "policy": { "audiences": ["wx000000000000de01"] } });
    acme.patch(&address, &foreign).await.refused(400, "REQUEST_INVALID");
    acme.patch(&address, &json!({ "secret": SECRET })).await.refused(400, "REQUEST_INVALID");

    // Nor is it removed by whoever saw it before, and it is by whoever sees it as it is.
    let remove = async |etag: &str| acme.send(acme.request(Method::DELETE, &address).header("If-Match", etag)).await;
    remove(&seen).await.refused(412, "PRECONDITION_FAILED");
    acme.get(&address).await.ok();

    // The same by the other door.
    let told = gateway.remote(["app", "policy", NEW_APP, "--scope", "user", "--scope", "orders:read"]).run().await.ok();
    assert!(told.contains("user orders:read"), "{told}");
    let told = gateway.remote(["app", "list", "--tenant", "acme"]).run().await.ok();
    assert!(told.contains("Shop") && told.contains("accepted"), "{told}");
}

#[tokio::test]
async fn things_are_removed_by_whoever_saw_them_last() {
    let (gateway, acme, _) = two_tenants().await;
    let operator = gateway.operator();
    let made = [
        ("/apps", new_app("acme", SECRET), "appid"),
        ("/audiences", json!({ "tenant": "acme", "name": "orders" }), "name"),
        ("/policies", json!({ "tenant": "acme", "name": "shop", "audience": "orders" }), "name"),
        ("/service-clients", json!({ "tenant": "acme", "name": "orders" }), "id"),
        ("/webhooks", json!({ "tenant": "acme", "name": "orders", "url": "https://hooks.example/" }), "id"),
        ("/union-groups", json!({ "tenant": "acme", "name": "main" }), "id"),
    ];
    let mut seen = Vec::new();
    for (path, body, id) in made {
        let reply = operator.post(path, &body).await;
        reply.status_is(201);
        seen.push((format!("{path}/{}", reply.json()[id].as_str().unwrap()), reply.header("etag").to_owned()));
    }
    let remove = async |path: &str, etag: &str| {
        operator.send(operator.request(Method::DELETE, path).header("If-Match", etag)).await
    };
    for (path, etag) in seen.iter().rev() {
        remove(path, "\"another\"").await.refused(412, "PRECONDITION_FAILED");
        let removed = remove(path, etag).await;
        assert!(removed.status < 300, "what a creation answers is what it is: {path}: {}", removed.text);
    }
    let before = acme.get("/tenants/acme").await.header("etag").to_owned();
    let now = operator.post("/tenants/acme/suspend", &json!({})).await.header("etag").to_owned();
    remove("/tenants/acme", &before).await.refused(412, "PRECONDITION_FAILED");
    assert_eq!(acme.get("/tenants/acme").await.ok()["status"], "suspended", "and its keys are there");
    assert_eq!(remove("/tenants/acme", &now).await.ok()["kind"], "tenant_deletion");
}
