//! What belongs to apps: groups, audiences, policies, service clients and signing keys, by both doors.

use serde_json::json;

use super::{NEW_APP, SECRET, new_app, two_tenants};

#[tokio::test]
async fn a_union_group_with_something_in_it_is_not_removed() {
    let (gateway, acme, umbrella) = two_tenants().await;
    let made = acme.post("/union-groups", &json!({ "tenant": "acme", "name": "main" })).await;
    made.status_is(201);
    let address = format!("/union-groups/{}", made.json()["id"].as_str().unwrap());
    let mut app = new_app("acme", SECRET);
    app["union_group"] = json!("main");
    acme.post("/apps", &app).await.status_is(201);
    for (method, body) in [("rename", json!({ "name": "theirs" })), ("remove", json!({}))] {
        let reply =
            if method == "rename" { umbrella.patch(&address, &body).await } else { umbrella.delete(&address).await };
        reply.refused(404, "NOT_FOUND");
    }
    let renamed = gateway.remote(["union-group", "rename", "--tenant", "acme", "main", "shops"]).run().await.ok();
    assert!(renamed.contains("union group shops of tenant acme renamed"), "{renamed}");
    let refused = acme.delete(&address).await.refused(409, "IN_USE");
    assert!(refused["detail"].as_str().unwrap().contains("1 apps and 0 people"), "{refused}");
    acme.patch(&format!("/apps/{NEW_APP}"), &json!({ "union_group": "" })).await.ok();
    gateway.remote(["union-group", "remove", "--tenant", "acme", "shops", "--yes"]).run().await.ok();
    assert_eq!(acme.get("/union-groups").await.ok()["items"], json!([]));
}

#[tokio::test]
async fn operators_alone_register_audiences_and_remove_what_nothing_names() {
    let (gateway, acme, umbrella) = two_tenants().await;
    let operator = gateway.operator();
    let name = "https://api.example.com/orders?v=1%20";
    let audience = json!({ "tenant": "acme", "name": name });
    acme.post("/audiences", &audience).await.refused(403, "NOT_GRANTED");
    operator.post("/audiences", &audience).await.status_is(201);
    assert_eq!(acme.get("/audiences").await.ok()["items"][0]["name"], name);
    assert_eq!(umbrella.get("/audiences").await.ok()["items"], json!([]));

    let client = json!({ "tenant": "acme", "name": "Orders", "policy": { "audiences": [name] } });
    let client = acme.post("/service-clients", &client).await;
    client.status_is(201);
    let id = client.json()["id"].as_str().unwrap().to_owned();
    let remove = ["audience", "remove", name, "--yes"];
    for command in [gateway.remote(remove), gateway.command(remove)] {
        let refused = command.run().await.failed();
        assert!(refused.contains(&format!("the service client {id}")), "{refused}");
    }
    acme.patch(&format!("/service-clients/{id}"), &json!({ "policy": { "audiences": [] } })).await.ok();
    acme.delete("/audiences/https%3A%2F%2Fapi.example.com%2Forders%3Fv%3D1%2520").await.refused(403, "NOT_GRANTED");
    for odd in ["%20", "%00", "%C3%A9"] {
        operator.delete(&format!("/audiences/{odd}")).await.refused(404, "NOT_FOUND");
    }
    gateway.remote(remove).run().await.ok();
    assert_eq!(operator.get("/audiences").await.ok()["items"], json!([]));
}

