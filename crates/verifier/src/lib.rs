#![doc = include_str!("../README.md")]

pub mod builder;
pub mod error;
pub mod verified;
pub mod verifier;

#[cfg(feature = "actix")]
mod actix;
#[cfg(feature = "axum")]
pub mod axum;

#[cfg(any(feature = "actix", feature = "axum"))]
mod bearer;
mod http;
mod jwks_cache;
mod revocations;

#[cfg(feature = "axum")]
pub use axum::VerifyLayer;
pub use builder::{BuildError, Builder, Feed};
pub use error::{Error, Unavailable};
pub use verified::Verified;
pub use verifier::Verifier;
// What the claims are made of, so that a service needs no other crate of ours.
pub use wxgate_token::domain::{
    Clock, Kid, OpenId, ServiceClientId, SessionId, Slug, Timestamp, UnionId, UserId, WechatAppid,
};
pub use wxgate_token::{Actor, Claims, VerifyError};
