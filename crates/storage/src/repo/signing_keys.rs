//! Signing keys: the private part is sealed by the tenant's seal key.

use sea_orm::Set;
use wxgate_crypto::{Place, Random, SealKey, Sealed};
use wxgate_domain::{SigningKeyState, StoredSigningKey, TenantId, Timestamp};

use super::ascii;
use crate::entity::signing_key;
use crate::error::StorageError;
use crate::keys::TenantKeys;

fn place(tenant: TenantId, kid: &[u8]) -> Place<'_> {
    Place { tenant: tenant.uuid(), table: "signing_key", column: "private", row: kid }
}

pub(crate) fn of_row(row: signing_key::Model, keys: &TenantKeys) -> Result<StoredSigningKey, StorageError> {
    let private = keys.open(&place(row.tenant_id.into(), &row.kid), &Sealed::parse(row.private)?)?;
    Ok(StoredSigningKey {
        private,
        kid: ascii(row.kid, "signing_key", "kid")?,
        algorithm: ascii(row.algorithm.into_bytes(), "signing_key", "algorithm")?,
        state: SigningKeyState::from_word(&row.state)
            .ok_or_else(|| StorageError::inconsistent("signing_key", "state"))?,
        public_jwk: row.public_jwk,
        created_at: Timestamp::from_millis(row.created_at),
        activated_at: row.activated_at.map(Timestamp::from_millis),
        retired_at: row.retired_at.map(Timestamp::from_millis),
    })
}

pub(crate) fn to_row(
    key: &StoredSigningKey,
    tenant: TenantId,
    seal: &SealKey,
    random: &Random,
) -> signing_key::ActiveModel {
    let kid = key.kid.as_str().as_bytes();
    let private = seal.seal(&place(tenant, kid), key.private.expose(), random);
    signing_key::ActiveModel {
        kid: Set(kid.to_vec()),
        tenant_id: Set(tenant.uuid()),
        algorithm: Set(key.algorithm.as_str().to_owned()),
        state: Set(key.state.as_str().to_owned()),
        private: Set(private.into_bytes()),
        public_jwk: Set(key.public_jwk.clone()),
        created_at: Set(key.created_at.millis()),
        activated_at: Set(key.activated_at.map(Timestamp::millis)),
        retired_at: Set(key.retired_at.map(Timestamp::millis)),
    }
}
