//! One thing of a request, and then another: so that what is wrong is told in one order.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

/// `A`, and only then `B`: whoever is nobody hears so, whatever they send.
pub(crate) struct Then<A, B>(pub(crate) A, pub(crate) B);

impl<A, B> FromRequest for Then<A, B>
where
    A: FromRequest + 'static,
    B: FromRequest<Error = A::Error> + 'static,
{
    type Error = A::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, A::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let first = A::from_request(&request, &mut payload).await?;
            Ok(Self(first, B::from_request(&request, &mut payload).await?))
        })
    }
}
