//! What nodes called of WeChat: one sum for all, for some days, and as long as the app is there.

use std::time::Duration;

use tokio::task::JoinSet;
use wxgate_domain::{App, BeijingDay};
use wxgate_storage::{NewWechatCalls, Storage, WechatCalls};

use crate::support::{TestDatabase, app, tenant};

const DAY: Duration = Duration::from_hours(24);
const LOGIN: &str = "/sns/jscode2session";

fn new(app: &App, day: BeijingDay, interface: &'static str, outcome: &'static str, calls: u64) -> NewWechatCalls {
    NewWechatCalls { appid: app.appid.clone(), day, interface, outcome, calls }
}

async fn of(storage: &Storage, app: &App) -> Vec<WechatCalls> {
    storage.tenant(app.tenant).wechat_calls().of(app.id).await.unwrap()
}

fn sum(day: BeijingDay, interface: &str, outcome: &str, calls: u64) -> WechatCalls {
    WechatCalls { day, interface: interface.to_owned(), outcome: outcome.to_owned(), calls }
}

pub(crate) async fn what_two_nodes_called_is_one_sum(database: TestDatabase) {
    let (one, other) = (database.started().await, database.started().await);
    let acme = tenant(&one, "acme").await;
    let (shop, mall) = (app(&one, &acme, "wx1").await, app(&one, &acme, "wx2").await);
    let today = database.clock.now().beijing_day();
    let mut nodes = JoinSet::new();
    for storage in [&one, &other] {
        for _ in 0..8 {
            let calls = [
                new(&shop, today, LOGIN, "ok", 2),
                new(&mall, today, LOGIN, "ok", 1),
                new(&shop, today, LOGIN, "code_of_other_kind", 1),
                new(&shop, today, "/cgi-bin/stable_token", "ok", 1),
            ];
            let storage = storage.clone();
            nodes.spawn(async move { storage.wechat_calls().add(&calls).await });
        }
    }
    while let Some(added) = nodes.join_next().await {
        added.unwrap().unwrap();
    }
    let sums = [
        sum(today, "/cgi-bin/stable_token", "ok", 16),
        sum(today, LOGIN, "code_of_other_kind", 16),
        sum(today, LOGIN, "ok", 32),
    ];
    assert_eq!((of(&one, &shop).await, of(&other, &shop).await), (sums.to_vec(), sums.to_vec()));
    assert_eq!(of(&other, &mall).await, [sum(today, LOGIN, "ok", 16)]);
    one.stop().await;
    other.stop().await;
}

pub(crate) async fn calls_are_kept_for_seven_days_and_go_with_their_app(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let (shop, mall) = (app(&storage, &acme, "wx1").await, app(&storage, &umbrella, "wx2").await);
    let first = database.clock.now().beijing_day();
    let add = async |calls: &[NewWechatCalls]| storage.wechat_calls().add(calls).await.unwrap();
    // More than one statement takes, and an appid that is no app's: a platform's, say.
    let many = (0..600).map(|n| new(&mall, first.minus(n), LOGIN, "ok", 1));
    let nobody = NewWechatCalls { appid: "wx3".parse().unwrap(), ..new(&shop, first, LOGIN, "ok", 9) };
    add(&many.chain([nobody, new(&shop, first, LOGIN, "ok", 5)]).collect::<Vec<_>>()).await;
    assert_eq!((of(&storage, &shop).await.len(), of(&storage, &mall).await.len()), (1, 7));
    assert!(storage.tenant(umbrella.id).wechat_calls().of(shop.id).await.unwrap().is_empty());

    database.clock.advance(6 * DAY);
    let last = database.clock.now().beijing_day();
    add(&[new(&shop, last, LOGIN, "ok", 1)]).await;
    storage.sweep().await.unwrap();
    assert_eq!(of(&storage, &shop).await, [sum(last, LOGIN, "ok", 1), sum(first, LOGIN, "ok", 5)]);
    database.clock.advance(DAY);
    storage.sweep().await.unwrap();
    assert_eq!(of(&storage, &shop).await, [sum(last, LOGIN, "ok", 1)]);

    let tx = storage.begin().await.unwrap();
    tx.tenant(acme.id).apps().retire(&shop.appid).await.unwrap();
    tx.tenant(acme.id).apps().remove(&shop.appid).await.unwrap();
    tx.commit().await.unwrap();
    assert!(of(&storage, &shop).await.is_empty());
    add(&[new(&shop, last, LOGIN, "ok", 1)]).await;
    assert!(of(&storage, &shop).await.is_empty(), "an app that is gone is counted no more");
    storage.stop().await;
}
