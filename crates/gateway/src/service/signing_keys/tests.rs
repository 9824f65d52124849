//! Rotations as gateways and verifiers see them: each with a memory of its own, which is as old as it may be.

use std::collections::HashSet;
use std::time::Duration;

use wxgate_crypto::Secret;
use wxgate_domain::{SigningKeyState, Timestamp};
use wxgate_token::{Expected, KeyRing, VerifyError, VerifyingKeys, claims, verify};

use super::*;
use crate::service::testing::{House, START};

const HOUR: Duration = Duration::from_hours(1);

impl House {
    fn keys(&self) -> SigningKeys {
        SigningKeys { storage: self.storage.clone(), clock: self.clock.clone(), caller: Caller::system() }
    }

    async fn kid(&self, state: SigningKeyState) -> Kid {
        self.stored().await.into_iter().find(|key| key.state == state).unwrap().kid
    }

    /// A user's token, and when it ends.
    fn token(&self, ring: &KeyRing) -> (Secret<String>, Timestamp) {
        let token = self.issue(ring, self.user(&self.session()));
        (token.token, token.expires_at)
    }

    fn verify(&self, token: &Secret<String>, keys: &VerifyingKeys) -> Result<(), VerifyError> {
        let expected = Expected { issuer: &self.issuer, audience: self.app.as_str() };
        verify(token.expose(), keys, &expected, &self.clock).map(|_| ())
    }
}

/// A backend that reads the key set only when the five minutes of its copy are over, and never for an unknown key.
struct Verifier {
    keys: VerifyingKeys,
    fetched_at: Timestamp,
}

impl Verifier {
    fn of(ring: &KeyRing, now: Timestamp) -> Self {
        let keys = VerifyingKeys::from_jwks(ring.jwks().body().as_bytes()).unwrap();
        Self { keys, fetched_at: now }
    }
}

/// Security test 21: more than four days with a rotation by schedule and an early one, both old keys forgotten in the
/// end; tokens issued all the time by gateways that hear of a change minutes late, verified by backends that cache for max-age, from the first to the last second
/// of each token's life.
#[tokio::test]
async fn refuses_no_token_while_keys_rotate_under_verifiers_that_cache() {
    const STEP: Duration = Duration::from_secs(150);
    const MAX_AGE: Duration = Duration::from_mins(5);
    let house = House::new().await;
    let keys = house.keys();
    let mut gateways = [house.ring().await, house.ring().await];
    let mut verifiers: Vec<_> = (0..3).map(|n| Verifier::of(&gateways[0], START.minus(STEP * n))).collect();
    let mut alive: Vec<(Secret<String>, Timestamp)> = Vec::new();
    let (mut verified, mut signers) = (0, HashSet::new());

    for step in 0..2_544_usize {
        house.clock.advance(STEP);
        let now = house.clock.now();
        if step % 24 == 7 {
            keys.keep_all().await.unwrap();
        }
        if now.since(START) == 80 * HOUR {
            keys.rotate(house.tenant.id).await.unwrap();
        }
        gateways[step % 2] = house.ring().await;
        for verifier in &mut verifiers {
            if now.since(verifier.fetched_at) >= MAX_AGE {
                *verifier = Verifier::of(&gateways[(step + 1) % 2], now);
            }
        }
        let ending = |(_, ends): &(Secret<String>, Timestamp)| ends.since(now) < STEP;
        let (old, rest): (Vec<_>, Vec<_>) = alive.drain(..).partition(ending);
        alive = rest;
        // Now the one that has just read its keys, now the other.
        let gateway = &gateways[(step / 2) % 2];
        signers.insert(gateway.active().kid().clone());
        alive.push(house.token(gateway));
        for (token, _) in old.iter().chain(alive.last()) {
            for verifier in &verifiers {
                assert_eq!(house.verify(token, &verifier.keys), Ok(()), "after {:?}", now.since(START));
                verified += 1;
            }
        }
    }
    assert_eq!(signers.len(), 3, "the first key, one by schedule, one early");
    assert!(verified > 10_000, "{verified}");
    assert_eq!(house.stored().await.len(), 2, "the old keys were forgotten");
    house.storage.stop().await;
}

