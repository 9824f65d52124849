//! What becomes of tokens: they are refreshed, shown to a proxy, introspected, and verified with the published keys.

use crate::Failure;
use crate::http::{FORM, JSON, get, post};
use crate::load::{Load, Sample, client};
use crate::logins::Tokens;
use crate::peers::Provider;
use crate::process::Server;
use crate::servers::{POLICY, TENANT};

impl Load<'_> {
    /// Each session is refreshed once: as many rows as requests.
    ///
    /// # Errors
    /// A refresh was not answered 200.
    pub(crate) async fn refresh(&self, server: &Server, tokens: &[Tokens]) -> Result<Sample, Failure> {
        let body = |tokens: &Tokens| format!(r#"{{"refresh_token":"{}"}}"#, tokens.refresh_token);
        let request = |tokens| post("/v1/token/refresh", JSON, &self.client(), &body(tokens));
        Ok(self.measure(server, tokens.iter().map(request).collect(), "access_token").await?.0)
    }

    /// A proxy asks about these tokens in turn, each with the address of its client.
    ///
    /// # Errors
    /// A token was refused.
    pub(crate) async fn forward_auth(
        &self,
        gateway: &Server,
        tokens: &[Tokens],
        requests: usize,
    ) -> Result<Sample, Failure> {
        let path = format!("/forward-auth/{POLICY}");
        let ask = |(number, tokens): (u32, &Tokens)| {
            get(&path, &format!("{}Authorization: Bearer {}\r\n", client(number), tokens.access_token))
        };
        let asks: Vec<_> = (0..).zip(tokens).map(ask).collect();
        Ok(self.measure(gateway, in_turn(&asks, requests), "").await?.0)
    }

    /// A backend asks about these tokens in turn.
    ///
    /// # Errors
    /// A token is not active.
    pub(crate) async fn introspect(
        &self,
        gateway: &Server,
        authorization: &str,
        tokens: &[Tokens],
        requests: usize,
    ) -> Result<Sample, Failure> {
        let path = format!("/t/{TENANT}/oauth/introspect");
        let ask = |(number, tokens): (u32, &Tokens)| {
            let headers = format!("{}Authorization: {authorization}\r\n", client(number));
            post(&path, FORM, &headers, &format!("token={}", tokens.access_token))
        };
        let asks: Vec<_> = (0..).zip(tokens).map(ask).collect();
        Ok(self.measure(gateway, in_turn(&asks, requests), r#""active":true"#).await?.0)
    }

    /// Verifiers read the keys.
    ///
    /// # Errors
    /// There are none.
    pub(crate) async fn keys(&self, server: &Server, path: &str, requests: usize) -> Result<Sample, Failure> {
        let requests = (0..requests).map(|_| get(path, &self.client())).collect();
        Ok(self.measure(server, requests, r#""keys""#).await?.0)
    }

    /// Verifiers of many tenants read the keys.
    ///
    /// # Errors
    /// There are none.
    pub(crate) async fn keys_of(
        &self,
        server: &Server,
        paths: impl Iterator<Item = String>,
    ) -> Result<Sample, Failure> {
        let requests = paths.map(|path| get(&path, &self.client())).collect();
        Ok(self.measure(server, requests, r#""keys""#).await?.0)
    }

    /// Requests that ask for nothing.
    ///
    /// # Errors
    /// One was not answered 200.
    pub(crate) async fn hello(&self, floor: &Server, requests: usize) -> Result<Sample, Failure> {
        let requests = (0..requests).map(|_| get("/hello", &self.client())).collect();
        Ok(self.measure(floor, requests, "Hello").await?.0)
    }

    /// The peer's refresh, with its few tokens in turn: it does not rotate them.
    ///
    /// # Errors
    /// A refresh was not answered 200.
    pub(crate) async fn provider_refresh(&self, provider: &Provider, requests: usize) -> Result<Sample, Failure> {
        let body = |token: &String| format!("grant_type=refresh_token&refresh_token={token}");
        let asks: Vec<_> = provider.tokens.refresh.iter().map(|token| provider.post("/token", &body(token))).collect();
        Ok(self.measure(&provider.server, in_turn(&asks, requests), "access_token").await?.0)
    }

    /// The peer's introspection.
    ///
    /// # Errors
    /// A token is not active.
    pub(crate) async fn provider_introspect(&self, provider: &Provider, requests: usize) -> Result<Sample, Failure> {
        let ask = |token: &String| provider.post("/token/introspection", &format!("token={token}"));
        let asks: Vec<_> = provider.tokens.access.iter().map(ask).collect();
        Ok(self.measure(&provider.server, in_turn(&asks, requests), r#""active":true"#).await?.0)
    }
}

/// So many of these, over and over.
fn in_turn(asks: &[Vec<u8>], requests: usize) -> Vec<Vec<u8>> {
    asks.iter().cycle().take(requests).cloned().collect()
}

/// What one core does in a second.
pub(crate) fn per_core(sample: &Sample) -> f64 {
    1e6 / sample.cpu
}
