//! `wxgate union-group`: Open Platform accounts, inside which a unionid means one person.

use clap::{Args, Subcommand};
use wxgate_domain::Slug;

use super::admin::AdminArgs;
use super::{Failure, print};
use crate::operation::Limit;
use crate::operation::union_groups::{
    AddUnionGroup, ListUnionGroups, RemoveUnionGroup, RenameUnionGroup, ShowUnionGroup, UnionGroupReply,
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
