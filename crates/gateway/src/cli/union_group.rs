//! `wxgate union-group`: Open Platform accounts, inside which a unionid means one person.

use clap::{Args, Subcommand};
use wxgate_domain::Slug;

use super::admin::AdminArgs;
use super::{Failure, print};
use crate::operation::Limit;
use crate::operation::union_groups::{
    AddUnionGroup, JoinUnionGroup, ListUnionGroups, RemoveUnionGroup, RenameUnionGroup, ReportUnionGroup,
    ShowUnionGroup, UnionGroupReply, UnionReportReply,
};

/// Union groups: WeChat Open Platform accounts that apps are bound to.
#[derive(Debug, Args)]
pub(super) struct UnionGroupCommand {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a union group. Users of its apps who share a unionid are one user.
    #[command(after_help = "Example:\n  wxgate union-group add --tenant acme main")]
    Add(AddUnionGroup),
    /// List the union groups.
    #[command(after_help = "Example:\n  wxgate union-group list --tenant acme")]
    List {
        /// Of this tenant alone.
        #[arg(long)]
        tenant: Option<Slug>,
    },
    /// Show a union group.
    #[command(after_help = "Example:\n  wxgate union-group show --tenant acme main")]
    Show(ShowUnionGroup),
    /// Give a union group another name.
    #[command(after_help = "Example:\n  wxgate union-group rename --tenant acme main shops")]
    Rename(RenameUnionGroup),
    /// Count what binding a mini-program to a group would do: who would be found by their unionid, and who may be somebody
    /// else. Nothing is changed.
    #[command(after_help = "Example:\n  wxgate union-group report --tenant acme main --app wx0123456789abcdef")]
    Report(ReportUnionGroup),
    /// Bind a mini-program to a group while it serves: its users are joined first.
    #[command(after_help = "Example:\n  wxgate union-group join --tenant acme main --app wx0123456789abcdef")]
    Join(JoinUnionGroup),
    /// Remove a union group that no app and nobody is in.
    #[command(after_help = "Example:\n  wxgate union-group remove --tenant acme main")]
    Remove(RemoveUnionGroup),
}

impl UnionGroupCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let door = self.admin.door().await?;
        match self.action {
            Action::Add(add) => self.admin.tell_group(&door.call(add).await?, "created"),
            Action::List { tenant } => {
                let next = |cursor| ListUnionGroups { tenant: tenant.clone(), limit: Limit::MOST, cursor };
                let cells = |group: &UnionGroupReply| [group.name.clone(), group.tenant.to_string(), group.id.clone()];
                self.admin.list(["NAME", "TENANT", "ID"], &door.all(next).await?, cells);
            }
            Action::Show(show) => {
                let group = door.call(show).await?;
                if self.admin.json { print::json(&group) } else { print::fields(&group) }
            }
            Action::Rename(rename) => self.admin.tell_group(&door.call(rename).await?, "renamed"),
            Action::Report(report) => {
                let report = door.call(report).await?;
                if self.admin.json {
                    print::json(&report);
                } else {
                    tell_report(&report);
                }
            }
            Action::Join(join) => {
                let app = join.app.clone();
                let job = door.call(join).await?;
                let job = self.admin.watch(&door, job.id).await?;
                self.admin.tell(&job, || format!("app {app}: bound, {} accounts with a unionid", job.total));
            }
            Action::Remove(remove) => {
                let name = remove.group.clone();
                self.admin.confirm("what its unionids meant is forgotten", &name)?;
                door.call(remove).await?;
                self.admin.gone(|| format!("union group {name}: removed"));
            }
        }
        door.close().await;
        Ok(())
    }
}

impl AdminArgs {
    fn tell_group(&self, group: &UnionGroupReply, what: &str) {
        self.tell(group, || format!("union group {} of tenant {} {what}", group.name, group.tenant));
    }
}

fn tell_report(report: &UnionReportReply) {
    for (count, what) in [
        (report.identities, "accounts"),
        (report.with_unionid, "of them with a unionid"),
        (report.changed, "of these have another one than before, and join nobody"),
        (report.joining, "would be found by it"),
        (report.joined, "are found by it already"),
        (report.candidates, "have the unionid of another user, and would be merge candidates"),
    ] {
        print::line(format!("{count:>10} {what}"));
    }
    for pair in &report.samples {
        print::line(format!("           such as {} and {}", pair.user, pair.other));
    }
}
