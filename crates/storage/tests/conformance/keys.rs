//! Keys that turn: master keys above data keys, and data keys above everything that is sealed.

use std::time::Duration;

use wxgate_crypto::{KeyId, MasterKey, MasterKeyRing, Sealed};
use wxgate_domain::{
    AppSecret, AppSecrets, Credential, DataKeyPurpose, Job, JobId, NewSession, NodeId, Tenant, WechatAppid,
    WechatIdentity,
};
use wxgate_storage::{MasterKeyUse, Node, Outcome, StartError, Storage, StorageConfig, StorageError, StoredDataKey};

use crate::support::{TestDatabase, app, new_app, tenant};
use crate::support_rows::first;

fn new_key(database: &TestDatabase) -> MasterKey {
    MasterKey::parse(&MasterKey::generate(&database.random)).unwrap()
}

async fn storage_with(database: &TestDatabase, keys: MasterKeyRing) -> Storage {
    Storage::connect(StorageConfig { master_keys: keys, ..database.config() }).await.unwrap()
}

/// Does a job until it is over or rests.
async fn finish(database: &TestDatabase, storage: &Storage, job: JobId) -> (Outcome, Job) {
    let node = NodeId::new(database.clock.now(), &database.random);
    let mut worker = storage.jobs().take_job(job, node).await.unwrap().unwrap();
    loop {
        match worker.piece().await.unwrap() {
            Outcome::More => {}
            outcome => return (outcome, worker.job().clone()),
        }
    }
}

async fn activate(storage: &Storage, key: &MasterKey) -> Result<(), StorageError> {
    let tx = storage.begin().await?;
    tx.master_keys().activate(key.id(), |_| Ok::<_, StorageError>(())).await?;
    tx.commit().await
}

async fn needed(storage: &Storage, key: &MasterKey) -> MasterKeyUse {
    let mut told = None;
    let tx = storage.begin().await.unwrap();
    let ask = |needed: &MasterKeyUse| {
        told = Some(needed.clone());
        Err::<(), _>(StorageError::Busy)
    };
    assert_eq!(tx.master_keys().remove(key.id(), ask).await, Err(StorageError::Busy));
    told.unwrap()
}

pub(crate) async fn another_master_key_takes_over_and_the_old_one_goes(database: TestDatabase) {
    let (old, new) = (database.master_keys.first().clone(), new_key(&database));
    let ring = MasterKeyRing::new(old.clone(), vec![new.clone()]);
    let storage = storage_with(&database, ring.clone()).await;
    storage.migrate().await.unwrap();
    storage.start().await.unwrap();
    let acme = tenant(&storage, "acme").await;
    let shop = app(&storage, &acme, "wx1").await;
    for number in 0..12 {
        tenant(&storage, &format!("tenant-{number:02}")).await;
    }

    // Whoever decides is told who is live, and with which keys.
    let node = Node {
        id: NodeId::new(database.clock.now(), &database.random),
        version: "1".to_owned(),
        address: "one".to_owned(),
        master_keys: vec![old.id()],
        started_at: database.clock.now(),
    };
    storage.nodes().seen(&node).await.unwrap();
    let tx = storage.begin().await.unwrap();
    let lacking = |nodes: &[Node]| {
        assert_eq!(nodes, std::slice::from_ref(&node));
        Err::<(), _>(StorageError::Busy)
    };
    assert_eq!(tx.master_keys().activate(new.id(), lacking).await, Err(StorageError::Busy));
    drop(tx);
    let stranger = new_key(&database);
    assert_eq!(activate(&storage, &stranger).await, Err(StorageError::NotFound));
    activate(&storage, &new).await.unwrap();

    // What is new is under the new key at once, also by a process that was started with another opinion.
    let umbrella = tenant(&storage, "umbrella").await;
    let keys = storage.tenant(umbrella.id).data_keys().list().await.unwrap();
    assert!(keys.iter().all(|key| key.master_key == new.id() && key.newest));
    let before = needed(&storage, &old).await;
    assert_eq!((before.active, before.data_keys, before.tenants), (false, 52, 13));
    assert_eq!(before.example.unwrap().as_str(), "acme");
    assert!(needed(&storage, &new).await.active);

    let tx = storage.begin().await.unwrap();
    let job = tx.jobs().add(None, wxgate_domain::Task::Rewrap {}).await.unwrap();
    tx.commit().await.unwrap();
    // Half-way somebody dies, and the next one goes on.
    let mut first =
        storage.jobs().take_job(job.id, NodeId::new(database.clock.now(), &database.random)).await.unwrap().unwrap();
    for _ in 0..3 {
        assert_eq!(first.piece().await.unwrap(), Outcome::More);
    }
    let half = needed(&storage, &old).await.data_keys;
    assert!(half > 0 && half < 52, "{half}");
    database.clock.advance(Duration::from_secs(31));
    let (outcome, done) = finish(&database, &storage, job.id).await;
    assert_eq!((outcome, done.done, done.total), (Outcome::Done, done.total, done.total));
    assert!(done.total >= 52);
    assert_eq!(needed(&storage, &old).await.data_keys, 0);
    assert!(storage.apps().find(&shop.appid).await.unwrap().is_some());

    let tx = storage.begin().await.unwrap();
    tx.master_keys().remove(old.id(), |_| Ok::<_, StorageError>(())).await.unwrap();
    tx.commit().await.unwrap();
    storage.stop().await;
    // From now on the new key is enough, and the old one is not.
    let only_new = storage_with(&database, MasterKeyRing::new(new.clone(), vec![])).await;
    only_new.start().await.unwrap();
    assert!(only_new.apps().find(&shop.appid).await.unwrap().is_some());
    assert_eq!(only_new.master_keys().list().await.unwrap().len(), 1);
    only_new.stop().await;
    let only_old = storage_with(&database, MasterKeyRing::new(old, vec![])).await;
    assert!(
        matches!(only_old.start().await.unwrap_err(), StartError::MasterKey { missing, .. } if missing == new.id())
    );
    only_old.stop().await;
}

