//! Jobs and the nodes that do them.

use std::time::Duration;

use wxgate_domain::{JobState, NodeId, Task};
use wxgate_storage::Node;

use crate::support::{TestDatabase, tenant};

pub(crate) async fn a_job_is_asked_for_once_and_belongs_to_somebody(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let tx = storage.begin().await.unwrap();
    let reseal = tx.jobs().add(Some(acme.id), Task::Reseal {}).await.unwrap();
    let rewrap = tx.jobs().add(None, Task::Rewrap {}).await.unwrap();
    tx.commit().await.unwrap();
    let tx = storage.begin().await.unwrap();
    assert_eq!(tx.jobs().add(Some(acme.id), Task::Reseal {}).await.unwrap().id, reseal.id);
    assert_ne!(tx.jobs().add(Some(umbrella.id), Task::Reseal {}).await.unwrap().id, reseal.id);
    tx.commit().await.unwrap();

    let ids = |jobs: Vec<wxgate_domain::Job>| jobs.into_iter().map(|job| job.id).collect::<Vec<_>>();
    assert_eq!(ids(storage.jobs().list(Some(acme.id), None, 10).await.unwrap()), [reseal.id]);
    let all = ids(storage.jobs().list(None, None, 10).await.unwrap());
    assert_eq!(all.len(), 3);
    assert_eq!(ids(storage.jobs().list(None, Some(all[0]), 1).await.unwrap()), [all[1]]);
    assert_eq!(storage.jobs().find(rewrap.id).await.unwrap().unwrap().state, JobState::Open);
    storage.stop().await;
}

pub(crate) async fn a_node_is_live_while_it_says_so(database: TestDatabase) {
    let storage = database.started().await;
    let now = database.clock.now();
    let node = |keys: Vec<wxgate_crypto::KeyId>| Node {
        id: NodeId::new(now, &database.random),
        version: "0.1.0".to_owned(),
        address: "127.0.0.1:1".to_owned(),
        master_keys: keys,
        started_at: now,
    };
    let one = node(database.master_keys.ids().collect());
    let other = node(Vec::new());
    storage.nodes().seen(&one).await.unwrap();
    storage.nodes().seen(&other).await.unwrap();
    storage.nodes().seen(&other).await.unwrap();
    let mut both = vec![one.clone(), other.clone()];
    both.sort_by_key(|node| node.id);
    assert_eq!(storage.nodes().live().await.unwrap(), both);
    database.clock.advance(Duration::from_secs(20));
    storage.nodes().seen(&one).await.unwrap();
    database.clock.advance(Duration::from_secs(20));
    assert_eq!(storage.nodes().live().await.unwrap(), std::slice::from_ref(&one));
    storage.nodes().left(one.id).await.unwrap();
    assert!(storage.nodes().live().await.unwrap().is_empty());
    storage.stop().await;
}
