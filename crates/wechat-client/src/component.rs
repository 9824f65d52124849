//! The calls of a third-party platform ("component"), which logs in and calls for the apps that authorised it.
//!
//! Source: WeChat, "Third-party platform". Three kinds of tokens: the platform's own (from the ticket that WeChat pushes every
//! ten minutes), each app's, and the refresh token of each app. Losing the last means that the app must authorise again.

use std::time::Duration;

use serde_json::{Map, Value, json};
use wxgate_crypto::Secret;
use wxgate_domain::{AppSecret, LoginCode, WechatAppid, WechatIdentity};

use crate::access_token::{AccessToken, lifetime};
use crate::answer::take_text;
use crate::call::{fields, json as to_json};
use crate::client::{Client, Inner};
use crate::code2session;
use crate::errcode;
use crate::error::{BadResponse, ExchangeError, Rejected};
use crate::observer::CallReport;
use crate::refusal::{CallError, Proof};
use crate::transport::{Budget, Lost, body};

const TOKEN: &str = "/cgi-bin/component/api_component_token";
const START_TICKETS: &str = "/cgi-bin/component/api_start_push_ticket";
const PRE_AUTH_CODE: &str = "/cgi-bin/component/api_create_preauthcode";
const QUERY_AUTH: &str = "/cgi-bin/component/api_query_auth";
const AUTHORIZER_TOKEN: &str = "/cgi-bin/component/api_authorizer_token";
const AUTHORIZER_LIST: &str = "/cgi-bin/component/api_get_authorizer_list";
const LOGIN: &str = "/sns/component/jscode2session";

/// A third-party platform with its token.
#[derive(Clone, Copy, Debug)]
pub struct Component<'a> {
    /// The platform's own appid.
    pub appid: &'a WechatAppid,
    /// Its token, of [`Client::component_token`].
    pub token: &'a AccessToken,
}

/// A token and what is left of its life.
#[derive(Clone, Debug)]
pub struct LastingToken {
    /// The token.
    pub token: AccessToken,
    /// Its remaining life, at most two hours.
    pub expires_in: Duration,
}

/// What starts an authorisation: part of the address that the app's administrator opens.
#[derive(Clone, Debug)]
pub struct PreAuthCode {
    /// The code.
    pub code: Secret<String>,
    /// Its life; WeChat's pages disagree about it, so it is WeChat's answer that counts.
    pub expires_in: Duration,
}

/// What a platform must never lose: WeChat gives it again only with a new authorisation.
#[derive(Clone, Debug)]
pub struct RefreshToken(Secret<String>);

impl RefreshToken {
    /// Reads a token as it was sealed: 1 to 1024 visible ASCII characters. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        AccessToken::parse(text.to_owned()).map(|_| Self(Secret::new(text.to_owned())))
    }

    /// The token, to be sealed.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    fn take(answer: &mut Map<String, Value>) -> Result<Self, BadResponse> {
        const FIELD: &str = "authorizer_refresh_token";
        let text = take_text(answer, FIELD).map(Secret::new).ok_or(BadResponse::Field(FIELD))?;
        Self::parse(text.expose()).ok_or(BadResponse::Field(FIELD))
    }
}

/// What an app granted to a platform.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// The app.
    pub appid: WechatAppid,
    /// Its token, for calls in its name.
    pub token: LastingToken,
    /// What later tokens come from.
    pub refresh_token: RefreshToken,
    /// The ids of the permission sets; 18 is needed for users and phone numbers.
    pub permissions: Vec<i64>,
}

/// Why a login through a platform failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComponentLoginError {
    /// WeChat refused the platform's token, before it looked at the code: fetch a token, and log in once more.
    #[error("WeChat refused the third-party platform's token with errcode {}", .0.errcode)]
    TokenDead(Rejected),
    /// As for every other login.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}

