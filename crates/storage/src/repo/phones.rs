//! Phone numbers of users: sealed, and found by a keyed digest if WeChat vouches for them.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, QueryFilter};
use uuid::Uuid;
use wxgate_crypto::{Digest, MacKey, Place, Secret};
use wxgate_domain::{E164, Phone, PhoneNumber, TenantId, Timestamp, UserId};

use crate::entity::phone;
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::packed::Columns;
use crate::scope::of_tenant;
use crate::sql::get;
use crate::storage::{Core, Storage};

const TABLE: &str = "phone";

/// The digest by which a number is found.
pub(crate) fn digest(key: &MacKey, number: &E164) -> Digest {
    key.digest(TABLE, &[number.expose().as_bytes()])
}

/// The digests under all keys: what an earlier one digested is still to be found.
pub(crate) fn digests(keys: &TenantKeys, number: &E164) -> Vec<Vec<u8>> {
    keys.digests.iter().map(|(_, key)| digest(key, number).as_bytes().to_vec()).collect()
}

/// Where the number of a row is sealed. The row has an id of its own, so that a number can change hands as it is.
pub(crate) fn place(tenant: TenantId, row: &Uuid) -> Place<'_> {
    Place { tenant: tenant.uuid(), table: TABLE, column: "number", row: row.as_bytes() }
}

/// What is sealed of a number: its two parts, with a space between.
pub(crate) fn to_text(number: &PhoneNumber) -> Secret<String> {
    Secret::new(format!("{} {}", number.country_code(), number.national()))
}

/// Reads what [`to_text`] wrote.
pub(crate) fn of_text(text: &[u8], table: &'static str) -> Result<PhoneNumber, StorageError> {
    let parts = std::str::from_utf8(text).ok().and_then(|text| text.split_once(' '));
    let number = parts.and_then(|(country_code, national)| PhoneNumber::new(country_code, national).ok());
    number.ok_or_else(|| StorageError::inconsistent(table, "number"))
}

/// The phone of a user as it is stored: whoever waits for it opens it, so that a batch only reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SealedPhone {
    tenant: TenantId,
    id: Uuid,
    number: Vec<u8>,
    is_verified: bool,
    bound_at: Timestamp,
    leaves_at: Option<Timestamp>,
}

/// What is read of a phone, by the alias `p`; null where there is none.
pub(crate) const PHONE: &str = "p.id, p.tenant_id, p.number, p.digest_key, p.bound_at, p.leaves_at";

/// Which of them are bytes, for [`packed`](crate::packed::packed).
pub(crate) const PHONE_BYTES: &str = "bbb...";

/// The phone of the user `u`, if there is one.
pub(crate) const JOIN_PHONE: &str = "LEFT JOIN phone p ON p.tenant_id = u.tenant_id AND p.user_id = u.id";

impl SealedPhone {
    /// Reads the columns of [`PHONE`], the first of which is `at`.
    pub(crate) fn read(row: &impl Columns, at: usize) -> Result<Option<Self>, StorageError> {
        let Some(id) = get::<Option<Uuid>>(row, at)? else { return Ok(None) };
        Ok(Some(Self {
            tenant: get::<Uuid>(row, at + 1)?.into(),
            id,
            number: get(row, at + 2)?,
            is_verified: get::<Option<i32>>(row, at + 3)?.is_some(),
            bound_at: Timestamp::from_millis(get(row, at + 4)?),
            leaves_at: get::<Option<i64>>(row, at + 5)?.map(Timestamp::from_millis),
        }))
    }

    /// Opens it.
    pub(crate) async fn open(self, core: &Core) -> Result<Phone, StorageError> {
        let opened = core.open(&place(self.tenant, &self.id), self.number).await?;
        Ok(Phone {
            number: of_text(opened.expose(), TABLE)?,
            is_verified: self.is_verified,
            bound_at: self.bound_at,
            leaves_at: self.leaves_at,
        })
    }
}

impl From<phone::Model> for SealedPhone {
    fn from(row: phone::Model) -> Self {
        Self {
            tenant: row.tenant_id.into(),
            id: row.id,
            number: row.number,
            is_verified: row.digest_key.is_some(),
            bound_at: Timestamp::from_millis(row.bound_at),
            leaves_at: row.leaves_at.map(Timestamp::from_millis),
        }
    }
}

impl Core {
    /// Opens a phone, if there is one.
    pub(crate) async fn open_phone(&self, sealed: Option<SealedPhone>) -> Result<Option<Phone>, StorageError> {
        match sealed {
            Some(sealed) => sealed.open(self).await.map(Some),
            None => Ok(None),
        }
    }
}

/// The phone numbers of one tenant's users.
#[derive(Clone, Debug)]
pub struct TenantPhones {
    storage: Storage,
    tenant: TenantId,
}

impl TenantPhones {
    pub(crate) fn new(storage: Storage, tenant: TenantId) -> Self {
        Self { storage, tenant }
    }

    /// The phone of a user, if they have one.
    ///
    /// # Errors
    /// The database fails, or the number does not open.
    pub async fn of(&self, user: UserId) -> Result<Option<Phone>, StorageError> {
        Ok(self.of_users(&[user]).await?.remove(&user))
    }

    /// The phones of those of the users who have one.
    ///
    /// # Errors
    /// The database fails, or a number does not open.
    pub async fn of_users(&self, users: &[UserId]) -> Result<HashMap<UserId, Phone>, StorageError> {
        let (core, tenant) = (&self.storage.core, self.tenant);
        let ids = || users.iter().map(|user| user.uuid());
        let query = || of_tenant::<phone::Entity>(tenant).filter(phone::Column::UserId.is_in(ids()));
        let rows = core.read(|db| async move { query().all(&db).await }).await?;
        let mut phones = HashMap::with_capacity(rows.len());
        for row in rows {
            phones.insert(row.user_id.into(), SealedPhone::from(row).open(core).await?);
        }
        Ok(phones)
    }

    /// What stands for a number where it is not to be known: its digest by the newest key.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if there is no such tenant.
    pub async fn digest(&self, number: &E164) -> Result<Digest, StorageError> {
        Ok(digest(&self.storage.core.keys(self.tenant).await?.digest, number))
    }

    /// Whose number this is; of a number that WeChat does not vouch for, nobody's.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if there is no such tenant.
    pub async fn owner(&self, number: &E164) -> Result<Option<UserId>, StorageError> {
        let (core, tenant) = (&self.storage.core, self.tenant);
        let digests = &digests(core.keys(tenant).await?.as_ref(), number);
        let query = || of_tenant::<phone::Entity>(tenant).filter(phone::Column::Digest.is_in(digests.iter().cloned()));
        let found = core.read(|db| async move { query().one(&db).await }).await?;
        Ok(found.map(|row| row.user_id.into()))
    }
}
