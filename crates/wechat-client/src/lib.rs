#![doc = include_str!("../README.md")]

mod access_token;
mod answer;
mod base_url;
mod breaker;
mod call;
mod client;
mod clock;
mod code2session;
mod component;
mod connections;
mod encrypted_data;
mod errcode;
mod error;
mod lanes;
mod phone;
mod pushed;
mod refusal;
mod secret_check;
mod session_check;
mod transport;

pub use access_token::{AccessToken, IssuedToken, TokenMode};
pub use base_url::BaseUrl;
pub use call::{Access, Security};
pub use client::{Client, ClientConfig, Exchanged, SecretSlot};
pub use clock::WechatClock;
pub use component::{Authorization, Component, ComponentLoginError, LastingToken, PreAuthCode, RefreshToken};
pub use errcode::RejectedClass;
pub use error::{BadResponse, ConfigError, ExchangeError, Rejected, Rid};
pub use phone::{PhoneCode, phone_in_data};
pub use pushed::{PlatformEvent, PushedEvent, PushedMessage};
pub use refusal::{CallError, Refused, RefusedClass};
pub use secret_check::SecretCheck;
