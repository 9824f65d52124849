//! `wxgate audit`: what was done, by whom, and whether the log still says so.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use wxgate_domain::{Clock, Slug, TenantId, TenantPolicy, Timestamp};
use wxgate_storage::Checkpoint;

use super::admin::AdminArgs;
use super::door::Door;
use super::{Failure, print};
use crate::operation::Limit;
use crate::operation::audit::{Anchor, AuditReply, FlawReply, ListAudit, VerdictReply, VerifyAudit};
use crate::operation::tenants::ListTenants;

/// Exit status of `verify` when a log is not as it was written.
const TAMPERED: u8 = 2;

/// The audit log: what operators and tenants' admins did and were refused.
#[derive(Debug, Args)]
pub(super) struct AuditCommand {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what was done, newest first: to what is a tenant's, or to what belongs to no tenant.
    #[command(
        after_help = "Examples:\n  wxgate audit list --tenant acme --since 7d\n  wxgate audit list --action admin-key.create"
    )]
    List {
        /// To what is this tenant's.
        #[arg(long)]
        tenant: Option<Slug>,
        /// How far back, such as 90m, 24h or 7d; else the newest hundred entries.
        #[arg(long, value_name = "AGE", value_parser = age)]
        since: Option<std::time::Duration>,
        /// This action alone.
        #[arg(long)]
        action: Option<String>,
        /// By this actor alone: `console`, `system`, or `key:` and the id of an admin key.
        #[arg(long)]
        actor: Option<String>,
    },
    /// Read every entry and say whether the logs are whole and as they were written.
    #[command(
        after_help = "Examples:\n  wxgate audit verify\n  wxgate audit verify --tenant acme --anchor /backup/checkpoints\n\nExit status: 0 if all is as it was written, 2 if not, 1 if that could not be found out.\n\nWhoever can write to the database and has an old copy of it could put back a log as it was then. Only what was kept\nelsewhere shows that: FILE holds checkpoints, as audit.checkpoint_file or the log of a gateway does."
    )]
    Verify {
        /// The log of this tenant alone; else all logs that there are.
        #[arg(long)]
        tenant: Option<Slug>,
        /// A file with checkpoints among other text, such as a gateway's log; of each log the newest counts.
        #[arg(long, value_name = "FILE")]
        anchor: Option<PathBuf>,
    },
}

/// A number with its unit: minutes, hours or days.
fn age(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || "must be a number with m, h or d, such as 24h".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let minutes = match unit {
        "m" => 1,
        "h" => 60,
        "d" => 24 * 60,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    Ok(std::time::Duration::from_mins(u64::from(number) * minutes))
}

impl AuditCommand {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let door = self.admin.door().await?;
        let status = match self.action {
            Action::List { tenant, since, action, actor } => {
                let oldest = since.map(|age| Clock::System.now().minus(age).seconds().unsigned_abs());
                let next = |cursor: Option<u64>| ListAudit {
                    tenant: tenant.clone(),
                    since: oldest,
                    action: action.clone(),
                    actor: actor.clone(),
                    limit: Limit::default(),
                    cursor,
                };
                let entries = match oldest {
                    Some(_) => door.all(|cursor| next(cursor.and_then(|cursor| cursor.parse().ok()))).await?,
                    None => door.call(next(None)).await?.items,
                };
                list(&entries, self.admin.json);
                ExitCode::SUCCESS
            }
            Action::Verify { tenant, anchor } => {
                let anchors = anchor.as_deref().map(anchors).transpose()?;
                let verdicts = verify(&door, tenant, anchors.as_ref()).await?;
                if self.admin.json {
                    print::json(&verdicts.iter().map(|(_, verdict)| verdict).collect::<Vec<_>>());
                } else {
                    for (name, verdict) in &verdicts {
                        tell(name, verdict);
                    }
                }
                let whole = verdicts.iter().all(|(_, verdict)| verdict.whole);
                if whole { ExitCode::SUCCESS } else { ExitCode::from(TAMPERED) }
            }
        };
        door.close().await;
        Ok(status)
    }
}

fn list(entries: &[AuditReply], json: bool) {
    if json {
        print::json(&entries);
        return;
    }
    let cells = |entry: &AuditReply| {
        [
            entry.seq.to_string(),
            Timestamp::from_millis(entry.at * 1_000).to_rfc3339(),
            entry.actor.clone(),
            entry.address.clone().unwrap_or_default(),
            entry.action.clone(),
            entry.target.clone(),
            match &entry.detail {
                Some(detail) => format!("{}: {detail}", entry.outcome),
                None => entry.outcome.clone(),
            },
        ]
    };
    let rows: Vec<_> = entries.iter().map(cells).collect();
    print::table(["NO", "AT", "ACTOR", "FROM", "ACTION", "TARGET", "OUTCOME"], &rows);
}

