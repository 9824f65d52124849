//! What WeChat remembers of a call that it refused, by the trace id in the errmsg.

use std::collections::{HashMap, VecDeque};

use serde_json::{Value, json};

use crate::state::Refusal;

/// WeChat answers for seven days.
const LIFE_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// Calls remembered.
const MAX: usize = 10_000;

/// A call that was refused.
pub(crate) struct Traced {
    pub(crate) appid: String,
    pub(crate) at_ms: u64,
    pub(crate) path: &'static str,
    pub(crate) request: String,
    pub(crate) response: String,
}

/// Calls by their trace ids, and those by age.
#[derive(Default)]
pub(crate) struct Rids {
    by_text: HashMap<String, Traced>,
    oldest_first: VecDeque<String>,
}

impl Rids {
    pub(crate) fn note(&mut self, rid: &str, call: Traced) {
        if self.by_text.len() == MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.by_text.remove(&oldest);
        }
        if self.by_text.insert(rid.to_owned(), call).is_none() {
            self.oldest_first.push_back(rid.to_owned());
        }
    }

    /// What was asked and answered under a trace id.
    pub(crate) fn told(&self, rid: &str, appid: &str, now_ms: u64) -> Result<Value, Refusal> {
        let groups: Vec<_> = rid.split('-').collect();
        let is_group = |group: &&str| group.len() == 8 && group.bytes().all(|byte| byte.is_ascii_hexdigit());
        if groups.len() != 3 || !groups.iter().all(is_group) {
            return Err(Refusal::new(76002));
        }
        let call = self.by_text.get(rid).ok_or(Refusal::new(76001))?;
        if call.appid != appid {
            return Err(Refusal::new(76003));
        }
        if now_ms.saturating_sub(call.at_ms) >= LIFE_MS {
            return Err(Refusal::new(76004));
        }
        Ok(json!({
            "invoke_time": call.at_ms / 1000,
            "cost_in_ms": 1,
            "request_url": call.path,
            "request_body": call.request,
            "response_body": call.response,
            "client_ip": "127.0.0.1",
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RID: &str = "652d44d0-1d0af18b-5b069232";

    fn call(appid: &str) -> Traced {
        Traced {
            appid: appid.into(),
            at_ms: 5_000,
            path: "/a",
            request: "{}".into(),
            response: r#"{"errcode":1}"#.into(),
        }
    }

    #[test]
    fn a_call_is_told_to_its_app_for_seven_days() {
        let mut rids = Rids::default();
        rids.note(RID, call("wxA"));
        let told = |rid: &str, appid: &str, now_ms| rids.told(rid, appid, now_ms).map_err(|refusal| refusal.errcode);
        let known = told(RID, "wxA", 5_000 + LIFE_MS - 1).unwrap();
        assert_eq!((&known["invoke_time"], &known["response_body"]), (&json!(5), &json!(r#"{"errcode":1}"#)));
        assert_eq!(told(RID, "wxA", 5_000 + LIFE_MS), Err(76004));
        assert_eq!(told(RID, "wxB", 5_000), Err(76003));
        assert_eq!(told("652d44d0-1d0af18b-5b069233", "wxA", 5_000), Err(76001));
        for malformed in ["", "652d44d0", "652d44d0-1d0af18b-5b06923g", "652d44d0-1d0af18b-5b069232-00000000"] {
            assert_eq!(told(malformed, "wxA", 5_000), Err(76002), "{malformed}");
        }
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut rids = Rids::default();
        for number in 0..=MAX {
            rids.note(&format!("00000000-00000000-{number:08x}"), call("wxA"));
        }
        assert_eq!((rids.by_text.len(), rids.oldest_first.len()), (MAX, MAX));
        assert!(rids.told("00000000-00000000-00000000", "wxA", 0).is_err());
    }
}
