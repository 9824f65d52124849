//! Service clients: downstream services that prove who they are with a secret of their own.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wxgate_crypto::{Digest, Random, Secret, encoding};

use crate::audience::{Audience, Scope};
use crate::ids::{ServiceClientId, TenantId, WechatAppid};
use crate::network::Network;
use crate::policy::{MalformedPolicy, VERSION, every, listed, within};
use crate::time::Timestamp;

/// A downstream service of one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceClient {
    /// Its id; `client_id` and, in tokens of its own, `sub`.
    pub id: ServiceClientId,
    /// The tenant that it belongs to.
    pub tenant: TenantId,
    /// Its name for people, unique within the tenant, at most 200 characters.
    pub name: String,
    /// What it may do.
    pub policy: ServiceClientPolicy,
    /// Until when the secret before the current one still counts.
    pub previous_until: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// What a service client may do. Stored as one JSON text; unknown keys are refused, absent ones grant nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceClientPolicy {
    /// The format of this text.
    pub version: u32,
    /// The audiences that it is known by, at most 20: it may learn of tokens for them, and be a token's holder by them.
    pub audiences: Vec<Audience>,
    /// The scopes that it may ask for, at most 20.
    pub scopes: Vec<Scope>,
    /// The audiences that it may exchange a user's token to, or have a token of its own for; at most 20.
    pub exchange_to: Vec<Audience>,
    /// Whether it may introspect tokens (RFC 7662).
    pub introspect: bool,
    /// Whether it may follow what was revoked.
    pub feed: bool,
    /// The mini-programs of its tenant whose access_token it may have, by appid, at most 20.
    pub access_tokens: Vec<WechatAppid>,
    /// Where it may come from, at most 20 networks; empty means anywhere.
    pub addresses: Vec<Network>,
}

impl Default for ServiceClientPolicy {
    fn default() -> Self {
        Self {
            version: VERSION,
            audiences: Vec::new(),
            scopes: Vec::new(),
            exchange_to: Vec::new(),
            introspect: false,
            feed: false,
            access_tokens: Vec::new(),
            addresses: Vec::new(),
        }
    }
}

impl ServiceClientPolicy {
    /// Reads the stored text.
    ///
    /// # Errors
    /// Not JSON, an unknown key or version, a malformed name, or a list that is too long.
    pub fn from_json(text: &str) -> Result<Self, MalformedPolicy> {
        let policy: Self = serde_json::from_str(text).map_err(|_| MalformedPolicy::Text)?;
        policy.checked()
    }

    /// The text to store.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The policy, if every value is within its bounds.
    ///
    /// # Errors
    /// Which values are not, all of them.
    pub fn checked(self) -> Result<Self, MalformedPolicy> {
        every([
            within("version", self.version, VERSION..=VERSION),
            listed("audiences", &self.audiences),
            listed("scopes", &self.scopes),
            listed("exchange_to", &self.exchange_to),
            listed("access_tokens", &self.access_tokens),
            listed("addresses", &self.addresses),
        ])?;
        Ok(self)
    }

    /// Whether it may have the access_token of this mini-program.
    pub fn grants_token_of(&self, appid: &WechatAppid) -> bool {
        self.access_tokens.contains(appid)
    }

    /// Whether it may come from this address.
    pub fn admits(&self, address: IpAddr) -> bool {
        self.addresses.is_empty() || self.addresses.iter().any(|network| network.contains(address))
    }

    /// Every audience that it names, in whichever role.
    pub fn named_audiences(&self) -> impl Iterator<Item = &Audience> {
        self.audiences.iter().chain(&self.exchange_to)
    }

    /// Every name that must be the tenant's own: audiences, and mini-programs by their appid.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        let appids = self.access_tokens.iter().map(WechatAppid::as_str);
        self.named_audiences().map(Audience::as_str).chain(appids)
    }
}

/// A service client's secret: `wxs_` and 43 characters of base64url, 32 random bytes. It cannot be printed.
///
/// With 256 random bits a plain digest keeps it: nobody can try them all, so nothing slower is needed.
#[derive(Clone, Debug)]
pub struct ClientSecret(Secret<String>);

