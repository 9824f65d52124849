//! What is pushed to a platform: only WeChat's own, only what is new, and only what is about the platform.

use serde_json::json;

use super::world::{PLATFORM, SHOP, World};
use crate::harness::{APP, Gateway, PATIENCE, within};

fn taken() -> (u64, String) {
    (200, "success".to_owned())
}

#[tokio::test]
async fn only_a_newer_ticket_takes_the_place_of_another() {
    let gateway = Gateway::dev().await;
    let world = World::new(&gateway).await;
    let now = gateway.simulator().seconds().await;
    assert_eq!(world.ticket_of(now, "ticket@@@second").await, taken());
    assert_eq!(world.ticket_of(now - 60, "ticket@@@first").await, taken(), "it is WeChat's, so it is answered");
    assert_eq!(world.ticket_of(now, "ticket@@@other").await, taken());
    assert_eq!(world.shown().await["ticket_at"], now);
    assert_eq!(world.ticket_of(now + 1, "ticket@@@third").await, taken());
    assert_eq!(world.shown().await["ticket_at"], now + 1);
    // After one from the far future nothing would be newer.
    assert_eq!(world.ticket_of(now + 100_000, "ticket@@@never").await.0, 403);
    assert_eq!(world.shown().await["ticket_at"], now + 1);
}

#[tokio::test]
async fn what_is_forged_or_replayed_is_refused() {
    let gateway = Gateway::dev().await;
    let world = World::new(&gateway).await;
    let now = gateway.simulator().seconds().await;
    let ticket = |text: &str, at: i64| json!({ "InfoType": "component_verify_ticket", "ComponentVerifyTicket": text, "CreateTime": at });
    for flaw in ["wrong_signature", "other_appid", "wrong_key"] {
        let pushed = world.push(json!({ "message": ticket("ticket@@@forged", now), "flaw": flaw })).await;
        assert_eq!(pushed, (403, "Forbidden".to_owned()), "{flaw}");
    }
    for (mode, format) in [("plain", "xml"), ("safe", "json")] {
        let pushed = world.push(json!({ "message": ticket("ticket@@@x", now), "mode": mode, "format": format })).await;
        assert_eq!(pushed.0, 400, "{mode} {format}");
    }
    let late = json!({ "message": ticket("ticket@@@late", now), "timestamp": now - 400 });
    assert_eq!(world.push(late).await.0, 403);
    let mut of_another = ticket("ticket@@@x", now);
    of_another["AppId"] = json!("wx00000000000000dd");
    assert_eq!(world.push(json!({ "message": of_another })).await.0, 403);
    assert!(world.shown().await.get("ticket_at").is_none(), "nothing of all that counts");

    // WeChat repeats what it got no answer for, letter by letter. Under other letters it is somebody else.
    let stamp = json!({ "message": ticket("ticket@@@one", now), "timestamp": now, "nonce": "1234", "times": 2 });
    assert_eq!(world.push(stamp).await, taken());
    let stamp = json!({ "message": ticket("ticket@@@two", now + 1), "timestamp": now, "nonce": "1234" });
    assert_eq!(world.push(stamp).await.0, 403);
    assert_eq!(world.shown().await["ticket_at"], now);
    // What else WeChat may tell is answered, or it would stop telling.
    assert_eq!(world.push(json!({ "message": { "InfoType": "notify_third_fasteregister" } })).await, taken());
    let nobody =
        gateway.client().post("/wechat/platform/wxnobody?timestamp=1&nonce=1&msg_signature=1", &json!({})).await;
    assert_eq!(nobody.status, 404);
}

#[tokio::test]
async fn an_authorisation_that_nobody_asked_for_is_parked() {
    let gateway = Gateway::dev().await;
    let world = World::with_ticket(&gateway).await;
    world.agree_unasked(SHOP).await;
    let known = world.until_known(SHOP, "parked").await;
    assert_eq!(known["is_granted"], true, "what it granted is not lost");
    world.log_in(SHOP, "oAda").await.refused(404, "APP_UNKNOWN");
    let told = gateway.command(["doctor", "--json"]).run().await.stdout;
    assert!(told.contains("authorised it that nobody asked"), "{told}");

    let path = format!("/platforms/{PLATFORM}/apps/{SHOP}/attach");
    let admin = gateway.operator().admin_of("demo").await;
    admin.post(&path, &json!({})).await.refused(403, "NOT_GRANTED");
    assert_eq!(gateway.operator().post(&path, &json!({})).await.ok()["state"], "attached");
    gateway.comes_to_answer(SHOP, "CODE_INVALID").await;
    world.log_in(SHOP, "oAda").await.ok();

    // Changed permissions of an attached app need nobody's leave.
    let body = json!({ "component_appid": PLATFORM, "appid": SHOP, "permissions": [18, 25], "pushed": false });
    let told = gateway.simulator().steer("/sim/authorizations", &body).await;
    let message = json!({
        "InfoType": "updateauthorized", "AuthorizerAppid": SHOP, "CreateTime": gateway.simulator().seconds().await + 1,
        "AuthorizationCode": told["authorization_code"], "AuthorizationCodeExpiredTime": 600,
    });
    assert_eq!(world.push(json!({ "message": message })).await, taken());
    within(PATIENCE, "the new permissions are known", async || {
        (world.known(SHOP).await["permissions"] == json!([18, 25])).then_some(())
    })
    .await;
    // What WeChat wrote before that changes nothing any more.
    let message = json!({ "InfoType": "unauthorized", "AuthorizerAppid": SHOP, "CreateTime": 1_700_000_000 });
    assert_eq!(world.push(json!({ "message": message })).await, taken());
    assert_eq!(world.known(SHOP).await["state"], "attached");
}

