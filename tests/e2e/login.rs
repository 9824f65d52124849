//! A login.

use crate::harness::database::{Engine, TestDatabase};
use crate::harness::wechat::Wechat;
use crate::harness::{APP, Client, Gateway, Reply, Simulator, jwt};

async fn first(client: &Client, simulator: &Simulator) -> Reply {
    let issued = simulator.code(APP).await;
    client.login_with(APP, &issued.code).await
}

#[tokio::test]
async fn smoke_dev() {
    let mut gateway = Gateway::dev().await;
    let reply = first(gateway.client(), gateway.simulator()).await.ok();
    jwt::verify(&gateway, "demo", APP, &reply["access_token"]).await.unwrap();
    gateway.restart().await;
    let again = first(gateway.client(), gateway.simulator()).await.ok();
    jwt::verify(&gateway, "demo", APP, &again["access_token"]).await.unwrap();
    assert!(gateway.terminate().await.success());
    assert!(gateway.log().contains("stopped"));
}

#[tokio::test]
async fn smoke_serve() {
    let mut gateway = Gateway::serve(TestDatabase::create(Engine::Sqlite).await.unwrap()).await;
    let reply = first(gateway.client(), gateway.simulator()).await.ok();
    jwt::verify(&gateway, "demo", APP, &reply["access_token"]).await.unwrap();
    gateway.kill9();
    gateway.restart().await;
    first(gateway.client(), gateway.simulator()).await.ok();
    assert_eq!(gateway.metric("wxgate_logins_total{outcome=\"success\"}").await, 1);
}

#[tokio::test]
async fn smoke_handwritten() {
    let wechat = Wechat::of_person("oHandmade").await;
    let gateway = Gateway::dev().wechat_url(wechat.url()).await;
    gateway.client().login_with(APP, "abc").await.ok();
    assert_eq!(wechat.calls(), 1, "{:?}", wechat.requests());
}
