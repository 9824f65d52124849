//! Whose an appid is, what is known of its secret, and its end.

use std::time::Duration;

use wxgate_crypto::user_data::SessionKey;
use wxgate_domain::{
    App, AppStatus, JobState, NewSession, NodeId, RevocationEffect, RevokedSubject, SecretState, Task, Tenant,
    WechatAppid, WechatIdentity,
};
use wxgate_storage::{
    AppChange, AudienceUse, GroupMembers, NewApp, NewForwardAuthPolicy, Outcome, PushChange, Storage, StorageError,
};

use crate::support::{TestDatabase, app, audience, new_app, service_client, tenant, union_group};

const DAY: Duration = Duration::from_hours(24);

async fn add(storage: &Storage, tenant: &Tenant, new: NewApp) -> Result<App, StorageError> {
    let tx = storage.begin().await.unwrap();
    let app = tx.tenant(tenant.id).apps().add(new).await?;
    tx.commit().await.map(|()| app)
}

fn unproved(appid: &str) -> NewApp {
    NewApp { is_accepted: false, ..new_app(appid) }
}

async fn log_in(database: &TestDatabase, storage: &Storage, tenant: &Tenant, app: &App, openid: &str) {
    let session_key = SessionKey::from_bytes(database.random.bytes());
    let identity = WechatIdentity { openid: openid.parse().unwrap(), unionid: None, session_key };
    let new = NewSession::of(app, tenant, identity, database.clock.now());
    storage.tenant(tenant.id).open_session(new).await.unwrap();
}

async fn remove(storage: &Storage, tenant: &Tenant, appid: &WechatAppid) -> Vec<AudienceUse> {
    let tx = storage.begin().await.unwrap();
    let named_by = tx.tenant(tenant.id).apps().retire(appid).await.unwrap();
    if !named_by.is_empty() {
        return named_by;
    }
    tx.commit().await.unwrap();
    loop {
        let tx = storage.begin().await.unwrap();
        let removed = tx.tenant(tenant.id).apps().remove_identities(appid).await.unwrap();
        tx.commit().await.unwrap();
        if removed == 0 {
            break;
        }
    }
    let tx = storage.begin().await.unwrap();
    tx.tenant(tenant.id).apps().remove(appid).await.unwrap();
    tx.commit().await.unwrap();
    named_by
}

pub(crate) async fn a_registration_that_nobody_proved_owns_nothing(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let squatted = add(&storage, &umbrella, unproved("wx1")).await.unwrap();
    assert_eq!(squatted.credential.secret().unwrap().state, SecretState::Unverified);
    let named = storage.tenant(umbrella.id).audiences().first_not_owned(&["wx1"]).await.unwrap();
    assert_eq!(named.as_deref(), Some("wx1"));

    // Of two that nobody proved the first one stays, and one that WeChat accepts takes its place.
    let refused = add(&storage, &acme, unproved("wx1")).await.unwrap_err();
    assert!(matches!(refused, StorageError::NotUnique { .. }), "{refused}");
    let owned = add(&storage, &acme, new_app("wx1")).await.unwrap();
    assert!(storage.apps().of_id(squatted.id).await.unwrap().is_none());
    assert_eq!(storage.apps().find(&owned.appid).await.unwrap().unwrap().tenant.id, acme.id);
    assert!(add(&storage, &umbrella, new_app("wx1")).await.is_err());
    storage.stop().await;
}

pub(crate) async fn whoever_served_is_not_displaced(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let served = add(&storage, &umbrella, unproved("wx1")).await.unwrap();
    log_in(&database, &storage, &umbrella, &served, "oAda").await;
    assert!(add(&storage, &acme, new_app("wx1")).await.is_err(), "the login is the proof, noted or not");
    let note = async |seen: &App, is_accepted: bool| {
        let tx = storage.begin().await.unwrap();
        let apps = tx.tenant(umbrella.id).apps();
        let app =
            apps.note_secret(&seen.appid, &seen.credential.secret().unwrap().fingerprint, is_accepted).await.unwrap();
        tx.commit().await.unwrap();
        app.credential.secret().unwrap().state
    };
    assert_eq!(note(&served, false).await, SecretState::Unverified);
    assert_eq!(note(&served, true).await, SecretState::Accepted);
    // That WeChat still wants the one before is said of the secret that was tried, and of no other.
    assert_eq!(note(&served, false).await, SecretState::Pending);
    let tx = storage.begin().await.unwrap();
    tx.tenant(umbrella.id).apps().rotate_secret(&served.appid, &"second".parse().unwrap(), false).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(note(&served, true).await, SecretState::Pending);
    storage.stop().await;
}

