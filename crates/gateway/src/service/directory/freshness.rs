//! Whether what was read still holds. Changes are numbered; whatever was read before a change of its tenant is stale
//! from the moment that the change is heard of, and nothing else is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wxgate_domain::TenantId;
use wxgate_storage::{Change, ChangeKind};

/// The number of the last change that was heard of before something was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AsOf(i64);

/// When a tenant's rows last changed, and when its signing keys did. Clones are one.
#[derive(Clone, Debug)]
pub(crate) struct TenantChanges(Arc<Marks>);

#[derive(Debug)]
struct Marks {
    rows: AtomicI64,
    keys: AtomicI64,
}

impl TenantChanges {
    /// Whether rows that were read then are still as they were.
    pub(crate) fn none_since(&self, read: AsOf) -> bool {
        self.0.rows.load(Ordering::Acquire) <= read.0
    }

    /// Whether the tenant's signing keys are still as they were read then.
    pub(crate) fn same_keys_since(&self, read: AsOf) -> bool {
        self.0.keys.load(Ordering::Acquire) <= read.0
    }
}

/// What the log of changes has said so far. Clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Freshness(Arc<Heard>);

#[derive(Debug, Default)]
struct Heard {
    last: AtomicI64,
    /// The last change that may have made an app or tenant appear.
    appeared: AtomicI64,
    /// Of every tenant that was ever read: as many as there are tenants, a few words each.
    tenants: Mutex<HashMap<TenantId, TenantChanges>>,
}

impl Freshness {
    /// To be asked before a read begins.
    pub(super) fn as_of(&self) -> AsOf {
        AsOf(self.0.last.load(Ordering::Acquire))
    }

    /// The changes of a tenant, from now on.
    pub(super) fn of(&self, tenant: TenantId) -> TenantChanges {
        let mut tenants = self.0.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let never = || TenantChanges(Arc::new(Marks { rows: AtomicI64::new(0), keys: AtomicI64::new(0) }));
        tenants.entry(tenant).or_insert_with(never).clone()
    }

    /// Whether an app or tenant that was not there when it was looked for then may be there now.
    pub(super) fn may_have_appeared_since(&self, read: AsOf) -> bool {
        self.0.appeared.load(Ordering::Acquire) > read.0
    }

    /// Takes note of a change.
    pub(super) fn heard(&self, change: &Change) {
        match (change.kind, change.tenant) {
            // They change no row that is remembered, and every logout is one.
            (ChangeKind::Revocation | ChangeKind::User | ChangeKind::Webhook, Some(_)) => {}
            (kind, Some(tenant)) => self.mark(change.seq, kind == ChangeKind::SigningKey, |id| id == tenant),
            (_, None) => self.mark(change.seq, true, |_| true),
        }
        // Last: whatever is read from now on is read after the change.
        self.0.last.fetch_max(change.seq, Ordering::AcqRel);
    }

    /// So many changes were missed: nothing that was read before holds for certain.
    pub(super) fn missed(&self, changes: u64) {
        let last = self.0.last.load(Ordering::Acquire).saturating_add_unsigned(changes);
        self.mark(last, true, |_| true);
        self.0.last.fetch_max(last, Ordering::AcqRel);
    }

    fn mark(&self, seq: i64, keys: bool, concerned: impl Fn(TenantId) -> bool) {
        self.0.appeared.fetch_max(seq, Ordering::AcqRel);
        let tenants = self.0.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, changes) in tenants.iter().filter(|(id, _)| concerned(**id)) {
            changes.0.rows.fetch_max(seq, Ordering::AcqRel);
            if keys {
                changes.0.keys.fetch_max(seq, Ordering::AcqRel);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn change(seq: i64, tenant: Option<TenantId>, kind: ChangeKind) -> Change {
        Change { seq, tenant, kind, row: None }
    }

    #[test]
    fn only_what_was_read_before_a_change_of_its_tenant_is_stale() {
        let freshness = Freshness::default();
        let [acme, other] = [1, 2].map(|n| TenantId::from(Uuid::from_u128(n)));
        let (of_acme, of_other) = (freshness.of(acme), freshness.of(other));
        let before = freshness.as_of();
        freshness.heard(&change(1, Some(acme), ChangeKind::App));
        assert!(!of_acme.none_since(before) && of_acme.same_keys_since(before) && of_other.none_since(before));
        assert!(of_acme.none_since(freshness.as_of()) && freshness.may_have_appeared_since(before));
        freshness.heard(&change(2, Some(other), ChangeKind::SigningKey));
        assert!(!of_other.same_keys_since(before) && of_acme.none_since(AsOf(1)));
    }

    #[test]
    fn logouts_make_nothing_stale() {
        let freshness = Freshness::default();
        let acme = TenantId::from(Uuid::from_u128(1));
        let of_acme = freshness.of(acme);
        let before = freshness.as_of();
        freshness.heard(&change(1, Some(acme), ChangeKind::Revocation));
        freshness.heard(&change(2, Some(acme), ChangeKind::User));
        assert!(of_acme.none_since(before) && !freshness.may_have_appeared_since(before));
    }

    #[test]
    fn what_concerns_all_and_what_was_missed_makes_everything_stale() {
        let freshness = Freshness::default();
        let of_acme = freshness.of(TenantId::from(Uuid::from_u128(1)));
        let before = freshness.as_of();
        freshness.heard(&change(5, None, ChangeKind::Tenant));
        assert!(!of_acme.none_since(before) && !of_acme.same_keys_since(before));
        let between = freshness.as_of();
        assert!(of_acme.none_since(between));
        freshness.missed(3);
        assert!(!of_acme.none_since(between) && !of_acme.same_keys_since(between));
        assert!(of_acme.none_since(freshness.as_of()));
    }
}
