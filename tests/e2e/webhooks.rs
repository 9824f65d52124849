//! Webhooks: a tenant's services are told of what happens, signed, in order, and again until they take it.

mod forbidden;
mod operators;

use serde_json::{Value, json};

use crate::harness::database::{Engine, TestDatabase};
use crate::harness::gateway::Launch;
use crate::harness::{APP, Gateway, PATIENCE, Receiver, within};

/// A gateway that does not make a test wait for the second attempt.
pub(crate) fn quick(launch: Launch) -> Launch {
    launch.env("WXGATE__WEBHOOKS__FIRST_RETRY_MS", "20").env("WXGATE__WEBHOOKS__ALLOW_NETWORKS", "127.0.0.0/8")
}

/// A webhook of the demo tenant, as it was made.
pub(crate) struct Made {
    id: String,
    secret: String,
}

pub(crate) async fn add(gateway: &Gateway, name: &str, url: &str, events: &[&str]) -> Made {
    let mut add = gateway.command(["webhook", "add", "--tenant", "demo", name, url, "--json"]);
    for event in events {
        add = add.argument("--event").argument(event);
    }
    let made = add.run().await.json();
    let text = |key: &str| made[key].as_str().unwrap().to_owned();
    Made { id: text("id"), secret: text("secret") }
}

/// Logs somebody in; the whole reply.
async fn log_in(gateway: &Gateway, openid: &str) -> Value {
    let issued = gateway.simulator().code_of(APP, openid).await;
    gateway.client().login_with(APP, &issued.code).await.ok()
}

async fn log_out(gateway: &Gateway, login: &Value) {
    let request = gateway.client().request(reqwest::Method::POST, "/v1/logout").json(&json!({ "scope": "this" }));
    let request = request.bearer_auth(login["access_token"].as_str().unwrap());
    gateway.client().send(request).await.ok();
}

#[tokio::test]
async fn a_login_a_logout_and_an_erasure_are_told_once_signed_and_in_order() {
    let gateway = quick(Gateway::dev()).await;
    let receiver = Receiver::start().await;
    let made = add(&gateway, "orders", &receiver.url(), &[]).await;
    let ada = log_in(&gateway, "oAda").await;
    log_out(&gateway, &ada).await;
    let again = log_in(&gateway, "oAda").await;
    let id = ada["user"]["id"].as_str().unwrap();
    // What is not told by then is never told: it is forgotten with the user.
    receiver.taken(2).await;
    written_down(&gateway, 2).await;
    gateway.operator().delete(&format!("/users/{id}?tenant=demo")).await.ok();

    let taken = receiver.taken(4).await;
    for told in &taken {
        told.is_signed_with(&[&made.secret]);
        assert_eq!(told.headers["content-type"], "application/json");
    }
    let events: Vec<_> =
        taken.iter().map(|told| (told.event()["type"].clone(), told.event()["data"].clone())).collect();
    let ended = |login: &Value, reason: &str| {
        let data = json!({ "session_id": login["session_id"], "user_id": id, "reason": reason });
        (json!("session.ended"), data)
    };
    assert_eq!(
        events,
        [
            (json!("user.created"), json!({ "user_id": id, "appid": APP })),
            ended(&ada, "logout"),
            ended(&again, "erased"),
            (json!("user.erased"), json!({ "user_id": id, "cause": "operator" })),
        ]
    );
    written_down(&gateway, 4).await;
    // One more: whatever was told twice would have come before it.
    log_in(&gateway, "oEve").await;
    let taken = receiver.taken(5).await;
    assert_eq!((taken.len(), taken[4].event()["type"].clone()), (5, json!("user.created")), "each is told once");
}

