//! What a service says about itself before it verifies anything.

use std::time::Duration;

use reqwest::Url;
use wxgate_token::Issuer;
use wxgate_token::crypto::{Random, Secret};
use wxgate_token::domain::{Clock, ServiceClientId};

use crate::error::is_scope;
use crate::http;
use crate::verifier::{Settings, Verifier};

/// Verified tokens that are kept unless the service says otherwise; about a kilobyte each.
const CACHED_TOKENS: u64 = 10_000;

/// Builds a [`Verifier`].
#[derive(Debug)]
#[must_use]
pub struct Builder {
    issuer: String,
    audiences: Vec<String>,
    scopes: Vec<String>,
    gateway: Option<String>,
    plain_http: bool,
    cached_tokens: u64,
    clock: Clock,
    feed: Option<Feed>,
}

impl Builder {
    pub(crate) fn new(issuer: &str, audience: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            audiences: vec![audience.to_owned()],
            scopes: Vec::new(),
            gateway: None,
            plain_http: false,
            cached_tokens: CACHED_TOKENS,
            clock: Clock::System,
            feed: None,
        }
    }

    /// Accepts tokens for this audience too, for a service of several mini-programs.
    pub fn or_audience(mut self, audience: &str) -> Self {
        self.audiences.push(audience.to_owned());
        self
    }

    /// Asks every token for this scope. What single routes need they ask for themselves, see
    /// [`Verified::require`](crate::Verified::require).
    pub fn require_scope(mut self, scope: &str) -> Self {
        self.scopes.push(scope.to_owned());
        self
    }

    /// Follows the revocation feed, so that a session that ended is refused within a second and not only when its token
    /// ends. Needs a Tokio runtime at [`Builder::build`].
    pub fn follow(mut self, feed: Feed) -> Self {
        self.feed = Some(feed);
        self
    }

    /// Where this service reaches the gateway, if not under the public address in the issuer: `http://wxgate:8080`. What
    /// tokens must say does not change.
    pub fn gateway(mut self, url: &str) -> Self {
        self.gateway = Some(url.to_owned());
        self
    }

    /// Allows to read keys and revocations without encryption from another machine. Only for a network where nobody else
    /// can answer in the gateway's place: whoever can, chooses the keys.
    pub fn allow_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// How many verified tokens are kept (10,000 unless set), about a kilobyte each; 0 verifies each one anew.
    pub fn cached_tokens(mut self, tokens: u64) -> Self {
        self.cached_tokens = tokens;
        self
    }

    /// The clock, for tests.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The verifier. Nothing is read yet: see [`Verifier::ready`].
    ///
    /// # Errors
    /// What the service said of itself cannot work; [`BuildError`] says what.
    pub fn build(self) -> Result<Verifier, BuildError> {
        let issuer: Issuer = self.issuer.parse().map_err(|_| BuildError::Issuer)?;
        if self.audiences.iter().any(String::is_empty) {
            return Err(BuildError::Audience);
        }
        if !self.scopes.iter().all(|scope| is_scope(scope)) {
            return Err(BuildError::Scope);
        }
        let reached = match &self.gateway {
            Some(url) => Issuer::new(url, issuer.tenant()),
            None => issuer.clone(),
        };
        let keys: Url = reached.jwks_uri().parse().map_err(|_| BuildError::Address)?;
        let revocations: Url = reached.revocations_uri().parse().map_err(|_| BuildError::Address)?;
        if !keys.has_host() || !matches!(keys.scheme(), "http" | "https") {
            return Err(BuildError::Address);
        }
        if !self.plain_http && !http::is_private_to_us(&keys) {
            return Err(BuildError::Insecure);
        }
        let settings = Settings {
            https_only: keys.scheme() == "https",
            issuer,
            audiences: self.audiences,
            scopes: self.scopes,
            keys,
            revocations,
            cached_tokens: self.cached_tokens,
            clock: self.clock,
        };
        Verifier::start(settings, self.feed.map(Feed::checked).transpose()?)
    }
}

/// How to follow the revocation feed: as which service client, and how old its news may be.
#[derive(Clone, Debug)]
#[must_use]
pub struct Feed {
    client: String,
    secret: Secret<String>,
    max_staleness: Duration,
    capacity: usize,
}

impl Feed {
    /// As this service client, which needs the grant `feed`.
    pub fn new(client_id: &str, secret: &str) -> Self {
        Self {
            client: client_id.to_owned(),
            secret: Secret::new(secret.to_owned()),
            max_staleness: Duration::from_mins(1),
            capacity: 500_000,
        }
    }

    /// How old the last news may be (a minute unless set, at least three seconds). When they are older, because the
    /// gateway cannot be reached for example, every token is refused with
    /// [`FeedStale`](crate::Unavailable::FeedStale): it might be of somebody who was blocked since. Set it as long as you
    /// would rather let such a one in than nobody.
    pub fn max_staleness(mut self, max_staleness: Duration) -> Self {
        self.max_staleness = max_staleness;
        self
    }

    /// How many revocations are held at once (500,000 unless set, some 50 bytes each). Beyond that every token is refused
    /// with [`FeedFull`](crate::Unavailable::FeedFull).
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    fn checked(self) -> Result<Following, BuildError> {
        let client = self.client.parse().map_err(|_| BuildError::Client)?;
        if self.max_staleness < Duration::from_secs(3) {
            return Err(BuildError::Staleness);
        }
        let random = Random::system().map_err(|_| BuildError::Random)?;
        let Self { secret, max_staleness, capacity, .. } = self;
        Ok(Following { client, secret, max_staleness, capacity, random })
    }
}

/// A [`Feed`] whose parts are right.
#[derive(Debug)]
pub(crate) struct Following {
    pub(crate) client: ServiceClientId,
    pub(crate) secret: Secret<String>,
    pub(crate) max_staleness: Duration,
    pub(crate) capacity: usize,
    pub(crate) random: Random,
}

/// Why there is no verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The issuer is none of wxgate's.
    #[error("the issuer must be {{public_url}}/t/{{tenant}}, exactly as tokens say it")]
    Issuer,
    /// An empty audience.
    #[error("an audience must not be empty")]
    Audience,
    /// A scope that no token can have.
    #[error("a scope is visible ASCII without quotes, backslashes and spaces")]
    Scope,
    /// The gateway's address is none.
    #[error("the gateway's address must be an http or https URL")]
    Address,
    /// The keys would come over an unencrypted line from another machine.
    #[error("keys and revocations are read over https, or from this machine; see allow_plain_http")]
    Insecure,
    /// The id is no service client's.
    #[error("the client id must be that of a service client, svc_...")]
    Client,
    /// News would be stale before they arrive.
    #[error("max_staleness must be three seconds or more")]
    Staleness,
    /// A feed can only be followed inside a Tokio runtime.
    #[error("to follow the revocation feed, build inside a Tokio runtime")]
    NoRuntime,
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness")]
    Random,
    /// TLS cannot be set up, for want of root certificates for example.
    #[error("TLS cannot be set up")]
    Tls,
}
