//! A database that is slow: WeChat gets an answer in its five seconds all the same, and what was begun goes on.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, Database, TransactionTrait};

use super::channel::{Channel, Person};
use crate::harness::{APP, Gateway, PATIENCE, within};

/// What the gateway needs at least if it waits for the database twice.
const TWICE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn wechat_is_answered_before_it_hangs_up_and_what_was_begun_is_done() {
    let gateway = Gateway::dev().await;
    let channel = Channel::open(&gateway, "safe").await;
    let person = Person::new(&gateway).await;
    let push = channel.written("safe", &person.event("user_authorization_cancellation")).await;
    let (query, body) = (push["query"].as_str().unwrap(), push["body"].as_str().unwrap().to_owned());

    // Somebody else writes, and does not come to an end.
    let file = format!("sqlite://{}", gateway.data().join("wxgate.db").display());
    let other = Database::connect(file).await.unwrap();
    let writing = other.begin().await.unwrap();
    writing.execute_unprepared("UPDATE tenant SET name = name").await.unwrap();
    let asked = Instant::now();
    let reply = channel.send(query, body.clone()).await;
    assert_eq!((reply.status, reply.text.as_str()), (503, "Service Unavailable"));
    assert!(asked.elapsed() < TWICE, "{:?}", asked.elapsed());
    assert_eq!(reply.header("retry-after"), "1");
    writing.rollback().await.unwrap();
    other.close().await.unwrap();

    // Nobody has to ask again for it to be done; who does is told that it is.
    let id = person.id.as_str().unwrap();
    within(PATIENCE, "the person is erased", async || {
        (gateway.operator().get(&format!("/users/{id}?tenant=demo")).await.status == 404).then_some(())
    })
    .await;
    let again = channel.send(query, body).await;
    assert_eq!((again.status, again.text.as_str()), (200, "success"));
    let login = gateway.simulator().code_of(APP, &person.openid).await;
    let login = gateway.client().login_with(APP, &login.code).await.ok();
    assert_eq!(login["user"]["is_new"], true);
}
