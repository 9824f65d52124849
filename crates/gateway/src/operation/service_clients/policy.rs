//! What a service client may do.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{Audience, Network, Scope, ServiceClientPolicy, WechatAppid};

/// What is to be changed of what a service client may do; what is left out stays. Each list has at most 20 entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientPolicyChange {
    /// An audience that it is known by, instead of all before: its own tokens are for it, and it may introspect and
    /// exchange tokens for it. Give it once for each.
    #[arg(long = "audience", value_name = "AUD")]
    #[schema(value_type = Option<Vec<String>>)]
    pub(crate) audiences: Option<Vec<Audience>>,
    /// A scope that its tokens can have, instead of all before. Give it once for each.
    #[arg(long = "scope", value_name = "S")]
    #[schema(value_type = Option<Vec<String>>)]
    pub(crate) scopes: Option<Vec<Scope>>,
    /// Another service's audience that it may exchange a user's token to, or ask a token of its own for, instead of all
    /// before. Give it once for each.
    #[arg(long = "exchange-to", value_name = "AUD")]
    #[schema(value_type = Option<Vec<String>>)]
    pub(crate) exchange_to: Option<Vec<Audience>>,
    /// It may introspect tokens; `--introspect=false` takes that back.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) introspect: Option<bool>,
    /// It may follow the feed of revocations; `--feed=false` takes that back.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) feed: Option<bool>,
    /// The appid of a mini-program of the tenant whose access_token it may have, instead of all before. Give it once for
    /// each.
    #[arg(long = "access-token", value_name = "APPID")]
    #[schema(value_type = Option<Vec<String>>)]
    pub(crate) access_tokens: Option<Vec<WechatAppid>>,
    /// An address or network that it may come from, instead of all before; anywhere if none is given. Give it once for
    /// each.
    #[arg(long = "address", value_name = "CIDR")]
    #[schema(value_type = Option<Vec<String>>)]
    pub(crate) addresses: Option<Vec<Network>>,
}

impl ClientPolicyChange {
    /// The policy with what is to be changed.
    pub(crate) fn apply(self, policy: ServiceClientPolicy) -> ServiceClientPolicy {
        ServiceClientPolicy {
            version: policy.version,
            audiences: self.audiences.unwrap_or(policy.audiences),
            scopes: self.scopes.unwrap_or(policy.scopes),
            exchange_to: self.exchange_to.unwrap_or(policy.exchange_to),
            introspect: self.introspect.unwrap_or(policy.introspect),
            feed: self.feed.unwrap_or(policy.feed),
            access_tokens: self.access_tokens.unwrap_or(policy.access_tokens),
            addresses: self.addresses.unwrap_or(policy.addresses),
        }
    }
}
