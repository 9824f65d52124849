//! Service clients and standard clients of a tenant's OAuth endpoints.

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::{APP, Client, Gateway, PATIENCE, Reply, within};

pub(crate) const WECHAT_CODE: &str = "urn:wxgate:grant:wechat-code";
pub(crate) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A service client as the command printed it.
#[derive(Clone, Debug)]
pub(crate) struct ServiceClient {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// Adds a service client to a tenant by command, and waits until the gateway believes it.
pub(crate) async fn service_client(gateway: &Gateway, tenant: &str, name: &str, options: &[&str]) -> ServiceClient {
    let add = gateway.command(["service-client", "add", "--json", "--tenant", tenant, name]);
    let added = options.iter().fold(add, |run, option| run.argument(option)).run().await.json();
    let text = |field: &str| added[field].as_str().unwrap().to_owned();
    let client = ServiceClient { id: text("id"), secret: text("secret") };
    if !options.contains(&"--address") {
        believed(gateway, tenant, &client).await;
    }
    client
}

/// Waits until the gateway believes a client: revoking nothing is what every client may do.
pub(crate) async fn believed(gateway: &Gateway, tenant: &str, client: &ServiceClient) {
    within(PATIENCE, "the service client is believed", async || {
        let reply = post(gateway.client(), tenant, "revoke", Some(client), &[("token", "x")]).await;
        (reply.status == 200).then_some(())
    })
    .await;
}

/// Registers audiences for a tenant by command.
pub(crate) async fn audiences(gateway: &Gateway, tenant: &str, names: &[&str]) {
    for name in names {
        gateway.command(["audience", "add", "--tenant", tenant, name]).run().await.ok();
    }
}

/// A request to an OAuth endpoint, with the client's secret by Basic.
pub(crate) fn request(client: &Client, tenant: &str, endpoint: &str, by: Option<&ServiceClient>) -> RequestBuilder {
    let request = client.request(Method::POST, &format!("/t/{tenant}/oauth/{endpoint}"));
    match by {
        Some(by) => request.basic_auth(&by.id, Some(&by.secret)),
        None => request,
    }
}

/// `POST /t/{tenant}/oauth/{endpoint}` with a form.
pub(crate) async fn post(
    client: &Client,
    tenant: &str,
    endpoint: &str,
    by: Option<&ServiceClient>,
    form: &[(&str, &str)],
) -> Reply {
    client.send(urlencoded(request(client, tenant, endpoint, by), form)).await
}

/// A form as a body.
pub(crate) fn urlencoded(request: RequestBuilder, form: &[(&str, &str)]) -> RequestBuilder {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(form);
    request.header("Content-Type", "application/x-www-form-urlencoded").body(body.finish())
}

/// A token of a service client for itself.
pub(crate) async fn client_token(gateway: &Gateway, tenant: &str, by: &ServiceClient) -> Value {
    post(gateway.client(), tenant, "token", Some(by), &[("grant_type", "client_credentials")]).await.ok()
}

/// Exchanges a token for one for `audience`.
pub(crate) async fn exchange(
    gateway: &Gateway,
    tenant: &str,
    by: &ServiceClient,
    token: &str,
    audience: &str,
) -> Reply {
    let form = [
        ("grant_type", EXCHANGE),
        ("subject_token", token),
        ("subject_token_type", ACCESS_TOKEN),
        ("audience", audience),
    ];
    post(gateway.client(), tenant, "token", Some(by), &form).await
}

/// What a token is worth to a client; the whole answer.
pub(crate) async fn introspect(gateway: &Gateway, tenant: &str, by: &ServiceClient, token: &str) -> Value {
    post(gateway.client(), tenant, "introspect", Some(by), &[("token", token)]).await.ok()
}

/// Waits until a token is worth something to a client, or nothing.
pub(crate) async fn becomes(gateway: &Gateway, (tenant, by): (&str, &ServiceClient), token: &str, active: bool) {
    within(PATIENCE, &format!("active is {active}"), async || {
        (introspect(gateway, tenant, by, token).await["active"] == active).then_some(())
    })
    .await;
}

/// A pair of tokens of a new person, by the grant of `wx.login` codes.
pub(crate) async fn log_in(gateway: &Gateway) -> Value {
    let issued = gateway.simulator().code(APP).await;
    let form = [("grant_type", WECHAT_CODE), ("client_id", APP), ("code", &issued.code)];
    post(gateway.client(), "demo", "token", None, &form).await.ok()
}

/// Fails unless every route of the gateway's own for users refuses a token.
pub(crate) async fn opens_nothing_of_users(gateway: &Gateway, token: &str) {
    for (method, path) in [
        (Method::GET, "/v1/me"),
        (Method::PATCH, "/v1/me"),
        (Method::GET, "/v1/me/sessions"),
        (Method::POST, "/v1/logout"),
        (Method::DELETE, "/v1/me/sessions/01a20353-a15f-7d6b-8bde-3e4eac2aa9d8"),
    ] {
        let request = gateway.client().request(method, path).bearer_auth(token);
        let request = request.json(&serde_json::json!({ "scope": "this", "nickname": "Mallory" }));
        gateway.client().send(request).await.refused(401, "TOKEN_INVALID");
    }
}

/// The field of a reply as text.
pub(crate) fn text<'a>(reply: &'a Value, field: &str) -> &'a str {
    reply[field].as_str().unwrap_or_else(|| panic!("{field} in {reply}"))
}

impl Reply {
    /// Fails unless the reply is an error of RFC 6749 section 5.2, with nothing of our insides; returns it.
    #[track_caller]
    pub(crate) fn oauth_refused(&self, status: u16, error: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/json", "{}", self.text);
        assert_eq!(self.header("cache-control"), "no-store");
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        let body = self.json();
        assert_eq!(body["error"], error, "{body}");
        let description = text(&body, "error_description");
        assert!(!description.is_empty() && !description.contains("::") && !description.contains("actix"), "{body}");
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
        let challenge = if status == 401 { r#"Basic realm="wxgate", charset="UTF-8""# } else { "" };
        assert_eq!(self.header("www-authenticate"), challenge);
        body
    }
}
