//! Where every request enters and every reply leaves: request id, limits, one log line, metrics, error bodies.

use std::borrow::Cow;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpResponse, web};
use tokio::time::Instant;
use uuid::Uuid;

use super::code::Code;
use super::error::ApiError;
use super::extract::client::Client;
use super::oauth::error::OAuthError;
use super::router::Served;
use super::{compat, forward_auth, oauth, push, tutorial};
use crate::app::Gateway;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Largest head that is served, in bytes of names and values.
const MAX_HEAD: usize = 16 * 1024;

/// Which of the two listeners a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// Mini-programs and backends: addresses are limited.
    Public,
    /// Operators: only its own Host is answered.
    Admin,
}

/// The id of a request to the admin listener, for the audit log.
pub(crate) struct RequestId(pub(crate) String);

/// Wraps a listener's routes.
pub(crate) async fn enter(
    listener: Listener,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let started = Instant::now();
    let Some(gateway) = request.app_data::<web::Data<Gateway>>().cloned() else {
        return Ok(request.into_response(HttpResponse::InternalServerError().finish()));
    };
    let mut id = Uuid::encode_buffer();
    let id = gateway.random.uuid_v7(gateway.clock.now().millis()).simple().encode_lower(&mut id);

    if listener != Listener::Public {
        request.extensions_mut().insert(RequestId(id.to_owned()));
    }
    let response = match admit(listener, &gateway, &request) {
        Err(error) => request.error_response(error),
        Ok(client) => count_refusal(&gateway, client, next.call(request).await?.map_into_boxed_body()),
    };
    let (response, refusal) = in_our_words(response, id);
    Ok(leave(&gateway, response, id, started.elapsed(), refusal.as_ref()))
}

/// Whether a request may go on at all, and who sent it, where that counts.
fn admit(listener: Listener, gateway: &Gateway, request: &ServiceRequest) -> Result<Option<Client>, ApiError> {
    let head: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if head + request.uri().path().len() + request.query_string().len() > MAX_HEAD {
        return Err(Code::HeadersTooLarge.into());
    }
    // A proxy asks for everybody behind it, and what else it could be known by costs more than what it asks for.
    if listener == Listener::Public && forward_auth::is_route(request.path()) {
        return Ok(None);
    }
    let client = Client::of(request.request(), &gateway.trusted_proxies);
    request.extensions_mut().insert(client.clone());
    match listener {
        Listener::Public => {
            if client.forwarded_by_stranger && gateway.metrics.untrusted_forwarded.inc() == 0 {
                tracing::warn!("X-Forwarded-For comes from a peer that is not in http.trusted_proxies and is ignored");
            }
            // A service asks for everybody behind it, so its address says nothing of who is greedy.
            let path = request.path();
            let unlimited = matches!(path, "/livez" | "/readyz") || oauth::is_introspection(path);
            let limited = if unlimited { Ok(()) } else { gateway.limits.address(client.bucket()) };
            limited.map_err(|wait| ApiError::from(Code::RateLimited).retry_after(wait.0))?;
        }
        Listener::Admin => {
            let host = request.headers().get(header::HOST).map(HeaderValue::as_bytes).unwrap_or_default();
            if !gateway.own_hosts.include(host) || has_foreign_origin(request.headers()) {
                return Err(Code::HostRefused.into());
            }
        }
    }
    Ok(Some(client))
}

/// Whether a page of another address asks. No page of our own is anywhere else than under the Host that it asks.
fn has_foreign_origin(headers: &header::HeaderMap) -> bool {
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    headers.get_all(header::ORIGIN).any(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        origin.split_once("://").map(|(_, authority)| authority.as_bytes()) != host
    })
}

/// Counts what introspection refuses: whoever proves to be a service may ask as often as it likes, and nobody else.
fn count_refusal(gateway: &Gateway, client: Option<Client>, response: ServiceResponse) -> ServiceResponse {
    let Some(client) = client.filter(|_| response.status().is_client_error()) else { return response };
    if !oauth::is_introspection(response.request().path()) {
        return response;
    }
    match gateway.limits.address(client.bucket()) {
        Ok(()) => response,
        Err(wait) => response.error_response(ApiError::from(Code::RateLimited).retry_after(wait.0)),
    }
}

