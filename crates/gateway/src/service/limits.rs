//! Token buckets: of client addresses, then of apps, then of openids. They can be large, never off.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{NotUntil, Quota, RateLimiter};
use moka::sync::Cache;
use wxgate_crypto::Random;
use wxgate_domain::{App, AppId, OpenId, ServiceClientId, TenantId};

use super::login::LoginError;
use crate::config;

/// Apps, and addresses with rejected codes, that are remembered at once; the least recently used go first.
const REMEMBERED: u64 = 100_000;

/// Different limits of apps that are in use at once.
const POLICIES: u64 = 1_000;

/// Rejected codes of an address, less its successes, at which it is suspect.
const SUSPECT_AT: i32 = 5;

/// Exchanges of an address that are not decided yet, at which it is suspect; one more for each success that it is
/// credited with.
const UNDECIDED_AT: i32 = 8;

/// Most successes that an address is credited with. Carriers put many users behind one address, whose logins may well be
/// in flight together; but nobody buys the right to a flood with some real logins.
const CREDIT: i32 = 64;

/// Exchanges under way at which an address is taken for many users', and its successes are credited.
const CROWD: i32 = 4;

/// Failures to authenticate as one service client in a minute, before they are answered with 429. Secrets have 256 bits:
/// nobody guesses one, but nobody needs to fill the log either.
const CLIENT_FAILURES: u32 = 10;

/// Admin keys of an address in a minute that are not ours, before they are answered with 429.
const ADMIN_KEY_FAILURES: u32 = 10;

/// Access_tokens that a service client asks for in a second, and at once. A service that keeps what it gets asks rarely.
const BROKERED: (u32, u32) = (10, 100);

/// Questions to WeChat about one user in a minute, beside logins: each counts against the app's quota.
const QUESTIONS: u32 = 10;

/// How long a rejected code is held against an address.
const SUSPICION: Duration = Duration::from_mins(5);

/// One token bucket. Its clock is the system's: governor's own asks the processor for its features at each bucket, which
/// costs a virtual machine more than all the rest of a login.
type Bucket = RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<Instant>>;

/// A bucket for each key.
type Buckets<K> = RateLimiter<K, DashMapStateStore<K>, MonotonicClock, NoOpMiddleware<Instant>>;

/// An address, as one app knows it.
type Caller = (AppId, IpAddr);

/// Seconds until it makes sense to come back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait(pub(crate) u32);

impl Wait {
    /// A wait in whole seconds, at least one.
    pub(crate) fn of(left: Duration) -> Self {
        Self(u32::try_from(left.as_millis().div_ceil(1_000).max(1)).unwrap_or(u32::MAX))
    }
}

/// All buckets of this process.
#[derive(Debug)]
pub(crate) struct Limits {
    random: Random,
    suspect_percent: u32,
    addresses: Buckets<IpAddr>,
    apps: Cache<(AppId, Quotas), Arc<AppBuckets>>,
    /// By what the apps' policies allow in a minute.
    openids: Cache<u32, Arc<Buckets<(AppId, OpenId)>>>,
    client_failures: Buckets<(TenantId, ServiceClientId)>,
    admin_key_failures: Buckets<IpAddr>,
    brokered: Buckets<(TenantId, ServiceClientId)>,
    questions: Buckets<(AppId, OpenId)>,
    /// Rejected codes, less successes; below zero is credit.
    standing: Cache<Caller, Arc<AtomicI32>>,
    undecided: Mutex<HashMap<Caller, i32>>,
}

/// An app's limits; a changed policy is another key, so it takes effect at once.
type Quotas = (u32, u32);

#[derive(Debug)]
struct AppBuckets {
    all: Bucket,
    /// The slice that suspect addresses share.
    suspects: Bucket,
}

impl Limits {
    /// Buckets of the configured sizes.
    pub(crate) fn new(limits: config::Limits, random: Random) -> Self {
        Self {
            random,
            suspect_percent: limits.suspect_percent,
            addresses: buckets(quota(limits.address_per_second, limits.address_burst)),
            apps: Cache::builder().max_capacity(REMEMBERED).time_to_idle(Duration::from_mins(10)).build(),
            openids: Cache::builder().max_capacity(POLICIES).build(),
            client_failures: buckets(Quota::per_minute(positive(CLIENT_FAILURES))),
            admin_key_failures: buckets(Quota::per_minute(positive(ADMIN_KEY_FAILURES))),
            brokered: buckets(quota(BROKERED.0, BROKERED.1)),
            questions: buckets(Quota::per_minute(positive(QUESTIONS))),
            standing: Cache::builder().max_capacity(REMEMBERED).time_to_idle(SUSPICION).build(),
            undecided: Mutex::default(),
        }
    }

    /// Counts a request of an address.
    pub(crate) fn address(&self, address: IpAddr) -> Result<(), Wait> {
        self.addresses.check_key(&address).map_err(|until| self.wait(&until))
    }

