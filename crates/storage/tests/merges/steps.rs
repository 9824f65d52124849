//! A merge that is stopped after each of its steps in turn: two users are two or one, and never between, and whoever asks
//! again merges them or learns that they are one.
//!
//! Towards a server the steps are the messages that it gets; a proxy cuts the connection where the answer to one would come
//! back. Towards a file they are what is written to it: a process that is killed leaves the beginning of that.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wxgate_crypto::Secret;
use wxgate_domain::{MergeCause, MergeGrant, MergeToken, OpenedSession, PhoneNumber};
use wxgate_storage::{DatabaseUrl, Engine, Merge, NewMerge, NewPhone, NotMerged, Storage, StorageConfig, StorageError};

use crate::couple::{House, couple, house};
use crate::logins::count;
use crate::proxy;
use crate::support::TestDatabase;

/// What no step may leave behind: an alias of somebody who is there; an account, a unionid or a number of nobody; a user
/// without an account; a session of no account.
const HALVES: [&str; 6] = [
    r#"merge m JOIN "user" u ON u.id = m.gone_id"#,
    r#"identity i LEFT JOIN "user" u ON u.id = i.user_id WHERE u.id IS NULL"#,
    r#"union_member m LEFT JOIN "user" u ON u.id = m.user_id WHERE u.id IS NULL"#,
    r#"phone p LEFT JOIN "user" u ON u.id = p.user_id WHERE u.id IS NULL"#,
    r#""user" u WHERE NOT EXISTS (SELECT 1 FROM identity i WHERE i.user_id = u.id)"#,
    "session s LEFT JOIN identity i ON i.id = s.identity_id WHERE i.id IS NULL",
];

/// Ada twice: the one who goes has a phone number, a nickname, a unionid and a session.
struct Pair {
    house: House,
    gone: OpenedSession,
    into: OpenedSession,
    number: PhoneNumber,
}

impl Pair {
    async fn new(storage: &Storage) -> Self {
        let house = house(storage, "acme").await;
        let (gone, into) = couple(storage, &house).await;
        let number = PhoneNumber::new("86", "13800138000").unwrap();
        let tenant = house.shop.tenant.id;
        let tx = storage.begin().await.unwrap();
        let new = NewPhone { number: &number, is_verified: true, may_replace: false, leaves_after: None };
        tx.tenant(tenant).phones().bind(gone.user.id, &new).await.unwrap();
        tx.commit().await.unwrap();
        let shown = wxgate_domain::Profile::shown(Some("Ada"), None);
        storage.tenant(tenant).update_profile(gone.user.id, &shown).await.unwrap();
        Self { house, gone, into, number }
    }

    /// What came with `PHONE_TAKEN`.
    async fn token(&self, storage: &Storage) -> MergeToken {
        let tenant = self.house.shop.tenant.id;
        let phone = Some(storage.tenant(tenant).phones().digest(&self.number.e164()).await.unwrap());
        let tx = storage.begin().await.unwrap();
        let grant = MergeGrant { user: self.into.user.id, other: self.gone.user.id, session: self.into.id, phone };
        let token = tx.tenant(tenant).merge_tokens().issue(&grant).await.unwrap();
        tx.commit().await.unwrap();
        token
    }

    /// The whole request, as `POST /v1/me/merge` makes it.
    async fn merge(&self, storage: &Storage, token: &MergeToken) -> Result<Merge, NotMerged> {
        let tx = storage.begin().await?;
        let scope = tx.tenant(self.house.shop.tenant.id);
        let grant = scope.merge_tokens().consume(token, self.into.id).await?;
        assert!(scope.phones().has(grant.other, &grant.phone.unwrap()).await?);
        let (gone, into) = (self.gone.user.id, self.into.user.id);
        let new = NewMerge { gone, into, cause: MergeCause::Proof, may_drop_external_id: false };
        let merge = scope.users().merge(&new).await?;
        tx.commit().await?;
        Ok(merge)
    }

