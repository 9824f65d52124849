//! What a tenant's services hear of pushes.

use serde_json::{Value, json};

use super::channel::{Channel, Person};
use crate::harness::{APP, Gateway, Receiver};

#[tokio::test]
async fn what_is_done_is_told_and_what_is_not_known_here_is_forwarded() {
    let launch = Gateway::dev().env("WXGATE__WEBHOOKS__ALLOW_NETWORKS", "127.0.0.0/8");
    let gateway = launch.await;
    let channel = Channel::open(&gateway, "safe").await;
    let person = Person::new(&gateway).await;
    let receiver = Receiver::start().await;
    let kinds = ["push.forwarded", "user.authorization_revoked", "user.profile_cleared", "user.erased"];
    let mut add = gateway.remotely(["webhook", "add", "--tenant", "demo", "orders", &receiver.url()]);
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
    assert_eq!(forwarded["message"]["Content"], "你好]]>");
    let cleared = (json!("user.profile_cleared"), json!({ "user_id": person.id }));
    let revoked = json!({ "user_id": person.id, "appid": APP, "revoked": [1, 19] });
    let erased = json!({ "user_id": person.id, "cause": "withdrawal" });
    assert_eq!(told[1..], [cleared, (json!("user.authorization_revoked"), revoked), (json!("user.erased"), erased)]);
    // Neither twice, nor the ticket: either would have come before this.
    channel.accepted(json!({ "message": { "MsgType": "text", "Content": "last", "MsgId": 2 } })).await;
    let taken = receiver.taken(5).await;
    assert_eq!((taken.len(), &taken[4].event()["data"]["message"]["Content"]), (5, &json!("last")));
}
