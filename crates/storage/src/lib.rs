#![doc = include_str!("../README.md")]

pub mod audit;
mod backup;
mod bind_phone;
pub mod changes;
pub mod condition;
pub mod connect;
pub mod error;
pub mod scope;
pub mod storage;
pub mod tx;

mod empty_log;
mod end_sessions;
mod entity;
mod erase;
mod erasure_journal;
mod group_commit;
mod import_users;
mod job;
mod keys;
mod listeners;
mod merge_users;
mod migrate;
mod open_session;
mod packed;
mod refresh_session;
mod repo;
mod sessions;
mod sql;
mod start_check;
mod sweep;
mod union_report;

pub use audit::{
    AuditChain, AuditEntry, AuditFilter, AuditFlaw, AuditLog, AuditVerdict, Checkpoint, Flaw, MalformedCheckpoint,
    NewAuditEntry, TxAudit,
};
pub use backup::{Backup, BackupError};
pub use bind_phone::{Binding, NewPhone, TxPhones};
pub use changes::{Change, ChangeKind};
pub use condition::{DatabaseCondition, InstanceCondition};
pub use connect::{DatabaseUrl, Engine, MalformedUrl};
pub use erase::Erased;
pub use erasure_journal::{ErasureJournal, Replayed};
pub use error::{StartError, StorageError};
pub use import_users::{Import, Imported, NewUser, NotImported};
pub use job::{Outcome, Worker};
pub use keys::RefreshKeys;
pub use merge_users::{NewMerge, NotMerged, NotUnmerged, Side, Unmerged};
pub use open_session::OpenSessionError;
pub use refresh_session::{NotRefreshed, RefreshRequest, RefreshSessionError};
pub use repo::access_tokens::{Report, SharedToken, TenantAccessTokens, TokenLease};
pub use repo::admin_keys::{AdminKeys, NewAdminKey, TxAdminKeys};
pub use repo::apps::{AllApps, AppChange, NewApp, StoredApp, TenantApps};
pub use repo::audiences::{AllAudiences, AudienceUse, OwnedAudience, TenantAudiences};
pub use repo::data_keys::{StoredDataKey, TenantDataKeys, TxDataKeys};
pub use repo::deliveries::{Deliveries, Pace, Turn, Waiting};
pub use repo::events::TxEvents;
pub use repo::forward_auth_policies::{
    AllForwardAuthPolicies, NewForwardAuthPolicy, StoredForwardAuthPolicy, TenantForwardAuthPolicies,
};
pub use repo::idempotency::{Created, Creation, Creations};
pub use repo::identities::{KnownIdentity, TenantUsers};
pub use repo::jobs::{Jobs, TxJobs};
pub use repo::master_keys::{MasterKeyUse, MasterKeys, StoredMasterKey, TxMasterKeys};
pub use repo::merge_candidates::{MergeCandidate, TenantMergeCandidates, TxMergeCandidates};
pub use repo::merge_tokens::TxMergeTokens;
pub use repo::merges::{Merge, TenantMerges};
pub use repo::nodes::{Node, Nodes};
pub use repo::phone_budgets::{PhoneCall, PhoneDay, TxPhoneBudgets};
pub use repo::phone_codes::{PhoneCodeClaim, PhoneCodeResult, PhoneCodeTicket, SentPhoneCode, TxPhoneCodes};
pub use repo::phones::TenantPhones;
pub use repo::platforms::{
    AllPlatforms, AuthorizationRequest, BroughtBy, Grant, LeasedToken, NewAuthorization, NewAuthorizationRequest,
    NewPlatform, NextToken, PendingCode, StoredToken, TenantPlatforms,
};
pub use repo::push_marks::{Arrival, Arrived, Receiver, TxPushMarks};
pub use repo::push_renewal::{PushRenewal, Renewal};
pub use repo::push_settings::{AllPushSettings, PushChange, TenantPushSettings, TxPushSettings};
pub use repo::receipts::{DeliveryCounts, TenantReceipts, TxReceipts};
pub use repo::revocations::{FeedError, NewRevocation, RevocationRows, TenantRevocations, TxRevocations};
pub use repo::service_clients::{AllServiceClients, TenantServiceClients};
pub use repo::sessions::{ActingSession, LiveSession};
pub use repo::signing_keys::{AllSigningKeys, Rings, TenantRing, TxSigningKeys};
pub use repo::tenants::{NewTenant, Tenants};
pub use repo::union_groups::{AllUnionGroups, GroupMembers, TenantUnionGroups, UnionGroup};
pub use repo::webhooks::{AllWebhooks, NewWebhook, TxWebhooks};
pub use repo::wechat_calls::{AllWechatCalls, NewWechatCalls, TenantWechatCalls, WechatCalls};
pub use scope::TenantScope;
pub use storage::{BatchObserver, BatchOutcome, BatchReport, InstanceKind, Storage, StorageConfig};
pub use tx::Tx;
pub use union_report::UnionReport;
pub use wxgate_migrations::Status as MigrationStatus;
