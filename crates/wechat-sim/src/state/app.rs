//! A mini-program as WeChat's console has it.

use serde::Deserialize;

use super::Refusal;
use crate::api_security::AppKeys;

pub(crate) struct App {
    pub(crate) secret: String,
    pub(super) union_group: Option<String>,
    pub(crate) condition: Condition,
    /// Its keys, if its calls must be signed and encrypted.
    pub(crate) api_security: Option<AppKeys>,
}

/// What is the matter with an app's account.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    /// Its AppSecret was frozen in the console: 40243.
    #[serde(default)]
    pub(crate) secret_frozen: bool,
    /// It may not use the interfaces that take a token: 48001.
    #[serde(default)]
    pub(crate) unauthorized: bool,
}

impl App {
    /// Whether this is its secret. WeChat looks whether it is frozen before it looks whether it is right.
    pub(crate) fn prove(&self, secret: &str) -> Result<(), Refusal> {
        match (self.condition.secret_frozen, self.secret == secret) {
            (true, _) => Err(Refusal::new(40243)),
            (false, false) => Err(Refusal::new(40125)),
            (false, true) => Ok(()),
        }
    }
}
