#![doc = include_str!("../README.md")]

pub mod claims;
pub mod discovery;
pub mod issue;
pub mod issuer;
pub mod jwks;
pub mod key_ring;
pub mod signing_key;
pub mod verify;

mod algorithm;
mod public_key;
#[cfg(test)]
mod testing;

pub use claims::Claims;
pub use issue::{AccessToken, Grant, IssueError, issue};
pub use issuer::Issuer;
pub use jwks::{Jwks, TooManyKeys};
pub use key_ring::{KeyRing, VerifyingKeys};
pub use signing_key::{KeyError, SigningKey};
pub use verify::{Expected, VerifyError, verify};
