//! How long nobody asks for a token after one was refused.

use std::time::Duration;

use wxgate_domain::{CredentialStatus, Timestamp};
use wxgate_wechat_client::{CallError, RefusedClass};

/// The first pause after a failure that may pass by itself; each one in a row doubles it.
const FIRST: Duration = Duration::from_secs(1);
/// The longest of those.
const LONGEST: Duration = Duration::from_mins(1);
/// The first pause after a refusal that an operator must mend, and the longest: the operator may have mended it.
const FIRST_MISCONFIGURED: Duration = Duration::from_mins(1);
const LONGEST_MISCONFIGURED: Duration = Duration::from_mins(10);
/// Quotas come back at midnight in Beijing, or earlier when an operator clears them.
const LONGEST_QUOTA: Duration = Duration::from_hours(1);

/// A time in which nobody asks WeChat.
#[derive(Clone, Debug)]
pub(super) struct Pause {
    until: Timestamp,
    /// Failures in a row.
    failures: u32,
    /// The credential that was refused. Another one need not wait.
    credential: Option<CredentialStatus>,
}

impl Pause {
    /// The pause after a failure, which follows those before it.
    pub(super) fn after(
        error: &CallError,
        before: Option<&Self>,
        credential: &CredentialStatus,
        now: Timestamp,
    ) -> Self {
        let same = before.filter(|pause| pause.left(credential, pause.until.minus(FIRST)).is_some());
        let failures = same.map_or(0, |pause| pause.failures).saturating_add(1);
        let doubled = |first: Duration, longest: Duration| {
            let factor = 1_u32.checked_shl(failures - 1).unwrap_or(u32::MAX);
            first.saturating_mul(factor).min(longest)
        };
        let (wait, of_credential) = match error {
            CallError::Refused(refused) => match (refused.back_off(), refused.class) {
                // An administrator decides about our address, or the minute passes: no secret changes that.
                (Some(wait), _) => (wait, false),
                (None, RefusedClass::QuotaExhausted) => (quota(now), false),
                (None, RefusedClass::Busy) => (doubled(FIRST, LONGEST), false),
                (None, _) => (doubled(FIRST_MISCONFIGURED, LONGEST_MISCONFIGURED), true),
            },
            CallError::Overloaded => (FIRST, false),
            CallError::Timeout | CallError::Unavailable | CallError::BadResponse(_) => (doubled(FIRST, LONGEST), false),
        };
        Self { until: now.plus(wait), failures, credential: of_credential.then(|| credential.clone()) }
    }

    /// A moment's pause after a fetch that ended without saying how.
    pub(super) fn moment(now: Timestamp) -> Self {
        Self { until: now.plus(FIRST), failures: 1, credential: None }
    }

    /// What is left of it for an app with this credential.
    pub(super) fn left(&self, credential: &CredentialStatus, now: Timestamp) -> Option<Duration> {
        let is_other = self.credential.as_ref().is_some_and(|refused| refused != credential);
        if is_other { None } else { self.left_to_all(now) }
    }

    /// What is left of it.
    pub(super) fn left_to_all(&self, now: Timestamp) -> Option<Duration> {
        (now < self.until).then(|| self.until.since(now))
    }
}

fn quota(now: Timestamp) -> Duration {
    Duration::from_secs(now.until_midnight_in_beijing().into()).min(LONGEST_QUOTA)
}
