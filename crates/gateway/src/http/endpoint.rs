//! One address of a listener: the methods that it takes, who handles them, and what the API's document says of each. No
//! route is served without its description.

use std::borrow::Cow;

use actix_web::dev::Handler;
use actix_web::http::header;
use actix_web::{FromRequest, HttpResponse, Responder, Route, guard, web};

use super::openapi::about::About;

/// An address with everything that it takes.
pub(super) struct Endpoint {
    path: Cow<'static, str>,
    /// Where it begins, if it takes everything below, with any method.
    below: Option<&'static str>,
    is_quiet: bool,
    is_plain: bool,
    taken: Vec<Taken>,
}

/// Where a request was served, for whoever counts requests: to match it once more would cost more than the counting.
pub(super) struct Served {
    /// The pattern of the route's address.
    pub(super) pattern: Cow<'static, str>,
    /// Whether a request that went well is a line at `debug` only.
    pub(super) is_quiet: bool,
}

/// The end of a plain field in a pattern: printable ASCII without a slash.
const FIELD: &str = ":[!-.0-~]+}";

/// What is taken alike.
struct Taken {
    methods: &'static [&'static str],
    route: Route,
    about: Box<dyn Fn() -> About>,
}

impl Endpoint {
    /// An address that takes nothing yet, with fields in braces.
    pub(super) fn at<P: Into<Cow<'static, str>>>(path: P) -> Self {
        Self { path: path.into(), below: None, is_quiet: false, is_plain: false, taken: Vec::new() }
    }

    /// An address that takes any method, with anything after it.
    pub(super) fn below<F, Args>(prefix: &'static str, path: &'static str, handler: F, about: fn() -> About) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        Self { below: Some(prefix), ..Self::at(path) }.on(&["GET"], web::to(handler), about)
    }

    /// Keeps it out of the log at `info` where nothing is wrong: caches and probes ask for the same again and again, and
    /// the metrics count them.
    pub(super) fn quietly(self) -> Self {
        Self { is_quiet: true, ..self }
    }

    /// Knows no other fields than printable ASCII, as all ids and names of ours are: a pattern for all of Unicode takes
    /// twice the memory.
    pub(super) fn plainly(self) -> Self {
        Self { is_plain: true, ..self }
    }

    /// Takes GET, and HEAD with it.
    pub(super) fn get<F, Args>(self, handler: F, about: fn() -> About) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(&["GET", "HEAD"], web::to(handler), about)
    }

    /// Takes POST.
    pub(super) fn post<F, Args>(self, handler: F, about: fn() -> About) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(&["POST"], web::to(handler), about)
    }

    /// Takes PATCH.
    pub(super) fn patch<F, Args>(self, handler: F, about: fn() -> About) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(&["PATCH"], web::to(handler), about)
    }

    /// Takes DELETE.
    pub(super) fn delete<F, Args>(self, handler: F, about: fn() -> About) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(&["DELETE"], web::to(handler), about)
    }

    /// Takes these methods alike.
    pub(super) fn on(
        mut self,
        methods: &'static [&'static str],
        route: Route,
        about: impl Fn() -> About + 'static,
    ) -> Self {
        self.taken.push(Taken { methods, route, about: Box::new(about) });
        self
    }

    /// Its path.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// What is to be written of it, each method with its description. HEAD is GET without a body.
    pub(super) fn described(&self) -> impl Iterator<Item = (&'static str, About)> {
        let each = |taken: &Taken| {
            let methods = taken.methods.iter().filter(|method| **method != "HEAD");
            methods.map(|method| (*method, (taken.about)())).collect::<Vec<_>>()
        };
        self.taken.iter().flat_map(each)
    }

    /// Serves it; other methods than its own are told which ones it takes (RFC 9110 section 15.5.6).
    pub(super) fn serve(self, routes: &mut web::ServiceConfig) {
        if let Some(prefix) = self.below {
            let scope =
                self.taken.into_iter().fold(web::scope(prefix), |scope, taken| scope.default_service(taken.route));
            routes.service(scope);
            return;
        }
        let methods: Vec<_> = self.taken.iter().flat_map(|taken| taken.methods).copied().collect();
        let allow = methods.join(", ");
        let resource = web::resource(if self.is_plain { self.path.replace('}', FIELD) } else { self.path.to_string() });
        let resource = resource.app_data(Served { pattern: self.path, is_quiet: self.is_quiet });
        let resource = self.taken.into_iter().fold(resource, |resource, taken| {
            let takes = guard::fn_guard(move |request| taken.methods.contains(&request.head().method.as_str()));
            resource.route(taken.route.guard(takes))
        });
        routes.service(resource.default_service(web::to(move || std::future::ready(wrong_method(&allow)))));
    }
}

fn wrong_method(allow: &str) -> HttpResponse {
    HttpResponse::MethodNotAllowed().insert_header((header::ALLOW, allow)).finish()
}
