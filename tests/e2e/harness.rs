//! What the stories share: processes, clients, and WeChats that do as they are told.
#![allow(dead_code, reason = "parts of it serve single stories")]

pub(crate) mod cli;
pub(crate) mod client;
pub(crate) mod database;
pub(crate) mod gateway;
pub(crate) mod jwt;
pub(crate) mod oauth;
pub(crate) mod operator;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod raw;
pub(crate) mod receiver;
pub(crate) mod second;
pub(crate) mod simulator;
pub(crate) mod wechat;

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::Instant;

pub(crate) use self::client::{Client, Reply};
pub(crate) use self::gateway::Gateway;
pub(crate) use self::operator::Operator;
pub(crate) use self::receiver::Receiver;
pub(crate) use self::second::SecondGateway;

/// The two mini-programs that every gateway of these stories serves unless it is told otherwise: tenant `demo`, union
/// group `demo`.
pub(crate) const APP: &str = "wx000000000000de01";
pub(crate) const OTHER_APP: &str = "wx000000000000de02";

/// How long the slowest step of a loaded machine may take. Never waited for when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Asks again and again until there is an answer, and fails when none came within `limit`.
pub(crate) async fn within<T>(limit: Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Says aloud that something is not there, without which a test cannot run; in CI that is a failure.
#[track_caller]
pub(crate) fn missing(what: &str) {
    assert!(environment("CI").is_none_or(|ci| ci != "true"), "{what}");
    #[expect(clippy::print_stdout, reason = "what is skipped must not look tested")]
    {
        println!("skipped: {what}");
    }
}

#[expect(clippy::disallowed_methods, reason = "what the machine has is the environment's to say")]
pub(crate) fn environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

/// Fails unless every item is the same; returns it.
pub(crate) fn all_equal<T: PartialEq + Debug>(items: impl IntoIterator<Item = T>) -> T {
    let mut items = items.into_iter();
    let first = items.next().expect("at least one item");
    for item in items {
        assert_eq!(item, first);
    }
    first
}