pub(crate) async fn the_sweep_forgets_what_nobody_proved_and_secrets_that_are_over(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let (idle, served) = (add(&storage, &acme, unproved("wx1")).await.unwrap(), unproved("wx2"));
    let served = add(&storage, &acme, served).await.unwrap();
    log_in(&database, &storage, &acme, &served, "oAda").await;
    let rotated = app(&storage, &acme, "wx3").await;
    let pending = app(&storage, &acme, "wx4").await;
    for (app, is_accepted) in [(&rotated, true), (&pending, false)] {
        let tx = storage.begin().await.unwrap();
        let apps = tx.tenant(acme.id).apps();
        apps.rotate_secret(&app.appid, &"second".parse().unwrap(), is_accepted).await.unwrap();
        tx.commit().await.unwrap();
    }
    let previous = async |app: &App| {
        let stored = storage.apps().of_id(app.id).await.unwrap().unwrap().app;
        stored.credential.secret().unwrap().previous.clone()
    };

    database.clock.advance(Duration::from_mins(59));
    storage.sweep().await.unwrap();
    assert!(previous(&rotated).await.is_some() && storage.apps().of_id(idle.id).await.unwrap().is_some());
    database.clock.advance(Duration::from_mins(2));
    storage.sweep().await.unwrap();
    assert!(previous(&rotated).await.is_none() && previous(&pending).await.is_some());
    database.clock.advance(DAY);
    storage.sweep().await.unwrap();
    assert!(storage.apps().of_id(idle.id).await.unwrap().is_none(), "a day without a login");
    assert!(storage.apps().of_id(served.id).await.unwrap().is_some());
    assert!(previous(&pending).await.is_some(), "WeChat may still want it");
    storage.stop().await;
}

