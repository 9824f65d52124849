//! A tenant is removed for good: suspended first, confirmed, and then nothing of it answers any more.

use reqwest::Method;

use crate::harness::{APP, Gateway, PATIENCE, within};

/// What anybody can ask of a tenant.
const ROUTES: [&str; 3] =
    ["/t/demo/jwks.json", "/t/demo/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/t/demo"];

#[tokio::test]
async fn a_removed_tenant_is_gone_from_everywhere() {
    let gateway = Gateway::dev().env("WXGATE__JWKS__TENANTS", "demo").await;
    let code = gateway.simulator().code(APP).await.code;
    let login = gateway.client().login_with(APP, &code).await.ok();
    let token = login["access_token"].as_str().unwrap().to_owned();
    assert_eq!(gateway.client().get("/.well-known/jwks.json").await.ok()["keys"].as_array().unwrap().len(), 2);

    let told = gateway.command(["tenant", "remove", "demo", "--yes"]).run().await.failed();
    assert!(told.contains("wxgate tenant suspend demo"), "{told}");
    gateway.command(["tenant", "suspend", "demo"]).run().await.ok();
    let told = gateway.command(["tenant", "remove", "demo"]).run().await.failed();
    assert!(told.contains("lost for ever") && told.contains("--yes"), "{told}");
    for route in ROUTES {
        assert_eq!(gateway.client().get(route).await.status, 200, "a suspended tenant can still be read: {route}");
    }

    let job = gateway.command(["tenant", "remove", "demo", "--yes", "--json"]).run().await.json();
    assert_eq!((&job["state"], &job["slug"]), (&"done".into(), &"demo".into()), "{job}");
    for route in ROUTES {
        within(PATIENCE, route, async || (gateway.client().get(route).await.status == 404).then_some(())).await;
    }
    gateway.comes_to_answer(APP, "APP_UNKNOWN").await;
    let me = gateway.client().request(Method::GET, "/v1/me").bearer_auth(&token);
    gateway.client().try_send(me).await.unwrap().refused(401, "TOKEN_INVALID");
    let body = serde_json::json!({ "refresh_token": login["refresh_token"] });
    let refresh = gateway.client().request(Method::POST, "/v1/token/refresh").json(&body);
    gateway.client().try_send(refresh).await.unwrap().refused(401, "REFRESH_INVALID");
    within(PATIENCE, "the named set is empty", async || {
        let set = gateway.client().get("/.well-known/jwks.json").await;
        (set.status == 404 || set.ok()["keys"].as_array().unwrap().is_empty()).then_some(())
    })
    .await;

    let again = gateway.command(["tenant", "add", "demo"]).run().await.failed();
    assert!(again.contains("never used again"), "{again}");
    let shown = gateway.command(["job", "show", job["id"].as_str().unwrap(), "--json"]).run().await.json();
    assert_eq!(shown["done"], shown["total"]);
    let list = gateway.command(["job", "list", "--json"]).run().await.json();
    assert_eq!(list[0]["kind"], "tenant_deletion");
}
