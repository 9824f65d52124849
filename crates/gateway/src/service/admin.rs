//! What an operator does, one file for each kind of row. Each move is one transaction.

mod admin_keys;
mod apps;
mod audiences;
mod audit;
mod caller;
mod data_keys;
mod doctor;
mod forward_auth_policies;
mod jobs;
mod master_keys;
mod merges;
mod once;
mod platforms;
mod restore;
mod service_clients;
mod signing_keys;
mod state;
mod tenants;
mod union_groups;
mod user_import;
mod users;
mod webhooks;

use std::collections::HashMap;
use std::sync::Arc;

use wxgate_crypto::{KeyId, Random};
use wxgate_domain::{
    AdminKeyId, AdminScope, Clock, DataKeyPurpose, EventId, JobId, KeyMoveError, MalformedPolicy, MergeCandidateId,
    MergeId, PolicyName, ServiceClientId, SessionId, Slug, TenantId, UserId, WeakPushToken, WebhookId, WechatAppid,
};
use wxgate_storage::{AudienceUse, GroupMembers, NotMerged, NotUnmerged, Storage, StorageError};
use wxgate_token::{Issuer, KeyError};
use wxgate_wechat_client::Client;

pub(crate) use apps::{AppToAdd, GivenKeys, Proof, PushToSet};
pub(crate) use audit::{Event, Refusals};
pub(crate) use caller::{Actor, Caller, ETag};
pub(crate) use doctor::{Finding, Level};
pub(crate) use master_keys::RemovedMasterKey;
pub(crate) use platforms::PlatformToAdd;
pub(crate) use restore::Restored;
pub(crate) use state::{Applied, MadeClient, MadeHook, MadePush, Planned, StateError, Verb};
pub(crate) use user_import::{ForeignUser, MOST_ROWS, RowError};
pub(crate) use users::{Person, WhichUser};

use super::again::NotDone;
use super::meters::Meters;
use super::platforms::{AuthorizationError, Platforms};
use super::signing_keys::{SigningKeyError, SigningKeys};
use crate::master_keys::{FolderError, MasterKeys};

/// Longest name for people, in characters.
const MAX_NAME: usize = 200;

/// What operators' moves are made with. Clones share everything.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) storage: Storage,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) wechat: Client,
    pub(crate) platforms: Platforms,
    pub(crate) master_keys: MasterKeys,
    /// Begins every issuer.
    pub(crate) public_url: Arc<str>,
    /// How often each key was refused something lately.
    pub(crate) refusals: Arc<Refusals>,
    /// What this process called of WeChat.
    pub(crate) meters: Arc<Meters>,
}

impl Desk {
    /// The moves, as somebody makes them.
    pub(crate) fn serve(&self, caller: Caller) -> Admin {
        Admin { desk: self.clone(), caller }
    }
}

/// The operator's moves, as one caller makes them.
pub(crate) struct Admin {
    desk: Desk,
    pub(crate) caller: Caller,
}

impl std::ops::Deref for Admin {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.desk
    }
}

