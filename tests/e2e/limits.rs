//! What is refused before it costs anything: too much from one address, for one app, of one person; too large, too slow.

mod floods;
mod slow;

use std::net::Ipv4Addr;

use reqwest::Method;

use crate::harness::gateway::Launch;
use crate::harness::{APP, Client, Gateway, OTHER_APP, Reply};

/// Another machine, as the gateway sees it.
fn machine(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 7, number)
}

/// Six requests at once, and one more each second.
fn strict() -> Launch {
    Gateway::dev().env("WXGATE__LIMITS__ADDRESS_PER_SECOND", "1").env("WXGATE__LIMITS__ADDRESS_BURST", "6")
}

const KEYS: &str = "/t/demo/jwks.json";

async fn forwarded(client: &Client, for_whom: &str) -> Reply {
    client.send(client.request(Method::GET, KEYS).header("X-Forwarded-For", for_whom)).await
}

/// Asks until an address is refused; returns how often it was answered.
async fn exhaust(client: &Client) -> usize {
    for answered in 0..200 {
        if client.get(KEYS).await.status == 429 {
            return answered;
        }
    }
    panic!("two hundred requests were not too many");
}

#[track_caller]
fn limited(reply: &Reply) {
    limited_to(reply, "wait");
}

#[track_caller]
fn limited_to(reply: &Reply, action: &str) {
    let problem = reply.refused(429, "RATE_LIMITED");
    assert_eq!(problem["action"], action);
    let seconds: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(problem["retry_after"], seconds);
}

#[tokio::test]
async fn an_address_has_its_share_and_others_have_theirs() {
    let gateway = strict().await;
    let [greedy, modest] = [1, 2].map(|number| gateway.client().sent_from(machine(number)));
    assert!(exhaust(&greedy).await >= 6);

    let issued = gateway.simulator().code(APP).await;
    let mut refusals = 0;
    // The bucket gains one a second; of five requests at once most find it empty.
    for _ in 0..5 {
        let reply = greedy.login_with(APP, "junk").await;
        if reply.status == 429 {
            limited(&reply);
            refusals += 1;
        }
    }
    assert!(refusals >= 1);
    assert_eq!(greedy.get("/livez").await.status, 200, "probes are always answered");
    assert_eq!(greedy.get("/readyz").await.status, 200);
    modest.login_with(APP, &issued.code).await.ok();
}

#[tokio::test]
async fn a_client_cannot_choose_its_address() {
    let gateway = strict().await;
    let liar = gateway.client().sent_from(machine(3));
    let mut refused = 0;
    for number in 0..20 {
        let reply = forwarded(&liar, &format!("198.51.100.{number}")).await;
        refused += usize::from(reply.status == 429);
    }
    assert!(refused >= 5, "only {refused} of 20 were refused");
    assert!(gateway.log().contains("X-Forwarded-For"), "the operator is told that a proxy may be missing in the list");
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_counts_for_itself() {
    let gateway = strict().env("WXGATE__HTTP__TRUSTED_PROXIES", "127.0.7.4,10.0.0.0/8").await;
    let proxy = gateway.client().sent_from(machine(4));
    for number in 0..20 {
        // What the client claimed stands first; what the proxies saw stands last.
        let chain = format!("203.0.113.1, 198.51.100.{number}, 10.1.2.3");
        assert_eq!(forwarded(&proxy, &chain).await.status, 200);
    }
    let mut refused = 0;
    for number in 0..20 {
        let chain = format!("203.0.113.{number}, 198.51.100.200");
        refused += usize::from(forwarded(&proxy, &chain).await.status == 429);
    }
    assert!(refused >= 5, "only {refused} of 20 were refused");
    // An IPv6 client has a whole /64.
    let mut refused = 0;
    for number in 0..20 {
        refused += usize::from(forwarded(&proxy, &format!("2001:db8::{number:x}")).await.status == 429);
    }
    assert!(refused >= 5, "only {refused} of 20 were refused");
}

#[tokio::test]
async fn a_person_opens_ten_sessions_a_minute() {
    let gateway = Gateway::dev().await;
    let (client, simulator) = (gateway.client(), gateway.simulator());
    let mut answers = Vec::new();
    for _ in 0..12 {
        let issued = simulator.code_of(APP, "oBusyPerson").await;
        answers.push(client.login_with(APP, &issued.code).await);
    }
    let sessions = answers.iter().take_while(|reply| reply.status == 200).count();
    assert!((10..=11).contains(&sessions), "{sessions} sessions");
    // WeChat had to be asked who it is, and the code is spent.
    limited_to(&answers[11], "new_code");
    // Somebody else, and the same openid text in another app, which is somebody else.
    for appid in [APP, OTHER_APP] {
        let openid = if appid == APP { "oCalmPerson" } else { "oBusyPerson" };
        let issued = simulator.code_of(appid, openid).await;
        client.login_with(appid, &issued.code).await.ok();
    }
}
