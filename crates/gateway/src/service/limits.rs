//! Token buckets: of client addresses, then of apps, then of openids. They can be large, never off.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use moka::sync::Cache;
use wxgate_crypto::Random;
use wxgate_domain::{App, AppId, OpenId};

use super::login::LoginError;
use crate::config;

/// Buckets that are remembered at once; the least recently used go first, and begin full when they return.
const BUCKETS: u64 = 100_000;

/// Exchanges of one address, beyond its successes, at which it is suspect: rejected ones and those not decided yet.
const SUSPECT_AT: i32 = 5;

/// Most that successes count for. Carriers put many users behind one address, whose logins may well be in flight
/// together; but nobody buys the right to a flood with some real logins.
const CREDIT: i32 = 64;

/// How long a suspicion lasts after the last exchange.
const SUSPICION: Duration = Duration::from_mins(5);

/// One token bucket. Its clock is the system's: governor's own asks the processor for its features at each bucket, which
/// costs a virtual machine more than all the rest of a login.
type Bucket = RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<Instant>>;

/// Seconds until it makes sense to come back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait(pub(crate) u32);

/// All buckets of this process.
#[derive(Debug)]
pub(crate) struct Limits {
    random: Random,
    address_quota: Quota,
    suspect_percent: u32,
    addresses: Cache<IpAddr, Arc<Bucket>>,
    apps: Cache<(AppId, Quotas), Arc<AppBuckets>>,
    openids: Cache<(AppId, OpenId), Arc<Bucket>>,
    suspicion: Cache<(AppId, IpAddr), Arc<AtomicI32>>,
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
        let idle = Duration::from_mins(10);
        Self {
            random,
            address_quota: quota(limits.address_per_second, limits.address_burst),
            suspect_percent: limits.suspect_percent,
            addresses: Cache::builder().max_capacity(BUCKETS).time_to_idle(idle).build(),
            apps: Cache::builder().max_capacity(BUCKETS).time_to_idle(idle).build(),
            openids: Cache::builder().max_capacity(BUCKETS).time_to_idle(idle).build(),
            suspicion: Cache::builder().max_capacity(BUCKETS).time_to_idle(SUSPICION).build(),
        }
    }

    /// Counts a request of an address.
    pub(crate) fn address(&self, address: IpAddr) -> Result<(), Wait> {
        let bucket = self.addresses.get_with(address, || Arc::new(bucket(self.address_quota)));
        self.take(&bucket)
    }

    /// Counts an exchange of an app. Addresses whose codes were rejected lately share a small slice of the app's
    /// bucket, so that junk leaves real logins alone.
    pub(crate) fn app(&self, app: &App, address: IpAddr) -> Result<(), Wait> {
        let (per_second, burst) = (app.policy.requests_per_second, app.policy.request_burst);
        let slice = |all: u32| (all.saturating_mul(self.suspect_percent) / 100).max(1);
        let buckets = self.apps.get_with((app.id, (per_second, burst)), || {
            Arc::new(AppBuckets {
                all: bucket(quota(per_second, burst)),
                suspects: bucket(quota(slice(per_second), slice(burst))),
            })
        });
        let unproven = self.suspicion.get_with((app.id, address), Arc::default);
        if unproven.load(Ordering::Relaxed) >= SUSPECT_AT {
            self.take(&buckets.suspects)?;
        }
        self.take(&buckets.all)?;
        unproven.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Clears an address of the exchange that [`Limits::app`] counted, unless its code was rejected.
    pub(crate) fn judge(&self, app: AppId, address: IpAddr, error: Option<&LoginError>) {
        let forgiven = match error {
            Some(LoginError::CodeRejected | LoginError::CodeUsed) => return,
            // A success speaks for one more: an expired code now and then is no attack.
            None => 2,
            Some(_) => 1,
        };
        let forgive = |unproven: i32| Some((unproven - forgiven).max(-CREDIT));
        if let Some(unproven) = self.suspicion.get(&(app, address)) {
            // Only a closure that returns None makes this fail.
            let _ = unproven.fetch_update(Ordering::Relaxed, Ordering::Relaxed, forgive);
        }
    }

    /// Counts a session of an openid.
    pub(crate) fn openid(&self, app: &App, openid: &OpenId) -> Result<(), Wait> {
        let per_minute = NonZeroU32::new(app.policy.logins_per_minute).unwrap_or(NonZeroU32::MIN);
        let bucket =
            self.openids.get_with((app.id, openid.clone()), || Arc::new(bucket(Quota::per_minute(per_minute))));
        self.take(&bucket)
    }

    fn take(&self, bucket: &Bucket) -> Result<(), Wait> {
        bucket.check().map_err(|until| {
            let wait = until.wait_time_from(MonotonicClock.now()).as_secs_f64() + 1.0;
            // Jittered, so that those who were refused together do not return together.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
            let seconds = (wait * (1.0 + self.random.fraction() / 2.0)) as u32;
            Wait(seconds.max(1))
        })
    }
}

fn bucket(quota: Quota) -> Bucket {
    RateLimiter::direct_with_clock(quota, MonotonicClock)
}

fn quota(per_second: u32, burst: u32) -> Quota {
    let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(burst))
}

#[cfg(test)]
mod tests {
    use wxgate_domain::{AppPolicy, AppStatus, TenantId, Timestamp};

    use super::*;

    const JUNK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1));
    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

    fn limits() -> Limits {
        let limits = config::Limits { address_per_second: 1, address_burst: 3, suspect_percent: 10 };
        Limits::new(limits, Random::seeded(1))
    }

    /// An app whose bucket holds 100 requests and hardly fills again while a test runs.
    fn app() -> App {
        let (now, random) = (Timestamp::from_millis(0), Random::seeded(2));
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
        let admitted = (0..1_000).filter(|_| {
            let admitted = limits.app(&app, JUNK).is_ok();
            limits.judge(app.id, JUNK, Some(&LoginError::CodeRejected));
            admitted
        });
        let admitted = admitted.count();
        assert!(admitted <= 20, "{admitted} junk exchanges were admitted");
        assert!((0..50).all(|_| {
            let admitted = limits.app(&app, HOME).is_ok();
            limits.judge(app.id, HOME, None);
            admitted
        }));
    }

    #[test]
    fn exchanges_that_are_not_decided_yet_count_as_unproven() {
        let (limits, app) = (limits(), app());
        let admitted = (0..200).filter(|_| limits.app(&app, JUNK).is_ok()).count();
        assert!(admitted <= 20, "{admitted} undecided exchanges of one address were admitted");
        assert!(limits.app(&app, HOME).is_ok());
    }

    #[test]
    fn an_address_with_many_real_users_may_have_many_logins_in_flight() {
        let (limits, app) = (limits(), app());
        for _ in 0..40 {
            assert!(limits.app(&app, HOME).is_ok());
            limits.judge(app.id, HOME, None);
        }
        assert!((0..40).all(|_| limits.app(&app, HOME).is_ok()));
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
