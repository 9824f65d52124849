//! WeChat's tokens that all nodes share: one node at a time fetches, and everybody has what it brought.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::Query;
use wxgate_crypto::user_data::SessionKey;
use wxgate_crypto::{Digest, Secret};
use wxgate_domain::{NewSession, Timestamp, WechatIdentity};
use wxgate_storage::{Report, SharedToken, Storage, StorageError};

use crate::support::{TestDatabase, app, tenant};

fn shared(token: &str, now: Timestamp) -> SharedToken {
    SharedToken { token: Secret::new(token.to_owned()), fetched_at: now, expires_at: now.plus(Duration::from_hours(2)) }
}

pub(crate) async fn one_node_fetches_a_token_and_all_share_it(database: TestDatabase) {
    let (one, other) = (database.started().await, database.started().await);
    let acme = tenant(&one, "acme").await;
    let shop = app(&one, &acme, "wx1").await;
    let (mine, theirs) = (one.tenant(acme.id).access_tokens(), other.tenant(acme.id).access_tokens());
    assert!(theirs.find(shop.id).await.unwrap().is_none());

    let lease = mine.lease(shop.id).await.unwrap().unwrap();
    assert!(theirs.lease(shop.id).await.unwrap().is_none() && mine.lease(shop.id).await.unwrap().is_none());
    let now = database.clock.now();
    assert!(mine.store(lease, &shared("89_first", now)).await.unwrap());
    let found = theirs.find(shop.id).await.unwrap().unwrap();
    assert_eq!((found.token.expose().as_str(), found.fetched_at), ("89_first", now));

    let lease = theirs.lease(shop.id).await.unwrap().unwrap();
    theirs.give_back(lease).await.unwrap();
    assert!(mine.lease(shop.id).await.unwrap().is_some(), "what was given back is free at once");
    one.stop().await;
    other.stop().await;
}

pub(crate) async fn a_node_whose_lease_ran_out_writes_nothing(database: TestDatabase) {
    let (slow, quick) = (database.started().await, database.started().await);
    let acme = tenant(&slow, "acme").await;
    let shop = app(&slow, &acme, "wx1").await;
    let (slow_tokens, quick_tokens) = (slow.tenant(acme.id).access_tokens(), quick.tenant(acme.id).access_tokens());

    let late = slow_tokens.lease(shop.id).await.unwrap().unwrap();
    database.clock.advance(Duration::from_secs(11));
    let lease = quick_tokens.lease(shop.id).await.unwrap().unwrap();
    let now = database.clock.now();
    assert!(!slow_tokens.store(late, &shared("89_late", now)).await.unwrap());
    assert!(slow_tokens.find(shop.id).await.unwrap().is_none());
    assert!(quick_tokens.store(lease, &shared("89_quick", now)).await.unwrap());
    assert_eq!(slow_tokens.find(shop.id).await.unwrap().unwrap().token.expose(), "89_quick");
    slow.stop().await;
    quick.stop().await;
}

pub(crate) async fn another_tenant_has_no_token_and_no_lease(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let shop = app(&storage, &acme, "wx1").await;
    fetch(&storage, acme.id, &shop, database.clock.now()).await;

    let theirs = storage.tenant(umbrella.id).access_tokens();
    assert!(theirs.find(shop.id).await.unwrap().is_none());
    assert_eq!(theirs.lease(shop.id).await.map(drop).unwrap_err(), StorageError::Dangling);
    storage.stop().await;
}

pub(crate) async fn one_report_of_a_dead_token_is_looked_into_in_a_minute_at_all_nodes(database: TestDatabase) {
    let (one, other) = (database.started().await, database.started().await);
    let (acme, umbrella) = (tenant(&one, "acme").await, tenant(&one, "umbrella").await);
    let shop = app(&one, &acme, "wx1").await;
    let (mine, theirs) = (one.tenant(acme.id).access_tokens(), other.tenant(acme.id).access_tokens());
    let [first, second] = ["89_first", "89_second"].map(|token| Digest::sha256(token.as_bytes()));
    assert_eq!(mine.report(shop.id, &first).await.unwrap(), Report::LookInto);
    let too_soon = theirs.report(shop.id, &first).await.unwrap();
    assert!(matches!(too_soon, Report::TooSoon(left) if left <= Duration::from_mins(1)), "{too_soon:?}");

    // WeChat agreed: nobody asks about this one again, and about another not yet. A sweep changes nothing of it.
    mine.note_dead(shop.id, &first).await.unwrap();
    one.sweep().await.unwrap();
    assert_eq!(theirs.report(shop.id, &first).await.unwrap(), Report::KnownDead);
    assert!(matches!(theirs.report(shop.id, &second).await.unwrap(), Report::TooSoon(_)));
    // Who fetches meanwhile is not in the way, nor are they in anyone's.
    fetch(&one, acme.id, &shop, database.clock.now()).await;
    assert!(theirs.find(shop.id).await.unwrap().is_some());
    database.clock.advance(Duration::from_secs(61));
    assert_eq!(theirs.report(shop.id, &second).await.unwrap(), Report::LookInto);
    assert!(matches!(mine.report(shop.id, &second).await.unwrap(), Report::TooSoon(_)));

    let strangers = one.tenant(umbrella.id).access_tokens();
    assert_eq!(strangers.report(shop.id, &first).await.unwrap_err(), StorageError::Dangling);
    strangers.note_dead(shop.id, &second).await.unwrap();
    assert!(matches!(mine.report(shop.id, &second).await.unwrap(), Report::TooSoon(_)));
    one.stop().await;
    other.stop().await;
}

