//! A client of each convention: it logs in, sees who it is, hears that its session ended, and logs in again.

use super::*;

#[tokio::test]
async fn wafer2() {
    let phone = Phone::with("wafer2", (Method::GET, "/weapp/login")).await;
    // `qcloud.login`: everything in headers.
    let person = phone.person().await;
    let sealed = phone.gateway.simulator().user_info(APP, &person.openid).await;
    let headers =
        [("X-WX-Code", person.code.as_str()), ("X-WX-Encrypted-Data", &sealed.encrypted_data), ("X-WX-IV", &sealed.iv)];
    let reply = phone.get("/weapp/login", &headers).await.ok();
    assert_eq!(reply["code"], 0, "{reply}");
    assert_eq!(reply["data"]["userinfo"]["openId"], person.openid);
    let skey = &reply["data"]["skey"];
    phone.is_good(skey).await;

    // `qcloud.request`.
    let me = phone.get("/weapp/user", &[("X-WX-Skey", text(skey))]).await.ok();
    assert_eq!((&me["code"], &me["data"]["openId"]), (&json!(0), &json!(person.openid)));

    // What makes it log in again, with a code alone: it has no refresh token.
    let forged = phone.get("/weapp/user", &[("X-WX-Skey", "nonsense")]).await;
    assert_eq!((forged.status, &forged.json()["action"]), (401, &json!("relogin")));
    phone.end_session(skey).await;
    let ended = phone.get("/weapp/user", &[("X-WX-Skey", text(skey))]).await;
    assert_eq!((ended.status, &ended.json()["code"]), (401, &json!(-1)));
    assert_eq!((&ended.json()["error"], &ended.json()["action"]), (&json!("SESSION_ENDED"), &json!("relogin")));
    let code = phone.gateway.simulator().code_of(APP, &person.openid).await.code;
    let again = phone.get("/weapp/login", &[("X-WX-Code", &code)]).await.ok();
    assert_eq!((&again["code"], &again["data"]["userinfo"]["openId"]), (&json!(0), &json!(person.openid)));
    assert_ne!(again["data"]["skey"], *skey);
}

#[tokio::test]
async fn wafer_session() {
    const MAGIC: &str = "F2C224D4-2BCE-4C64-AF9F-A6D872000D1A";
    let phone = Phone::with("wafer-session", (Method::GET, "/login")).await;
    let person = phone.person().await;
    let sealed = phone.gateway.simulator().user_info(APP, &person.openid).await;
    let headers =
        [("X-WX-Code", person.code.as_str()), ("X-WX-Encrypted-Data", &sealed.encrypted_data), ("X-WX-IV", &sealed.iv)];
    let reply = phone.get("/login", &headers).await.ok();
    assert_eq!(reply[MAGIC], 1);
    let (id, skey) = (&reply["session"]["id"], &reply["session"]["skey"]);
    phone.is_good(skey).await;

    // The magic name in an answer would make the client believe that its session is at stake.
    let session = [("X-WX-Id", text(id)), ("X-WX-Skey", text(skey))];
    let me = phone.get("/user", &session).await.ok();
    assert!(me.get(MAGIC).is_none(), "{me}");
    assert_eq!(me["data"]["userInfo"]["openId"], person.openid);

    let other = [("X-WX-Id", "019b0000-0000-7000-8000-000000000000"), ("X-WX-Skey", text(skey))];
    phone.end_session(skey).await;
    for session in [&session[..], &other, &session[1..], &[]] {
        let ended = phone.get("/user", session).await.ok();
        assert_eq!((&ended[MAGIC], &ended["error"]), (&json!(1), &json!("ERR_INVALID_SESSION")));
    }
    let failed = phone.get("/login", &[("X-WX-Code", "nobody-gave-me-this")]).await.ok();
    assert_eq!((&failed[MAGIC], &failed["error"]), (&json!(1), &json!("ERR_LOGIN_FAILED")));
    assert!(failed["session"].is_null(), "{failed}");
}

