//! Merging users, undoing it, and leaving two users two.

use serde::Serialize;
use wxgate_domain::{MergeCandidateId, MergeCause, MergeId, Tenant, UserId};
use wxgate_storage::{Merge, NewMerge, NotMerged, NotUnmerged, StorageError, Unmerged};

use super::{Admin, AdminError, Event};
use crate::service::again::again_if_busy;

impl Admin {
    /// Makes one user of two: the first goes into the second. An id that is gone already stands for whoever it leads to.
    pub(crate) async fn merge_users<R: Serialize>(
        &self,
        tenant: &Tenant,
        [user, into]: [UserId; 2],
        may_drop_external_id: bool,
        told: impl Fn(&Merge) -> R,
    ) -> Result<R, AdminError> {
        let (gone, into) = (self.user(tenant, user).await?.user.id, self.user(tenant, into).await?.user.id);
        let new = NewMerge { gone, into, cause: MergeCause::Operator, may_drop_external_id };
        again_if_busy!(self.try_to_merge(tenant, &new, &told))
    }

    async fn try_to_merge<R: Serialize>(
        &self,
        tenant: &Tenant,
        new: &NewMerge,
        told: impl Fn(&Merge) -> R,
    ) -> Result<R, AdminError> {
        let tx = self.storage.begin().await?;
        let merge = tx.tenant(tenant.id).users().merge(new).await.map_err(|error| match error {
            NotMerged::Storage(StorageError::NotFound) => AdminError::NoUser(tenant.slug.clone(), new.gone),
            NotMerged::Storage(error) => error.into(),
            error => AdminError::NotMerged(error),
        })?;
        let event = Event::of(tenant.id, "user.merge", format!("{} into {}", new.gone, new.into));
        self.commit_told(tx, event, told(&merge)).await
    }

    /// Makes two users of one again.
    pub(crate) async fn undo_merge(&self, tenant: &Tenant, id: MergeId) -> Result<Unmerged, AdminError> {
        again_if_busy!(self.try_to_undo(tenant, id))
    }

    async fn try_to_undo(&self, tenant: &Tenant, id: MergeId) -> Result<Unmerged, AdminError> {
        let tx = self.storage.begin().await?;
        let parted = tx.tenant(tenant.id).users().unmerge(id, None).await.map_err(|error| match error {
            NotUnmerged::Storage(StorageError::NotFound) => AdminError::NoMerge(tenant.slug.clone(), id),
            NotUnmerged::Storage(error) => error.into(),
            error => AdminError::NotUnmerged(error),
        })?;
        self.commit(tx, Event::of(tenant.id, "user.unmerge", format!("{} from {}", parted.user, parted.from))).await?;
        Ok(parted)
    }

    /// Leaves two users two.
    pub(crate) async fn dismiss_candidate(&self, tenant: &Tenant, id: MergeCandidateId) -> Result<(), AdminError> {
        let tx = self.storage.begin().await?;
        tx.tenant(tenant.id).merge_candidates().dismiss(id).await.map_err(|error| match error {
            StorageError::NotFound => AdminError::NoCandidate(tenant.slug.clone(), id),
            error => error.into(),
        })?;
        self.commit(tx, Event::of(tenant.id, "merge-candidate.dismiss", id)).await
    }
}