async fn log_in(storage: &Storage, tenant: &Tenant, app: &wxgate_domain::App, now: wxgate_domain::Timestamp) {
    let identity = WechatIdentity {
        openid: "oAda".parse().unwrap(),
        unionid: None,
        session_key: wxgate_crypto::user_data::SessionKey::from_bytes([7; 16]),
    };
    let new = NewSession::of(app, tenant, identity, now);
    storage.tenant(tenant.id).open_session(new).await.unwrap();
}

async fn rotate(storage: &Storage, tenant: &Tenant, purpose: DataKeyPurpose) -> (StoredDataKey, Option<Job>) {
    let tx = storage.begin().await.unwrap();
    let rotated = tx.tenant(tenant.id).data_keys().rotate(purpose).await.unwrap();
    tx.commit().await.unwrap();
    rotated
}

async fn secrets(storage: &Storage, appid: &WechatAppid) -> (AppSecret, Option<AppSecret>) {
    let Credential::AppSecret(AppSecrets { current, previous }) =
        storage.apps().find(appid).await.unwrap().unwrap().credential
    else {
        panic!("no AppSecret")
    };
    (current, previous)
}

pub(crate) async fn what_a_seal_key_sealed_is_sealed_anew(database: TestDatabase) {
    let (storage, other) = (database.started().await, database.started().await);
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let (shop, rival) = (app(&storage, &acme, "wx1").await, app(&storage, &umbrella, "wx2").await);
    let tx = storage.begin().await.unwrap();
    tx.tenant(acme.id).apps().rotate_secret(&shop.appid, &"another".parse().unwrap(), true).await.unwrap();
    tx.commit().await.unwrap();
    let now = database.clock.now();
    log_in(&storage, &acme, &shop, now).await;
    log_in(&storage, &umbrella, &rival, now).await;
    // The other node knows the keys of before.
    let before = secrets(&other, &shop.appid).await;

    let (key, job) = rotate(&storage, &acme, DataKeyPurpose::Seal).await;
    assert_eq!(key.number, 5);
    let tx = storage.begin().await.unwrap();
    tx.tenant(acme.id).apps().rotate_secret(&shop.appid, &"newest".parse().unwrap(), true).await.unwrap();
    tx.commit().await.unwrap();
    // It may not have heard of the new one, and opens what that one sealed all the same.
    assert_eq!(secrets(&other, &shop.appid).await.0.expose(), "newest");
    assert_eq!(secrets(&other, &shop.appid).await.1.unwrap().expose(), before.0.expose());

    let job = job.unwrap();
    let rest = finish(&database, &storage, job.id).await.0;
    assert!(matches!(rest, Outcome::Later(_)), "{rest:?}");
    // A node that is deaf for a minute may still have sealed by the old key.
    assert_eq!(storage.tenant(acme.id).data_keys().list().await.unwrap().len(), 5);
    database.clock.advance(Duration::from_secs(121));
    assert_eq!(finish(&database, &storage, job.id).await.0, Outcome::Done);
    let numbers = |keys: Vec<StoredDataKey>| keys.into_iter().map(|key| key.number).collect::<Vec<_>>();
    assert_eq!(numbers(storage.tenant(acme.id).data_keys().list().await.unwrap()), [2, 3, 4, 5]);
    assert_eq!(numbers(storage.tenant(umbrella.id).data_keys().list().await.unwrap()), [1, 2, 3, 4]);

    // Everything opens, in a process that never knew the old key.
    let fresh = database.started().await;
    assert_eq!(secrets(&fresh, &shop.appid).await.0.expose(), "newest");
    assert_eq!(fresh.tenant(acme.id).signing_keys().await.unwrap().len(), 2);
    let ring = fresh.tenant(acme.id).key_ring(shop.id, &"oAda".parse().unwrap(), now).await.unwrap();
    assert_eq!(ring.len(), 1);
    assert_eq!(fresh.tenant(umbrella.id).key_ring(rival.id, &"oAda".parse().unwrap(), now).await.unwrap().len(), 1);
    for storage in [storage, other, fresh] {
        storage.stop().await;
    }
}

