//! Pushes that are not WeChat's, not of now, or not for this app: nothing happens, and nobody is told why.

use serde_json::{Value, json};

use super::channel::{Channel, Person};
use crate::harness::{APP, Gateway, OTHER_APP};

/// The end of an account, the worst that a push can ask for.
fn worst(person: &Person<'_>) -> Value {
    person.event("user_authorization_cancellation")
}

/// Fails unless the person is who they were.
async fn untouched(person: &Person<'_>) {
    assert_eq!(person.has().await, (true, true));
}

#[tokio::test]
async fn refuses_what_wechat_did_not_write() {
    let gateway = Gateway::dev().await;
    let channel = Channel::open(&gateway, "safe").await;
    let person = Person::new(&gateway).await;
    for format in super::FORMATS {
        for flaw in ["wrong_signature", "wrong_key", "other_appid"] {
            let push = json!({ "message": worst(&person), "format": format, "flaw": flaw });
            channel.refused(push, 403, "Forbidden").await;
        }
    }
    // Without any signature, and with that of the plaintext.
    let written = channel.written("safe", &worst(&person)).await;
    let (query, body) = (written["query"].as_str().unwrap(), written["body"].as_str().unwrap());
    let (without, _) = query.split_once("&msg_signature=").unwrap();
    let signature = query.strip_prefix("signature=").unwrap().split_once('&').unwrap().0;
    for wrong in
        [without.to_owned(), format!("{without}&msg_signature={signature}"), format!("{without}&msg_signature=")]
    {
        assert_eq!(channel.send(&wrong, body.to_owned()).await.status, 403, "{wrong}");
    }
    assert_eq!(gateway.metric(r#"wxgate_pushes_total{outcome="appid"}"#).await, 2);
    assert_eq!(gateway.metric(r#"wxgate_pushes_total{outcome="signature"}"#).await, 5);
    untouched(&person).await;
}

#[tokio::test]
async fn refuses_a_time_that_is_not_now() {
    let gateway = Gateway::dev().await;
    let channel = Channel::open(&gateway, "plain").await;
    let person = Person::new(&gateway).await;
    for mode in super::MODES {
        // Read anew for each: nothing here may depend on how long the ones before took.
        let now = gateway.simulator().seconds().await;
        for timestamp in [now - 301, now + 600, 0, 9_999_999_999] {
            let push = json!({ "message": person.event("user_info_modified"), "mode": mode, "timestamp": timestamp });
            channel.refused(push, 403, "Forbidden").await;
        }
    }
    untouched(&person).await;
    let now = gateway.simulator().seconds().await;
    let push = json!({ "message": person.event("user_info_modified"), "timestamp": now - 240 });
    channel.accepted(push).await;
}

/// The signature of a plaintext push says nothing of its body: whoever saw one must not send another under it.
#[tokio::test]
async fn refuses_a_time_and_nonce_that_were_used() {
    let gateway = Gateway::dev().await;
    let channel = Channel::open(&gateway, "plain").await;
    let person = Person::new(&gateway).await;
    let told = channel.accepted(json!({ "mode": "plain", "message": { "Event": "debug_demo" } })).await;
    let query = told["push"]["query"].as_str().unwrap();
    let forged = json!({ "MsgType": "event", "Event": "user_info_modified", "OpenID": person.openid }).to_string();
    let reply = channel.send(query, forged.clone()).await;
    assert_eq!((reply.status, reply.text.as_str()), (403, "Forbidden"));

    // Nor under that of a verification.
    let verified = gateway.simulator().verify_push(&json!({ "url": channel.url(), "token": channel.token })).await;
    assert_eq!(verified["verified"], true);
    let reply = channel.send(verified["query"].as_str().unwrap(), forged).await;
    assert_eq!((reply.status, reply.text.as_str()), (403, "Forbidden"));
    untouched(&person).await;
}

#[tokio::test]
async fn refuses_what_is_not_encrypted_where_encryption_was_asked_for() {
    let gateway = Gateway::dev().await;
    let channel = Channel::open(&gateway, "safe").await;
    let person = Person::new(&gateway).await;
    for mode in ["safe", "compatible"] {
        channel.mode(mode).await;
        for format in super::FORMATS {
            for message in [worst(&person), person.event("user_info_modified"), json!({ "Event": "debug_demo" })] {
                let push = json!({ "mode": "plain", "format": format, "message": message });
                channel.refused(push, 403, "Forbidden").await;
            }
        }
    }
    // Whoever says that it is encrypted must encrypt it, in any mode.
    channel.mode("plain").await;
    let written = channel.written("plain", &worst(&person)).await;
    let query = format!("{}&encrypt_type=aes", written["query"].as_str().unwrap());
    let reply = channel.send(&query, written["body"].as_str().unwrap().to_owned()).await;
    assert_eq!((reply.status, reply.text.as_str()), (403, "Forbidden"));
    untouched(&person).await;
}

#[tokio::test]
async fn refuses_what_is_meant_for_another_app() {
    let gateway = Gateway::dev().await;
    let channel = Channel::open(&gateway, "plain").await;
    let person = Person::new(&gateway).await;
    // In a frame of its own, but about the user of another.
    for mode in super::MODES {
        let mut message = person.event("user_info_modified");
        message["AppID"] = json!(OTHER_APP);
        channel.refused(json!({ "mode": mode, "message": message }), 403, "Forbidden").await;
    }
    // To an app that takes no pushes, to one that nobody knows, and to no app.
    for appid in [OTHER_APP, "wxnobody", "%20"] {
        let url = format!("{}/wechat/push/{appid}", gateway.client().base());
        channel.refused(json!({ "url": url, "message": worst(&person) }), 404, "Not Found").await;
        let asked = gateway.simulator().verify_push(&json!({ "url": url, "token": channel.token })).await;
        assert_eq!(asked["answer"], json!({ "status": 404, "body": "Not Found" }));
    }
    untouched(&person).await;
}

#[tokio::test]
async fn refuses_bodies_that_could_mean_anything() {
    let gateway = Gateway::dev().await;
    let channel = Channel::open(&gateway, "plain").await;
    let person = Person::new(&gateway).await;
    let openid = &person.openid;
    let laughs = "<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">";
    let event = format!("<MsgType>event</MsgType><Event>user_info_modified</Event><OpenID>{openid}</OpenID>");
    for body in [
        format!("<!DOCTYPE xml [{laughs}]><xml>{event}<A>&c;</A></xml>"),
        format!("<!DOCTYPE xml [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><xml>{event}<A>&f;</A></xml>"),
        format!("<!DOCTYPE xml SYSTEM \"http://127.0.0.1:1/a.dtd\"><xml>{event}</xml>"),
        format!("<xml>{event}<OpenID>oOther</OpenID></xml>"),
        format!("<xml>{event}"),
        format!(r#"{{"MsgType":"event","Event":"user_info_modified","OpenID":"{openid}","OpenID":"oOther"}}"#),
        "[]".to_owned(),
        String::new(),
        "[".repeat(60_000),
        "<a>".repeat(20_000),
    ] {
        let query = fresh_query(&channel).await;
        let reply = channel.send(&query, body.clone()).await;
        assert_eq!((reply.status, reply.text.as_str()), (400, "Bad Request"), "{body:.100}");
        assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    }
    let query = fresh_query(&channel).await;
    let long = format!("<xml>{event}<A>{}</A></xml>", "a".repeat(64 * 1024));
    let reply = channel.send(&query, long).await;
    assert_eq!((reply.status, reply.text.as_str()), (413, "Payload Too Large"));
    untouched(&person).await;
}

#[tokio::test]
async fn refuses_queries_with_two_meanings_or_none() {
    let gateway = Gateway::dev().await;
    let channel = Channel::open(&gateway, "plain").await;
    let body = json!({ "MsgType": "event", "Event": "debug_demo" }).to_string();
    let query = fresh_query(&channel).await;
    for wrong in [
        String::new(),
        query.replace("timestamp=", "time="),
        query.replace("nonce=", "once="),
        format!("{query}&nonce=1"),
        format!("{query}&timestamp=1700000000"),
        format!("{query}&echostr={}", "1".repeat(513)),
    ] {
        let reply = channel.send(&wrong, body.clone()).await;
        assert_eq!((reply.status, reply.text.as_str()), (400, "Bad Request"), "{wrong}");
    }
    // No echo without a signature, and none of what was not asked for.
    for wrong in [query.clone(), format!("{query}&echostr=1&echostr=2"), query.replace("signature=", "a=")] {
        let reply = gateway.client().get(&format!("/wechat/push/{APP}?{wrong}")).await;
        assert_eq!((reply.status, reply.text.as_str()), (400, "Bad Request"), "{wrong}");
    }
    let asked = json!({ "url": channel.url(), "token": channel.token, "wrong_signature": true });
    let asked = gateway.simulator().verify_push(&asked).await;
    assert_eq!(asked["answer"], json!({ "status": 403, "body": "Forbidden" }));
    let put =
        gateway.client().send(gateway.client().request(reqwest::Method::PUT, &format!("/wechat/push/{APP}"))).await;
    assert_eq!((put.status, put.text.as_str()), (405, "Method Not Allowed"));
}

/// A query with a signature that nobody has used.
async fn fresh_query(channel: &Channel<'_>) -> String {
    channel.written("plain", &json!({ "Event": "debug_demo" })).await["query"].as_str().unwrap().to_owned()
}
