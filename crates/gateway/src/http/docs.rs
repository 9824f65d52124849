//! `GET /docs`: the API's document as a page for people. It is written here, without scripts and without anything from
//! another host, because it is read where an operator's key is at hand.

mod kind;
mod page;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use wxgate_crypto::{Digest, encoding};

use super::openapi;
use super::openapi::about::{self, About};
use crate::app::Gateway;

/// The page. Its style stands in it; nothing else is loaded, run, sent or framed.
pub(super) async fn get(gateway: web::Data<Gateway>) -> HttpResponse {
    let document = serde_json::to_value(openapi::document(&gateway.desk.public_url)).unwrap_or_default();
    let style = encoding::to_base64(Digest::sha256(page::STYLE.as_bytes()).as_bytes());
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HttpResponse::Ok()
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .content_type(MEDIA_TYPE)
        .body(page::of(&document))
}

const MEDIA_TYPE: &str = "text/html; charset=utf-8";

pub(super) fn about() -> About {
    About::new("docs", "This document as a page.").tag(about::PROBES).text(200, MEDIA_TYPE, "The page.")
}
