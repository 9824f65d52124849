//! Which pushes were there before, on whichever node: WeChat repeats what it got no answer for, and so do others.

use std::time::Duration;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set};
use uuid::Uuid;
use wxgate_crypto::Digest;
use wxgate_domain::{AppId, PlatformId, TenantId, Timestamp};

use crate::entity::push_mark;
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::scope::of_tenant;
use crate::storage::Core;
use crate::tx::Tx;

/// How long a push is known again. Longer than its time and nonce are fresh, and than WeChat goes on repeating.
const KEPT: Duration = Duration::from_hours(1);

/// A push whose signature was right.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Whose it is.
    pub receiver: Receiver,
    /// Of time and nonce, which WeChat uses once.
    pub stamp: Digest,
    /// Of what was signed, or of the body where that was not.
    pub body: Digest,
    /// The same for two deliveries of one message, however they were signed; `None` for what is no message.
    pub message: Option<Digest>,
}

/// Whom WeChat pushes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// A mini-program.
    App(AppId),
    /// A third-party platform.
    Platform(PlatformId),
}

impl Receiver {
    fn uuid(self) -> Uuid {
        match self {
            Self::App(app) => app.uuid(),
            Self::Platform(platform) => platform.uuid(),
        }
    }
}

/// Whether a push was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// It was not.
    New,
    /// It was, and was accepted then.
    Again,
    /// Its time and nonce came with something else before: somebody uses them a second time.
    Replayed,
}

/// Notes the pushes to the apps and platforms of one tenant.
#[derive(Clone, Copy, Debug)]
pub struct TxPushMarks<'a> {
    tx: &'a Tx,
    tenant: TenantId,
}

impl<'a> TxPushMarks<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Notes a push, to be known again once the transaction is committed.
    ///
    /// # Errors
    /// [`StorageError::NotUnique`] if the same push arrived elsewhere at the same moment: the transaction is then of no more
    /// use, and another one will know.
    pub async fn arrive(&self, arrival: &Arrival) -> Result<Arrived, StorageError> {
        let stamp = arrival.stamp.as_bytes().to_vec();
        let message = match &arrival.message {
            Some(identity) => Some(self.keyed(identity).await?),
            None => None,
        };
        let known = of_tenant::<push_mark::Entity>(self.tenant)
            .filter(push_mark::Column::AppId.eq(arrival.receiver.uuid()))
            .filter(push_mark::Column::Mark.is_in(std::iter::once(stamp.clone()).chain(message.clone())))
            .all(&self.tx.tx)
            .await?;
        if let Some(used) = known.iter().find(|row| row.mark == stamp) {
            let same = used.body == arrival.body.as_bytes();
            return Ok(if same { Arrived::Again } else { Arrived::Replayed });
        }
        let again = message.as_ref().is_some_and(|message| known.iter().any(|row| row.mark == *message));
        let marks = std::iter::once(stamp).chain(message.filter(|_| !again));
        let until = self.tx.core.clock.now().plus(KEPT).millis();
        let rows = marks.map(|mark| push_mark::ActiveModel {
            tenant_id: Set(self.tenant.uuid()),
            app_id: Set(arrival.receiver.uuid()),
            mark: Set(mark),
            body: Set(arrival.body.as_bytes().to_vec()),
            until: Set(until),
        });
        push_mark::Entity::insert_many(rows).exec_without_returning(&self.tx.tx).await?;
        Ok(if again { Arrived::Again } else { Arrived::New })
    }

    /// What a message is about is a person's: without the tenant's key nobody finds out whether it was there.
    async fn keyed(&self, identity: &Digest) -> Result<Vec<u8>, StorageError> {
        let keys = TenantKeys::load(&self.tx.tx, &self.tx.core.master_keys, self.tenant).await?;
        Ok(keys.digest.digest("pushed message", &[identity.as_bytes()]).as_bytes().to_vec())
    }
}

/// Forgets pushes of long ago.
pub(crate) async fn prune(core: &Core, now: Timestamp) -> Result<(), StorageError> {
    #[expect(clippy::disallowed_methods, reason = "swept for all tenants")]
    let old = push_mark::Entity::delete_many().filter(push_mark::Column::Until.lt(now.millis()));
    old.exec(&core.writer).await?;
    Ok(())
}
