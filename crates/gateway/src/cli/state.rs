//! `wxgate apply` and `wxgate export`: what is set up as one file.

mod file;

use std::collections::HashSet;
use std::fmt::Display;
use std::path::PathBuf;

use clap::Args;
use wxgate_domain::Slug;

use super::admin::AdminArgs;
use super::{Failure, print};
use crate::operation::secret_text::SecretText;
use crate::operation::state::{AppliedReply, ApplyState, ExportState, TenantState};
use crate::service::admin::{Planned, Verb};

/// What every export says first.
const HEADER: &str = "# What wxgate has set up, without secrets; `wxgate apply` brings it about again.
# A new app needs `secret = { file = \"...\" }` or `secret = { env = \"...\" }`; without one, an app keeps the one it has.
# A webhook may have one as well, and a push `token` and `encoding_aes_key`; those of new ones are made otherwise.

";

/// Bring about what a file says: tenants with their apps and whom they trust.
///
/// Tenants that the file does not name are left alone. Of those that it names, what it leaves out has its default; what they
/// have and the file does not name stays, unless --prune is given. All of it happens in one transaction, or nothing.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  wxgate apply tenants.toml --dry-run\n  wxgate apply tenants.toml\n\nSecrets stand elsewhere, and are read where this command runs: secret = { file = \"shop.secret\" } beside the\nfile, or secret = { env = \"SHOP_SECRET\" }."
)]
pub(super) struct Apply {
    #[command(flatten)]
    admin: AdminArgs,
    /// The file, in TOML; `wxgate export` writes one.
    file: PathBuf,
    /// Only tell what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Remove what the named tenants have and the file does not name.
    #[arg(long)]
    prune: bool,
}

/// Write what is set up as a file that `wxgate apply` takes. It holds no secret.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wxgate export --tenant acme > acme.toml")]
pub(super) struct Export {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    what: ExportState,
}

impl Export {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let door = self.admin.door().await?;
        let state = door.call(self.what).await?;
        door.close().await;
        if self.admin.json {
            print::json(&state);
        } else {
            print::line(format!("{HEADER}{}", toml::to_string_pretty(&state)?.trim_end()));
        }
        Ok(())
    }
}

impl Apply {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let file::Read { tenants, problems } = file::read(&self.file)?;
        if !problems.is_empty() {
            return Err(self.all_that_is_wrong(&problems, tenants).await.into());
        }
        let asked = |dry_run| ApplyState { tenants: tenants.clone(), prune: self.prune, dry_run };
        let door = self.admin.door().await?;
        let planned = door.call(asked(true)).await?;
        if !self.admin.json {
            show(&planned.plan);
        }
        let todo = planned.plan.iter().any(|step| !matches!(step.verb, Verb::Keep | Verb::Ignore));
        let done = if self.dry_run || !todo {
            planned
        } else {
            let removed = planned.plan.iter().filter(|step| step.verb == Verb::Remove).count();
            if removed > 0 {
                self.admin.confirm(&format!("{removed} things are removed for good"), "remove")?;
            }
            door.call(asked(false)).await?
        };
        self.told(&done, todo);
        // After whatever is told once: the file is brought about, whatever becomes of the jobs.
        let began = done.plan.iter().filter(|step| done.applied && begins_a_job(step)).map(|step| &step.tenant);
        for tenant in began.collect::<HashSet<_>>() {
            self.admin.finish_jobs(&door, tenant).await?;
        }
        door.close().await;
        Ok(())
    }

    /// What is wrong with the file, and what would be wrong with what could be read of it.
    async fn all_that_is_wrong(&self, problems: &[String], tenants: Vec<TenantState>) -> String {
        let lines: Vec<_> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
        let mut text = format!("{}:{}", self.file.display(), lines.concat());
        if let (false, Ok(door)) = (tenants.is_empty(), self.admin.door().await) {
            let planned = door.call(ApplyState { tenants, prune: false, dry_run: true }).await;
            if let Err(further) = planned {
                text = format!("{text}\nand beside that: {further}");
            }
            door.close().await;
        }
        text
    }

    fn told(&self, done: &AppliedReply, todo: bool) {
        if self.admin.json {
            print::json(done);
            return;
        }
        let made = |kind: &str, name: &str, tenant: &Slug, id: &dyn Display, secret: &SecretText| {
            let secret = secret.expose();
            print::line(format!("{kind} {name} of tenant {tenant}: id {id}, secret {secret} (it is not shown again)"));
        };
        for client in &done.service_clients {
            made("service client", &client.name, &client.tenant, &client.id, &client.secret);
        }
        for webhook in &done.webhooks {
            made("webhook", &webhook.name, &webhook.tenant, &webhook.id, &webhook.secret);
        }
        for push in &done.pushes {
            print::line(format!(
                "push of app {} of tenant {}, for WeChat's console (not shown again):",
                push.appid, push.tenant
            ));
            for (name, secret) in [("Token", &push.token), ("EncodingAESKey", &push.encoding_aes_key)] {
                let secret = secret.as_ref().map_or("as given", SecretText::expose);
                print::line(format!("  {name} {secret}"));
            }
        }
        print::line(match (done.applied, todo) {
            (_, false) => "nothing to do",
            (false, true) => "nothing was done: this was a dry run",
            (true, true) => "done",
        });
    }
}

/// Whether it may leave something to a job: what there is of an app goes piece by piece, and so do users into a union group.
fn begins_a_job(step: &Planned) -> bool {
    step.kind == "app" && matches!(step.verb, Verb::Change | Verb::Remove)
}

/// What is to be done, one thing a line.
fn show(plan: &[Planned]) {
    for step in plan.iter().filter(|step| step.verb != Verb::Keep) {
        let sign = match step.verb {
            Verb::Create => "+ create",
            Verb::Change => "~ change",
            Verb::Remove => "- remove",
            Verb::Keep | Verb::Ignore => "? not in the file, stays",
        };
        let of = if step.kind == "tenant" { String::new() } else { format!(" of tenant {}", step.tenant) };
        print::line(format!("{sign} {} {}{of}", step.kind, step.name));
    }
    let count = |verb| plan.iter().filter(|step| step.verb == verb).count();
    print::line(format!(
        "{} to create, {} to change, {} to remove, {} as they are",
        count(Verb::Create),
        count(Verb::Change),
        count(Verb::Remove),
        count(Verb::Keep) + count(Verb::Ignore)
    ));
}
