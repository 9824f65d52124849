//! What each app has called of WeChat: WeChat's quotas are per app and interface.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wxgate_domain::{Timestamp, WechatAppid};
use wxgate_wechat_client::{CallObserver, CallReport};

use crate::metrics::Metrics;

/// Apps that are counted; the calls of any more are in the sum of all alone.
const COUNTED: usize = 20_000;

/// Apps that have a label of their own in the metrics: the first ones to call. All others are `other`.
const NAMED: usize = 100;

/// What stands for an app without a label of its own. It is no appid: those have no `(`.
const OTHER: &str = "(other)";

/// Counts calls of WeChat since the process started.
#[derive(Debug)]
pub(crate) struct Meters {
    since: Timestamp,
    table: Mutex<Table>,
}

/// An interface and an outcome.
pub(crate) type CallKind = (&'static str, &'static str);

#[derive(Debug, Default)]
struct Table {
    counts: HashMap<WechatAppid, BTreeMap<CallKind, u64>>,
    named: HashSet<WechatAppid>,
}

impl Meters {
    /// Meters at zero.
    pub(crate) fn new(since: Timestamp) -> Arc<Self> {
        Arc::new(Self { since, table: Mutex::default() })
    }

    /// Whoever is told of calls, and counts them here and in the metrics.
    pub(crate) fn observer(self: &Arc<Self>, metrics: Arc<Metrics>) -> CallObserver {
        let meters = self.clone();
        CallObserver::new(move |call| {
            let label = meters.count(call);
            metrics.wechat_call(&label, call.route, call.class);
        })
    }

    /// When counting began.
    pub(crate) fn since(&self) -> Timestamp {
        self.since
    }

    /// What an app has called, by interface and outcome.
    pub(crate) fn of(&self, appid: &WechatAppid) -> Vec<(CallKind, u64)> {
        let table = self.table();
        table.counts.get(appid).into_iter().flatten().map(|(kind, count)| (*kind, *count)).collect()
    }

    /// Counts a call; the label of its app.
    fn count(&self, call: &CallReport<'_>) -> String {
        let mut table = self.table();
        if table.counts.len() < COUNTED || table.counts.contains_key(call.appid) {
            *table.counts.entry(call.appid.clone()).or_default().entry((call.route, call.class)).or_default() += 1;
        }
        let has_label =
            table.named.contains(call.appid) || { table.named.len() < NAMED && table.named.insert(call.appid.clone()) };
        if has_label { call.appid.to_string() } else { OTHER.to_owned() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Counts are whole between any two instructions that could panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_beyond_the_first_share_a_label_and_are_counted_all_the_same() {
        let meters = Meters::new(Timestamp::from_millis(0));
        let appid = |n: usize| -> WechatAppid { format!("wx{n:016x}").parse().unwrap() };
        let call = |n| meters.count(&CallReport { appid: &appid(n), route: "/cgi-bin/token", class: "ok" });
        for n in 0..NAMED {
            assert_eq!(call(n), appid(n).to_string());
        }
        assert_eq!((call(NAMED), call(NAMED), call(0)), (OTHER.to_owned(), OTHER.to_owned(), appid(0).to_string()));
        assert_eq!(meters.of(&appid(NAMED)), [(("/cgi-bin/token", "ok"), 2)]);
        assert_eq!(meters.of(&appid(NAMED + 1)), []);
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let meters = Meters::new(Timestamp::from_millis(0));
        for n in 0..COUNTED + 100 {
            let appid: WechatAppid = format!("wx{n:016x}").parse().unwrap();
            meters.count(&CallReport { appid: &appid, route: "/cgi-bin/token", class: "ok" });
        }
        assert_eq!(meters.table().counts.len(), COUNTED);
    }
}
