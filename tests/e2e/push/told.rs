//! What a tenant's services hear of pushes.

use serde_json::{Value, json};

use super::channel::{Channel, Person};
use super::{FORMATS, MODES};
use crate::harness::receiver::Told;
use crate::harness::{APP, Gateway, Receiver};

#[tokio::test]
async fn what_is_done_is_told_and_what_is_not_known_here_is_forwarded() {
    let launch = Gateway::dev().env("WXGATE__WEBHOOKS__ALLOW_NETWORKS", "127.0.0.0/8");
    let gateway = launch.await;
    let channel = Channel::open(&gateway, "safe").await;
    let person = Person::new(&gateway).await;
    let receiver = Receiver::start().await;
    let kinds = ["push.forwarded", "user.authorization_revoked", "user.profile_cleared", "user.erased"];
    let mut add = gateway.remote(["webhook", "add", "--tenant", "demo", "orders", &receiver.url()]);
    for kind in kinds {
        add = add.argument("--event").argument(kind);
    }
    add.run().await.ok();

    let text = json!({ "MsgType": "text", "Content": "你好]]>", "MsgId": 1, "FromUserName": person.openid });
    channel.accepted(json!({ "message": text, "format": "xml", "times": 2 })).await;
    channel.accepted(json!({ "message": person.revoke("1,19") })).await;
    // What is not told by then is forgotten with the person.
    receiver.taken(3).await;
    channel.accepted(json!({ "message": person.event("user_authorization_cancellation") })).await;
    // A ticket that went astray is a secret.
    let ticket = json!({ "InfoType": "component_verify_ticket", "ComponentVerifyTicket": "ticket@@@a", "AppId": APP });
    channel.accepted(json!({ "message": ticket })).await;

    let taken = receiver.taken(4).await;
    let told: Vec<(Value, Value)> =
        taken.iter().map(|told| (told.event()["type"].clone(), told.event()["data"].clone())).collect();
    let (kind, forwarded) = &told[0];
    assert_eq!((kind, &forwarded["appid"], &forwarded["user_id"]), (&json!("push.forwarded"), &json!(APP), &person.id));
    assert_eq!((&forwarded["message"]["Content"], &forwarded["proved"]), (&json!("你好]]>"), &json!(true)));
    let cleared = (json!("user.profile_cleared"), json!({ "user_id": person.id }));
    let revoked = json!({ "user_id": person.id, "appid": APP, "revoked": [1, 19] });
    let erased = json!({ "user_id": person.id, "cause": "withdrawal" });
    assert_eq!(told[1..], [cleared, (json!("user.authorization_revoked"), revoked), (json!("user.erased"), erased)]);
    // Neither twice, nor the ticket: either would have come before this.
    channel.accepted(json!({ "message": { "MsgType": "text", "Content": "last", "MsgId": 2 } })).await;
    let taken = receiver.taken(5).await;
    assert_eq!((taken.len(), &taken[4].event()["data"]["message"]["Content"]), (5, &json!("last")));
}

/// What came in clear may be anybody's word, and whoever is told of it is told so.
#[tokio::test]
async fn every_message_is_forwarded_in_every_mode_and_format_and_says_whether_it_is_proved() {
    let gateway = Gateway::dev().env("WXGATE__WEBHOOKS__ALLOW_NETWORKS", "127.0.0.0/8").await;
    let channel = Channel::open(&gateway, "plain").await;
    let person = Person::new(&gateway).await;
    let receiver = Receiver::start().await;
    let add = ["webhook", "add", "--tenant", "demo", "pushes", &receiver.url(), "--event", "push.forwarded"];
    gateway.remote(add).run().await.ok();
    let mut sent = Vec::new();
    for mode in MODES {
        for format in FORMATS {
            for message in [
                json!({ "MsgType": "event", "Event": "debug_demo", "debug_str": format!("{mode} {format}") }),
                json!({ "MsgType": "text", "Content": "你好", "MsgId": 1_000 + sent.len(), "FromUserName": person.openid }),
                json!({
                    "MsgType": "event", "Event": "user_enter_tempsession", "FromUserName": "oNobodyHere",
                    "SessionFrom": format!("{mode} {format}"),
                }),
                json!({ "MsgType": "event", "Event": "wxa_media_check", "trace_id": format!("{mode} {format}") }),
            ] {
                channel.accepted(json!({ "mode": mode, "format": format, "message": message })).await;
                let about = if message["FromUserName"] == person.openid { person.id.clone() } else { Value::Null };
                sent.push((mode != "plain", about, message));
            }
        }
    }
    let taken = receiver.taken(sent.len()).await;
    assert_eq!(taken.len(), sent.len());
    for (told, (proved, about, message)) in taken.iter().zip(&sent) {
        let data = told.event()["data"].clone();
        assert_eq!((&data["proved"], &data["user_id"], &data["appid"]), (&json!(proved), about, &json!(APP)), "{data}");
        for field in ["MsgType", "Event", "Content", "debug_str", "SessionFrom", "trace_id"] {
            assert_eq!(data["message"].get(field), message.get(field), "{data}");
        }
    }
}

/// Somebody who never logged in is a person too.
#[tokio::test]
async fn what_was_forwarded_of_somebody_unknown_is_forgotten_when_they_are_gone() {
    let launch = Gateway::dev().env("WXGATE__WEBHOOKS__ALLOW_NETWORKS", "127.0.0.0/8");
    let gateway = launch.env("WXGATE__WEBHOOKS__FIRST_RETRY_MS", "20").await;
    let channel = Channel::open(&gateway, "plain").await;
    let receiver = Receiver::start().await;
    let add = ["webhook", "add", "--tenant", "demo", "pushes", &receiver.url(), "--json"];
    let hook = gateway.remote(add).run().await.json()["id"].as_str().unwrap().to_owned();
    receiver.answer("503 Down");
    let said = |says: &str| json!({ "MsgType": "text", "Content": says, "FromUserName": "oNobodyHere" });
    channel.accepted(json!({ "message": said("to be forgotten") })).await;
    let gone = json!({ "Event": "user_authorization_cancellation", "OpenID": "oNobodyHere", "AppID": APP });
    let erased = async || {
        let receipts = gateway.operator().get(&format!("/webhooks/{hook}/deliveries?state=erased")).await.ok();
        receipts["items"].as_array().unwrap().len()
    };
    // In clear it is nobody's proven word.
    channel.accepted(json!({ "message": gone, "mode": "plain" })).await;
    assert_eq!(erased().await, 0);
    channel.accepted(json!({ "message": gone })).await;
    assert_eq!(erased().await, 1);
    channel.accepted(json!({ "message": said("later") })).await;
    // An attempt that was under way goes on, but once the later message was tried there is none.
    let content = |told: &Told| told.event()["data"]["message"]["Content"].clone();
    while !receiver.told().iter().any(|told| content(told) == "later") {
        receiver.tried(receiver.told().len() + 1).await;
    }
    receiver.answer("200 OK");
    let taken = receiver.taken(1).await;
    assert_eq!(content(&taken[0]), "later");
}
