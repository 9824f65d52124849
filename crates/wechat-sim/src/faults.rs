//! Faults waiting for a call to go wrong with.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::api::{APIS, Proof};
use crate::api_security;

/// Faults that may wait at once, each for up to [`MAX_TIMES`] calls.
const MAX_PENDING: usize = 1_000;
const MAX_TIMES: u32 = 1_000_000;
/// A minute is longer than any client waits.
const MAX_DELAY_MS: u64 = 60_000;
/// WeChat's longest limits end with the day.
const MAX_FOR_MS: u64 = 24 * 60 * 60 * 1000;

/// The path of code2Session. Those of all other interfaces are in [`APIS`].
pub(crate) const JSCODE2SESSION: &str = "/sns/jscode2session";

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultKind {
    Latency,
    ResetBefore,
    ResetAfter,
    Busy,
    Quota,
    Html,
    Empty,
    Truncated,
    Huge,
    StringErrcode,
    MissingField,
    #[serde(rename = "status_500")]
    Status500,
    Errcode,
    TokenExpired,
    IpWhitelist,
    /// The answer says that it is HTML.
    ContentType,
    /// The answer writes `/` as `\/`, as PHP does.
    EscapedSlashes,
    /// A success has a field that no document knows.
    ExtraField,
    /// A token is said to live five minutes.
    ShortLife,
    /// A signed answer names a certificate that nobody knows.
    WrongSerial,
    /// A signed answer whose signature is of something else.
    WrongSignature,
    /// A signed answer that was encrypted for another app.
    WrongAad,
    /// A signed answer of six minutes ago.
    OldTimestamp,
    /// The last signed answer of this interface once more, byte for byte.
    Replayed,
    /// A success in clear, where it should be signed and encrypted.
    InClear,
}

/// Where on its way a call meets a fault. A call meets at most one at each stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Before WeChat looks at the request.
    Transport,
    /// At the check of the access_token.
    Token,
    /// At the check of the caller's address, after that of the secret or the token.
    Address,
    /// At the check of the rate, after that of the address.
    Rate,
    /// At WeChat's own troubles, before the code is looked at.
    Inside,
    /// When the exchange has succeeded.
    Success,
    /// When the answer is on its way.
    Answer,
}

impl FaultKind {
    fn stage(self) -> Stage {
        match self {
            Self::Latency | Self::ResetBefore | Self::Html | Self::Status500 => Stage::Transport,
            Self::TokenExpired => Stage::Token,
            Self::IpWhitelist => Stage::Address,
            Self::Quota => Stage::Rate,
            Self::Busy | Self::StringErrcode | Self::Errcode => Stage::Inside,
            Self::MissingField | Self::ExtraField | Self::ShortLife => Stage::Success,
            _ if self.spoils_protection() => Stage::Success,
            _ => Stage::Answer,
        }
    }

    /// Whether it does something to an answer that is signed and encrypted, and to no other.
    pub(crate) fn spoils_protection(self) -> bool {
        matches!(
            self,
            Self::WrongSerial
                | Self::WrongSignature
                | Self::WrongAad
                | Self::OldTimestamp
                | Self::Replayed
                | Self::InClear
        )
    }

    /// The errcode of a fault that answers with one: the caller's, where the kind leaves a choice.
    fn errcode(self, wanted: Option<i64>) -> Result<Option<i64>, InvalidFault> {
        match (self, wanted) {
            (_, Some(0)) => Err(InvalidFault("errcode 0 is no error")),
            (Self::Errcode, None) => Err(InvalidFault("kind errcode needs an errcode")),
            (Self::TokenExpired, wanted @ (Some(40001 | 40014 | 42001) | None)) => Ok(wanted.or(Some(42001))),
            (Self::IpWhitelist, wanted @ (Some(40164 | 61004 | 89501 | 89503 | 89506 | 89507) | None)) => {
                Ok(wanted.or(Some(40164)))
            }
            (Self::Errcode | Self::Quota | Self::StringErrcode, Some(errcode)) => Ok(Some(errcode)),
            (Self::Quota, None) => Ok(Some(45011)),
            (Self::StringErrcode, None) => Ok(Some(40029)),
            (Self::Busy, None | Some(-1)) => Ok(Some(-1)),
            (_, Some(_)) => Err(InvalidFault("this kind takes no errcode")),
            (_, None) => Ok(None),
        }
    }
}