/// What the operator learns of an error, and nobody else.
struct Refusal {
    /// Its name in the log.
    name: &'static str,
    /// Whether somebody here has to mend it.
    alarm: bool,
    /// The text of its source.
    source: String,
}

/// Gives every error, the framework's own included, the body that its route promises.
fn in_our_words(response: ServiceResponse, id: &str) -> (ServiceResponse, Option<Refusal>) {
    // The probe of a process that stops has its say in its status: the framework's own errors are never this one.
    let not_ready = response.status() == StatusCode::SERVICE_UNAVAILABLE && response.response().error().is_none();
    if response.status().as_u16() < 400 || not_ready {
        return (response, None);
    }
    let path = response.request().path();
    let own = response.response().error();
    let (mut told, refusal) = if let Some(error) = own.and_then(|error| error.as_error::<OAuthError>()) {
        (error.told(), Refusal::of(error.name, error.alarm, error.source.as_deref()))
    } else if let Some(failed) = own.and_then(|error| error.as_error::<compat::Failed>()) {
        (failed.told(id), Refusal::of_api(&failed.error))
    } else if let Some(error) = own.and_then(|error| error.as_error::<ApiError>()) {
        in_words_of(path, error, id)
    } else {
        in_words_of(path, &Code::of_status(response.status()).into(), id)
    };
    if let Some(allow) = response.headers().get(header::ALLOW) {
        told.headers_mut().insert(header::ALLOW, allow.clone());
    }
    (response.into_response(told), Some(refusal))
}

/// An error in the shape of its route.
fn in_words_of(path: &str, error: &ApiError, id: &str) -> (HttpResponse, Refusal) {
    let told = if tutorial::is_route(path) {
        tutorial::failure(error)
    } else if oauth::is_route(path) {
        OAuthError::from(error).told()
    } else if push::is_route(path) {
        push::failure(error)
    } else {
        error.problem(id)
    };
    (told, Refusal::of_api(error))
}

/// The source of an error.
type Source = dyn std::error::Error + Send + Sync + 'static;

impl Refusal {
    fn of_api(error: &ApiError) -> Self {
        Self::of(error.code.name(), error.code.is_alarm(), error.source.as_deref())
    }

    fn of(name: &'static str, alarm: bool, source: Option<&Source>) -> Self {
        Self { name, alarm, source: source.map(|source| chain(source)).unwrap_or_default() }
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

/// With three decimals: microseconds are what the clock tells.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

/// The one log line, the metrics, and the headers that every reply has.
fn leave(
    gateway: &Gateway,
    mut response: ServiceResponse,
    id: &str,
    duration: Duration,
    refusal: Option<&Refusal>,
) -> ServiceResponse {
    let (route, is_quiet) = if forward_auth::is_route(response.request().path()) {
        // What a proxy lets pass stands in its own log; a line for it here would cost more than the decision.
        (Cow::Borrowed(forward_auth::ROUTE), true)
    } else {
        let served = response.request().app_data::<Served>();
        served.map_or((Cow::Borrowed("unmatched"), false), |served| (served.pattern.clone(), served.is_quiet))
    };
    let status = response.status().as_u16();
    let (method, duration_ms) = (response.request().method().as_str(), milliseconds(duration));
    let code = refusal.map(|refusal| refusal.name);
    let text = refusal.map(|refusal| refusal.source.as_str()).filter(|text| !text.is_empty());
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                request.id = id,
                http.route = &*route,
                http.method = method,
                http.status = status,
                duration_ms,
                error.code = code,
                error.source = text,
                "request"
            )
        };
    }
    // Only what somebody here has to mend is an error in the log.
    if refusal.is_some_and(|refusal| refusal.alarm) {
        line!(error);
    } else if is_quiet && status < 400 {
        line!(debug);
    } else {
        line!(info);
    }
    gateway.metrics.request(route, status, duration);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if gateway.readiness.is_stopping() {
        // Whoever has a connection to this process makes the next one to another.
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}
