//! The extractor for actix-web: a handler that takes [`Verified`] is never called without a valid token.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError, web};

use crate::bearer;
use crate::error::Error;
use crate::verified::Verified;
use crate::verifier::Verifier;

/// The verifier comes from `App::app_data(web::Data::new(verifier))`; without it every request is refused with 500.
impl FromRequest for Verified {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let verifier = request.app_data::<web::Data<Verifier>>().cloned();
        let values = request.headers().get_all(header::AUTHORIZATION).map(header::HeaderValue::as_bytes);
        let token = bearer::token(values).map(str::to_owned);
        Box::pin(async move {
            let Some(verifier) = verifier else {
                tracing::error!("no Verifier in the application's data: add App::app_data(web::Data::new(verifier))");
                return Err(Error::NotSetUp);
            };
            verifier.verify(&token?).await.map(Self::new)
        })
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status()).unwrap_or(StatusCode::UNAUTHORIZED)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if let Some(challenge) = self.challenge() {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        if let Some(seconds) = self.retry_after() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        response.finish()
    }
}
