//! What the document says of an operator's operation: everything is read from its type.

use std::any::TypeId;

use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{Object, Schema};
use utoipa::openapi::{RefOr, Required};

use super::about::{ADMIN_KEY, About};
use super::schema::present;
use crate::http::code::Code;
use crate::operation::{Method, Operation};

/// Why any move may not happen.
const ALWAYS: &[Code] = &[
    Code::RequestInvalid,
    Code::AdminKeyInvalid,
    Code::NotGranted,
    Code::NotFound,
    Code::RateLimited,
    Code::Overloaded,
];

/// Why something may not be made or changed.
const CHANGING: &[Code] = &[
    Code::AuthorizationRefused,
    Code::Taken,
    Code::Full,
    Code::InUse,
    Code::NotMergeable,
    Code::NotYet,
    Code::SecretRefused,
    Code::UpstreamUnavailable,
];

impl About {
    /// The description of an operation.
    pub(in crate::http) fn operation<O: Operation>() -> Self {
        let route = O::ROUTE;
        let mut about = Self::new(route.id, route.summary).tag(route.noun()).asks_for(&[ADMIN_KEY]).fails(ALWAYS);
        about.schemas.add_parts::<O>();
        let mut fields = about.schemas.object(O::schema());
        let more = fields.description.take().unwrap_or_default();
        about = about.says(format!("{more} The key needs the scope `{}`.", route.scope).trim_start());
        about = about.addressed(route.path, &mut fields);
        about = if route.method.has_query() { about.queried(fields) } else { about.given(&O::name(), fields) };
        about = match route.method {
            Method::Get => about,
            Method::Create => about.fails(CHANGING).fails(&[Code::IdempotencyKeyReused]).header(
                "Idempotency-Key",
                "1 to 255 visible characters. Makes it safe for a day to repeat a creation whose answer was lost: the \
                     same key gets the same answer, but no secret, and `Idempotent-Replayed: true`.",
            ),
            Method::Patch | Method::Put | Method::Post | Method::Delete => about.fails(CHANGING),
        };
        if O::MATCHES {
            let meaning = "The `ETag` of what you read: this is done only if nobody changed it since.";
            about = about.fails(&[Code::PreconditionFailed]).header("If-Match", meaning);
        }
        if TypeId::of::<O::Reply>() == TypeId::of::<()>() {
            return about.nothing(204, "Done.");
        }
        let status = route.method.success();
        about.gives::<O::Reply>(status, "Done.").answers_with(status, "ETag", "For `If-Match`.")
    }

    /// Takes the fields of the path, in its order.
    fn addressed(mut self, path: &str, fields: &mut Object) -> Self {
        for segment in path.split('/') {
            let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else { continue };
            if let Some(schema) = fields.properties.remove(name) {
                self = self.field(name, ParameterIn::Path, schema, Required::True);
            }
            fields.required.retain(|required| required != name);
        }
        self
    }

    fn queried(self, fields: Object) -> Self {
        let Object { properties, required, .. } = fields;
        properties.into_iter().fold(self, |about, (name, schema)| {
            let needed = if required.contains(&name) { Required::True } else { Required::False };
            about.field(&name, ParameterIn::Query, schema, needed)
        })
    }

    fn given(mut self, name: &str, fields: Object) -> Self {
        if fields.properties.is_empty() {
            return self;
        }
        let required = if fields.required.is_empty() { Required::False } else { Required::True };
        let schema = self.schemas.add_as(name, fields);
        self.with_body(schema, required)
    }

    fn field(mut self, name: &str, place: ParameterIn, schema: RefOr<Schema>, required: Required) -> Self {
        let mut schema = present(schema);
        let mut parameter = Parameter::builder().name(name).parameter_in(place).required(required);
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            parameter = parameter.description(object.description.take());
        }
        self.operation.parameters.get_or_insert_default().push(RefOr::T(parameter.schema(Some(schema)).build()));
        self
    }
}
