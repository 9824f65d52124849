//! Third-party platforms: what is newest, who may fetch, and what is kept together.

use std::time::Duration;

use uuid::Uuid;
use wxgate_crypto::push::{EncodingAesKey, PushToken};
use wxgate_crypto::{Digest, Random, Secret};
use wxgate_domain::{Platform, PlatformAppState, Tenant, TenantId, Timestamp, WechatAppid};
use wxgate_storage::{
    BroughtBy, Grant, LeasedToken, NewAuthorization, NewAuthorizationRequest, NewPlatform, NextToken, PushRenewal,
    Renewal, Storage, StorageError, TenantPlatforms,
};

use crate::support::{TestDatabase, app, tenant};

const PLATFORM: &str = "wxplatform";

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn appid(text: &str) -> WechatAppid {
    text.parse().unwrap()
}

fn new(random: &Random) -> NewPlatform {
    NewPlatform {
        appid: appid(PLATFORM),
        name: "Agency".to_owned(),
        secret: "first".parse().unwrap(),
        push_token: PushToken::generate(random),
        aes_key: EncodingAesKey::generate(random),
    }
}

async fn platform(storage: &Storage, of: &Tenant) -> Platform {
    named(storage, of, PLATFORM).await
}

async fn named(storage: &Storage, of: &Tenant, name: &str) -> Platform {
    let new = NewPlatform { appid: appid(name), ..new(&Random::seeded(7)) };
    let tx = storage.begin().await.unwrap();
    let platform = tx.tenant(of.id).platforms().add(new).await.unwrap();
    tx.commit().await.unwrap();
    platform
}

/// A platform of a tenant with an app, a ticket and an authorisation that waits; its secrets, as they must not lie about.
pub(crate) async fn furnish(storage: &Storage, of: &Tenant, number: u32) -> [&'static str; 5] {
    let platform = named(storage, of, &format!("wxplatform{number}")).await;
    let request = NewAuthorizationRequest {
        platform: platform.id,
        state: Digest::sha256(of.slug.as_str().as_bytes()),
        pre_auth_code: Digest::sha256(b"pre-auth"),
        actor: "console".to_owned(),
        appid: None,
        expires_at: Timestamp::from_millis(i64::MAX / 2),
    };
    let event = NewAuthorization {
        appid: appid("wxunasked"),
        code: secret("canary-code"),
        pre_auth_code: None,
        at: Timestamp::from_millis(1),
    };
    let token = secret("canary-component-token");
    let tx = storage.begin().await.unwrap();
    let rows = tx.tenant(of.id).platforms();
    rows.request(&request).await.unwrap();
    rows.note_ticket(&platform.appid, &secret("canary-ticket"), Timestamp::from_millis(1)).await.unwrap();
    rows.set_secret(&platform.appid, &"canary-component-secret".parse().unwrap()).await.unwrap();
    rows.renew_push(&platform.appid, PushRenewal { token: Renewal::Made, key: Renewal::Made }).await.unwrap();
    rows.note_authorization(platform.id, &event).await.unwrap();
    rows.grant(platform.id, &grant(&format!("wxparked{number}"), "canary-refresh-token"), false).await.unwrap();
    tx.commit().await.unwrap();
    let leased = LeasedToken::Platform(platform.id);
    let owner = Uuid::from_u128(1);
    let expires_at = of.created_at.plus(Duration::from_hours(2));
    let next = NextToken { token: &token, expires_at, refresh_token: None };
    let rows = storage.tenant(of.id).platforms();
    assert!(rows.lease(&leased, owner).await.unwrap() && rows.keep_token(&leased, owner, &next).await.unwrap());
    ["canary-code", "canary-component-token", "canary-ticket", "canary-component-secret", "canary-refresh-token"]
}

fn grant(of: &str, refresh_token: &str) -> Grant {
    Grant {
        appid: appid(of),
        refresh_token: secret(refresh_token),
        token: Some((secret("token"), Duration::from_hours(2))),
        permissions: Some(vec![17, 18]),
    }
}

/// Keeps a grant, and attaches the app.
async fn attach(storage: &Storage, platform: &Platform, of: &str) {
    let tx = storage.begin().await.unwrap();
    let scope = tx.tenant(platform.tenant);
    scope.apps().attach(&appid(of), &platform.appid).await.unwrap();
    scope.platforms().grant(platform.id, &grant(of, "refresh"), true).await.unwrap();
    tx.commit().await.unwrap();
}

