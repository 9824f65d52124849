//! The answers that an entry of the document lists: the good ones, and every failure with its codes.

use std::collections::BTreeMap;

use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Content, Header, Ref, RefOr, Response, Responses};

use super::about::{one_of, string};
use super::schema::Schemas;
use crate::http::code::Code;
use crate::http::error::Problem;
use crate::http::oauth::code::OAuthCode;
use crate::http::oauth::error::OAuthProblem;
use crate::http::tutorial::TutorialFailure;

/// Which listener an entry is for: what stands at its entrance can refuse anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listener {
    Public,
    Admin,
}

/// What a failure looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shape {
    #[default]
    Problem,
    OAuth,
    Tutorial,
    /// That of an app's clients, or a problem where it is not known whose they are.
    Foreign,
    Text,
}

/// The answers of one entry.
#[derive(Default)]
pub(super) struct Answers {
    good: BTreeMap<u16, Response>,
    shape: Shape,
    pub(super) codes: Vec<Code>,
    pub(super) oauth_codes: Vec<OAuthCode>,
}

/// A failure as the document tells of it: its name, and what it means.
type Failure = (&'static str, &'static str);

impl Answers {
    /// Adds a good one.
    pub(super) fn good(&mut self, status: u16, response: Response) {
        self.good.insert(status, response);
    }

    /// Adds a header to a good one.
    pub(super) fn header(&mut self, status: u16, name: &str, header: Header) {
        if let Some(response) = self.good.get_mut(&status) {
            response.headers.insert(name.to_owned(), RefOr::T(header));
        }
    }

    /// What its failures look like.
    pub(super) fn shape(&mut self, shape: Shape) {
        self.shape = shape;
    }

    /// All of them.
    pub(super) fn write(mut self, listener: Listener, schemas: &mut Schemas) -> Responses {
        self.at_the_entrance(listener);
        let mut failures: BTreeMap<u16, Vec<Failure>> = BTreeMap::new();
        let mut challenged: BTreeMap<u16, bool> = BTreeMap::new();
        for code in &self.codes {
            let status = code.status().as_u16();
            failures.entry(status).or_default().push((code.name(), code.title()));
            *challenged.entry(status).or_default() |= code.challenge().is_some();
        }
        for code in &self.oauth_codes {
            let status = code.status().as_u16();
            failures.entry(status).or_default().push((code.error(), code.description()));
            *challenged.entry(status).or_default() |= *code == OAuthCode::ClientInvalid;
        }
        let mut responses = Responses::new();
        for (status, response) in self.good {
            responses.responses.insert(status.to_string(), RefOr::T(response));
        }
        for (status, mut failures) in failures {
            failures.sort_unstable();
            failures.dedup();
            let mut response = failed(self.shape, &failures, schemas);
            let mut says = |name: &str| response.headers.insert(name.to_owned(), RefOr::T(Header::new(string())));
            if challenged.get(&status).copied().unwrap_or_default() {
                says("WWW-Authenticate");
            }
            if matches!(status, 429 | 503) {
                says("Retry-After");
            }
            responses.responses.insert(status.to_string(), RefOr::T(response));
        }
        responses
    }

    /// What every request can meet before its handler, and what every handler can meet.
    fn at_the_entrance(&mut self, listener: Listener) {
        if self.shape == Shape::OAuth {
            self.oauth_codes.extend([
                OAuthCode::HeadersTooLarge,
                OAuthCode::RateLimited,
                OAuthCode::Overloaded,
                OAuthCode::ServerError,
            ]);
            return;
        }
        self.codes.extend([Code::HeadersTooLarge, Code::Internal]);
        match listener {
            Listener::Public => self.codes.extend([Code::RateLimited, Code::Overloaded]),
            Listener::Admin => self.codes.push(Code::HostRefused),
        }
    }
}

/// A failure of one status.
fn failed(shape: Shape, failures: &[Failure], schemas: &mut Schemas) -> Response {
    let lines: Vec<_> = failures.iter().map(|(name, text)| format!("- `{name}`: {text}")).collect();
    let names = || one_of(failures.iter().map(|(name, _)| *name));
    let described = Response::builder().description(lines.join("\n"));
    let (media_type, known, field) = match shape {
        Shape::Text => return described.content("text/plain", Content::new(Some(string()))).build(),
        Shape::Problem | Shape::Foreign => ("application/problem+json", schemas.add::<Problem<'static>>(), "code"),
        Shape::OAuth => ("application/json", schemas.add::<OAuthProblem>(), "error"),
        Shape::Tutorial => ("application/json", schemas.add::<TutorialFailure>(), "error"),
    };
    let only = ObjectBuilder::new().schema_type(Type::Object).property(field, names());
    let schema = Schema::from(AllOfBuilder::new().item(known).item(only));
    let response = described.content(media_type, Content::new(Some(schema)));
    if shape == Shape::Foreign {
        let any = Content::new(Some(Schema::from(ObjectBuilder::new().schema_type(Type::Object))));
        return response.content("application/json", any).build();
    }
    response.build()
}

/// A schema of the document.
pub(super) fn reference(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}
