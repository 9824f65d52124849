//! Connections that break, by a proxy between storage and its server that cuts them at a chosen word.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wxgate_crypto::Secret;
use wxgate_domain::OpenedSession;
use wxgate_storage::{BatchOutcome, DatabaseUrl, Storage, StorageConfig};

use crate::batches::{Outcomes, place};
use crate::logins::{count, orphans};
use crate::proxy;
use crate::support::TestDatabase;

const NOTHING: u8 = 0;
/// COMMIT of a login reaches the server and is carried out; its answer does not come back.
const CUT_AFTER_COMMIT: u8 = 1;
/// COMMIT of a login does not reach the server.
const CUT_BEFORE_COMMIT: u8 = 2;
/// BEGIN does not reach the server.
const CUT_AT_BEGIN: u8 = 3;

/// How the statement begins that opens sessions.
const INSERT: &[u8] = b"INSERT INTO SESSION ";

struct Proxy {
    /// What to do, once.
    order: Arc<AtomicU8>,
    url: Secret<String>,
}

impl Proxy {
    async fn before(database: &TestDatabase) -> Self {
        let order = Arc::new(AtomicU8::new(NOTHING));
        let orders = Arc::clone(&order);
        let url = proxy::before(database, move |client, server| relay(client, server, Arc::clone(&orders))).await;
        Self { order, url }
    }
}

/// Passes bytes on in both directions, until an end closes or the order is carried out.
async fn relay(mut client: TcpStream, mut server: TcpStream, order: Arc<AtomicU8>) {
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    // The sweep commits too, whenever it likes: the order is about whoever writes a session.
    let mut writes_session = false;
    loop {
        tokio::select! {
            Ok(n @ 1..) = client.read(&mut asked) => {
                let text = asked[..n].to_ascii_uppercase();
                let holds = |word: &[u8]| text.windows(word.len()).any(|window| window == word);
                let due = |wanted| order.compare_exchange(wanted, NOTHING, Ordering::SeqCst, Ordering::SeqCst).is_ok();
                writes_session |= holds(INSERT);
                let commits = writes_session && holds(b"COMMIT");
                if (commits && due(CUT_BEFORE_COMMIT)) || (holds(b"BEGIN") && due(CUT_AT_BEGIN)) {
                    return;
                }
                server.write_all(&asked[..n]).await.unwrap();
                if commits && due(CUT_AFTER_COMMIT) {
                    // The answer says that it is carried out.
                    assert!(server.read(&mut answered).await.unwrap() > 0);
                    return;
                }
            }
            Ok(n @ 1..) = server.read(&mut answered) => {
                if client.write_all(&answered[..n]).await.is_err() {
                    return;
                }
            }
            else => return,
        }
    }
}

async fn login_with(database: &TestDatabase, order: u8) -> Outcomes {
    let proxy = Proxy::before(database).await;
    let outcomes = Outcomes::default();
    let url = DatabaseUrl::parse(&proxy.url).unwrap().pool_size(5);
    let storage =
        Storage::connect(StorageConfig { url, observer: outcomes.observer(), ..database.config() }).await.unwrap();
    storage.migrate().await.unwrap();
    storage.start().await.unwrap();
    let shop = place(&storage).await;
    proxy.order.store(order, Ordering::SeqCst);
    let opened = shop.login(&storage, "ada", Some("union")).await;
    assert_eq!(proxy.order.load(Ordering::SeqCst), NOTHING, "the order was carried out");
    assert!(opened.is_new);
    let replayed = storage.tenant(shop.tenant.id).replay_session(opened.id).await.unwrap();
    assert_eq!(replayed, Some(OpenedSession { session_key: None, ..opened }));
    assert_eq!((count(database, "session").await, count(database, "identity").await), (1, 1));
    assert_eq!((count(database, r#""user""#).await, orphans(database).await), (1, 0));
    storage.stop().await;
    outcomes
}

pub(crate) async fn a_lost_answer_to_commit_is_looked_up(database: TestDatabase) {
    let outcomes = login_with(&database, CUT_AFTER_COMMIT).await;
    assert_eq!((outcomes.of(BatchOutcome::Committed), outcomes.of(BatchOutcome::Retried)), (1, 0));
}

pub(crate) async fn a_lost_commit_is_written_again(database: TestDatabase) {
    let outcomes = login_with(&database, CUT_BEFORE_COMMIT).await;
    assert_eq!((outcomes.of(BatchOutcome::Committed), outcomes.of(BatchOutcome::Retried)), (1, 1));
}

pub(crate) async fn a_connection_that_breaks_before_is_replaced(database: TestDatabase) {
    // Nobody hears of it: a transaction begins on a connection that works.
    let outcomes = login_with(&database, CUT_AT_BEGIN).await;
    assert_eq!((outcomes.of(BatchOutcome::Committed), outcomes.of(BatchOutcome::Retried)), (1, 0));
}
