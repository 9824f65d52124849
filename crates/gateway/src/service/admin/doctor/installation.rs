//! What concerns the installation: address, database, clock, keys, audit logs.

use std::time::Duration;

use wxgate_domain::{AdminKey, key_rotation};
use wxgate_storage::{Engine, InstanceKind};

use super::super::{Admin, AdminError};
use super::Finding;

/// A database that takes longer makes every login wait.
const SLOW: Duration = Duration::from_millis(20);
/// Clocks that differ by more refuse tokens and user data that are good.
const SKEW: Duration = Duration::from_secs(30);
const SLIGHT_SKEW: Duration = Duration::from_secs(5);
/// A key that nobody used for so long is nobody's.
const UNUSED: Duration = Duration::from_hours(24 * 90);
/// Signing keys are looked at every hour; what is due for longer is done by nobody.
const OVERDUE: Duration = Duration::from_hours(3);
/// Audit logs and findings of one kind that are told one by one.
const MOST: usize = 20;
const LOGS: u64 = 1_000;

impl Admin {
    pub(super) async fn examine_installation(&self) -> Result<Vec<Finding>, AdminError> {
        let mut findings = vec![self.address()];
        findings.extend(self.database().await?);
        findings.push(self.clock_of_wechat().await);
        findings.extend(self.keys_that_seal().await?);
        findings.extend(self.keys_of_admins().await?);
        findings.push(self.erasures());
        findings.extend(self.audit_logs().await?);
        findings.push(self.keys_that_sign().await?);
        Ok(findings)
    }

    fn address(&self) -> Finding {
        let url = &self.public_url;
        if url.starts_with("https://") {
            return Finding::ok("public_url", format!("{url} is https"));
        }
        let advice = "put a proxy with TLS before it and set public_url to its https address before the first login: the \
                      issuer of tokens must never change";
        Finding::advice("public_url", format!("{url} is no https: mini-programs cannot reach it"), advice)
    }

    async fn database(&self) -> Result<Vec<Finding>, AdminError> {
        let found = self.storage.condition().await?;
        let millis = found.latency.as_secs_f64() * 1_000.0;
        let what = format!("{} {} answers in {millis:.1} ms", found.engine, found.version);
        let mut findings = vec![if found.latency > SLOW {
            Finding::advice("database", what, "bring it nearer: each login waits for it several times")
        } else {
            Finding::ok("database", what)
        }];
        findings.push(if found.migrations.pending.is_empty() && found.migrations.unknown.is_empty() {
            Finding::ok("schema", "is up to date")
        } else {
            Finding::problem("schema", "is not this version's", "run `wxgate migrate up`, or the newer wxgate")
        });
        findings.push(match self.storage.instance().await?.kind {
            Some(InstanceKind::Dev) => Finding::advice(
                "database",
                "belongs to a trial (`wxgate dev`): its admin key and simulated users are everybody's",
                "make another one for real users; `wxgate serve` refuses this one",
            ),
            Some(InstanceKind::Live) => Finding::ok("database", "is one for real users"),
            None => Finding::ok("database", "was never served yet"),
        });
        let how = match found.engine {
            Engine::Sqlite => "copy it with `wxgate backup FILE`, never the file alone while a gateway runs",
            Engine::Postgres => "back it up with pg_dump or by archiving its log",
            Engine::MySql => "back it up with mysqldump --single-transaction or by its binary log",
        };
        let hint = format!("nothing here knows whether there are any: {how}, and keep the master key apart from them");
        findings.push(Finding::ok("backups", hint));
        Ok(findings)
    }

    fn erasures(&self) -> Finding {
        match self.storage.erasure_journal() {
            Some(journal) => Finding::ok("erasures", format!("are written down in {}", journal.path().display())),
            None => Finding::advice(
                "erasures",
                "are written down in the database alone: a backup would bring people back",
                "name a file in erasure_journal, on another disk than the database",
            ),
        }
    }

    async fn clock_of_wechat(&self) -> Finding {
        let told = match self.wechat.clock().await {
            Ok(told) => told,
            Err(error) => {
                let advice = "let this machine reach api.weixin.qq.com by https, without a proxy";
                return Finding::problem("wechat", error.to_string(), advice);
            }
        };
        // The date is cut to the second, and was true some time during the call.
        let now = self.clock.now();
        let slack = told.round_trip + Duration::from_secs(1);
        let skew = now.since(told.date).max(told.date.since(now)).saturating_sub(slack);
        let what =
            format!("answers in {} ms; its clock and ours differ by {} s", told.round_trip.as_millis(), skew.as_secs());
        let advice = "let NTP set the clock: tokens and user data are refused by time";
        if skew > SKEW {
            Finding::problem("wechat", what, advice)
        } else if skew > SLIGHT_SKEW {
            Finding::advice("wechat", what, advice)
        } else {
            Finding::ok("wechat", what)
        }
    }

