//! Which endpoint a request is for: one look-up of its path among all addresses of a listener, in whatever order they
//! stand. A word goes before a field.

use std::borrow::Cow;
use std::future::ready;
use std::rc::Rc;

use actix_web::dev::{Extensions, Service, ServiceFactory, ServiceRequest, ServiceResponse, always_ready};
use actix_web::http::{Method, header};
use actix_web::{HttpResponse, Route};
use futures_util::future::{LocalBoxFuture, TryFutureExt, try_join_all};

use super::code::Code;
use super::endpoint::{Endpoint, Taken};
use super::error::ApiError;

/// The endpoints of a listener, to be made ready for each thread that serves.
pub(super) struct Routes(pub(super) Vec<Endpoint>);

/// The endpoints of a listener, ready to serve.
pub(super) struct Router(matchit::Router<Rc<Place>>);

/// Where a request was served, for whoever counts requests or reads the fields of its address.
pub(super) struct Served {
    /// The pattern of the route's address.
    pub(super) pattern: Cow<'static, str>,
    /// Whether a request that went well is a line at `debug` only.
    pub(super) is_quiet: bool,
}

/// What serves one address.
struct Place {
    /// A [`Served`] for the request; none where everything below is taken, with any method.
    served: Option<Rc<Extensions>>,
    taken: Vec<(&'static [&'static str], Handling)>,
}

/// What serves a route.
type Handling = <Route as ServiceFactory<ServiceRequest>>::Service;

impl ServiceFactory<ServiceRequest> for Routes {
    type Response = ServiceResponse;
    type Error = actix_web::Error;
    type Config = ();
    type Service = Router;
    type InitError = ();
    type Future = LocalBoxFuture<'static, Result<Router, ()>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let places: Vec<_> = self.0.iter().map(|endpoint| (patterns(endpoint), place(endpoint))).collect();
        Box::pin(async move {
            let mut router = matchit::Router::new();
            for (patterns, place) in places {
                let place = Rc::new(place.await?);
                for pattern in patterns {
                    let inserted = router.insert(pattern, Rc::clone(&place));
                    inserted.map_err(|error| tracing::error!(%error, "two routes have one address"))?;
                }
            }
            Ok(Router(router))
        })
    }
}

/// The addresses of an endpoint: a field that takes the rest takes no empty one.
fn patterns(endpoint: &Endpoint) -> Vec<String> {
    match endpoint.below {
        Some(prefix) => vec![prefix.to_owned(), format!("{prefix}/"), format!("{prefix}/{{*rest}}")],
        None => vec![endpoint.path().to_owned()],
    }
}

/// Makes what serves an endpoint.
fn place(endpoint: &Endpoint) -> impl Future<Output = Result<Place, ()>> + use<> {
    let served = endpoint.below.is_none().then(|| {
        let mut data = Extensions::new();
        data.insert(Served { pattern: endpoint.path.clone(), is_quiet: endpoint.is_quiet });
        Rc::new(data)
    });
    let handling = |taken: &Taken| {
        let methods = taken.methods;
        taken.route.new_service(()).map_ok(move |handling| (methods, handling))
    };
    try_join_all(endpoint.taken.iter().map(handling)).map_ok(|taken| Place { served, taken })
}

impl Service<ServiceRequest> for Router {
    type Response = ServiceResponse;
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<ServiceResponse, actix_web::Error>>;

    always_ready!();

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        // With every escape undone but those of `/`, `%` and `+`.
        let Ok(place) = self.0.at(request.match_info().as_str()).map(|found| found.value) else {
            return Box::pin(ready(Ok(request.error_response(ApiError::from(Code::NotFound)))));
        };
        if let Some(served) = &place.served {
            request.add_data_container(Rc::clone(served));
        }
        match place.handling(request.method()) {
            Some(handling) => handling.call(request),
            None => Box::pin(ready(Ok(request.into_response(place.wrong_method())))),
        }
    }
}

impl Place {
    /// What serves a method.
    fn handling(&self, method: &Method) -> Option<&Handling> {
        let takes = |methods: &[&str]| self.served.is_none() || methods.contains(&method.as_str());
        self.taken.iter().find(|(methods, _)| takes(methods)).map(|(_, handling)| handling)
    }

    /// Tells which methods there are (RFC 9110 section 15.5.6).
    fn wrong_method(&self) -> HttpResponse {
        let methods: Vec<_> = self.taken.iter().flat_map(|(methods, _)| *methods).copied().collect();
        HttpResponse::MethodNotAllowed().insert_header((header::ALLOW, methods.join(", "))).finish()
    }
}

#[cfg(test)]
mod tests;