    /// Looks at the rows, and asks again; whether they were one already.
    async fn is_whole(&self, database: &TestDatabase, storage: &Storage, token: &MergeToken) -> bool {
        for half in HALVES {
            assert_eq!(count(database, half).await, 0, "{half}");
        }
        let (gone, into) = (self.gone.user.id, self.into.user.id);
        let scope = storage.tenant(self.house.shop.tenant.id);
        let is_one = scope.merges().is_one_user(gone, into).await.unwrap();
        let rows = async |table| count(database, table).await;
        let expected = if is_one { (1, 1, 0) } else { (2, 0, 1) };
        assert_eq!((rows(r#""user""#).await, rows("merge").await, rows("merge_token").await), expected);
        assert_eq!((rows("identity").await, rows("phone").await, rows("union_member").await), (2, 1, 1));
        let again = self.merge(storage, token).await;
        if is_one {
            assert_eq!(again, Err(NotMerged::Storage(StorageError::NotFound)), "the token is used up");
        } else {
            assert_eq!(again.unwrap().gone, gone);
        }
        let user = self.house.user(storage, gone).await.unwrap();
        assert_eq!((user.id, user.profile.nickname.as_deref()), (into, Some("Ada")));
        assert_eq!(scope.phones().owner(&self.number.e164()).await.unwrap(), Some(into));
        is_one
    }
}

pub(crate) async fn stopped_after_any_step_a_merge_is_whole_or_was_never_there(database: TestDatabase) {
    match database.engine {
        Engine::Sqlite => after_each_write(&database).await,
        Engine::Postgres | Engine::MySql => after_each_message(&database).await,
    }
}

/// Cuts when the answer to a message comes, counted from when it is told to.
#[derive(Clone, Default)]
struct Cut(Arc<AtomicU32>);

impl Cut {
    /// Cuts nothing.
    const NEVER: u32 = 0;

    async fn relay(self, mut client: TcpStream, mut server: TcpStream) {
        let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
        let mut is_due = false;
        loop {
            tokio::select! {
                Ok(n @ 1..) = client.read(&mut asked) => {
                    let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
                    is_due |= left == Ok(1);
                    if server.write_all(&asked[..n]).await.is_err() {
                        return;
                    }
                }
                Ok(n @ 1..) = server.read(&mut answered) => {
                    if is_due || client.write_all(&answered[..n]).await.is_err() {
                        return;
                    }
                }
                else => return,
            }
        }
    }
}

async fn after_each_message(database: &TestDatabase) {
    let storage = database.started().await;
    let pair = Pair::new(&storage).await;
    let cut = Cut::default();
    let cuts = cut.clone();
    let url = proxy::before(database, move |client, server| cuts.clone().relay(client, server)).await;
    let (mut were_two, mut were_one) = (0, 0);
    for message in 1.. {
        let token = pair.token(&storage).await;
        // Not started, so that it sends nothing else; one connection, which is there already.
        let url = DatabaseUrl::parse(&url).unwrap().pool_size(5);
        let through = Storage::connect(StorageConfig { url, ..database.config() }).await.unwrap();
        through.begin().await.unwrap().commit().await.unwrap();
        cut.0.store(message, Ordering::SeqCst);
        let merged = pair.merge(&through, &token).await;
        let was_cut = cut.0.swap(Cut::NEVER, Ordering::SeqCst) == Cut::NEVER;
        through.stop().await;

        let is_one = pair.is_whole(database, &storage, &token).await;
        assert!(is_one || merged.is_err(), "what was answered stands: {merged:?}");
        let merge = storage.tenant(pair.house.shop.tenant.id).merges().page(None, 1).await.unwrap().pop().unwrap();
        pair.house.undo(&storage, &merge, None).await.unwrap();
        if !was_cut {
            merged.unwrap();
            break;
        }
        *if is_one { &mut were_one } else { &mut were_two } += 1;
    }
    assert!(were_two > 20 && were_one > 0, "{were_two} times they were two, {were_one} times one");
    storage.stop().await;
}

/// What a log begins with, and each page in it.
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

async fn after_each_write(database: &TestDatabase) {
    let storage = database.started().await;
    let pair = Pair::new(&storage).await;
    // The last one who leaves empties the log, so that what is written now stands at its end.
    storage.stop().await;
    let storage = database.started().await;
    let token = pair.token(&storage).await;
    let file = PathBuf::from(database.url.expose().strip_prefix("sqlite:").unwrap());
    let log = file.with_extension("db-wal");
    let before = std::fs::read(&log).unwrap().len();
    pair.merge(&storage, &token).await.unwrap();
    let (kept, written) = (std::fs::read(&file).unwrap(), std::fs::read(&log).unwrap());
    storage.stop().await;

    let page = FRAME_HEADER + usize::from(u16::from_be_bytes([kept[16], kept[17]]));
    let (mut were_two, mut were_one) = (0, 0);
    for frame in (before.max(LOG_HEADER) - LOG_HEADER) / page..=(written.len() - LOG_HEADER) / page {
        // Whole pages, and torn ones.
        for torn in [0, FRAME_HEADER, page / 2] {
            let end = LOG_HEADER + frame * page + torn;
            if end > written.len() {
                continue;
            }
            let (copy, _folder) = left_behind(database, &kept, &written[..end]);
            let storage = copy.started().await;
            *if pair.is_whole(&copy, &storage, &token).await { &mut were_one } else { &mut were_two } += 1;
            storage.stop().await;
        }
    }
    assert!(were_two > 20 && were_one > 0, "{were_two} times they were two, {were_one} times one");
}

/// A database as a process that was killed leaves it.
fn left_behind(database: &TestDatabase, file: &[u8], log: &[u8]) -> (TestDatabase, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wxgate.db");
    private(&path, file);
    private(&path.with_extension("db-wal"), log);
    (database.at(Secret::new(format!("sqlite:{}", path.display()))), folder)
}

/// The files of a database are nobody else's, or it does not start.
fn private(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
