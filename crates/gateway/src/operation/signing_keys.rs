//! Signing keys: they turn by themselves; these operations show them and step in.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{
    AdminScope, Kid, RingKey, SigningAlgorithm, SigningKeyState, Slug, Tenant, Timestamp, key_rotation,
};

use super::{Limit, Method, Operation, Page, Route, Visitor};
use crate::service::admin::{Admin, AdminError};

/// Every operation of this file.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<ListSigningKeys>();
    visitor.visit::<RotateSigningKey>();
    visitor.visit::<RetireSigningKey>();
}

/// A signing key, without its private part. Times are seconds since 1970.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct SigningKeyReply {
    /// Its id, in the header of what it signs.
    #[schema(value_type = String)]
    pub(crate) kid: Kid,
    /// The slug of its tenant.
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// `next` stands by, `active` signs, `retiring` verifies what it signed.
    #[schema(value_type = String)]
    pub(crate) state: SigningKeyState,
    #[schema(value_type = String)]
    pub(crate) algorithm: SigningAlgorithm,
    pub(crate) published_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) activated_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) retired_at: Option<i64>,
    /// What comes next for it, in words.
    pub(crate) next_step: String,
    /// When that is; absent while no next key is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) next_step_at: Option<i64>,
}

impl SigningKeyReply {
    fn of(tenant: &Tenant, key: &RingKey, ring: &[RingKey]) -> Self {
        Self {
            kid: key.kid.clone(),
            tenant: tenant.slug.clone(),
            state: key.state,
            algorithm: key.algorithm,
            published_at: key.published_at.seconds(),
            activated_at: key.activated_at.map(Timestamp::seconds),
            retired_at: key.retired_at.map(Timestamp::seconds),
            next_step: next_step(key.state).to_owned(),
            next_step_at: key_rotation::moves_at(key, ring, &tenant.policy).map(Timestamp::seconds),
        }
    }
}

fn next_step(state: SigningKeyState) -> &'static str {
    match state {
        SigningKeyState::Next => "signs",
        SigningKeyState::Active => "ceases to sign",
        SigningKeyState::Retiring => "is forgotten",
    }
}

/// A tenant's ring, newest first.
async fn ring(admin: &Admin, tenant: &Tenant) -> Result<Page<SigningKeyReply>, AdminError> {
    let stored = admin.storage.tenant(tenant.id).signing_keys().await?;
    let ring: Vec<_> = stored.iter().map(RingKey::from).collect();
    let keys = ring.iter().map(|key| SigningKeyReply::of(tenant, key, &ring));
    // A ring has a handful of keys.
    Ok(Page::begun(keys, Limit::MOST, |key| key.kid.to_string()))
}

/// A tenant's signing keys: which one signs, which one is next, which ones still verify, and until when.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListSigningKeys {
    /// The tenant: its slug or id.
    #[arg(long)]
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
}

impl Operation for ListSigningKeys {
    type Reply = Page<SigningKeyReply>;
    const ROUTE: Route = Route {
        id: "listSigningKeys",
        method: Method::Get,
        path: "/signing-keys",
        scope: AdminScope::Read,
        summary: "List a tenant's signing keys, newest first.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant(&self.tenant).await?;
        ring(admin, &tenant).await
    }
}

/// A tenant whose next key is to sign now instead of on its day. Tokens of the present one stay valid.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateSigningKey {
    /// The tenant: its slug or id.
    #[arg(long)]
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
}

impl Operation for RotateSigningKey {
    type Reply = Page<SigningKeyReply>;
    const ROUTE: Route = Route {
        id: "rotateSigningKey",
        method: Method::Post,
        path: "/signing-keys/rotate",
        scope: AdminScope::Secrets,
        summary: "Let the next signing key sign now.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant(&self.tenant).await?;
        admin.rotate_signing_key(&tenant).await?;
        ring(admin, &tenant).await
    }
}

/// An emergency: a key that was stolen signs and verifies nothing any more, from now on.
#[derive(Debug, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetireSigningKey {
    /// The tenant: its slug or id.
    #[arg(long)]
    #[schema(value_type = String)]
    pub(crate) tenant: Slug,
    /// The key's id, as `list` shows it.
    #[arg(allow_hyphen_values = true)]
    #[schema(value_type = String)]
    pub(crate) kid: Kid,
}

impl Operation for RetireSigningKey {
    type Reply = Page<SigningKeyReply>;
    const ROUTE: Route = Route {
        id: "retireSigningKey",
        method: Method::Post,
        path: "/signing-keys/{kid}/retire",
        scope: AdminScope::Secrets,
        summary: "Refuse from now on whatever a signing key signed.",
    };

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let tenant = admin.tenant(&self.tenant).await?;
        admin.retire_signing_key(&tenant, &self.kid).await?;
        ring(admin, &tenant).await
    }
}
