//! What an operator can do, one type for each operation: how it is addressed, what it takes, what it answers, and which
//! use case it is. The admin API serves these types, the command line calls them here or on a running gateway, and the
//! API's document is written from them.
//!
//! A field whose name stands in the path is part of the address. The others are the query of a `Get` or `Delete`, and the
//! body of everything else.

pub(crate) mod admin_keys;
pub(crate) mod apps;
pub(crate) mod audiences;
pub(crate) mod audit;
pub(crate) mod data_keys;
pub(crate) mod doctor;
pub(crate) mod jobs;
pub(crate) mod master_keys;
pub(crate) mod merges;
mod overlap;
pub(crate) mod platforms;
pub(crate) mod policies;
pub(crate) mod push_renewal;
pub(crate) mod secret_text;
pub(crate) mod service_clients;
pub(crate) mod sessions;
pub(crate) mod signing_keys;
pub(crate) mod state;
pub(crate) mod tenants;
pub(crate) mod union_groups;
pub(crate) mod user_import;
pub(crate) mod users;
pub(crate) mod webhooks;

use std::future::Future;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};
use wxgate_domain::AdminScope;

use crate::service::admin::{Admin, AdminError};

/// One thing that an operator can do.
pub(crate) trait Operation: Serialize + DeserializeOwned + ToSchema + Send + 'static {
    /// What it answers; `()` answers with no body.
    type Reply: Serialize + DeserializeOwned + ToSchema + Send + 'static;

    /// How it is addressed.
    const ROUTE: Route;

    /// The longest body that asks for it, in bytes.
    const MAX_BODY: usize = 64 * 1024;

    /// Whether it compares what it changes with what the caller saw of it (`If-Match`).
    const MATCHES: bool = matches!(Self::ROUTE.method, Method::Patch | Method::Put);

    /// Does it, as whoever `admin` acts for.
    fn run(self, admin: &Admin) -> impl Future<Output = Result<Self::Reply, AdminError>> + Send;
}

/// How an operation is addressed over HTTP, and who may ask for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    /// Its name in the API's document, unique.
    pub(crate) id: &'static str,
    pub(crate) method: Method,
    /// Below `/admin/v1`, with fields in braces.
    pub(crate) path: &'static str,
    /// What a key must allow.
    pub(crate) scope: AdminScope,
    /// One sentence.
    pub(crate) summary: &'static str,
}

impl Route {
    /// What it is about: the first segment of the path.
    pub(crate) fn noun(&self) -> &'static str {
        self.path.split('/').nth(1).unwrap_or_default()
    }
}

/// Before every path.
pub(crate) const BASE: &str = "/admin/v1";

/// The methods that operations use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Method {
    /// Reads.
    Get,
    /// Creates: answered with 201, repeated safely with an `Idempotency-Key`.
    Create,
    /// Acts on what is there: answered with 200.
    Post,
    /// Replaces a part.
    Put,
    /// Changes what is named and leaves the rest.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// The method's name (RFC 9110 section 9).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Create | Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether the fields that are not in the path are the query.
    pub(crate) fn has_query(self) -> bool {
        matches!(self, Self::Get | Self::Delete)
    }

    /// The status of success.
    pub(crate) fn success(self) -> u16 {
        if self == Self::Create { 201 } else { 200 }
    }
}

/// Whoever wants to know of every operation.
pub(crate) trait Visitor {
    /// Told of one.
    fn visit<O: Operation>(&mut self);
}

/// Tells of every operation there is.
pub(crate) fn all(visitor: &mut impl Visitor) {
    admin_keys::all(visitor);
    apps::all(visitor);
    audiences::all(visitor);
    audit::all(visitor);
    data_keys::all(visitor);
    doctor::all(visitor);
    jobs::all(visitor);
    master_keys::all(visitor);
    platforms::all(visitor);
    merges::all(visitor);
    policies::all(visitor);
    service_clients::all(visitor);
    sessions::all(visitor);
    signing_keys::all(visitor);
    state::all(visitor);
    tenants::all(visitor);
    union_groups::all(visitor);
    user_import::all(visitor);
    users::all(visitor);
    webhooks::all(visitor);
}

/// A part of a list, and how to go on.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Page<T: ToSchema> {
    pub(crate) items: Vec<T>,
    /// What `cursor` says to get what comes next; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_cursor: Option<String>,
}

impl<T: ToSchema> PartialSchema for Page<T> {
    fn schema() -> RefOr<Schema> {
        let cursor = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("What `cursor` says to get what comes next; absent at the end."));
        ObjectBuilder::new()
            .property("items", ArrayBuilder::new().items(Ref::from_schema_name(T::name())))
            .required("items")
            .property("next_cursor", cursor)
            .into()
    }
}

/// By hand, because the derived one forgets to name its own items.
impl<T: ToSchema> ToSchema for Page<T> {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

impl<T: ToSchema> Page<T> {
    /// The items that come after the one called `cursor`, at most `limit` of them. `name` says what each is called; the
    /// items are in the order of these names.
    pub(crate) fn of(items: Vec<T>, cursor: Option<&str>, limit: Limit, name: impl Fn(&T) -> String) -> Self {
        let rest = items.into_iter().filter(|item| cursor.is_none_or(|cursor| name(item).as_str() > cursor));
        Self::begun(rest, limit, &name)
    }

    /// The first of items that begin where the cursor says, and are at least one more than the limit if there are so
    /// many: see [`Limit::and_one`].
    pub(crate) fn begun(items: impl IntoIterator<Item = T>, limit: Limit, name: impl Fn(&T) -> String) -> Self {
        let mut rest = items.into_iter();
        let items: Vec<_> = rest.by_ref().take(limit.get()).collect();
        let next_cursor = rest.next().and_then(|_| items.last().map(&name));
        Self { items, next_cursor }
    }
}

/// How many items a page has at most: 1 to 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Limit(u16);

impl Limit {
    /// The most that there can be.
    pub(crate) const MOST: Self = Self(500);

    /// How many items tell whether there is a next page.
    pub(crate) fn and_one(self) -> u64 {
        u64::from(self.0) + 1
    }

    /// As a number.
    pub(crate) fn get(self) -> usize {
        self.0.into()
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl<'de> Deserialize<'de> for Limit {
    /// From a number, or from the text of a query.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Number(u16),
            Text(String),
        }
        let number = match Given::deserialize(deserializer) {
            Ok(Given::Number(number)) => Some(number),
            Ok(Given::Text(text)) => text.parse().ok(),
            Err(_) => None,
        };
        let fits = number.filter(|number| (1..=Self::MOST.0).contains(number));
        fits.map(Self).ok_or_else(|| serde::de::Error::custom("must be 1 to 500"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another_without_gap_or_repetition() {
        let all: Vec<String> = (0..7).map(|n| format!("a{n}")).collect();
        let limit = Limit(3);
        let mut cursor = None;
        let mut seen = Vec::new();
        let mut pages = 0;
        loop {
            let page = Page::of(all.clone(), cursor.as_deref(), limit, String::clone);
            seen.extend(page.items);
            pages += 1;
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!((seen, pages), (all, 3));
    }

    #[test]
    fn limits_are_bounded_and_come_as_numbers_or_text() {
        let read = |text: &str| serde_json::from_str::<Limit>(text).ok().map(Limit::get);
        assert_eq!((read("1"), read("\"500\"")), (Some(1), Some(500)));
        for wrong in ["0", "501", "\"\"", "-1", "1.5", "null", "\"1e2\""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
