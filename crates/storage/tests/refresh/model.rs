//! Random interleavings of everything that can happen to a session, against a model that fits on a page.
//!
//! The model knows a phone that sometimes loses answers and somebody who kept every token that there ever was. After each
//! step at most one token may move the session on, an old one must never be accepted, nothing may be refreshed after a
//! committed block or end, and a phone that asks in time must never lose its session.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use wxgate_crypto::Secret;
use wxgate_domain::{EndReason, Timestamp, UserStatus};
use wxgate_storage::{Engine, NotRefreshed, Storage};

use crate::device::{Device, logged_in, set_user_status};
use crate::support::TestDatabase;

/// What happens.
#[derive(Clone, Debug)]
enum Step {
    /// The phone refreshes; the answer arrives, or is lost on the way.
    Refresh {
        arrives: bool,
    },
    /// Somebody presents any token that ever left the gateway, newest first.
    Replay(usize),
    Logout,
    Block,
    Unblock,
    Wait(u64),
    Restart,
    Restore,
    /// A silent `wx.login` opens a new session.
    Login,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => any::<bool>().prop_map(|arrives| Step::Refresh { arrives }),
        6 => (0..6_usize).prop_map(Step::Replay),
        1 => Just(Step::Logout),
        1 => Just(Step::Block),
        2 => Just(Step::Unblock),
        3 => prop_oneof![Just(5_u64), Just(29), Just(31), Just(3_600)].prop_map(Step::Wait),
        1 => Just(Step::Restart),
        1 => Just(Step::Restore),
        3 => Just(Step::Login),
    ]
}

/// What ought to be.
struct Model {
    generation: u32,
    refreshed_at: Timestamp,
    over: bool,
    blocked: bool,
    epoch: u32,
}

/// What ought to come of a token.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Void,
    Blocked,
    Over,
    Moves,
    Again,
    Ends(EndReason),
}

/// A token that left the gateway.
struct Token {
    text: Secret<String>,
    generation: u32,
    epoch: u32,
}

impl Model {
    fn expect(&self, token: &Token, now: Timestamp) -> Expected {
        if token.epoch != self.epoch {
            return Expected::Void;
        }
        if self.blocked {
            return Expected::Blocked;
        }
        if self.over {
            return Expected::Over;
        }
        match self.generation - token.generation {
            0 => Expected::Moves,
            1 if now.since(self.refreshed_at) < Duration::from_secs(30) => Expected::Again,
            1 => Expected::Ends(EndReason::LostAnswer),
            _ => Expected::Ends(EndReason::Reuse),
        }
    }
}

struct World {
    database: TestDatabase,
    storage: Storage,
    device: Device,
    model: Model,
    /// Every token of the present session, oldest first.
    tokens: Vec<Token>,
    /// Which of them the phone holds.
    held: usize,
}

impl World {
    async fn new() -> Self {
        let database = TestDatabase::create(Engine::Sqlite).await.unwrap();
        let (storage, device) = logged_in(&database).await;
        let model = Model { generation: 0, refreshed_at: database.clock.now(), over: false, blocked: false, epoch: 0 };
        let mut world = Self { database, storage, device, model, tokens: Vec::new(), held: 0 };
        world.keep(0).await;
        world
    }

