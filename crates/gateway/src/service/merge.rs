//! Two users become one: because their owner proves to be both, or because WeChat says so and the tenant's policy is to
//! believe it; and two again.

use std::sync::Arc;

use wxgate_domain::{MergeCause, MergeId, MergeToken, OpenedSession, TenantId, User, UserId, WechatAppid};
use wxgate_storage::{Merge, NewMerge, NotMerged, NotUnmerged, Storage, StorageError, Unmerged};

use super::account::{AccountError, Accounts, SignedIn};
use super::again::{NotDone, again_if_busy};
use super::directory::{ActiveApp, DirectoryError};
use super::login::{Attempt, LoginError};

/// Why nothing was merged, or undone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MergeError {
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    App(#[from] DirectoryError),
    #[error("the other side's code proves nothing: {0}")]
    Other(#[from] LoginError),
    #[error("the merge token does not count")]
    Token,
    #[error("the other code is not of the other user")]
    OtherSide,
    #[error("they stay two: {0}")]
    Stays(NotMerged),
    #[error("they stay one: {0}")]
    Stands(NotUnmerged),
    #[error("no such merge of this user")]
    NoMerge,
}

impl NotDone for MergeError {
    fn is_busy(&self) -> bool {
        match self {
            Self::Stays(error) => error.is_busy(),
            Self::Stands(error) => error.is_busy(),
            _ => false,
        }
    }
}

impl MergeError {
    /// Failures of the database, as any other request tells them. A user who became somebody else meanwhile is in the way
    /// too: whoever asks again proves who they are now.
    fn told(self) -> Self {
        match self {
            Self::Stays(NotMerged::Storage(StorageError::NotFound)) => AccountError::Overloaded.into(),
            Self::Stays(NotMerged::Storage(error)) | Self::Stands(NotUnmerged::Storage(error)) => {
                AccountError::from(error).into()
            }
            error => error,
        }
    }
}

/// The other side of a merge, as its owner proves it.
#[derive(Clone, Debug)]
pub(crate) struct OtherSide {
    /// The mini-program that the code is from; nothing means the same one.
    pub(crate) appid: Option<WechatAppid>,
    /// The fresh code.
    pub(crate) attempt: Attempt,
}

impl Accounts {
    /// Merges the users of a merge token, each proved by a fresh code; the older one stays. The token is used up by the
    /// merge alone.
    pub(crate) async fn merge(
        &self,
        who: &SignedIn,
        token: &MergeToken,
        own: Attempt,
        other: OtherSide,
    ) -> Result<(Merge, User), MergeError> {
        let (_, other) = self.proved(who, own, other).await?;
        let pair = [&who.session.user, &other.user];
        if who.session.user.id == other.user.id {
            // As after a merge whose answer was lost: nothing is left to do, and the token is used up.
            return Err(MergeError::Stays(NotMerged::OneUser));
        }
        let merge = again_if_busy!(self.merge_once(who, token, pair)).map_err(MergeError::told)?;
        let user = self.storage.tenant(who.app.tenant.id()).user(merge.user).await.map_err(AccountError::from)?;
        Ok((merge, user.ok_or(AccountError::SessionEnded)?))
    }

    async fn merge_once(
        &self,
        who: &SignedIn,
        token: &MergeToken,
        [own, other]: [&User; 2],
    ) -> Result<Merge, MergeError> {
        let tenant = who.app.tenant.id();
        let tx = self.storage.begin().await.map_err(AccountError::from)?;
        let grant = tx.tenant(tenant).merge_tokens().consume(token, who.session.id).await.map_err(no_token)?;
        if grant.user != own.id {
            return Err(MergeError::Token);
        }
        if grant.other != other.id {
            return Err(MergeError::OtherSide);
        }
        if let Some(digest) = &grant.phone
            && !tx.tenant(tenant).phones().has(other.id, digest).await.map_err(AccountError::from)?
        {
            // What the token was about is over: the number has left them.
            return Err(MergeError::Token);
        }
        let merge = tx.tenant(tenant).users().merge(&oldest(MergeCause::Proof, [own, other])).await;
        let merge = merge.map_err(MergeError::Stays)?;
        tx.commit().await.map_err(|error| MergeError::Stays(error.into()))?;
        Ok(merge)
    }

    /// Undoes a merge: an account of each side is proved by a fresh code.
    pub(crate) async fn undo(
        &self,
        who: &SignedIn,
        merge: MergeId,
        own: Attempt,
        other: OtherSide,
    ) -> Result<Unmerged, MergeError> {
        let (app, other) = self.proved(who, own, other).await?;
        let own = (who.app.app.id, who.session.openid.clone());
        let sides = [own, (app.app.id, other.openid.clone())];
        let tenant = who.app.tenant.id();
        let undone = again_if_busy!(async {
            let tx = self.storage.begin().await?;
            let parted = tx.tenant(tenant).users().unmerge(merge, Some(&sides)).await?;
            tx.commit().await?;
            Ok::<_, NotUnmerged>(parted)
        });
        let parted = undone.map_err(|error| match error {
            NotUnmerged::Storage(StorageError::NotFound) => MergeError::NoMerge,
            NotUnmerged::NotBothSides => MergeError::OtherSide,
            error => MergeError::Stands(error).told(),
        })?;
        self.revoked.settled(&self.storage).await;
        Ok(parted)
    }

    /// Both sides, proved: the other one's mini-program and the session that its code opened.
    async fn proved(
        &self,
        who: &SignedIn,
        own: Attempt,
        other: OtherSide,
    ) -> Result<(Arc<ActiveApp>, Arc<OpenedSession>), MergeError> {
        let app = match &other.appid {
            Some(appid) => self.app_beside(who, appid).await?,
            None => who.app.clone(),
        };
        self.step_up(who, own).await?;
        let session = self.other_account(who, &app, other.attempt, None).await?;
        Ok((app, session))
    }

    /// Another mini-program of the same tenant. There is none of other tenants here.
    pub(super) async fn app_beside(
        &self,
        who: &SignedIn,
        appid: &WechatAppid,
    ) -> Result<Arc<ActiveApp>, DirectoryError> {
        let app = self.directory.active_app(appid).await?;
        if app.tenant.id() == who.app.tenant.id() { Ok(app) } else { Err(DirectoryError::Unknown) }
    }
}

/// The younger of two goes into the older.
fn oldest(cause: MergeCause, pair: [&User; 2]) -> NewMerge {
    let [mut into, mut gone] = pair;
    if (gone.created_at, gone.id) < (into.created_at, into.id) {
        (into, gone) = (gone, into);
    }
    NewMerge { gone: gone.id, into: into.id, cause, may_drop_external_id: false }
}

/// Carries out the policy `oldest` for a login: joins the user with whoever has a unionid of theirs, whether that showed
/// with this login or before the policy was this one; the session as it is then. Whatever is in the way leaves the candidate
/// to the operator, and the login as it was.
pub(crate) async fn join_oldest(storage: &Storage, tenant: TenantId, mut opened: OpenedSession) -> OpenedSession {
    if opened.unionid.is_none() {
        return opened;
    }
    let others = match opened.candidate {
        Some(other) => Ok(vec![other]),
        None => storage.tenant(tenant).merge_candidates().by_unionid(opened.user.id).await,
    };
    let others = others.unwrap_or_else(|error| {
        tracing::warn!(tenant.id = %tenant, error.source = %error, "merge candidates were not read; the next login looks again");
        Vec::new()
    });
    for other in others {
        match again_if_busy!(join_once(storage, tenant, &opened.user, other)) {
            Ok(user) => opened.user = user,
            Err(error) => {
                tracing::info!(tenant.id = %tenant, user.id = %opened.user.id, error.source = %error, "two users with one unionid stay two; a merge candidate says so");
            }
        }
    }
    opened
}

async fn join_once(storage: &Storage, tenant: TenantId, user: &User, other: UserId) -> Result<User, NotMerged> {
    let scope = storage.tenant(tenant);
    let other = scope.user(other).await?.ok_or(StorageError::NotFound)?;
    let tx = storage.begin().await?;
    let merge = tx.tenant(tenant).users().merge(&oldest(MergeCause::Unionid, [user, &other])).await?;
    tx.commit().await?;
    Ok(scope.user(merge.user).await?.ok_or(StorageError::NotFound)?)
}

fn no_token(error: StorageError) -> MergeError {
    match error {
        StorageError::NotFound => MergeError::Token,
        error => MergeError::Stays(error.into()),
    }
}
