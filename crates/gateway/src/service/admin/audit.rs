//! What is written down of operators' moves, and reading it again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use wxgate_domain::{AdminKeyId, Tenant, TenantId, Timestamp};
use wxgate_storage::{AuditEntry, AuditFilter, AuditVerdict, Checkpoint, NewAuditEntry, Tx};

use super::caller::Actor;
use super::{Admin, AdminError, Caller};

/// Something that was done, for whoever has to know later.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// What, as `noun.verb`.
    pub(crate) action: &'static str,
    /// The tenant that it concerns. What removes the tenant itself concerns none: its log goes with it.
    pub(crate) tenant: Option<TenantId>,
    /// What it was done to: an id or a name of ours, never a secret nor what WeChat calls a person.
    pub(crate) target: String,
}

impl Event {
    /// Something done to what belongs to a tenant.
    pub(crate) fn of(tenant: TenantId, action: &'static str, target: impl ToString) -> Self {
        Self::concerning(Some(tenant), action, target)
    }

    /// Something done to what belongs to no tenant.
    pub(crate) fn of_operators(action: &'static str, target: impl ToString) -> Self {
        Self::concerning(None, action, target)
    }

    /// Something done to what belongs to a tenant, or to none.
    #[expect(clippy::needless_pass_by_value, reason = "ids and names are given as they are")]
    pub(crate) fn concerning(tenant: Option<TenantId>, action: &'static str, target: impl ToString) -> Self {
        Self { action, tenant, target: target.to_string() }
    }

    /// What is written down of it when this caller did it.
    pub(crate) fn entry(&self, caller: &Caller) -> NewAuditEntry {
        NewAuditEntry {
            actor: caller.actor.to_string(),
            action: self.action.to_owned(),
            target: self.target.clone(),
            outcome: DONE.to_owned(),
            request_id: caller.request_id.clone(),
            detail: None,
            personal: caller.address.map(|address| address.to_string()),
        }
    }
}

/// The outcomes of entries.
const DONE: &str = "done";
const REFUSED: &str = "refused";

impl Admin {
    /// Commits a move with its entry in the audit log, and tells of it. Every move ends here.
    pub(crate) async fn commit(&self, tx: Tx, event: Event) -> Result<(), AdminError> {
        tx.audit(event.tenant).record(&event.entry(&self.caller)).await?;
        tx.commit().await?;
        let tenant = event.tenant.map(tracing::field::display);
        let address = self.caller.address.map(tracing::field::display);
        tracing::info!(
            admin.actor = %self.caller.actor,
            admin.action = event.action,
            admin.target = ?event.target,
            admin.address = address,
            tenant.id = tenant,
            request.id = self.caller.request_id,
            "an operator's move"
        );
        Ok(())
    }

    /// Writes down what a key was refused: in the log of its tenant, or of the installation for an operator's. Not what is
    /// no refusal, and not for ever: a key that asks again and again fills no table.
    pub(crate) async fn refused(&self, operation: &str, error: &AdminError) {
        let Actor::Key(key) = self.caller.actor else { return };
        if !error.is_refusal()
            || (self.caller.tenant.is_none() && !matches!(error, AdminError::Scope(_) | AdminError::MoreThanOwn(_)))
        {
            return;
        }
        let count = self.refusals.count(key, self.clock.now());
        tracing::warn!(
            admin.actor = %self.caller.actor,
            admin.operation = operation,
            admin.written_down = count <= MOST_REFUSALS,
            error.source = ?error.to_string(),
            request.id = self.caller.request_id,
            "an operator's key was refused"
        );
        if count > MOST_REFUSALS {
            return;
        }
        let last =
            if count == MOST_REFUSALS { "; what follows within ten minutes stands in the log alone" } else { "" };
        let entry = NewAuditEntry {
            action: operation.to_owned(),
            outcome: REFUSED.to_owned(),
            detail: Some(format!("{error}{last}")),
            ..Event::concerning(self.caller.tenant, "", "").entry(&self.caller)
        };
        let written = async {
            let tx = self.storage.begin().await?;
            tx.audit(self.caller.tenant).record(&entry).await?;
            tx.commit().await
        };
        if let Err(error) = written.await {
            tracing::error!(error.source = %error, "a refusal was not written down");
        }
    }

    /// At most `limit` entries of a tenant's log, newest first; without a tenant the caller's own, or the installation's.
    pub(crate) async fn audit(
        &self,
        tenant: Option<&Tenant>,
        filter: &AuditFilter,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, AdminError> {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        Ok(self.storage.audit(self.log_of(tenant)).page(filter, limit).await?)
    }

    /// Whether such a log is as it was written, and where it stands.
    pub(crate) async fn verify_audit(
        &self,
        tenant: Option<&Tenant>,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<(AuditVerdict, Option<Checkpoint>), AdminError> {
        let log = self.storage.audit(self.log_of(tenant));
        let verdict = log.verify(checkpoint).await?;
        Ok((verdict, log.checkpoint().await?))
    }

    fn log_of(&self, tenant: Option<&Tenant>) -> Option<TenantId> {
        tenant.map(|tenant| tenant.id).or(self.caller.tenant)
    }
}

/// Refusals of one key that are written down within [`WINDOW`].
const MOST_REFUSALS: u32 = 20;
const WINDOW: Duration = Duration::from_mins(10);
/// Keys that are remembered at once.
const MOST_KEYS: usize = 10_000;

/// How often each key was refused something lately.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<HashMap<AdminKeyId, (Timestamp, u32)>>);

impl Refusals {
    /// Counts one more, from 1 in each window.
    fn count(&self, key: AdminKeyId, now: Timestamp) -> u32 {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= MOST_KEYS {
            keys.retain(|_, (since, _)| now.since(*since) < WINDOW);
        }
        let full = keys.len() >= MOST_KEYS;
        let (since, count) = keys.entry(key).or_insert((now, if full { MOST_REFUSALS } else { 0 }));
        if now.since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count
    }
}

#[cfg(test)]
mod tests {
    use wxgate_crypto::Random;

    use super::*;

    #[test]
    fn a_flood_of_refusals_is_written_down_in_part() {
        let (refusals, random) = (Refusals::default(), Random::seeded(1));
        let now = Timestamp::from_millis(1_795_305_600_000);
        let (one, other) = (AdminKeyId::new(now, &random), AdminKeyId::new(now, &random));
        let written = |key, now| (0..1_000).filter(|_| refusals.count(key, now) <= MOST_REFUSALS).count();
        assert_eq!((written(one, now), written(other, now)), (20, 20));
        assert_eq!((written(one, now.plus(WINDOW / 2)), written(one, now.plus(WINDOW))), (0, 20));
    }
}