/// The body of `POST /sim/faults`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultBody {
    appid: Option<String>,
    route: String,
    kind: FaultKind,
    times: Option<u32>,
    /// How long it lasts instead, however often it fires.
    for_ms: Option<u64>,
    delay_ms: Option<u64>,
    errcode: Option<i64>,
}

/// Why a fault was not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvalidFault(&'static str);

/// A fault that fires now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) delay: Duration,
    /// Present for the kinds that answer with an error.
    pub(crate) errcode: Option<i64>,
}

struct Pending {
    route: &'static str,
    appid: Option<String>,
    times: u32,
    until_ms: Option<u64>,
    fault: Fault,
}

/// The faults that wait, in the order of their coming.
#[derive(Default)]
pub(crate) struct Faults(VecDeque<Pending>);

impl Faults {
    /// Queues a fault, and returns how many wait now.
    pub(crate) fn add(&mut self, body: FaultBody, now_ms: u64) -> Result<usize, InvalidFault> {
        let route = route_named(&body.route)?;
        let has_token =
            APIS.iter().any(|api| api.path == route && matches!(api.proof, Proof::Token | Proof::Component));
        if body.kind == FaultKind::TokenExpired && !has_token {
            return Err(InvalidFault("no access_token is sent to this route"));
        }
        if body.kind == FaultKind::ShortLife && !APIS.iter().any(|api| api.path == route && api.gives_token()) {
            return Err(InvalidFault("no token comes from this route"));
        }
        if body.kind.spoils_protection() && !api_security::covers(route) {
            return Err(InvalidFault("answers of this route are never signed"));
        }
        if body.times.is_some() && body.for_ms.is_some() {
            return Err(InvalidFault("times or for_ms, not both"));
        }
        if body.for_ms.is_some_and(|for_ms| !(1..=MAX_FOR_MS).contains(&for_ms)) {
            return Err(InvalidFault("for_ms must be between 1 and a day"));
        }
        let times = body.times.unwrap_or(1);
        let delay_ms = body.delay_ms.unwrap_or(0);
        if !(1..=MAX_TIMES).contains(&times) {
            return Err(InvalidFault("times must be between 1 and 1,000,000"));
        }
        if delay_ms > MAX_DELAY_MS {
            return Err(InvalidFault("delay_ms must be at most 60,000"));
        }
        if body.kind == FaultKind::Latency && delay_ms == 0 {
            return Err(InvalidFault("kind latency needs a delay_ms"));
        }
        if self.0.len() == MAX_PENDING {
            return Err(InvalidFault("1,000 faults are waiting already"));
        }
        let of_platform = route.contains("/component/");
        let wanted = body.errcode.or((body.kind == FaultKind::IpWhitelist && of_platform).then_some(61004));
        let errcode = body.kind.errcode(wanted)?;
        let until_ms = body.for_ms.map(|for_ms| now_ms.saturating_add(for_ms));
        let fault = Fault { kind: body.kind, delay: Duration::from_millis(delay_ms), errcode };
        self.0.push_back(Pending { route, appid: body.appid, times, until_ms, fault });
        Ok(self.0.len())
    }

    /// The first fault that waits for this route, app and stage; it counts as fired.
    pub(crate) fn take(&mut self, route: &str, appid: Option<&str>, stage: Stage, now_ms: u64) -> Option<Fault> {
        self.0.retain(|pending| pending.until_ms.is_none_or(|until_ms| now_ms < until_ms));
        let index = self.0.iter().position(|pending| {
            pending.fault.kind.stage() == stage
                && pending.route == route
                && (pending.appid.is_none() || pending.appid.as_deref() == appid)
        })?;
        let pending = self.0.get_mut(index)?;
        let fault = pending.fault;
        if pending.until_ms.is_some() {
            return Some(fault);
        }
        pending.times -= 1;
        if pending.times == 0 {
            self.0.remove(index);
        }
        Some(fault)
    }

    /// Drops all faults, and returns how many waited.
    pub(crate) fn clear(&mut self) -> usize {
        let cleared = self.0.len();
        self.0.clear();
        cleared
    }
}

