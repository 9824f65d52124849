//! Merge tokens: what the client of one session holds for five minutes, to merge its user with another one.

use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use wxgate_crypto::Digest;
use wxgate_domain::{MergeGrant, MergeToken, SessionId, TenantId, Timestamp, UserId, merge};

use crate::entity::merge_token;
use crate::error::StorageError;
use crate::scope::{delete_of_tenant, of_tenant};
use crate::storage::Core;
use crate::tx::Tx;

/// Writes about the merge tokens of one tenant.
#[derive(Clone, Copy, Debug)]
pub struct TxMergeTokens<'a> {
    tx: &'a Tx,
    tenant: TenantId,
}

impl<'a> TxMergeTokens<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Makes a token for a grant. An older one of the same session counts no more.
    ///
    /// # Errors
    /// The database fails.
    pub async fn issue(&self, grant: &MergeGrant) -> Result<MergeToken, StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let token = MergeToken::generate(&core.random);
        delete_of_tenant::<merge_token::Entity>(self.tenant)
            .filter(merge_token::Column::SessionId.eq(grant.session.uuid()))
            .exec(tx)
            .await?;
        let row = merge_token::ActiveModel {
            tenant_id: Set(self.tenant.uuid()),
            digest: Set(token.digest().as_bytes().to_vec()),
            user_id: Set(grant.user.uuid()),
            other_id: Set(grant.other.uuid()),
            session_id: Set(grant.session.uuid()),
            phone_digest: Set(grant.phone.map(|digest| digest.as_bytes().to_vec())),
            expires_at: Set(core.clock.now().plus(merge::TOKEN_LIFE).millis()),
        };
        merge_token::Entity::insert(row).exec_without_returning(tx).await?;
        Ok(token)
    }

    /// Uses a token up. Of two who use it at once, one gets it.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if it was used, has expired, or is another session's or tenant's.
    pub async fn consume(&self, token: &MergeToken, session: SessionId) -> Result<MergeGrant, StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let digest = token.digest();
        let named = merge_token::Column::Digest.eq(digest.as_bytes().to_vec());
        let row = of_tenant::<merge_token::Entity>(self.tenant).filter(named.clone()).lock_exclusive().one(tx).await?;
        let counts = |row: &merge_token::Model| {
            row.session_id == session.uuid() && core.clock.now() < Timestamp::from_millis(row.expires_at)
        };
        let row = row.filter(counts).ok_or(StorageError::NotFound)?;
        delete_of_tenant::<merge_token::Entity>(self.tenant).filter(named).exec(tx).await?;
        let digest = |bytes: Vec<u8>| {
            Digest::from_slice(&bytes).ok_or_else(|| StorageError::inconsistent("merge_token", "phone_digest"))
        };
        Ok(MergeGrant {
            user: row.user_id.into(),
            other: row.other_id.into(),
            session,
            phone: row.phone_digest.map(digest).transpose()?,
        })
    }

    /// Forgets the tokens that name a user.
    pub(crate) async fn forget(&self, user: UserId) -> Result<(), StorageError> {
        let names = merge_token::Column::UserId.eq(user.uuid()).or(merge_token::Column::OtherId.eq(user.uuid()));
        delete_of_tenant::<merge_token::Entity>(self.tenant).filter(names).exec(&self.tx.tx).await?;
        Ok(())
    }
}

/// Deletes tokens that count no more.
pub(crate) async fn purge(core: &Core, now: Timestamp, piece: u64) -> Result<(), StorageError> {
    loop {
        #[expect(clippy::disallowed_methods, reason = "a sweep is over all tenants")]
        let over = merge_token::Entity::find()
            .filter(merge_token::Column::ExpiresAt.lte(now.millis()))
            .order_by_asc(merge_token::Column::ExpiresAt)
            .limit(piece)
            .all(&core.reader)
            .await?;
        for row in &over {
            delete_of_tenant::<merge_token::Entity>(row.tenant_id.into())
                .filter(merge_token::Column::Digest.eq(row.digest.clone()))
                .exec(&core.writer)
                .await?;
        }
        if (over.len() as u64) < piece {
            return Ok(());
        }
    }
}
