//! What a tenant's signing keys need at a moment: one pure decision, which whoever keeps the ring carries out.
//!
//! A ring is one `active` key, which signs, one `next`, which is published so that verifiers know it before it signs,
//! and any number of `retiring` ones, which verify what they signed until the last of it has ended.

use std::time::Duration;

use crate::policy::TenantPolicy;
use crate::signing_key::{Kid, SigningAlgorithm, SigningKeyState, StoredSigningKey};
use crate::time::Timestamp;

/// How long a key is published before it signs. Verifiers keep a key set for five minutes, and for an hour at most where
/// they cannot read it; a day leaves time for whoever is asleep.
pub const PUBLISHED_FIRST: Duration = Duration::from_hours(24);

/// How long a key verifies after it ceased to sign: the longest life of an access token, and five minutes for clocks
/// that differ and for a process that hears of its successor late.
pub const VERIFIES_ON: Duration = Duration::from_mins(24 * 60 + 5);

/// A key as rotation sees it: no key material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingKey {
    /// Its id.
    pub kid: Kid,
    /// What it signs with.
    pub algorithm: SigningAlgorithm,
    /// Where it stands.
    pub state: SigningKeyState,
    /// When it was made, and published.
    pub published_at: Timestamp,
    /// When it began to sign; `None` for a tenant's first, which signed from the beginning.
    pub activated_at: Option<Timestamp>,
    /// When it ceased to sign.
    pub retired_at: Option<Timestamp>,
}

impl From<&StoredSigningKey> for RingKey {
    fn from(key: &StoredSigningKey) -> Self {
        Self {
            kid: key.kid.clone(),
            algorithm: key.algorithm,
            state: key.state,
            published_at: key.created_at,
            activated_at: key.activated_at,
            retired_at: key.retired_at,
        }
    }
}

/// One change of a ring. Steps are carried out in their order and together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyStep {
    /// Make a key of this algorithm and publish it as `next`.
    Publish(SigningAlgorithm),
    /// This `next` becomes `active`; the one that was retires.
    Promote(Kid),
    /// Nothing that must verify was signed by it: it goes.
    Forget(Kid),
}

/// Why a ring is not changed as an operator asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyMoveError {
    /// The ring has no such key.
    #[error("no such key")]
    Unknown,
    /// No key stands by to take over.
    #[error("no key is published that could take over")]
    NoNext,
    /// Verifiers may not know the next key yet.
    #[error("the next key was not published for {} hours yet", PUBLISHED_FIRST.as_secs() / 3_600)]
    NotYet {
        /// From when on it may sign.
        until: Timestamp,
    },
}

/// What a ring needs now, by schedule. Nothing is due twice: with the steps done, the answer is empty.
///
/// A key signs only after it was published for [`PUBLISHED_FIRST`], and once the active one is older than the policy's
/// `signing_key_days`. A `next` of another algorithm than the policy's is replaced, and its successor waits as long. A
/// ring without an active key, which no move of ours leaves behind, takes whatever key stands by at once.
pub fn due(keys: &[RingKey], policy: &TenantPolicy, now: Timestamp) -> Vec<KeyStep> {
    let active = active(keys);
    let fits = |key: &&RingKey| key.algorithm == policy.algorithm || active.is_none();
    let next = standing_by(keys).filter(fits).min_by_key(|key| key.published_at);
    let promoted = next.filter(|next| active.is_none_or(|active| promoted_at(next, active, policy) <= now));

    let mut steps = Vec::new();
    steps.extend(promoted.map(|next| KeyStep::Promote(next.kid.clone())));
    let superfluous = standing_by(keys).filter(|key| next.is_none_or(|next| next.kid != key.kid));
    let ended = keys.iter().filter(|key| forgotten_at(key).is_some_and(|at| at <= now));
    steps.extend(superfluous.chain(ended).map(|key| KeyStep::Forget(key.kid.clone())));
    if next.is_none() || promoted.is_some() {
        steps.push(KeyStep::Publish(policy.algorithm));
    }
    steps
}

/// The next key takes over before its time, and a new one is published.
///
/// # Errors
/// [`KeyMoveError::NoNext`], or [`KeyMoveError::NotYet`] while verifiers may not know it.
pub fn rotate(keys: &[RingKey], policy: &TenantPolicy, now: Timestamp) -> Result<Vec<KeyStep>, KeyMoveError> {
    let next = successor(keys)?;
    let until = next.published_at.plus(PUBLISHED_FIRST);
    if until > now {
        return Err(KeyMoveError::NotYet { until });
    }
    Ok(vec![KeyStep::Promote(next.kid.clone()), KeyStep::Publish(policy.algorithm)])
}

/// A key goes at once, with everything that it signed. In the place of the active one the next signs, however short it
/// has been published: its holder's forgeries weigh more than a verifier's late refusal.
///
/// # Errors
/// [`KeyMoveError::Unknown`], or [`KeyMoveError::NoNext`] for an active key without a successor.
pub fn retire(keys: &[RingKey], kid: &Kid, policy: &TenantPolicy) -> Result<Vec<KeyStep>, KeyMoveError> {
    let key = keys.iter().find(|key| key.kid == *kid).ok_or(KeyMoveError::Unknown)?;
    let forget = KeyStep::Forget(kid.clone());
    let publish = KeyStep::Publish(policy.algorithm);
    Ok(match key.state {
        SigningKeyState::Active => vec![KeyStep::Promote(successor(keys)?.kid.clone()), forget, publish],
        SigningKeyState::Next => vec![forget, publish],
        SigningKeyState::Retiring => vec![forget],
    })
}

/// When a key's next move is due by schedule: `next` begins to sign, `active` ceases to, `retiring` is forgotten.
/// `None` where that cannot be said, as for an active key without a successor.
pub fn moves_at(key: &RingKey, keys: &[RingKey], policy: &TenantPolicy) -> Option<Timestamp> {
    match key.state {
        SigningKeyState::Next => active(keys).map(|active| promoted_at(key, active, policy)),
        SigningKeyState::Active => successor(keys).ok().map(|next| promoted_at(next, key, policy)),
        SigningKeyState::Retiring => forgotten_at(key),
    }
}

fn active(keys: &[RingKey]) -> Option<&RingKey> {
    keys.iter().find(|key| key.state == SigningKeyState::Active)
}

fn standing_by(keys: &[RingKey]) -> impl Iterator<Item = &RingKey> {
    keys.iter().filter(|key| key.state == SigningKeyState::Next)
}

/// The one that most verifiers know.
fn successor(keys: &[RingKey]) -> Result<&RingKey, KeyMoveError> {
    standing_by(keys).min_by_key(|key| key.published_at).ok_or(KeyMoveError::NoNext)
}

fn promoted_at(next: &RingKey, active: &RingKey, policy: &TenantPolicy) -> Timestamp {
    let grown_old = active.activated_at.unwrap_or(active.published_at).plus(policy.signing_key_life());
    next.published_at.plus(PUBLISHED_FIRST).max(grown_old)
}

fn forgotten_at(key: &RingKey) -> Option<Timestamp> {
    let retired_at = key.retired_at.filter(|_| key.state == SigningKeyState::Retiring)?;
    Some(retired_at.plus(VERIFIES_ON))
}

#[cfg(test)]
mod tests;
