//! `GET /metrics` on the admin listener.

use actix_web::{HttpResponse, web};

use crate::app::Gateway;

/// Everything that is measured, in the OpenMetrics text format.
pub(super) async fn get(gateway: web::Data<Gateway>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(gateway.metrics.render())
}
