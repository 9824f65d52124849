#![doc = include_str!("../README.md")]

mod access_token;
mod base_url;
mod breaker;
mod client;
mod code2session;
mod connections;
mod errcode;
mod error;
mod lanes;
mod operator;

pub use access_token::AccessToken;
pub use base_url::BaseUrl;
pub use client::{Client, ClientConfig, Exchanged, SecretSlot};
pub use errcode::RejectedClass;
pub use error::{BadResponse, ConfigError, ExchangeError, Rejected, Rid};
pub use operator::WechatClock;
