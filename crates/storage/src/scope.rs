//! The reads of one tenant. This is where a query gets its tenant, and the only way to a tenant's rows.

use sea_orm::{ColumnTrait, DeleteMany, EntityTrait, QueryFilter, QueryOrder, Select, UpdateMany};
use wxgate_crypto::KeyId;
use wxgate_domain::{Profile, StoredSigningKey, TenantId, User, UserId};

use crate::entity::{
    access_token, app, audience, audit_chain, audit_entry, data_key, delivery, forward_auth_policy, identity, merge,
    merge_candidate, merge_token, outbox, phone, phone_budget, phone_code, platform, platform_app, platform_request,
    push_mark, push_setting, released_appid, revocation, revocation_counter, service_client, signing_key,
    superseded_key, tombstone, union_group, union_member, user, webhook, webhook_turn, wechat_call,
};
use crate::error::StorageError;
use crate::keys::RefreshKeys;
use crate::repo::access_tokens::TenantAccessTokens;
use crate::repo::apps::TenantApps;
use crate::repo::audiences::TenantAudiences;
use crate::repo::data_keys::TenantDataKeys;
use crate::repo::forward_auth_policies::TenantForwardAuthPolicies;
use crate::repo::identities::TenantUsers;
use crate::repo::merge_candidates::TenantMergeCandidates;
use crate::repo::merges::TenantMerges;
use crate::repo::phones::TenantPhones;
use crate::repo::platforms::TenantPlatforms;
use crate::repo::push_settings::TenantPushSettings;
use crate::repo::receipts::TenantReceipts;
use crate::repo::revocations::TenantRevocations;
use crate::repo::service_clients::TenantServiceClients;
use crate::repo::union_groups::TenantUnionGroups;
use crate::repo::wechat_calls::TenantWechatCalls;
use crate::repo::{signing_keys, users};
use crate::storage::Storage;

/// A table whose rows belong to a tenant.
pub(crate) trait TenantOwned: EntityTrait {
    /// The column that says to which.
    const TENANT: Self::Column;
}

macro_rules! tenant_owned {
    ($($table:ident),* $(,)?) => {$(
        impl TenantOwned for $table::Entity {
            const TENANT: $table::Column = $table::Column::TenantId;
        }
    )*};
}

tenant_owned!(
    access_token,
    app,
    audience,
    audit_chain,
    audit_entry,
    data_key,
    delivery,
    forward_auth_policy,
    identity,
    platform,
    platform_app,
    platform_request,
    merge,
    merge_candidate,
    merge_token,
    outbox,
    phone,
    phone_budget,
    phone_code,
    push_mark,
    push_setting,
    released_appid,
    revocation,
    revocation_counter,
    service_client,
    signing_key,
    superseded_key,
    tombstone,
    union_group,
    union_member,
    user,
    webhook,
    webhook_turn,
    wechat_call
);

/// A query over the rows of a tenant.
#[expect(clippy::disallowed_methods, reason = "the one place where a finder gets its tenant")]
pub(crate) fn of_tenant<E: TenantOwned>(tenant: TenantId) -> Select<E> {
    E::find().filter(E::TENANT.eq(tenant.uuid()))
}

/// An update of rows of a tenant.
#[expect(clippy::disallowed_methods, reason = "the one place where an update gets its tenant")]
pub(crate) fn update_of_tenant<E: TenantOwned>(tenant: TenantId) -> UpdateMany<E> {
    E::update_many().filter(E::TENANT.eq(tenant.uuid()))
}

/// A removal of rows of a tenant.
#[expect(clippy::disallowed_methods, reason = "the one place where a removal gets its tenant")]
pub(crate) fn delete_of_tenant<E: TenantOwned>(tenant: TenantId) -> DeleteMany<E> {
    E::delete_many().filter(E::TENANT.eq(tenant.uuid()))
}

/// Everything that belongs to one tenant. Asked as another tenant, the same rows do not exist.
#[derive(Clone, Debug)]
pub struct TenantScope {
    pub(crate) storage: Storage,
    pub(crate) tenant: TenantId,
}

impl TenantScope {
    pub(crate) fn new(storage: Storage, tenant: TenantId) -> Self {
        Self { storage, tenant }
    }

    /// The tenant's apps.
    pub fn apps(&self) -> TenantApps {
        TenantApps::new(self.storage.clone(), self.tenant)
    }

