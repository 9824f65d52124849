//! Somebody whose number is theirs already, as another user: from `PHONE_TAKEN` to one user, and back.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::Person;
use crate::harness::database::age_merges;
use crate::harness::{APP, Gateway, OTHER_APP, Receiver, Reply, jwt};
use crate::webhooks::{add, quick};

const NUMBER: &str = "13800138000";

impl Person {
    /// Presses the phone button and sends what it gives.
    async fn bind(&self, gateway: &Gateway, number: &str) -> Reply {
        let code = gateway.simulator().phone_code_of(self.appid, &self.openid, number).await;
        self.send(gateway, Method::POST, "/v1/me/phone", &json!({ "phoneCode": code })).await
    }

    async fn number(&self, gateway: &Gateway) -> Value {
        self.me(gateway).await.ok()["phone_masked"].clone()
    }
}

#[tokio::test]
async fn whoever_has_one_number_as_two_users_becomes_one_and_two_again_for_seven_days() {
    let gateway = quick(Gateway::dev()).await;
    let receiver = Receiver::start().await;
    add(&gateway, "orders", &receiver.url(), &["user.merged", "user.unmerged"]).await;
    let (older, younger) = (Person::new(&gateway, APP).await, Person::new(&gateway, OTHER_APP).await);
    older.bind(&gateway, NUMBER).await.ok();
    let taken = younger.bind(&gateway, NUMBER).await.refused(409, "PHONE_TAKEN");
    assert_eq!((&taken["candidate"]["phone_masked"], &taken["expires_in"]), (&json!("+86 138****8000"), &json!(300)));
    let merged = younger.merge(&gateway, &taken["merge_token"], &older).await.ok();
    assert_eq!(&merged["user"]["id"], older.id());

    // The number stays, the old `sub` means the user, and the services hear of it.
    for person in [&older, &younger] {
        assert_eq!(person.number(&gateway).await, "+86 138****8000");
        assert_eq!(&person.me(&gateway).await.ok()["id"], older.id());
    }
    assert_eq!(&jwt::parts(&younger.pair["access_token"]).1["sub"], younger.id(), "tokens go on until they end");
    assert_eq!(younger.bind(&gateway, NUMBER).await.ok()["outcome"], "already_yours");
    let gone = younger.id().as_str().unwrap();
    let shown = gateway.operator().get(&format!("/users/{gone}?tenant=demo")).await.ok();
    assert_eq!(&shown["id"], older.id());
    let told = receiver.taken(1).await[0].event();
    assert_eq!(told["type"], "user.merged");
    assert_eq!((&told["data"]["user_id"], &told["data"]["into_user_id"]), (younger.id(), older.id()), "{told}");

    let undone = older.undo(&gateway, &merged["merge_id"], &younger).await.ok();
    assert_eq!(&undone["user"]["id"], younger.id());
    let again = Person { pair: younger.login(&gateway).await, appid: OTHER_APP, openid: younger.openid.clone() };
    assert_eq!(again.id(), younger.id());
    assert_eq!((older.number(&gateway).await, again.number(&gateway).await), (json!("+86 138****8000"), Value::Null));
    assert_eq!(receiver.taken(2).await[1].event()["type"], "user.unmerged");

    // The same once more, and a week goes by.
    let taken = again.bind(&gateway, NUMBER).await.refused(409, "PHONE_TAKEN");
    let merged = again.merge(&gateway, &taken["merge_token"], &older).await.ok();
    age_merges(&gateway.data().join("wxgate.db"), Duration::from_hours(24 * 7)).await;
    older.undo(&gateway, &merged["merge_id"], &again).await.refused(409, "NOT_MERGEABLE");
    assert_eq!(&again.me(&gateway).await.ok()["id"], older.id());
}

/// What the token was about is over: the number is no longer the other user's.
#[tokio::test]
async fn a_number_that_was_let_go_of_merges_nobody() {
    let gateway = Gateway::dev().await;
    let (older, younger) = (Person::new(&gateway, APP).await, Person::new(&gateway, APP).await);
    older.bind(&gateway, NUMBER).await.ok();
    let token = younger.bind(&gateway, NUMBER).await.refused(409, "PHONE_TAKEN")["merge_token"].clone();
    let proof = json!({ "code": older.code(&gateway).await });
    older.send(&gateway, Method::DELETE, "/v1/me/phone", &proof).await.status_is(204);
    younger.merge(&gateway, &token, &older).await.refused(400, "MERGE_TOKEN_INVALID");
    assert_eq!(&younger.me(&gateway).await.ok()["id"], younger.id());
    assert_eq!(younger.bind(&gateway, NUMBER).await.ok()["outcome"], "bound");
}
