//! One address of a listener: the methods that it takes, who handles them, and what the API's document says of each. No
//! route is served without its description.

use std::borrow::Cow;

use actix_web::dev::Handler;
use actix_web::{FromRequest, Responder, Route, web};

use super::openapi::about::About;

/// An address with everything that it takes.
pub(super) struct Endpoint {
    /// With fields in braces, each a whole segment.
    pub(super) path: Cow<'static, str>,
    /// Where it begins, if it takes everything below, with any method.
    pub(super) below: Option<&'static str>,
    /// Whether a request that went well is a line at `debug` only.
    pub(super) is_quiet: bool,
    /// What it takes.
    pub(super) taken: Vec<Taken>,
}

/// What is taken alike.
pub(super) struct Taken {
    /// The names of the methods.
    pub(super) methods: &'static [&'static str],
    /// Who handles them.
    pub(super) route: Route,
    about: Box<dyn Fn() -> About>,
}

impl Endpoint {
    /// An address that takes nothing yet, with fields in braces.
    pub(super) fn at<P: Into<Cow<'static, str>>>(path: P) -> Self {
        Self { path: path.into(), below: None, is_quiet: false, taken: Vec::new() }
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
}
