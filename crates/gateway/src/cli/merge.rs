//! `wxgate merge`: two users who are one person.

use clap::{Args, Subcommand};
use wxgate_domain::{Slug, Timestamp};

use super::Failure;
use super::admin::AdminArgs;
use crate::operation::Limit;
use crate::operation::merges::{
    DismissMergeCandidate, ListMergeCandidates, ListMerges, MergeCandidateReply, MergeReply, MergeUsers, UndoMerge,
};

/// Merges: users who became one, and who may be one.
#[derive(Debug, Args)]
pub(super) struct MergeCommand {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List who became whom, newest first.
    #[command(after_help = "Example:\n  wxgate merge list --tenant acme")]
    List {
        /// The tenant; a tenant's key may leave it out.
        #[arg(long)]
        tenant: Option<Slug>,
    },
    /// Make one user of two: accounts, sessions and phone number of the first move to the second, and the first id leads to
    /// the second from then on.
    #[command(
        after_help = "Example:\n  wxgate merge users --tenant acme 01a20353-a15f-723e-816c-874ed5c9b045 01a2010a-11be-76ee-83ba-4cbff4047d03\n\nFor seven days `wxgate merge undo` takes it back."
    )]
    Users(MergeUsers),
    /// Make two users of one again; what came since stays with the one who stayed.
    #[command(after_help = "Example:\n  wxgate merge undo --tenant acme 01a20353-a15f-723e-816c-874ed5c9b045")]
    Undo(UndoMerge),
    /// List the users who may be one person, oldest first.
    #[command(after_help = "Example:\n  wxgate merge candidates --tenant acme")]
    Candidates {
        /// The tenant; a tenant's key may leave it out.
        #[arg(long)]
        tenant: Option<Slug>,
    },
    /// Say that two users are two people.
    #[command(after_help = "Example:\n  wxgate merge dismiss --tenant acme 01a20353-a15f-723e-816c-874ed5c9b045")]
    Dismiss(DismissMergeCandidate),
}

impl MergeCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let door = self.admin.door().await?;
        match self.action {
            Action::List { tenant } => {
                let next = |cursor| ListMerges { tenant: tenant.clone(), limit: Limit::MOST, cursor };
                let headings = ["MERGE", "GONE", "USER", "CAUSE", "AT", "UNDO UNTIL"];
                self.admin.list(headings, &door.all(next).await?, cells);
            }
            Action::Users(merge) => {
                let merge = door.call(merge).await?;
                let until = time(merge.undo_until);
                self.admin.tell(&merge, || {
                    format!("user {} is {} now; merge {} can be undone until {until}", merge.gone, merge.user, merge.id)
                });
            }
            Action::Undo(undo) => {
                let parted = door.call(undo).await?;
                self.admin.tell(&parted, || format!("user {} is back, apart from {}", parted.user, parted.from));
            }
            Action::Candidates { tenant } => {
                let next = |cursor| ListMergeCandidates { tenant: tenant.clone(), limit: Limit::MOST, cursor };
                let cells = |found: &MergeCandidateReply| {
                    let (id, user, other) = (found.id.clone(), found.user.clone(), found.other.clone());
                    [id, user, other, found.cause.clone(), time(found.created_at)]
                };
                self.admin.list(["CANDIDATE", "USER", "OTHER", "CAUSE", "FOUND"], &door.all(next).await?, cells);
            }
            Action::Dismiss(dismiss) => {
                let id = dismiss.candidate;
                door.call(dismiss).await?;
                self.admin.gone(|| format!("merge candidate {id}: dismissed"));
            }
        }
        door.close().await;
        Ok(())
    }
}

fn cells(merge: &MergeReply) -> [String; 6] {
    let (id, gone, user) = (merge.id.clone(), merge.gone.clone(), merge.user.clone());
    [id, gone, user, merge.cause.clone(), time(merge.at), time(merge.undo_until)]
}

fn time(seconds: i64) -> String {
    Timestamp::from_millis(seconds * 1_000).to_rfc3339()
}
