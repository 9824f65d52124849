//! Which mini-program a request is for.

use actix_web::HttpRequest;
use actix_web::http::header;
use wxgate_domain::WechatAppid;

use super::path;
use crate::app::Gateway;
use crate::http::code::Code;
use crate::http::error::ApiError;

const X_APP_ID: &str = "x-app-id";

/// The mini-program of a request whose address need not name it: path, X-App-Id, what the body says, the Referer, or the
/// only one there is.
///
/// # Errors
/// `APP_MISMATCH` for two different ones, `APP_UNKNOWN` for text that no appid can be, `APP_REQUIRED` for none.
pub(crate) async fn of(
    request: &HttpRequest,
    gateway: &Gateway,
    in_body: Option<WechatAppid>,
) -> Result<WechatAppid, ApiError> {
    let outside = match path::field(request, "appid") {
        Some(_) => Some(in_path(request)?),
        None => in_header(request)?,
    };
    let named = match (outside, in_body) {
        (Some(outside), Some(inside)) if outside != inside => return Err(Code::AppMismatch.into()),
        (outside, inside) => outside.or(inside),
    };
    let hint = in_referer(request);
    if let (Some(named), Some(hint)) = (&named, &hint)
        && named != hint
    {
        gateway.metrics.referer_mismatch.inc();
        tracing::info!(wechat.appid = %named, http.referer_appid = %hint, "the Referer names another mini-program");
    }
    match named.or(hint) {
        Some(appid) => Ok(appid),
        None => gateway.directory.only_app().await?.ok_or_else(|| Code::AppRequired.into()),
    }
}

/// The appid in the path. A different one in X-App-Id is refused.
///
/// # Errors
/// `APP_UNKNOWN` for text that no appid can be, `APP_MISMATCH` for two different ones.
pub(crate) fn in_path(request: &HttpRequest) -> Result<WechatAppid, ApiError> {
    let appid = path::field(request, "appid").unwrap_or_default();
    let appid: WechatAppid = appid.parse().map_err(|_| Code::AppUnknown)?;
    match in_header(request)? {
        Some(named) if named != appid => Err(Code::AppMismatch.into()),
        _ => Ok(appid),
    }
}

/// The appid in X-App-Id, if there is one. A proxy may write two lines of a header as one with a comma (RFC 9110 section
/// 5.3).
///
/// # Errors
/// `APP_MISMATCH` if the header stands twice with different values, `APP_UNKNOWN` if it holds no appid.
pub(crate) fn in_header(request: &HttpRequest) -> Result<Option<WechatAppid>, ApiError> {
    let lines = request.headers().get_all(X_APP_ID).map(header::HeaderValue::as_bytes);
    let mut values = lines.flat_map(|line| line.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) {
        return Err(Code::AppMismatch.into());
    }
    let text = std::str::from_utf8(first).map_err(|_| Code::AppUnknown)?;
    text.parse().map(Some).map_err(|_| Code::AppUnknown.into())
}

/// The appid in the Referer that WeChat sets: `https://servicewechat.com/{appid}/{version}/page-frame.html`.
///
/// A hint for routing, never a proof; anything else is ignored.
pub(crate) fn in_referer(request: &HttpRequest) -> Option<WechatAppid> {
    let referer = request.headers().get(header::REFERER)?.to_str().ok()?;
    let mut parts = referer.strip_prefix("https://servicewechat.com/")?.split('/');
    let (appid, version, page) = (parts.next()?, parts.next()?, parts.next()?);
    let numbered = version == "devtools" || (!version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()));
    (numbered && page == "page-frame.html" && parts.next().is_none()).then(|| appid.parse().ok())?
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_wechats_own_referer_is_a_hint() {
        let appid = |referer: &str| {
            in_referer(&TestRequest::default().insert_header((header::REFERER, referer)).to_http_request())
                .map(|appid| appid.to_string())
        };
        for version in ["devtools", "0", "117"] {
            let referer = format!("https://servicewechat.com/wx1/{version}/page-frame.html");
            assert_eq!(appid(&referer).as_deref(), Some("wx1"));
        }
        for wrong in [
            "https://servicewechat.com.evil.example/wx1/0/page-frame.html",
            "http://servicewechat.com/wx1/0/page-frame.html",
            "https://servicewechat.com/wx1/beta/page-frame.html",
            "https://servicewechat.com/wx1/0/page-frame.html/x",
            "https://servicewechat.com/wx%31/0/page-frame.html",
            "https://servicewechat.com/",
        ] {
            assert_eq!(appid(wrong), None, "{wrong}");
        }
    }
}
