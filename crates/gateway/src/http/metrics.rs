//! `GET /metrics` on the admin listener.

use actix_web::{HttpResponse, web};

use super::openapi::about::{self, About};
use crate::app::Gateway;

pub(super) fn about() -> About {
    About::new("metrics", "Get everything that is measured.").tag(about::PROBES).text(
        200,
        MEDIA_TYPE,
        "The OpenMetrics text.",
    )
}

const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that is measured, in the OpenMetrics text format.
pub(super) async fn get(gateway: web::Data<Gateway>) -> HttpResponse {
    HttpResponse::Ok().content_type(MEDIA_TYPE).body(gateway.metrics.render())
}
