//! A process that is killed in the middle of merging and undoing: each pair is two users or one, and never half of it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use sea_orm::ConnectionTrait;
use wxgate_crypto::{MasterKey, MasterKeyRing, Random, Secret};
use wxgate_domain::{Clock, MergeCause};
use wxgate_storage::{BatchObserver, DatabaseUrl, InstanceKind, NewMerge, Storage, StorageConfig};

use crate::logins::{Place, count, raw};
use crate::support::{self, TestDatabase};

const APPID: &str = "wxaaaaaaaaaaaaaaaa";

/// Names the child's database; the master key comes on its standard input.
const CHILD: &str = "WXGATE_TEST_MERGE_CRASH_URL";

/// How often a child is killed, each time a little later after its first merge: a merge takes some milliseconds.
const KILLS: u32 = 8;

/// What no order of statements may leave behind: an alias of somebody who is there, an account or a unionid of nobody, a
/// user without an account.
const HALVES: [&str; 4] = [
    r#"merge m JOIN "user" u ON u.id = m.gone_id"#,
    r#"identity i LEFT JOIN "user" u ON u.id = i.user_id WHERE u.id IS NULL"#,
    r#"union_member m LEFT JOIN "user" u ON u.id = m.user_id WHERE u.id IS NULL"#,
    r#""user" u WHERE NOT EXISTS (SELECT 1 FROM identity i WHERE i.user_id = u.id)"#,
];

pub(crate) async fn killed_at_any_step_a_merge_is_whole_or_was_never_there(database: TestDatabase) {
    let key = MasterKey::generate(&database.random);
    let master_keys = || MasterKeyRing::new(MasterKey::parse(&key).unwrap(), vec![]);
    let storage = connect(StorageConfig { master_keys: master_keys(), ..database.config() }).await;
    let tenant = support::tenant(&storage, "acme").await;
    let app = support::app(&storage, &tenant, APPID).await;
    let shop = Place { tenant, app };
    shop.login(&storage, "oOne", None).await;
    shop.login(&storage, "oOther", None).await;
    storage.stop().await;

    for kill in 0..KILLS {
        let (url, key) = (database.url.expose().clone(), key.clone());
        tokio::task::spawn_blocking(move || run_and_kill(&url, &key, kill)).await.unwrap();
        for half in HALVES {
            assert_eq!(count(&database, half).await, 0, "{half}");
        }
        let (users, merges) = (count(&database, r#""user""#).await, count(&database, "merge").await);
        assert_eq!((users + merges, count(&database, "identity").await), (2, 2));
    }
    let raw = raw(&database).await;
    raw.execute_unprepared("SELECT 1").await.unwrap();
    raw.close().await.unwrap();
}

async fn connect(config: StorageConfig) -> Storage {
    let storage = Storage::connect(config).await.unwrap();
    storage.migrate().await.unwrap();
    storage.start().await.unwrap();
    storage
}

/// Runs [`child`] in a process of its own and kills it some time after its first merge.
fn run_and_kill(url: &str, key: &Secret<String>, kill: u32) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child", "--nocapture"])
        .env(CHILD, url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{}", key.expose()).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "merged"), "the child merges");
    // Not to wait for something, but to be somewhere within a merge.
    std::thread::sleep(Duration::from_micros(u64::from(kill) * 700));
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
}

/// The process that is killed: merges two users and undoes it, for ever. Does nothing unless a test started it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    #[expect(clippy::disallowed_methods, reason = "how the parent names the database")]
    let Ok(url) = std::env::var(CHILD) else { return };
    let mut key = String::new();
    std::io::stdin().read_line(&mut key).unwrap();
    let storage = connect(StorageConfig {
        url: DatabaseUrl::parse(&Secret::new(url)).unwrap().pool_size(5),
        master_keys: MasterKeyRing::new(MasterKey::parse(&Secret::new(key)).unwrap(), vec![]),
        kind: InstanceKind::Live,
        erasure_journal: None,
        clock: Clock::manual(support::START),
        random: Random::system().unwrap(),
        observer: BatchObserver::silent(),
    })
    .await;
    let found = storage.apps().find(&APPID.parse().unwrap()).await.unwrap().unwrap();
    let scope = storage.tenant(found.tenant.id);
    loop {
        let standing = scope.merges().page(None, 1).await.unwrap().pop();
        let tx = storage.begin().await.unwrap();
        let users = tx.tenant(found.tenant.id).users();
        if let Some(merge) = standing {
            users.unmerge(merge.id, None).await.unwrap();
        } else {
            let both = scope.users().page(None, 2).await.unwrap();
            let (gone, into) = (both[0].id, both[1].id);
            let new = NewMerge { gone, into, cause: MergeCause::Operator, may_drop_external_id: false };
            users.merge(&new).await.unwrap();
            println!("merged");
        }
        tx.commit().await.unwrap();
    }
}
