//! How an operator sets up the pushes of an app.

use serde_json::{Value, json};

use super::channel::{Channel, Person};
use crate::harness::{APP, Gateway, PATIENCE, within};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const KEY: &str = "iMfk0PKeayjWj3C2JdetOuuTkseoWCpVI0IpPIdVULQ";

#[tokio::test]
async fn what_is_made_is_told_once_and_goes_into_wechats_console() {
    let gateway = Gateway::dev().await;
    gateway.remote(["app", "push", "show", APP]).run().await.failed();
    let made = gateway.remote(["app", "push", "set", APP, "--json"]).run().await.json();
    let url = format!("{}/wechat/push/{APP}", gateway.public_url());
    assert_eq!((&made["url"], &made["mode"]), (&json!(url), &json!("safe")));
    let (token, key) = (made["token"].as_str().unwrap(), made["encoding_aes_key"].as_str().unwrap());
    assert_eq!((token.len(), key.len()), (32, 43));

    let shown = gateway.command(["app", "push", "show", APP]).run().await.ok();
    let again = gateway.command(["app", "push", "set", APP, "--mode", "compatible"]).run().await.ok();
    for text in [&shown, &again] {
        assert!(text.contains(&url) && !text.contains(token) && !text.contains(key), "{text}");
        assert!(text.contains(made["token_fingerprint"].as_str().unwrap()), "{text}");
    }
    assert!(again.contains("compatible"), "{again}");
    let audit = gateway.operator().get("/audit?tenant=demo&action=app.set-push").await.ok();
    assert_eq!(audit["items"].as_array().unwrap().len(), 2, "{audit}");
    let unconfirmed = gateway.command(["app", "push", "remove", APP]).run().await.failed();
    assert!(unconfirmed.contains("give --yes"), "{unconfirmed}");
    gateway.command(["app", "push", "remove", APP, "--yes"]).run().await.ok();
    gateway.operator().get(&format!("/apps/{APP}/push")).await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn tokens_that_could_be_guessed_and_keys_of_no_shape_are_refused() {
    let gateway = Gateway::dev().await;
    let operator = gateway.operator();
    let path = format!("/apps/{APP}/push");
    for wrong in ["", "AAAAA", "W1v9mq2gx12X6ZE4", "0123456789abcdef", &"a".repeat(32), &format!("{TOKEN}0"), "中文"]
    {
        operator.put(&path, &json!({ "token": wrong })).await.refused(400, "REQUEST_INVALID");
    }
    for wrong in ["", "short", &KEY[..42], &format!("{KEY}="), &KEY.replace('P', "-")] {
        operator.put(&path, &json!({ "encoding_aes_key": wrong })).await.refused(400, "REQUEST_INVALID");
    }
    operator.put(&path, &json!({ "mode": "open" })).await.refused(400, "REQUEST_INVALID");
    operator.get(&path).await.refused(404, "NOT_FOUND");
    // What WeChat's console made is taken, also with bits in its last character that mean nothing; and not told again.
    let key = format!("{}R", &KEY[..42]);
    let set = operator.put(&path, &json!({ "token": TOKEN, "encoding_aes_key": key })).await.ok();
    assert_eq!((set.get("token"), set.get("encoding_aes_key")), (None, None), "{set}");
}

#[tokio::test]
async fn a_key_is_changed_without_losing_a_push() {
    let gateway = Gateway::dev().await;
    let mut channel = Channel::open(&gateway, "safe").await;
    let person = Person::new(&gateway).await;
    let demo = || json!({ "message": { "Event": "debug_demo" } });
    let path = format!("/apps/{APP}/push");
    let rotated = gateway.operator().post(&format!("{path}/rotate"), &json!({})).await.ok();
    assert!(rotated["previous_key_fingerprint"].is_string() && rotated.get("token").is_none(), "{rotated}");
    let (old, new) = (channel.key.clone(), rotated["encoding_aes_key"].as_str().unwrap().to_owned());
    for key in [&old, &new] {
        channel.key.clone_from(key);
        channel.accepted(demo()).await;
    }
    let finished = gateway.operator().post(&format!("{path}/finish"), &json!({})).await.ok();
    assert_eq!(finished.get("previous_key_fingerprint"), None, "{finished}");
    channel.accepted(demo()).await;
    channel.key = old;
    channel.refused(json!({ "message": person.event("user_authorization_cancellation") }), 403, "Forbidden").await;
    person.me().await.ok();
}

#[tokio::test]
async fn a_token_is_changed_without_losing_a_push() {
    let gateway = Gateway::dev().await;
    let mut channel = Channel::open(&gateway, "plain").await;
    let path = format!("/apps/{APP}/push");
    let both = async |channel: &Channel<'_>| {
        let verified = gateway.simulator().verify_push(&json!({ "url": channel.url(), "token": channel.token })).await;
        assert_eq!(verified["verified"], true, "{verified}");
        for mode in ["plain", "safe"] {
            channel.accepted(json!({ "mode": mode, "message": { "Event": "debug_demo" } })).await;
        }
    };
    let (old, key) = (channel.token.clone(), channel.key.clone());
    let made = gateway.remote(["app", "push", "rotate", APP, "--what", "token", "--json"]).run().await.json();
    assert!(made["previous_token_fingerprint"].is_string() && made.get("encoding_aes_key").is_none(), "{made}");
    let shown = gateway.command(["app", "push", "show", APP]).run().await.ok();
    assert!(shown.contains("the one before") && !shown.contains(made["token"].as_str().unwrap()), "{shown}");
    for token in [&old, made["token"].as_str().unwrap()] {
        token.clone_into(&mut channel.token);
        both(&channel).await;
    }
    // A value of one's own renews what it is for.
    let given = gateway.operator().post(&format!("{path}/rotate"), &json!({ "token": TOKEN })).await.ok();
    assert_eq!((given.get("token"), given.get("previous_key_fingerprint")), (None, None), "{given}");
    let finished = gateway.operator().post(&format!("{path}/finish"), &json!({})).await.ok();
    assert_eq!(finished.get("previous_token_fingerprint"), None, "{finished}");
    TOKEN.clone_into(&mut channel.token);
    both(&channel).await;
    for token in [old, made["token"].as_str().unwrap().to_owned()] {
        channel.token = token;
        for mode in ["plain", "safe"] {
            channel.refused(json!({ "mode": mode, "message": { "Event": "debug_demo" } }), 403, "Forbidden").await;
        }
    }
    assert_eq!(channel.key, key, "the key stayed");
}