impl Client {
    /// Fetches the platform's own token. Whoever fetches a new one ends the one before.
    ///
    /// # Errors
    /// See [`CallError`]; [`RefusedClass::TicketInvalid`](crate::RefusedClass::TicketInvalid) if the ticket is too old.
    pub async fn component_token(
        &self,
        appid: &WechatAppid,
        secret: &AppSecret,
        ticket: &Secret<String>,
    ) -> Result<LastingToken, CallError> {
        let parameters = json!({
            "component_appid": appid.as_str(),
            "component_appsecret": secret.expose(),
            "component_verify_ticket": ticket.expose(),
        });
        let mut answer = self.component_post(TOKEN, appid, None, &parameters).await?;
        Ok(lasting(&mut answer, "component_access_token")?)
    }

    /// Has WeChat push tickets again, after it stopped or when none came yet.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn start_tickets(&self, appid: &WechatAppid, secret: &AppSecret) -> Result<(), CallError> {
        let parameters = json!({ "component_appid": appid.as_str(), "component_secret": secret.expose() });
        self.component_post(START_TICKETS, appid, None, &parameters).await.map(drop)
    }

    /// Starts an authorisation.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn pre_auth_code(&self, component: &Component<'_>) -> Result<PreAuthCode, CallError> {
        let parameters = json!({ "component_appid": component.appid.as_str() });
        let mut answer =
            self.component_post(PRE_AUTH_CODE, component.appid, Some(component.token), &parameters).await?;
        let code = take_text(&mut answer, "pre_auth_code").filter(|code| !code.is_empty());
        let code = Secret::new(code.ok_or(BadResponse::Field("pre_auth_code"))?);
        Ok(PreAuthCode { code, expires_in: lifetime(&answer)? })
    }

    /// Exchanges the code of an authorisation for what the app granted.
    ///
    /// # Errors
    /// See [`CallError`]. After [`CallError::Timeout`] and [`CallError::BadResponse`] the code may be used up, and the refresh
    /// token with it: the app must authorise again.
    pub async fn query_auth(
        &self,
        component: &Component<'_>,
        code: &Secret<String>,
    ) -> Result<Authorization, CallError> {
        let parameters = json!({ "component_appid": component.appid.as_str(), "authorization_code": code.expose() });
        let mut answer = self.component_post(QUERY_AUTH, component.appid, Some(component.token), &parameters).await?;
        let info = answer.get_mut("authorization_info").and_then(Value::as_object_mut);
        Ok(authorization(info.ok_or(BadResponse::Field("authorization_info"))?)?)
    }

    /// Fetches the next token of an app. The refresh token that comes back replaces the one that was sent.
    ///
    /// # Errors
    /// See [`CallError`]; [`RefusedClass::NotAuthorized`](crate::RefusedClass::NotAuthorized) if the app withdrew.
    pub async fn authorizer_token(
        &self,
        component: &Component<'_>,
        appid: &WechatAppid,
        refresh_token: &RefreshToken,
    ) -> Result<(LastingToken, RefreshToken), CallError> {
        let parameters = json!({
            "component_appid": component.appid.as_str(),
            "authorizer_appid": appid.as_str(),
            "authorizer_refresh_token": refresh_token.expose(),
        });
        let mut answer =
            self.component_post(AUTHORIZER_TOKEN, component.appid, Some(component.token), &parameters).await?;
        let token = lasting(&mut answer, "authorizer_access_token")?;
        Ok((token, RefreshToken::take(&mut answer)?))
    }

    /// One page of the apps that authorised the platform, each with its refresh token: the way back to one that was lost.
    /// How many apps there are in all comes with it. At most 500 are asked for at once.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn authorizer_list(
        &self,
        component: &Component<'_>,
        offset: u32,
        count: u32,
    ) -> Result<(Vec<(WechatAppid, RefreshToken)>, u64), CallError> {
        let parameters = json!({ "component_appid": component.appid.as_str(), "offset": offset, "count": count });
        let mut answer =
            self.component_post(AUTHORIZER_LIST, component.appid, Some(component.token), &parameters).await?;
        let total = answer.get("total_count").and_then(Value::as_u64).ok_or(BadResponse::Field("total_count"))?;
        let list = answer.get_mut("list").and_then(Value::as_array_mut).ok_or(BadResponse::Field("list"))?;
        // What one entry lacks is not missed for another one's sake.
        let read = |entry: &mut Value| {
            let entry = entry.as_object_mut()?;
            let token = take_text(entry, "refresh_token").map(Secret::new)?;
            let appid = entry.get("authorizer_appid")?.as_str()?.parse().ok()?;
            Some((appid, RefreshToken::parse(token.expose())?))
        };
        Ok((list.iter_mut().filter_map(read).collect(), total))
    }

    /// Exchanges a login code of an app that authorised the platform. No AppSecret is needed.
    ///
    /// # Errors
    /// See [`ComponentLoginError`]; for codes all is as with [`Client::code_to_session`].
    pub async fn component_code_to_session(
        &self,
        component: &Component<'_>,
        appid: &WechatAppid,
        code: &LoginCode,
    ) -> Result<WechatIdentity, ComponentLoginError> {
        let mut budget = self.0.budget();
        let deadline = budget.deadline();
        let url = self.0.base_url.address(
            LOGIN,
            &[
                ("appid", appid.as_str()),
                ("js_code", code.expose()),
                ("grant_type", "authorization_code"),
                ("component_appid", component.appid.as_str()),
                ("component_access_token", component.token.expose()),
            ],
        );
        let exchange = async {
            let response = self.0.get(&url, &mut budget).await.map_err(ExchangeError::from)?;
            code2session::read(&body(response).await?)
        };
        let result = self.0.in_lane(&self.0.logins, appid, deadline, exchange).await;
        let class = result.as_ref().map_or_else(ExchangeError::errcode_class, |_| "ok");
        self.0.observer.tell(&CallReport { appid, route: LOGIN, class });
        tracing::debug!(wechat.route = LOGIN, wechat.appid = appid.as_str(), wechat.class = class, "called WeChat");
        result.map_err(ComponentLoginError::of)
    }

    async fn component_post(
        &self,
        route: &'static str,
        appid: &WechatAppid,
        token: Option<&AccessToken>,
        parameters: &Value,
    ) -> Result<Map<String, Value>, CallError> {
        let mut budget = self.0.budget();
        let deadline = budget.deadline();
        let post = self.0.component_post(route, token, parameters, &mut budget);
        self.call(route, appid, deadline, post).await
    }
}

