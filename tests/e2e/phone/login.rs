//! A phone code that comes with a login: the login succeeds, and the number answers for itself.

use serde_json::{Value, json};

use super::{EXCHANGE, User, shown};
use crate::harness::{APP, Gateway};

async fn with_phone(gateway: &Gateway, user: &User, phone_code: &str) -> Value {
    let body = json!({ "code": user.login_code(gateway).await, "phoneCode": phone_code });
    gateway.client().login(APP, &body).await.ok()
}

#[tokio::test]
async fn a_login_binds_a_number_and_a_repeated_one_pays_nothing() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let phone_code = gateway.simulator().phone_code_of(APP, &issued.openid, "13800138000").await;
    let body = json!({ "code": issued.code, "phoneCode": phone_code });
    let first = gateway.client().login(APP, &body).await.ok();
    assert_eq!((&first["phone"], first.get("phone_error")), (&shown("+86 138****8000", true), None));
    assert_eq!(first["user"]["phone_masked"], "+86 138****8000");
    let again = gateway.client().login(APP, &body).await.ok();
    assert_eq!((&again["session_id"], &again["phone"]), (&first["session_id"], &first["phone"]));
    assert_eq!(gateway.simulator().calls_of(EXCHANGE).await, 1);

    // The code of the login proves that it is the user, so the number may be another.
    let ada = User { pair: first, openid: issued.openid };
    let code = ada.phone_code(&gateway, "13900139000").await;
    assert_eq!(with_phone(&gateway, &ada, &code).await["phone"]["masked"], "+86 139****9000");
}

#[tokio::test]
async fn a_number_that_is_not_to_be_had_is_no_obstacle() {
    let gateway = Gateway::dev().await;
    let (ada, eve) = (User::new(&gateway).await, User::new(&gateway).await);
    ada.bind(&gateway, "13800138000").await.ok();
    let code = eve.phone_code(&gateway, "13800138000").await;
    let login = with_phone(&gateway, &eve, &code).await;
    let error = &login["phone_error"];
    assert_eq!(
        (&error["code"], &error["candidate"]["phone_masked"]),
        (&json!("PHONE_TAKEN"), &json!("+86 138****8000"))
    );
    assert!(error["merge_token"].as_str().unwrap().starts_with("wxm_"), "{error}");
    assert!(login["access_token"].is_string() && login.get("phone").is_none());
    for (code, detail) in [("a b", None), ("0123456789abcdef0123456789abcdef", Some("wx.login"))] {
        let error = with_phone(&gateway, &eve, code).await["phone_error"].clone();
        assert_eq!((&error["code"], &error["action"]), (&json!("CODE_INVALID"), &json!("reauthorize")));
        assert_eq!(error["detail"].as_str().is_some_and(|text| text.contains("wx.login")), detail.is_some(), "{error}");
    }
}

#[tokio::test]
async fn without_an_access_token_logins_go_on() {
    let gateway = Gateway::dev().await;
    let ada = User::new(&gateway).await;
    gateway.simulator().fault(json!({ "route": "stable_token", "kind": "ip_whitelist", "times": 100 })).await;
    let code = ada.phone_code(&gateway, "13800138000").await;
    let refused = ada.send(&gateway, json!({ "phoneCode": code })).await.refused(503, "APP_TOKEN_UNAVAILABLE");
    assert_eq!(refused["action"], "wait");
    let login = with_phone(&gateway, &ada, &code).await;
    assert_eq!(login["phone_error"]["code"], "APP_TOKEN_UNAVAILABLE");
    assert!(login["phone_error"]["retry_after"].as_u64().unwrap() > 0, "{login}");
    assert_eq!(gateway.simulator().calls_of(EXCHANGE).await, 0);
    ada.again(&gateway).await;
}
