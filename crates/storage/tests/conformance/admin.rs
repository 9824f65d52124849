//! What administrators write.

use wxgate_domain::{
    AppPolicy, AppSecrets, AppStatus, Credential, Profile, SecretState, SigningKeyState, TenantStatus, UserStatus,
    WechatAppid,
};
use wxgate_storage::{Storage, StorageError};

use crate::support::{TestDatabase, app, app_in_group, new_app, new_tenant, tenant, union_group};
use crate::support_rows as rows;

fn not_unique(error: &StorageError) -> &str {
    match error {
        StorageError::NotUnique { constraint } => constraint,
        other => panic!("{other}"),
    }
}

pub(crate) async fn what_was_written_comes_back(database: TestDatabase) {
    let storage = database.started().await;
    let new = new_tenant("acme");
    let made = [new.signing_key.clone(), new.next_key.clone()];
    let tx = storage.begin().await.unwrap();
    let acme = tx.tenants().create(new).await.unwrap();
    let group = tx.tenant(acme.id).union_groups().add("Acme Open Platform").await.unwrap();
    tx.tenant(acme.id).audiences().add(&"orders".parse().unwrap()).await.unwrap();
    let mut wanted = new_app("wxShop_1-2");
    wanted.union_group = Some(group.id);
    wanted.policy = AppPolicy { openid_claim: true, audiences: vec!["orders".to_owned()], ..AppPolicy::default() };
    let shop = tx.tenant(acme.id).apps().add(wanted.clone()).await.unwrap();
    tx.commit().await.unwrap();

    let stored = storage.apps().find(&shop.appid).await.unwrap().unwrap();
    assert_eq!((stored.app.id, stored.app.tenant, stored.app.union_group), (shop.id, acme.id, Some(group.id)));
    assert_eq!((stored.app.name.as_str(), stored.app.status), ("App wxShop_1-2", AppStatus::Enabled));
    assert_eq!(stored.app.policy, wanted.policy);
    assert_eq!(stored.tenant.slug, acme.slug);
    assert_eq!(stored.tenant.policy, acme.policy);
    let Credential::AppSecret(AppSecrets { current, previous }) = stored.credential else { panic!("no AppSecret") };
    assert_eq!((current.expose(), previous.is_none()), ("secret-of-wxShop_1-2", true));

    let found = storage.tenants().find(&acme.slug).await.unwrap().unwrap();
    assert_eq!((found.id, found.name.as_str(), found.created_at), (acme.id, "Tenant acme", database.clock.now()));
    assert_eq!(storage.tenants().get(acme.id).await.unwrap().slug, acme.slug);
    let scope = storage.tenant(acme.id);
    let keys = scope.signing_keys().await.unwrap();
    assert_eq!(keys.len(), 2);
    for (key, state) in made.iter().zip([SigningKeyState::Active, SigningKeyState::Next]) {
        let stored = keys.iter().find(|stored| stored.kid == key.kid).unwrap();
        assert_eq!((stored.algorithm, stored.state), (key.algorithm, state));
        assert_eq!(stored.private.expose(), key.private.expose());
        assert_eq!(stored.public_jwk, key.public_jwk);
    }
    assert_eq!(scope.union_groups().list().await.unwrap(), std::slice::from_ref(&group));
    assert_eq!(scope.union_groups().find("Acme Open Platform").await.unwrap(), Some(group));
    assert_eq!(scope.apps().list().await.unwrap().len(), 1);
    assert_eq!(scope.apps().find(&shop.appid).await.unwrap().unwrap().id, shop.id);
    assert_eq!(scope.refresh_keys(3).await.unwrap().restore_epoch(), 0);
    assert!(scope.refresh_keys(99).await.is_err());
    storage.stop().await;
}

pub(crate) async fn an_appid_belongs_to_one_tenant(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    app(&storage, &acme, "wx1").await;
    for owner in [&acme, &umbrella] {
        let tx = storage.begin().await.unwrap();
        let error = tx.tenant(owner.id).apps().add(new_app("wx1")).await.unwrap_err();
        assert_eq!(not_unique(&error), "uq_app_appid");
    }
    assert_eq!(storage.apps().find(&"wx1".parse().unwrap()).await.unwrap().unwrap().tenant.id, acme.id);
    storage.stop().await;
}

pub(crate) async fn slugs_and_group_names_are_taken_once(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let tx = storage.begin().await.unwrap();
    assert_eq!(not_unique(&tx.tenants().create(new_tenant("acme")).await.unwrap_err()), "uq_tenant_slug");
    drop(tx);
    union_group(&storage, &acme, "open").await;
    union_group(&storage, &acme, "Open").await;
    union_group(&storage, &umbrella, "open").await;
    let tx = storage.begin().await.unwrap();
    let error = tx.tenant(acme.id).union_groups().add("open").await.unwrap_err();
    assert_eq!(not_unique(&error), "uq_union_group_tenant_id_name");
    drop(tx);
    assert_eq!(storage.tenants().list().await.unwrap().len(), 2);
    storage.stop().await;
}

