//! The verifier: from a token's text to what it says, or to why not.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache;
use reqwest::Url;
use wxgate_token::claims::MAX_LENGTH;
use wxgate_token::crypto::Digest;
use wxgate_token::domain::{Clock, Timestamp, UserId, WechatAppid};
use wxgate_token::verify::{LEEWAY, within_its_time};
use wxgate_token::{Claims, Issuer, VerifyError, verify_for_any};

use crate::builder::{BuildError, Builder, Following};
use crate::error::{Error, Unavailable};
use crate::http;
use crate::jwks_cache::{JwksCache, KeySet};
use crate::revocations::Revocations;

/// How soon [`Verifier::ready`] asks for the keys again.
const RETRY: Duration = Duration::from_secs(1);

/// Verifies the access tokens of one issuer for one service. Clones share everything.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    issuer: Issuer,
    audiences: Vec<String>,
    scopes: Vec<String>,
    clock: Clock,
    keys: Arc<JwksCache>,
    /// By the SHA-256 of the token: whoever reads the memory of the cache's index finds no token.
    verified: Cache<[u8; 32], Arc<Known>>,
    revocations: Option<Revocations>,
}

/// What the builder has checked.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) https_only: bool,
    pub(crate) issuer: Issuer,
    pub(crate) audiences: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) keys: Url,
    pub(crate) revocations: Url,
    pub(crate) cached_tokens: u64,
    pub(crate) clock: Clock,
}

/// A verified token with what every later look at it needs, parsed once.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) claims: Arc<Claims>,
    pub(crate) user: Option<UserId>,
    pub(crate) app: Option<WechatAppid>,
    /// That of the keys it was verified with.
    epoch: u64,
    /// What is left of its life.
    left: Duration,
}

impl Verifier {
    /// A verifier of this issuer's tokens for this audience. `issuer` is `{public_url}/t/{tenant}`, the audience of a
    /// mini-program's backend is the appid.
    pub fn builder(issuer: &str, audience: &str) -> Builder {
        Builder::new(issuer, audience)
    }

    pub(crate) fn start(settings: Settings, feed: Option<Following>) -> Result<Self, BuildError> {
        let Settings { https_only, issuer, audiences, scopes, keys, revocations, cached_tokens, clock } = settings;
        let keys = Arc::new(JwksCache::new(http::client(https_only, 0)?, keys, clock.clone()));
        let follow = |feed| {
            let http = http::client(https_only, 1)?;
            Revocations::follow(http, revocations, issuer.clone(), feed, Arc::clone(&keys), clock.clone())
        };
        let revocations = feed.map(follow).transpose()?;
        let verified = Cache::builder().max_capacity(cached_tokens).expire_after(UntilItsEnd).build();
        Ok(Self(Arc::new(Inner { issuer, audiences, scopes, clock, keys, verified, revocations })))
    }

    /// Waits until the keys and, where the feed is followed, its snapshot are at hand. Call it before you serve; give it a
    /// timeout of your own. Without it the first requests wait for the keys, and are refused as long as there is no
    /// snapshot.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with what waiting does not mend: no such tenant, a refused service client, or more
    /// revocations than fit. Whatever else fails is tried again.
    pub async fn ready(&self) -> Result<(), Error> {
        loop {
            match self.0.keys.current().await {
                Ok(_) => break,
                Err(Unavailable::Tenant) => return Err(Unavailable::Tenant.into()),
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
        match &self.0.revocations {
            Some(revocations) => Ok(revocations.loaded().await?),
            None => Ok(()),
        }
    }

    /// Verifies a token: signature, issuer, audience, time, revocation, scope.
    ///
    /// A token that was seen before costs about a hash; a new one about one signature check. Nothing is asked of the
    /// gateway but the keys, every few minutes.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Revoked`], [`Error::Scope`]; [`Error::Unavailable`] if nobody can say.
    pub async fn verify(&self, token: &str) -> Result<Arc<Claims>, Error> {
        if token.len() > MAX_LENGTH {
            return Err(VerifyError::Malformed.into());
        }
        let inner = &*self.0;
        let keys = inner.keys.current().await?;
        let digest = *Digest::sha256(token.as_bytes()).as_bytes();
        let seen = inner.verified.get(&digest).filter(|known| known.epoch == keys.epoch);
        let known = match seen {
            Some(known) => known,
            None => inner.verify_anew(token, digest, keys).await?,
        };
        inner.admit(&known)?;
        Ok(Arc::clone(&known.claims))
    }
}

impl fmt::Debug for Verifier {
    /// The issuer alone: what is kept speaks of people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({})", self.0.issuer)
    }
}

impl Inner {
    async fn verify_anew(&self, token: &str, digest: [u8; 32], keys: Arc<KeySet>) -> Result<Arc<Known>, Error> {
        let (claims, epoch) = match self.check(token, &keys) {
            Err(VerifyError::UnknownKey) => {
                let newer = self.keys.other_than(&keys).await?.ok_or(VerifyError::UnknownKey)?;
                (self.check(token, &newer)?, newer.epoch)
            }
            checked => (checked?, keys.epoch),
        };
        let left = claims.expires_at().plus(LEEWAY).since(self.clock.now());
        let (user, app) = (claims.user(), claims.app());
        let known = Arc::new(Known { claims: Arc::new(claims), user, app, epoch, left });
        self.verified.insert(digest, Arc::clone(&known));
        Ok(known)
    }

    fn check(&self, token: &str, keys: &KeySet) -> Result<Claims, VerifyError> {
        verify_for_any(token, keys, &self.issuer, &self.audiences, &self.clock)
    }

    /// What can change between two looks at one token, and what its claims have to allow.
    fn admit(&self, known: &Known) -> Result<(), Error> {
        let now: Timestamp = self.clock.now();
        within_its_time(&known.claims, now)?;
        if let Some(revocations) = &self.revocations {
            revocations.check(known, now)?;
        }
        match self.scopes.iter().find(|scope| !known.claims.allows(scope)) {
            Some(lacking) => Err(Error::Scope(lacking.clone())),
            None => Ok(()),
        }
    }
}

/// A token is kept until nobody accepts it any more: its place is then worth more to another.
struct UntilItsEnd;

impl Expiry<[u8; 32], Arc<Known>> for UntilItsEnd {
    fn expire_after_create(&self, _: &[u8; 32], known: &Arc<Known>, _: Instant) -> Option<Duration> {
        Some(known.left)
    }
}
