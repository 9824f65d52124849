//! `/admin/v1`: every operation of an operator, served alike. Who asks, what they ask with, the use case, the answer.

mod authority;
mod fields;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;
use wxgate_domain::MalformedPolicy;
use wxgate_storage::StorageError;

use super::code::Code;
use super::error::ApiError;
use crate::app::Gateway;
use crate::operation::{Method, Operation};
use crate::service::admin::{Admin, AdminError, ETag};

/// Serves one operation.
pub(super) async fn operate<O: Operation>(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let mut caller = authority::caller(&request, &gateway).await?;
    if let Err(error) = caller.may(O::ROUTE.scope) {
        gateway.desk.serve(caller).refused(O::ROUTE.id, &error).await;
        return Err(error.into());
    }
    let fields = fields::of(&request, payload, &O::ROUTE, O::MAX_BODY).await?;
    caller.if_match = authority::if_match(&request)?;
    if O::ROUTE.method == Method::Create {
        caller.creation = authority::creation(&request, &caller, O::ROUTE.id, &fields)?;
    }
    let operation: O = serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| malformed(&error))?;
    let admin = gateway.desk.serve(caller);
    let (reply, replayed) = if admin.caller.creation.is_some() {
        // What was begun is remembered to its end, also for a client that hangs up and asks again.
        tokio::spawn(create(admin, operation)).await.map_err(|error| ApiError::caused(Code::Internal, error))??
    } else {
        (told(&admin, operation).await?, false)
    };
    let mut response = answer(O::ROUTE.method, &reply);
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Says that an answer is that of an earlier request with the same `Idempotency-Key`.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Does an operation, and writes down a refusal.
async fn told<O: Operation>(admin: &Admin, operation: O) -> Result<Value, AdminError> {
    match operation.run(admin).await {
        Ok(reply) => Ok(serde_json::to_value(&reply).unwrap_or_default()),
        Err(error) => {
            admin.refused(O::ROUTE.id, &error).await;
            Err(error)
        }
    }
}

/// Creates something once: the answer, and whether it was given before.
async fn create<O: Operation>(admin: Admin, operation: O) -> Result<(Value, bool), AdminError> {
    if let Some(reply) = admin.replay().await? {
        return Ok((reply, true));
    }
    match told(&admin, operation).await {
        Ok(reply) => {
            admin.remember(&reply).await;
            Ok((reply, false))
        }
        Err(error) => admin.replay_instead().await?.map(|reply| (reply, true)).ok_or(error),
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
    fn from(error: AdminError) -> Self {
        let code = match &error {
            AdminError::NoTenant(_)
            | AdminError::NoApp(_)
            | AdminError::NoServiceClient(_)
            | AdminError::NoUser(..)
            | AdminError::NoSession(..)
            | AdminError::NoUnionGroup(..)
            | AdminError::NoAudience(_)
            | AdminError::NoGroup(_)
            | AdminError::NoPolicy(_)
            | AdminError::NoSigningKey(_)
            | AdminError::NoJob(_)
            | AdminError::NoAdminKey(_)
            | AdminError::Storage(StorageError::NotFound) => Code::NotFound,
            AdminError::TenantTaken(_)
            | AdminError::AppTaken(_)
            | AdminError::AppReleased(_)
            | AdminError::UnionGroupTaken(..)
            | AdminError::AudienceTaken(_)
            | AdminError::PolicyTaken(_)
            | AdminError::ServiceClientTaken(..) => Code::Taken,
            AdminError::TooManyServiceClients | AdminError::TooManyAdminKeys => Code::Full,
            AdminError::Scope(_) | AdminError::OperatorsOnly | AdminError::MoreThanOwn(_) => Code::NotGranted,
            AdminError::AudienceInUse(..) | AdminError::UnionGroupInUse(..) | AdminError::TenantDeleting(_) => {
                Code::InUse
            }
            AdminError::KeyNotYet(..) | AdminError::KeyStays(_) | AdminError::TenantServed(_) => Code::NotYet,
            AdminError::SecretRefused { .. } => Code::SecretRefused,
            AdminError::WechatSilent(_) => {
                return Self::from(Code::UpstreamUnavailable).detailed(error.to_string()).retry_after(1);
            }
            AdminError::KeyReused => Code::IdempotencyKeyReused,
            AdminError::AnswerLost => Code::AnswerLost,
            AdminError::Changed => Code::PreconditionFailed,
            AdminError::AudienceNotOwned(..)
            | AdminError::Name
            | AdminError::WhichTenant
            | AdminError::WhichUser
            | AdminError::TooManyRows
            | AdminError::KeyShape
            | AdminError::Cursor
            | AdminError::SecretShape
            | AdminError::Overlap(_)
            | AdminError::Policy(MalformedPolicy::Text | MalformedPolicy::Bounds { .. } | MalformedPolicy::List(_)) => {
                Code::RequestInvalid
            }
            AdminError::Storage(StorageError::Busy | StorageError::Unavailable { .. }) => {
                return Self::caused(Code::Overloaded, error).retry_after(1);
            }
            AdminError::Key(_) | AdminError::KeysUnreadable(_) | AdminError::Storage(_) => {
                return Self::caused(Code::Internal, error);
            }
        };
        Self::from(code).detailed(error.to_string())
    }
}
