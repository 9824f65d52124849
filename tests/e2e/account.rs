//! A user who is logged in looks at their account, fills it in, looks at their devices, and logs out.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::harness::{APP, Gateway, OTHER_APP, PATIENCE, Reply, within};

/// A phone that is logged in.
struct Phone {
    pair: Value,
    openid: String,
}

impl Phone {
    async fn of(gateway: &Gateway, appid: &str) -> Self {
        let issued = gateway.simulator().code(appid).await;
        let pair = gateway.client().login_with(appid, &issued.code).await.ok();
        Self { pair, openid: issued.openid }
    }

    /// Another phone of the same person in the same mini-program.
    async fn second(&self, gateway: &Gateway) -> Self {
        let issued = gateway.simulator().code_of(APP, &self.openid).await;
        let pair = gateway.client().login_with(APP, &issued.code).await.ok();
        Self { pair, openid: self.openid.clone() }
    }

    fn request(&self, gateway: &Gateway, method: Method, path: &str) -> RequestBuilder {
        gateway.client().request(method, path).bearer_auth(self.pair["access_token"].as_str().unwrap())
    }

    async fn get(&self, gateway: &Gateway, path: &str) -> Reply {
        gateway.client().send(self.request(gateway, Method::GET, path)).await
    }

    async fn patch(&self, gateway: &Gateway, body: Value) -> Reply {
        gateway.client().send(self.request(gateway, Method::PATCH, "/v1/me").json(&body)).await
    }

    async fn logout(&self, gateway: &Gateway, body: Value) -> Reply {
        gateway.client().send(self.request(gateway, Method::POST, "/v1/logout").json(&body)).await
    }

    async fn refresh(&self, gateway: &Gateway) -> Reply {
        let body = json!({ "refresh_token": self.pair["refresh_token"] });
        gateway.client().post("/v1/token/refresh", &body).await
    }

    fn sid(&self) -> &str {
        self.pair["session_id"].as_str().unwrap()
    }
}

#[tokio::test]
async fn a_user_sees_who_they_are_and_fills_in_a_profile() {
    let gateway = Gateway::dev().await;
    let phone = Phone::of(&gateway, APP).await;
    let me = phone.get(&gateway, "/v1/me").await.ok();
    assert_eq!((&me["id"], &me["openid"]), (&phone.pair["user"]["id"], &json!(phone.openid)));
    assert_eq!((&me["appid"], &me["session_id"]), (&json!(APP), &phone.pair["session_id"]));
    assert_eq!(me.get("nickname"), None);

    let filled =
        phone.patch(&gateway, json!({ "nickname": " Ada ", "avatar_url": "https://example.com/a.png" })).await.ok();
    assert_eq!((&filled["nickname"], &filled["avatar_url"]), (&json!("Ada"), &json!("https://example.com/a.png")));
    let grey = "https://mmbiz.qpic.cn/mmbiz/icTdbqWNOwNRna42FI242Lcia07jQodd2FJGIYQfG0LAJGFxM4FbnQP6yfMxBgJ0F3YRqJCJ1aPAK2dQagdusBZg/0";
    let placeholders = phone.patch(&gateway, json!({ "nickname": "微信用户", "avatar_url": grey })).await.ok();
    assert_eq!(placeholders, filled, "WeChat's placeholders change nothing");
    for wrong in [json!({ "nickname": "" }), json!({ "nickname": "a\r\nb" }), json!({ "avatar_url": "javascript:0" })] {
        phone.patch(&gateway, wrong).await.refused(400, "REQUEST_INVALID");
    }
    assert_eq!(phone.get(&gateway, "/v1/me").await.ok(), filled);
    // What the user says of themself shows in the next login too.
    let again = phone.second(&gateway).await;
    assert_eq!(again.pair["user"]["nickname"], "Ada");
}

