//! What each app has called of WeChat: WeChat's quotas are per app, interface and day.
//!
//! A call is counted in memory, which costs it nothing. Every few seconds what was counted is added to the database, where
//! all nodes' calls come together and outlive a restart. A process that is killed takes the last seconds with it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wxgate_domain::{App, BeijingDay, Clock, WechatAppid};
use wxgate_storage::{NewWechatCalls, Storage, StorageError, WechatCalls};
use wxgate_wechat_client::{CallObserver, CallReport};

use crate::metrics::Metrics;

/// How often counts go to the database.
const EVERY: Duration = Duration::from_secs(3);

/// How long the last ones may take when the process stops.
const FINISH: Duration = Duration::from_secs(5);

/// Kinds of calls that go at once, in one transaction: no login waits long for it, and with ten thousand apps it costs no
/// more than with a thousand. Those who wait are counted on meanwhile.
const PIECE: usize = 1_024;

/// Apps that are counted at once; the calls of any more are in the sum of all alone.
const COUNTED: usize = 20_000;

/// Apps that have a label of their own in the metrics: the first ones to call. All others are `other`.
const NAMED: usize = 100;

/// What stands for an app without a label of its own. It is no appid: those have no `(`.
const OTHER: &str = "(other)";

/// Counts calls of WeChat.
#[derive(Debug)]
pub(crate) struct Meters {
    clock: Clock,
    storage: Storage,
    table: Mutex<Table>,
    /// Held while counts are on their way to the database: nobody then finds them in neither place, nor in both.
    moving: tokio::sync::Mutex<()>,
}

/// A day, an interface and an outcome.
type CallKind = (BeijingDay, &'static str, &'static str);

/// What is not in the database yet, and who has a label.
#[derive(Debug, Default)]
struct Table {
    counts: HashMap<WechatAppid, BTreeMap<CallKind, u64>>,
    /// The apps that have counts, whoever has had them for longest first.
    waiting: VecDeque<WechatAppid>,
    named: HashSet<WechatAppid>,
}

impl Meters {
    /// Meters at zero.
    pub(crate) fn new(clock: Clock, storage: Storage) -> Arc<Self> {
        Arc::new(Self { clock, storage, table: Mutex::default(), moving: tokio::sync::Mutex::default() })
    }

    /// Whoever is told of calls, and counts them here and in the metrics.
    pub(crate) fn observer(self: &Arc<Self>, metrics: Arc<Metrics>) -> CallObserver {
        let meters = self.clone();
        CallObserver::new(move |call| {
            let label = meters.table().count(call, meters.clock.now().beijing_day());
            metrics.wechat_call(&label, call.route, call.class);
        })
    }

    /// What an app has called in the last days, by day, interface and outcome, newest day first: at all nodes, as far as
    /// they wrote it down, and here.
    ///
    /// # Errors
    /// The database fails.
    pub(crate) async fn of(&self, app: &App) -> Result<Vec<WechatCalls>, StorageError> {
        let _still = self.moving.lock().await;
        let mut calls = self.storage.tenant(app.tenant).wechat_calls().of(app.id).await?;
        self.table().add_to(&mut calls, &app.appid);
        Ok(calls)
    }