/// Why a move of the operator's did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error("there is no tenant {0}; `wxgate tenant list` shows them")]
    NoTenant(Slug),
    #[error("there is no app {0}; `wxgate app list` shows them")]
    NoApp(WechatAppid),
    #[error("there is no third-party platform {0}; `wxgate platform list` shows them")]
    NoPlatform(WechatAppid),
    #[error(
        "the third-party platform {0} knows no parked mini-program {1} that granted something; `wxgate platform apps {0}` shows them"
    )]
    NoPlatformApp(WechatAppid, WechatAppid),
    #[error("the third-party platform {0} exists already")]
    PlatformTaken(WechatAppid),
    #[error(
        "the third-party platform {0} acts for mini-programs, such as {1}; remove them, or give them AppSecrets, first"
    )]
    PlatformInUse(WechatAppid, String),
    #[error(
        "WeChat has pushed no ticket to the third-party platform {0} yet; `wxgate platform start-tickets {0}` asks for them"
    )]
    NoTicket(WechatAppid),
    #[error("WeChat refuses the third-party platform {platform}, errcode {errcode}: {meaning}")]
    PlatformRefused { platform: WechatAppid, errcode: i64, meaning: &'static str },
    #[error("WeChat gave no answer about the third-party platform {0}; try again")]
    WechatSilentTo(WechatAppid),
    #[error("a thousand authorisations of this platform wait already; they end within an hour")]
    TooManyAuthorizations,
    #[error(transparent)]
    Authorization(AuthorizationError),
    #[error("there is no service client {0}; `wxgate service-client list` shows them")]
    NoServiceClient(ServiceClientId),
    #[error("name the tenant: an operator's key sees all of them")]
    WhichTenant,
    #[error("the tenant {0} has no user {1}")]
    NoUser(Slug, UserId),
    #[error("the tenant {0} has no merge {1} that was not undone; `wxgate merge list --tenant {0}` shows them")]
    NoMerge(Slug, MergeId),
    #[error("the tenant {0} has no merge candidate {1}; `wxgate merge candidates --tenant {0}` shows them")]
    NoCandidate(Slug, MergeCandidateId),
    #[error("they stay two: {0}")]
    NotMerged(NotMerged),
    #[error("they stay one: {0}")]
    NotUnmerged(NotUnmerged),
    #[error("name a user in one way: id, appid with openid, unionid, or external_id")]
    WhichUser,
    #[error("at most {MOST_ROWS} rows come in at once")]
    TooManyRows,
    #[error("the tenant {0} has no live session {1}")]
    NoSession(Slug, SessionId),
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
    #[error("the appid {0} was another tenant's; an operator moves it, or that tenant takes it up again")]
    AppReleased(WechatAppid),
    #[error("WeChat refuses the AppSecret of {appid}, errcode {errcode}: {meaning}; nothing was stored")]
    SecretRefused { appid: WechatAppid, errcode: i64, meaning: &'static str },
    #[error("WeChat could not be asked about the AppSecret of {0}, or gave no answer to that; try again")]
    WechatSilent(WechatAppid),
    #[error("there is no audience {0}; `wxgate audience list` shows them")]
    NoAudience(String),
    #[error("the audience {0} is still named by {list}", list = named(.1))]
    AudienceInUse(String, Vec<AudienceUse>),
    #[error("there is no union group {0}; by its name it is found where the tenant is named too")]
    NoGroup(String),
    #[error("in the union group {0:?} there are still {apps} apps and {people} people", apps = .1.apps, people = .1.people)]
    UnionGroupInUse(String, GroupMembers),
    #[error("there is no policy {0}; `wxgate policy list` shows them")]
    NoPolicy(PolicyName),
    #[error("the tenant {0} has no such signing key; `wxgate signing-key list --tenant {0}` shows them")]
    NoSigningKey(Slug),
    #[error(
        "verifiers may not know the next key of tenant {0} yet: wait until {1}. If the present one was stolen, replace it \
         at once with `wxgate signing-key retire --tenant {0} KID`"
    )]
    KeyNotYet(Slug, String),
    #[error(transparent)]
    KeyStays(KeyMoveError),
    #[error("the policy or the signing keys of the tenant {0} make no sense to this version")]
    KeysUnreadable(Slug),
    #[error(
        "a third-party platform acts for the app {0}: it has no AppSecret; `wxgate app rotate-secret` gives it one"
    )]
    NoAppSecret(WechatAppid),
    #[error("some keys of before the restore still sign; run it again: {0}")]
    KeysNotReplaced(#[from] SigningKeyError),
    #[error("an AppSecret is 1 to 128 visible ASCII characters")]
    SecretShape,
    #[error("a phone number is written with a plus and its country code, such as +8613800138000")]
    PhoneShape,
    #[error(
        "each key comes with its serial, and the first time all three are needed: symmetric key, private key, certificate"
    )]
    KeysIncomplete,
    #[error(
        "the symmetric key is 32 bytes in base64, the private key RSA with at least 2048 bits as PEM, the certificate WeChat's as PEM; one of them is not"
    )]
    KeysRefused,
    #[error("the app {0} takes no pushes; `wxgate app push set {0}` sets them up")]
    NoPush(WechatAppid),
    #[error(transparent)]
    PushToken(#[from] WeakPushToken),
    #[error("an EncodingAESKey is 43 characters of base64, as WeChat's console makes it")]
    AesKeyShape,
    #[error("a webhook's secret is whsec_ and the base64 of 24 to 64 bytes")]
    WebhookSecretShape,
    #[error("a secret counts for {0} hours after its rotation at most")]
    Overlap(u16),
    #[error("a cursor is what the page before said, as it was")]
    Cursor,
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
    #[error("there is no webhook {0}; `wxgate webhook list` shows them")]
    NoWebhook(WebhookId),
    #[error("the tenant {0} has a webhook {1:?} already")]
    WebhookTaken(Slug, String),
    #[error("a tenant has at most twenty webhooks")]
    TooManyWebhooks,
    #[error("a webhook is told of one kind of event at least")]
    NoEvents,
    #[error("an event is one of {list}, or * for all", list = wxgate_domain::EventKind::ALL.map(wxgate_domain::EventKind::as_str).join(", "))]
    EventKind,
    #[error("the webhook was never to be told of the event {0}, or nobody knows any more what it said")]
    NoDelivery(EventId),
    #[error("there is no admin key {0}; `wxgate admin-key list` shows them")]
    NoAdminKey(AdminKeyId),
    #[error("there is no job {0}; `wxgate job list` shows them")]
    NoJob(JobId),
    #[error("the tenant {0} is served: first `wxgate tenant suspend {0}`, and see that nobody misses it")]
    TenantServed(Slug),
    #[error("the tenant {0} is being deleted")]
    TenantDeleting(Slug),
    #[error("the app {0} is being removed; `wxgate job list` shows how far it is")]
    AppRemoving(WechatAppid),
    #[error("there is no master key {0}; `wxgate master-key list` shows them")]
    NoMasterKey(KeyId),
    #[error("the master key {0} is not at hand here: put its file into master_key.folder")]
    NoMasterKeyHere(KeyId),
    #[error(
        "the master key {0} is not everywhere: these gateways lack it: {1}; put its file into their master_key.folder"
    )]
    MasterKeyLacking(KeyId, String),
    #[error("the master key {0} is the active one: everything new is sealed by it; activate another one first")]
    MasterKeyActive(KeyId),
    #[error("the master key {0} still seals {1}; `wxgate master-key rewrap` has them sealed by the active one")]
    MasterKeyNeeded(KeyId, String),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("the tenant {0} has no data key {1}; `wxgate data-key list --tenant {0}` shows them")]
    NoDataKey(Slug, u32),
    #[error("the data key {0} is the newest for {1}, and is used for what is new")]
    DataKeyNewest(u32, DataKeyPurpose),
    #[error("the data key {0} is needed by {1}")]
    DataKeyNeeded(u32, String),
    #[error("the key does not allow this: it needs the scope {0}")]
    Scope(AdminScope),
    #[error("this is for operators: a tenant's key does not reach beyond its tenant")]
    OperatorsOnly,
    #[error("this Idempotency-Key came with another request before: take a new key for each creation")]
    KeyReused,
    #[error("it was changed by somebody else in the meantime: read it again, then decide")]
    Changed,
    #[error("nobody gives more than they have: the key may allow {0} at most")]
    MoreThanOwn(wxgate_domain::AdminScopes),
    #[error("an admin key allows at least one thing, and expires in the future")]
    KeyShape,
    #[error("there are a thousand admin keys already")]
    TooManyAdminKeys,
    #[error("a name has 1 to {MAX_NAME} characters and no control characters")]
    Name,
    #[error(transparent)]
    Policy(#[from] MalformedPolicy),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("no signing key could be made")]
    Key(#[from] KeyError),
    #[error("the database refused")]
    Storage(#[from] StorageError),
}

impl NotDone for AdminError {
    fn is_busy(&self) -> bool {
        matches!(self, Self::Storage(error) if error.is_busy())
    }
}

impl AdminError {
    /// Whether the caller asked for what they may not have, or for what does not exist for them.
    fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Scope(_)
                | Self::OperatorsOnly
                | Self::MoreThanOwn(_)
                | Self::NoTenant(_)
                | Self::NoApp(_)
                | Self::NoPlatform(_)
                | Self::NoServiceClient(_)
                | Self::NoWebhook(_)
                | Self::NoUser(..)
                | Self::NoSession(..)
                | Self::NoMerge(..)
                | Self::NoCandidate(..)
                | Self::NoUnionGroup(..)
                | Self::NoAdminKey(_)
        )
    }
}

