//! Two users become one, and two again: by their owner's proof, by WeChat's word, and by an operator.

mod operator;
mod phone;
mod policy;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::jwt;
use crate::harness::{APP, Gateway, OTHER_APP, Reply};

/// Somebody who is logged in.
pub(crate) struct Person {
    pub(crate) pair: Value,
    pub(crate) appid: &'static str,
    pub(crate) openid: String,
}

impl Person {
    /// Somebody new.
    pub(crate) async fn new(gateway: &Gateway, appid: &'static str) -> Self {
        let issued = gateway.simulator().code(appid).await;
        let pair = gateway.client().login_with(appid, &issued.code).await.ok();
        Self { pair, appid, openid: issued.openid }
    }

    pub(crate) fn id(&self) -> &Value {
        &self.pair["user"]["id"]
    }

    /// A fresh code of `wx.login`.
    pub(crate) async fn code(&self, gateway: &Gateway) -> String {
        gateway.simulator().code_of(self.appid, &self.openid).await.code
    }

    pub(crate) async fn login(&self, gateway: &Gateway) -> Value {
        gateway.client().login_with(self.appid, &self.code(gateway).await).await.ok()
    }

    pub(crate) async fn send(&self, gateway: &Gateway, method: Method, path: &str, body: &Value) -> Reply {
        let token = self.pair["access_token"].as_str().unwrap();
        let request = gateway.client().request(method, path).bearer_auth(token);
        gateway.client().send(if body.is_null() { request } else { request.json(body) }).await
    }

    pub(crate) async fn me(&self, gateway: &Gateway) -> Reply {
        self.send(gateway, Method::GET, "/v1/me", &Value::Null).await
    }

    pub(crate) async fn link(&self, gateway: &Gateway, other: &Self) -> Reply {
        let (code, link_code) = (self.code(gateway).await, other.code(gateway).await);
        let body = json!({"appid": other.appid, "link_code": link_code, "code": code});
        self.send(gateway, Method::POST, "/v1/me/links", &body).await
    }

    pub(crate) async fn merge(&self, gateway: &Gateway, token: &Value, other: &Self) -> Reply {
        let (code, other_code) = (self.code(gateway).await, other.code(gateway).await);
        let body = json!({"merge_token": token, "code": code, "other_code": other_code, "other_appid": other.appid});
        self.send(gateway, Method::POST, "/v1/me/merge", &body).await
    }

    pub(crate) async fn undo(&self, gateway: &Gateway, merge: &Value, other: &Self) -> Reply {
        let (code, other_code) = (self.code(gateway).await, other.code(gateway).await);
        let body = json!({"undo": merge, "code": code, "other_code": other_code, "other_appid": other.appid});
        self.send(gateway, Method::POST, "/v1/me/merge", &body).await
    }
}

/// Two users, the first one older, and a token with which the younger may merge them.
async fn two(gateway: &Gateway) -> (Person, Person, Value) {
    let (older, younger) = (Person::new(gateway, APP).await, Person::new(gateway, OTHER_APP).await);
    let problem = younger.link(gateway, &older).await.refused(409, "ACCOUNT_TAKEN");
    assert_eq!(problem["expires_in"], 300);
    (older, younger, problem["merge_token"].clone())
}

#[tokio::test]
async fn a_strangers_code_merges_nobody_and_makes_nobody() {
    let gateway = Gateway::dev().await;
    let (older, younger, token) = two(&gateway).await;
    let stranger = gateway.simulator().code(APP).await;
    let body = json!({"merge_token": token, "code": younger.code(&gateway).await, "other_code": stranger.code, "other_appid": APP});
    younger.send(&gateway, Method::POST, "/v1/me/merge", &body).await.refused(403, "STEP_UP_REQUIRED");
    let first = gateway.simulator().code_of(APP, &stranger.openid).await;
    assert_eq!(gateway.client().login_with(APP, &first.code).await.ok()["user"]["is_new"], true);
    younger.merge(&gateway, &token, &older).await.ok();
}