#[tokio::test]
async fn a_stolen_key_is_gone_at_once_and_cached_verifiers_take_its_successor() {
    let house = House::new().await;
    let before = house.ring().await;
    let cached = Verifier::of(&before, START);
    let (old, _) = house.token(&before);
    let stolen = house.kid(SigningKeyState::Active).await;
    let next = house.kid(SigningKeyState::Next).await;

    house.keys().retire(house.tenant.id, &stolen).await.unwrap();
    let after = house.ring().await;
    assert_eq!(after.active().kid(), &next);
    assert!(!after.jwks().body().contains(stolen.as_str()));
    let (new, _) = house.token(&after);
    assert_eq!(house.verify(&new, &cached.keys), Ok(()), "the successor was published before");
    let fresh = Verifier::of(&after, START);
    assert_eq!(house.verify(&old, &fresh.keys), Err(VerifyError::UnknownKey));
    assert_eq!(after.jwks().len(), 2, "somebody stands by again");
    let feed = house.storage.tenant(house.tenant.id).revocations().page(None, 10).await.unwrap();
    let [entry] = &feed.entries[..] else { panic!("{feed:?}") };
    assert_eq!((&entry.subject, entry.effect), (&RevokedSubject::Key(stolen.clone()), RevocationEffect::Ended));
    assert!(entry.expires.unwrap() > START.plus(claims::MAX_LIFE));

    let unknown = house.keys().retire(house.tenant.id, &stolen).await.unwrap_err();
    assert!(matches!(unknown, SigningKeyError::Move(KeyMoveError::Unknown)), "{unknown}");
    house.storage.stop().await;
}

/// The backup's `next` key may have signed after it, and have been stolen.
#[tokio::test]
async fn refuses_after_a_restore_whatever_a_key_of_the_backup_signed() {
    let house = House::new().await;
    let backup = house.stored().await;
    let (old, _) = house.token(&house.ring().await);
    house.keys().replace_all().await.unwrap();

    let stored = house.stored().await;
    let states: HashSet<_> = stored.iter().map(|key| key.state.as_str()).collect();
    assert_eq!((stored.len(), states), (2, HashSet::from(["active", "next"])));
    assert!(stored.iter().all(|key| backup.iter().all(|known| known.kid != key.kid)), "{stored:?}");
    let fresh = Verifier::of(&house.ring().await, START);
    assert_eq!(house.verify(&old, &fresh.keys), Err(VerifyError::UnknownKey));
    let feed = house.storage.tenant(house.tenant.id).revocations().page(None, 10).await.unwrap();
    for key in backup {
        let subject = RevokedSubject::Key(key.kid);
        assert!(feed.entries.iter().any(|entry| entry.subject == subject), "{feed:?}");
    }
    house.storage.stop().await;
}

#[tokio::test]
async fn a_ring_without_a_next_key_gets_one_also_in_an_emergency() {
    let house = House::new().await;
    let drop_next = async || {
        let next = house.kid(SigningKeyState::Next).await;
        let tx = house.storage.begin().await.unwrap();
        tx.tenant(house.tenant.id).signing_keys().forget(&next).await.unwrap();
        tx.commit().await.unwrap();
    };
    drop_next().await;
    house.keys().keep_all().await.unwrap();
    assert_eq!(house.stored().await.len(), 2);
    assert_eq!(house.keys().keep(house.tenant.id).await.unwrap(), [], "nothing is due twice");

    drop_next().await;
    let stolen = house.kid(SigningKeyState::Active).await;
    house.keys().retire(house.tenant.id, &stolen).await.unwrap();
    let left = house.stored().await;
    assert!(left.len() == 2 && left.iter().all(|key| key.kid != stolen), "{left:?}");

    let early = house.keys().rotate(house.tenant.id).await.unwrap_err();
    let until = START.plus(24 * HOUR);
    assert!(matches!(early, SigningKeyError::Move(KeyMoveError::NotYet { until: u }) if u == until), "{early}");
    house.storage.stop().await;
}

/// What the domain counts with is what the tokens are bound by.
#[test]
fn a_key_verifies_on_for_longer_than_any_token_lives() {
    assert!(key_rotation::VERIFIES_ON > claims::MAX_LIFE + wxgate_token::verify::LEEWAY);
}
