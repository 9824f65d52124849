//! A process that is killed in the middle of its work: whatever it acknowledged is there.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

#[path = "support/logins.rs"]
mod logins;
#[path = "support/harness.rs"]
mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use wxgate_crypto::{MasterKey, MasterKeyRing, Random, Secret};
use wxgate_domain::SessionId;
use wxgate_storage::{BatchObserver, DatabaseUrl, InstanceKind, Storage, StorageConfig};

use crate::logins::Place;
use crate::support::TestDatabase;

const APPID: &str = "wxaaaaaaaaaaaaaaaa";

/// Names the child's database; the master key comes on its standard input.
const CHILD: &str = "WXGATE_TEST_CRASH_URL";

/// How many acknowledgements the child lives for.
const ENOUGH: usize = 500;

support::on_every_engine!(crate::story::what_was_acknowledged_survives_a_kill);

mod story {
    pub(crate) use super::what_was_acknowledged_survives_a_kill;
}

pub(crate) async fn what_was_acknowledged_survives_a_kill(database: TestDatabase) {
    let key = MasterKey::generate(&database.random);
    let master_keys = || MasterKeyRing::new(MasterKey::parse(&key).unwrap(), vec![]);
    let storage = connect(StorageConfig { master_keys: master_keys(), ..database.config() }).await;
    let tenant = support::tenant(&storage, "acme").await;
    support::app(&storage, &tenant, APPID).await;
    storage.stop().await;

    let (url, key_of_child) = (database.url.expose().clone(), key.clone());
    let acknowledged = tokio::task::spawn_blocking(move || run_and_kill(&url, &key_of_child)).await.unwrap();
    assert!(acknowledged.len() >= ENOUGH);

    let storage = connect(StorageConfig { master_keys: master_keys(), ..database.config() }).await;
    for session in acknowledged {
        let replayed = storage.tenant(tenant.id).replay_session(session).await.unwrap();
        assert!(replayed.is_some(), "session {session} was acknowledged and is lost");
    }
    assert_eq!(logins::orphans(&database).await, 0);
    storage.stop().await;
}

async fn connect(config: StorageConfig) -> Storage {
    let storage = Storage::connect(config).await.unwrap();
    storage.migrate().await.unwrap();
    storage.start().await.unwrap();
    storage
}

/// Runs [`child`] in a process of its own, kills it, and returns all that it acknowledged until then.
fn run_and_kill(url: &str, key: &Secret<String>) -> Vec<SessionId> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{}", key.expose()).unwrap();
    let mut acknowledged = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        // The last line may be cut short.
        let Some(session) = line.unwrap().strip_prefix("acknowledged ").and_then(|id| id.parse().ok()) else {
            continue;
        };
        acknowledged.push(session);
        if acknowledged.len() == ENOUGH {
            // SIGKILL. What was printed before is still in the pipe and counts.
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success());
    acknowledged
}

/// The process that is killed: logs in as fast as it can, for ever. Does nothing unless a test started it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    #[expect(clippy::disallowed_methods, reason = "how the parent names the database")]
    let Ok(url) = std::env::var(CHILD) else { return };
    let mut key = String::new();
    std::io::stdin().read_line(&mut key).unwrap();
    let random = Random::system().unwrap();
    let storage = connect(StorageConfig {
        url: DatabaseUrl::parse(&Secret::new(url)).unwrap().pool_size(5),
        master_keys: MasterKeyRing::new(MasterKey::parse(&Secret::new(key)).unwrap(), vec![]),
        kind: InstanceKind::Live,
        erasure_journal: None,
        clock: wxgate_domain::Clock::manual(support::START),
        random,
        observer: BatchObserver::silent(),
    })
    .await;
    let found = storage.apps().find(&APPID.parse().unwrap()).await.unwrap().unwrap();
    let shop = Place { tenant: found.tenant, app: found.app };
    let callers: Vec<_> = (0..32)
        .map(|caller| {
            let (storage, shop) = (storage.clone(), shop.clone());
            tokio::spawn(async move {
                for login in 0_u64.. {
                    // Half of them are first logins.
                    let opened = shop.login(&storage, &format!("ada{caller}-{}", login / 2), None).await;
                    println!("acknowledged {}", opened.id);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
}