#[tokio::test]
async fn a_user_who_proves_to_be_both_becomes_the_older_one_and_two_again() {
    let gateway = Gateway::dev().await;
    let (older, younger, token) = two(&gateway).await;
    let merged = younger.merge(&gateway, &token, &older).await.ok();
    assert_eq!(&merged["user"]["id"], older.id());
    assert!(merged["undo_until"].as_i64().unwrap() > 0);
    // Asked again, as after an answer that was lost: there is nothing left to do, and the token is used up.
    younger.merge(&gateway, &token, &older).await.refused(409, "NOT_MERGEABLE");
    let eve = Person::new(&gateway, APP).await;
    younger.merge(&gateway, &token, &eve).await.refused(400, "MERGE_TOKEN_INVALID");

    // The old token goes on, and says who the user is now; so do the next ones.
    assert_eq!(&younger.me(&gateway).await.ok()["id"], older.id());
    let body = json!({"refresh_token": younger.pair["refresh_token"]});
    let next = gateway.client().post("/v1/token/refresh", &body).await.ok();
    assert_eq!(&jwt::parts(&next["access_token"]).1["sub"], older.id());
    for person in [&older, &younger] {
        assert_eq!(&person.login(&gateway).await["user"]["id"], older.id());
    }
    let devices = older.send(&gateway, Method::GET, "/v1/me/sessions", &Value::Null).await.ok();
    assert!(devices["sessions"].as_array().unwrap().len() >= 2, "{devices}");

    let undone = older.undo(&gateway, &merged["merge_id"], &younger).await.ok();
    assert_eq!(&undone["user"]["id"], younger.id());
    younger.me(&gateway).await.refused(401, "SESSION_ENDED");
    for person in [&older, &younger] {
        assert_eq!(&person.login(&gateway).await["user"]["id"], person.id());
    }
    older.undo(&gateway, &merged["merge_id"], &younger).await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn nothing_but_a_fresh_code_of_each_side_merges() {
    let gateway = Gateway::dev().await;
    let (older, younger, token) = two(&gateway).await;
    let eve = Person::new(&gateway, APP).await;

    // Somebody else on the other side, or on this one; nobody at all; and the token in somebody else's hands.
    younger.merge(&gateway, &token, &eve).await.refused(403, "STEP_UP_REQUIRED");
    let (code, other) = (eve.code(&gateway).await, older.code(&gateway).await);
    let body = json!({"merge_token": token, "code": code, "other_code": other, "other_appid": APP});
    let refused = younger.send(&gateway, Method::POST, "/v1/me/merge", &body).await;
    assert_eq!(refused.status / 100, 4, "{}", refused.text);
    for body in [json!({"merge_token": token}), json!({"merge_token": token, "code": younger.code(&gateway).await})] {
        younger.send(&gateway, Method::POST, "/v1/me/merge", &body).await.refused(403, "STEP_UP_REQUIRED");
    }
    eve.merge(&gateway, &token, &older).await.refused(400, "MERGE_TOKEN_INVALID");
    older.merge(&gateway, &token, &younger).await.refused(400, "MERGE_TOKEN_INVALID");
    let both = json!({"merge_token": token, "undo": "x", "code": "c", "other_code": "d"});
    younger.send(&gateway, Method::POST, "/v1/me/merge", &both).await.refused(400, "REQUEST_INVALID");
    for person in [&older, &younger, &eve] {
        assert_eq!(&person.login(&gateway).await["user"]["id"], person.id());
    }
    // None of this used it up.
    younger.merge(&gateway, &token, &older).await.ok();
}

#[tokio::test]
async fn an_undoing_needs_an_account_of_each_side() {
    let gateway = Gateway::dev().await;
    let (older, younger, token) = two(&gateway).await;
    let eve = Person::new(&gateway, APP).await;
    let merge = younger.merge(&gateway, &token, &older).await.ok()["merge_id"].clone();
    older.undo(&gateway, &merge, &eve).await.refused(403, "STEP_UP_REQUIRED");
    eve.undo(&gateway, &merge, &older).await.refused(403, "STEP_UP_REQUIRED");
    eve.undo(&gateway, &json!("not-a-merge"), &older).await.refused(404, "NOT_FOUND");
    assert_eq!(&younger.me(&gateway).await.ok()["id"], older.id());
}

/// Security test 33: an openid alone is never a credential.
#[tokio::test]
async fn an_openid_or_a_unionid_in_a_request_is_no_credential() {
    let gateway = Gateway::dev().await;
    let (victim, eve) = (Person::new(&gateway, APP).await, Person::new(&gateway, APP).await);
    let code = eve.code(&gateway).await;
    let body = json!({
        "code": code, "openid": victim.openid, "unionid": victim.pair["user"]["unionid"], "user": victim.id(),
    });
    let login = gateway.client().post(&format!("/v1/apps/{APP}/login"), &body).await.ok();
    assert_eq!(&login["user"]["id"], eve.id());
    let link =
        json!({"appid": APP, "openid": victim.openid, "code": eve.code(&gateway).await, "link_code": victim.openid});
    let refused = eve.send(&gateway, Method::POST, "/v1/me/links", &link).await;
    assert_eq!(refused.status / 100, 4, "{}", refused.text);
    assert_eq!(&victim.login(&gateway).await["user"]["id"], victim.id());
}

#[tokio::test]
async fn a_blocked_user_stays_two() {
    let gateway = Gateway::dev().await;
    let (older, younger, token) = two(&gateway).await;
    gateway.command(["user", "block", "--tenant", "demo", older.id().as_str().unwrap()]).run().await.ok();
    younger.merge(&gateway, &token, &older).await.refused(403, "USER_BLOCKED");
    assert_eq!(&younger.me(&gateway).await.ok()["id"], younger.id());
}