    async fn keep(&mut self, generation: u32) {
        let text = self.device.text(&self.storage, generation).await;
        self.tokens.push(Token { text, generation, epoch: self.model.epoch });
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Refresh { arrives } => self.refresh(*arrives).await,
            Step::Replay(age) => {
                let index = self.tokens.len().saturating_sub(age + 1);
                self.present(index).await;
            }
            Step::Logout => {
                let scope = self.storage.tenant(self.device.place.tenant.id);
                scope.end_sessions(&[self.device.session.id], None, EndReason::Logout).await.unwrap();
                self.model.over = true;
            }
            Step::Block => {
                set_user_status(&self.storage, &self.device, UserStatus::Blocked).await;
                (self.model.blocked, self.model.over) = (true, true);
            }
            Step::Unblock => {
                set_user_status(&self.storage, &self.device, UserStatus::Active).await;
                self.model.blocked = false;
            }
            Step::Wait(seconds) => self.database.clock.advance(Duration::from_secs(*seconds)),
            Step::Restart => {
                self.storage.stop().await;
                self.storage = self.database.started().await;
            }
            Step::Restore => {
                self.model.epoch = self.storage.restored().await.unwrap();
                self.model.over = true;
            }
            Step::Login => self.login().await,
        }
    }

    async fn login(&mut self) {
        if self.model.blocked {
            return;
        }
        // A new process reads the tenant's epoch anew; a long-lived one is told of it by the log of changes.
        let tenant = self.storage.tenants().get(self.device.place.tenant.id).await.unwrap();
        self.device.place.tenant = tenant;
        self.device = Device::login(&self.storage, &self.database, &self.device.place, "oAda").await;
        self.model = Model { generation: 0, refreshed_at: self.database.clock.now(), over: false, ..self.model };
        self.tokens.clear();
        self.held = 0;
        self.keep(0).await;
    }

    /// The phone's own refresh: whoever asks with the present token, or in time with the one before, is never sent away.
    async fn refresh(&mut self, arrives: bool) {
        let allowed = !self.model.over && !self.model.blocked;
        let held = &self.tokens[self.held];
        let in_time = matches!(self.model.expect(held, self.database.clock.now()), Expected::Moves | Expected::Again);
        let answer = self.present(self.held).await;
        assert_eq!(answer.is_some(), allowed && in_time, "a phone that asks in time keeps its session");
        if let (Some(index), true) = (answer, arrives) {
            self.held = index;
        }
    }

    /// Presents a token and compares what comes of it with the model; the index of the token that is the answer.
    async fn present(&mut self, index: usize) -> Option<usize> {
        let now = self.database.clock.now();
        let expected = self.model.expect(&self.tokens[index], now);
        let answer = self.device.present(&self.storage, &self.tokens[index].text).await;
        let seen = match &answer {
            None => Expected::Void,
            Some(Ok(session)) if session.repeated => Expected::Again,
            Some(Ok(_)) => Expected::Moves,
            Some(Err(NotRefreshed::UserBlocked)) => Expected::Blocked,
            Some(Err(NotRefreshed::EndedNow(EndReason::Swept, _) | NotRefreshed::Ended(_))) => Expected::Over,
            Some(Err(NotRefreshed::EndedNow(reason, _))) => Expected::Ends(*reason),
            Some(Err(other)) => panic!("{other:?}"),
        };
        assert_eq!(seen, expected);
        match expected {
            Expected::Ends(_) => self.model.over = true,
            Expected::Moves => {
                self.model.generation += 1;
                self.model.refreshed_at = now;
                self.keep(self.model.generation).await;
            }
            _ => {}
        }
        let Some(Ok(session)) = answer else { return None };
        assert_eq!(session.generation, self.model.generation, "the answer is the one live branch");
        self.tokens.iter().position(|token| token.generation == session.generation)
    }

    /// However many tokens there were, at most one moves the session on.
    fn check_branches(&self) {
        let now = self.database.clock.now();
        let mut outcomes: HashMap<bool, usize> = HashMap::new();
        for token in &self.tokens {
            *outcomes.entry(self.model.expect(token, now) == Expected::Moves).or_default() += 1;
        }
        assert!(outcomes.get(&true).copied().unwrap_or(0) <= 1);
    }
}

pub(crate) fn random_interleavings_agree_with_a_model() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
    let steps = proptest::collection::vec(step(), 1..60);
    let outcome = runner.run(&steps, |steps| {
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in &steps {
                world.take(step).await;
                world.check_branches();
            }
            world.storage.stop().await;
        });
        Ok(())
    });
    outcome.unwrap();
}
