//! A client of the gateway: what a mini-program and a backend send, and what came back.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// Talks to one base address, without proxy and without following anything.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    base: String,
    http: reqwest::Client,
}

/// A reply, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// A client of plain HTTP without proxy, redirects or retries.
pub(crate) fn http() -> reqwest::Client {
    builder().build().unwrap()
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .timeout(Duration::from_mins(1))
        .user_agent("wxgate-e2e/1")
}

impl Client {
    /// A client of `base`, for example `http://127.0.0.1:1234`.
    pub(crate) fn new(base: impl Into<String>) -> Self {
        Self { base: base.into(), http: http() }
    }

    /// The same as seen from another machine: everything in 127.0.0.0/8 is an address of this one.
    pub(crate) fn sent_from(&self, address: impl Into<IpAddr>) -> Self {
        Self { base: self.base.clone(), http: builder().local_address(address.into()).build().unwrap() }
    }

    /// The base address.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Host and port alone.
    pub(crate) fn authority(&self) -> &str {
        self.base.strip_prefix("http://").unwrap()
    }

    /// `POST /v1/apps/{appid}/login` with this JSON body.
    pub(crate) async fn login(&self, appid: &str, body: &Value) -> Reply {
        self.post(&format!("/v1/apps/{appid}/login"), body).await
    }

    /// Logs in with nothing but a code.
    pub(crate) async fn login_with(&self, appid: &str, code: &str) -> Reply {
        self.login(appid, &json!({ "code": code })).await
    }

    /// `POST` with a JSON body.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// `GET` without a body.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    /// A request to be completed by the caller and sent with [`Client::send`].
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Sends a request and reads the whole reply.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Reply {
        self.try_send(request).await.unwrap()
    }

    /// The same for a server that may be gone.
    pub(crate) async fn try_send(&self, request: RequestBuilder) -> reqwest::Result<Reply> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Reply { status, headers, text: response.text().await? })
    }
}

impl Reply {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text))
    }

    /// A header's text, empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Fails unless the status is this one.
    #[track_caller]
    pub(crate) fn status_is(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text);
    }

    /// Fails unless the status is 200; returns the JSON body.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    /// Fails unless the reply is a problem document (RFC 9457) of this status and code; returns it.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["type"], format!("urn:wxgate:error:{code}"), "{problem}");
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{problem}");
        assert_eq!(problem["request_id"], self.header("x-request-id"), "{problem}");
        assert_eq!(self.header("cache-control"), "no-store");
        problem
    }

    /// Fails unless the reply is a failure in the tutorial's shape; returns it.
    #[track_caller]
    pub(crate) fn tutorial_refused(&self, status: u16, error: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/json", "{}", self.text);
        let failure = self.json();
        assert_eq!(failure["code"], status, "{failure}");
        assert_eq!(failure["error"], error, "{failure}");
        assert!(failure["msg"].as_str().is_some_and(|msg| !msg.is_empty()), "{failure}");
        assert!(failure.get("action").is_some(), "{failure}");
        assert_eq!(failure.as_object().unwrap().len(), 4, "{failure}");
        assert_eq!(self.header("cache-control"), "no-store");
        failure
    }
}
