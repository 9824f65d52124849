//! What the API's document says of one method of one address: who may ask, what they send, what they get.

use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, Header, RefOr, Required, Response};

use super::answers::{Answers, Listener, Shape};
use super::schema::Schemas;
use crate::http::code::Code;
use crate::http::oauth::code::OAuthCode;

/// The names of the ways to say who asks.
pub(super) const ADMIN_KEY: &str = "admin_key";
pub(super) const ACCESS_TOKEN: &str = "access_token";
pub(super) const SERVICE_CLIENT: &str = "service_client";

/// The groups of the document.
pub(in crate::http) const MINI_PROGRAM: &str = "mini-programs";
pub(in crate::http) const COMPATIBILITY: &str = "compatibility";
pub(in crate::http) const SERVICES: &str = "services";
pub(in crate::http) const PROBES: &str = "probes";
pub(in crate::http) const WECHAT: &str = "wechat";

/// Every JSON body can fail in these ways.
const BODY: &[Code] =
    &[Code::RequestInvalid, Code::FieldForbidden, Code::RequestTimeout, Code::BodyTooLarge, Code::MediaType];

/// And every form.
const FORM: &[OAuthCode] = &[
    OAuthCode::RequestInvalid,
    OAuthCode::QueryForbidden,
    OAuthCode::CredentialsTwice,
    OAuthCode::RequestTimeout,
    OAuthCode::BodyTooLarge,
    OAuthCode::MediaType,
    OAuthCode::TenantUnknown,
];

/// The description of one method of one address.
pub(in crate::http) struct About {
    pub(super) operation: Operation,
    pub(super) answers: Answers,
    pub(super) schemas: Schemas,
}

impl About {
    /// Called `id`, in one sentence.
    pub(in crate::http) fn new(id: &str, summary: &str) -> Self {
        let operation = Operation::builder().operation_id(Some(id)).summary(Some(summary)).build();
        Self { operation, answers: Answers::default(), schemas: Schemas::default() }
    }

    /// Under another id.
    pub(in crate::http) fn rename(&mut self, id: &str) {
        self.operation.operation_id = Some(id.to_owned());
    }

    /// In one of the groups.
    pub(in crate::http) fn tag(mut self, tag: &str) -> Self {
        self.operation.tags = Some(vec![tag.to_owned()]);
        self
    }

    /// What more there is to say.
    pub(in crate::http) fn says(mut self, text: &str) -> Self {
        self.operation.description = Some(text.to_owned());
        self
    }

    /// Whoever asks must say who they are, in one of these ways.
    pub(super) fn asks_for(mut self, ways: &[&str]) -> Self {
        let none: [&str; 0] = [];
        self.operation.security = Some(ways.iter().map(|way| SecurityRequirement::new(*way, none)).collect());
        self
    }

    /// A mini-program's user asks, with an access token for the gateway itself.
    pub(in crate::http) fn user(self) -> Self {
        self.asks_for(&[ACCESS_TOKEN]).fails(&[
            Code::TokenInvalid,
            Code::TokenExpired,
            Code::SessionEnded,
            Code::UserBlocked,
            Code::AppDisabled,
        ])
    }

    /// A service client asks.
    pub(in crate::http) fn service_client(self) -> Self {
        self.asks_for(&[SERVICE_CLIENT])
    }

    /// Whoever holds an access token asks.
    pub(in crate::http) fn bearer(self) -> Self {
        self.asks_for(&[ACCESS_TOKEN])
    }

    /// A field of the path.
    pub(in crate::http) fn path(self, name: &str, text: &str) -> Self {
        self.parameter(name, ParameterIn::Path, (text, string()))
    }

    /// A parameter of the query.
    pub(in crate::http) fn query(self, name: &str, text: &str, schema: Schema) -> Self {
        self.parameter(name, ParameterIn::Query, (text, schema))
    }

    /// A header that may be there.
    pub(in crate::http) fn header(self, name: &str, text: &str) -> Self {
        self.parameter(name, ParameterIn::Header, (text, string()))
    }

    pub(super) fn parameter(mut self, name: &str, place: ParameterIn, (text, schema): (&str, Schema)) -> Self {
        let required = if place == ParameterIn::Path { Required::True } else { Required::False };
        let parameter = Parameter::builder().name(name).parameter_in(place).description(Some(text));
        let parameter = parameter.required(required).schema(Some(schema)).build();
        self.operation.parameters.get_or_insert_default().push(RefOr::T(parameter));
        self
    }

    /// A JSON body, with everything that may be wrong with one.
    pub(in crate::http) fn body<T: ToSchema>(mut self) -> Self {
        let schema = self.schemas.add::<T>();
        self.with_body(schema, Required::True)
    }

    pub(super) fn with_body(mut self, schema: RefOr<Schema>, required: Required) -> Self {
        let content = Content::new(Some(schema));
        let body = RequestBody::builder().content("application/json", content).required(Some(required)).build();
        self.operation.request_body = Some(RefOr::T(body));
        self.fails(BODY)
    }

