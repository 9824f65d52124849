use wxgate_domain::{RevocationEffect, RevokedSubject};
use wxgate_storage::NewRevocation;

use super::*;
use crate::service::testing::{House, START};

/// Asks until it is so; what is followed through a log takes a moment.
async fn until(so: impl Fn() -> bool) {
    let wait = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
}

async fn end(storage: &Storage, tenant: TenantId, session: SessionId, expires: Timestamp) {
    let news = NewRevocation {
        subject: RevokedSubject::Session(session),
        effect: RevocationEffect::Ended,
        expires: Some(expires),
    };
    let tx = storage.begin().await.unwrap();
    tx.tenant(tenant).revocations().record(&[news]).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_another_process_ends_is_heard_of_and_forgotten_in_time() {
    let house = House::new().await;
    let here = house.another_process().await;
    here.start().await.unwrap();
    let (revoked, follower) = Revoked::load(here.clone(), house.clock.clone()).await.unwrap();
    let following = tokio::spawn(follower.follow());
    let key: Kid = house.stored().await[0].kid.clone();
    let refuses = |session: SessionId| {
        let (tenant, key) = (Some(&house.tenant.slug), &key);
        let bearer = Bearer { session: Some(session), user: None, app: None, tenant, key };
        revoked.refuses(&bearer, house.clock.now())
    };
    let (ended, other) = (house.session().id, house.session().id);
    end(&house.storage, house.tenant.id, ended, START.plus(Duration::from_mins(15))).await;
    until(|| refuses(ended) == Ok(true)).await;
    assert_eq!(refuses(other), Ok(false));
    // Of another tenant, and more than one at once.
    let umbrella = house.another_tenant("umbrella").await;
    let more: Vec<_> = (0..20).map(|_| house.session().id).collect();
    for session in &more {
        end(&house.storage, umbrella.id, *session, START.plus(Duration::from_mins(15))).await;
    }
    until(|| more.iter().all(|session| refuses(*session) == Ok(true))).await;
    assert_eq!(refuses(other), Ok(false));

    house.clock.advance(Duration::from_mins(17));
    assert!(!revoked.forget_expired());
    assert!(revoked.0.set.read().unwrap().is_empty());
    here.stop().await;
    following.abort();
}

#[tokio::test]
async fn a_database_that_is_away_is_noticed() {
    let house = House::new().await;
    let here = house.another_process().await;
    here.start().await.unwrap();
    let (revoked, mut follower) = Revoked::load(here.clone(), house.clock.clone()).await.unwrap();
    let key: Kid = house.stored().await[0].kid.clone();
    let known = || {
        let bearer = Bearer { session: None, user: None, app: None, tenant: Some(&house.tenant.slug), key: &key };
        revoked.refuses(&bearer, house.clock.now())
    };
    assert_eq!(known(), Ok(false));
    here.stop().await;
    house.clock.advance(STALE + TICK);
    assert_eq!(known(), Err(NotKnown));
    let mut news = News { all: true, ..News::default() };
    assert!(follower.catch_up(&mut news).await.is_err());
    assert!(news.all, "what failed stays news");
    assert_eq!(known(), Err(NotKnown));
}

#[tokio::test]
async fn a_full_set_accepts_nobody() {
    let house = House::new().await;
    let (revoked, _follower) = Revoked::load(house.storage.clone(), house.clock.clone()).await.unwrap();
    let mut small = RevokedSet::new(1);
    for seq in 1..=2 {
        let _ = small.apply(&Revocation {
            seq,
            at: START,
            subject: RevokedSubject::Session(house.session().id),
            effect: RevocationEffect::Ended,
            expires: None,
        });
    }
    revoked.replace(small);
    let key: Kid = house.stored().await[0].kid.clone();
    let bearer = Bearer { session: None, user: None, app: None, tenant: Some(&house.tenant.slug), key: &key };
    assert_eq!(revoked.refuses(&bearer, START), Err(NotKnown));
}
