//! What a tenant or an app may tune. Safety has parameters, never an off switch: each value has bounds.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::audience::{Audience, Scope};
use crate::client_profile::ClientProfile;
use crate::merge::MergePolicy;
use crate::signing_key::SigningAlgorithm;

/// What a tenant tunes. Stored as one JSON text; unknown keys are refused, absent ones take their default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantPolicy {
    /// The format of this text.
    pub version: u32,
    /// How access tokens are signed.
    pub algorithm: SigningAlgorithm,
    /// How long an access token lives, in seconds (60 to 86,400). Jittered by 10 %.
    pub access_token_seconds: u32,
    /// How long a session lives without a refresh, in seconds (an hour to a year).
    pub refresh_idle_seconds: u32,
    /// How long a session lives at most, in seconds (an hour to two years).
    pub refresh_absolute_seconds: u32,
    /// How long the previous refresh token still gets the same successor, in seconds (0 to 60).
    pub refresh_grace_seconds: u32,
    /// Live sessions of one identity (1 to 100).
    pub max_sessions: u32,
    /// How far a watermark of user data may be from now, in seconds (60 to 86,400).
    pub user_data_window_seconds: u32,
    /// How long a signing key signs before the next one takes over, in days (2 to 365).
    pub signing_key_days: u32,
    /// How long entries of the audit log are kept, in days (30 to 3,650).
    pub audit_days: u32,
    /// What happens when the unionid of one user appears with another one's login.
    pub merge: MergePolicy,
    /// How long a phone number stays with its user after somebody else proved to have it and asked for it, in days (1 to 90).
    pub phone_move_days: u32,
}

pub(crate) const VERSION: u32 = 1;
/// How long entries of an audit log are kept at least and at most, in days.
const AUDIT_DAYS: RangeInclusive<u32> = 30..=3_650;
const DAY: u32 = 86_400;

impl Default for TenantPolicy {
    fn default() -> Self {
        Self {
            version: VERSION,
            algorithm: SigningAlgorithm::ES256,
            access_token_seconds: 900,
            refresh_idle_seconds: 30 * DAY,
            refresh_absolute_seconds: 180 * DAY,
            refresh_grace_seconds: 30,
            max_sessions: 20,
            user_data_window_seconds: 600,
            signing_key_days: 90,
            audit_days: 400,
            merge: MergePolicy::Manual,
            phone_move_days: 7,
        }
    }
}

impl TenantPolicy {
    /// Reads the stored text.
    ///
    /// # Errors
    /// Not JSON, an unknown key or version, or a value outside its bounds.
    pub fn from_json(text: &str) -> Result<Self, MalformedPolicy> {
        let policy: Self = serde_json::from_str(text).map_err(|_| MalformedPolicy::Text)?;
        policy.checked()
    }

    /// The text to store.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// How long an access token lives, before jitter.
    pub fn access_token_life(&self) -> Duration {
        Duration::from_secs(self.access_token_seconds.into())
    }

    /// How long a session lives without a refresh.
    pub fn refresh_idle(&self) -> Duration {
        Duration::from_secs(self.refresh_idle_seconds.into())
    }

    /// How long a session lives at most.
    pub fn refresh_absolute(&self) -> Duration {
        Duration::from_secs(self.refresh_absolute_seconds.into())
    }

    /// How long the previous refresh token still gets the same successor.
    pub fn refresh_grace(&self) -> Duration {
        Duration::from_secs(self.refresh_grace_seconds.into())
    }

    /// How far a watermark may be from now.
    pub fn user_data_window(&self) -> Duration {
        Duration::from_secs(self.user_data_window_seconds.into())
    }

    /// How long a signing key signs.
    pub fn signing_key_life(&self) -> Duration {
        Duration::from_hours(24 * u64::from(self.signing_key_days))
    }

    /// How long entries of the audit log are kept.
    pub fn audit_life(&self) -> Duration {
        Duration::from_hours(24 * u64::from(self.audit_days))
    }

    /// How long they are kept at least, whatever the policy.
    pub fn least_audit_life() -> Duration {
        Duration::from_hours(24 * u64::from(*AUDIT_DAYS.start()))
    }

    /// How long a phone number stays with its user after somebody else asked for it.
    pub fn phone_move(&self) -> Duration {
        Duration::from_hours(24 * u64::from(self.phone_move_days))
    }