#[tokio::test]
async fn devices_are_listed_and_one_of_them_is_sent_away() {
    let gateway = Gateway::dev().await;
    let phone = Phone::of(&gateway, APP).await;
    let tablet = phone.second(&gateway).await;
    let stranger = Phone::of(&gateway, APP).await;
    let listed = phone.get(&gateway, "/v1/me/sessions").await.ok();
    let sessions = listed["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{listed}");
    assert_eq!((&sessions[0]["id"], &sessions[0]["current"]), (&json!(tablet.sid()), &json!(false)));
    assert_eq!((&sessions[1]["id"], &sessions[1]["current"]), (&json!(phone.sid()), &json!(true)));

    let delete = async |sid: &str| {
        let path = format!("/v1/me/sessions/{sid}");
        gateway.client().send(phone.request(&gateway, Method::DELETE, &path)).await
    };
    for nobody in [stranger.sid(), "01a20351-798f-766b-bcf2-8e7cb9e3cfda", "x", "..%2f"] {
        delete(nobody).await.refused(404, "NOT_FOUND");
    }
    assert_eq!(delete(tablet.sid()).await.status, 204);
    delete(tablet.sid()).await.refused(404, "NOT_FOUND");
    let ended = tablet.get(&gateway, "/v1/me").await;
    assert_eq!(ended.refused(401, "SESSION_ENDED")["action"], "relogin");
    tablet.refresh(&gateway).await.refused(401, "SESSION_ENDED");
    phone.get(&gateway, "/v1/me").await.ok();
    stranger.refresh(&gateway).await.ok();
}

#[tokio::test]
async fn a_logout_ends_this_session_the_others_or_all() {
    let gateway = Gateway::dev().await;
    let phone = Phone::of(&gateway, APP).await;
    let tablet = phone.second(&gateway).await;
    assert_eq!(phone.logout(&gateway, json!({ "scope": "this" })).await.ok()["ended"], 1);
    for body in [json!({ "scope": "this" }), json!({ "scope": 7 }), json!([])] {
        phone.logout(&gateway, body.clone()).await.refused(401, "SESSION_ENDED");
        phone.patch(&gateway, body).await.refused(401, "SESSION_ENDED");
    }
    phone.refresh(&gateway).await.refused(401, "SESSION_ENDED");

    let third = tablet.second(&gateway).await;
    assert_eq!(third.logout(&gateway, json!({ "scope": "others" })).await.ok()["ended"], 1);
    tablet.refresh(&gateway).await.refused(401, "SESSION_ENDED");
    third.refresh(&gateway).await.ok();
    for wrong in [json!({}), json!({ "scope": "ours" }), json!({ "scope": null })] {
        third.logout(&gateway, wrong).await.refused(400, "REQUEST_INVALID");
    }
}

#[tokio::test]
async fn logging_out_everywhere_takes_a_fresh_code_of_the_same_user() {
    let gateway = Gateway::dev().await;
    let phone = Phone::of(&gateway, APP).await;
    let tablet = phone.second(&gateway).await;
    let unproven = phone.logout(&gateway, json!({ "scope": "all" })).await;
    assert_eq!(unproven.refused(403, "STEP_UP_REQUIRED")["action"], "new_code");
    let stranger = gateway.simulator().code(APP).await;
    phone.logout(&gateway, json!({ "scope": "all", "code": stranger.code })).await.refused(403, "STEP_UP_REQUIRED");
    phone.logout(&gateway, json!({ "scope": "all", "code": "nonsense" })).await.refused(400, "CODE_INVALID");
    let foreign = gateway.simulator().code(OTHER_APP).await;
    phone.logout(&gateway, json!({ "scope": "all", "code": foreign.code })).await.refused(400, "CODE_INVALID");
    tablet.refresh(&gateway).await.ok();

    let fresh = gateway.simulator().code_of(APP, &phone.openid).await;
    let ended = phone.logout(&gateway, json!({ "scope": "all", "code": fresh.code })).await.ok();
    assert_eq!(ended["ended"], 2, "phone and tablet; the fresh code proved something and opened nothing");
    for device in [&phone, &tablet] {
        device.refresh(&gateway).await.refused(401, "SESSION_ENDED");
        device.get(&gateway, "/v1/me").await.refused(401, "SESSION_ENDED");
    }
}

