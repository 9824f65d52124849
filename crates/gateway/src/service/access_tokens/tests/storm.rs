//! A thousand callers who need a token at once, many of whom leave, and a WeChat that does with each call what it is told.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::Builder;
use tokio::task::JoinHandle;

use super::told_wechat::ToldWechat;
use super::with_wechat::tokens_of;
use super::*;
use crate::service::testing::{House, StandingClock};

const CALLERS: usize = 1_000;

type Caller = JoinHandle<Result<String, TokenCallError>>;

struct Storm {
    house: House,
    wechat: ToldWechat,
    tokens: AccessTokens,
    app: Arc<ActiveApp>,
    /// Nobody comes to the end of their patience unless time passes, however slow the machine is.
    clock: StandingClock,
}

impl Storm {
    async fn new() -> Self {
        let (house, wechat) = (House::new().await, ToldWechat::start().await);
        let (tokens, app) = tokens_of(&house, &wechat.url).await;
        Self { house, wechat, tokens, app, clock: StandingClock::begin() }
    }

    /// What a caller does, and counts.
    fn ask(&self, asked: &Arc<AtomicUsize>) -> impl Future<Output = Result<String, TokenCallError>> + Send + 'static {
        let (tokens, app, asked) = (self.tokens.clone(), self.app.clone(), asked.clone());
        async move {
            asked.fetch_add(1, Ordering::Relaxed);
            tokens.token(&app).await.map(|held| held.token.expose().to_owned())
        }
    }

    /// So many callers, each of whom has asked.
    async fn callers(&self, count: usize) -> Vec<Caller> {
        let asked = Arc::default();
        let callers = (0..count).map(|_| tokio::spawn(self.ask(&asked))).collect();
        while asked.load(Ordering::Relaxed) < count {
            tokio::task::yield_now().await;
        }
        callers
    }

    async fn caller(&self) -> Caller {
        self.callers(1).await.remove(0)
    }

    /// Waits until nothing goes on behind the callers' backs.
    async fn settled(&self) {
        self.tokens.tasks.close();
        self.tokens.tasks.wait().await;
        self.tokens.tasks.reopen();
    }
}

/// Every second caller leaves, the very first of all, for whom WeChat was called. Those who stay.
async fn half_leave(callers: Vec<Caller>) -> Vec<Caller> {
    let mut stay = Vec::new();
    for (n, caller) in callers.into_iter().enumerate() {
        assert!(!caller.is_finished(), "there is nothing to be had yet");
        if n % 2 == 1 {
            stay.push(caller);
            continue;
        }
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
    }
    stay
}

/// How many got this token. Everyone else must have been told to come again in a second.
async fn served(callers: Vec<Caller>, token: &str) -> usize {
    let mut served = 0;
    for caller in callers {
        match caller.await.unwrap() {
            Ok(given) => {
                assert_eq!(given, token);
                served += 1;
            }
            Err(error) => assert!(matches!(error, TokenCallError::Unavailable { retry_after: 1 }), "{error:?}"),
        }
    }
    served
}

#[tokio::test]
async fn a_thousand_callers_are_answered_whether_the_refresh_fails_is_cancelled_or_succeeds() {
    let mut storm = Storm::new().await;
    let token = "89_after_the_storm";

    let callers = storm.callers(CALLERS).await;
    let call = storm.wechat.call().await;
    let callers = half_leave(callers).await;
    call.refuse();
    assert_eq!((callers.len(), served(callers, token).await), (CALLERS / 2, 0), "the refresh fails");
    assert_eq!(served(storm.callers(CALLERS).await, token).await, 0, "and nobody tries again for a second");
    assert!(!storm.wechat.was_called());
    storm.house.clock.advance(Duration::from_secs(2));

    // The refresh dies with the threads it runs on, while a thousand wait for it.
    let doomed = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    doomed.spawn(storm.ask(&Arc::default()));
    let call = storm.wechat.call().await;
    let callers = half_leave(storm.callers(CALLERS).await).await;
    doomed.shutdown_background();
    assert_eq!((callers.len(), served(callers, token).await), (CALLERS / 2, 0), "the refresh is cancelled");
    drop(call);

    let callers = storm.callers(CALLERS).await;
    let call = storm.wechat.call().await;
    let callers = half_leave(callers).await;
    call.give(token);
    assert_eq!((callers.len(), served(callers, token).await), (CALLERS / 2, CALLERS / 2), "the refresh succeeds");
    assert_eq!(served(storm.callers(CALLERS).await, token).await, CALLERS, "and serves whoever comes");
    storm.settled().await;
    assert!(!storm.wechat.was_called(), "three calls of WeChat for six thousand callers");
}

#[tokio::test]
async fn a_caller_who_leaves_takes_nothing_from_those_who_stay() {
    let mut storm = Storm::new().await;
    let first = storm.caller().await;
    let call = storm.wechat.call().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    // If the call had been the first one's own, there would be another one now, and the first would be answered in vain.
    let mut second = storm.caller().await;
    call.give("89_asked_for_by_the_first");
    tokio::select! {
        given = &mut second => assert_eq!(given.unwrap().unwrap(), "89_asked_for_by_the_first"),
        _ = storm.wechat.call() => panic!("WeChat is called again"),
    }
}

#[tokio::test]
async fn a_token_comes_to_those_who_come_later_if_everyone_who_asked_has_left() {
    let mut storm = Storm::new().await;
    let callers = storm.callers(100).await;
    let call = storm.wechat.call().await;
    for caller in callers {
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
    }
    call.give("89_for_nobody");
    storm.settled().await;
    assert_eq!(storm.caller().await.await.unwrap().unwrap(), "89_for_nobody");
    assert!(!storm.wechat.was_called());
}

#[tokio::test]
async fn nobody_waits_longer_than_the_time_out_for_a_call_that_hangs() {
    let mut storm = Storm::new().await;
    let callers = storm.callers(CALLERS).await;
    let call = storm.wechat.call().await;
    storm.clock.pass(WAIT / 2).await;
    assert!(callers.iter().all(|caller| !caller.is_finished()));
    storm.clock.pass(WAIT).await;
    assert_eq!(served(callers, "").await, 0);
    // It arrives all the same, for those who come later.
    call.give("89_late");
    storm.settled().await;
    assert_eq!(storm.caller().await.await.unwrap().unwrap(), "89_late");
}