#[tokio::test]
async fn litemall() {
    let phone = Phone::with("litemall", (Method::POST, "/wx/auth/login_by_weixin")).await;
    let user_info = json!({"nickName": "小明", "avatarUrl": "https://example.com/a.png", "gender": 1, "city": ""});
    let body = json!({"code": phone.code().await, "userInfo": user_info});
    let reply = phone.post("/wx/auth/login_by_weixin", &[("X-Litemall-Token", "")], &body).await.ok();
    assert_eq!((&reply["errno"], &reply["data"]["userInfo"]["nickName"]), (&json!(0), &json!("小明")));
    let token = &reply["data"]["token"];
    phone.is_good(token).await;

    let token = [("X-Litemall-Token", text(token))];
    let me = phone.get("/wx/auth/info", &token).await.ok();
    assert_eq!(me["data"], json!({"nickName": "小明", "avatar": "https://example.com/a.png"}));
    let profile = json!({"avatar": "https://example.com/b.png", "gender": 1, "nickname": "小红"});
    assert_eq!(phone.post("/wx/auth/profile", &token, &profile).await.ok()["errno"], 0);
    assert_eq!(phone.get("/wx/auth/info", &token).await.ok()["data"]["nickName"], "小红");

    assert_eq!(phone.post("/wx/auth/logout", &token, &json!({})).await.ok()["errno"], 0);
    // It reads HTTP 200 alone.
    let ended = phone.get("/wx/auth/info", &token).await.ok();
    assert_eq!((&ended["errno"], &ended["error"]), (&json!(501), &json!("SESSION_ENDED")));
    let failed = phone.post("/wx/auth/login_by_weixin", &[], &json!({"code": "nobody-gave-me-this"})).await.ok();
    assert_eq!((&failed["errno"], &failed["error"]), (&json!(402), &json!("CODE_INVALID")));
}

#[tokio::test]
async fn mall4m() {
    let phone = Phone::with("mall4m", (Method::POST, "/login?grant_type=mini_app")).await;
    let body = json!({"principal": phone.code().await});
    let reply = phone.post("/login?grant_type=mini_app", &[("Authorization", "undefined")], &body).await.ok();
    assert_eq!(reply["code"], "00000", "{reply}");
    phone.is_good(&reply["data"]["access_token"]).await;
    assert!(reply["data"]["nickName"].is_null(), "it asks for one then");

    // `'bearer' + access_token`, without a space.
    let kept = format!("bearer{}", text(&reply["data"]["access_token"]));
    let token = [("Authorization", kept.as_str())];
    let profile = json!({"avatarUrl": "https://example.com/a.png", "nickName": "小明"});
    assert_eq!(phone.put("/p/user/setUserInfo", &token, &profile).await.ok()["code"], "00000");
    let me = phone.get("/p/user/userInfo", &token).await.ok();
    assert_eq!((&me["data"]["nickName"], &me["data"]["pic"]), (&json!("小明"), &json!("https://example.com/a.png")));

    assert_eq!(phone.post("/logOut", &token, &json!({})).await.ok()["code"], "00000");
    assert_eq!(phone.get("/p/user/userInfo", &token).await.ok()["code"], "A00004");
    let failed = phone.post("/login?grant_type=mini_app", &[], &json!({"principal": "nobody-gave-me-this"})).await.ok();
    assert_eq!(failed["code"], "A00001");
    assert!(!text(&failed["msg"]).is_empty(), "it shows that to the user");
}

