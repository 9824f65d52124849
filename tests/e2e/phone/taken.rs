//! A number that is somebody else's.

use serde_json::json;

use super::User;
use crate::harness::{APP, Gateway};

#[tokio::test]
async fn a_number_of_somebody_else_stays_theirs_and_a_merge_is_offered() {
    let gateway = Gateway::dev().await;
    let (ada, eve) = (User::new(&gateway).await, User::new(&gateway).await);
    ada.bind(&gateway, "13800138000").await.ok();
    let taken = eve.bind(&gateway, "13800138000").await.refused(409, "PHONE_TAKEN");
    assert_eq!(taken["candidate"], json!({ "phone_masked": "+86 138****8000" }));
    assert_eq!(taken["expires_in"], 300);
    assert!(taken["merge_token"].as_str().unwrap().starts_with("wxm_"), "{taken}");
    assert!(!taken.to_string().contains(ada.id().as_str().unwrap()), "whose it is, is nobody's business");
    assert_eq!(eve.me(&gateway).await.get("phone_masked"), None);
    assert!(!gateway.log().contains(taken["merge_token"].as_str().unwrap()));
}

#[tokio::test]
async fn a_number_leaves_after_notice_unless_its_user_shows_that_they_have_it() {
    let gateway = Gateway::dev().await;
    let (ada, eve) = (User::new(&gateway).await, User::new(&gateway).await);
    ada.bind(&gateway, "13800138000").await.ok();
    let code = eve.phone_code(&gateway, "13800138000").await;
    eve.send(&gateway, json!({ "phoneCode": code, "move": true })).await.refused(403, "STEP_UP_REQUIRED");
    let proof = gateway.simulator().code_of(APP, &eve.openid).await.code;
    let moving = eve.send(&gateway, json!({ "phoneCode": code, "move": true, "code": proof })).await.ok();
    assert_eq!((&moving["outcome"], &moving["phone"]["masked"]), (&json!("moving"), &json!("+86 138****8000")));
    let at = moving["moves_at"].as_i64().unwrap();
    let week = 7 * 86_400;
    let now = gateway.simulator().seconds().await;
    assert!((now + week - 60..=now + week + 60).contains(&at), "{moving}");
    // It is theirs until then, and they are told.
    assert_eq!(ada.me(&gateway).await["phone_leaves_at"], at);
    assert_eq!(eve.me(&gateway).await.get("phone_masked"), None);
    let proof = gateway.simulator().code_of(APP, &eve.openid).await.code;
    let again = eve.send(&gateway, json!({ "phoneCode": code, "move": true, "code": proof })).await.ok();
    assert_eq!(again["moves_at"], at, "asking again changes nothing");

    assert_eq!(ada.bind(&gateway, "13800138000").await.ok()["outcome"], "already_yours");
    assert_eq!(ada.me(&gateway).await.get("phone_leaves_at"), None);
}
