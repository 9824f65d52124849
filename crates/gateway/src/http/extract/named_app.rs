//! Which mini-program a request is for.

use actix_web::HttpRequest;
use actix_web::http::header;
use wxgate_domain::WechatAppid;

use crate::http::code::Code;
use crate::http::error::ApiError;

const X_APP_ID: &str = "x-app-id";

/// The appid in the path. A different one in X-App-Id is refused.
///
/// # Errors
/// `APP_UNKNOWN` for text that no appid can be, `APP_MISMATCH` for two different ones.
pub(crate) fn in_path(request: &HttpRequest) -> Result<WechatAppid, ApiError> {
    let appid = request.match_info().get("appid").unwrap_or_default();
    let appid: WechatAppid = appid.parse().map_err(|_| Code::AppUnknown)?;
    match in_header(request)? {
        Some(named) if named != appid => Err(Code::AppMismatch.into()),
        _ => Ok(appid),
    }
}

/// The appid in X-App-Id, if there is one.
///
/// # Errors
/// `APP_MISMATCH` if the header stands twice with different values, `APP_UNKNOWN` if it holds no appid.
pub(crate) fn in_header(request: &HttpRequest) -> Result<Option<WechatAppid>, ApiError> {
    let mut values = request.headers().get_all(X_APP_ID).map(header::HeaderValue::as_bytes);
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