pub(crate) async fn a_transaction_that_replaces_a_key_goes_on_with_the_new_one(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let tx = storage.begin().await.unwrap();
    let scope = tx.tenant(acme.id);
    scope.apps().add(new_app("wx1")).await.unwrap();
    let (key, _) = scope.data_keys().rotate(DataKeyPurpose::Seal).await.unwrap();
    scope.apps().add(new_app("wx2")).await.unwrap();
    tx.commit().await.unwrap();
    let raw = database.raw().await;
    for (appid, number) in [("wx1", 1), ("wx2", key.number)] {
        let sealed: Vec<u8> = first(&raw, "app", "secret", ("appid", appid.as_bytes().to_vec().into())).await;
        let sealed = Sealed::parse(sealed).unwrap();
        assert_eq!(sealed.key_id(), KeyId::from(number), "{appid}");
        secrets(&storage, &appid.parse().unwrap()).await;
    }
    storage.stop().await;
}

pub(crate) async fn a_mac_key_stays_as_long_as_a_session_names_it(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let shop = app(&storage, &acme, "wx1").await;
    let now = database.clock.now();
    log_in(&storage, &acme, &shop, now).await;
    let (key, job) = rotate(&storage, &acme, DataKeyPurpose::RefreshMac).await;
    assert!(job.is_none());
    let remove = async |number: u32| {
        let mut told = 0;
        let tx = storage.begin().await.unwrap();
        let may = |key: &StoredDataKey, uses| {
            told = uses;
            assert_eq!(key.newest, number == 5);
            if uses == 0 { Ok(()) } else { Err(StorageError::Busy) }
        };
        let removed = tx.tenant(acme.id).data_keys().remove(number, may).await;
        (removed, told)
    };
    assert_eq!(remove(3).await, (Err(StorageError::Busy), 1));
    assert_eq!(remove(9).await, (Err(StorageError::NotFound), 0));
    database.clock.advance(Duration::from_mins(5));
    storage.sweep().await.unwrap();
    assert!(storage.tenant(acme.id).refresh_keys(3).await.is_ok());

    // The session ends, and two minutes later the key goes with the sweep.
    let raw = database.raw().await;
    sea_orm::ConnectionTrait::execute_unprepared(&raw, "UPDATE session SET ended_at = 1").await.unwrap();
    raw.close().await.unwrap();
    storage.sweep().await.unwrap();
    assert!(storage.tenant(acme.id).refresh_keys(3).await.is_ok());
    database.clock.advance(Duration::from_mins(3));
    storage.sweep().await.unwrap();
    let keys = storage.tenant(acme.id).data_keys().list().await.unwrap();
    assert_eq!(keys.iter().map(|key| key.number).collect::<Vec<_>>(), [1, 2, 4, key.number]);
    let fresh = database.started().await;
    assert_eq!(fresh.tenant(acme.id).refresh_keys(3).await.unwrap_err(), StorageError::NotFound);
    fresh.stop().await;
    storage.stop().await;
}

pub(crate) async fn data_keys_of_another_tenant_are_out_of_reach(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    rotate(&storage, &acme, DataKeyPurpose::Digest).await;
    assert_eq!(storage.tenant(umbrella.id).data_keys().list().await.unwrap().len(), 4);
    let tx = storage.begin().await.unwrap();
    let removed = tx.tenant(umbrella.id).data_keys().remove(5, |_, _| Ok::<_, StorageError>(())).await;
    assert_eq!(removed, Err(StorageError::NotFound));
    drop(tx);
    assert_eq!(storage.tenant(acme.id).data_keys().list().await.unwrap().len(), 5);
    storage.stop().await;
}
