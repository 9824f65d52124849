//! `/admin/v1`: every operation of an operator, served alike. Who asks, what they ask with, the use case, the answer.

mod authority;
mod fields;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use wxgate_storage::StorageError;

use super::code::Code;
use super::error::ApiError;
use crate::app::Gateway;
use crate::operation::{self, Method, Operation};
use crate::service::admin::{Admin, AdminError, ETag};

/// An operation without its type: one handler serves them all, as one for each would take minutes to compile.
#[derive(Clone, Copy)]
struct Served {
    route: operation::Route,
    max_body: usize,
    matches: bool,
    read: fn(Map<String, Value>) -> Read,
}

/// The arguments of an operation, or what is wrong with them.
type Read = Result<Box<dyn Ready>, ApiError>;

/// An operation with its arguments.
trait Ready: Send {
    /// Does it; what is told of it.
    fn done(self: Box<Self>, admin: &Admin) -> BoxFuture<'_, Result<Value, AdminError>>;
}

impl<O: Operation> Ready for O {
    fn done(self: Box<Self>, admin: &Admin) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { self.run(admin).await.map(|reply| serde_json::to_value(&reply).unwrap_or_default()) })
    }
}

fn read<O: Operation>(fields: Map<String, Value>) -> Read {
    let operation: O = serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| malformed(&error))?;
    Ok(Box::new(operation))
}

/// Serves one operation.
pub(super) fn serving<O: Operation>() -> actix_web::Route {
    serve(Served { route: O::ROUTE, max_body: O::MAX_BODY, matches: O::MATCHES, read: read::<O> })
}

fn serve(served: Served) -> actix_web::Route {
    web::to(move |request, gateway, payload| operate(served, request, gateway, payload))
}