impl ClientSecret {
    /// What every one of them begins with, so that scanners know one. It never changes.
    pub const PREFIX: &str = "wxs_";

    /// A new secret.
    pub fn generate(random: &Random) -> Self {
        let text = format!("{}{}", Self::PREFIX, encoding::to_base64url(random.secret::<32>().expose()));
        Self(Secret::new(text))
    }

    /// The secret, to be told once.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is stored of it: SHA-256 of the text.
    pub fn digest(&self) -> Digest {
        Self::digest_of(self.expose())
    }

    /// The digest of whatever somebody claims to be a secret.
    pub fn digest_of(claimed: &str) -> Digest {
        Digest::sha256(claimed.as_bytes())
    }
}

/// How long the secret before the current one still counts after a rotation, unless asked otherwise.
pub const OVERLAP: Duration = Duration::from_hours(24);

/// The longest overlap that may be asked for.
pub const MAX_OVERLAP: Duration = Duration::from_hours(7 * 24);

/// What is stored of a client's secrets.
#[derive(Clone, Copy)]
pub struct SecretDigests {
    /// Of the secret in use.
    pub current: Digest,
    /// Of the one before it, and until when it still counts.
    pub previous: Option<(Digest, Timestamp)>,
}

impl SecretDigests {
    /// Whether a claimed secret is one of the two. Both are compared always, so that neither shows in the time it takes.
    pub fn accept(&self, claimed: &Digest, now: Timestamp) -> bool {
        let (previous, until) = self.previous.unwrap_or((self.current, now));
        let is_current = self.current == *claimed;
        let is_previous = previous == *claimed;
        is_current || (is_previous && now < until)
    }
}

impl fmt::Debug for SecretDigests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.previous.is_some() { "two secrets" } else { "one secret" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_reads_back_and_grants_nothing_by_itself() {
        let policy = ServiceClientPolicy {
            audiences: vec!["orders".parse().unwrap()],
            scopes: vec!["orders:read".parse().unwrap()],
            addresses: vec!["10.0.0.0/8".parse().unwrap()],
            introspect: true,
            ..ServiceClientPolicy::default()
        };
        assert_eq!(ServiceClientPolicy::from_json(&policy.to_json()).unwrap(), policy);
        assert_eq!(ServiceClientPolicy::from_json("{}").unwrap(), ServiceClientPolicy::default());
        assert!(policy.admits("10.1.1.1".parse().unwrap()) && !policy.admits("192.0.2.1".parse().unwrap()));
        assert!(ServiceClientPolicy::default().admits("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn unknown_keys_malformed_names_and_long_lists_are_refused() {
        let many: Vec<_> = (0..21).map(|n| format!("\"a{n}\"")).collect();
        let many = format!(r#"{{"audiences":[{}]}}"#, many.join(","));
        for wrong in [
            "",
            r#"{"admin":true}"#,
            r#"{"version":2}"#,
            r#"{"audiences":["a b"]}"#,
            r#"{"exchange_to":["https://h/t/acme"]}"#,
            r#"{"scopes":["a","a"]}"#,
            r#"{"addresses":["10.0.0.0/99"]}"#,
            &many,
        ] {
            assert!(ServiceClientPolicy::from_json(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_secret_before_counts_until_its_time_and_no_other_does() {
        let random = Random::seeded(1);
        let [current, previous, stranger] = [1, 2, 3].map(|_| ClientSecret::generate(&random));
        assert_eq!((current.expose().len(), format!("{current:?}").contains(current.expose())), (47, false));
        let until = Timestamp::from_millis(1_000);
        let digests = SecretDigests { current: current.digest(), previous: Some((previous.digest(), until)) };
        let accepted = |secret: &ClientSecret, at| digests.accept(&secret.digest(), Timestamp::from_millis(at));
        assert!(accepted(&current, 0) && accepted(&current, 5_000));
        assert!(accepted(&previous, 999) && !accepted(&previous, 1_000));
        assert!(!accepted(&stranger, 0));
        let alone = SecretDigests { previous: None, ..digests };
        assert!(!alone.accept(&previous.digest(), Timestamp::from_millis(0)));
    }
}
