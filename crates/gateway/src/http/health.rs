//! Probes: status only.

use actix_web::{HttpResponse, web};

use super::openapi::about::{self, About};
use crate::app::Gateway;

pub(super) fn about_live() -> About {
    About::new("live", "Whether the process runs.").tag(about::PROBES).text(200, "text/plain", "It does.")
}

pub(super) fn about_ready() -> About {
    About::new("ready", "Whether the process may be sent requests.")
        .tag(about::PROBES)
        .text(200, "text/plain", "It may.")
        .text(503, "text/plain", "Not now.")
}

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