pub(crate) async fn a_removed_app_leaves_its_users_and_the_memory_of_its_appid(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let shop = app(&storage, &acme, "wx1").await;
    for guest in 0..300 {
        log_in(&database, &storage, &acme, &shop, &format!("o{guest}")).await;
    }
    let ada = storage.tenant(acme.id).users().of_openid(&shop.appid, &"o0".parse().unwrap()).await.unwrap().unwrap();
    let tx = storage.begin().await.unwrap();
    tx.tenant(acme.id).push_settings().set(&shop.appid, PushChange::default()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(remove(&storage, &acme, &shop.appid).await, []);
    assert!(storage.apps().find(&shop.appid).await.unwrap().is_none());
    assert!(storage.push_settings().of(&shop.appid).await.unwrap().is_empty());
    assert!(storage.tenant(acme.id).user(ada.id).await.unwrap().is_some());
    assert!(storage.tenant(acme.id).users().identities(&[ada.id]).await.unwrap().is_empty());
    let feed = storage.tenant(acme.id).revocations().page(None, 10).await.unwrap();
    let [ended] = &feed.entries[..] else { panic!("{feed:?}") };
    assert_eq!((&ended.subject, ended.effect), (&RevokedSubject::App(shop.appid.clone()), RevocationEffect::Ended));

    let refused = add(&storage, &umbrella, new_app("wx1")).await.unwrap_err();
    assert_eq!(refused, StorageError::NotUnique { constraint: "released_appid".to_owned() });
    add(&storage, &acme, new_app("wx1")).await.unwrap();
    let feed = storage.tenant(acme.id).revocations().page(None, 10).await.unwrap();
    assert_eq!(feed.entries.last().map(|entry| entry.effect), Some(RevocationEffect::Lifted), "its new tokens count");
    remove(&storage, &acme, &shop.appid).await;
    let moved = add(&storage, &umbrella, NewApp { may_move: true, ..new_app("wx1") }).await.unwrap();
    assert_eq!(moved.tenant, umbrella.id);
    storage.stop().await;
}

pub(crate) async fn an_app_goes_by_a_job_that_another_node_takes_over_and_that_spares_what_came_after_it(
    database: TestDatabase,
) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let (shop, other) = (app(&storage, &acme, "wx1").await, app(&storage, &acme, "wx2").await);
    let guests = 600;
    for guest in 0..guests {
        log_in(&database, &storage, &acme, &shop, &format!("o{guest}")).await;
    }
    log_in(&database, &storage, &acme, &other, "oAda").await;
    let node = || NodeId::new(database.clock.now(), &database.random);
    let remove = async || {
        let tx = storage.begin().await.unwrap();
        assert_eq!(tx.tenant(acme.id).apps().retire(&shop.appid).await.unwrap(), []);
        let task = Task::AppRemoval { app: shop.id, appid: shop.appid.clone() };
        let job = tx.jobs().add(Some(acme.id), task).await.unwrap();
        tx.commit().await.unwrap();
        job.id
    };
    let job = remove().await;
    let mut worker = storage.jobs().take_job(job, node()).await.unwrap().unwrap();
    for _ in 0..2 {
        assert_eq!(worker.piece().await.unwrap(), Outcome::More);
    }
    assert!(worker.job().total == guests && (1..guests).contains(&worker.job().done), "{:?}", worker.job());
    drop(worker);

    // Nobody brings it back meanwhile, and nobody names it.
    assert_eq!(remove().await, job, "asked for twice, it is one job");
    let tx = storage.begin().await.unwrap();
    let enabled = tx.tenant(acme.id).apps().set_status(&shop.appid, AppStatus::Enabled).await;
    assert_eq!(enabled.map(drop).unwrap_err(), StorageError::NotFound);
    drop(tx);
    let named = storage.tenant(acme.id).audiences().first_not_owned(&["wx1"]).await.unwrap();
    assert_eq!(named.as_deref(), Some("wx1"));

    database.clock.advance(Duration::from_secs(31));
    let mut worker = storage.jobs().take_job(job, node()).await.unwrap().unwrap();
    while worker.piece().await.unwrap() == Outcome::More {}
    assert_eq!((worker.job().state, worker.job().done), (JobState::Done, guests));
    assert!(storage.apps().find(&shop.appid).await.unwrap().is_none());
    assert!(storage.tenant(acme.id).users().of_openid(&other.appid, &"oAda".parse().unwrap()).await.unwrap().is_some());

    // A job that did not hear of its own end finds another app under the appid.
    let back = add(&storage, &acme, new_app("wx1")).await.unwrap();
    let tx = storage.begin().await.unwrap();
    let task = Task::AppRemoval { app: shop.id, appid: shop.appid.clone() };
    let late = tx.jobs().add(Some(acme.id), task).await.unwrap().id;
    tx.commit().await.unwrap();
    let mut worker = storage.jobs().take_job(late, node()).await.unwrap().unwrap();
    while worker.piece().await.unwrap() == Outcome::More {}
    assert_eq!(storage.apps().find(&shop.appid).await.unwrap().unwrap().app.id, back.id);
    storage.stop().await;
}