async fn secrets(storage: &Storage, appid: &WechatAppid) -> (String, Option<String>) {
    let stored = storage.apps().find(appid).await.unwrap().unwrap();
    let Credential::AppSecret(AppSecrets { current, previous }) = stored.credential else { panic!("no AppSecret") };
    (current.expose().to_owned(), previous.map(|secret| secret.expose().to_owned()))
}

pub(crate) async fn a_secret_is_rotated_through_two_slots(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let appid = app(&storage, &acme, "wx1").await.appid;
    // The one that WeChat accepted last is never pushed out by others.
    let rotations = [
        ("second", true, "secret-of-wx1", SecretState::Accepted),
        ("third", false, "second", SecretState::Pending),
        ("fourth", false, "second", SecretState::Pending),
        ("fifth", true, "second", SecretState::Accepted),
    ];
    for (new, is_accepted, expected, state) in rotations {
        let tx = storage.begin().await.unwrap();
        let app = tx.tenant(acme.id).apps().rotate_secret(&appid, &new.parse().unwrap(), is_accepted).await.unwrap();
        tx.commit().await.unwrap();
        let told = app.credential.secret().unwrap();
        assert_eq!((told.state, told.changed_at), (state, Some(database.clock.now())));
        assert_eq!(secrets(&storage, &appid).await, (new.to_owned(), Some(expected.to_owned())));
        let stored = storage.apps().find(&appid).await.unwrap().unwrap().app.credential;
        assert_eq!(stored, app.credential, "what is told is what is stored");
    }
    let tx = storage.begin().await.unwrap();
    tx.tenant(acme.id).apps().drop_previous_secret(&appid).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(secrets(&storage, &appid).await, ("fifth".to_owned(), None));
    storage.stop().await;
}

pub(crate) async fn statuses_and_the_only_enabled_app(database: TestDatabase) {
    let storage = database.started().await;
    assert_eq!(storage.apps().only_enabled().await.unwrap(), None);
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let first = app(&storage, &acme, "wx1").await.appid;
    assert_eq!(storage.apps().only_enabled().await.unwrap(), Some(first.clone()));
    let second = app(&storage, &umbrella, "wx2").await.appid;
    assert_eq!(storage.apps().only_enabled().await.unwrap(), None);

    let tx = storage.begin().await.unwrap();
    tx.tenant(acme.id).apps().set_status(&first, AppStatus::Disabled).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(storage.apps().find(&first).await.unwrap().unwrap().app.status, AppStatus::Disabled);
    assert_eq!(storage.apps().only_enabled().await.unwrap(), Some(second.clone()));

    let tx = storage.begin().await.unwrap();
    tx.tenants().set_status(umbrella.id, TenantStatus::Suspended).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(storage.apps().find(&second).await.unwrap().unwrap().tenant.status, TenantStatus::Suspended);
    assert_eq!(storage.apps().only_enabled().await.unwrap(), None);
    storage.stop().await;
}

pub(crate) async fn what_is_not_committed_never_was(database: TestDatabase) {
    let storage = database.started().await;
    let tx = storage.begin().await.unwrap();
    let acme = tx.tenants().create(new_tenant("acme")).await.unwrap();
    tx.tenant(acme.id).apps().add(new_app("wx1")).await.unwrap();
    drop(tx);
    assert!(storage.tenants().list().await.unwrap().is_empty());
    assert!(storage.apps().find(&"wx1".parse().unwrap()).await.unwrap().is_none());
    // Nor is anything of it in the way.
    let acme = tenant(&storage, "acme").await;
    app_in_group(&storage, &acme, "wx1", None).await;
    storage.stop().await;
}

pub(crate) async fn a_profile_is_laid_over_what_is_stored(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let raw = database.raw().await;
    let ada = rows::user(&raw, acme.id, database.clock.now()).await;
    let scope = storage.tenant(acme.id);
    scope.update_profile(ada, &Profile::shown(Some("Ada 💃"), Some("https://example.com/a.png"))).await.unwrap();
    scope.update_profile(ada, &Profile::shown(Some("爱达"), None)).await.unwrap();
    scope.update_profile(ada, &Profile::shown(None, None)).await.unwrap();
    let profile = scope.user(ada).await.unwrap().unwrap().profile;
    assert_eq!(profile.nickname.as_deref(), Some("爱达"));
    assert_eq!(profile.avatar_url.as_deref(), Some("https://example.com/a.png"));
    raw.close().await.unwrap();
    storage.stop().await;
}

pub(crate) async fn blocking_ends_sessions_for_good(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let raw = database.raw().await;
    let ada = rows::user(&raw, acme.id, database.clock.now()).await;
    for (status, epoch) in [(UserStatus::Blocked, 1), (UserStatus::Active, 1)] {
        let tx = storage.begin().await.unwrap();
        tx.tenant(acme.id).users().set_status(ada, status).await.unwrap();
        tx.commit().await.unwrap();
        let user = storage.tenant(acme.id).user(ada).await.unwrap().unwrap();
        assert_eq!((user.status, user.sessions_epoch), (status, epoch));
    }
    raw.close().await.unwrap();
    storage.stop().await;
}