    /// The policy, if every value is within its bounds.
    ///
    /// # Errors
    /// Which values are not.
    pub fn checked(self) -> Result<Self, MalformedPolicy> {
        every([
            within("version", self.version, VERSION..=VERSION),
            within("access_token_seconds", self.access_token_seconds, 60..=DAY),
            within("refresh_idle_seconds", self.refresh_idle_seconds, 3_600..=365 * DAY),
            within("refresh_absolute_seconds", self.refresh_absolute_seconds, 3_600..=730 * DAY),
            within("refresh_grace_seconds", self.refresh_grace_seconds, 0..=60),
            within("max_sessions", self.max_sessions, 1..=100),
            within("user_data_window_seconds", self.user_data_window_seconds, 60..=DAY),
            within("signing_key_days", self.signing_key_days, 2..=365),
            within("audit_days", self.audit_days, AUDIT_DAYS),
            within("phone_move_days", self.phone_move_days, 1..=90),
        ])?;
        Ok(self)
    }
}

/// What an app tunes. Stored as one JSON text; unknown keys are refused, absent ones take their default.
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AppPolicy {
    /// The format of this text.
    pub version: u32,
    /// Audiences of the app's access tokens, beside the issuer, at most 20; empty means the appid. The tenant owns each.
    pub audiences: Vec<String>,
    /// Scopes of the app's access tokens, at most 20.
    pub scopes: Vec<String>,
    /// Whether access tokens carry the openid.
    pub openid_claim: bool,
    /// Whether access tokens carry the unionid.
    pub unionid_claim: bool,
    /// Whether access tokens carry what another system calls the user.
    pub external_id_claim: bool,
    /// Whether access tokens carry the user's phone number, if WeChat vouches for it.
    pub phone_claim: bool,
    /// Phone codes that one openid may have exchanged in a day of Beijing (1 to 1,000). WeChat charges for each.
    pub phone_codes_per_user_day: u32,
    /// Phone codes that the whole app may have exchanged in a day of Beijing (1 to 10,000,000).
    pub phone_codes_per_day: u32,
    /// Phone data that one openid may have confirmed in a day of Beijing (1 to 1,000). Each is a call of WeChat.
    pub phone_data_per_user_day: u32,
    /// Phone data that the whole app may have confirmed in a day of Beijing (1 to 10,000,000).
    pub phone_data_per_day: u32,
    /// Requests a second of the whole app (1 to 100,000).
    pub requests_per_second: u32,
    /// Requests at once of the whole app (1 to 100,000).
    pub request_burst: u32,
    /// Sessions that one openid may open in a minute (1 to 1,000).
    pub logins_per_minute: u32,
    /// Where the app's access_token comes from.
    pub access_token: TokenSource,
    /// Which clients the app has.
    pub profile: ClientProfile,
    /// Whether these clients get HTTP 200 whatever happens; left out, as their profile has it.
    pub always_ok: Option<bool>,
}

/// Where an app's access_token comes from. WeChat keeps the two kinds apart: neither disturbs the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenSource {
    /// `cgi-bin/stable_token`: the same for all who ask.
    #[default]
    Stable,
    /// `cgi-bin/token`: each new one ends the one before. Only for an app that shares its token with a system that knows
    /// no other; all nodes of wxgate then share one, under a lease.
    Legacy,
}

impl TokenSource {
    /// The word in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Legacy => "legacy",
        }
    }
}

impl FromStr for TokenSource {
    type Err = UnknownTokenSource;

    fn from_str(text: &str) -> Result<Self, UnknownTokenSource> {
        [Self::Stable, Self::Legacy].into_iter().find(|source| source.as_str() == text).ok_or(UnknownTokenSource)
    }
}

/// A word that is no source of access_tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be stable or legacy")]
pub struct UnknownTokenSource;

impl Default for AppPolicy {
    fn default() -> Self {
        Self {
            version: VERSION,
            audiences: Vec::new(),
            scopes: vec!["user".to_owned()],
            openid_claim: false,
            unionid_claim: false,
            external_id_claim: false,
            phone_claim: false,
            phone_codes_per_user_day: 10,
            phone_codes_per_day: 10_000,
            phone_data_per_user_day: 10,
            phone_data_per_day: 10_000,
            requests_per_second: 500,
            request_burst: 1_000,
            logins_per_minute: 10,
            access_token: TokenSource::Stable,
            profile: ClientProfile::Native,
            always_ok: None,
        }
    }
}

impl AppPolicy {
    /// Reads the stored text.
    ///
    /// # Errors
    /// Not JSON, an unknown key or version, or a value outside its bounds.
    pub fn from_json(text: &str) -> Result<Self, MalformedPolicy> {
        let policy: Self = serde_json::from_str(text).map_err(|_| MalformedPolicy::Text)?;
        policy.checked()
    }

    /// The text to store.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The scopes as one text (RFC 6749 section 3.3).
    pub fn scope(&self) -> String {
        self.scopes.join(" ")
    }