pub(crate) async fn a_token_lies_sealed_and_goes_when_it_has_ended_or_its_app_goes(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let (shop, mall) = (app(&storage, &acme, "wx1").await, app(&storage, &acme, "wx2").await);
    for app in [&shop, &mall] {
        fetch(&storage, acme.id, app, database.clock.now()).await;
    }
    let raw = database.raw().await;
    let all = Query::select().column("sealed").from("access_token").to_owned();
    let rows = raw.query_all(&all).await.unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let sealed: Vec<u8> = row.try_get("", "sealed").unwrap();
        assert!(!sealed.windows(9).any(|window| window == b"89_canary"));
    }

    let tx = storage.begin().await.unwrap();
    tx.tenant(acme.id).apps().retire(&shop.appid).await.unwrap();
    tx.tenant(acme.id).apps().remove(&shop.appid).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(raw.query_all(&all).await.unwrap().len(), 1);
    database.clock.advance(Duration::from_secs(7_201));
    storage.sweep().await.unwrap();
    assert_eq!(raw.query_all(&all).await.unwrap().len(), 0);
    raw.close().await.unwrap();
    storage.stop().await;
}

async fn fetch(storage: &Storage, tenant: wxgate_domain::TenantId, app: &wxgate_domain::App, now: Timestamp) {
    let tokens = storage.tenant(tenant).access_tokens();
    let lease = tokens.lease(app.id).await.unwrap().unwrap();
    assert!(tokens.store(lease, &shared("89_canary", now)).await.unwrap());
}

pub(crate) async fn a_session_key_is_replaced_where_it_stands(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let shop = app(&storage, &acme, "wx1").await;
    let [first, second, third] = [1, 2, 3].map(|byte| SessionKey::from_bytes([byte; 16]));
    let login = |session_key: &SessionKey, now| {
        let (openid, session_key) = ("oAda".parse().unwrap(), session_key.clone());
        NewSession::of(&shop, &acme, WechatIdentity { openid, unionid: None, session_key }, now)
    };
    let (owner, other) = (storage.tenant(acme.id), storage.tenant(umbrella.id));
    let ada = "oAda".parse().unwrap();
    owner.open_session(login(&first, database.clock.now())).await.unwrap();
    database.clock.advance(Duration::from_mins(1));
    owner.open_session(login(&second, database.clock.now())).await.unwrap();

    let ring = async || owner.key_ring(shop.id, &ada, database.clock.now()).await.unwrap();
    assert!(ring().await == [second.clone(), first.clone()]);
    assert!(!other.replace_session_key(shop.id, &ada, &second, &third).await.unwrap());
    assert!(!owner.replace_session_key(shop.id, &ada, &third, &second).await.unwrap());
    assert!(owner.replace_session_key(shop.id, &ada, &second, &third).await.unwrap());
    // What the client got just before was sealed under the second one.
    assert!(ring().await == [third.clone(), second.clone(), first]);
    database.clock.advance(Duration::from_mins(1));
    let fourth = SessionKey::from_bytes([4; 16]);
    assert!(owner.replace_session_key(shop.id, &ada, &third, &fourth).await.unwrap());
    assert!(ring().await == [fourth.clone(), third.clone(), second], "two that were superseded, and no third");
    database.clock.advance(Duration::from_secs(9 * 60 + 1));
    assert!(ring().await == [fourth.clone(), third.clone()], "for ten minutes");
    database.clock.advance(Duration::from_mins(1));
    assert!(ring().await == [fourth]);
    storage.sweep().await.unwrap();
    let raw = database.raw().await;
    let left = Query::select().column("id").from("superseded_key").to_owned();
    assert!(raw.query_all(&left).await.unwrap().is_empty());
    raw.close().await.unwrap();
    storage.stop().await;
}