#[tokio::test]
async fn what_was_withdrawn_before_a_grant_takes_nothing_of_it_away() {
    let gateway = Gateway::dev().await;
    let world = World::with_ticket(&gateway).await;
    world.attach(SHOP).await;
    let now = gateway.simulator().seconds().await;
    let withdrawn = |at: i64| json!({ "InfoType": "unauthorized", "AuthorizerAppid": SHOP, "CreateTime": at });
    assert_eq!(world.push(json!({ "message": withdrawn(now - 100) })).await, taken());
    assert_eq!(world.known(SHOP).await["state"], "attached");
    world.log_in(SHOP, "oAda").await.ok();
    assert_eq!(world.push(json!({ "message": withdrawn(now) })).await, taken());
    world.until_refused(SHOP, "APP_NOT_AUTHORIZED").await;
}

#[tokio::test]
async fn a_platforms_token_and_key_are_changed_without_losing_a_ticket() {
    let gateway = Gateway::dev().await;
    let world = World::new(&gateway).await;
    let now = gateway.simulator().seconds().await;
    // WeChat pushes with the one pair or the other.
    let push = async |(token, key): (&str, &str), nonce: &str| {
        let message = json!({
            "InfoType": "component_verify_ticket", "ComponentVerifyTicket": "ticket@@@one", "CreateTime": now,
        });
        let with = json!({ "message": message, "nonce": nonce, "token": token, "encoding_aes_key": key });
        world.push(with).await.0
    };
    let (token, key) = world.keys();
    let made = async |what: &str| {
        gateway.command(["platform", "push", "rotate", PLATFORM, "--json", "--what", what]).run().await.json()
    };
    let of_token = made("token").await;
    let text = |made: &serde_json::Value, name: &str| made["secret"][name].as_str().map(str::to_owned);
    assert_eq!((&of_token["has_previous_token"], &of_token["has_previous_key"]), (&json!(true), &json!(false)));
    assert_eq!(text(&of_token, "encoding_aes_key"), None, "{of_token}");
    let new_token = text(&of_token, "push_token").unwrap();
    let new_key = text(&made("key").await, "encoding_aes_key").unwrap();
    for (nonce, with) in [("1", (&token, &key)), ("2", (&new_token, &key)), ("3", (&new_token, &new_key))] {
        assert_eq!(push((with.0.as_str(), with.1.as_str()), nonce).await, 200, "{nonce}");
    }
    let doctor = gateway.operator().post("/doctor", &json!({})).await.ok().to_string();
    assert!(doctor.contains("has two EncodingAESKeys for its pushes"), "{doctor}");

    let finished = gateway.operator().post(&format!("/platforms/{PLATFORM}/push/finish"), &json!({})).await.ok();
    assert_eq!((&finished["has_previous_token"], &finished["has_previous_key"]), (&json!(false), &json!(false)));
    assert_eq!(push((new_token.as_str(), new_key.as_str()), "4").await, 200);
    for (nonce, with) in [("5", (&token, &new_key)), ("6", (&new_token, &key)), ("7", (&token, &key))] {
        assert_eq!(push((with.0.as_str(), with.1.as_str()), nonce).await, 403, "{nonce}");
    }
    // A value of one's own, which nobody has to be told of.
    let given = json!({ "push_token": "0123456789abcdef0123456789abcdef" });
    let given = gateway.operator().post(&format!("/platforms/{PLATFORM}/push/rotate"), &given).await.ok();
    assert_eq!((&given["has_previous_token"], given.get("secret")), (&json!(true), None), "{given}");
    assert_eq!(push(("0123456789abcdef0123456789abcdef", new_key.as_str()), "8").await, 200);
}

#[tokio::test]
async fn what_wechat_tells_of_a_mini_programs_users_comes_through_its_platform() {
    let gateway = Gateway::dev().await;
    let world = World::with_ticket(&gateway).await;
    world.attach(SHOP).await;
    let login = world.log_in(SHOP, "oAda").await.ok();
    let id = login["user"]["id"].as_str().unwrap();
    let is_there = async || gateway.operator().get(&format!("/users/{id}?tenant=demo")).await.status == 200;
    let push = async |to: &str, more: serde_json::Value| {
        let message = json!({ "Event": "user_authorization_cancellation", "OpenID": "oAda", "AppID": SHOP });
        let mut push = json!({ "url": format!("{}/wechat/push/{to}", gateway.client().base()), "message": message });
        push.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.push(push).await.0
    };
    for (flaw, status) in [
        (json!({ "flaw": "wrong_signature" }), 403),
        // A frame that ends with the mini-program's own appid is none of the platform's.
        (json!({ "appid": SHOP }), 403),
        (json!({ "mode": "plain" }), 403),
        (json!({ "message": { "Event": "user_authorization_cancellation", "OpenID": "oAda", "AppID": APP } }), 403),
    ] {
        assert_eq!(push(SHOP, flaw.clone()).await, status, "{flaw}");
    }
    assert_eq!(push(APP, json!({})).await, 404, "the platform does not act for this one");
    assert!(is_there().await);
    assert_eq!(push(SHOP, json!({})).await, 200);
    assert!(!is_there().await, "whoever closes their account is erased");

    // One with a Token of its own takes pushes both ways.
    let own = gateway.operator().put(&format!("/apps/{SHOP}/push"), &json!({ "mode": "safe" })).await.ok();
    let own = json!({ "appid": SHOP, "token": own["token"], "encoding_aes_key": own["encoding_aes_key"] });
    assert_eq!((push(SHOP, own).await, push(SHOP, json!({})).await), (200, 200));
}
