//! Junk from many addresses, and more than an app may have.

use sea_orm::{ConnectionTrait, Database};
use tokio::task::JoinSet;

use super::{limited, machine};
use crate::harness::database::{Engine, TestDatabase};
use crate::harness::{APP, Gateway, OTHER_APP};

/// Rejected codes after which an address is suspect.
const SUSPECT_AT: usize = 5;

#[tokio::test]
async fn junk_codes_from_many_addresses_leave_real_logins_alone() {
    const ADDRESSES: u8 = 40;
    let gateway = Gateway::dev().env("WXGATE__LIMITS__SUSPECT_PERCENT", "1").await;
    let simulator = gateway.simulator();

    let mut flood = JoinSet::new();
    for number in 0..ADDRESSES {
        let client = gateway.client().sent_from(machine(100 + number));
        flood.spawn(async move {
            let (mut rejected, mut shed) = (0, 0);
            for junk in 0..30 {
                let reply = client.login_with(APP, &format!("junk-{number}-{junk}")).await;
                if reply.status == 400 {
                    rejected += 1;
                } else {
                    limited(&reply);
                    shed += 1;
                }
            }
            (rejected, shed)
        });
    }
    // Real people, one after another, while it rains.
    let real = gateway.client().sent_from(machine(1));
    for _ in 0..20 {
        let issued = simulator.code(APP).await;
        real.login_with(APP, &issued.code).await.ok();
        let issued = simulator.code(OTHER_APP).await;
        real.login_with(OTHER_APP, &issued.code).await.ok();
    }
    let (rejected, shed) = flood.join_all().await.into_iter().fold((0, 0), |sum, (r, s)| (sum.0 + r, sum.1 + s));
    assert!(rejected >= SUSPECT_AT * usize::from(ADDRESSES), "{rejected} rejected");
    assert!(shed > rejected, "{shed} of {} never reached WeChat", shed + rejected);
    let exchanged = gateway.metric(r#"wxgate_wechat_calls_total{api="jscode2session",class="code_invalid"}"#).await;
    assert_eq!(exchanged, rejected as u64, "what was shed cost no call");
}

#[tokio::test]
async fn an_app_has_its_share_and_its_neighbour_another() {
    let mut gateway = Gateway::serve(TestDatabase::create(Engine::Sqlite).await.unwrap()).await;
    gateway.terminate().await;
    // No command sets an app's policy yet, and the default is more than a test can send.
    let url = format!("sqlite://{}", gateway.data().join("wxgate.db").display());
    let connection = Database::connect(url).await.unwrap();
    let policy = r#"{"version":1,"requests_per_second":1,"request_burst":5}"#;
    let statement = format!("UPDATE app SET policy = '{policy}' WHERE appid = CAST('{APP}' AS BLOB)");
    assert_eq!(connection.execute_unprepared(&statement).await.unwrap().rows_affected(), 1);
    connection.close().await.unwrap();
    gateway.restart().await;

    let (client, simulator) = (gateway.client(), gateway.simulator());
    let mut refused = None;
    for number in 0..100 {
        let issued = simulator.code(APP).await;
        let reply = client.sent_from(machine(number)).login_with(APP, &issued.code).await;
        if reply.status != 200 {
            assert!(number >= 5, "only {number} logins");
            limited(&reply);
            refused = Some(issued);
            break;
        }
    }
    let refused = refused.expect("a hundred logins were not too many");
    let exchanges = simulator.exchanges().await;
    let issued = simulator.code(OTHER_APP).await;
    client.login_with(OTHER_APP, &issued.code).await.ok();
    assert_eq!(simulator.exchanges().await, exchanges + 1);

    // A refused code was not sent, so it is still good.
    let reply = crate::harness::within(crate::harness::PATIENCE, "the app has its next turn", async || {
        let reply = client.login_with(APP, &refused.code).await;
        (reply.status == 200).then_some(reply)
    });
    assert_eq!(reply.await.ok()["user"]["openid"], refused.openid);
}