#[tokio::test]
async fn an_app_that_serves_nobody_still_forgets() {
    let gateway = Gateway::dev().await;
    let channel = Channel::open(&gateway, "safe").await;
    let person = Person::new(&gateway).await;
    gateway.command(["app", "disable", APP]).run().await.ok();
    channel.accepted(json!({ "message": person.event("user_authorization_cancellation") })).await;
    let id = person.id.as_str().unwrap();
    gateway.operator().get(&format!("/users/{id}?tenant=demo")).await.refused(404, "NOT_FOUND");
    let removed: Value = gateway.operator().delete(&format!("/apps/{APP}")).await.status.into();
    assert_eq!(removed, 200);
    within(PATIENCE, "the app is gone", async || {
        (gateway.operator().get(&format!("/apps/{APP}")).await.status == 404).then_some(())
    })
    .await;
    channel.refused(json!({ "message": { "Event": "debug_demo" } }), 404, "Not Found").await;
}

#[tokio::test]
async fn the_doctor_advises_against_plaintext_and_unfinished_changes() {
    let gateway = Gateway::dev().await;
    let channel = Channel::open(&gateway, "plain").await;
    let advice = async || {
        let findings = gateway.operator().post("/doctor", &json!({})).await.ok();
        let about = |finding: &&Value| finding["what"].as_str().unwrap().contains("push");
        findings["findings"].as_array().unwrap().iter().find(about).unwrap()["what"].clone()
    };
    assert_eq!(advice().await, "takes pushes in plaintext");
    channel.mode("safe").await;
    assert_eq!(advice().await, "takes encrypted pushes");
    gateway.operator().post(&format!("/apps/{APP}/push/rotate"), &json!({})).await.ok();
    assert_eq!(advice().await, "has two EncodingAESKeys for its pushes");
}
