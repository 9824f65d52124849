//! The extractor for actix-web, in front of a handler.

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{App, test, web};
use wxgate_verifier::{Error, Verified, Verifier};

use crate::issuer::{Answer, FakeIssuer};
use crate::{builder, verifier};

async fn whoami(token: Verified) -> String {
    token.sub.clone()
}

async fn orders(token: Verified) -> Result<String, Error> {
    token.require("orders:read")?;
    Ok(token.into_claims().sub.clone())
}

/// Status, body and `WWW-Authenticate` of a request with these `Authorization` headers.
async fn get(verifier: Option<&Verifier>, path: &str, authorization: &[&str]) -> (StatusCode, String, Option<String>) {
    let app = App::new().route("/whoami", web::get().to(whoami)).route("/orders", web::get().to(orders));
    let app = match verifier {
        Some(verifier) => app.app_data(web::Data::new(verifier.clone())),
        None => app,
    };
    let app = test::init_service(app).await;
    let request = authorization
        .iter()
        .fold(test::TestRequest::get().uri(path), |request, value| request.append_header((AUTHORIZATION, *value)));
    let response = test::call_service(&app, request.to_request()).await;
    let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, challenge) = (response.status(), header(WWW_AUTHENTICATE));
    if !status.is_success() {
        assert_eq!(header(CACHE_CONTROL).as_deref(), Some("no-store"));
        assert_eq!(header(RETRY_AFTER).is_some(), status == StatusCode::SERVICE_UNAVAILABLE);
    }
    (status, String::from_utf8(test::read_body(response).await.to_vec()).unwrap(), challenge)
}

#[actix_web::test]
async fn a_handler_is_called_with_the_claims_of_a_valid_token() {
    let issuer = FakeIssuer::start().await;
    let (verifier, bearer) = (verifier(&issuer), format!("Bearer {}", issuer.token()));
    for _ in 0..2 {
        let (status, body, _) = get(Some(&verifier), "/whoami", &[&bearer]).await;
        assert_eq!((status, body), (StatusCode::OK, issuer.user.to_string()));
    }
}

#[actix_web::test]
async fn a_request_without_one_valid_token_never_reaches_the_handler() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(&issuer);
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
        let (got, body, told) = get(Some(&verifier), "/whoami", authorization).await;
        assert_eq!((got.as_u16(), body.as_str(), told.as_deref()), (status, "", Some(challenge)), "{authorization:?}");
    }
    // From nowhere but the header.
    let (status, ..) = get(Some(&verifier), &format!("/whoami?access_token={}", issuer.token()), &[]).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn a_scope_that_is_lacking_is_403_and_keys_that_are_not_there_are_503() {
    let issuer = FakeIssuer::start().await;
    let bearer = format!("Bearer {}", issuer.token());
    let (status, _, challenge) = get(Some(&verifier(&issuer)), "/orders", &[&bearer]).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(challenge.as_deref(), Some(r#"Bearer error="insufficient_scope", scope="orders:read""#));
    let allowed = format!("Bearer {}", issuer.token_with_scope("user orders:read"));
    assert_eq!(get(Some(&verifier(&issuer)), "/orders", &[&allowed]).await.0, StatusCode::OK);

    issuer.answer_keys(Answer(500, "", Vec::new()), 1);
    let down = builder(&issuer).build().unwrap();
    assert_eq!(get(Some(&down), "/whoami", &[&bearer]).await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[actix_web::test]
async fn a_route_without_a_verifier_lets_nobody_in() {
    let issuer = FakeIssuer::start().await;
    let (status, ..) = get(None, "/whoami", &[&format!("Bearer {}", issuer.token())]).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
}
