//! A call other than the exchange of a login code: in the app's lane of calls, judged by the body.

use std::future::Future;

use reqwest::Response;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::Instant;
use wxgate_domain::WechatAppid;
use zeroize::Zeroizing;

use crate::access_token::AccessToken;
use crate::answer::{errcode, object};
use crate::client::Client;
use crate::error::Rid;
use crate::refusal::{CallError, Proof, Refused};
use crate::transport::{Lost, body};

/// In whose name a call goes out.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The app.
    pub appid: &'a WechatAppid,
    /// Its access_token, or the authorizer_access_token that a third-party platform has for it.
    pub token: &'a AccessToken,
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
        result
    }
}

/// Reads an answer that is JSON: its fields, or WeChat's refusal.
pub(crate) async fn fields(response: Result<Response, Lost>, proof: Proof) -> Result<Map<String, Value>, CallError> {
    read(&body(response?).await?, proof)
}

/// A refusal wins over whatever else is there.
pub(crate) fn read(body: &[u8], proof: Proof) -> Result<Map<String, Value>, CallError> {
    let answer = object(body)?;
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