    /// Access_tokens of WeChat's that all nodes share.
    pub fn access_tokens(&self) -> TenantAccessTokens {
        TenantAccessTokens::new(self.storage.clone(), self.tenant)
    }

    /// What the tenant's apps called of WeChat.
    pub fn wechat_calls(&self) -> TenantWechatCalls {
        TenantWechatCalls::new(self.storage.clone(), self.tenant)
    }

    /// The tenant's data keys.
    pub fn data_keys(&self) -> TenantDataKeys {
        TenantDataKeys::new(self.storage.clone(), self.tenant)
    }

    /// The tenant's union groups.
    pub fn union_groups(&self) -> TenantUnionGroups {
        TenantUnionGroups::new(self.storage.clone(), self.tenant)
    }

    /// The tenant's audiences.
    pub fn audiences(&self) -> TenantAudiences {
        TenantAudiences::new(self.storage.clone(), self.tenant)
    }

    /// The tenant's service clients.
    pub fn service_clients(&self) -> TenantServiceClients {
        TenantServiceClients::new(self.storage.clone(), self.tenant)
    }

    /// The tenant's forward-auth policies.
    pub fn forward_auth_policies(&self) -> TenantForwardAuthPolicies {
        TenantForwardAuthPolicies::new(self.storage.clone(), self.tenant)
    }

    /// The tenant's third-party platforms.
    pub fn platforms(&self) -> TenantPlatforms {
        TenantPlatforms::new(self.storage.clone(), self.tenant)
    }

    /// How the tenant's apps take pushes.
    pub fn push_settings(&self) -> TenantPushSettings {
        TenantPushSettings::new(self.storage.clone(), self.tenant)
    }

    /// The tenant's users, by what WeChat calls them.
    pub fn users(&self) -> TenantUsers {
        TenantUsers::new(self.storage.clone(), self.tenant)
    }

    /// What became of what the tenant's webhooks were to be told.
    pub fn receipts(&self) -> TenantReceipts {
        TenantReceipts::new(self.storage.clone(), self.tenant)
    }

    /// Who of the tenant became whom.
    pub fn merges(&self) -> TenantMerges {
        TenantMerges::new(self.storage.clone(), self.tenant)
    }

    /// Who of the tenant may be whom.
    pub fn merge_candidates(&self) -> TenantMergeCandidates {
        TenantMergeCandidates::new(self.storage.clone(), self.tenant)
    }

    /// The phone numbers of the tenant's users.
    pub fn phones(&self) -> TenantPhones {
        TenantPhones::new(self.storage.clone(), self.tenant)
    }

    /// The tenant's feed of what ended.
    pub fn revocations(&self) -> TenantRevocations {
        TenantRevocations::new(self.storage.clone(), self.tenant)
    }

    /// The tenant's signing keys with their private parts, newest first.
    ///
    /// # Errors
    /// The database fails, or a key does not open.
    pub async fn signing_keys(&self) -> Result<Vec<StoredSigningKey>, StorageError> {
        let tenant = self.tenant;
        let newest_first = move || {
            of_tenant::<signing_key::Entity>(tenant)
                .order_by_desc(signing_key::Column::CreatedAt)
                .order_by_asc(signing_key::Column::Kid)
        };
        let rows = self.storage.core.read(|db| async move { newest_first().all(&db).await }).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows {
            keys.push(signing_keys::of_row(row, &self.storage.core).await?);
        }
        Ok(keys)
    }

    /// The keys that MAC refresh tokens, that of this number among them.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such key.
    pub async fn refresh_keys(&self, number: u32) -> Result<RefreshKeys, StorageError> {
        let keys = self.storage.core.keys_with(self.tenant, KeyId::from(number)).await?;
        let keys = RefreshKeys::new(self.tenant, keys);
        if keys.key(number).is_some() { Ok(keys) } else { Err(StorageError::NotFound) }
    }

    /// A user of the tenant. The id of one who is gone into another leads to that one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StorageError> {
        let tenant = self.tenant;
        users::find(&self.storage.core, tenant, id).await
    }

    /// Lays what is new in `profile` over what is stored; writes nothing if that changes nothing.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such user.
    pub async fn update_profile(&self, user: UserId, profile: &Profile) -> Result<(), StorageError> {
        users::update_profile(&self.storage.core, self.tenant, user, profile).await
    }
}
