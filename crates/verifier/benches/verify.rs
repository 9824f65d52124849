//! What a request costs to verify: beside a hash for a token that was seen before, beside a bare signature check for one
//! that was not.
//!
//! `cargo bench -p wxgate-verifier` runs it; `-- --quick` gives a first impression.
#![allow(clippy::unwrap_used, dead_code, reason = "a bench may, and its issuer knows more than it needs")]

#[path = "../tests/support/issuer.rs"]
mod issuer;

use std::hint::black_box;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use criterion::Criterion;
use tokio::runtime::{Builder, Runtime};
use wxgate_token::crypto::{Digest, encoding};
use wxgate_verifier::{Feed, Verifier};

use crate::issuer::{APPID, FakeIssuer, SECRET};

fn main() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let issuer = runtime.block_on(FakeIssuer::start());
    let mut criterion = Criterion::default().configure_from_args();
    seen_before(&mut criterion, &runtime, &issuer);
    new(&mut criterion, &runtime, &issuer);
    criterion.final_summary();
}

fn seen_before(criterion: &mut Criterion, runtime: &Runtime, issuer: &FakeIssuer) {
    let token = issuer.token();
    criterion.bench_function("seen before/SHA-256 of the token", |bencher| {
        bencher.iter(|| Digest::sha256(black_box(token.as_bytes())));
    });
    let verifier = Verifier::builder(issuer.url(), APPID).clock(issuer.clock.clone()).build().unwrap();
    let verify = || runtime.block_on(verifier.verify(black_box(&token))).unwrap();
    criterion.bench_function("seen before/verify", |bencher| bencher.iter(verify));

    let feed = Feed::new(issuer.client.as_str(), SECRET);
    let _inside = runtime.enter();
    let builder = Verifier::builder(issuer.url(), APPID).clock(issuer.clock.clone());
    let following = builder.follow(feed).build().unwrap();
    runtime.block_on(following.ready()).unwrap();
    let verify = || runtime.block_on(following.verify(black_box(&token))).unwrap();
    criterion.bench_function("seen before/verify and ask the feed", |bencher| bencher.iter(verify));
}

fn new(criterion: &mut Criterion, runtime: &Runtime, issuer: &FakeIssuer) {
    let token = issuer.token();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = encoding::base64url(signature).unwrap();
    let key = public_key(issuer);
    criterion.bench_function("new/bare signature check", |bencher| {
        bencher.iter(|| key.verify_sig(black_box(message.as_bytes()), &signature).unwrap());
    });
    let builder = Verifier::builder(issuer.url(), APPID).clock(issuer.clock.clone()).cached_tokens(0);
    let verifier = builder.build().unwrap();
    let verify = || runtime.block_on(verifier.verify(black_box(&token))).unwrap();
    criterion.bench_function("new/verify", |bencher| bencher.iter(verify));
}

/// The issuer's key, parsed for nothing but this.
fn public_key(issuer: &FakeIssuer) -> ParsedPublicKey {
    let ring = issuer.ring();
    let coordinates = |document: &str| {
        let kid = ring.active().kid().as_str();
        let jwk = document.split('{').find(|jwk| jwk.contains(kid)).unwrap().to_owned();
        ["x", "y"].map(|name| {
            let text = jwk.split(&format!("\"{name}\":\"")).nth(1).unwrap().split('"').next().unwrap().to_owned();
            encoding::base64url(&text).unwrap()
        })
    };
    let [x, y] = coordinates(ring.jwks().body());
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [vec![4], x, y].concat()).unwrap()
}
