#![doc = include_str!("../README.md")]

pub mod api_security;
pub mod digest;
pub mod encoding;
pub mod master;
pub mod opaque;
pub mod push;
pub mod random;
pub mod seal;
pub mod secret;
pub mod strict_json;
pub mod strict_xml;
pub mod user_data;
pub mod webhook;

pub use digest::{Digest, MacKey};
pub use master::{MasterKey, MasterKeyError, MasterKeyRing};
pub use random::Random;
pub use seal::{KeyId, MalformedKeyId, Place, SealError, SealKey, Sealed};
pub use secret::Secret;
pub use webhook::WebhookSecret;