pub(crate) async fn what_is_named_or_lived_in_is_not_removed(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let shop = app(&storage, &acme, "wx1").await;
    audience(&storage, &acme, "orders").await;
    let (client, _) = service_client(&storage, &acme, "Orders").await;
    let tx = storage.begin().await.unwrap();
    let scope = tx.tenant(acme.id);
    for (name, audience) in [("shop", "wx1"), ("api", "orders")] {
        let (name, audience) = (name.parse().unwrap(), audience.parse().unwrap());
        scope.forward_auth_policies().add(NewForwardAuthPolicy { name, audience, scopes: vec![] }).await.unwrap();
    }
    let named = |client: wxgate_domain::ServiceClient| {
        let policy =
            wxgate_domain::ServiceClientPolicy { exchange_to: vec!["orders".parse().unwrap()], ..client.policy };
        Ok::<_, StorageError>((client.name, policy))
    };
    scope.service_clients().change(&client.id, named).await.unwrap();
    let own = |app: App| {
        let mut change = AppChange::from(app);
        change.policy.audiences = vec!["orders".to_owned(), "wx1".to_owned()];
        Ok::<_, StorageError>(change)
    };
    scope.apps().change(&shop.appid, own).await.unwrap();
    tx.commit().await.unwrap();

    let policy = |name: &str| AudienceUse::ForwardAuthPolicy(name.parse().unwrap());
    let tx = storage.begin().await.unwrap();
    let uses = tx.tenant(acme.id).audiences().remove(&"orders".parse().unwrap()).await.unwrap();
    assert_eq!(uses, [AudienceUse::App(shop.appid.clone()), policy("api"), AudienceUse::ServiceClient(client.id)]);
    assert_eq!(tx.tenant(acme.id).apps().retire(&shop.appid).await.unwrap(), [policy("shop")]);
    drop(tx);
    assert_eq!(storage.apps().find(&shop.appid).await.unwrap().unwrap().app.status, AppStatus::Enabled);

    let group = union_group(&storage, &acme, "open").await;
    let bound = add(&storage, &acme, NewApp { union_group: Some(group.id), ..new_app("wx2") }).await.unwrap();
    let tx = storage.begin().await.unwrap();
    let members = tx.tenant(acme.id).union_groups().remove(group.id).await.unwrap();
    assert_eq!((members.apps, members.people), (1, 0));
    let free = |app: App| Ok::<_, StorageError>(AppChange { union_group: None, ..app.into() });
    tx.tenant(acme.id).apps().change(&bound.appid, free).await.unwrap();
    assert_eq!(tx.tenant(acme.id).union_groups().remove(group.id).await.unwrap(), GroupMembers::default());
    tx.commit().await.unwrap();
    assert!(storage.union_groups().of_id(group.id).await.unwrap().is_none());
    storage.stop().await;
}

pub(crate) async fn lists_come_in_pages_of_one_tenant_or_of_all(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    for (owner, appid) in [(&acme, "wx1"), (&umbrella, "wx2"), (&acme, "wx3")] {
        app(&storage, owner, appid).await;
    }
    let appids = |page: Vec<wxgate_storage::StoredApp>| {
        page.into_iter().map(|found| found.app.appid.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(appids(storage.apps().page(None, None, 2).await.unwrap()), ["wx1", "wx2"]);
    assert_eq!(appids(storage.apps().page(None, Some("wx2"), 2).await.unwrap()), ["wx3"]);
    assert_eq!(appids(storage.apps().page(Some(acme.id), None, 9).await.unwrap()), ["wx1", "wx3"]);
    for name in ["a", "b"] {
        audience(&storage, &acme, name).await;
        service_client(&storage, &umbrella, name).await;
        union_group(&storage, &umbrella, name).await;
    }
    assert_eq!(storage.audiences().page(None, Some("a"), 9).await.unwrap().len(), 1);
    assert_eq!(storage.audiences().page(Some(umbrella.id), None, 9).await.unwrap(), []);
    let clients = storage.service_clients().page(None, None, 1).await.unwrap();
    let rest = storage.service_clients().page(Some(umbrella.id), Some(clients[0].id.as_str()), 9).await.unwrap();
    assert_eq!((clients.len(), rest.len()), (1, 1));
    assert!(storage.service_clients().page(Some(acme.id), None, 9).await.unwrap().is_empty());
    let groups = storage.union_groups().page(None, None, 9).await.unwrap();
    assert_eq!(storage.union_groups().page(None, Some(groups[0].id), 9).await.unwrap(), groups[1..]);
    assert_eq!(storage.union_groups().page(Some(acme.id), None, 9).await.unwrap(), []);
    assert!(storage.forward_auth_policies().page(None, None, 9).await.unwrap().is_empty());
    let slugs = storage.tenants().slugs(&[acme.id, umbrella.id].into()).await.unwrap();
    assert_eq!((slugs.len(), &slugs[&acme.id]), (2, &acme.slug));
    storage.stop().await;
}
