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

    sim.request(Method::DELETE, "/sim/authorizations", Some(json!({"component_appid": PLATFORM, "appid": APP}))).await;
    let gone = component(&sim, "api_authorizer_token", Some(&token), refresh(&info["authorizer_refresh_token"])).await;
    assert_eq!(gone["errcode"], 61003);
    assert_eq!(login(&sim, &token, &code).await["errcode"], 61003);

    sim.post("/sim/clock", json!({"advance_ms": 12 * 3_600_000})).await;
    assert_eq!(platform_token(&sim, ticket).await["errcode"], 61005);
    assert_eq!(login(&sim, &token, &code).await["errcode"], 42001);
}