#[tokio::test]
async fn yudao() {
    let phone = Phone::with("yudao", (Method::POST, "/app-api/member/auth/social-login")).await;
    let tenant = [("tenant-id", "1"), ("Content-Type", "application/json;charset=UTF-8")];
    let body = json!({"type": 34, "code": phone.code().await, "state": "default"});
    for base in ["/app-api", ""] {
        let code = phone.code().await;
        let body = json!({"loginCode": code, "state": "default"});
        let path = format!("{base}/member/auth/weixin-mini-app-login");
        assert_eq!(phone.post(&path, &tenant, &body).await.ok()["code"], 0);
    }
    // With the phone button's code; one that is no good does not stop the login.
    let person = phone.person().await;
    let asked = json!({ "appid": APP, "openid": person.openid });
    let given = phone.gateway.simulator().steer("/sim/phone-codes", &asked).await;
    let body_with =
        |code: &str, phone_code: &Value| json!({"loginCode": code, "phoneCode": phone_code, "state": "default"});
    let path = "/app-api/member/auth/weixin-mini-app-login";
    let with_phone = phone.post(path, &tenant, &body_with(&person.code, &given["code"])).await.ok();
    assert!(with_phone["code"] == 0 && with_phone["data"]["phoneError"].is_null(), "{with_phone}");
    let bearer = format!("Bearer {}", text(&with_phone["data"]["accessToken"]));
    let me = phone.get("/app-api/member/user/get", &[("Authorization", &bearer)]).await.ok();
    assert!(text(&me["data"]["mobile"]).contains('*'), "{me}");
    let without = phone.post(path, &tenant, &body_with(&phone.code().await, &json!("nobody-gave-me-this"))).await.ok();
    assert!(without["code"] == 0 && without["data"]["phoneError"]["code"].is_string(), "{without}");

    let reply = phone.post("/app-api/member/auth/social-login", &tenant, &body).await.ok();
    assert_eq!((&reply["code"], &reply["msg"]), (&json!(0), &json!("")));
    let first = &reply["data"];
    phone.is_good(&first["accessToken"]).await;
    assert!(first["openid"].is_string() && first["userId"].is_string(), "{first}");
    let now = phone.gateway.simulator().seconds().await * 1_000;
    assert!((now..now + 1_000_000).contains(&first["expiresTime"].as_i64().unwrap()), "{first}");

    let bearer = format!("Bearer {}", text(&first["accessToken"]));
    let me = phone.get("/app-api/member/user/get", &[("Authorization", &bearer), tenant[0]]).await.ok();
    assert_eq!((&me["code"], &me["data"]["id"]), (&json!(0), &first["userId"]));

    // `/refresh-token?refreshToken=`, as the convention has it.
    let refresh = format!("/app-api/member/auth/refresh-token?refreshToken={}", text(&first["refreshToken"]));
    let next = phone.post(&refresh, &tenant, &json!({})).await.ok();
    assert_eq!(next["code"], 0, "{next}");
    phone.is_good(&next["data"]["accessToken"]).await;
    assert_eq!(next["data"]["userId"], first["userId"]);
    assert!(!phone.gateway.log().contains(text(&first["refreshToken"])), "no log has what stands in an address");

    let bearer = format!("Bearer {}", text(&next["data"]["accessToken"]));
    let logout = phone.post("/app-api/member/auth/logout", &[("Authorization", &bearer)], &json!({})).await.ok();
    assert_eq!((&logout["code"], &logout["data"]), (&json!(0), &json!(true)));
    assert_eq!(phone.get("/app-api/member/user/get", &[("Authorization", &bearer)]).await.ok()["code"], 401);
    let refresh = format!("/app-api/member/auth/refresh-token?refreshToken={}", text(&next["data"]["refreshToken"]));
    assert_eq!(phone.post(&refresh, &tenant, &json!({})).await.ok()["code"], 401);
}

