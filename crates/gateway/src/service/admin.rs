//! What an operator does, one file for each kind of row. Each move is one transaction.

mod apps;
mod audiences;
mod forward_auth_policies;
mod service_clients;
mod tenants;
mod union_groups;
mod users;

use wxgate_domain::{Clock, MalformedPolicy, PolicyName, ServiceClientId, Slug, UserId, WechatAppid};
use wxgate_storage::{Storage, StorageError};
use wxgate_token::KeyError;

pub(crate) use apps::AppToAdd;
pub(crate) use users::WhichUser;

use super::signing_keys::SigningKeys;

/// Longest name for people, in characters.
const MAX_NAME: usize = 200;

/// The operator's moves.
pub(crate) struct Admin {
    pub(crate) storage: Storage,
    pub(crate) clock: Clock,
}

/// Why a move of the operator's did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error("there is no tenant {0}; `wxgate tenant list` shows them")]
    NoTenant(Slug),
    #[error("there is no app {0}; `wxgate app list` shows them")]
    NoApp(WechatAppid),
    #[error("there is no service client {0}; `wxgate service-client list` shows them")]
    NoServiceClient(ServiceClientId),
    #[error("the tenant {0} has no such user")]
    NoSuchUser(Slug),
    #[error("the tenant {0} has no user {1}")]
    NoUser(Slug, UserId),
    #[error("the tenant {0} has no union group {1:?}; `wxgate union-group list --tenant {0}` shows them")]
    NoUnionGroup(Slug, String),
    #[error(
        "the tenant {0} does not own the audience {1}; register it with `wxgate audience add --tenant {0} {1}`, or name the appid of one of its apps"
    )]
    AudienceNotOwned(Slug, String),
    #[error("a tenant {0} exists already, and names are never used again")]
    TenantTaken(Slug),
    #[error("the appid {0} is registered already, as an app or as another tenant's audience")]
    AppTaken(WechatAppid),
    #[error("the tenant {0} has a union group {1:?} already")]
    UnionGroupTaken(Slug, String),
    #[error("the audience {0} is taken: it belongs to one tenant, and another tenant's appid is none")]
    AudienceTaken(String),
    #[error("a policy {0} exists already; names are shared by all tenants")]
    PolicyTaken(PolicyName),
    #[error("the tenant {0} has a service client {1:?} already")]
    ServiceClientTaken(Slug, String),
    #[error("a tenant has at most a thousand service clients")]
    TooManyServiceClients,
    #[error("a name has 1 to {MAX_NAME} characters and no control characters")]
    Name,
    #[error(transparent)]
    Policy(#[from] MalformedPolicy),
    #[error("no signing key could be made")]
    Key(#[from] KeyError),
    #[error("the database refused")]
    Storage(#[from] StorageError),
}

impl Admin {
    /// The moves of signing keys.
    pub(crate) fn signing_keys(&self) -> SigningKeys {
        SigningKeys { storage: self.storage.clone(), clock: self.clock.clone() }
    }
}

fn checked(name: String) -> Result<String, AdminError> {
    let fits = (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fits { Ok(name) } else { Err(AdminError::Name) }
}

fn taken(error: StorageError, meaning: AdminError) -> AdminError {
    match error {
        StorageError::NotUnique { .. } => meaning,
        error => error.into(),
    }
}