#[tokio::test]
async fn a_service_client_s_secret_is_told_once() {
    let (gateway, acme, umbrella) = two_tenants().await;
    let made = acme.post("/service-clients", &json!({ "tenant": "acme", "name": "Orders" })).await.json();
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let address = format!("/service-clients/{id}");
    let shown = acme.get(&address).await;
    assert!(!shown.text.contains(secret) && shown.ok()["secret"].is_null(), "{}", shown.text);
    umbrella.get(&address).await.refused(404, "NOT_FOUND");
    umbrella.delete(&address).await.refused(404, "NOT_FOUND");
    umbrella.post(&format!("{address}/rotate"), &json!({})).await.refused(404, "NOT_FOUND");
    let change = json!({ "name": "Order service", "policy": { "introspect": true } });
    assert_eq!(acme.patch(&address, &change).await.ok()["policy"]["introspect"], true);
    let told = gateway.remote(["service-client", "change", id, "--introspect=false", "--feed", "--json"]);
    let told = told.run().await.json();
    assert_eq!((&told["policy"]["introspect"], &told["policy"]["feed"]), (&json!(false), &json!(true)));
    assert_eq!(told["name"], "Order service");
    acme.post(&format!("{address}/rotate"), &json!({ "overlap_hours": 169 })).await.refused(400, "REQUEST_INVALID");
    let rotated = acme.post(&format!("{address}/rotate"), &json!({ "overlap_hours": 1 })).await.json();
    assert!(rotated["secret"] != *secret && rotated["previous_until"].is_i64(), "{rotated}");
    gateway.remote(["service-client", "remove", id, "--yes"]).run().await.ok();
    acme.get(&address).await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_policy_is_changed_and_removed_by_its_tenant() {
    let (gateway, acme, umbrella) = two_tenants().await;
    for name in ["orders", "stock"] {
        gateway.operator().post("/audiences", &json!({ "tenant": "acme", "name": name })).await.status_is(201);
    }
    let policy = json!({ "tenant": "acme", "name": "shop", "audience": "orders", "scopes": ["user"] });
    acme.post("/policies", &policy).await.status_is(201);
    umbrella.patch("/policies/shop", &json!({ "scopes": [] })).await.refused(404, "NOT_FOUND");
    let changed = gateway.remote(["policy", "change", "shop", "--audience", "stock", "--json"]).run().await.json();
    assert_eq!((&changed["audience"], &changed["scopes"]), (&json!("stock"), &json!(["user"])));
    acme.patch("/policies/shop", &json!({ "audience": "nobodys" })).await.refused(400, "REQUEST_INVALID");
    assert_eq!(acme.get("/policies/shop").await.ok(), changed);
    umbrella.delete("/policies/shop").await.refused(404, "NOT_FOUND");
    gateway.remote(["policy", "remove", "shop", "--yes"]).run().await.ok();
    assert_eq!(acme.get("/policies").await.ok()["items"], json!([]));
}

#[tokio::test]
async fn signing_keys_are_moved_by_whoever_may_make_secrets() {
    let (gateway, acme, umbrella) = two_tenants().await;
    let keys = acme.get("/signing-keys?tenant=acme").await.ok()["items"].clone();
    let active = keys.as_array().unwrap().iter().find(|key| key["state"] == "active").unwrap();
    let kid = active["kid"].as_str().unwrap();
    umbrella.get("/signing-keys?tenant=acme").await.refused(404, "NOT_FOUND");
    let acme_only = json!({ "tenant": "acme" });
    umbrella.post(&format!("/signing-keys/{kid}/retire"), &acme_only).await.refused(404, "NOT_FOUND");
    umbrella
        .post(&format!("/signing-keys/{kid}/retire"), &json!({ "tenant": "umbrella" }))
        .await
        .refused(404, "NOT_FOUND");
    acme.post("/signing-keys/rotate", &acme_only).await.refused(409, "NOT_YET");
    let told = gateway.remote(["signing-key", "retire", kid, "--tenant", "acme"]).run().await.ok();
    assert!(told.contains("signs and verifies nothing any more"), "{told}");
    let left = acme.get("/signing-keys?tenant=acme").await;
    assert!(!left.text.contains(kid) && left.ok()["items"].as_array().unwrap().len() == 2, "{}", left.text);
    acme.post(&format!("/signing-keys/{kid}/retire"), &acme_only).await.refused(404, "NOT_FOUND");
}
