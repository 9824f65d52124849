//! The end of a mini-program.

use serde_json::json;

use super::{NEW_APP, SECRET, new_app, two_tenants};
use crate::harness::{PATIENCE, within};

#[tokio::test]
async fn a_removed_app_takes_its_sessions_with_it_and_leaves_its_users() {
    let (gateway, acme, umbrella) = two_tenants().await;
    acme.post("/apps", &new_app("acme", SECRET)).await.status_is(201);
    gateway.comes_to_answer(NEW_APP, "CODE_INVALID").await;
    let issued = gateway.simulator().code(NEW_APP).await;
    let session = gateway.client().login_with(NEW_APP, &issued.code).await.ok();

    let unconfirmed = gateway.remote(["app", "remove", NEW_APP]).run().await.failed();
    assert!(unconfirmed.contains("give --yes"), "{unconfirmed}");
    let job = gateway.remote(["app", "remove", NEW_APP, "--yes", "--json"]).run().await.json();
    assert_eq!((&job["kind"], &job["appid"], &job["state"]), (&json!("app_removal"), &json!(NEW_APP), &json!("done")));
    assert_eq!((&job["done"], &job["total"]), (&json!(1), &json!(1)), "{job}");
    acme.get(&format!("/apps/{NEW_APP}")).await.refused(404, "NOT_FOUND");
    gateway.comes_to_answer(NEW_APP, "APP_UNKNOWN").await;
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    let refused = gateway.client().post("/v1/token/refresh", &refresh).await;
    assert_eq!(refused.status, 401, "{}", refused.text);
    let user = session["user"]["id"].as_str().unwrap();
    let found = gateway.command(["user", "find", "--tenant", "acme", user, "--json"]).run().await.ok();
    assert!(found.contains(user), "{found}");

    // Its appid is remembered: another tenant does not get it, whatever WeChat says.
    umbrella.post("/apps", &new_app("umbrella", SECRET)).await.refused(409, "TAKEN");
    acme.post("/apps", &new_app("acme", SECRET)).await.status_is(201);
    gateway.comes_to_answer(NEW_APP, "CODE_INVALID").await;
    let issued = gateway.simulator().code_of(NEW_APP, &issued.openid).await;
    let again = gateway.client().login_with(NEW_APP, &issued.code).await.ok();
    assert!(again["user"]["is_new"] == true && again["user"]["id"] != *user, "{again}");

    // An operator moves it.
    let job = acme.delete(&format!("/apps/{NEW_APP}")).await.ok();
    let job = format!("/jobs/{}", job["id"].as_str().unwrap());
    within(PATIENCE, "the app is gone", async || (acme.get(&job).await.ok()["state"] == "done").then_some(())).await;
    gateway.operator().post("/apps", &new_app("umbrella", SECRET)).await.status_is(201);
    assert_eq!(umbrella.get(&format!("/apps/{NEW_APP}")).await.ok()["tenant"], "umbrella");
}

#[tokio::test]
async fn an_app_that_others_name_is_not_removed() {
    let (gateway, acme, _) = two_tenants().await;
    acme.post("/apps", &new_app("acme", SECRET)).await.status_is(201);
    let policy = json!({ "tenant": "acme", "name": "shop", "audience": NEW_APP });
    acme.post("/policies", &policy).await.status_is(201);
    let refused = acme.delete(&format!("/apps/{NEW_APP}")).await.refused(409, "IN_USE");
    assert!(refused["detail"].as_str().unwrap().contains("the policy shop"), "{refused}");
    gateway.comes_to_answer(NEW_APP, "CODE_INVALID").await;
    acme.delete("/policies/shop").await.status_is(204);
    acme.delete(&format!("/apps/{NEW_APP}")).await.ok();
    // From then on it serves nothing, whatever is left of it, and nobody brings it back.
    within(PATIENCE, "no login any more", async || {
        let code = gateway.client().login_with(NEW_APP, "?").await.json()["code"].clone();
        (code == "APP_DISABLED" || code == "APP_UNKNOWN").then_some(())
    })
    .await;
    assert!([404, 409].contains(&acme.post(&format!("/apps/{NEW_APP}/enable"), &json!({})).await.status));
    acme.post("/policies", &policy).await.refused(400, "REQUEST_INVALID");
}