    async fn keys_that_seal(&self) -> Result<Vec<Finding>, AdminError> {
        let at_hand: Vec<_> = self.master_keys.ring().ids().collect();
        let sealing = self.storage.instance().await?.sealing;
        let known = self.storage.master_keys().list().await?;
        let mut findings: Vec<_> = sealing
            .iter()
            .filter(|id| !at_hand.contains(id))
            .map(|id| {
                let what = format!("{id} seals keys in the database and is not at hand");
                Finding::problem("master key", what, "add its file to master_key.folder or master_key.old_files")
            })
            .collect();
        let Some(active) = known.iter().find(|key| key.active).map(|key| key.id) else { return Ok(findings) };
        findings.push(Finding::ok("master key", format!("{active} seals what is new, and is not a known or weak one")));
        for id in at_hand.iter().filter(|id| **id != active) {
            findings.push(if sealing.contains(id) {
                let what = format!("{id} still seals keys in the database");
                Finding::advice("master key", what, "`wxgate master-key rewrap` lets the present one seal them")
            } else if known.iter().all(|known| known.id != *id) {
                let what = format!("{id} is at hand and not this database's");
                Finding::advice("master key", what, "take it out of the configuration once no backup needs it")
            } else {
                let what = format!("{id} is at hand and seals nothing any more");
                Finding::advice("master key", what, "`wxgate master-key remove` it once no backup needs it")
            });
        }
        Ok(findings)
    }

    async fn keys_of_admins(&self) -> Result<Vec<Finding>, AdminError> {
        let now = self.clock.now();
        let keys: Vec<AdminKey> =
            self.storage.admin_keys().list(None).await?.into_iter().filter(|key| key.is_valid_at(now)).collect();
        let unused = |key: &&AdminKey| now.since(key.last_used_at.unwrap_or(key.created_at)) >= UNUSED;
        let named = |key: &AdminKey| format!("{} ({})", key.id, key.name);
        let mut findings = Vec::new();
        for key in keys.iter().filter(|key| key.expires_at.is_none()).take(MOST) {
            let advice = "give its holder one with --expires-in-days, then remove it";
            findings.push(Finding::advice("admin key", format!("{} never expires", named(key)), advice));
        }
        for key in keys.iter().filter(unused).take(MOST) {
            let advice = format!("remove it: `wxgate admin-key remove {}`", key.id);
            findings.push(Finding::advice("admin key", format!("{} was not used for 90 days", named(key)), advice));
        }
        if findings.is_empty() {
            findings.push(Finding::ok("admin keys", format!("{} of them, all in use and with an end", keys.len())));
        }
        Ok(findings)
    }

    async fn audit_logs(&self) -> Result<Vec<Finding>, AdminError> {
        let logs = self.storage.audit_heads(None, LOGS).await?;
        let mut findings = Vec::new();
        for (tenant, _) in &logs {
            if findings.len() < MOST && self.storage.audit(*tenant).checkpoint().await?.is_none() {
                let whose =
                    tenant.map_or_else(|| "the installation".to_owned(), |tenant| format!("the tenant {tenant}"));
                let advice = "`wxgate audit verify` says which entries; find out who writes to the database";
                findings.push(Finding::problem(
                    "audit",
                    format!("the log of {whose} was changed by somebody else"),
                    advice,
                ));
            }
        }
        if findings.is_empty() {
            let what = format!("{} logs end as they should; `wxgate audit verify` reads all of them", logs.len());
            findings.push(Finding::ok("audit", what));
        }
        Ok(findings)
    }

    async fn keys_that_sign(&self) -> Result<Finding, AdminError> {
        let (mut after, mut overdue, mut rings) = (None, 0, 0);
        let then = self.clock.now().minus(OVERDUE);
        loop {
            let page = self.storage.signing_keys().rings(after).await?;
            let Some(last) = page.last else { break };
            after = Some(last);
            rings += page.rings.len();
            overdue +=
                page.rings.iter().filter(|ring| !key_rotation::due(&ring.keys, &ring.policy, then).is_empty()).count();
        }
        if overdue == 0 {
            return Ok(Finding::ok("signing keys", format!("those of {rings} tenants turn in time")));
        }
        let what = format!("those of {overdue} tenants should have turned hours ago");
        let advice = "gateways turn them while they run: see whether one does, and what its log says of signing keys";
        Ok(Finding::problem("signing keys", what, advice))
    }
}