/// Waits until so many deliveries are written down: the receiver has them a moment earlier.
async fn written_down(gateway: &Gateway, count: u64) {
    within(PATIENCE, "deliveries are written down", async || {
        (gateway.metric("wxgate_webhook_deliveries_total").await == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_fails_is_told_again_until_it_takes_it_under_the_same_id() {
    let gateway = quick(Gateway::dev()).await;
    let receiver = Receiver::start().await;
    let made = add(&gateway, "orders", &receiver.url(), &["user.created"]).await;
    receiver.answer_first(&["500 Oops", "503 Busy", "404 Not Found", "429 Slow"]);
    log_in(&gateway, "oAda").await;
    let taken = receiver.taken(1).await;
    let told = receiver.told();
    assert_eq!(told.iter().map(|told| told.status).collect::<Vec<_>>(), [500, 503, 404, 429, 204]);
    for attempt in &told {
        assert_eq!((&attempt.headers["webhook-id"], &attempt.body), (&taken[0].headers["webhook-id"], &taken[0].body));
        attempt.is_signed_with(&[&made.secret]);
    }
    let receipts = gateway.operator().get(&format!("/webhooks/{}/deliveries", made.id)).await.ok();
    let receipt = within(PATIENCE, "it is written down", async || {
        let receipts = gateway.operator().get(&format!("/webhooks/{}/deliveries", made.id)).await.ok();
        Some(receipts["items"][0].clone()).filter(|receipt| receipt["state"] == "delivered")
    });
    let receipt = receipt.await;
    assert_eq!((receipt["attempts"].clone(), receipt["last_status"].clone()), (json!(5), json!(204)));
    assert_eq!(receipts["items"].as_array().unwrap().len(), 1);
}

/// Shows a phone number of a user; what is answered.
async fn show_phone(gateway: &Gateway, login: &Value, number: &str, moves: bool) -> Value {
    let code = gateway.simulator().phone_code_of(APP, login["user"]["openid"].as_str().unwrap(), number).await;
    let proof = gateway.simulator().code_of(APP, login["user"]["openid"].as_str().unwrap()).await.code;
    let body = json!({ "phoneCode": code, "move": moves, "code": proof });
    let request = gateway.client().request(reqwest::Method::POST, "/v1/me/phone").json(&body);
    gateway.client().send(request.bearer_auth(login["access_token"].as_str().unwrap())).await.ok()
}

#[tokio::test]
async fn what_becomes_of_phone_numbers_and_of_two_users_who_are_one_is_told() {
    let gateway = quick(Gateway::dev()).await;
    let receiver = Receiver::start().await;
    let kinds = ["user.phone_bound", "user.phone_leaving", "user.merged", "user.unmerged"];
    add(&gateway, "people", &receiver.url(), &kinds).await;
    let (ada, eve) = (log_in(&gateway, "oAda").await, log_in(&gateway, "oEve").await);
    let [first, second] = [&ada, &eve].map(|login| login["user"]["id"].clone());
    show_phone(&gateway, &ada, "13800138000", false).await;
    show_phone(&gateway, &eve, "13800138000", true).await;
    let merge = json!({ "tenant": "demo", "user": second, "into": first });
    let merge = gateway.operator().post("/merges", &merge).await.json()["id"].clone();
    let undo = format!("/merges/{}/undo", merge.as_str().unwrap());
    gateway.operator().post(&undo, &json!({ "tenant": "demo" })).await.ok();

    let told = receiver.taken(4).await;
    let told: Vec<_> = told.iter().map(|told| (told.event()["type"].clone(), told.event()["data"].clone())).collect();
    assert_eq!(told.iter().map(|(kind, _)| kind).collect::<Vec<_>>(), kinds);
    let [(_, bound), (_, leaving), (_, merged), (_, unmerged)] = <[_; 4]>::try_from(told).unwrap();
    assert_eq!(bound, json!({ "user_id": first }));
    assert_eq!((&leaving["user_id"], leaving["leaves_at"].is_string()), (&first, true));
    assert_eq!(merged, json!({ "user_id": second, "into_user_id": first, "merge_id": merge }));
    assert_eq!(unmerged, json!({ "user_id": second, "from_user_id": first, "merge_id": merge }));
}

#[tokio::test]
async fn a_receiver_that_was_down_gets_everything_in_its_order() {
    let gateway = quick(Gateway::dev()).await;
    let receiver = Receiver::start().await;
    add(&gateway, "orders", &receiver.url(), &["user.created"]).await;
    receiver.answer("503 Down");
    let mut users = Vec::new();
    for person in 0..12 {
        users.push(log_in(&gateway, &format!("oPerson{person}")).await["user"]["id"].clone());
    }
    receiver.tried(3).await;
    receiver.answer("200 OK");
    let taken = receiver.taken(12).await;
    let mut told: Vec<_> = taken.iter().map(|told| told.event()["data"]["user_id"].clone()).collect();
    // The one by which it was seen that the receiver is back may have come first.
    let place = users.iter().position(|user| *user == told[0]).unwrap();
    let first = told.remove(0);
    told.insert(place, first);
    assert_eq!(told, users);
}

#[tokio::test]
async fn what_a_user_was_about_is_forgotten_with_them_before_it_was_told() {
    let gateway = quick(Gateway::dev()).await;
    let receiver = Receiver::start().await;
    let made = add(&gateway, "orders", &receiver.url(), &[]).await;
    receiver.answer("503 Down");
    let ada = log_in(&gateway, "oAda").await;
    receiver.tried(1).await;
    let id = ada["user"]["id"].as_str().unwrap();
    gateway.operator().delete(&format!("/users/{id}?tenant=demo")).await.ok();
    // What was on its way by then has come once another event was tried.
    let tried = within(PATIENCE, "what is told next is about the erasure", async || {
        let told = receiver.told();
        (told.last()?.event()["type"] != "user.created").then_some(told.len())
    });
    let before = tried.await;
    receiver.answer("200 OK");
    let taken = receiver.taken(2).await;
    let kinds: Vec<_> = taken.iter().map(|told| told.event()["type"].clone()).collect();
    assert_eq!(kinds, ["session.ended", "user.erased"], "after {before} attempts");
    let receipts = gateway.operator().get(&format!("/webhooks/{}/deliveries?state=erased", made.id)).await.ok();
    let erased = &receipts["items"][0];
    assert_eq!((&erased["kind"], receipts["items"].as_array().unwrap().len()), (&json!("user.created"), 1));
    let replay = json!({ "event": erased["event"] });
    gateway.operator().post(&format!("/webhooks/{}/replay", made.id), &replay).await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn what_was_committed_before_a_kill_is_told_after_it() {
    let Some(database) = TestDatabase::create(Engine::Sqlite).await else { return };
    let mut gateway = quick(Gateway::serve(database)).await;
    let receiver = Receiver::start().await;
    add(&gateway, "orders", &receiver.url(), &["user.created"]).await;
    receiver.answer("503 Down");
    let mut users = Vec::new();
    for person in 0..5 {
        users.push(log_in(&gateway, &format!("oPerson{person}")).await["user"]["id"].clone());
    }
    gateway.kill9();
    receiver.answer("200 OK");
    gateway.restart().await;
    let mut told: Vec<_> = Vec::new();
    within(PATIENCE, "everybody who was answered is told of", async || {
        told = receiver
            .told()
            .iter()
            .filter(|told| told.status == 200)
            .map(|told| told.event()["data"]["user_id"].clone())
            .collect();
        users.iter().all(|user| told.contains(user)).then_some(())
    })
    .await;
}