    /// The policy, if every value is within its bounds.
    ///
    /// # Errors
    /// Which values are not.
    pub fn checked(self) -> Result<Self, MalformedPolicy> {
        every([
            within("version", self.version, VERSION..=VERSION),
            within("phone_codes_per_user_day", self.phone_codes_per_user_day, 1..=1_000),
            within("phone_codes_per_day", self.phone_codes_per_day, 1..=10_000_000),
            within("phone_data_per_user_day", self.phone_data_per_user_day, 1..=1_000),
            within("phone_data_per_day", self.phone_data_per_day, 1..=10_000_000),
            within("requests_per_second", self.requests_per_second, 1..=100_000),
            within("request_burst", self.request_burst, 1..=100_000),
            within("logins_per_minute", self.logins_per_minute, 1..=1_000),
            texts::<Audience>("audiences", &self.audiences),
            texts::<Scope>("scopes", &self.scopes),
        ])?;
        Ok(self)
    }
}

/// Most entries of each list in a policy.
const LONGEST: usize = 20;

/// At most [`LONGEST`] entries, each once.
pub(crate) fn listed<T: PartialEq>(name: &'static str, list: &[T]) -> Result<(), MalformedPolicy> {
    let once = || list.iter().enumerate().all(|(at, entry)| !list.iter().take(at).any(|before| before == entry));
    (list.len() <= LONGEST && once()).then_some(()).ok_or(MalformedPolicy::List(name))
}

/// A list of texts that are each of this kind.
fn texts<T: FromStr>(name: &'static str, list: &[String]) -> Result<(), MalformedPolicy> {
    listed(name, list)?;
    list.iter().all(|text| text.parse::<T>().is_ok()).then_some(()).ok_or(MalformedPolicy::List(name))
}

/// Everything that is wrong, at once.
pub(crate) fn every(checks: impl IntoIterator<Item = Result<(), MalformedPolicy>>) -> Result<(), MalformedPolicy> {
    let mut wrong: Vec<_> = checks.into_iter().filter_map(Result::err).collect();
    match wrong.pop() {
        None => Ok(()),
        Some(one) if wrong.is_empty() => Err(one),
        Some(last) => {
            wrong.push(last);
            Err(MalformedPolicy::Several(wrong))
        }
    }
}

/// A policy that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedPolicy {
    /// Several things are wrong.
    #[error("{}", .0.iter().map(Self::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<Self>),
    /// The text is no such policy: not JSON, an unknown key, or a value of another kind.
    #[error("not a policy of this version")]
    Text,
    /// A number is out of its bounds.
    #[error("{name} must be {least} to {most}")]
    Bounds {
        /// Its name.
        name: &'static str,
        /// The smallest that it can be.
        least: u32,
        /// And the largest.
        most: u32,
    },
    /// A list is too long, or has an entry twice or one that cannot be.
    #[error("{0} must be at most 20 well-formed entries, each once")]
    List(&'static str),
}

pub(crate) fn within(name: &'static str, value: u32, bounds: RangeInclusive<u32>) -> Result<(), MalformedPolicy> {
    let (least, most) = (*bounds.start(), *bounds.end());
    bounds.contains(&value).then_some(()).ok_or(MalformedPolicy::Bounds { name, least, most })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_read_back_and_absent_keys_take_their_default() {
        assert_eq!(TenantPolicy::from_json(&TenantPolicy::default().to_json()).unwrap(), TenantPolicy::default());
        assert_eq!(AppPolicy::from_json(&AppPolicy::default().to_json()).unwrap(), AppPolicy::default());
        assert_eq!(TenantPolicy::from_json(r#"{"max_sessions":5}"#).unwrap().max_sessions, 5);
    }

    #[test]
    fn unknown_keys_versions_and_values_out_of_bounds_are_refused() {
        for wrong in [
            "",
            "7",
            r#"{"lax":true}"#,
            r#"{"version":2}"#,
            r#"{"refresh_grace_seconds":61}"#,
            r#"{"signing_key_days":1}"#,
        ] {
            assert!(TenantPolicy::from_json(wrong).is_err(), "{wrong}");
        }
        for wrong in [
            r#"{"request_burst":0}"#,
            r#"{"scopes":["a b"]}"#,
            r#"{"access_token":"forced"}"#,
            r#"{"scopes":["a","a"]}"#,
            r#"{"audiences":[""]}"#,
            r#"{"audiences":["https://login.example.com/t/acme"]}"#,
        ] {
            assert!(AppPolicy::from_json(wrong).is_err(), "{wrong}");
        }
    }
}
