//! What a mini-program tunes.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AppPolicy, Audience, ClientProfile, Scope, TokenSource};

/// What is to be changed of what a mini-program tunes; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppPolicyChange {
    /// Whom its tokens are for, instead of all before: an audience of the tenant. Give it once for each, at most 20.
    #[arg(long = "audience", value_name = "NAME")]
    #[schema(value_type = Option<Vec<String>>)]
    pub(crate) audiences: Option<Vec<Audience>>,
    /// What its tokens allow, instead of all before. Give it once for each, at most 20.
    #[arg(long = "scope", value_name = "NAME")]
    #[schema(value_type = Option<Vec<String>>)]
    pub(crate) scopes: Option<Vec<Scope>>,
    /// Whether its tokens carry the openid.
    #[arg(long, value_name = "BOOL")]
    pub(crate) openid_claim: Option<bool>,
    /// Whether its tokens carry the unionid.
    #[arg(long, value_name = "BOOL")]
    pub(crate) unionid_claim: Option<bool>,
    /// Whether its tokens carry what another system calls the user.
    #[arg(long, value_name = "BOOL")]
    pub(crate) external_id_claim: Option<bool>,
    /// Whether its tokens carry the user's phone number, if WeChat vouches for it.
    #[arg(long, value_name = "BOOL")]
    pub(crate) phone_claim: Option<bool>,
    /// Phone codes that one openid may have exchanged in a day of Beijing, 1 to 1000. WeChat charges for each.
    #[arg(long, value_name = "N")]
    pub(crate) phone_codes_per_user_day: Option<u32>,
    /// Phone codes that the whole app may have exchanged in a day of Beijing, 1 to 10000000.
    #[arg(long, value_name = "N")]
    pub(crate) phone_codes_per_day: Option<u32>,
    /// Phone data that one openid may have confirmed by WeChat in a day of Beijing, 1 to 1000.
    #[arg(long, value_name = "N")]
    pub(crate) phone_data_per_user_day: Option<u32>,
    /// Phone data that the whole app may have confirmed in a day of Beijing, 1 to 10000000.
    #[arg(long, value_name = "N")]
    pub(crate) phone_data_per_day: Option<u32>,
    /// Sessions that one openid may open in a minute, 1 to 1000.
    #[arg(long, value_name = "N")]
    pub(crate) logins_per_minute: Option<u32>,
    /// Logins a second of the whole app, 1 to 100000.
    #[arg(long, value_name = "N")]
    pub(crate) requests_per_second: Option<u32>,
    /// Logins at once of the whole app, 1 to 100000.
    #[arg(long, value_name = "N")]
    pub(crate) request_burst: Option<u32>,
    /// Where its access_token comes from: `stable`, or `legacy` if it is shared with a system that knows no other.
    #[arg(long, value_name = "SOURCE")]
    #[schema(value_type = Option<String>)]
    pub(crate) access_token: Option<TokenSource>,
    /// Which clients it has: `native`, or a name in docs/compatibility.md.
    #[arg(long, value_name = "NAME")]
    #[schema(value_type = Option<String>)]
    pub(crate) profile: Option<ClientProfile>,
    /// Whether these clients get HTTP 200 whatever happens. Another profile forgets it.
    #[arg(long, value_name = "BOOL")]
    pub(crate) always_ok: Option<bool>,
}

impl AppPolicyChange {
    /// The policy with what is to be changed.
    pub(crate) fn apply(self, policy: &AppPolicy) -> AppPolicy {
        AppPolicy {
            version: policy.version,
            audiences: texts(self.audiences).unwrap_or_else(|| policy.audiences.clone()),
            scopes: texts(self.scopes).unwrap_or_else(|| policy.scopes.clone()),
            openid_claim: self.openid_claim.unwrap_or(policy.openid_claim),
            unionid_claim: self.unionid_claim.unwrap_or(policy.unionid_claim),
            external_id_claim: self.external_id_claim.unwrap_or(policy.external_id_claim),
            phone_claim: self.phone_claim.unwrap_or(policy.phone_claim),
            phone_codes_per_user_day: self.phone_codes_per_user_day.unwrap_or(policy.phone_codes_per_user_day),
            phone_codes_per_day: self.phone_codes_per_day.unwrap_or(policy.phone_codes_per_day),
            phone_data_per_user_day: self.phone_data_per_user_day.unwrap_or(policy.phone_data_per_user_day),
            phone_data_per_day: self.phone_data_per_day.unwrap_or(policy.phone_data_per_day),
            requests_per_second: self.requests_per_second.unwrap_or(policy.requests_per_second),
            request_burst: self.request_burst.unwrap_or(policy.request_burst),
            access_token: self.access_token.unwrap_or(policy.access_token),
            logins_per_minute: self.logins_per_minute.unwrap_or(policy.logins_per_minute),
            profile: self.profile.unwrap_or(policy.profile),
            always_ok: self
                .always_ok
                .or(policy.always_ok.filter(|_| self.profile.is_none_or(|to| to == policy.profile))),
        }
    }

    /// Whether nothing is to be changed.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn texts<T: ToString>(list: Option<Vec<T>>) -> Option<Vec<String>> {
    list.map(|list| list.iter().map(ToString::to_string).collect())
}
