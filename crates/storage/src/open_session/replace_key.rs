//! Another session_key in the place of one that WeChat replaced, which goes on opening what it sealed for ten minutes.

use std::time::Duration;

use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, Set};
use uuid::Uuid;
use wxgate_crypto::Place;
use wxgate_crypto::user_data::SessionKey;
use wxgate_domain::{AppId, OpenId, TenantId, Timestamp};

use super::read::{Superseded, session_key_of};
use super::session_key_place;
use crate::entity::superseded_key;
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::scope::{TenantScope, delete_of_tenant, of_tenant};
use crate::sql::{bytes, get, id, statement};
use crate::storage::Core;
use crate::tx;

const TABLE: &str = "superseded_key";

/// How long a session key that was replaced still opens what the client encrypted before.
pub(crate) const SUPERSEDED: Duration = Duration::from_mins(10);

/// Sessions that are looked at.
const NEWEST: usize = 5;

/// Most keys that are kept of one identity, beside those of its sessions.
const MOST: usize = 2;

impl TenantScope {
    /// Puts a key in the place of the one that it replaced at WeChat, in the newest of the identity's sessions that holds
    /// that one; false if none does any more, because newer logins brought newer keys.
    ///
    /// The old key is dead at WeChat. It stays in the ring like any that was superseded: what the client got a moment ago
    /// was sealed under it.
    ///
    /// # Errors
    /// The database fails, or a key does not open.
    pub async fn replace_session_key(
        &self,
        app: AppId,
        openid: &OpenId,
        old: &SessionKey,
        new: &SessionKey,
    ) -> Result<bool, StorageError> {
        let text = format!(
            "SELECT s.id, s.session_key, i.id FROM identity i
            JOIN session s ON s.tenant_id = i.tenant_id AND s.identity_id = i.id
            WHERE i.tenant_id = ? AND i.app_id = ? AND i.openid = ? AND s.session_key IS NOT NULL
            ORDER BY s.opened_at DESC, s.id DESC LIMIT {NEWEST}"
        );
        let of = [id(self.tenant.uuid()), id(app.uuid()), bytes(openid.as_str().as_bytes())];
        for row in self.read(&text, &of).await? {
            if self.session_key(&row).await? == *old {
                return self
                    .put_session_key((get(&row, 0)?, get(&row, 2)?), &get::<Vec<u8>>(&row, 1)?, [old, new])
                    .await;
            }
        }
        Ok(false)
    }

    /// Writes a key where what was read still stands, and keeps the one that was there.
    async fn put_session_key(
        &self,
        (session, identity): (Uuid, Uuid),
        seen: &[u8],
        [old, new]: [&SessionKey; 2],
    ) -> Result<bool, StorageError> {
        let core = &self.storage.core;
        let tx = tx::begin(core).await?;
        let keys = TenantKeys::load(&tx, &core.master_keys, self.tenant).await?;
        let place = session_key_place(self.tenant, session.as_bytes());
        let sealed = keys.seal.seal(&place, new.bytes().expose(), &core.random);
        let text = "UPDATE session SET session_key = ? WHERE tenant_id = ? AND id = ? AND session_key = ?";
        let values = vec![bytes(sealed.as_bytes()), id(self.tenant.uuid()), id(session), bytes(seen)];
        let put = tx.execute_raw(statement(tx.get_database_backend(), text, values)).await?;
        if put.rows_affected() == 0 {
            return Ok(false);
        }
        self.keep(&tx, identity, old, &keys).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn keep(
        &self,
        tx: &DatabaseTransaction,
        identity: Uuid,
        key: &SessionKey,
        keys: &TenantKeys,
    ) -> Result<(), StorageError> {
        let core = &self.storage.core;
        let now = core.clock.now();
        let kept = of_tenant::<superseded_key::Entity>(self.tenant)
            .filter(superseded_key::Column::IdentityId.eq(identity))
            .order_by_desc(superseded_key::Column::SupersededAt)
            .order_by_desc(superseded_key::Column::Id);
        let surplus: Vec<_> = kept.all(tx).await?.iter().skip(MOST - 1).map(|row| row.id).collect();
        if !surplus.is_empty() {
            let surplus = superseded_key::Column::Id.is_in(surplus);
            delete_of_tenant::<superseded_key::Entity>(self.tenant).filter(surplus).exec(tx).await?;
        }
        let row = core.random.uuid_v7(now.millis());
        let sealed = keys.seal.seal(&place(self.tenant, &row), key.bytes().expose(), &core.random);
        let row = superseded_key::ActiveModel {
            id: Set(row),
            tenant_id: Set(self.tenant.uuid()),
            identity_id: Set(identity),
            session_key: Set(sealed.into_bytes()),
            superseded_at: Set(now.millis()),
        };
        superseded_key::Entity::insert(row).exec_without_returning(tx).await?;
        Ok(())
    }

    /// The keys of an identity that a reset superseded, the newest first.
    pub(super) async fn superseded_keys(
        &self,
        app: AppId,
        openid: &OpenId,
        since: Timestamp,
    ) -> Result<Vec<Superseded>, StorageError> {
        let text = "SELECT k.id, k.session_key, k.superseded_at FROM identity i
            JOIN superseded_key k ON k.tenant_id = i.tenant_id AND k.identity_id = i.id
            WHERE i.tenant_id = ? AND i.app_id = ? AND i.openid = ? AND k.superseded_at >= ?
            ORDER BY k.superseded_at DESC, k.id DESC";
        let of = [id(self.tenant.uuid()), id(app.uuid()), bytes(openid.as_str().as_bytes()), since.millis().into()];
        let mut keys = Vec::new();
        for found in self.read(text, &of).await? {
            let row: Uuid = get(&found, 0)?;
            let key = self.storage.core.open(&place(self.tenant, &row), get(&found, 1)?).await?;
            let at = Timestamp::from_millis(get(&found, 2)?);
            keys.push(Superseded { at, key: session_key_of(key.expose(), TABLE)? });
        }
        Ok(keys)
    }
}

fn place(tenant: TenantId, row: &Uuid) -> Place<'_> {
    Place { tenant: tenant.uuid(), table: TABLE, column: "session_key", row: row.as_bytes() }
}

/// Forgets the keys that were superseded before `cutoff`.
pub(crate) async fn forget_superseded(core: &Core, cutoff: Timestamp) -> Result<(), StorageError> {
    #[expect(clippy::disallowed_methods, reason = "swept for all tenants")]
    let over = superseded_key::Entity::delete_many().filter(superseded_key::Column::SupersededAt.lt(cutoff.millis()));
    over.exec(&core.writer).await?;
    Ok(())
}
