//! WeChat's message push: what it tells of users is carried out before it is answered, and once.

mod channel;
mod refused;
mod settings;
mod slow;
mod told;
mod vectors;

use serde_json::{Value, json};

use self::channel::{Channel, Person};
use crate::harness::{APP, Gateway};

const MODES: [&str; 3] = ["plain", "compatible", "safe"];
const FORMATS: [&str; 2] = ["json", "xml"];

/// The entries of the audit log with this action, newest first.
async fn written_down(gateway: &Gateway, action: &str) -> Vec<Value> {
    let page = gateway.operator().get(&format!("/audit?tenant=demo&action={action}")).await.ok();
    page["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn wechat_verifies_the_address_in_every_mode() {
    let gateway = Gateway::dev().await;
    let channel = Channel::open(&gateway, "safe").await;
    for mode in MODES {
        channel.mode(mode).await;
        let asked = json!({ "url": channel.url(), "token": channel.token });
        let verified = gateway.simulator().verify_push(&asked).await;
        assert_eq!(verified["verified"], true, "{mode}: {verified}");
        // As it is in the query, whatever it is, and as text: a browser that is shown it runs nothing.
        let asked = json!({ "url": channel.url(), "token": channel.token, "echostr": "<script>+ \u{4e2d}%" });
        let verified = gateway.simulator().verify_push(&asked).await;
        let query = verified["query"].as_str().unwrap();
        let reply = gateway.client().get(&format!("/wechat/push/{APP}?{query}")).await;
        assert_eq!((reply.status, reply.text.as_str()), (200, "<script>+ \u{4e2d}%"));
        assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
    }
}

/// In clear nobody knows who wrote an event: what takes something back is only written down for the operator.
#[tokio::test]
async fn every_event_in_every_mode_and_format() {
    let gateway = Gateway::dev().await;
    let channel = Channel::open(&gateway, "safe").await;
    for mode in MODES {
        channel.mode(mode).await;
        for format in FORMATS {
            let proved = mode != "plain";
            let push =
                async |message| channel.accepted(json!({ "mode": mode, "format": format, "message": message })).await;
            let person = Person::new(&gateway).await;
            push(person.event("user_info_modified")).await;
            assert_eq!(person.has().await, (false, false), "{mode} {format}");
            person.fill_in().await;
            // With all the fields that WeChat may add.
            let mut revoke = person.revoke("6");
            for (field, value) in [("PluginID", APP), ("OpenPID", "G7esq5NVzP76"), ("UnionID", "uSomebody")] {
                revoke[field] = json!(value);
            }
            push(revoke).await;
            assert_eq!(person.has().await, (!proved, !proved), "{mode} {format}");
            push(person.event("user_authorization_cancellation")).await;
            if proved {
                person.me().await.refused(401, "SESSION_ENDED");
            } else {
                assert_eq!(person.has().await, (true, true), "{mode} {format}");
            }
            for (action, counts) in [
                ("push.user-info-modified", true),
                ("push.authorization-revoke", proved),
                ("push.authorization-cancellation", proved),
            ] {
                let entry = &written_down(&gateway, action).await[0];
                assert_eq!((&entry["actor"], &entry["target"]), (&json!("wechat"), &person.id), "{entry}");
                let outcome = if counts { "done" } else { "not encrypted: only noted" };
                assert_eq!(entry["outcome"], outcome, "{mode} {format}: {entry}");
            }
        }
    }
}

#[tokio::test]
async fn exactly_what_is_named_is_forgotten() {
    let gateway = Gateway::dev().await;
    let channel = Channel::open(&gateway, "safe").await;
    let person = Person::new(&gateway).await;
    for (number, (numbers, left)) in (0_u32..).zip([
        ("6", (false, false)),
        ("19", (false, true)),
        ("20", (true, false)),
        ("19,20", (false, false)),
        ("205", (false, false)),
        ("301", (false, false)),
        ("8", (true, true)),
        ("1", (true, true)),
        ("2, 3, 12, 16, 999", (true, true)),
    ]) {
        person.fill_in().await;
        let mut message = person.revoke(numbers);
        message["CreateTime"] = json!(1_700_000_000 + number);
        channel.accepted(json!({ "message": message })).await;
        assert_eq!(person.has().await, left, "{numbers}");
    }
    assert_eq!(person.me().await.ok()["id"], person.id, "nobody is erased for that");
    let entry = &written_down(&gateway, "push.authorization-revoke").await[0];
    assert_eq!(entry["detail"], "RevokeInfo 2,3,12,16,999", "{entry}");
}

#[tokio::test]
async fn a_phone_number_goes_when_it_is_named_and_only_then() {
    let gateway = Gateway::dev().await;
    let channel = Channel::open(&gateway, "safe").await;
    let person = Person::new(&gateway).await;
    person.bind("13800138000").await;
    let bound = person.me().await.ok();
    assert!(bound["phone_masked"].is_string(), "{bound}");
    channel.accepted(json!({ "message": person.revoke("6,19,20") })).await;
    assert_eq!(person.me().await.ok()["phone_masked"], bound["phone_masked"]);
    channel.accepted(json!({ "message": person.revoke("8") })).await;
    assert!(person.me().await.ok().get("phone_masked").is_none());
    // It is free for somebody else.
    let other = Person::new(&gateway).await;
    other.bind("13800138000").await;
    assert_eq!(other.me().await.ok()["phone_masked"], bound["phone_masked"]);
}

#[tokio::test]
async fn whoever_closes_their_account_is_gone_from_the_database() {
    let gateway = Gateway::dev().await;
    let channel = Channel::open(&gateway, "safe").await;
    let person = json!({ "appid": APP, "openid": "oCanaryWhoLeaves", "unionid": "uCanaryWhoLeaves" });
    let issued = gateway.simulator().issue(&person).await;
    let login = gateway.client().login_with(APP, &issued.code).await.ok();
    let message = json!({ "Event": "user_authorization_cancellation", "OpenID": "oCanaryWhoLeaves", "AppID": APP });
    channel.accepted(json!({ "message": message, "format": "xml" })).await;
    let id = login["user"]["id"].as_str().unwrap();
    gateway.operator().get(&format!("/users/{id}?tenant=demo")).await.refused(404, "NOT_FOUND");
    for file in ["wxgate.db", "wxgate.db-wal", "erasures.jsonl"] {
        let bytes = std::fs::read(gateway.data().join(file)).unwrap_or_default();
        assert!(!bytes.windows(15).any(|bytes| bytes == b"CanaryWhoLeaves"), "{file}");
    }
    let refresh = json!({ "refresh_token": login["refresh_token"] });
    gateway.client().post("/v1/token/refresh", &refresh).await.refused(401, "REFRESH_INVALID");
    let again = gateway.simulator().code_of(APP, "oCanaryWhoLeaves").await;
    let again = gateway.client().login_with(APP, &again.code).await.ok();
    assert_eq!(again["user"]["is_new"], true);
    assert_ne!(again["user"]["id"], login["user"]["id"]);
}

#[tokio::test]
async fn what_is_repeated_is_answered_and_not_done_again() {
    let gateway = Gateway::dev().await;
    let channel = Channel::open(&gateway, "safe").await;
    let person = Person::new(&gateway).await;
    let mut message = person.revoke("6");
    message["CreateTime"] = json!(1_700_000_000);
    let told = channel.accepted(json!({ "message": message, "times": 3 })).await;
    assert_eq!(person.has().await, (false, false));
    person.fill_in().await;
    // The same frame, byte for byte; the same message, signed anew; the same once more in the other format.
    let frame = &told["push"];
    let again = channel.send(frame["query"].as_str().unwrap(), frame["body"].as_str().unwrap().to_owned()).await;
    assert_eq!((again.status, again.text.as_str()), (200, "success"));
    channel.accepted(json!({ "message": message })).await;
    channel.accepted(json!({ "message": message, "format": "xml" })).await;
    assert_eq!(person.has().await, (true, true));
    assert_eq!(written_down(&gateway, "push.authorization-revoke").await.len(), 1);
    // Another message is another story.
    message["CreateTime"] = json!(1_700_000_001);
    channel.accepted(json!({ "message": message, "until_answered": true })).await;
    assert_eq!(person.has().await, (false, false));
}

#[tokio::test]
async fn what_is_not_known_here_is_accepted() {
    let gateway = Gateway::dev().await;
    let channel = Channel::open(&gateway, "plain").await;
    let person = Person::new(&gateway).await;
    for (mode, format) in MODES.iter().flat_map(|mode| FORMATS.map(|format| (*mode, format))) {
        for message in [
            json!({ "Event": "debug_demo", "debug_str": "hello" }),
            json!({ "MsgType": "text", "Content": "]]>", "MsgId": 8_998_968_089_682_228_i64, "FromUserName": person.openid }),
            json!({ "Event": "user_info_modified" }),
            json!({ "Event": "user_authorization_revoke", "OpenID": "oNobodyHere", "RevokeInfo": "8" }),
            json!({ "Event": "user_authorization_cancellation", "OpenID": "oNobodyHere" }),
            json!({ "Event": "user_authorization_cancellation" }),
            json!({ "Event": "user_authorization_revoke", "OpenID": person.openid, "RevokeInfo": "everything" }),
            // Of a third-party platform that was entered with the wrong address.
            json!({ "InfoType": "component_verify_ticket", "ComponentVerifyTicket": "ticket@@@a", "AppId": APP }),
        ] {
            channel.accepted(json!({ "mode": mode, "format": format, "message": message })).await;
        }
    }
    assert_eq!(person.has().await, (true, true));
    let unreadable = written_down(&gateway, "push.unreadable").await;
    assert_eq!((&unreadable[0]["target"], &unreadable[0]["outcome"]), (&json!(APP), &json!("nobody known")));
}

/// The message in clear beside what is encrypted was signed by nobody.
#[tokio::test]
async fn in_compatible_mode_only_what_is_encrypted_is_read() {
    let gateway = Gateway::dev().await;
    let channel = Channel::open(&gateway, "compatible").await;
    let (ada, bob) = (Person::new(&gateway).await, Person::new(&gateway).await);
    let written = channel.written("compatible", &ada.revoke("19")).await;
    let mut forged: Value = serde_json::from_str(written["body"].as_str().unwrap()).unwrap();
    assert_eq!(forged["OpenID"], ada.openid);
    forged["OpenID"] = json!(bob.openid);
    forged["Event"] = json!("user_authorization_cancellation");
    let reply = channel.send(written["query"].as_str().unwrap(), forged.to_string()).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, "success"));
    assert_eq!((ada.has().await, bob.has().await), ((false, true), (true, true)));
}
