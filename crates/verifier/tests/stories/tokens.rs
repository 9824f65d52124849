//! Which tokens pass, and that a token that passed once is not believed for ever.

use std::sync::Arc;
use std::time::Duration;

use wxgate_token::crypto::encoding;
use wxgate_token::domain::{SigningAlgorithm, SigningKeyState, StoredSigningKey};
use wxgate_token::{Issuer, KeyRing, SigningKey};
use wxgate_verifier::{Error, Verifier, VerifyError};

use crate::issuer::{APPID, FakeIssuer};
use crate::{builder, verifier};

async fn refused(verifier: &Verifier, token: &str) -> Error {
    verifier.verify(token).await.unwrap_err()
}

#[tokio::test]
async fn a_token_says_who_it_is_and_is_the_same_the_second_time() {
    let issuer = FakeIssuer::start().await;
    let (verifier, token) = (verifier(&issuer), issuer.token());
    let claims = verifier.verify(&token).await.unwrap();
    assert_eq!((claims.user(), claims.sid), (Some(issuer.user), Some(issuer.session)));
    assert_eq!((claims.iss.as_str(), claims.client_id.as_str()), (issuer.url(), APPID));
    let again = verifier.verify(&token).await.unwrap();
    assert!(Arc::ptr_eq(&claims, &again), "it was not verified anew");
    assert_eq!(issuer.keys_asked(), 1);
}

#[tokio::test]
async fn an_expired_token_is_refused_also_if_it_was_seen_before() {
    let issuer = FakeIssuer::start().await;
    let (verifier, token) = (verifier(&issuer), issuer.token());
    let claims = verifier.verify(&token).await.unwrap();
    let left = Duration::from_secs(u64::try_from(claims.exp - claims.iat).unwrap());
    issuer.clock.advance(left + Duration::from_secs(29));
    assert!(verifier.verify(&token).await.is_ok(), "clocks differ");
    issuer.clock.advance(Duration::from_secs(1));
    assert_eq!(refused(&verifier, &token).await, VerifyError::Expired.into());
    issuer.clock.advance(Duration::from_hours(10));
    assert_eq!(refused(&verifier, &token).await, VerifyError::Expired.into());
}

#[tokio::test]
async fn a_token_of_another_audience_issuer_or_tenant_is_refused() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(&issuer);
    let (ring, own) = (issuer.ring(), issuer.url().parse::<Issuer>().unwrap());
    let other_app = issuer.token_of(&ring, &own, "wxother", "user");
    assert_eq!(refused(&verifier, &other_app).await, VerifyError::Audience.into());
    // With our own keys, as if all tenants stood in one set.
    for url in [issuer.url().replace("acme", "other"), "https://login.example.com/t/acme".to_owned()] {
        let token = issuer.token_of(&ring, &url.parse().unwrap(), APPID, "user");
        assert_eq!(refused(&verifier, &token).await, VerifyError::Issuer.into(), "{url}");
    }
    let both = builder(&issuer).or_audience("wxother").build().unwrap();
    assert!(both.verify(&other_app).await.is_ok() && both.verify(&issuer.token()).await.is_ok());
}

#[tokio::test]
async fn a_token_that_was_tampered_with_is_refused_and_never_kept() {
    let issuer = FakeIssuer::start().await;
    let (verifier, token) = (verifier(&issuer), issuer.token());
    verifier.verify(&token).await.unwrap();
    let parts: Vec<_> = token.split('.').collect();
    let header = |typ: &str, alg: &str| {
        let kid = issuer.ring().active().kid().to_string();
        encoding::to_base64url(format!(r#"{{"typ":"{typ}","alg":"{alg}","kid":"{kid}"}}"#))
    };
    let forged = [
        (format!("{}.{}.", header("at+jwt", "none"), parts[1]), VerifyError::Algorithm),
        (format!("{}.{}.{}", header("at+jwt", "HS256"), parts[1], parts[2]), VerifyError::Algorithm),
        (format!("{}.{}.{}", header("at+jwt", "RS256"), parts[1], parts[2]), VerifyError::Algorithm),
        (format!("{}.{}.{}", header("JWT", "ES256"), parts[1], parts[2]), VerifyError::Type),
        (format!("{}.{}.{}", header("secevent+jwt", "ES256"), parts[1], parts[2]), VerifyError::Type),
        (format!("{}.{}.{}", parts[0], encoding::to_base64url("{}"), parts[2]), VerifyError::Signature),
        (format!("{token}.e30.e30"), VerifyError::Malformed),
        (format!("{token}{}", "A".repeat(10_000)), VerifyError::Malformed),
        (format!(" {token}"), VerifyError::Malformed),
        (String::new(), VerifyError::Malformed),
    ];
    for (token, error) in forged {
        for _ in 0..2 {
            assert_eq!(refused(&verifier, &token).await, error.into(), "{token}");
        }
    }
    assert_eq!(issuer.keys_asked(), 1);
}

#[tokio::test]
async fn a_token_signed_by_a_strangers_key_is_refused() {
    let issuer = FakeIssuer::start().await;
    let stranger = SigningKey::generate(SigningAlgorithm::ES256, issuer.clock.now()).unwrap();
    let ring = KeyRing::new(&[StoredSigningKey { state: SigningKeyState::Active, ..stranger }]).unwrap();
    let token = issuer.token_of(&ring, &issuer.url().parse().unwrap(), APPID, "user");
    assert_eq!(refused(&verifier(&issuer), &token).await, VerifyError::UnknownKey.into());
}

#[tokio::test]
async fn a_token_without_the_scope_is_refused_and_told_which() {
    let issuer = FakeIssuer::start().await;
    let verifier = builder(&issuer).require_scope("user").require_scope("orders:read").build().unwrap();
    let error = refused(&verifier, &issuer.token()).await;
    assert_eq!((error.status(), &error), (403, &Error::Scope("orders:read".to_owned())));
    for _ in 0..2 {
        assert!(verifier.verify(&issuer.token_with_scope("orders:read user")).await.is_ok());
        assert!(verifier.verify(&issuer.token_with_scope("orders:readx user")).await.is_err());
    }
}

#[tokio::test]
async fn nothing_is_kept_where_that_is_asked_for() {
    let issuer = FakeIssuer::start().await;
    let (verifier, token) = (builder(&issuer).cached_tokens(0).build().unwrap(), issuer.token());
    let (one, other) = (verifier.verify(&token).await.unwrap(), verifier.verify(&token).await.unwrap());
    assert!(one == other && !Arc::ptr_eq(&one, &other));
}
