//! What several use cases are made of, and the use cases over it.

use std::sync::Arc;

use tokio_util::task::TaskTracker;
use wxgate_crypto::Random;
use wxgate_domain::Clock;
use wxgate_storage::Storage;
use wxgate_wechat_client::Client;

use super::Parts;
use crate::background::Readiness;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::service::access_tokens::AccessTokens;
use crate::service::account::Accounts;
use crate::service::clients::Clients;
use crate::service::codes::Codes;
use crate::service::directory::Directory;
use crate::service::limits::Limits;
use crate::service::login::Logins;
use crate::service::merge_tokens::MergeTokens;
use crate::service::oauth::OAuth;
use crate::service::phone::{PhoneParts, Phones};
use crate::service::platforms::Platforms;
use crate::service::push::Pushes;
use crate::service::refresh::Refreshes;
use crate::service::revocations::{Revocations, Waiting};
use crate::service::revoked::Revoked;
use crate::service::tokens::Tokens;
use crate::service::user_data::UserData;
use crate::service::verified::Verified;

/// Login codes that are remembered at once.
const CODES: usize = 131_072;

/// The parts that more than one use case has.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) random: Random,
    pub(super) metrics: Arc<Metrics>,
    pub(super) limits: Arc<Limits>,
    pub(super) directory: Directory,
    pub(super) access_tokens: AccessTokens,
    pub(super) platforms: Platforms,
    storage: Storage,
    wechat: Client,
    tokens: Tokens,
    /// What outlives its request.
    tasks: TaskTracker,
}

impl Shared {
    pub(super) fn new(config: &Config, parts: Parts, wechat: Client, platforms: Platforms, tasks: TaskTracker) -> Self {
        let Parts { clock, random, metrics, storage } = parts;
        let limits = Arc::new(Limits::new(config.limits, random.clone()));
        let directory = Directory::new(storage.clone(), &config.public_url, &config.jwks_tenants);
        let tokens = Tokens { storage: storage.clone(), random: random.clone() };
        let (time, rows) = ((clock.clone(), random.clone()), (storage.clone(), directory.clone()));
        let asked = (wechat.clone(), platforms.clone());
        let access_tokens = AccessTokens::new(time, rows, asked, metrics.clone(), tasks.clone());
        Self { clock, random, metrics, limits, directory, access_tokens, platforms, storage, wechat, tokens, tasks }
    }

    pub(super) fn logins(&self) -> Arc<Logins> {
        let user_data = self.user_data();
        let phones = PhoneParts {
            wechat: self.wechat.clone(),
            access_tokens: self.access_tokens.clone(),
            user_data: user_data.clone(),
            tasks: self.tasks.clone(),
        };
        Arc::new(Logins {
            clock: self.clock.clone(),
            storage: self.storage.clone(),
            wechat: self.wechat.clone(),
            platforms: self.platforms.clone(),
            codes: Codes::new(CODES, &self.random),
            limits: self.limits.clone(),
            tokens: self.tokens.clone(),
            user_data,
            phones: Phones::new(phones, self.clock.clone(), self.storage.clone(), &self.random),
            metrics: self.metrics.clone(),
            tasks: self.tasks.clone(),
        })
    }

    pub(super) fn refreshes(&self) -> Refreshes {
        Refreshes {
            clock: self.clock.clone(),
            storage: self.storage.clone(),
            directory: self.directory.clone(),
            tokens: self.tokens.clone(),
            metrics: self.metrics.clone(),
        }
    }

    pub(super) fn accounts(&self, logins: &Arc<Logins>, revoked: &Revoked) -> Accounts {
        Accounts {
            storage: self.storage.clone(),
            directory: self.directory.clone(),
            logins: logins.clone(),
            merge_tokens: MergeTokens { storage: self.storage.clone() },
            access_tokens: self.access_tokens.clone(),
            revoked: revoked.clone(),
        }
    }

    pub(super) fn clients(&self) -> Clients {
        let time = (self.clock.clone(), &self.random);
        Clients::new(self.directory.clone(), self.limits.clone(), self.metrics.clone(), time)
    }

    pub(super) fn oauth(&self, refreshes: &Refreshes, verified: &Verified, revoked: &Revoked) -> OAuth {
        OAuth {
            clock: self.clock.clone(),
            random: self.random.clone(),
            storage: self.storage.clone(),
            refreshes: refreshes.clone(),
            verified: verified.clone(),
            revoked: revoked.clone(),
        }
    }

    pub(super) fn pushes(&self) -> Pushes {
        Pushes::new(self.clock.clone(), self.storage.clone(), self.metrics.clone(), self.tasks.clone())
    }

    pub(super) fn revocations(&self, revoked: Revoked, readiness: &Readiness) -> Revocations {
        Revocations {
            clock: self.clock.clone(),
            random: self.random.clone(),
            storage: self.storage.clone(),
            directory: self.directory.clone(),
            revoked,
            stopping: readiness.stopping(),
            waiting: Waiting::default(),
        }
    }

    fn user_data(&self) -> UserData {
        UserData { clock: self.clock.clone(), storage: self.storage.clone(), metrics: self.metrics.clone() }
    }
}