    /// Adds to the database again and again what was counted, until the process stops.
    pub(crate) async fn keep(self: Arc<Self>, stopping: CancellationToken) {
        let mut interval = tokio::time::interval(EVERY);
        let mut well = true;
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = interval.tick() => {}
            }
            let written = self.write_down().await;
            if let Err(error) = &written
                && well
            {
                tracing::warn!(error.source = %error, "calls of WeChat are counted here alone until the database takes them");
            }
            well = written.is_ok();
        }
    }

    /// Adds all that is left.
    pub(crate) async fn finish(&self) {
        let all = async {
            while self.write_down().await? {}
            Ok::<_, StorageError>(())
        };
        if !matches!(tokio::time::timeout(FINISH, all).await, Ok(Ok(()))) {
            tracing::warn!("the calls of WeChat of the last seconds are not counted");
        }
    }

    /// Moves a piece of what was counted to the database; whether there was any. What the database does not take stays
    /// here. (Where nobody knows whether it took something, that is counted twice: better than a quota that ends sooner than
    /// it seems.)
    async fn write_down(&self) -> Result<bool, StorageError> {
        let _moving = self.moving.lock().await;
        let piece = self.table().take(PIECE);
        if piece.is_empty() {
            return Ok(false);
        }
        if let Err(error) = self.storage.wechat_calls().add(&piece).await {
            self.table().put_back(piece);
            return Err(error);
        }
        Ok(true)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Counts are whole between any two instructions that could panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Counts a call; the label of its app.
    fn count(&mut self, call: &CallReport<'_>, day: BeijingDay) -> String {
        self.add(call.appid, (day, call.route, call.class), 1);
        let has_label =
            self.named.contains(call.appid) || { self.named.len() < NAMED && self.named.insert(call.appid.clone()) };
        if has_label { call.appid.to_string() } else { OTHER.to_owned() }
    }

    fn add(&mut self, appid: &WechatAppid, kind: CallKind, calls: u64) {
        if let Some(kinds) = self.counts.get_mut(appid) {
            *kinds.entry(kind).or_default() += calls;
        } else if self.counts.len() < COUNTED {
            self.counts.insert(appid.clone(), BTreeMap::from([(kind, calls)]));
            self.waiting.push_back(appid.clone());
        }
    }

    /// The counts of whoever has waited for longest, about so many of them; they begin anew.
    fn take(&mut self, most: usize) -> Vec<NewWechatCalls> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(appid) = self.waiting.pop_front()
        {
            let kinds = self.counts.remove(&appid).unwrap_or_default();
            taken.extend(kinds.into_iter().map(|((day, interface, outcome), calls)| {
                let appid = appid.clone();
                NewWechatCalls { appid, day, interface, outcome, calls }
            }));
        }
        taken
    }

    fn put_back(&mut self, calls: Vec<NewWechatCalls>) {
        for NewWechatCalls { appid, day, interface, outcome, calls } in calls {
            self.add(&appid, (day, interface, outcome), calls);
        }
    }

    /// Adds what is counted here of an app to what is known of it.
    fn add_to(&self, known: &mut Vec<WechatCalls>, appid: &WechatAppid) {
        for ((day, interface, outcome), calls) in self.counts.get(appid).into_iter().flatten() {
            let same = |of: &&mut WechatCalls| of.day == *day && of.interface == *interface && of.outcome == *outcome;
            match known.iter_mut().find(same) {
                Some(of) => of.calls += calls,
                None => known.push(WechatCalls {
                    day: *day,
                    interface: (*interface).to_owned(),
                    outcome: (*outcome).to_owned(),
                    calls: *calls,
                }),
            }
        }
        known.sort_by(|a, b| (b.day, &a.interface, &a.outcome).cmp(&(a.day, &b.interface, &b.outcome)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::House;

    const ROUTE: &str = "/cgi-bin/token";

    fn appid(n: usize) -> WechatAppid {
        format!("wx{n:016x}").parse().unwrap()
    }

    fn day(number: i32) -> BeijingDay {
        BeijingDay::from_number(number)
    }

    fn call(table: &mut Table, n: usize, on: i32) -> String {
        table.count(&CallReport { appid: &appid(n), route: ROUTE, class: "ok" }, day(on))
    }

    fn calls(on: i32, interface: &str, calls: u64) -> WechatCalls {
        WechatCalls { day: day(on), interface: interface.to_owned(), outcome: "ok".to_owned(), calls }
    }

    #[test]
    fn apps_beyond_the_first_share_a_label_and_are_counted_all_the_same() {
        let mut table = Table::default();
        for n in 0..NAMED {
            assert_eq!(call(&mut table, n, 1), appid(n).to_string());
        }
        let labels = [NAMED, NAMED, 0].map(|n| call(&mut table, n, 1));
        assert_eq!(labels, [OTHER.to_owned(), OTHER.to_owned(), appid(0).to_string()]);
        let mut known = Vec::new();
        table.add_to(&mut known, &appid(NAMED));
        table.add_to(&mut known, &appid(NAMED + 1));
        assert_eq!(known, [calls(1, ROUTE, 2)]);
    }

    #[test]
    fn what_is_known_and_what_is_new_are_one_sum_for_each_day() {
        let mut table = Table::default();
        for on in [1, 2, 2] {
            call(&mut table, 0, on);
        }
        let mut known = vec![calls(1, "/a", 4), calls(1, ROUTE, 5)];
        table.add_to(&mut known, &appid(0));
        assert_eq!(known, [calls(2, ROUTE, 2), calls(1, "/a", 4), calls(1, ROUTE, 6)]);
    }

    #[test]
    fn what_is_taken_is_counted_once_and_what_is_put_back_again() {
        let mut table = Table::default();
        call(&mut table, 0, 1);
        call(&mut table, 0, 1);
        let taken = table.take(PIECE);
        assert_eq!((taken.len(), taken[0].calls), (1, 2));
        assert!(table.take(PIECE).is_empty());
        call(&mut table, 0, 1);
        table.put_back(taken);
        assert_eq!(table.take(PIECE)[0].calls, 3);
    }

    #[test]
    fn whoever_waits_for_longest_is_taken_first_and_nobody_waits_for_ever() {
        let mut table = Table::default();
        let mut taken = Vec::new();
        for round in 0..3 {
            for n in [2, 0, 1] {
                call(&mut table, n, 1);
            }
            taken.push((round, table.take(1)[0].appid.clone(), table.take(0).len()));
        }
        assert_eq!(taken, [(0, appid(2), 0), (1, appid(0), 0), (2, appid(1), 0)]);
        assert_eq!(table.take(PIECE).iter().map(|of| of.calls).collect::<Vec<_>>(), [2, 1]);
    }

    #[tokio::test]
    async fn what_the_database_does_not_take_stays_here() {
        let house = House::new().await;
        let meters = Meters::new(house.clock.clone(), house.storage.clone());
        house.storage.stop().await;
        call(&mut meters.table(), 0, 1);
        meters.write_down().await.unwrap_err();
        assert_eq!(meters.table().take(PIECE).len(), 1);
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let mut table = Table::default();
        for n in 0..COUNTED + 100 {
            call(&mut table, n, 1);
        }
        assert_eq!(table.counts.len(), COUNTED);
    }
}