/// The newest checkpoint of each log in a file. Logs are long, and each line is looked at by itself.
fn anchors(file: &Path) -> Result<HashMap<Option<TenantId>, Checkpoint>, Failure> {
    let named = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut anchors: HashMap<Option<TenantId>, Checkpoint> = HashMap::new();
    for line in BufReader::new(File::open(file).map_err(named)?).split(b'\n') {
        let line = line.map_err(named)?;
        let line = String::from_utf8_lossy(&line);
        let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')));
        for found in words.filter_map(|word| word.parse::<Checkpoint>().ok()) {
            let newest = anchors.entry(found.tenant).or_insert(found);
            if (newest.count, newest.at) < (found.count, found.at) {
                *newest = found;
            }
        }
    }
    if anchors.is_empty() {
        return Err(format!("{} holds no checkpoint", file.display()).into());
    }
    Ok(anchors)
}

/// The verdict of one log or of all that the caller may read, each by its name.
async fn verify(
    door: &Door,
    tenant: Option<Slug>,
    anchors: Option<&HashMap<Option<TenantId>, Checkpoint>>,
) -> Result<Vec<(String, VerdictReply)>, Failure> {
    let tenants = door.all(|cursor| ListTenants { limit: Limit::MOST, cursor }).await?;
    let wanted = |slug: &Slug, id: &str| tenant.as_ref().is_none_or(|named| named == slug || named.as_str() == id);
    let mut logs = Vec::new();
    for found in tenants.into_iter().filter(|found| wanted(&found.slug, &found.id)) {
        logs.push((Some(found.slug), found.id.parse::<TenantId>().ok()));
    }
    if let Some(named) = tenant.as_ref().filter(|_| logs.is_empty()) {
        return Err(format!("there is no tenant {named}; `wxgate tenant list` shows them").into());
    }
    if tenant.is_none() {
        logs.insert(0, (None, None));
    }
    let mut verdicts = Vec::with_capacity(logs.len());
    for (slug, id) in logs {
        let anchor = anchors.and_then(|anchors| anchors.get(&id)).copied().map(Anchor);
        let name = slug.as_ref().map_or_else(|| "installation".to_owned(), |slug| format!("tenant {slug}"));
        let slug_is_none = slug.is_none();
        let verdict = door.call(VerifyAudit { tenant: slug, anchor }).await?;
        // Asked for no tenant's, a tenant's key is told of its own once more.
        if slug_is_none && verdict.tenant_id.is_some() {
            continue;
        }
        verdicts.push((name, verdict));
    }
    let of_installation = verdicts.iter().any(|(_, verdict)| verdict.tenant_id.is_none());
    if let Some(anchors) = anchors.filter(|_| of_installation) {
        let here: HashSet<_> = verdicts.iter().filter_map(|(_, verdict)| verdict.tenant_id.clone()).collect();
        verdicts.extend(gone(door, anchors, &here).await?);
    }
    Ok(verdicts)
}

/// The logs that an anchor speaks of and that are nowhere, although no operator removed their tenants: that would stand in
/// the installation's log, for as long as that keeps its entries. An older anchor is of a tenant that may have been removed
/// before.
async fn gone(
    door: &Door,
    anchors: &HashMap<Option<TenantId>, Checkpoint>,
    here: &HashSet<String>,
) -> Result<Vec<(String, VerdictReply)>, Failure> {
    let oldest = Clock::System.now().minus(TenantPolicy::default().audit_life());
    let recent = anchors.values().filter(|anchor| anchor.at >= oldest);
    let of_tenants = recent.filter_map(|anchor| Some((anchor.tenant?.to_string(), anchor.count)));
    let missing: Vec<_> = of_tenants.filter(|(tenant, _)| !here.contains(tenant)).collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let removals = |cursor: Option<String>| ListAudit {
        tenant: None,
        since: None,
        action: Some("tenant.delete".to_owned()),
        actor: None,
        limit: Limit::MOST,
        cursor: cursor.and_then(|cursor| cursor.parse().ok()),
    };
    let removals: Vec<AuditReply> = door.all(removals).await?;
    let was_removed = |tenant: &str| removals.iter().any(|entry| entry.target.contains(tenant));
    let missing = missing.into_iter().filter(|(tenant, _)| !was_removed(tenant));
    let flaw = |seq| FlawReply { seq, what: "and all before it are gone, with the whole log".to_owned() };
    let verdict = |(tenant, count): (String, u64)| {
        let name = format!("tenant {tenant}");
        (name, VerdictReply { tenant_id: Some(tenant), flaws: vec![flaw(count)], ..VerdictReply::default() })
    };
    Ok(missing.map(verdict).collect())
}

fn tell(name: &str, verdict: &VerdictReply) {
    for flaw in &verdict.flaws {
        print::line(format!("{name}: entry {} {}", flaw.seq, flaw.what));
    }
    if !verdict.whole {
        return;
    }
    let proof = match verdict.proven {
        Some(seq) => format!("the anchor proves the first {seq}"),
        None => "no anchor proves that it was not put back as on an earlier day (--anchor)".to_owned(),
    };
    print::line(format!(
        "{name}: {} entries to number {} are as they were written; {proof}",
        verdict.entries, verdict.last
    ));
}
