//! Who makes an operator's move, and what they may do.

use std::fmt;
use std::net::IpAddr;

use wxgate_crypto::Digest;
use wxgate_domain::{AdminKey, AdminKeyId, AdminScope, AdminScopes, TenantId};
use wxgate_storage::Creation;

use super::AdminError;

/// Whoever asks for a move, with what they said about how to make it.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) actor: Actor,
    /// The only tenant that exists for them; `None` for operators.
    pub(crate) tenant: Option<TenantId>,
    pub(crate) scopes: AdminScopes,
    /// Where the request came from, if one came.
    pub(crate) address: Option<IpAddr>,
    pub(crate) request_id: Option<String>,
    /// The state that they want to change, as they saw it (`If-Match`).
    pub(crate) if_match: Option<ETag>,
    /// The creation that they ask for, if it is not to happen twice (`Idempotency-Key`).
    pub(crate) creation: Option<Creation>,
}

/// Who it is, as the audit log names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// Somebody at the command line of a machine with the master key.
    Console,
    /// The holder of an admin key.
    Key(AdminKeyId),
    /// wxgate itself.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Console => f.write_str("console"),
            Self::Key(id) => write!(f, "key:{id}"),
            Self::System => f.write_str("system"),
        }
    }
}

impl Caller {
    /// Somebody at the command line, who may do everything.
    pub(crate) fn console() -> Self {
        Self::unbound(Actor::Console)
    }

    /// wxgate itself.
    pub(crate) fn system() -> Self {
        Self::unbound(Actor::System)
    }

    fn unbound(actor: Actor) -> Self {
        let scopes = AdminScopes::all();
        Self { actor, tenant: None, scopes, address: None, request_id: None, if_match: None, creation: None }
    }

    /// The holder of a key.
    pub(crate) fn holding(key: &AdminKey) -> Self {
        Self { tenant: key.tenant, scopes: key.scopes.clone(), ..Self::unbound(Actor::Key(key.id)) }
    }

    /// Whether they may do what needs this scope.
    ///
    /// # Errors
    /// [`AdminError::Scope`].
    pub(crate) fn may(&self, scope: AdminScope) -> Result<(), AdminError> {
        if self.scopes.allow(scope) { Ok(()) } else { Err(AdminError::Scope(scope)) }
    }

    /// Whether they are an operator.
    ///
    /// # Errors
    /// [`AdminError::OperatorsOnly`].
    pub(crate) fn must_be_operator(&self) -> Result<(), AdminError> {
        if self.tenant.is_none() { Ok(()) } else { Err(AdminError::OperatorsOnly) }
    }

    /// Whether a tenant exists for them.
    pub(crate) fn sees(&self, tenant: TenantId) -> bool {
        self.tenant.is_none_or(|own| own == tenant)
    }
}

/// The state of something, so that a change can be refused when somebody else's came in between (RFC 9110 section 8.8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ETag(String);

impl ETag {
    /// Of whatever was, or would be, told. What is told but once has no part in it.
    pub(crate) fn of(told: &impl serde::Serialize) -> Self {
        // By way of a value, whose fields are in one order whatever it was made from.
        let value = without_secrets(told);
        let digest = Digest::sha256(&serde_json::to_vec(&value).unwrap_or_default());
        let (head, _) = digest.as_bytes().split_at(16);
        Self(format!("\"{}\"", wxgate_crypto::encoding::to_base64url(head)))
    }

    /// As a client repeats it.
    pub(crate) fn parse(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// With its quotes.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is told, without the secrets that are told but once: those of clients, webhooks and keys, and what a platform or an
/// app takes pushes with. What may be known of an app's secret stays.
pub(super) fn without_secrets(told: &impl serde::Serialize) -> serde_json::Value {
    let mut told = serde_json::to_value(told).unwrap_or_default();
    if let Some(fields) = told.as_object_mut() {
        fields.retain(|name, value| match name.as_str() {
            "token" | "encoding_aes_key" => false,
            "secret" => value.get("fingerprint").is_some(),
            _ => true,
        });
    }
    told
}
