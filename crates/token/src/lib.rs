#![doc = include_str!("../README.md")]

pub mod actor;
pub mod claims;
pub mod discovery;
pub mod issue;
pub mod issuer;
pub mod jwks;
pub mod key_ring;
pub mod security_event;
pub mod signing_key;
pub mod verify;

mod algorithm;
mod jws;
mod public_key;
#[cfg(test)]
mod testing;

pub use actor::Actor;
pub use claims::Claims;
pub use issue::{AccessToken, Grant, IssueError, Subject, issue};
pub use issuer::{Issuer, MalformedIssuer};
pub use jwks::{Jwks, TooManyKeys};
pub use key_ring::{KeyRing, VerifyingKeys};
pub use security_event::{RevocationPage, VerifiedPage};
pub use signing_key::{KeyError, SigningKey};
pub use verify::{Expected, VerifyError, claimed_issuer, verify, verify_for_any, within_its_time};

// For whoever builds on this crate alone: its signatures speak of these.
pub use {wxgate_crypto as crypto, wxgate_domain as domain};
