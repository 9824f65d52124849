//! The client: one budget for each call, one lane for each app.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wxgate_crypto::Random;
use wxgate_domain::{AppSecret, AppSecrets, LoginCode, WechatAppid, WechatIdentity};

use crate::base_url::BaseUrl;
use crate::code2session;
use crate::connections::Connections;
use crate::errcode;
use crate::error::{ConfigError, ExchangeError, Rid};
use crate::heard::Heard;
use crate::lanes::Lanes;
use crate::observer::{CallObserver, CallReport};
use crate::secret_check::SecretCheck;
use crate::transport::{Budget, body};

/// A code of no user. WeChat's own are 32 characters long.
const NOBODYS_CODE: &str = "wxgate-checks-the-appsecret";

/// How a [`Client`] behaves.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Where WeChat is. Default: `https://api.weixin.qq.com`.
    pub base_url: BaseUrl,
    /// The address that signed and encrypted calls name, where `base_url` is that of a relay: WeChat verifies them under the
    /// address at which they reach it. Default: none, which is `base_url`.
    pub signed_url: Option<BaseUrl>,
    /// Time for name, TCP and TLS together. Default: 1 s.
    pub connect_timeout: Duration,
    /// Time for a whole call, the second try included. Default: 2 s.
    pub total_timeout: Duration,
    /// Exchanges of one app at the same time; more are [`ExchangeError::Overloaded`]. Default: 256.
    pub max_in_flight_per_app: usize,
    /// After so many calls of one app in a row that failed altogether ([`ExchangeError::Timeout`],
    /// [`ExchangeError::Unavailable`], [`ExchangeError::BadResponse`]), its calls fail at once for one to two seconds;
    /// then one call tries. Default: 50: behind a hanging WeChat they are in flight together.
    pub breaker_threshold: u32,
    /// Who is told of every call. Default: nobody.
    pub observer: CallObserver,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            base_url: BaseUrl::wechat(),
            signed_url: None,
            connect_timeout: Duration::from_secs(1),
            total_timeout: Duration::from_secs(2),
            max_in_flight_per_app: 256,
            breaker_threshold: 50,
            observer: CallObserver::default(),
        }
    }
}

/// A client of WeChat's API. Clones share connections and lanes.
#[derive(Clone, Debug)]
pub struct Client(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) connections: Connections,
    pub(crate) base_url: BaseUrl,
    pub(crate) signed_url: BaseUrl,
    /// Answers to signed calls that came lately.
    pub(crate) heard: Heard,
    pub(crate) connect_timeout: Duration,
    pub(crate) total_timeout: Duration,
    pub(crate) random: Random,
    /// The lanes of logins.
    pub(crate) logins: Lanes,
    /// The lanes of everything else, so that nothing else gets into the way of a login.
    pub(crate) calls: Lanes,
    pub(crate) observer: CallObserver,
}

/// What WeChat gave for a code.
#[derive(Clone, Debug)]
pub struct Exchanged {
    /// Who logged in.
    pub identity: WechatIdentity,
    /// Which AppSecret WeChat accepted.
    pub slot: SecretSlot,
}

impl Exchanged {
    /// The class of the outcome as a metric's label: `ok`. The others are
    /// [`ExchangeError::errcode_class`].
    pub fn errcode_class(&self) -> &'static str {
        "ok"
    }
}

/// One of the two AppSecrets of an app whose secret is being rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretSlot {
    /// The one that is tried first.
    Current,
    /// The one before. WeChat does not know the current one: a rotation is not finished, or went wrong.
    Previous,
}

