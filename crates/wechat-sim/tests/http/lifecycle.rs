//! Start and stop.

use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;
use wxgate_wechat_sim::{SimulatedApp, Simulator, SimulatorConfig, StartError};

use crate::harness::{APP, Sim, config};

#[tokio::test(flavor = "multi_thread")]
async fn stop_is_prompt_even_while_an_answer_waits() {
    let sim = Sim::start().await;
    let code = sim.code(json!({"appid": APP})).await;
    sim.fault(json!({"kind": "latency", "delay_ms": 60_000})).await;
    let address = sim.simulator.address();
    let mut waiting = TcpStream::connect(address).await.unwrap();
    let query = format!("appid={APP}&js_code={code}");
    let request = format!("GET /sns/jscode2session?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut waiting, request.as_bytes()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), sim.simulator.stop()).await.expect("prompt");
    TcpStream::connect(address).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn start_and_stop_may_run_in_spawned_tasks() {
    let simulator = tokio::spawn(Simulator::start(config())).await.unwrap().unwrap();
    let address = simulator.address();
    tokio::spawn(simulator.stop()).await.unwrap();
    TcpStream::connect(address).await.unwrap_err();
}

#[test]
fn a_runtime_of_one_thread_will_do() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let sim = Sim::start().await;
        assert_eq!(sim.get("/sim/health").await["status"], "ok");
        sim.simulator.stop().await;
    });
}

#[actix_web::test]
async fn an_actix_runtime_will_do() {
    let sim = Sim::start().await;
    assert_eq!(sim.get("/sim/health").await["status"], "ok");
    sim.simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stand_side_by_side_and_know_nothing_of_each_other() {
    let (one, other) = (Sim::start().await, Sim::start().await);
    assert_ne!(one.simulator.address(), other.simulator.address());
    let code = one.code(json!({"appid": APP})).await;
    assert_eq!(other.exchange(APP, &code).await["errcode"], 40029);
    let taken = Simulator::start(SimulatorConfig { listen: one.simulator.address(), ..config() }).await;
    assert!(matches!(taken.unwrap_err(), StartError::Listen { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_out_of_debug_and_errors() {
    let app = SimulatedApp { appid: "wxA".into(), secret: "canary secret".into(), union_group: None };
    let config = SimulatorConfig { apps: vec![app], ..config() };
    assert!(!format!("{config:?}").contains("canary"));
    let error = Simulator::start(config).await.unwrap_err();
    assert!(matches!(error, StartError::InvalidApp { index: 0, .. }));
    assert!(!format!("{error} {error:?}").contains("canary"));
}
