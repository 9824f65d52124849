//! What moved in a merge, kept sealed for as long as it can be moved back.

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wxgate_crypto::{Place, Random, Sealed};
use wxgate_domain::{
    ExternalId, MergeId, Phone, PhoneNumber, Profile, TenantId, Timestamp, UnionGroupId, UnionId, User,
};

use crate::entity::union_member;
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::repo::ascii;
use crate::repo::phones::{of_text, to_text};

/// All of it.
#[derive(Serialize, Deserialize)]
pub(super) struct Moved {
    pub(super) user: GoneUser,
    pub(super) identities: Vec<Uuid>,
    pub(super) members: Vec<MovedMember>,
    /// Earlier merges, whose aliases came along.
    pub(super) merges: Vec<MergeId>,
    pub(super) phone: Option<MovedPhone>,
    pub(super) filled: Filled,
}

/// The row of the user who is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GoneUser {
    pub(super) nickname: Option<String>,
    pub(super) avatar_url: Option<String>,
    pub(super) external_id: Option<ExternalId>,
    /// Milliseconds since 1970.
    pub(super) created_at: i64,
}

/// A unionid that was theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MovedMember {
    pub(super) group: UnionGroupId,
    pub(super) unionid: UnionId,
}

/// Their phone number, which the survivor got, or which nobody has since.
#[derive(Serialize, Deserialize)]
pub(super) struct MovedPhone {
    text: String,
    pub(super) is_verified: bool,
    /// Whether the survivor got it.
    pub(super) was_handed_over: bool,
}

impl MovedPhone {
    pub(super) fn of(phone: &Phone, was_handed_over: bool) -> Self {
        Self { text: to_text(&phone.number).expose().clone(), is_verified: phone.is_verified, was_handed_over }
    }

    pub(super) fn number(&self) -> Result<PhoneNumber, StorageError> {
        of_text(self.text.as_bytes(), "merge")
    }
}

/// What the survivor lacked and got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Filled {
    pub(super) nickname: bool,
    pub(super) avatar_url: bool,
    pub(super) external_id: bool,
}

impl GoneUser {
    /// Somebody of whom nothing is known any more.
    pub(super) fn nameless(created_at: Timestamp) -> Self {
        Self { nickname: None, avatar_url: None, external_id: None, created_at: created_at.millis() }
    }
}

impl From<&User> for GoneUser {
    fn from(user: &User) -> Self {
        let Profile { nickname, avatar_url } = user.profile.clone();
        let created_at = Timestamp::millis(user.created_at);
        Self { nickname, avatar_url, external_id: user.external_id.clone(), created_at }
    }
}

impl MovedMember {
    pub(super) fn of(row: &union_member::Model) -> Result<Self, StorageError> {
        let unionid = ascii(row.unionid.clone(), "union_member", "unionid")?;
        Ok(Self { group: row.union_group_id.into(), unionid })
    }
}

impl Filled {
    pub(super) fn of(gone: &User, into: &User) -> Self {
        Self {
            nickname: into.profile.nickname.is_none() && gone.profile.nickname.is_some(),
            avatar_url: into.profile.avatar_url.is_none() && gone.profile.avatar_url.is_some(),
            external_id: into.external_id.is_none() && gone.external_id.is_some(),
        }
    }
}

impl Moved {
    pub(super) fn sealed(
        &self,
        keys: &TenantKeys,
        (tenant, merge): (TenantId, MergeId),
        random: &Random,
    ) -> Result<Vec<u8>, StorageError> {
        let text = serde_json::to_vec(self).map_err(|_| StorageError::inconsistent("merge", "moved"))?;
        Ok(keys.seal.seal(&place(tenant, merge.uuid().as_bytes()), &text, random).into_bytes())
    }

    pub(super) fn open(
        keys: &TenantKeys,
        (tenant, merge): (TenantId, MergeId),
        sealed: Vec<u8>,
    ) -> Result<Self, StorageError> {
        let text = keys.open(&place(tenant, merge.uuid().as_bytes()), &Sealed::parse(sealed)?)?;
        serde_json::from_slice(text.expose()).map_err(|_| StorageError::inconsistent("merge", "moved"))
    }
}

fn place(tenant: TenantId, merge: &[u8]) -> Place<'_> {
    Place { tenant: tenant.uuid(), table: "merge", column: "moved", row: merge }
}