async fn operate(
    served: Served,
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let Served { route, max_body, matches, read } = served;
    let mut caller = authority::caller(&request, &gateway).await?;
    if let Err(error) = caller.may(route.scope) {
        gateway.desk.serve(caller).refused(route.id, &error).await;
        return Err(error.into());
    }
    let fields = fields::of(&request, payload, &route, max_body).await?;
    caller.if_match = authority::if_match(&request)?;
    if caller.if_match.is_some() && !matches && route.method != Method::Get {
        let told = "If-Match does not count here: there is nothing to compare it with; leave it out";
        return Err(ApiError::from(Code::RequestInvalid).detailed(told.to_owned()));
    }
    if route.method == Method::Create {
        caller.creation = authority::creation(&request, &caller, route.id, &fields)?;
    }
    let operation = read(fields)?;
    let admin = gateway.desk.serve(caller);
    let (reply, replayed) = done_once(&admin, route.id, operation).await?;
    if route.method != Method::Get {
        gateway.revocations.revoked.settled(&admin.storage).await;
    }
    let mut response = answer(route.method, &reply);
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Says that an answer is that of an earlier request with the same `Idempotency-Key`.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Does an operation, and writes down a refusal.
async fn told(admin: &Admin, id: &'static str, operation: Box<dyn Ready>) -> Result<Value, AdminError> {
    let done = operation.done(admin).await;
    if let Err(error) = &done {
        admin.refused(id, error).await;
    }
    done
}

/// Does an operation, a creation once: the answer, and whether it was given before.
async fn done_once(admin: &Admin, id: &'static str, operation: Box<dyn Ready>) -> Result<(Value, bool), AdminError> {
    if let Some(reply) = admin.replay().await? {
        return Ok((reply, true));
    }
    match told(admin, id, operation).await {
        Ok(reply) => Ok((reply, false)),
        // Somebody else may have asked for the same at the same time, and come first.
        Err(error) => admin.replay().await?.map(|reply| (reply, true)).ok_or(error),
    }
}

/// Which field is wrong, and what it must be. serde quotes no value of ours: arguments are the caller's own.
fn malformed(error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let field = error.path().to_string();
    let detail = if field == "." { error.inner().to_string() } else { format!("{field}: {}", error.inner()) };
    ApiError::from(Code::RequestInvalid).detailed(detail)
}

fn answer(method: Method, body: &Value) -> HttpResponse {
    if body.is_null() {
        return HttpResponse::NoContent().finish();
    }
    let status = StatusCode::from_u16(method.success()).unwrap_or_default();
    let mut response = HttpResponse::build(status);
    if let Ok(etag) = HeaderValue::from_str(ETag::of(body).as_str()) {
        response.insert_header((header::ETAG, etag));
    }
    response.json(body)
}

impl From<AdminError> for ApiError {
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn from(error: AdminError) -> Self {
        let code = match &error {
            AdminError::NoTenant(_)
            | AdminError::NoApp(_)
            | AdminError::NoPlatform(_)
            | AdminError::NoPlatformApp(..)
            | AdminError::NoServiceClient(_)
            | AdminError::NoWebhook(_)
            | AdminError::NoDelivery(_)
            | AdminError::NoUser(..)
            | AdminError::NoSession(..)
            | AdminError::NoMerge(..)
            | AdminError::NoCandidate(..)
            | AdminError::NoUnionGroup(..)
            | AdminError::NoAudience(_)
            | AdminError::NoGroup(_)
            | AdminError::NoPolicy(_)
            | AdminError::NoPush(_)
            | AdminError::NoSigningKey(_)
            | AdminError::NoJob(_)
            | AdminError::NoMasterKey(_)
            | AdminError::NoDataKey(..)
            | AdminError::NoAdminKey(_)
            | AdminError::Storage(StorageError::NotFound) => Code::NotFound,
            AdminError::TenantTaken(_)
            | AdminError::AppTaken(_)
            | AdminError::PlatformTaken(_)
            | AdminError::AppReleased(_)
            | AdminError::UnionGroupTaken(..)
            | AdminError::AudienceTaken(_)
            | AdminError::PolicyTaken(_)
            | AdminError::ServiceClientTaken(..)
            | AdminError::WebhookTaken(..) => Code::Taken,
            AdminError::TooManyServiceClients
            | AdminError::TooManyWebhooks
            | AdminError::TooManyAuthorizations
            | AdminError::TooManyAdminKeys => Code::Full,
            AdminError::Scope(_) | AdminError::OperatorsOnly | AdminError::MoreThanOwn(_) => Code::NotGranted,
            AdminError::AudienceInUse(..)
            | AdminError::UnionGroupInUse(..)
            | AdminError::TenantDeleting(_)
            | AdminError::AppRemoving(_)
            | AdminError::PlatformInUse(..)
            | AdminError::MasterKeyActive(_)
            | AdminError::MasterKeyNeeded(..)
            | AdminError::DataKeyNewest(..)
            | AdminError::DataKeyNeeded(..) => Code::InUse,
            AdminError::KeyNotYet(..)
            | AdminError::KeyStays(_)
            | AdminError::TenantServed(_)
            | AdminError::NoTicket(_)
            | AdminError::NoMasterKeyHere(_)
            | AdminError::MasterKeyLacking(..) => Code::NotYet,
            AdminError::SecretRefused { .. } | AdminError::PlatformRefused { .. } => Code::SecretRefused,
            AdminError::Authorization(_) => Code::AuthorizationRefused,
            AdminError::NotMerged(_) | AdminError::NotUnmerged(_) => Code::NotMergeable,
            AdminError::WechatSilent(_) | AdminError::WechatSilentTo(_) => {
                return Self::from(Code::UpstreamUnavailable).detailed(error.to_string()).retry_after(1);
            }
            AdminError::KeyReused => Code::IdempotencyKeyReused,
            AdminError::Changed => Code::PreconditionFailed,
            AdminError::AudienceNotOwned(..)
            | AdminError::State(_)
            | AdminError::Name
            | AdminError::WhichTenant
            | AdminError::WhichUser
            | AdminError::TooManyRows
            | AdminError::KeyShape
            | AdminError::Cursor
            | AdminError::SecretShape
            | AdminError::NoAppSecret(_)
            | AdminError::PhoneShape
            | AdminError::KeysIncomplete
            | AdminError::KeysRefused
            | AdminError::PushToken(_)
            | AdminError::AesKeyShape
            | AdminError::WebhookSecretShape
            | AdminError::Overlap(_)
            | AdminError::NoEvents
            | AdminError::EventKind
            | AdminError::Policy(_) => Code::RequestInvalid,
            AdminError::Storage(StorageError::Busy | StorageError::Unavailable { .. }) => {
                return Self::caused(Code::Overloaded, error).retry_after(1);
            }
            AdminError::Key(_)
            | AdminError::KeysUnreadable(_)
            | AdminError::KeysNotReplaced(_)
            | AdminError::Folder(_)
            | AdminError::Storage(_) => {
                return Self::caused(Code::Internal, error);
            }
        };
        Self::from(code).detailed(error.to_string())
    }
}
