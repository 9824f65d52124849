//! A call other than the exchange of a login code: in the app's lane of calls, judged by the body.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::Instant;
use wxgate_crypto::api_security::{ApiSecurity, Binding, SealedAnswer};
use wxgate_domain::{Timestamp, WechatAppid};
use zeroize::Zeroizing;

use crate::access_token::AccessToken;
use crate::answer::{errcode, object};
use crate::client::{Client, Inner};
use crate::error::{BadResponse, Rid};
use crate::observer::CallReport;
use crate::refusal::{CallError, Proof, Refused};
use crate::transport::{Budget, Lost, body};

/// In whose name a call goes out.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The app.
    pub appid: &'a WechatAppid,
    /// Its access_token, or the authorizer_access_token that a third-party platform has for it.
    pub token: &'a AccessToken,
    /// For an app whose calls WeChat wants signed and encrypted. Calls that WeChat does not take that way go out plain.
    pub security: Option<Security<'a>>,
}

impl<'a> Access<'a> {
    /// Plain calls, as most apps make them.
    pub fn plain(appid: &'a WechatAppid, token: &'a AccessToken) -> Self {
        Self { appid, token, security: None }
    }
}

/// What signed and encrypted calls need.
#[derive(Clone, Copy, Debug)]
pub struct Security<'a> {
    /// The app's keys, and WeChat's.
    pub keys: &'a ApiSecurity,
    /// Now: WeChat refuses a call that is too old, and we refuse such an answer.
    pub now: Timestamp,
    /// Set when an answer was signed by a certificate that WeChat is about to replace, and by one that we do not have.
    pub certificate_ends: &'a AtomicBool,
}

impl Client {
    /// Makes a call in the lane of an app or of a third-party platform, until its time is up, and logs how it went.
    pub(crate) async fn call<T>(
        &self,
        route: &'static str,
        appid: &WechatAppid,
        deadline: Instant,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let started = Instant::now();
        let result = self.0.in_lane(&self.0.calls, appid, deadline, call).await;
        log(route, appid, &result, started);
        let class = result.as_ref().err().map_or("ok", CallError::errcode_class);
        self.0.observer.tell(&CallReport { appid, route, class });
        result
    }
}

impl Inner {
    /// Sends a POST with an access_token, signed and encrypted if the app asks for it, and reads the answer.
    pub(crate) async fn post_as(
        &self,
        access: &Access<'_>,
        route: &str,
        parameters: Map<String, Value>,
        budget: &mut Budget,
    ) -> Result<Map<String, Value>, CallError> {
        let address = self.base_url.address(route, &[("access_token", access.token.expose())]);
        let Some(Security { keys, now, certificate_ends }) = access.security else {
            return fields(self.post(&address, &json(&parameters), budget).await, Proof::Token).await;
        };
        let (url, appid) = (self.signed_url.address(route, &[]), access.appid.as_str());
        let now = now.seconds();
        let binding = Binding { url: &url, appid, timestamp: now };
        // The keys were checked when they were read; should they fail all the same, nothing was sent.
        let call = keys.seal(&binding, parameters, &self.random).map_err(|_| CallError::Unavailable)?;
        let request = |http: &reqwest::Client| {
            http.post(address.as_str())
                .header(CONTENT_TYPE, "application/json")
                .header("Wechatmp-Appid", appid)
                .header("Wechatmp-TimeStamp", now)
                .header("Wechatmp-Signature", &call.signature)
                .body(call.body.clone())
        };
        let response = self.send(budget, request).await?;
        let headers = response.headers().clone();
        let body = body(response).await?;
        if !headers.contains_key("Wechatmp-Signature") {
            // Refusals come in clear. A success in clear is not WeChat's.
            read(&body, Proof::Token)?;
            return Err(BadResponse::Unprotected.into());
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let answer = SealedAnswer {
            appid: text("Wechatmp-Appid"),
            timestamp: text("Wechatmp-TimeStamp").parse().map_err(|_| BadResponse::Field("Wechatmp-TimeStamp"))?,
            // WeChat signs twice while it changes its certificate.
            signatures: &[
                (text("Wechatmp-Serial"), text("Wechatmp-Signature")),
                (text("Wechatmp-Serial-Deprecated"), text("Wechatmp-Signature-Deprecated")),
            ],
            body: std::str::from_utf8(&body).map_err(|_| BadResponse::NotJson)?,
        };
        let fields = keys.open(&url, appid, &answer, now).map_err(BadResponse::Protection)?;
        if !self.heard.is_new(&body, answer.timestamp, now) {
            return Err(BadResponse::Replayed.into());
        }
        if keys.platform.iter().all(|key| key.serial() != text("Wechatmp-Serial")) {
            certificate_ends.store(true, Ordering::Relaxed);
        }
        judge(fields, Proof::Token)
    }
}

/// Reads an answer that is JSON: its fields, or WeChat's refusal.
pub(crate) async fn fields(response: Result<Response, Lost>, proof: Proof) -> Result<Map<String, Value>, CallError> {
    read(&body(response?).await?, proof)
}

/// A refusal wins over whatever else is there.
pub(crate) fn read(body: &[u8], proof: Proof) -> Result<Map<String, Value>, CallError> {
    judge(object(body)?, proof)
}

fn judge(answer: Map<String, Value>, proof: Proof) -> Result<Map<String, Value>, CallError> {
    match errcode(&answer)? {
        0 => Ok(answer),
        errcode => Err(Refused::read(errcode, &answer, proof).into()),
    }
}

/// The body of a POST. It may hold secrets, so it is zeroed when dropped.
pub(crate) fn json(body: &impl Serialize) -> Zeroizing<Vec<u8>> {
    // Texts, numbers and truth values always serialise.
    Zeroizing::new(serde_json::to_vec(body).unwrap_or_default())
}

fn log<T>(route: &'static str, appid: &WechatAppid, result: &Result<T, CallError>, started: Instant) {
    let error = result.as_ref().err();
    let refused = error.and_then(|error| if let CallError::Refused(refused) = error { Some(refused) } else { None });
    let bad = error.and_then(|error| if let CallError::BadResponse(bad) = error { Some(bad.label()) } else { None });
    tracing::debug!(
        wechat.route = route,
        wechat.appid = appid.as_str(),
        wechat.class = error.map_or("ok", CallError::errcode_class),
        wechat.errcode = refused.map(|refused| refused.errcode),
        wechat.rid = refused.and_then(|refused| refused.rid.as_ref()).map(Rid::as_str),
        wechat.our_address = refused.and_then(|refused| refused.our_address).map(tracing::field::display),
        wechat.bad_response = bad,
        duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "called WeChat"
    );
}

#[cfg(test)]
mod tests;
