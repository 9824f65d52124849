//! What holds for every convention.

use super::*;

#[tokio::test]
async fn an_app_has_the_routes_of_its_profile_and_no_others() {
    let phone = Phone::with("litemall", (Method::POST, "/wx/auth/login_by_weixin")).await;
    let client = phone.gateway.client();
    // Another profile's, at the same host.
    phone.get("/weapp/login", &[("X-WX-Code", "x")]).await.refused(404, "NOT_FOUND");
    // An app without clients of old.
    client
        .post(&format!("/apps/{OTHER_APP}/wx/auth/login_by_weixin"), &json!({"code": "x"}))
        .await
        .refused(404, "NOT_FOUND");
    client.post("/apps/wx00000000000none/wx/auth/login_by_weixin", &json!({})).await.refused(404, "APP_UNKNOWN");
    client.post("/wx/auth/login_by_weixin", &json!({"code": "x"})).await.refused(400, "APP_REQUIRED");
    // What is no convention's at all.
    phone.get("/weapp/nothing", &[]).await.refused(404, "NOT_FOUND");
    phone.get("/wx/auth/login_by_weixin", &[]).await.refused(405, "METHOD_NOT_ALLOWED");

    // Path and header name the app as well, and must not disagree.
    let body = json!({"code": phone.code().await});
    let path = format!("/apps/{APP}/wx/auth/login_by_weixin");
    assert_eq!(client.post(&path, &body).await.ok()["errno"], 0);
    let code = phone.code().await;
    let named = |header: &str| client.request(Method::POST, "/wx/auth/login_by_weixin").header("X-App-Id", header);
    assert_eq!(client.send(named(APP).json(&json!({"code": code}))).await.ok()["errno"], 0);
    let both = named(APP).json(&json!({"code": "x", "appId": OTHER_APP}));
    client.send(both).await.refused(400, "APP_MISMATCH");
    // The native routes stay.
    client.login_with(APP, &phone.code().await).await.ok();
}

#[tokio::test]
async fn secrets_in_addresses_are_refused_where_no_convention_has_them() {
    let phone = Phone::with("wafer2", (Method::GET, "/weapp/login")).await;
    for query in ["code=x", "js_code=x", "refreshToken=x", "session=x", "session_key=x", "token=x"] {
        let reply = phone.get(&format!("/weapp/login?{query}"), &[]).await;
        assert_eq!((reply.status, &reply.json()["error"]), (400, &json!("FIELD_FORBIDDEN")), "{query}");
    }
    for body in [json!({"session_key": "x"}), json!({"userInfo": {"sessionKey": "x"}})] {
        let reply = phone.post("/weapp/login", &[("X-WX-Code", "x")], &body).await;
        assert_eq!((reply.status, &reply.json()["error"]), (400, &json!("FIELD_FORBIDDEN")), "{body}");
    }
}