fn rows(storage: &Storage, of: TenantId) -> TenantPlatforms {
    storage.tenant(of).platforms()
}

/// Only a ticket that WeChat wrote later takes the place of another.
pub(crate) async fn the_newest_ticket_stays(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let platform = platform(&storage, &acme).await;
    let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
    for (ticket, written, is_newer) in
        [("second", 20, true), ("first", 10, false), ("same", 20, false), ("third", 30, true)]
    {
        let tx = storage.begin().await.unwrap();
        let noted = tx.tenant(acme.id).platforms().note_ticket(&platform.appid, &secret(ticket), at(written)).await;
        tx.commit().await.unwrap();
        assert_eq!(noted.unwrap(), is_newer, "{ticket}");
    }
    let (component_secret, ticket) = rows(&storage, acme.id).secrets(platform.id).await.unwrap();
    assert_eq!((component_secret.expose(), ticket.unwrap().expose().as_str()), ("first", "third"));

    let tx = storage.begin().await.unwrap();
    tx.tenant(acme.id).platforms().set_secret(&platform.appid, &"second".parse().unwrap()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(rows(&storage, acme.id).secrets(platform.id).await.unwrap().0.expose(), "second");
    storage.stop().await;
}

/// Token and key before count beside the new ones until they are forgotten.
pub(crate) async fn token_and_key_of_a_platform_change_with_overlap(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let platform = platform(&storage, &acme).await;
    let keys = async || storage.platforms().with_push_keys(&platform.appid).await.unwrap().unwrap();
    let renew = async |token, key| {
        let tx = storage.begin().await.unwrap();
        let renewal = PushRenewal { token, key };
        let renewed = tx.tenant(acme.id).platforms().renew_push(&platform.appid, renewal).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(keys().await.0, renewed.0);
        renewed
    };
    let (_, first) = keys().await;
    let (shown, second) = renew(Renewal::Made, Renewal::Stays).await;
    assert_eq!((shown.has_previous_token, shown.has_previous_key), (true, false));
    assert_eq!((second.previous_token.as_ref(), &second.current), (Some(&first.token), &first.current));
    let key = EncodingAesKey::generate(&Random::seeded(8));
    let (shown, third) = renew(Renewal::Given(second.token.clone()), Renewal::Given(key.clone())).await;
    assert!(shown.has_previous_token && shown.has_previous_key);
    assert_eq!((&third.token, third.previous_token.as_ref()), (&second.token, Some(&first.token)), "no change");
    assert_eq!((&third.current, third.previous.as_ref()), (&key, Some(&first.current)));

    let tx = storage.begin().await.unwrap();
    let shown = tx.tenant(acme.id).platforms().forget_previous_push(&platform.appid).await.unwrap();
    tx.commit().await.unwrap();
    assert!(!shown.has_previous_token && !shown.has_previous_key);
    let (_, last) = keys().await;
    assert_eq!((last.token, last.previous_token, last.current, last.previous), (third.token, None, key, None));
    storage.stop().await;
}

/// One fetches at a time, and what somebody writes who holds the lease no more does not count.
pub(crate) async fn one_fetches_a_token_at_a_time(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let platform = platform(&storage, &acme).await;
    attach(&storage, &platform, "wxshop").await;
    let rows = rows(&storage, acme.id);
    let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    for of in [LeasedToken::Platform(platform.id), LeasedToken::App(platform.id, appid("wxshop"))] {
        assert!(rows.lease(&of, one).await.unwrap());
        assert!(!rows.lease(&of, other).await.unwrap(), "it is held");
        database.clock.advance(Duration::from_secs(16));
        assert!(rows.lease(&of, other).await.unwrap(), "whoever held it is gone");
        let (token, refresh_token) = (secret("next"), secret("next-refresh"));
        let is_app = matches!(of, LeasedToken::App(..));
        let next = NextToken {
            token: &token,
            expires_at: database.clock.now().plus(Duration::from_hours(2)),
            refresh_token: is_app.then_some(&refresh_token),
        };
        assert!(!rows.keep_token(&of, one, &next).await.unwrap(), "not any more");
        assert!(rows.keep_token(&of, other, &next).await.unwrap());
        let stored = rows.token(&of).await.unwrap();
        assert_eq!(stored.token.unwrap().0.expose(), "next");
        assert_eq!(stored.refresh_token.map(|token| token.expose().clone()), is_app.then(|| "next-refresh".to_owned()));
        // The lease went with the writing; one that fetched nothing is given back.
        assert!(rows.lease(&of, one).await.unwrap());
        rows.release(&of, other).await.unwrap();
        assert!(!rows.lease(&of, other).await.unwrap(), "nobody gives back what another holds");
        rows.release(&of, one).await.unwrap();
        assert!(rows.lease(&of, other).await.unwrap());
    }
    storage.stop().await;
}

async fn told(storage: &Storage, platform: &Platform, code: &str, seconds: i64) -> bool {
    let tx = storage.begin().await.unwrap();
    let event = NewAuthorization {
        appid: appid("wxshop"),
        code: secret(code),
        pre_auth_code: Some(Digest::sha256(b"pre-auth")),
        at: Timestamp::from_millis(seconds * 1_000),
    };
    let is_news = tx.tenant(platform.tenant).platforms().note_authorization(platform.id, &event).await.unwrap();
    tx.commit().await.unwrap();
    is_news
}

/// Events count in the order in which WeChat wrote them; a withdrawal takes the tokens and leaves the app.
pub(crate) async fn an_older_event_changes_nothing(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let platform = platform(&storage, &acme).await;
    let shop = appid("wxshop");
    let rows = rows(&storage, acme.id);
    assert!(told(&storage, &platform, "code", 20).await);
    assert!(!told(&storage, &platform, "again", 20).await && !told(&storage, &platform, "older", 10).await);
    assert_eq!(rows.code(platform.id, &shop).await.unwrap().unwrap().code.expose(), "code");
    assert_eq!(storage.platforms().pending(9).await.unwrap(), [(acme.id, platform.id, shop.clone())]);
    assert_eq!(rows.app(platform.id, &shop).await.unwrap().unwrap().state, PlatformAppState::Parked);

    attach(&storage, &platform, "wxshop").await;
    assert!(storage.platforms().pending(9).await.unwrap().is_empty());
    let app = storage.apps().find(&shop).await.unwrap().unwrap().app;
    assert_eq!(app.credential.component().unwrap().platform, platform.appid);
    let withdraw = async |seconds: i64| {
        let tx = storage.begin().await.unwrap();
        let at = Timestamp::from_millis(seconds * 1_000);
        let was = tx.tenant(acme.id).platforms().note_withdrawal(&platform, &shop, at).await.unwrap();
        tx.commit().await.unwrap();
        was
    };
    // What WeChat wrote well before the grant speaks of the time before it.
    let granted = database.clock.now().seconds();
    assert!(!withdraw(19).await && !withdraw(granted - 100).await);
    assert!(withdraw(granted + 30).await && !withdraw(granted + 31).await);
    let gone = rows.app(platform.id, &shop).await.unwrap().unwrap();
    assert_eq!((gone.state, gone.is_granted, gone.token_until), (PlatformAppState::Withdrawn, false, None));
    let app = storage.apps().find(&shop).await.unwrap().unwrap().app;
    assert_eq!(app.credential.component().unwrap().withdrawn_at, Some(database.clock.now()));
    assert!(told(&storage, &platform, "new", granted + 31).await);
    attach(&storage, &platform, "wxshop").await;
    let app = storage.apps().find(&shop).await.unwrap().unwrap().app;
    assert_eq!(app.credential.component().unwrap().withdrawn_at, None);
    storage.stop().await;
}

/// An authorisation counts once for the state that came back, and once for WeChat's event, in either order.
pub(crate) async fn a_request_counts_once(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let platform = platform(&storage, &acme).await;
    for (number, (first, second)) in
        (0..).zip([(BroughtBy::State, BroughtBy::Event), (BroughtBy::Event, BroughtBy::State)])
    {
        let request = NewAuthorizationRequest {
            platform: platform.id,
            state: Digest::sha256(&[number]),
            pre_auth_code: Digest::sha256(&[number, number]),
            actor: "console".to_owned(),
            appid: Some(appid("wxshop")),
            expires_at: database.clock.now().plus(Duration::from_mins(30)),
        };
        let tx = storage.begin().await.unwrap();
        tx.tenant(acme.id).platforms().request(&request).await.unwrap();
        tx.commit().await.unwrap();
        let id = storage.platforms().request(&request.state).await.unwrap().unwrap().id;
        let brought = async |of: &str, by: BroughtBy| {
            let tx = storage.begin().await.unwrap();
            let used = tx.tenant(acme.id).platforms().use_request(id, &appid(of), by).await.unwrap();
            tx.commit().await.unwrap();
            used.is_some()
        };
        assert!(!brought("wxother", first).await, "it was for another app");
        assert!(brought("wxshop", first).await && !brought("wxshop", first).await);
        // After the state nothing counts; after the event the state still has to come back, once.
        let both = first == BroughtBy::Event;
        assert_eq!((brought("wxshop", second).await, brought("wxshop", second).await), (both, false));
    }
    database.clock.advance(Duration::from_hours(25));
    storage.sweep().await.unwrap();
    assert!(storage.platforms().request(&Digest::sha256(&[0])).await.unwrap().is_none());
    storage.stop().await;
}

/// An app comes under a platform with its users and without its AppSecret, and leaves it for one; a platform stays as long
/// as it acts for somebody.
pub(crate) async fn an_app_changes_sides(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let platform = platform(&storage, &acme).await;
    let before = app(&storage, &acme, "wxshop").await;
    attach(&storage, &platform, "wxshop").await;
    let under = storage.apps().find(&before.appid).await.unwrap().unwrap().app;
    assert_eq!((under.id, under.credential.secret()), (before.id, None));

    let tx = storage.begin().await.unwrap();
    assert_eq!(
        tx.tenant(acme.id).platforms().remove(&platform.appid).await.unwrap(),
        std::slice::from_ref(&before.appid)
    );
    tx.tenant(acme.id).apps().rotate_secret(&before.appid, &"own".parse().unwrap(), true).await.unwrap();
    tx.commit().await.unwrap();
    let rows = rows(&storage, acme.id);
    assert_eq!(rows.app(platform.id, &before.appid).await.unwrap().unwrap().state, PlatformAppState::Parked);
    let tx = storage.begin().await.unwrap();
    tx.tenant(acme.id).platforms().unpark(platform.id, &before.appid).await.unwrap();
    drop(tx);
    let tx = storage.begin().await.unwrap();
    assert!(tx.tenant(acme.id).platforms().remove(&platform.appid).await.unwrap().is_empty());
    tx.commit().await.unwrap();
    assert!(storage.platforms().find(&platform.appid).await.unwrap().is_none());
    storage.stop().await;
}

/// Asked as another tenant, a platform and its apps are not there; and no platform takes another tenant's app.
pub(crate) async fn a_platform_is_one_tenants(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let platform = platform(&storage, &acme).await;
    attach(&storage, &platform, "wxshop").await;
    let theirs = rows(&storage, umbrella.id);
    let shop = appid("wxshop");
    let leased = LeasedToken::App(platform.id, shop.clone());
    assert!(theirs.find(&platform.appid).await.unwrap().is_none());
    assert!(theirs.app(platform.id, &shop).await.unwrap().is_none());
    assert!(theirs.apps(platform.id, None, 9).await.unwrap().is_empty());
    assert!(theirs.code(platform.id, &shop).await.unwrap().is_none());
    assert!(!theirs.lease(&leased, Uuid::from_u128(1)).await.unwrap());
    assert_eq!(theirs.token(&leased).await.unwrap_err(), StorageError::NotFound);
    assert_eq!(theirs.secrets(platform.id).await.unwrap_err(), StorageError::NotFound);
    let tx = storage.begin().await.unwrap();
    let others = tx.tenant(umbrella.id).platforms();
    let at = Timestamp::from_millis(0);
    let refused = [
        others.set_secret(&platform.appid, &"theirs".parse().unwrap()).await.map(drop).unwrap_err(),
        others.note_ticket(&platform.appid, &secret("theirs"), at).await.map(drop).unwrap_err(),
        others.remove(&platform.appid).await.map(drop).unwrap_err(),
        others.unpark(platform.id, &shop).await.unwrap_err(),
        others.renew_push(&platform.appid, PushRenewal::default()).await.map(drop).unwrap_err(),
        others.forget_previous_push(&platform.appid).await.map(drop).unwrap_err(),
    ];
    assert!(refused.iter().all(|error| *error == StorageError::NotFound), "{refused:?}");
    assert!(!others.note_withdrawal(&platform, &shop, at).await.unwrap());
    let attached = tx.tenant(umbrella.id).apps().attach(&shop, &platform.appid).await.unwrap_err();
    assert_eq!(attached, StorageError::NotUnique { constraint: "uq_app_appid".to_owned() });
    tx.commit().await.unwrap();
    let app = rows(&storage, acme.id).app(platform.id, &shop).await.unwrap().unwrap();
    assert_eq!((app.state, app.is_granted), (PlatformAppState::Attached, true));
    storage.stop().await;
}
