//! Two users who are to be one, and what may be done with them.

use wxgate_domain::{MergeCause, OpenedSession, User, UserId, UserStatus};
use wxgate_storage::{Erased, Merge, NewMerge, NotMerged, NotUnmerged, Side, Storage, StorageError, Unmerged};

use crate::logins::Place;
use crate::support::{app, app_in_group, tenant, union_group};

/// A tenant with two apps in one union group, and one outside.
pub(crate) struct House {
    pub(crate) shop: Place,
    pub(crate) club: Place,
    pub(crate) alone: Place,
}

pub(crate) async fn house(storage: &Storage, slug: &str) -> House {
    let tenant = tenant(storage, slug).await;
    let group = union_group(storage, &tenant, "open").await;
    let shop = app_in_group(storage, &tenant, &format!("wx-{slug}-1"), Some(group.id)).await;
    let club = app_in_group(storage, &tenant, &format!("wx-{slug}-2"), Some(group.id)).await;
    let alone = app(storage, &tenant, &format!("wx-{slug}-3")).await;
    let place = |app| Place { tenant: tenant.clone(), app };
    House { shop: place(shop), club: place(club), alone: place(alone) }
}

/// Ada in the shop, and Ada outside, of whom nobody knows that she is the same.
pub(crate) async fn couple(storage: &Storage, house: &House) -> (OpenedSession, OpenedSession) {
    let one = house.shop.login(storage, "oAda", Some("uAda")).await;
    let other = house.alone.login(storage, "oOther", None).await;
    assert_ne!(one.user.id, other.user.id);
    (one, other)
}

impl House {
    /// Merges; whoever is in the way only delays it.
    pub(crate) async fn merge(&self, storage: &Storage, gone: UserId, into: UserId) -> Result<Merge, NotMerged> {
        let new = NewMerge { gone, into, cause: MergeCause::Operator, may_drop_external_id: false };
        self.merge_as(storage, &new).await
    }

    pub(crate) async fn merge_as(&self, storage: &Storage, new: &NewMerge) -> Result<Merge, NotMerged> {
        loop {
            let tx = storage.begin().await.unwrap();
            match tx.tenant(self.shop.tenant.id).users().merge(new).await {
                Err(NotMerged::Storage(StorageError::Busy)) => {}
                Err(error) => return Err(error),
                Ok(merge) => match tx.commit().await {
                    Err(StorageError::Busy) => {}
                    committed => return committed.map(|()| merge).map_err(NotMerged::from),
                },
            }
        }
    }

    pub(crate) async fn undo(
        &self,
        storage: &Storage,
        merge: &Merge,
        sides: Option<&[Side; 2]>,
    ) -> Result<Unmerged, NotUnmerged> {
        loop {
            let tx = storage.begin().await.unwrap();
            match tx.tenant(self.shop.tenant.id).users().unmerge(merge.id, sides).await {
                Err(NotUnmerged::Storage(StorageError::Busy)) => {}
                Err(error) => return Err(error),
                Ok(parted) => match tx.commit().await {
                    Err(StorageError::Busy) => {}
                    committed => return committed.map(|()| parted).map_err(NotUnmerged::from),
                },
            }
        }
    }

    pub(crate) async fn erase(&self, storage: &Storage, user: UserId) -> Result<Erased, StorageError> {
        loop {
            let tx = storage.begin().await.unwrap();
            match tx.tenant(self.shop.tenant.id).users().erase(user, wxgate_domain::EraseCause::Operator).await {
                Err(StorageError::Busy) => {}
                Err(error) => return Err(error),
                Ok(erased) => match tx.commit().await {
                    Err(StorageError::Busy) => {}
                    committed => return committed.map(|()| erased),
                },
            }
        }
    }

    pub(crate) async fn set_status(
        &self,
        storage: &Storage,
        user: UserId,
        status: UserStatus,
    ) -> Result<(), StorageError> {
        loop {
            let tx = storage.begin().await.unwrap();
            match tx.tenant(self.shop.tenant.id).users().set_status(user, status).await {
                Err(StorageError::Busy) => {}
                Err(error) => return Err(error),
                Ok(()) => match tx.commit().await {
                    Err(StorageError::Busy) => {}
                    committed => return committed,
                },
            }
        }
    }

    /// The user whom an id leads to.
    pub(crate) async fn user(&self, storage: &Storage, id: UserId) -> Option<User> {
        storage.tenant(self.shop.tenant.id).user(id).await.unwrap()
    }

    /// Whose a session is, if it is live.
    pub(crate) async fn acts_for(&self, storage: &Storage, session: &OpenedSession) -> Option<UserId> {
        let live = storage.tenant(self.shop.tenant.id).live_session(session.id).await.unwrap();
        live.map(|live| live.user.id)
    }

    pub(crate) fn side(place: &Place, openid: &str) -> Side {
        (place.app.id, openid.parse().unwrap())
    }
}
