//! Whether an access_token works: `GET /cgi-bin/getcallbackip`, the cheapest call that there is.
//!
//! Source: WeChat, "Get the server's IP addresses".

use crate::call::{Access, fields};
use crate::client::Client;
use crate::error::BadResponse;
use crate::refusal::{CallError, Proof};

const ROUTE: &str = "/cgi-bin/getcallbackip";

impl Client {
    /// Makes a call that needs nothing but a token that works.
    ///
    /// # Errors
    /// [`CallError::token_is_dead`] if it does not; all others say nothing about it.
    pub async fn check_token(&self, access: &Access<'_>) -> Result<(), CallError> {
        let mut budget = self.0.budget();
        let deadline = budget.deadline();
        let check = async {
            let address = self.0.base_url.address(ROUTE, &[("access_token", access.token.expose())]);
            let answer = fields(self.0.get(&address, &mut budget).await, Proof::Token).await?;
            answer.contains_key("ip_list").then_some(()).ok_or_else(|| BadResponse::Field("ip_list").into())
        };
        self.call(ROUTE, access.appid, deadline, check).await
    }
}