impl Client {
    /// Makes a client. No connection is opened yet.
    ///
    /// # Errors
    /// A value of the configuration makes no sense, or there is no TLS or no randomness to be had.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        let ClientConfig {
            base_url,
            signed_url,
            connect_timeout,
            total_timeout,
            max_in_flight_per_app,
            breaker_threshold,
            observer,
        } = config;
        if connect_timeout.is_zero() || connect_timeout >= total_timeout {
            return Err(ConfigError::Timeouts);
        }
        if max_in_flight_per_app == 0 || breaker_threshold == 0 {
            return Err(ConfigError::Limits);
        }
        let connections = Connections::new(base_url.is_https(), connect_timeout)?;
        let random = Random::system().map_err(|_| ConfigError::NoRandomness)?;
        let logins = Lanes::new(max_in_flight_per_app, breaker_threshold, random.clone());
        let calls = Lanes::new(max_in_flight_per_app, breaker_threshold, random.clone());
        Ok(Self(Arc::new(Inner {
            connections,
            signed_url: signed_url.unwrap_or_else(|| base_url.clone()),
            heard: Heard::default(),
            base_url,
            connect_timeout,
            total_timeout,
            random,
            logins,
            calls,
            observer,
        })))
    }

    /// Exchanges the code of `wx.login` for who logged in (code2Session).
    ///
    /// The call ends within the total timeout. If WeChat refuses the current AppSecret (40125) and there is a previous
    /// one, the same code is tried with that: WeChat checks the secret first, so the code is still good. A request
    /// that was sent is never sent again.
    ///
    /// Dropping the future does not take back what was sent: run it to its end.
    ///
    /// # Errors
    /// See [`ExchangeError`]. After [`ExchangeError::Timeout`], [`ExchangeError::BadResponse`] and
    /// [`RejectedClass::Busy`](crate::RejectedClass::Busy) the code may be used up.
    pub async fn code_to_session(
        &self,
        appid: &WechatAppid,
        secrets: &AppSecrets,
        code: &LoginCode,
    ) -> Result<Exchanged, ExchangeError> {
        let started = Instant::now();
        let mut budget = self.0.budget();
        let deadline = budget.deadline();
        let exchange = self.0.exchange(appid, secrets, code, &mut budget);
        let result = self.0.in_lane(&self.0.logins, appid, deadline, exchange).await;
        log(appid, &result, started.elapsed());
        let class = result.as_ref().map_or_else(ExchangeError::errcode_class, Exchanged::errcode_class);
        self.0.observer.tell(&CallReport { appid, route: code2session::ROUTE, class });
        result
    }

    /// Asks WeChat whether an AppSecret is the app's, with a code that nobody has: WeChat looks at the secret first, so
    /// that a complaint about the code means that the secret is right.
    ///
    /// It takes a place among the app's exchanges and as much time as one of them.
    pub async fn check_secret(&self, appid: &WechatAppid, secret: &AppSecret) -> SecretCheck {
        let Ok(nobodys) = NOBODYS_CODE.parse() else { return SecretCheck::Unknown };
        let secrets = AppSecrets::only(secret.clone());
        SecretCheck::of(&self.code_to_session(appid, &secrets, &nobodys).await)
    }
}

impl Inner {
    async fn exchange(
        &self,
        appid: &WechatAppid,
        secrets: &AppSecrets,
        code: &LoginCode,
        budget: &mut Budget,
    ) -> Result<Exchanged, ExchangeError> {
        let AppSecrets { current, previous } = secrets;
        match (self.exchange_with(appid, current, code, budget).await, previous) {
            (Err(ExchangeError::Rejected(rejected)), Some(previous)) if rejected.errcode == errcode::WRONG_SECRET => {
                let identity = self.exchange_with(appid, previous, code, budget).await?;
                Ok(Exchanged { identity, slot: SecretSlot::Previous })
            }
            (result, _) => result.map(|identity| Exchanged { identity, slot: SecretSlot::Current }),
        }
    }

    async fn exchange_with(
        &self,
        appid: &WechatAppid,
        secret: &AppSecret,
        code: &LoginCode,
        budget: &mut Budget,
    ) -> Result<WechatIdentity, ExchangeError> {
        let url = code2session::url(&self.base_url, appid, secret, code);
        code2session::read(&body(self.get(&url, budget).await?).await?)
    }
}

fn log(appid: &WechatAppid, result: &Result<Exchanged, ExchangeError>, took: Duration) {
    let rejected = match result {
        Err(ExchangeError::Rejected(rejected)) => Some(rejected),
        _ => None,
    };
    let bad_response = match result {
        Err(ExchangeError::BadResponse(bad)) => Some(bad.label()),
        _ => None,
    };
    let previous_secret = matches!(result, Ok(Exchanged { slot: SecretSlot::Previous, .. }));
    tracing::debug!(
        wechat.route = code2session::ROUTE,
        wechat.appid = appid.as_str(),
        wechat.class = result.as_ref().map_or_else(ExchangeError::errcode_class, Exchanged::errcode_class),
        wechat.errcode = rejected.map(|rejected| rejected.errcode),
        wechat.rid = rejected.and_then(|rejected| rejected.rid.as_ref()).map(Rid::as_str),
        wechat.mock_code = rejected.map(|rejected| rejected.is_mock_code),
        wechat.bad_response = bad_response,
        wechat.previous_secret = previous_secret,
        duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "called WeChat"
    );
}