impl Inner {
    async fn component_post(
        &self,
        route: &str,
        token: Option<&AccessToken>,
        parameters: &Value,
        budget: &mut Budget,
    ) -> Result<Map<String, Value>, CallError> {
        let (query, proof) = match token {
            Some(token) => (vec![("access_token", token.expose())], Proof::Token),
            None => (vec![], Proof::Secret),
        };
        let response: Result<_, Lost> =
            self.post(&self.base_url.address(route, &query), &to_json(parameters), budget).await;
        fields(response, proof).await
    }
}

impl ComponentLoginError {
    fn of(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Rejected(rejected) if errcode::is_of_dead_token(rejected.errcode) => {
                Self::TokenDead(rejected)
            }
            error => Self::Exchange(error),
        }
    }
}

fn lasting(answer: &mut Map<String, Value>, field: &'static str) -> Result<LastingToken, BadResponse> {
    Ok(LastingToken { token: AccessToken::take(answer, field)?, expires_in: lifetime(answer)? })
}

fn authorization(info: &mut Map<String, Value>) -> Result<Authorization, BadResponse> {
    let appid = info.get("authorizer_appid").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let permissions = info.get("func_info").and_then(Value::as_array).into_iter().flatten();
    Ok(Authorization {
        appid: appid.ok_or(BadResponse::Field("authorizer_appid"))?,
        permissions: permissions.filter_map(|info| info.pointer("/funcscope_category/id")?.as_i64()).collect(),
        token: lasting(info, "authorizer_access_token")?,
        refresh_token: RefreshToken::take(info)?,
    })
}
