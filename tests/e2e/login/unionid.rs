//! One person in several mini-programs: joined by WeChat's unionid inside a union group, and nowhere else.

use serde_json::{Value, json};

use crate::harness::wechat::{Answer, Wechat};
use crate::harness::{APP, Gateway, OTHER_APP};

/// `wx.login` of a person with this unionid, and the login; the reply's user.
async fn user(gateway: &Gateway, appid: &str, unionid: &str) -> Value {
    let issued = gateway.simulator().issue(&json!({ "appid": appid, "unionid": unionid })).await;
    let user = gateway.client().login_with(appid, &issued.code).await.ok()["user"].clone();
    assert_eq!((&user["openid"], &user["unionid"]), (&json!(issued.openid), &json!(unionid)));
    user
}

#[tokio::test]
async fn two_mini_programs_of_one_group_know_one_user() {
    let gateway = Gateway::dev().await;
    let here = user(&gateway, APP, "oUnion1").await;
    let there = user(&gateway, OTHER_APP, "oUnion1").await;
    assert_eq!(there["id"], here["id"]);
    assert_ne!(there["openid"], here["openid"]);
    assert_eq!((&here["is_new"], &there["is_new"]), (&json!(true), &json!(false)));

    let somebody_else = user(&gateway, OTHER_APP, "oUnion2").await;
    assert_ne!(somebody_else["id"], here["id"]);
}

#[tokio::test]
async fn a_unionid_joins_neither_across_groups_nor_without_one_nor_across_tenants() {
    let gateway = Gateway::dev().await;
    gateway.command(["union-group", "add", "--tenant", "demo", "second"]).run().await.ok();
    gateway.command(["tenant", "add", "acme"]).run().await.ok();
    gateway.command(["union-group", "add", "--tenant", "acme", "demo"]).run().await.ok();
    gateway.add_app("demo", "wx0000000000000a01", Some("second")).await;
    gateway.add_app("demo", "wx0000000000000a02", None).await;
    gateway.add_app("acme", "wx0000000000000a03", Some("demo")).await;

    let mut ids = Vec::new();
    for appid in [APP, "wx0000000000000a01", "wx0000000000000a02", "wx0000000000000a03"] {
        let user = user(&gateway, appid, "oEverywhere").await;
        assert_eq!(user["is_new"], true, "{appid}");
        ids.push(user["id"].as_str().unwrap().to_owned());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

/// A WeChat that reads the person from the code: `{openid}-{unionid or none}-{anything}`.
async fn wechat_of_spelled_codes() -> Wechat {
    Wechat::start(|request| {
        let (_, rest) = request.split_once("js_code=").unwrap();
        let code = rest.split(['&', ' ']).next().unwrap();
        let mut parts = code.split('-');
        let (openid, unionid) = (parts.next().unwrap(), parts.next().unwrap());
        let mut answer = json!({ "openid": openid, "session_key": "AAAAAAAAAAAAAAAAAAAAAA==" });
        if unionid != "none" {
            answer["unionid"] = json!(unionid);
        }
        Answer::body(answer.to_string())
    })
    .await
}

#[tokio::test]
async fn a_unionid_that_appears_later_is_learnt_and_never_changes_the_user() {
    let wechat = wechat_of_spelled_codes().await;
    let gateway = Gateway::dev().wechat_url(wechat.url()).await;
    let login = async |appid, code| gateway.client().login_with(appid, code).await.ok()["user"].clone();

    // Bound to an Open Platform account after the first login: the user stays, and is found elsewhere from then on.
    let before = login(APP, "oA-none-1").await;
    assert!(before.get("unionid").is_none(), "{before}");
    let after = login(APP, "oA-uA-2").await;
    assert_eq!((&after["id"], &after["unionid"]), (&before["id"], &json!("uA")));
    let elsewhere = login(OTHER_APP, "oB-uA-3").await;
    assert_eq!((&elsewhere["id"], &elsewhere["is_new"]), (&before["id"], &json!(false)));
    // And an answer without it takes nothing away.
    assert_eq!(login(APP, "oA-none-4").await["id"], before["id"]);
}

#[tokio::test]
async fn refuses_to_join_two_users_who_turn_out_to_share_a_unionid() {
    let wechat = wechat_of_spelled_codes().await;
    let gateway = Gateway::dev().wechat_url(wechat.url()).await;
    let login = async |appid, code| gateway.client().login_with(appid, code).await.ok()["user"]["id"].clone();

    let one = login(APP, "oA-none-1").await;
    let other = login(OTHER_APP, "oB-uB-2").await;
    assert_ne!(one, other);
    // Joining them would hand one person's data to another if WeChat's answer is ever wrong: each stays who it was.
    assert_eq!(login(APP, "oA-uB-3").await, one);
    assert_eq!(login(OTHER_APP, "oB-uB-4").await, other);
}

#[tokio::test]
async fn refuses_to_move_a_user_whose_unionid_changes() {
    let wechat = wechat_of_spelled_codes().await;
    let gateway = Gateway::dev().wechat_url(wechat.url()).await;
    let login = async |appid, code| gateway.client().login_with(appid, code).await.ok()["user"]["id"].clone();

    let victim = login(OTHER_APP, "oVictim-uVictim-1").await;
    let user = login(APP, "oUser-uUser-2").await;
    assert_eq!(login(APP, "oUser-uVictim-3").await, user);
    assert_eq!(login(OTHER_APP, "oVictim-uVictim-4").await, victim);
}
