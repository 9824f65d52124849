//! A user makes an account in another mini-program their own.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{APP, Gateway, OTHER_APP};
use crate::merge::Person;

#[tokio::test]
async fn an_account_that_is_nobodys_becomes_the_users() {
    let gateway = Gateway::dev().await;
    let alone = "wx0000000000000a21";
    gateway.add_app("demo", alone, None).await;
    let user = Person::new(&gateway, APP).await;
    let there = gateway.simulator().code(alone).await;
    let body = json!({"appid": alone, "link_code": there.code, "code": user.code(&gateway).await});
    let linked = user.send(&gateway, Method::POST, "/v1/me/links", &body).await.ok();
    assert_eq!(linked, json!({"outcome": "linked"}));
    // From then on it is theirs.
    let code = gateway.simulator().code_of(alone, &there.openid).await.code;
    let login = gateway.client().login_with(alone, &code).await.ok();
    assert_eq!((&login["user"]["id"], &login["user"]["is_new"]), (user.id(), &json!(false)));

    let again = gateway.simulator().code_of(alone, &there.openid).await.code;
    let body = json!({"appid": alone, "link_code": again, "code": user.code(&gateway).await});
    let linked = user.send(&gateway, Method::POST, "/v1/me/links", &body).await.ok();
    assert_eq!(linked, json!({"outcome": "already_yours"}));
}

#[tokio::test]
async fn an_account_of_somebody_else_stays_theirs() {
    let gateway = Gateway::dev().await;
    let (user, other) = (Person::new(&gateway, APP).await, Person::new(&gateway, OTHER_APP).await);
    let problem = user.link(&gateway, &other).await.refused(409, "ACCOUNT_TAKEN");
    assert!(problem["merge_token"].as_str().unwrap().starts_with("wxm_"), "{problem}");
    assert_eq!(&other.login(&gateway).await["user"]["id"], other.id());
}

#[tokio::test]
async fn a_link_needs_a_fresh_code_of_both() {
    let gateway = Gateway::dev().await;
    let (user, other) = (Person::new(&gateway, APP).await, Person::new(&gateway, OTHER_APP).await);
    let link = async |body: Value| user.send(&gateway, Method::POST, "/v1/me/links", &body).await;
    let there = other.code(&gateway).await;
    link(json!({"appid": OTHER_APP, "link_code": there})).await.refused(403, "STEP_UP_REQUIRED");
    // A code of somebody else here; then none of that mini-program there. The first leaves the other code unspent.
    let eve = Person::new(&gateway, APP).await;
    let body = json!({"appid": OTHER_APP, "link_code": there, "code": eve.code(&gateway).await});
    link(body).await.refused(403, "STEP_UP_REQUIRED");
    let body = json!({"appid": "wxnobody", "link_code": there, "code": user.code(&gateway).await});
    link(body).await.refused(404, "APP_UNKNOWN");
    let foreign = gateway.simulator().code(APP).await.code;
    let body = json!({"appid": OTHER_APP, "link_code": foreign, "code": user.code(&gateway).await});
    link(body).await.refused(400, "CODE_INVALID");
    let body = json!({"appid": OTHER_APP, "link_code": there, "code": user.code(&gateway).await});
    link(body).await.refused(409, "ACCOUNT_TAKEN");
}