#[tokio::test]
async fn names_that_are_nearly_right_are_understood_and_counted() {
    let phone = Phone::with("unibest", (Method::POST, "/auth/wxLogin")).await;
    for name in ["code", "js_code", "jsCode", "loginCode", "wxCode", "xcxCode", "principal", "platCode"] {
        let code = phone.code().await;
        assert_eq!(phone.post("/auth/wxLogin", &[], &json!({ name: code })).await.ok()["code"], 200, "{name}");
        let counted = format!(r#"wxgate_compat_foreign_fields_total{{profile="unibest",field="{name}"}}"#);
        assert_eq!(phone.gateway.metric(&counted).await, u64::from(name != "code"), "{name}");
    }
    let two = phone.post("/auth/wxLogin", &[], &json!({"js_code": "a", "wxCode": "b"})).await;
    assert_eq!((two.status, &two.json()["error"]), (400, &json!("REQUEST_INVALID")));
}

#[tokio::test]
async fn a_ciphertext_that_does_not_open_answers_for_itself() {
    let phone = Phone::with("wafer2", (Method::GET, "/weapp/login")).await;
    let (person, other) = (phone.person().await, phone.person().await);
    let foreign = phone.gateway.simulator().user_info(APP, &other.openid).await;
    let headers = [
        ("X-WX-Code", person.code.as_str()),
        ("X-WX-Encrypted-Data", &foreign.encrypted_data),
        ("X-WX-IV", &foreign.iv),
    ];
    let reply = phone.get("/weapp/login", &headers).await.ok();
    assert_eq!(reply["data"]["userinfo"]["openId"], person.openid, "{reply}");
    let error = json!({"code": "SESSION_KEY_STALE", "action": "relogin_then_reauthorize"});
    assert_eq!(reply["data"]["userDataError"], error);
}

#[tokio::test]
async fn a_token_counts_for_the_app_that_it_is_of() {
    let phone = Phone::with("wafer2", (Method::GET, "/weapp/login")).await;
    let code = phone.gateway.simulator().code(OTHER_APP).await.code;
    let foreign = phone.gateway.client().login_with(OTHER_APP, &code).await.ok();
    let own = phone.gateway.client().login_with(APP, &phone.code().await).await.ok();
    let (foreign, own) = (text(&foreign["access_token"]), text(&own["access_token"]));
    assert_eq!(phone.get("/weapp/user", &[("X-WX-Skey", own)]).await.ok()["code"], 0);
    for headers in [
        &[("X-WX-Skey", foreign)][..],
        &[("X-WX-Skey", own), ("Authorization", foreign)],
        &[("X-WX-Skey", "eyJ.eyJ.x")],
        &[("X-Litemall-Token", own)],
    ] {
        let reply = phone.get("/weapp/user", headers).await;
        assert_eq!((reply.status, &reply.json()["code"]), (401, &json!(-1)), "{headers:?}");
        assert_eq!(reply.json()["error"], "TOKEN_INVALID");
        assert!(reply.header("www-authenticate").starts_with("Bearer"));
    }
    // Our own routes know one way to present a token.
    let ask = phone.gateway.client().request(Method::GET, "/v1/me").header("X-WX-Skey", own);
    phone.gateway.client().send(ask).await.refused(401, "TOKEN_INVALID");
}

#[tokio::test]
async fn an_app_may_answer_with_http_200_always_or_never() {
    let phone = Phone::with("wafer2", (Method::GET, "/weapp/login")).await;
    let becomes = async |status: u16| {
        within(PATIENCE, &format!("failures have status {status}"), async || {
            let reply = phone.get("/weapp/user", &[]).await;
            assert_eq!(reply.json()["code"], -1);
            (reply.status == status).then_some(())
        })
        .await;
    };
    becomes(401).await;
    phone.tune(APP, &json!({"always_ok": true})).await;
    becomes(200).await;
    phone.tune(APP, &json!({"always_ok": false})).await;
    becomes(401).await;
    let policy = phone.gateway.operator().get(&format!("/apps/{APP}")).await.ok()["policy"].clone();
    assert_eq!((&policy["profile"], &policy["always_ok"]), (&json!("wafer2"), &json!(false)));
    // What was chosen for one profile is not for another.
    phone.tune(APP, &json!({"profile": "litemall"})).await;
    let policy = phone.gateway.operator().get(&format!("/apps/{APP}")).await.ok()["policy"].clone();
    assert_eq!((&policy["profile"], &policy["always_ok"]), (&json!("litemall"), &Value::Null));
}

#[tokio::test]
async fn a_code_that_is_sent_twice_logs_in_once() {
    let phone = Phone::with("unibest", (Method::POST, "/auth/wxLogin")).await;
    let body = json!({"code": phone.code().await});
    let (first, second) =
        tokio::join!(phone.post("/auth/wxLogin", &[], &body), phone.post("/auth/wxLogin", &[], &body));
    let session = |reply: &Reply| jwt::parts(&reply.ok()["data"]["token"]).1["sid"].clone();
    assert_eq!(session(&first), session(&second));
    let other = phone.post("/auth/wxLogin", &[], &json!({"code": body["code"], "more": 1})).await;
    assert_eq!((other.status, &other.json()["error"]), (409, &json!("CODE_USED")));
}

#[tokio::test]
async fn a_nickname_beside_a_code_is_no_reason_to_fail() {
    let phone = Phone::with("litemall", (Method::POST, "/wx/auth/login_by_weixin")).await;
    for user_info in [json!({"nickName": "微信用户"}), json!({"nickName": "\u{1}", "avatarUrl": "ftp://x"}), json!(7)]
    {
        let body = json!({"code": phone.code().await, "userInfo": user_info});
        let reply = phone.post("/wx/auth/login_by_weixin", &[], &body).await.ok();
        assert!(reply["errno"] == 0 && reply["data"]["userInfo"]["nickName"].is_null(), "{reply}");
    }
}
