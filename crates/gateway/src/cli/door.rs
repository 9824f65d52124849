//! The two ways to an operation: on the database, or on a running gateway.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Map, Value};
use url::Url;
use utoipa::ToSchema;

use super::Failure;
use crate::operation::{BASE, Operation, Page};
use crate::service::admin::Admin;

/// How long a running gateway may take for one operation.
const PATIENCE: Duration = Duration::from_mins(10);

/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Where operations are done.
pub(super) enum Door {
    /// Here, on the database.
    Database(Box<Admin>),
    /// By a gateway that runs.
    Gateway(Remote),
}

impl Door {
    /// Does an operation.
    pub(super) async fn call<O: Operation>(&self, operation: O) -> Result<O::Reply, Failure> {
        match self {
            Self::Database(admin) => Ok(operation.run(admin).await?),
            Self::Gateway(remote) => remote.call(&operation).await,
        }
    }

    /// Every item of a list, page after page.
    pub(super) async fn all<O, T>(&self, next: impl Fn(Option<String>) -> O) -> Result<Vec<T>, Failure>
    where
        O: Operation<Reply = Page<T>>,
        T: ToSchema,
    {
        let mut items = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.call(next(cursor)).await?;
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(items);
            }
        }
    }

    /// The database, for what only it can do.
    ///
    /// # Errors
    /// A running gateway was named instead.
    pub(super) fn database(&self) -> Result<&Admin, Failure> {
        match self {
            Self::Database(admin) => Ok(admin),
            Self::Gateway(_) => Err("this works on the database alone: give --config instead of --url".into()),
        }
    }

    /// Closes what was opened.
    pub(super) async fn close(self) {
        if let Self::Database(admin) = self {
            admin.storage.stop().await;
        }
    }
}

/// A running gateway.
pub(super) struct Remote {
    client: reqwest::Client,
    base: Url,
    key: HeaderValue,
}

impl Remote {
    /// Reaches a gateway's admin listener with the key in a file.
    pub(super) fn new(url: &Url, key_file: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(key_file).map_err(|error| format!("{}: {error}", key_file.display()))?;
        let mut key = HeaderValue::from_str(&format!("Bearer {}", text.trim()))
            .map_err(|_| format!("{} holds no admin key", key_file.display()))?;
        key.set_sensitive(true);
        let loopback = url.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
        if !(url.scheme() == "https" || (url.scheme() == "http" && loopback)) {
            return Err(
                "--url must be https, or http on a loopback address: the key would be readable on the way".into()
            );
        }
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .timeout(PATIENCE)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { client, base: url.clone(), key })
    }

    async fn call<O: Operation>(&self, operation: &O) -> Result<O::Reply, Failure> {
        let route = O::ROUTE;
        let Value::Object(mut fields) = serde_json::to_value(operation)? else {
            return Err("an operation has no fields".into());
        };
        fields.retain(|_, value| !value.is_null());
        let mut url = self.base.clone();
        url.set_path(&format!("{BASE}{}", filled(route.path, &mut fields)));
        let method = reqwest::Method::from_bytes(route.method.name().as_bytes())?;
        let mut request = self.client.request(method, url).header(AUTHORIZATION, self.key.clone());
        if route.method.has_query() {
            let pairs: Vec<_> = fields.iter().map(|(name, value)| (name, plain(value))).collect();
            request = request.query(&pairs);
        } else {
            request = request.json(&fields);
        }
        let unreachable = |error: reqwest::Error| format!("{} does not answer: {}", self.base, error.without_url());
        let mut response = request.send().await.map_err(unreachable)?;
        let (status, mut body) = (response.status(), Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err("the gateway's answer is too large".into());
            }
            body.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        let answer = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
        Ok(serde_json::from_value(answer)?)
    }
}

/// The path with its fields filled in, which are taken out.
fn filled(path: &str, fields: &mut Map<String, Value>) -> String {
    let segments = path.split('/').map(|segment| {
        let name = segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}'));
        let value = name.and_then(|name| fields.remove(name));
        value.map_or_else(|| segment.to_owned(), |value| escaped(&plain(&value)))
    });
    segments.collect::<Vec<_>>().join("/")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// As one segment of a path: form encoding leaves letters, digits and `*-._`, and a space would become `+`.
fn escaped(segment: &str) -> String {
    url::form_urlencoded::byte_serialize(segment.as_bytes()).collect::<String>().replace('+', "%20")
}

/// What the gateway said of why not (RFC 9457).
fn refusal(status: reqwest::StatusCode, body: &[u8]) -> Failure {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name| problem.get(name).and_then(Value::as_str);
    match (text("detail").or(text("title")), text("code")) {
        (Some(what), Some(code)) => format!("{what} ({code})").into(),
        _ => format!("the gateway answered {status}").into(),
    }
}
