//! The layer for axum, in front of a router.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Request, StatusCode};
use axum::routing::get;
use tower::Service as _;
use wxgate_verifier::{Error, Verified, VerifyLayer};

use crate::issuer::{Answer, FakeIssuer};
use crate::verifier;

async fn whoami(token: Verified) -> String {
    token.sub.clone()
}

async fn orders(token: Verified) -> Result<String, Error> {
    token.require("orders:read")?;
    Ok(token.sub.clone())
}

fn routes() -> Router {
    Router::new().route("/whoami", get(whoami)).route("/orders", get(orders)).route("/static", get(|| async { "open" }))
}

/// Status, body and `WWW-Authenticate` of a request with these `Authorization` headers.
async fn call(mut routes: Router, path: &str, authorization: &[&str]) -> (StatusCode, String, Option<String>) {
    let request = authorization.iter().fold(Request::get(path), |request, value| request.header(AUTHORIZATION, *value));
    let response = routes.call(request.body(Body::empty()).unwrap()).await.unwrap();
    let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, challenge) = (response.status(), header(WWW_AUTHENTICATE));
    if !status.is_success() {
        assert_eq!(header(CACHE_CONTROL).as_deref(), Some("no-store"));
        assert_eq!(header(RETRY_AFTER).is_some(), status == StatusCode::SERVICE_UNAVAILABLE);
    }
    (status, String::from_utf8(to_bytes(response.into_body(), 1_000).await.unwrap().to_vec()).unwrap(), challenge)
}

#[tokio::test]
async fn a_handler_is_called_with_the_claims_of_a_valid_token() {
    let issuer = FakeIssuer::start().await;
    let (routes, bearer) = (routes().layer(VerifyLayer::new(verifier(&issuer))), format!("Bearer {}", issuer.token()));
    for _ in 0..2 {
        let (status, body, _) = call(routes.clone(), "/whoami", &[&bearer]).await;
        assert_eq!((status, body), (StatusCode::OK, issuer.user.to_string()));
    }
    assert_eq!(call(routes.clone(), "/static", &[&bearer]).await.1, "open");
}

#[tokio::test]
async fn a_request_without_one_valid_token_reaches_nothing_behind_the_layer() {
    let issuer = FakeIssuer::start().await;
    let routes = routes().layer(VerifyLayer::new(verifier(&issuer)));
    let bearer = format!("Bearer {}", issuer.token());
    let other = issuer.token_of(&issuer.ring(), &issuer.url().parse().unwrap(), "wxother", "user");
    let (invalid, twice) = (r#"Bearer error="invalid_token""#, r#"Bearer error="invalid_request""#);
    let cases: [(&[&str], u16, &str); 6] = [
        (&[], 401, "Bearer"),
        (&["Basic YTpi"], 401, "Bearer"),
        (&["Bearer e30.e30.e30"], 401, invalid),
        (&["Bearer "], 401, invalid),
        (&[&format!("Bearer {other}")], 401, invalid),
        (&[&bearer, &bearer], 400, twice),
    ];
    for (authorization, status, challenge) in cases {
        for path in ["/whoami", "/static"] {
            let (got, body, told) = call(routes.clone(), path, authorization).await;
            assert_eq!(
                (got.as_u16(), body.as_str(), told.as_deref()),
                (status, "", Some(challenge)),
                "{authorization:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_scope_that_is_lacking_is_403_and_keys_that_are_not_there_are_503() {
    let issuer = FakeIssuer::start().await;
    let guarded = || routes().layer(VerifyLayer::new(verifier(&issuer)));
    let bearer = format!("Bearer {}", issuer.token());
    let (status, _, challenge) = call(guarded(), "/orders", &[&bearer]).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(challenge.as_deref(), Some(r#"Bearer error="insufficient_scope", scope="orders:read""#));
    let allowed = format!("Bearer {}", issuer.token_with_scope("user orders:read"));
    assert_eq!(call(guarded(), "/orders", &[&allowed]).await.0, StatusCode::OK);

    issuer.answer_keys(Answer(500, "", Vec::new()), 1);
    assert_eq!(call(guarded(), "/whoami", &[&bearer]).await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_handler_without_the_layer_lets_nobody_in() {
    let issuer = FakeIssuer::start().await;
    let (status, ..) = call(routes(), "/whoami", &[&format!("Bearer {}", issuer.token())]).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
}