    /// A form body with these parameters (RFC 6749 appendix B), of which the first so many must be there.
    pub(in crate::http) fn form(mut self, required: usize, parameters: &[(&str, &str)]) -> Self {
        let form = parameters.iter().fold(ObjectBuilder::new(), |form, (name, text)| {
            form.property(*name, ObjectBuilder::new().schema_type(Type::String).description(Some(*text)))
        });
        let form = parameters.iter().take(required).fold(form, |form, (name, _)| form.required(*name));
        let content = Content::new(Some(Schema::from(form)));
        let body = RequestBody::builder().content("application/x-www-form-urlencoded", content);
        self.operation.request_body = Some(RefOr::T(body.required(Some(Required::True)).build()));
        self.answers.shape(Shape::OAuth);
        self.oauth_fails(FORM)
    }

    /// A JSON answer.
    pub(in crate::http) fn gives<T: ToSchema>(mut self, status: u16, text: &str) -> Self {
        let schema = self.schemas.add::<T>();
        self.answers.good(
            status,
            Response::builder().description(text).content("application/json", Content::new(Some(schema))).build(),
        );
        self
    }

    /// A JSON answer whose fields are other people's to define.
    pub(in crate::http) fn gives_object(mut self, text: &str) -> Self {
        let content = Content::new(Some(Schema::from(ObjectBuilder::new().schema_type(Type::Object))));
        self.answers.good(200, Response::builder().description(text).content("application/json", content).build());
        self
    }

    /// An answer that is no JSON, or nobody's to define.
    pub(in crate::http) fn text(mut self, status: u16, media_type: &str, text: &str) -> Self {
        let any = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
        let content = Content::new(Some(Schema::from(any)));
        self.answers.good(status, Response::builder().description(text).content(media_type, content).build());
        self
    }

    /// An answer without a body.
    pub(in crate::http) fn nothing(mut self, status: u16, text: &str) -> Self {
        self.answers.good(status, Response::new(text));
        self
    }

    /// A header of a good answer.
    pub(in crate::http) fn answers_with(mut self, status: u16, name: &str, text: &str) -> Self {
        let mut header = Header::new(string());
        header.description = Some(text.to_owned());
        self.answers.header(status, name, header);
        self
    }

    /// Why it may fail.
    pub(in crate::http) fn fails(mut self, codes: &[Code]) -> Self {
        self.answers.codes.extend_from_slice(codes);
        self
    }

    /// Why it may fail, in the words of OAuth.
    pub(in crate::http) fn oauth_fails(mut self, codes: &[OAuthCode]) -> Self {
        self.answers.oauth_codes.extend_from_slice(codes);
        self
    }

    /// Its failures have the tutorial's shape.
    pub(in crate::http) fn fails_like_the_tutorial(mut self) -> Self {
        self.answers.shape(Shape::Tutorial);
        self
    }

    /// It is for clients that were written for another server: whatever body they send, and failures in their words.
    pub(in crate::http) fn fails_in_foreign_words(mut self) -> Self {
        self.answers.shape(Shape::Foreign);
        self.fails(BODY)
    }

    /// A body of any type.
    pub(in crate::http) fn any_body(mut self, text: &str) -> Self {
        let any = || Content::new(Some(Schema::from(ObjectBuilder::new().schema_type(SchemaType::AnyValue))));
        let body = RequestBody::builder().description(Some(text)).content("application/json", any());
        self.operation.request_body =
            Some(RefOr::T(body.content("text/xml", any()).required(Some(Required::True)).build()));
        self
    }

    /// Its failures are the name of a status.
    pub(in crate::http) fn fails_in_plain_text(mut self) -> Self {
        self.answers.shape(Shape::Text);
        self
    }

    /// The whole entry. An id is unique also where two methods do the same.
    pub(super) fn write(self, listener: Listener, method: &str, schemas: &mut Schemas) -> Operation {
        let Self { mut operation, answers, schemas: own } = self;
        if method == "GET" && operation.request_body.is_some() {
            operation.operation_id = operation.operation_id.map(|id| format!("{id}ByGet"));
        }
        operation.responses = answers.write(listener, schemas);
        schemas.merge(own);
        operation
    }
}

/// Any text.
pub(in crate::http) fn string() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).into()
}

/// A number in bounds.
pub(in crate::http) fn number(least: u64, most: u64) -> Schema {
    let number = ObjectBuilder::new().schema_type(Type::Integer);
    number.minimum(Some(as_float(least))).maximum(Some(as_float(most))).into()
}

/// One of some texts.
pub(super) fn one_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Schema {
    let values: Vec<Value> = texts.into_iter().map(Value::from).collect();
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values)).into()
}

#[expect(clippy::cast_precision_loss, reason = "bounds of our API are small")]
fn as_float(number: u64) -> f64 {
    number as f64
}