#[tokio::test]
async fn a_proof_is_no_session_and_a_login_no_proof() {
    let gateway = Gateway::dev().await;
    let phone = Phone::of(&gateway, APP).await;
    let unbind = async |code: &str| {
        let request = phone.request(&gateway, Method::DELETE, "/v1/me/phone").json(&json!({ "code": code }));
        gateway.client().send(request).await
    };
    let proof = gateway.simulator().code_of(APP, &phone.openid).await.code;
    assert_eq!(unbind(&proof).await.status, 204);
    let listed = phone.get(&gateway, "/v1/me/sessions").await.ok();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 1, "{listed}");
    // The same body to the other address, by the same client, within the seconds of a repetition.
    gateway.client().login_with(APP, &proof).await.refused(409, "CODE_USED");
    // Nor does it prove anything at another address, or to another session.
    let elsewhere = phone.request(&gateway, Method::DELETE, "/v1/me").json(&json!({ "code": proof }));
    gateway.client().send(elsewhere).await.refused(409, "CODE_USED");
    let tablet = phone.second(&gateway).await;
    let of_another = tablet.request(&gateway, Method::DELETE, "/v1/me/phone").json(&json!({ "code": proof }));
    gateway.client().send(of_another).await.refused(409, "CODE_USED");
    assert_eq!(unbind(&proof).await.status, 204, "the same request is answered again");
    let login = gateway.simulator().code_of(APP, &phone.openid).await.code;
    gateway.client().login_with(APP, &login).await.ok();
    unbind(&login).await.refused(409, "CODE_USED");
}

#[tokio::test]
async fn a_strangers_code_proves_nothing_and_makes_nobody() {
    let gateway = Gateway::dev().await;
    let phone = Phone::of(&gateway, APP).await;
    let stranger = gateway.simulator().code(APP).await;
    phone.logout(&gateway, json!({ "scope": "all", "code": stranger.code })).await.refused(403, "STEP_UP_REQUIRED");
    // Whoever was asked for a proof is nobody's user for that.
    let first = gateway.simulator().code_of(APP, &stranger.openid).await;
    assert_eq!(gateway.client().login_with(APP, &first.code).await.ok()["user"]["is_new"], true);
}

#[tokio::test]
async fn one_session_more_than_allowed_ends_the_oldest_everywhere() {
    let gateway = Gateway::dev().await;
    gateway.command(["tenant", "policy", "demo", "--max-sessions", "2"]).run().await.ok();
    let oldest = Phone::of(&gateway, APP).await;
    // Running gateways hear of the policy within two seconds; until then there is room.
    let newest = within(PATIENCE, "the oldest gives way", async || {
        let newest = oldest.second(&gateway).await;
        (oldest.get(&gateway, "/v1/me").await.status == 401).then_some(newest)
    })
    .await;
    oldest.get(&gateway, "/v1/me").await.refused(401, "SESSION_ENDED");
    oldest.refresh(&gateway).await.refused(401, "SESSION_ENDED");
    let listed = newest.get(&gateway, "/v1/me/sessions").await.ok();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 2, "{listed}");
    newest.refresh(&gateway).await.ok();
}

#[tokio::test]
async fn without_a_users_token_there_is_no_account() {
    let gateway = Gateway::dev().await;
    let phone = Phone::of(&gateway, APP).await;
    let (access, refresh) =
        (phone.pair["access_token"].as_str().unwrap(), phone.pair["refresh_token"].as_str().unwrap());
    let truncated = &access[..access.len() - 1];
    let client = gateway.client();
    for path in ["/v1/me", "/v1/me/sessions"] {
        let missing = client.get(path).await;
        assert_eq!(missing.refused(401, "TOKEN_INVALID")["action"], "refresh");
        assert!(missing.header("www-authenticate").starts_with("Bearer"), "{:?}", missing.headers);
        for wrong in [
            format!("Bearer {truncated}"),
            format!("Bearer {refresh}"),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            format!("Basic {access}"),
            format!("Bearer {access} {access}"),
            format!("Bearer {access},"),
            access.to_owned(),
        ] {
            let request = client.request(Method::GET, path).header("Authorization", &wrong);
            let refused = client.send(request).await;
            refused.refused(401, "TOKEN_INVALID");
            assert_eq!(refused.header("www-authenticate"), r#"Bearer error="invalid_token""#, "{wrong}");
        }
        let twice = client.request(Method::GET, path).header("Authorization", format!("Bearer {access}"));
        let twice = client.send(twice.header("Authorization", format!("Bearer {access}"))).await;
        twice.refused(401, "TOKEN_INVALID");
        let in_query = client.get(&format!("{path}?access_token={access}")).await;
        in_query.refused(401, "TOKEN_INVALID");
    }
    for (method, path) in
        [(Method::PATCH, "/v1/me"), (Method::POST, "/v1/logout"), (Method::DELETE, "/v1/me/sessions/x")]
    {
        let request = client.request(method, path).json(&json!({ "scope": "this" }));
        client.send(request).await.refused(401, "TOKEN_INVALID");
    }
}