/// The path of an interface that is named by its path, or by the last part of it.
pub(crate) fn route_named(route: &str) -> Result<&'static str, InvalidFault> {
    std::iter::once(JSCODE2SESSION)
        .chain(APIS.iter().map(|api| api.path))
        .find(|path| *path == route || path.rsplit('/').next() == Some(route))
        .ok_or(InvalidFault("route is none of WeChat's that the simulator knows"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body(value: Value) -> FaultBody {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn fires_as_often_as_asked_in_order_for_its_app_and_stage() {
        let mut faults = Faults::default();
        faults.add(body(json!({"route": "jscode2session", "kind": "busy", "times": 2, "appid": "wxA"})), 0).unwrap();
        faults
            .add(body(json!({"route": JSCODE2SESSION, "kind": "errcode", "errcode": 40226, "delay_ms": 5})), 0)
            .unwrap();
        let mut next =
            |appid, stage| faults.take(JSCODE2SESSION, appid, stage, 0).map(|fault| (fault.kind, fault.errcode));
        assert_eq!(next(Some("wxA"), Stage::Rate), None);
        assert_eq!(next(Some("wxA"), Stage::Inside), Some((FaultKind::Busy, Some(-1))));
        assert_eq!(next(None, Stage::Inside), Some((FaultKind::Errcode, Some(40226))));
        assert_eq!(next(Some("wxB"), Stage::Inside), None);
        assert_eq!(next(Some("wxA"), Stage::Inside), Some((FaultKind::Busy, Some(-1))));
        assert_eq!(next(Some("wxA"), Stage::Inside), None);
        assert_eq!(faults.clear(), 0);
    }

    #[test]
    fn a_window_lasts_its_time_however_often_it_fires() {
        let mut faults = Faults::default();
        faults.add(body(json!({"route": "jscode2session", "kind": "quota", "for_ms": 60_000})), 5).unwrap();
        let mut fires = |now_ms| faults.take(JSCODE2SESSION, None, Stage::Rate, now_ms).is_some();
        assert_eq!([5, 6, 60_004, 60_005, 6].map(&mut fires), [true, true, true, false, false]);
    }

    #[test]
    fn platforms_are_refused_an_address_in_their_own_way() {
        let mut faults = Faults::default();
        for (route, errcode) in [("stable_token", 40164), ("api_component_token", 61004)] {
            faults.add(body(json!({"route": route, "kind": "ip_whitelist"})), 0).unwrap();
            let fault = faults.take(route_named(route).unwrap(), None, Stage::Address, 0).unwrap();
            assert_eq!(fault.errcode, Some(errcode));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let mut faults = Faults::default();
        for nonsense in [
            json!({"route": "/sns/other", "kind": "busy"}),
            json!({"route": "", "kind": "busy"}),
            json!({"route": "sns/jscode2session", "kind": "busy"}),
            json!({"route": "jscode2session", "kind": "busy", "times": 0}),
            json!({"route": "jscode2session", "kind": "busy", "times": 1_000_001}),
            json!({"route": "jscode2session", "kind": "busy", "errcode": 40029}),
            json!({"route": "jscode2session", "kind": "errcode"}),
            json!({"route": "jscode2session", "kind": "quota", "errcode": 0}),
            json!({"route": "jscode2session", "kind": "html", "errcode": 40029}),
            json!({"route": "jscode2session", "kind": "latency"}),
            json!({"route": "jscode2session", "kind": "short_life"}),
            json!({"route": "jscode2session", "kind": "latency", "delay_ms": 60_001}),
            json!({"route": "jscode2session", "kind": "wrong_serial"}),
            json!({"route": "jscode2session", "kind": "quota", "times": 1, "for_ms": 1}),
            json!({"route": "jscode2session", "kind": "quota", "for_ms": 0}),
            json!({"route": "jscode2session", "kind": "quota", "for_ms": 86_400_001}),
        ] {
            assert!(faults.add(body(nonsense.clone()), 0).is_err(), "{nonsense}");
        }
        assert!(serde_json::from_value::<FaultBody>(json!({"route": "x", "kind": "nova"})).is_err());
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut faults = Faults::default();
        let fault = || body(json!({"route": "jscode2session", "kind": "empty"}));
        for _ in 0..MAX_PENDING {
            faults.add(fault(), 0).unwrap();
        }
        assert!(faults.add(fault(), 0).is_err());
        assert_eq!(faults.clear(), MAX_PENDING);
        assert_eq!(faults.add(fault(), 0), Ok(1));
    }
}