impl Admin {
    /// The moves of signing keys.
    pub(crate) fn signing_keys(&self) -> SigningKeys {
        SigningKeys { storage: self.storage.clone(), clock: self.clock.clone(), caller: self.caller.clone() }
    }

    /// The tenant that a list is about; `None` is all of them.
    pub(crate) async fn within(&self, named: Option<&Slug>) -> Result<Option<TenantId>, AdminError> {
        match named {
            Some(named) => Ok(Some(self.tenant(named).await?.id)),
            None => Ok(self.caller.tenant),
        }
    }

    /// The names of tenants in addresses.
    pub(crate) async fn slugs(
        &self,
        tenants: impl Iterator<Item = TenantId> + Send,
    ) -> Result<HashMap<TenantId, Slug>, AdminError> {
        Ok(self.storage.tenants().slugs(&tenants.collect()).await?)
    }

    /// The `iss` of a tenant's tokens.
    pub(crate) fn issuer(&self, slug: &Slug) -> String {
        Issuer::new(&self.public_url, slug).to_string()
    }

    /// Whether the caller wants to change or remove what stands there now, as it is told, and not something that has
    /// changed since they saw it. Asked with the row locked.
    pub(crate) fn must_match(&self, now: &impl serde::Serialize) -> Result<(), AdminError> {
        match &self.caller.if_match {
            Some(seen) if *seen != ETag::of(now) => Err(AdminError::Changed),
            _ => Ok(()),
        }
    }
}

fn checked(name: String) -> Result<String, AdminError> {
    let fits = (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fits { Ok(name) } else { Err(AdminError::Name) }
}

fn named(by: &[AudienceUse]) -> String {
    by.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn taken(error: StorageError, meaning: AdminError) -> AdminError {
    match error {
        StorageError::NotUnique { .. } => meaning,
        error => error.into(),
    }
}
