//! A third-party platform, from its first ticket to a login and to the end of an authorisation.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{APP, Sim};

const PLATFORM: &str = "wx00000000000000cc";

async fn component(sim: &Sim, route: &str, token: Option<&str>, body: Value) -> Value {
    let query = token.map(|token| format!("?access_token={token}")).unwrap_or_default();
    sim.api(Method::POST, &format!("/cgi-bin/component/{route}{query}"), Some(body)).await
}

async fn platform_token(sim: &Sim, ticket: &str) -> Value {
    let body = json!({
        "component_appid": PLATFORM, "component_appsecret": "platform-secret", "component_verify_ticket": ticket,
    });
    component(sim, "api_component_token", None, body).await
}

async fn login(sim: &Sim, token: &str, code: &str) -> Value {
    let parameters = format!(
        "appid={APP}&js_code={code}&grant_type=authorization_code&component_appid={PLATFORM}&component_access_token={token}"
    );
    let url = format!("{}/sns/component/jscode2session?{parameters}", sim.simulator.url());
    crate::harness::wechat_json(reqwest::get(url).await.unwrap()).await
}

/// WeChat's documents have each refresh token replace the one before.
#[tokio::test(flavor = "multi_thread")]
async fn refresh_tokens_turn_where_a_test_wants_it() {
    let sim = Sim::start().await;
    let body = json!({"appid": PLATFORM, "secret": "platform-secret", "rotates_refresh_tokens": true});
    sim.post("/sim/components", body).await;
    let ticket = sim.post("/sim/components/tickets", json!({"appid": PLATFORM})).await["ticket"].clone();
    let token = platform_token(&sim, ticket.as_str().unwrap()).await["component_access_token"].clone();
    let token = token.as_str();
    let pre = component(&sim, "api_create_preauthcode", token, json!({"component_appid": PLATFORM})).await;
    let agreed = json!({
        "component_appid": PLATFORM, "appid": APP, "pre_auth_code": pre["pre_auth_code"],
        "redirect_uri": "http://127.0.0.1/back?state=one", "permissions": [18],
    });
    let grant = sim.post("/sim/authorizations", agreed).await;
    let redirect = grant["redirect"].as_str().unwrap();
    assert!(redirect.starts_with("http://127.0.0.1/back?state=one&auth_code=queryauthcode%40%40%40"), "{redirect}");
    assert!(grant["delivery"].is_null(), "nobody takes its events");
    let body = json!({"component_appid": PLATFORM, "authorization_code": grant["authorization_code"]});
    let info = component(&sim, "api_query_auth", token, body).await["authorization_info"].clone();
    assert_eq!(info["func_info"], json!([{"funcscope_category": {"id": 18}}]));
    let refresh = async |sent: &Value| {
        let body = json!({
            "component_appid": PLATFORM, "authorizer_appid": APP, "authorizer_refresh_token": sent,
        });
        component(&sim, "api_authorizer_token", token, body).await
    };
    let next = refresh(&info["authorizer_refresh_token"]).await;
    assert_eq!(refresh(&info["authorizer_refresh_token"]).await["errcode"], 61023);
    assert!(refresh(&next["authorizer_refresh_token"]).await["authorizer_access_token"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_logs_in_for_an_app_that_authorised_it() {
    let sim = Sim::start().await;
    sim.post("/sim/components", json!({"appid": PLATFORM, "secret": "platform-secret"})).await;
    assert_eq!(platform_token(&sim, "none").await["errcode"], 61006);
    let ticket = sim.post("/sim/components/tickets", json!({"appid": PLATFORM})).await["ticket"].clone();
    let ticket = ticket.as_str().unwrap();
    let token = platform_token(&sim, ticket).await["component_access_token"].as_str().unwrap().to_owned();
    let code = sim.code(json!({"appid": APP, "openid": "oAlice"})).await;
    assert_eq!(login(&sim, &token, &code).await["errcode"], 61003);

    let pre = component(&sim, "api_create_preauthcode", Some(&token), json!({"component_appid": PLATFORM})).await;
    assert_eq!(pre["expires_in"], 1800);
    let grant = sim.post("/sim/authorizations", json!({"component_appid": PLATFORM, "appid": APP})).await;
    let body = json!({"component_appid": PLATFORM, "authorization_code": grant["authorization_code"]});
    let info = component(&sim, "api_query_auth", Some(&token), body.clone()).await["authorization_info"].clone();
    assert_eq!(
        (&info["authorizer_appid"], &info["func_info"][1]["funcscope_category"]["id"]),
        (&json!(APP), &json!(18))
    );
    assert_eq!(component(&sim, "api_query_auth", Some(&token), body).await["errcode"], 61009);
    assert_eq!(login(&sim, &token, &code).await["openid"], "oAlice");
    assert_eq!(login(&sim, &token, &code).await["errcode"], 40163);
    assert_eq!(login(&sim, &format!("{token}x"), &code).await["errcode"], 40001);

    let refresh = |refresh_token: &Value| json!({"component_appid": PLATFORM, "authorizer_appid": APP, "authorizer_refresh_token": refresh_token});
    let next = component(&sim, "api_authorizer_token", Some(&token), refresh(&info["authorizer_refresh_token"])).await;
    let of_app = next["authorizer_access_token"].as_str().unwrap();
    let path = format!("/wxa/business/checkencryptedmsg?access_token={of_app}");
    let hash = json!({"encrypted_msg_hash": "a".repeat(64)});
    assert_eq!(sim.api(Method::POST, &path, Some(hash.clone())).await["errcode"], 1, "it works in the app's name");
    let wrong = component(&sim, "api_authorizer_token", Some(&token), refresh(&json!("other"))).await;
    assert_eq!(wrong["errcode"], 61023);
    let mixed = component(&sim, "api_authorizer_token", Some(of_app), refresh(&json!("other"))).await;
    assert_eq!(mixed["errcode"], 61014);
    let path = format!("/wxa/business/checkencryptedmsg?access_token={token}");
    assert_eq!(sim.api(Method::POST, &path, Some(hash)).await["errcode"], 61015);

    let list = component(
        &sim,
        "api_get_authorizer_list",
        Some(&token),
        json!({"component_appid": PLATFORM, "offset": 0, "count": 500}),
    );
    assert_eq!(list.await["list"][0]["refresh_token"], info["authorizer_refresh_token"]);

    sim.request(Method::DELETE, "/sim/authorizations", Some(json!({"component_appid": PLATFORM, "appid": APP}))).await;
    let gone = component(&sim, "api_authorizer_token", Some(&token), refresh(&info["authorizer_refresh_token"])).await;
    assert_eq!(gone["errcode"], 61003);
    assert_eq!(login(&sim, &token, &code).await["errcode"], 61003);

    sim.post("/sim/clock", json!({"advance_ms": 12 * 3_600_000})).await;
    assert_eq!(platform_token(&sim, ticket).await["errcode"], 61005);
    assert_eq!(login(&sim, &token, &code).await["errcode"], 42001);
}
