//! What was called, without the secrets that came with it.

use std::collections::VecDeque;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::chance::hex;
use crate::faults::FaultKind;

/// Calls kept; older ones are forgotten.
const MAX_CALLS: usize = 10_000;
/// An appid comes from the caller and may be anything; this much of it is kept, in characters.
const MAX_APPID: usize = 64;

/// A SHA-256, kept as bytes: most journals are never read, so the hex is made for those that are.
type Fingerprint = [u8; 32];

/// One call of a WeChat route.
pub(crate) struct Call {
    at_ms: u64,
    route: &'static str,
    appid: Option<String>,
    code: Option<Fingerprint>,
    secret: Option<Fingerprint>,
    token: Option<Fingerprint>,
    errcode: Option<i64>,
    fault: Option<FaultKind>,
}

impl Call {
    /// A call that has just arrived.
    pub(crate) fn arrived(
        at_ms: u64,
        route: &'static str,
        appid: Option<&str>,
        code: Option<&str>,
        secret: Option<&str>,
    ) -> Self {
        Self {
            at_ms,
            route,
            appid: appid.map(|appid| appid.chars().take(MAX_APPID).collect()),
            code: code.map(fingerprint),
            secret: secret.map(fingerprint),
            token: None,
            errcode: None,
            fault: None,
        }
    }

    /// The call with the access_token that came with it.
    pub(crate) fn with_token(self, token: Option<&str>) -> Self {
        Self { token: token.map(fingerprint), ..self }
    }

    /// The call with its outcome: `errcode` 0 is a success, none means that WeChat made no answer.
    pub(crate) fn ended(self, errcode: Option<i64>, fault: Option<FaultKind>) -> Self {
        Self { errcode, fault, ..self }
    }
}

/// A call as `GET /sim/journal` shows it.
#[derive(Serialize)]
pub(crate) struct JournalEntry {
    seq: u64,
    at_ms: u64,
    route: &'static str,
    appid: Option<String>,
    code_digest: Option<String>,
    secret_digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_digest: Option<String>,
    errcode: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<FaultKind>,
}

/// An excerpt of the journal.
#[derive(Serialize)]
pub(crate) struct JournalPage {
    /// How many calls there were since the last clearing; the number of the newest.
    pub(crate) total: u64,
    /// Those asked for that are still kept, oldest first.
    pub(crate) calls: Vec<JournalEntry>,
}

/// The last 10,000 calls, numbered from 1.
#[derive(Default)]
pub(crate) struct Journal {
    total: u64,
    calls: VecDeque<Call>,
}

impl Journal {
    pub(crate) fn record(&mut self, call: Call) {
        if self.calls.len() == MAX_CALLS {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
        self.total += 1;
    }

    /// The calls with numbers above `since`.
    pub(crate) fn since(&self, since: u64) -> JournalPage {
        let forgotten = self.total - self.calls.len() as u64;
        let calls = (forgotten + 1..)
            .zip(&self.calls)
            .filter(|(seq, _)| *seq > since)
            .map(|(seq, call)| JournalEntry {
                seq,
                at_ms: call.at_ms,
                route: call.route,
                appid: call.appid.clone(),
                code_digest: call.code.as_ref().map(|digest| hex(digest)),
                secret_digest: call.secret.as_ref().map(|digest| hex(digest)),
                token_digest: call.token.as_ref().map(|digest| hex(digest)),
                errcode: call.errcode,
                fault: call.fault,
            })
            .collect();
        JournalPage { total: self.total, calls }
    }

    /// Forgets all calls, and returns how many were still kept.
    pub(crate) fn clear(&mut self) -> usize {
        let cleared = self.calls.len();
        *self = Self::default();
        cleared
    }
}

fn fingerprint(text: &str) -> Fingerprint {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(at_ms: u64) -> Call {
        Call::arrived(at_ms, "/sns/jscode2session", Some("wx1"), Some("abc"), None).ended(Some(0), None)
    }

    #[test]
    fn digests_stand_for_secrets() {
        let mut journal = Journal::default();
        journal.record(call(7));
        let page = serde_json::to_value(journal.since(0)).unwrap();
        assert_eq!(page["total"], 1);
        assert_eq!(page["calls"][0]["seq"], 1);
        assert_eq!(page["calls"][0]["at_ms"], 7);
        // SHA-256 of "abc", FIPS 180-4.
        assert_eq!(page["calls"][0]["code_digest"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(page["calls"][0]["secret_digest"].is_null());
        assert!(page["calls"][0].get("fault").is_none());
    }

    #[test]
    fn keeps_the_last_ten_thousand_and_goes_on_counting() {
        let mut journal = Journal::default();
        for at_ms in 0..10_005 {
            journal.record(call(at_ms));
        }
        let page = journal.since(0);
        assert_eq!((page.total, page.calls.len()), (10_005, 10_000));
        assert_eq!(page.calls.first().map(|call| (call.seq, call.at_ms)), Some((6, 5)));
        assert_eq!(journal.since(10_003).calls.len(), 2);
        assert_eq!(journal.since(u64::MAX).calls.len(), 0);
        assert_eq!(journal.clear(), 10_000);
        assert_eq!(journal.since(0).total, 0);
    }

    #[test]
    fn a_long_appid_is_cut() {
        let mut journal = Journal::default();
        journal.record(Call::arrived(0, "/", Some(&"é".repeat(1000)), None, None));
        let appid = journal.since(0).calls.remove(0).appid.unwrap();
        assert_eq!(appid.chars().count(), MAX_APPID);
    }
}