#[tokio::test]
async fn ruoyi_plus() {
    let phone = Phone::with("ruoyi-plus", (Method::POST, "/auth/login")).await;
    let client = [("clientid", "be7052a7e4f802c20df10a8d131adb12")];
    let body = json!({
        "xcxCode": phone.code().await, "appid": APP, "clientId": client[0].1, "grantType": "xcx", "tenantId": "000000",
    });
    let reply = phone.post("/auth/login", &client, &body).await.ok();
    assert_eq!(reply["code"], 200, "{reply}");
    phone.is_good(&reply["data"]["access_token"]).await;
    assert!(reply["data"]["openid"].is_string() && reply["data"]["expire_in"].is_u64(), "{reply}");

    let bearer = format!("Bearer {}", text(&reply["data"]["access_token"]));
    let token = [("Authorization", bearer.as_str()), client[0]];
    let me = phone.get("/system/user/getInfo", &token).await.ok();
    assert!(me["data"]["user"]["userId"].is_string() && me["data"]["roles"] == json!([]), "{me}");
    assert_eq!(phone.post("/auth/logout", &token, &json!({})).await.ok()["code"], 200);
    assert_eq!(phone.get("/system/user/getInfo", &token).await.ok()["code"], 401);
    // The appid in the body is not the Referer's: then the body counts, and its app has other clients.
    let other = json!({"xcxCode": "x", "appid": OTHER_APP});
    phone.post("/auth/login", &client, &other).await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn unibest() {
    let phone = Phone::with("unibest", (Method::POST, "/auth/wxLogin")).await;
    let reply = phone.post("/auth/wxLogin", &[], &json!({"code": phone.code().await})).await.ok();
    assert_eq!(reply["code"], 200, "{reply}");
    assert!(reply["data"]["refreshToken"].is_null() && reply["data"]["expiresIn"].is_u64(), "one token: {reply}");
    phone.is_good(&reply["data"]["token"]).await;
    let bearer = format!("Bearer {}", text(&reply["data"]["token"]));
    let token = [("Authorization", bearer.as_str())];
    assert!(phone.get("/user/info", &token).await.ok()["data"]["userId"].is_string());
    assert_eq!(phone.get("/auth/logout", &token).await.ok()["code"], 200);
    // It looks at the HTTP status.
    let ended = phone.get("/user/info", &token).await;
    assert_eq!((ended.status, &ended.json()["code"]), (401, &json!(401)));
}

#[tokio::test]
async fn unibest_double() {
    let phone = Phone::with("unibest-double", (Method::POST, "/auth/wxLogin")).await;
    let reply = phone.post("/auth/wxLogin", &[], &json!({"code": phone.code().await})).await.ok();
    let first = &reply["data"];
    assert!(first["accessToken"].is_string() && first["accessExpiresIn"].is_u64(), "{reply}");
    let next = phone.post("/auth/refreshToken", &[], &json!({"refreshToken": first["refreshToken"]})).await.ok();
    phone.is_good(&next["data"]["accessToken"]).await;
    assert_ne!(next["data"]["refreshToken"], first["refreshToken"]);
    let failed = phone.post("/auth/refreshToken", &[], &json!({"refreshToken": "wxr_nothing"})).await;
    assert_eq!((failed.status, &failed.json()["error"]), (401, &json!("REFRESH_INVALID")));
}

#[tokio::test]
async fn simple_admin() {
    let phone = Phone::with("simple-admin", (Method::POST, "/oauth/login/wechat/mini_program")).await;
    let path = "/oauth/login/wechat/mini_program";
    let reply = phone.post(path, &[], &json!({"code": phone.code().await})).await.ok();
    assert_eq!(reply["code"], 0, "{reply}");
    assert!(reply["data"]["userId"].is_string() && reply["data"]["expire"].is_u64(), "{reply}");
    phone.is_good(&reply["data"]["token"]).await;
}

#[tokio::test]
async fn we_request() {
    let phone = Phone::with("we-request", (Method::GET, "/user/login")).await;
    // GET by default: the code stands in the address.
    let code = phone.code().await;
    let reply = phone.get(&format!("/user/login?code={code}"), &[]).await.ok();
    assert_eq!(reply["errcode"], 0, "{reply}");
    let session = text(&reply["session"]).to_owned();
    phone.is_good(&reply["session"]).await;
    assert!(!phone.gateway.log().contains(&code), "no log has what stands in an address");

    // From then on the session stands in the data of a GET, and in body and address of all else.
    let me = phone.get(&format!("/user/info?session={session}&version=1"), &[]).await.ok();
    assert!(me["data"]["userInfo"]["openId"].is_string(), "{me}");
    let logout = phone.post(&format!("/user/logout?session={session}"), &[], &json!({"session": session})).await.ok();
    assert_eq!(logout["errcode"], 0);
    // It looks into answers of HTTP 200 alone.
    let ended = phone.get(&format!("/user/info?session={session}"), &[]).await.ok();
    assert_eq!((&ended["errcode"], &ended["error"]), (&json!(-1), &json!("SESSION_ENDED")));
    assert!(!phone.gateway.log().contains(&session));
}

#[tokio::test]
async fn oauth() {
    let phone = Phone::with("oauth", (Method::POST, "/api/login/oauth/access_token")).await;
    // casdoor's sample sends a form with a secret that proves nothing.
    let code = phone.code().await;
    let form = [
        ("tag", "wechat_miniprogram"),
        ("client_id", "a1b2c3"),
        ("client_secret", "not-looked-at"),
        ("code", &code),
        ("username", "小明"),
        ("avatar", "https://example.com/a.png"),
    ];
    let login = phone.form("/api/login/oauth/access_token", &form).await.ok();
    assert_eq!(login["token_type"], "Bearer", "{login}");
    phone.is_good(&login["access_token"]).await;
    let bearer = format!("Bearer {}", text(&login["access_token"]));
    let me = phone.get("/api/userinfo", &[("Authorization", &bearer)]).await.ok();
    assert_eq!((&me["name"], &me["picture"]), (&json!("小明"), &json!("https://example.com/a.png")));

    let form = [("grant_type", "refresh_token"), ("refresh_token", text(&login["refresh_token"]))];
    let next = phone.form("/oauth/token", &form).await.ok();
    phone.is_good(&next["access_token"]).await;
    let failed = phone.form("/oauth/token", &[("code", "nobody-gave-me-this")]).await;
    assert_eq!((failed.status, &failed.json()["error"]), (400, &json!("invalid_grant")));
    assert_eq!(phone.post("/api/logout", &[("Authorization", &bearer)], &json!({})).await.ok()["status"], "ok");
    let ended = phone.get("/oauth/userinfo", &[("Authorization", &bearer)]).await;
    assert_eq!((ended.status, &ended.json()["error"]), (401, &json!("invalid_token")));
    assert!(ended.header("www-authenticate").starts_with("Bearer"));
}
