//! Probes: status only.

use actix_web::{HttpResponse, web};

use crate::app::Gateway;

/// `GET /livez`: the process runs.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok")
}

/// `GET /readyz`: the process may be sent requests.
pub(super) async fn ready(gateway: web::Data<Gateway>) -> HttpResponse {
    if gateway.readiness.is_ready() {
        HttpResponse::Ok().content_type("text/plain").body("ok")
    } else {
        HttpResponse::ServiceUnavailable().content_type("text/plain").body("not ready")
    }
}
