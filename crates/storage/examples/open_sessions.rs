//! How fast sessions are opened: `cargo run --release -p wxgate-storage --example open_sessions -- [SESSIONS] [CALLERS]
//! [URL]`, by default 100,000 sessions, 256 concurrent callers and a fresh SQLite file.
//!
//! Every caller logs in fifty users of its own, one login after another: once as first logins, which are reported apart,
//! then as returning logins. Prints sessions per second, the CPU time of this process per session (for a server its own
//! comes on top), and how large the batches were.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a measurement, not a product")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wxgate_crypto::user_data::SessionKey;
use wxgate_crypto::{MasterKey, MasterKeyRing, Random, Secret};
use wxgate_domain::{
    AppPolicy, Clock, NewSession, SigningAlgorithm, SigningKeyState, StoredSigningKey, TenantPolicy, WechatIdentity,
};
use wxgate_storage::{
    BatchObserver, BatchReport, DatabaseUrl, InstanceKind, NewApp, NewTenant, Storage, StorageConfig, TenantScope,
};

/// Users per caller.
const USERS: u64 = 50;

#[derive(Default)]
struct Batches {
    count: AtomicU64,
    jobs: AtomicU64,
    micros: AtomicU64,
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let sessions: u64 = arguments.next().map_or(100_000, |n| n.parse().expect("SESSIONS is a number"));
    let callers: u64 = arguments.next().map_or(256, |n| n.parse().expect("CALLERS is a number"));
    let folder = tempfile::tempdir().unwrap();
    let url = arguments.next().unwrap_or_else(|| format!("sqlite:{}", folder.path().join("wxgate.db").display()));

    let batches = Arc::new(Batches::default());
    let storage = connect(&url, &batches).await;
    let (scope, new) = somebody(&storage).await;
    open(&scope, &new, callers * USERS, callers).await;
    report("first logins", &batches);
    let (cpu, started) = (cpu_time(), Instant::now());
    open(&scope, &new, sessions, callers).await;
    let (elapsed, cpu) = (started.elapsed(), cpu_time().saturating_sub(cpu));
    report("returning logins", &batches);
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let (rate, each) = (sessions as f64 / elapsed.as_secs_f64(), cpu.as_secs_f64() * 1e6 / sessions as f64);
    println!("{sessions} sessions by {callers} callers: {rate:.0} sessions/s, {each:.1} us of CPU each");
    storage.stop().await;
}

fn report(what: &str, batches: &Batches) {
    let [count, jobs, micros] = [&batches.count, &batches.jobs, &batches.micros].map(|n| n.swap(0, Ordering::Relaxed));
    let count = count.max(1);
    println!("{what}: {count} batches of {} on average, {} us each", jobs / count, micros / count);
}

async fn connect(url: &str, batches: &Arc<Batches>) -> Storage {
    let random = Random::system().unwrap();
    let master = MasterKey::parse(&MasterKey::generate(&random)).unwrap();
    let counted = Arc::clone(batches);
    let observer = BatchObserver::new(move |report: &BatchReport| {
        counted.count.fetch_add(1, Ordering::Relaxed);
        counted.jobs.fetch_add(report.jobs as u64, Ordering::Relaxed);
        let micros = u64::try_from(report.duration.as_micros()).unwrap_or(u64::MAX);
        counted.micros.fetch_add(micros, Ordering::Relaxed);
    });
    let storage = Storage::connect(StorageConfig {
        url: DatabaseUrl::parse(&Secret::new(url.to_owned())).unwrap(),
        master_keys: MasterKeyRing::new(master, vec![]),
        kind: InstanceKind::Dev,
        erasure_journal: None,
        clock: Clock::System,
        random,
        observer,
    });
    let storage = storage.await.unwrap();
    storage.migrate().await.unwrap();
    storage.start().await.unwrap();
    storage
}

/// A tenant with an app, and a login to it.
async fn somebody(storage: &Storage) -> (TenantScope, NewSession) {
    let random = Random::system().unwrap();
    let now = Clock::System.now();
    let suffix = wxgate_crypto::encoding::to_hex(random.bytes::<4>());
    let key = || StoredSigningKey {
        kid: wxgate_crypto::encoding::to_base64url(random.bytes::<32>()).parse().unwrap(),
        algorithm: SigningAlgorithm::ES256,
        state: SigningKeyState::Active,
        private: Secret::new(random.bytes::<138>().to_vec()),
        public_jwk: "{}".to_owned(),
        created_at: now,
        activated_at: None,
        retired_at: None,
    };
    let tx = storage.begin().await.unwrap();
    let tenant = NewTenant {
        slug: format!("bench-{suffix}").parse().unwrap(),
        name: "Bench".to_owned(),
        policy: TenantPolicy::default(),
        signing_key: key(),
        next_key: key(),
    };
    let tenant = tx.tenants().create(tenant).await.unwrap();
    let app = NewApp {
        appid: format!("wx{suffix}").parse().unwrap(),
        name: "Bench".to_owned(),
        secret: "secret".parse().unwrap(),
        is_accepted: true,
        union_group: None,
        policy: AppPolicy::default(),
        may_move: false,
    };
    let app = tx.tenant(tenant.id).apps().add(app).await.unwrap();
    tx.commit().await.unwrap();
    let session_key = SessionKey::from_bytes(random.bytes());
    let identity = WechatIdentity { openid: "nobody".parse().unwrap(), unionid: None, session_key };
    (storage.tenant(tenant.id), NewSession::of(&app, &tenant, identity, now))
}

/// `callers` tasks open `sessions` sessions together.
async fn open(scope: &TenantScope, new: &NewSession, sessions: u64, callers: u64) {
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let (scope, new) = (scope.clone(), new.clone());
            tokio::spawn(async move {
                for login in 0..sessions / callers {
                    let mut new = new.clone();
                    new.identity.openid =
                        format!("o6_bmjrPTlm6_2sgVt7hMZOPf{caller}-{}", login % USERS).parse().unwrap();
                    new.now = Clock::System.now();
                    scope.open_session(new).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// CPU time of this process so far, all threads, in user and system mode (proc(5), stat, fields 14 and 15).
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    // The kernel counts in hundredths of a second for user space, whatever its own tick is.
    Duration::from_millis(ticks * 10)
}
