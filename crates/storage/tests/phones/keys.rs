//! Numbers outlive the keys that sealed and digested them.

use std::time::Duration;

use wxgate_domain::{DataKeyPurpose, Job, NodeId};
use wxgate_storage::{Binding, Outcome, Storage, StorageError};

use crate::logins::{Place, count};
use crate::support::TestDatabase;
use crate::{bind, number, place, verified};

async fn rotate(storage: &Storage, place: &Place, purpose: DataKeyPurpose) -> Option<Job> {
    let tx = storage.begin().await.unwrap();
    let (_, job) = tx.tenant(place.tenant.id).data_keys().rotate(purpose).await.unwrap();
    tx.commit().await.unwrap();
    job
}

async fn work(database: &TestDatabase, storage: &Storage, job: &Job) -> Outcome {
    let node = NodeId::new(database.clock.now(), &database.random);
    let mut worker = storage.jobs().take_job(job.id, node).await.unwrap().unwrap();
    loop {
        match worker.piece().await.unwrap() {
            Outcome::More => {}
            outcome => return outcome,
        }
    }
}

pub(crate) async fn numbers_are_found_after_their_digest_key_was_rotated(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage, "acme").await;
    let ada = shop.login(&storage, "oAda", None).await.user.id;
    let eve = shop.login(&storage, "oEve", None).await.user.id;
    let mobile = number("13800138000");
    bind(&storage, &shop, ada, &verified(&mobile)).await.unwrap();
    crate::codes::exchange(&storage, &shop, "oAda", "code", &mobile).await;

    let before = storage.tenant(shop.tenant.id).phones().digest(&mobile.e164()).await.unwrap();
    let job = rotate(&storage, &shop, DataKeyPurpose::Digest).await.unwrap();
    let fresh = database.started().await;
    // What was offered before the rotation, and after it, is still about this number.
    let after = fresh.tenant(shop.tenant.id).phones().digest(&mobile.e164()).await.unwrap();
    let theirs = fresh.tenant(shop.tenant.id).phones().digest(&number("13900139000").e164()).await.unwrap();
    assert_ne!(before, after);
    let tx = storage.begin().await.unwrap();
    for (user, digest, has) in [(ada, before, true), (ada, after, true), (ada, theirs, false), (eve, after, false)] {
        assert_eq!(tx.tenant(shop.tenant.id).phones().has(user, &digest).await, Ok(has));
    }
    drop(tx);
    let owner = async || fresh.tenant(shop.tenant.id).phones().owner(&mobile.e164()).await.unwrap();
    assert_eq!(owner().await, Some(ada));
    assert_eq!(bind(&storage, &shop, eve, &verified(&mobile)).await, Ok(Binding::Taken { by: ada }));

    // The job digests it anew, and then the old key goes.
    let number_of_old = 2;
    let may = |_: &_, uses| if uses == 0 { Ok(()) } else { Err(StorageError::Busy) };
    let tx = storage.begin().await.unwrap();
    assert_eq!(tx.tenant(shop.tenant.id).data_keys().remove(number_of_old, may).await, Err(StorageError::Busy));
    drop(tx);
    assert!(matches!(work(&database, &storage, &job).await, Outcome::Later(_)));
    database.clock.advance(Duration::from_secs(301));
    assert_eq!(work(&database, &storage, &job).await, Outcome::Done);
    assert_eq!(count(&database, "phone WHERE digest_key = 5").await, 1);
    assert_eq!(owner().await, Some(ada));
    assert_eq!(storage.tenant(shop.tenant.id).data_keys().list().await.unwrap().len(), 4);
    assert_eq!(bind(&storage, &shop, eve, &verified(&mobile)).await, Ok(Binding::Taken { by: ada }));
    fresh.stop().await;
    storage.stop().await;
}

pub(crate) async fn numbers_are_sealed_anew(database: TestDatabase) {
    let storage = database.started().await;
    let shop = place(&storage, "acme").await;
    let ada = shop.login(&storage, "oAda", None).await.user.id;
    let mobile = number("13800138000");
    bind(&storage, &shop, ada, &verified(&mobile)).await.unwrap();
    crate::codes::exchange(&storage, &shop, "oAda", "code", &mobile).await;

    let job = rotate(&storage, &shop, DataKeyPurpose::Seal).await.unwrap();
    assert!(matches!(work(&database, &storage, &job).await, Outcome::Later(_)));
    let job = storage.jobs().find(job.id).await.unwrap().unwrap();
    assert!(job.done >= 2, "the number and the code's: {job:?}");
    database.clock.advance(Duration::from_secs(121));
    assert_eq!(work(&database, &storage, &job).await, Outcome::Done);
    let fresh = database.started().await;
    assert_eq!(fresh.tenant(shop.tenant.id).phones().of(ada).await.unwrap().unwrap().number, mobile);
    fresh.stop().await;
    storage.stop().await;
}
