//! The audit log: what was done, by whom, and whether it still says so.

use clap::Args;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;
use wxgate_domain::{AdminScope, Slug, TenantId, Timestamp};
use wxgate_storage::{AuditEntry, AuditFilter, AuditFlaw, AuditVerdict, Checkpoint};

use super::{Limit, Method, Operation, Page, Route, Visitor};
use crate::service::admin::{Admin, AdminError};

/// Every operation of this file.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<ListAudit>();
    visitor.visit::<VerifyAudit>();
}

/// Something that was done, or refused.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AuditReply {
    /// Its number in the log of its tenant, from 1 and without gaps.
    pub(crate) seq: u64,
    /// Seconds since 1970.
    pub(crate) at: i64,
    /// `key:` and the id of an admin key, `console` for a command on the database, `system` for wxgate itself.
    pub(crate) actor: String,
    /// Where it came from, until that is forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) address: Option<String>,
    /// `noun.verb` of what was done; the name of the operation of what was refused.
    pub(crate) action: String,
    /// The id or name of what it was done to.
    pub(crate) target: String,
    /// `done` or `refused`.
    pub(crate) outcome: String,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) detail: Option<String>,
    /// The `X-Request-Id` of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) request_id: Option<String>,
}

impl From<AuditEntry> for AuditReply {
    fn from(entry: AuditEntry) -> Self {
        Self {
            seq: entry.seq,
            at: entry.at.seconds(),
            actor: entry.actor,
            address: entry.personal,
            action: entry.action,
            target: entry.target,
            outcome: entry.outcome,
            detail: entry.detail,
            request_id: entry.request_id,
        }
    }
}

/// What was done, newest first.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListAudit {
    /// To what is this tenant's: its slug or id. Left out: the key's own tenant, or for operators what belongs to no tenant.
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
    /// Not before this moment, in seconds since 1970.
    #[serde(default, deserialize_with = "whole")]
    pub(crate) since: Option<u64>,
    /// This action alone.
    pub(crate) action: Option<String>,
    /// By this actor alone, such as `key:` and an id.
    pub(crate) actor: Option<String>,
    /// How many at most: 1 to 500, else 100.
    #[serde(default)]
    #[schema(value_type = u16, minimum = 1, maximum = 500)]
    pub(crate) limit: Limit,
    /// Where the page before ended: its `next_cursor`.
    #[serde(default, deserialize_with = "whole")]
    #[schema(value_type = Option<String>)]
    pub(crate) cursor: Option<u64>,
}

/// A whole number, or the text of one, as a query has it.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Number(u64),
        Text(String),
    }
    let number = match Option::<Given>::deserialize(deserializer) {
        Ok(None) => return Ok(None),
        Ok(Some(Given::Number(number))) => Some(number),
        Ok(Some(Given::Text(text))) => text.parse().ok(),
        Err(_) => None,
    };
    // What the database can compare with.
    let fits = number.filter(|number| i64::try_from(*number).is_ok_and(|number| number < i64::MAX / 1_000));
    fits.map(Some).ok_or_else(|| serde::de::Error::custom("must be a whole number"))
}

impl Operation for ListAudit {
    type Reply = Page<AuditReply>;
    const ROUTE: Route = Route {
        id: "listAudit",
        method: Method::Get,
        path: "/audit",
        scope: AdminScope::Read,
        summary: "List what was done and refused, newest first.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = match &self.tenant {
            Some(named) => Some(admin.tenant(named).await?),
            None => None,
        };
        let seconds = |seconds: u64| Timestamp::from_millis(i64::try_from(seconds * 1_000).unwrap_or(i64::MAX));
        let filter =
            AuditFilter { since: self.since.map(seconds), action: self.action, actor: self.actor, before: self.cursor };
        let limit = self.limit.get();
        let mut entries = admin.audit(tenant.as_ref(), &filter, limit + 1).await?;
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next_cursor = entries.last().filter(|_| more).map(|entry| entry.seq.to_string());
        Ok(Page { items: entries.into_iter().map(AuditReply::from).collect(), next_cursor })
    }
}

/// A log to be read from its first entry to its last.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyAudit {
    /// Of this tenant: its slug or id. Left out: the key's own tenant, or for operators what belongs to no tenant.
    #[arg(long)]
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
    /// A checkpoint of this log that was kept elsewhere: it proves that nothing of before was put back.
    #[arg(skip)]
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(crate) anchor: Option<Anchor>,
}

/// A checkpoint as its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor(pub(crate) Checkpoint);

impl Serialize for Anchor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Anchor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// What reading a log found.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct VerdictReply {
    /// Whose log; absent for the installation's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) tenant_id: Option<String>,
    /// Whether every entry is there and as it was written.
    pub(crate) whole: bool,
    /// How many entries were read.
    pub(crate) entries: u64,
    /// The number of the first that is kept.
    pub(crate) first: u64,
    /// The number of the last.
    pub(crate) last: u64,
    /// What is wrong, a hundred flaws at most.
    pub(crate) flaws: Vec<FlawReply>,
    /// The number of the entry up to which the anchor proves that nothing was put back as on an earlier day. Without an
    /// anchor nothing proves that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) proven: Option<u64>,
    /// Where the log stands now, to be kept elsewhere and given as `anchor` later.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) checkpoint: Option<String>,
}

/// Something wrong with an entry, or in the place of one.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct FlawReply {
    /// The number of the entry.
    pub(crate) seq: u64,
    /// What is wrong with it.
    pub(crate) what: String,
}

impl VerdictReply {
    fn of(tenant: Option<TenantId>, verdict: AuditVerdict, checkpoint: Option<Checkpoint>) -> Self {
        let told = |AuditFlaw { seq, flaw }| FlawReply { seq, what: flaw.to_string() };
        Self {
            tenant_id: tenant.map(|tenant| tenant.to_string()),
            whole: verdict.flaws.is_empty(),
            entries: verdict.entries,
            first: verdict.first,
            last: verdict.last,
            flaws: verdict.flaws.into_iter().map(told).collect(),
            proven: verdict.proven.map(|(seq, _)| seq),
            checkpoint: checkpoint.map(|checkpoint| checkpoint.to_string()),
        }
    }
}

impl Operation for VerifyAudit {
    type Reply = VerdictReply;
    const ROUTE: Route = Route {
        id: "verifyAudit",
        method: Method::Post,
        path: "/audit/verify",
        scope: AdminScope::Read,
        summary: "Say whether an audit log is whole and as it was written.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = match &self.tenant {
            Some(named) => Some(admin.tenant(named).await?),
            None => None,
        };
        let anchor = self.anchor.map(|anchor| anchor.0);
        let (verdict, checkpoint) = admin.verify_audit(tenant.as_ref(), anchor.as_ref()).await?;
        Ok(VerdictReply::of(tenant.map(|tenant| tenant.id).or(admin.caller.tenant), verdict, checkpoint))
    }
}