    /// Counts an exchange of an app. Addresses whose codes were rejected lately share a small slice of the app's bucket,
    /// so that junk leaves real logins alone.
    pub(crate) fn app(self: &Arc<Self>, app: &App, address: IpAddr) -> Result<Counted, Wait> {
        let (per_second, burst) = (app.policy.requests_per_second, app.policy.request_burst);
        let slice = |all: u32| (all.saturating_mul(self.suspect_percent) / 100).max(1);
        let buckets = self.apps.get_with((app.id, (per_second, burst)), || {
            Arc::new(AppBuckets {
                all: bucket(quota(per_second, burst)),
                suspects: bucket(quota(slice(per_second), slice(burst))),
            })
        });
        let caller = (app.id, address);
        if self.is_suspect(caller) {
            buckets.suspects.check().map_err(|until| self.wait(&until))?;
        }
        buckets.all.check().map_err(|until| self.wait(&until))?;
        *self.undecided().entry(caller).or_default() += 1;
        Ok(Counted { limits: self.clone(), caller })
    }

    /// Counts a session of an openid.
    pub(crate) fn openid(&self, app: &App, openid: &OpenId) -> Result<(), Wait> {
        let per_minute = app.policy.logins_per_minute;
        let buckets = self.openids.get_with(per_minute, || Arc::new(buckets(Quota::per_minute(positive(per_minute)))));
        buckets.check_key(&(app.id, openid.clone())).map_err(|until| self.wait(&until))
    }

    /// Counts a failure to authenticate as a service client.
    pub(crate) fn client_failure(&self, tenant: TenantId, client: ServiceClientId) -> Result<(), Wait> {
        self.client_failures.check_key(&(tenant, client)).map_err(|until| self.wait(&until))
    }

    /// Counts an access_token that a service client asks for.
    pub(crate) fn brokered(&self, tenant: TenantId, client: ServiceClientId) -> Result<(), Wait> {
        self.brokered.check_key(&(tenant, client)).map_err(|until| self.wait(&until))
    }

    /// Counts a question to WeChat about a user.
    pub(crate) fn question(&self, app: &App, openid: &OpenId) -> Result<(), Wait> {
        self.questions.check_key(&(app.id, openid.clone())).map_err(|until| self.wait(&until))
    }

    /// Counts an admin key of an address that is none.
    pub(crate) fn admin_key_failure(&self, address: IpAddr) -> Result<(), Wait> {
        self.admin_key_failures.check_key(&address).map_err(|until| self.wait(&until))
    }

    /// Forgets buckets that are full again, which are most of them after a few seconds. So what is remembered is
    /// bounded by what can be served between two calls.
    pub(crate) fn forget_full_buckets(&self) {
        self.addresses.retain_recent();
        self.addresses.shrink_to_fit();
        self.client_failures.retain_recent();
        self.client_failures.shrink_to_fit();
        self.admin_key_failures.retain_recent();
        self.admin_key_failures.shrink_to_fit();
        self.brokered.retain_recent();
        self.brokered.shrink_to_fit();
        self.questions.retain_recent();
        self.questions.shrink_to_fit();
        for (_, openids) in &self.openids {
            openids.retain_recent();
            openids.shrink_to_fit();
        }
    }

    fn is_suspect(&self, caller: Caller) -> bool {
        let standing = self.standing.get(&caller).map_or(0, |standing| standing.load(Ordering::Relaxed));
        standing >= SUSPECT_AT || self.under_way(caller) >= UNDECIDED_AT + (-standing).max(0)
    }

    fn under_way(&self, caller: Caller) -> i32 {
        self.undecided().get(&caller).copied().unwrap_or(0)
    }

    fn decided(&self, caller: Caller) {
        let mut undecided = self.undecided();
        if let Some(count) = undecided.get_mut(&caller) {
            *count -= 1;
            if *count == 0 {
                undecided.remove(&caller);
            }
        }
    }

    fn undecided(&self) -> MutexGuard<'_, HashMap<Caller, i32>> {
        // The map is valid between any two instructions that could panic.
        self.undecided.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, until: &NotUntil<Instant>) -> Wait {
        let wait = until.wait_time_from(MonotonicClock.now()).as_secs_f64() + 1.0;
        // Jittered, so that those who were refused together do not return together.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
        let seconds = (wait * (1.0 + self.random.fraction() / 2.0)) as u32;
        Wait(seconds.max(1))
    }
}

/// An exchange under way; it is decided when this is dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    limits: Arc<Limits>,
    caller: Caller,
}

