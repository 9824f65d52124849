//! What a token costs: to sign, and to verify, under each algorithm.
//!
//! `cargo bench -p wxgate-token` runs it; `-- --quick` gives a first impression.
#![allow(clippy::unwrap_used, reason = "a bench may")]

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use wxgate_crypto::Random;
use wxgate_domain::{Clock, SessionId, SigningAlgorithm, SigningKeyState, Slug, StoredSigningKey, Timestamp, UserId};
use wxgate_token::{Expected, Grant, Issuer, KeyRing, SigningKey, Subject, VerifyingKeys, issue, verify};

const APPID: &str = "wx4f4bc4dec97d474b";

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for algorithm in SigningAlgorithm::ALL {
        tokens(&mut criterion, algorithm);
    }
    criterion.final_summary();
}

fn tokens(criterion: &mut Criterion, algorithm: SigningAlgorithm) {
    let (random, now) = (Random::seeded(1), Timestamp::from_millis(1_700_000_000_000));
    let key = SigningKey::generate(algorithm, now).unwrap();
    let ring = KeyRing::new(&[StoredSigningKey { state: SigningKeyState::Active, ..key }]).unwrap();
    let (tenant, app): (Slug, _) = ("acme".parse().unwrap(), APPID.parse().unwrap());
    let issuer = Issuer::new("https://auth.example.com", &tenant);
    let (user, session) = (UserId::new(now, &random), SessionId::new(now, &random));
    let subject = Subject::User {
        user,
        session,
        app: &app,
        audiences: &[],
        openid: None,
        unionid: None,
        external_id: None,
        phone: None,
    };
    let grant = Grant { tenant: &tenant, subject, scope: "user", life: Duration::from_mins(15) };
    criterion.bench_function(&format!("sign/{algorithm}"), |bencher| {
        bencher.iter(|| issue(&ring, &issuer, black_box(&grant), now, &random).unwrap());
    });

    let token = issue(&ring, &issuer, &grant, now, &random).unwrap().token;
    let keys = VerifyingKeys::from_jwks(ring.jwks().body().as_bytes()).unwrap();
    let (expected, clock) = (Expected { issuer: &issuer, audience: APPID }, Clock::manual(now));
    criterion.bench_function(&format!("verify/{algorithm}"), |bencher| {
        bencher.iter(|| verify(black_box(token.expose()), &keys, &expected, &clock).unwrap());
    });
}
