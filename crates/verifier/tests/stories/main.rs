//! The verifier as a downstream service meets it: against an issuer on this machine that signs, rotates, revokes and fails.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

#[path = "../support/issuer.rs"]
mod issuer;

mod actix;
mod axum;
mod building;
mod feed;
mod keys;
mod tokens;

use issuer::{APPID, FakeIssuer};
use wxgate_verifier::{Builder, Verifier};

/// A verifier of this issuer's tokens, with its clock.
fn builder(issuer: &FakeIssuer) -> Builder {
    Verifier::builder(issuer.url(), APPID).clock(issuer.clock.clone())
}

fn verifier(issuer: &FakeIssuer) -> Verifier {
    builder(issuer).build().unwrap()
}
