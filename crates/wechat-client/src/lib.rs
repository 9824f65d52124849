#![doc = include_str!("../README.md")]

mod base_url;
mod breaker;
mod client;
mod code2session;
mod connections;
mod errcode;
mod error;
mod lanes;
mod secret_check;

pub use base_url::BaseUrl;
pub use client::{Client, ClientConfig, Exchanged, SecretSlot};
pub use errcode::RejectedClass;
pub use error::{BadResponse, ConfigError, ExchangeError, Rejected, Rid};
pub use secret_check::SecretCheck;
