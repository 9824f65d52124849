#![doc = include_str!("../README.md")]

pub mod admin_key;
pub mod api_security;
pub mod app;
pub mod audience;
pub mod client_profile;
pub mod data_key;
pub mod delivery;
pub mod event;
pub mod forward_auth;
pub mod identity;
pub mod ids;
pub mod job;
pub mod key_rotation;
pub mod merge;
pub mod network;
pub mod phone;
pub mod platform;
pub mod policy;
pub mod push;
pub mod refresh;
pub mod revocation;
pub mod rotation;
pub mod service_client;
pub mod session;
pub mod signing_key;
pub mod tenant;
pub mod time;
pub mod user;
pub mod webhook;

pub use admin_key::{AdminKey, AdminKeySecret, AdminScope, AdminScopes};
pub use api_security::{ApiSecuritySet, ApiSecurityState, ApiSecurityStatus, KeySerial, KnownKey};
pub use app::{
    App, AppSecret, AppSecrets, AppStatus, ComponentStatus, Credential, CredentialStatus, SecretFingerprint,
    SecretState, SecretStatus,
};
pub use audience::{Audience, Scope};
pub use client_profile::ClientProfile;
pub use data_key::DataKeyPurpose;
pub use delivery::{Attempt, AttemptError, Course, Delivery, DeliveryState, Meaning};
pub use event::{EraseCause, Event, EventKind, EventKinds};
pub use forward_auth::{ForwardAuthPolicy, PolicyName};
pub use identity::WechatIdentity;
pub use ids::{
    AdminKeyId, AppId, EventId, ExternalId, JobId, LoginCode, MergeCandidateId, MergeId, NodeId, OpenId, PlatformId,
    SessionId, Slug, TenantId, UnionGroupId, UnionId, UserId, WebhookId, WechatAppid,
};
pub use ids::{MalformedId, ServiceClientId};
pub use job::{Job, JobState, Task};
pub use key_rotation::{KeyMoveError, KeyStep, RingKey};
pub use merge::{CandidateCause, CandidateState, MergeCause, MergeGrant, MergePolicy, MergeToken};
pub use network::Network;
pub use phone::{E164, MalformedPhone, Phone, PhoneNumber};
pub use platform::{Platform, PlatformApp, PlatformAppState};
pub use policy::{AppPolicy, MalformedPolicy, TenantPolicy, TokenSource};
pub use push::{PushMode, PushSettings, PushStatus, UnknownPushMode, WeakPushToken, Withdrawn, strong_push_token};
pub use refresh::RefreshToken;
pub use revocation::{Revocation, RevocationEffect, RevokedSet, RevokedSetFull, RevokedSubject};
pub use rotation::{Decision, EndReason, Presented, Presenter, Refusal, SessionState, Standing};
pub use service_client::{ClientSecret, SecretDigests, ServiceClient, ServiceClientPolicy};
pub use session::{NewSession, OpenedSession, RefreshedSession};
pub use signing_key::{Kid, SigningAlgorithm, SigningKeyState, StoredSigningKey};
pub use tenant::{Tenant, TenantStatus};
pub use time::{BeijingDay, Clock, Timestamp};
pub use user::{Profile, ProfileParts, User, UserStatus};
pub use webhook::{Webhook, WebhookStatus, WebhookUrl};
