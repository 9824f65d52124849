//! What operators did, in chains that cannot be changed unseen: one for each tenant, and one of the installation for what
//! belongs to no tenant.
//!
//! An entry's MAC covers all of it and the MAC before it, under a key that stands in the database only sealed. The row of
//! the chain says how far it goes, under a MAC of its own. So whoever can write to the database but has no master key
//! changes, removes or adds no entry without [`AuditLog::verify`] finding it. They can put back everything as it was on
//! an earlier day; a [`Checkpoint`] that is kept elsewhere proves what was there since.
//!
//! What is personal stands beside a salted commitment, and the MAC covers the commitment: it can be forgotten, and the
//! chain still holds.

mod chain;
mod checkpoint;
mod entry;
mod keys;
mod log;
pub(crate) mod older;
mod prune;
mod verify;

pub use chain::TxAudit;
pub(crate) use chain::begin;
pub use checkpoint::{Checkpoint, MalformedCheckpoint};
pub use entry::{AuditEntry, NewAuditEntry};
pub(crate) use log::heads;
pub use log::{AuditFilter, AuditLog};
pub(crate) use prune::{cutoff, old_chains, prune};
pub use verify::{AuditFlaw, AuditVerdict, Flaw};

use uuid::Uuid;
use wxgate_domain::TenantId;

/// Said in the log whenever it is noticed.
const TAMPERED: &str = "the audit log was changed by somebody else: `wxgate audit verify` says where";

/// Whose chain it is: a tenant's, or the installation's own.
pub type AuditChain = Option<TenantId>;

/// What the rows of a chain are found by: the tenant, or the nil id for the installation's own.
fn id_of(tenant: Option<TenantId>) -> TenantId {
    tenant.unwrap_or_else(|| Uuid::nil().into())
}

/// Whose chain it is.
fn whose(chain: TenantId) -> Option<TenantId> {
    (chain.uuid() != Uuid::nil()).then_some(chain)
}