impl Counted {
    /// Ends the exchange and remembers a rejected code.
    pub(crate) fn judge(self, error: Option<&LoginError>) {
        let known = &self.limits.standing;
        match error {
            Some(LoginError::CodeRejected | LoginError::CodeUsed) => {
                known.get_with(self.caller, Arc::default).fetch_add(1, Ordering::Relaxed);
            }
            None => {
                let crowd = || self.limits.under_way(self.caller) >= CROWD;
                let standing = known.get(&self.caller);
                let standing = standing.or_else(|| crowd().then(|| known.get_with(self.caller, Arc::default)));
                if let Some(standing) = standing {
                    // An expired code now and then is no attack: a success takes it back.
                    let better = |n: i32| Some((n - 1).max(-CREDIT));
                    // Only a closure that returns None makes this fail.
                    let _ = standing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, better);
                }
            }
            Some(_) => {}
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.limits.decided(self.caller);
    }
}

fn bucket(quota: Quota) -> Bucket {
    RateLimiter::direct_with_clock(quota, MonotonicClock)
}

fn buckets<K: Hash + Eq + Clone>(quota: Quota) -> Buckets<K> {
    RateLimiter::dashmap_with_clock(quota, MonotonicClock)
}

fn quota(per_second: u32, burst: u32) -> Quota {
    Quota::per_second(positive(per_second)).allow_burst(positive(burst))
}

fn positive(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use wxgate_crypto::{KeyId, MacKey};
    use wxgate_domain::{
        AppPolicy, AppStatus, CredentialStatus, SecretFingerprint, SecretState, SecretStatus, TenantId, Timestamp,
    };

    use super::*;

    const JUNK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1));
    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

    fn limits() -> Arc<Limits> {
        let limits = config::Limits { address_per_second: 1, address_burst: 3, suspect_percent: 10 };
        Arc::new(Limits::new(limits, Random::seeded(1)))
    }

    /// An app whose bucket holds 100 requests and hardly fills again while a test runs.
    fn app() -> App {
        let (now, random) = (Timestamp::from_millis(0), Random::seeded(2));
        let key = MacKey::new(KeyId::from(2), random.secret());
        let policy =
            AppPolicy { requests_per_second: 1, request_burst: 100, logins_per_minute: 2, ..AppPolicy::default() };
        App {
            id: AppId::new(now, &random),
            tenant: TenantId::new(now, &random),
            appid: "wx1".parse().unwrap(),
            name: String::new(),
            status: AppStatus::Enabled,
            union_group: None,
            policy,
            sessions_epoch: 0,
            credential: CredentialStatus::AppSecret(SecretStatus {
                state: SecretState::Accepted,
                changed_at: None,
                fingerprint: SecretFingerprint::of(&"secret".parse().unwrap(), &key),
                previous: None,
            }),
            api_security: None,
            created_at: now,
        }
    }

    #[test]
    fn an_address_has_its_burst_and_then_waits() {
        let limits = limits();
        assert!((0..3).all(|_| limits.address(JUNK).is_ok()));
        assert!(limits.address(JUNK).is_err_and(|wait| (1..=4).contains(&wait.0)));
        assert!(limits.address(HOME).is_ok());
    }

    #[test]
    fn junk_codes_use_up_a_slice_and_leave_the_rest_to_real_logins() {
        let (limits, app) = (limits(), app());
        let admitted = (0..1_000).filter_map(|_| limits.app(&app, JUNK).ok());
        let admitted = admitted.map(|exchange| exchange.judge(Some(&LoginError::CodeRejected))).count();
        assert!(admitted <= 20, "{admitted} junk exchanges were admitted");
        (0..50).for_each(|_| limits.app(&app, HOME).unwrap().judge(None));
    }

    #[test]
    fn exchanges_that_are_not_decided_yet_count_against_an_address() {
        let (limits, app) = (limits(), app());
        let under_way: Vec<_> = (0..200).filter_map(|_| limits.app(&app, JUNK).ok()).collect();
        assert!(under_way.len() <= 20, "{} undecided exchanges of one address were admitted", under_way.len());
        assert!(limits.app(&app, HOME).is_ok());
    }

    #[test]
    fn logins_of_many_users_behind_one_address_may_be_in_flight_together() {
        let (limits, app) = (limits(), app());
        for _ in 0..5 {
            let under_way: Vec<_> = (0..8).map(|_| limits.app(&app, HOME).unwrap()).collect();
            for exchange in under_way {
                exchange.judge(None);
            }
        }
        // Those successes speak for more at once.
        let under_way: Vec<_> = (0..24).map(|_| limits.app(&app, HOME).unwrap()).collect();
        assert_eq!(under_way.len(), 24);
    }

    #[test]
    fn what_is_full_again_is_forgotten_and_what_is_not_is_kept() {
        let limits = limits();
        assert!((0..3).all(|_| limits.address(JUNK).is_ok()));
        limits.forget_full_buckets();
        assert!(limits.address(JUNK).is_err());
    }

    #[test]
    fn an_openid_opens_some_sessions_a_minute() {
        let (limits, app) = (limits(), app());
        let openid: OpenId = "oA".parse().unwrap();
        assert!((0..2).all(|_| limits.openid(&app, &openid).is_ok()));
        assert!(limits.openid(&app, &openid).is_err());
        assert!(limits.openid(&app, &"oB".parse().unwrap()).is_ok());
    }
}
