//! Whoever holds an admin key.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::client::{Client, Reply};
use super::gateway::Gateway;

/// A client of the admin API with a key.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    client: Client,
    pub(crate) key: String,
}

impl Gateway {
    /// The operator of a trial, with the key that `dev` printed.
    pub(crate) fn operator(&self) -> Operator {
        let key = std::fs::read_to_string(self.data().join("admin-key")).unwrap();
        Operator { client: self.admin().clone(), key: key.trim().to_owned() }
    }
}

impl Operator {
    /// Somebody without any.
    pub(crate) fn nobody(gateway: &Gateway) -> Self {
        Self { client: gateway.admin().clone(), key: String::new() }
    }

    /// Somebody with another key.
    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self { client: self.client.clone(), key: key.to_owned() }
    }

    /// A new key of a tenant's admin who may do everything there.
    pub(crate) async fn admin_of(&self, tenant: &str) -> Self {
        let key = json!({"name": "everything", "tenant": tenant, "scopes": ["read", "write", "secrets"]});
        let made = self.post("/admin-keys", &key).await;
        made.status_is(201);
        self.with_key(made.json()["secret"].as_str().unwrap())
    }

    /// A request below `/admin/v1`, to be completed and sent.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, &format!("/admin/v1{path}"));
        if self.key.is_empty() { request } else { request.bearer_auth(&self.key) }
    }

    /// Sends a request.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Reply {
        self.client.send(request).await
    }

    /// `GET`.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    /// `POST` with a JSON body.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// `PUT` with a JSON body.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// `PATCH` with a JSON body.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }

    /// `DELETE`.
    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, path)).await
    }
}
