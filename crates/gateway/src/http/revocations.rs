//! `GET /t/{tenant}/revocations`: what ended before its tokens did, for services that follow it.

use std::borrow::Cow;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};

use super::code::Code;
use super::discovery;
use super::error::ApiError;
use super::extract::client::Client;
use super::extract::credentials;
use super::openapi::about::{self, About};
use crate::app::Gateway;
use crate::service::revocations::Ask;

/// What a page is (RFC 8417 section 2.3).
const MEDIA_TYPE: &str = "application/secevent+jwt";

/// The longest patience, in seconds.
const LONGEST_WAIT: u64 = 30;

/// Most entries of a page, and what is taken for an unsaid number.
const MOST: u64 = 500;

pub(super) fn about() -> About {
    About::new("revocations", "Follow what ended before its tokens did.")
        .tag(about::SERVICES)
        .says("A signed page (RFC 8417); docs/revocations.md says how to read it.")
        .service_client()
        .path("tenant", discovery::TENANT)
        .query("after", "The cursor of the page before; a snapshot if left out.", about::string())
        .query("wait", "How many seconds to wait for news.", about::number(0, LONGEST_WAIT))
        .query("limit", "Most entries.", about::number(1, MOST))
        .text(200, MEDIA_TYPE, "A page.")
        .fails(&[Code::RequestInvalid, Code::ClientInvalid, Code::NotGranted, Code::NotFound, Code::CursorGone])
}

/// A signed page. Waits for news if asked to.
pub(super) async fn get(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    sender: web::ReqData<Client>,
) -> Result<HttpResponse, ApiError> {
    let tenant = discovery::tenant(&request, &gateway).await?;
    let claimed = credentials::basic(&request).ok().flatten().ok_or(Code::ClientInvalid)?;
    let known = gateway.clients.authenticate(&tenant, &claimed, sender.address()).await?;
    let query = Query::parse(request.query_string()).ok_or(Code::RequestInvalid)?;
    let ask = Ask { after: query.after.as_deref(), wait: query.wait, limit: query.limit };
    let page = gateway.revocations.page(&tenant, &known.client, ask).await?;
    Ok(HttpResponse::Ok().content_type(MEDIA_TYPE).body(page))
}

/// What is asked, each at most once.
struct Query<'a> {
    after: Option<Cow<'a, str>>,
    wait: Duration,
    limit: u64,
}

impl<'a> Query<'a> {
    fn parse(query: &'a str) -> Option<Self> {
        let (mut after, mut wait, mut limit) = (None, None, None);
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let slot = match name.as_ref() {
                "after" => &mut after,
                "wait" => &mut wait,
                "limit" => &mut limit,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return None;
            }
        }
        let number = |text: Option<Cow<'_, str>>, unsaid: u64| match text {
            None => Some(unsaid),
            Some(text) if (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok()
            }
            Some(_) => None,
        };
        let wait = number(wait, 0).filter(|seconds| *seconds <= LONGEST_WAIT)?;
        let limit = number(limit, MOST).filter(|limit| (1..=MOST).contains(limit))?;
        Some(Self { after, wait: Duration::from_secs(wait), limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Option<(Option<String>, u64, u64)> {
        let query = Query::parse(query)?;
        Some((query.after.map(Cow::into_owned), query.wait.as_secs(), query.limit))
    }

    #[test]
    fn what_is_left_out_has_a_meaning_and_what_is_unknown_has_none() {
        assert_eq!(read(""), Some((None, 0, 500)));
        assert_eq!(read("after=AQ&wait=30&limit=1&later=x"), Some((Some("AQ".to_owned()), 30, 1)));
        assert_eq!(read("after=a%2Bb"), Some((Some("a+b".to_owned()), 0, 500)));
        assert_eq!(read("after="), Some((Some(String::new()), 0, 500)));
    }

    #[test]
    fn what_stands_twice_or_out_of_bounds_is_refused() {
        for wrong in [
            "wait=31",
            "wait=-1",
            "wait=+1",
            "wait=1.5",
            "wait=",
            "wait=0030",
            "limit=0",
            "limit=501",
            "limit=many",
            "wait=1&wait=1",
            "after=a&after=a",
            "after=a&limit=1&limit=1",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
