//! Who is refused, and what is too large.

use std::net::SocketAddr;

use reqwest::Method;
use serde_json::json;
use wxgate_wechat_sim::{Simulator, SimulatorConfig, StartError};

use crate::harness::{APP, Sim, config};

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// One request over a connection of its own.
async fn get(sim: &Sim, target: &str, headers: &str) -> u16 {
    status(&sim.raw(&format!("GET {target} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n")).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_hosts_and_web_pages_are_refused_everywhere() {
    let sim = Sim::start().await;
    for (path, allowed) in
        [("/sim/health", 200), ("/sns/jscode2session", 200), ("/nowhere", 404), ("/sim/nowhere", 404)]
    {
        for (headers, expected) in [
            ("Host: localhost\r\n", allowed),
            ("Host: 127.0.0.1:1\r\n", allowed),
            ("Host: [::1]:8082\r\n", allowed),
            ("Host: wechat.example.com\r\n", 403),
            ("Host: 192.168.0.1\r\n", 403),
            ("Host: \r\n", 403),
            // The server itself refuses HTTP/1.1 without a Host (RFC 9112, section 3.2).
            ("", 400),
            ("Host: localhost\r\nX-Forwarded-Host: localhost\r\nOrigin: http://localhost\r\n", 403),
            ("Host: localhost\r\nOrigin: null\r\n", 403),
            ("Host: wechat.example.com\r\nX-Forwarded-Host: localhost\r\nForwarded: host=localhost\r\n", 403),
        ] {
            assert_eq!(get(&sim, path, headers).await, expected, "{path} {headers}");
        }
    }
    assert_eq!(get(&sim, "http://wechat.example.com/sim/health", "Host: localhost\r\n").await, 403);
    assert_eq!(status(&sim.raw("GET /sim/health HTTP/1.0\r\n\r\n").await), 403);
    let twice = get(&sim, "/sim/health", "Host: localhost\r\nHost: wechat.example.com\r\n").await;
    assert!([400, 403].contains(&twice), "{twice}");
    assert_eq!(sim.get("/sim/journal").await["total"], 3, "what is refused is not a call");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_loopback_unless_exposed() {
    let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
    for foreign in [everywhere, "[::]:0".parse().unwrap(), "192.0.2.1:0".parse().unwrap()] {
        let refused = Simulator::start(SimulatorConfig { listen: foreign, ..config() }).await;
        assert!(matches!(refused.unwrap_err(), StartError::NotLoopback(address) if address == foreign));
    }
    let mut sim = Sim::start().await;
    let exposed = SimulatorConfig { listen: everywhere, expose: true, ..config() };
    sim.simulator = Simulator::start(exposed).await.unwrap();
    assert!(sim.simulator.url().starts_with("http://127.0.0.1:"));
    assert_eq!(sim.get("/sim/health").await["status"], "ok");
    let address = format!("127.0.0.1:{}", sim.simulator.address().port());
    let ask = async |headers: &str| {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let request = format!("GET /sim/health HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        status(&answer)
    };
    assert_eq!(ask("Host: simulator.example.com\r\n").await, 200);
    assert_eq!(ask("Host: simulator.example.com\r\nOrigin: http://simulator.example.com\r\n").await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded() {
    let sim = Sim::start().await;
    for path in ["/sim/codes", "/sim/encrypt", "/sim/faults", "/sim/apps"] {
        let large = json!({"appid": APP, "openid": "o".repeat(64 * 1024)});
        let (status, error) = sim.refused(Method::POST, path, Some(large)).await;
        assert_eq!(status, 413, "{error}");
    }
    // The same limit holds where no length is announced.
    let chunk = format!("{:x}\r\n{}\r\n", 40_000, " ".repeat(40_000));
    let chunked = format!(
        "POST /sim/codes HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{chunk}{chunk}0\r\n\r\n"
    );
    assert_eq!(status(&sim.raw(&chunked).await), 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_are_html_for_wechat_and_json_for_steering() {
    let sim = Sim::start().await;
    let answer = sim.raw("GET /wxa/nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&answer), 404);
    assert!(answer.contains("text/html") && answer.contains("<html>"));
    assert_eq!(sim.refused(Method::GET, "/sim/nowhere", None).await.0, 404);
    assert_eq!(sim.refused(Method::GET, "/sim/codes", None).await.0, 405);
}
