//! What an app called of WeChat is one sum, whichever gateway called, and outlives all of them.

use super::counted;
use crate::harness::database::{Engine, TestDatabase};
use crate::harness::{APP, Client, Gateway, PATIENCE, SecondGateway, within};

const LOGIN: &str = "/sns/jscode2session";

/// The stories as tests of one engine's module, which is how a run of one engine finds them.
macro_rules! on {
    ($($module:ident $engine:expr;)*) => {$(
        mod $module {
            use super::Engine;

            #[tokio::test]
            async fn what_two_gateways_called_is_one_sum() {
                super::what_two_gateways_called_is_one_sum($engine).await;
            }
        }
    )*};
}

on! {
    postgres Engine::Postgres;
    mysql Engine::MySql;
}

/// So many people log in.
async fn log_in(gateway: &Gateway, at: &Client, people: usize) {
    for _ in 0..people {
        let issued = gateway.simulator().code(APP).await;
        at.login_with(APP, &issued.code).await.ok();
    }
}

/// Logins by the database alone, whichever gateways run.
async fn logins(gateway: &Gateway) -> u64 {
    counted(&gateway.command(["app", "calls", APP, "--json"]).run().await.json(), LOGIN, "ok")
}

async fn what_two_gateways_called_is_one_sum(engine: Engine) {
    let Some(database) = TestDatabase::create(engine).await else { return };
    let mut gateway = Gateway::serve(database).await;
    let mut second = SecondGateway::beside(&gateway).await;
    log_in(&gateway, gateway.client(), 3).await;
    log_in(&gateway, second.client(), 4).await;
    within(PATIENCE, "both have written down what they called", async || (logins(&gateway).await == 7).then_some(()))
        .await;

    // One that stops writes its last calls down; one that is killed takes with it what it has not, and no more.
    log_in(&gateway, second.client(), 2).await;
    second.terminate().await;
    assert_eq!(logins(&gateway).await, 9);
    gateway.kill9();
    assert_eq!(logins(&gateway).await, 9);
    gateway.restart().await;
    log_in(&gateway, gateway.client(), 1).await;
    gateway.terminate().await;
    assert_eq!(logins(&gateway).await, 10);
}

#[tokio::test]
async fn a_gateway_knows_its_own_calls_at_once_and_those_before_its_start() {
    let mut gateway = Gateway::dev().await;
    let told = async |gateway: &Gateway| gateway.operator().get(&format!("/apps/{APP}/wechat-calls")).await.ok();
    for people in 1..=3 {
        log_in(&gateway, gateway.client(), 1).await;
        let calls = told(&gateway).await;
        assert_eq!(counted(&calls, LOGIN, "ok"), people, "{calls}");
    }
    gateway.terminate().await;
    gateway.restart().await;
    assert_eq!(counted(&told(&gateway).await, LOGIN, "ok"), 3);
    log_in(&gateway, gateway.client(), 1).await;
    let calls = told(&gateway).await;
    assert_eq!(counted(&calls, LOGIN, "ok"), 4, "{calls}");
    assert_eq!(calls["calls"][0]["day"].as_str().unwrap().len(), "2026-11-22".len());
}
