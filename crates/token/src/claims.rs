//! What an access token says (RFC 9068 section 2.2), and how strictly it is read.

use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use wxgate_crypto::strict_json;
use wxgate_domain::{
    E164, ExternalId, Kid, OpenId, ServiceClientId, SessionId, Slug, Timestamp, UnionId, UserId, WechatAppid,
};

use crate::actor::Actor;

/// The longest life of an access token, the most that a tenant's policy allows. A token that claims more is not ours.
pub const MAX_LIFE: Duration = Duration::from_hours(24);

/// The longest access token that is issued or read, in bytes: half of what a request's head may have.
pub const MAX_LENGTH: usize = 8 * 1024;

/// The end of year 9999, in seconds since 1970: nobody's clock is later.
pub(crate) const LAST_SECOND: i64 = 253_402_300_799;

/// The names of all claims that a token can have.
pub(crate) const NAMES: [&str; 17] = [
    "iss",
    "sub",
    "aud",
    "client_id",
    "sid",
    "jti",
    "iat",
    "exp",
    "scope",
    "tenant",
    "openid",
    "unionid",
    "external_id",
    "phone_number",
    "phone_number_verified",
    "app",
    "act",
];

/// What a verified access token says. Only [`verify`](crate::verify()) makes one for others.
///
/// There are three kinds. A **user's** token has `sid`, and `client_id` is the appid. A **service client's** own has its
/// id as `sub` and `client_id`, and no `sid`. One that was **exchanged** (RFC 8693) has a user and `sid`, and names
/// the service client in `client_id` and `act`, and the appid in `app`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Claims {
    /// Who issued it: the tenant's issuer.
    pub iss: String,
    /// Whom it speaks of: a user's id, see [`Claims::user`], or that of a service client.
    pub sub: String,
    /// Whom it is for. Always an array on the wire when we write it.
    pub aud: Vec<String>,
    /// The client that asked for it: the mini-program's appid, see [`Claims::app`], or a service client's id.
    pub client_id: String,
    /// The session it belongs to; a service client's own token has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    /// The token's own id: 128 random bits.
    pub jti: String,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
    /// When it begins, in seconds since 1970; we never write it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// What it allows: words with spaces between (RFC 6749 section 3.3). Empty means nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// The tenant's slug.
    pub tenant: Slug,
    /// The user's openid in this app, if the app opted in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openid: Option<OpenId>,
    /// The user's unionid, if the app opted in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unionid: Option<UnionId>,
    /// What another system calls the user, if the app opted in and an import said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<ExternalId>,
    /// The user's phone number in E.164 form, if the app opted in and WeChat vouches for it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "told")]
    pub phone_number: Option<E164>,
    /// Whether the phone number was verified (OpenID Connect Core 1.0 section 5.1): always, where there is one.
    #[serde(skip_serializing_if = "is_false")]
    pub phone_number_verified: bool,
    /// The mini-program that the user logged in to, in an exchanged token; else see [`Claims::app`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<WechatAppid>,
    /// Who acts for the user, in an exchanged token (RFC 8693 section 4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<Actor>,
    /// The key that signed it: from the header, and no claim. Whoever keeps verified tokens must refuse those of a key
    /// that was retired since.
    #[serde(skip)]
    pub kid: Kid,
}

impl Claims {
    /// The user; `None` if the token speaks of something else.
    pub fn user(&self) -> Option<UserId> {
        self.sub.parse().ok()
    }

    /// The mini-program that the user logged in to, also after an exchange; `None` if there is none.
    pub fn app(&self) -> Option<WechatAppid> {
        let client = || self.client_id.parse().ok().filter(|_| !self.is_of_service());
        self.app.clone().or_else(client)
    }

    /// The service client that holds the token; `None` if a mini-program does.
    pub fn client(&self) -> Option<ServiceClientId> {
        self.client_id.parse().ok()
    }

    /// Whether the holder is a service client and not a mini-program.
    fn is_of_service(&self) -> bool {
        self.client_id.starts_with(ServiceClientId::PREFIX)
    }

    /// Whether the token is for this audience.
    pub fn is_for(&self, audience: &str) -> bool {
        self.aud.iter().any(|own| own == audience)
    }

    /// Whether `scope` has this word.
    pub fn allows(&self, scope: &str) -> bool {
        self.scope.split(' ').any(|own| own == scope)
    }

    /// When it ends.
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_millis(self.exp.saturating_mul(1_000))
    }

    /// Reads the payload of a token whose signature was verified.
    ///
    /// Unknown claims are ignored (RFC 7519 section 4). Refused are duplicate claims (section 4 lets a reader choose;
    /// two readers that choose differently see two tokens), a missing or malformed one, and times that are no whole
    /// seconds between 1970 and 9999 in order, or further apart than [`MAX_LIFE`], and claims of which no kind of token
    /// has all.
    pub(crate) fn read(payload: &[u8], kid: &Kid) -> Result<Self, Malformed> {
        let Ok(Value::Object(claims)) = strict_json::parse(payload) else { return Err(Malformed) };
        let read = Reader(claims);
        let claims = Self {
            iss: read.text("iss")?,
            sub: read.text("sub")?,
            aud: read.audiences()?,
            client_id: read.text("client_id")?,
            sid: read.optional("sid", Reader::parsed)?,
            jti: read.text("jti")?,
            iat: read.seconds("iat")?,
            exp: read.seconds("exp")?,
            nbf: read.optional("nbf", Reader::seconds)?,
            scope: read.optional("scope", Reader::string)?.unwrap_or_default().to_owned(),
            tenant: read.parsed("tenant")?,
            openid: read.optional("openid", Reader::parsed)?,
            unionid: read.optional("unionid", Reader::parsed)?,
            external_id: read.optional("external_id", Reader::parsed)?,
            phone_number: read.optional("phone_number", Reader::parsed)?,
            phone_number_verified: read.optional("phone_number_verified", Reader::truth)?.unwrap_or(false),
            app: read.optional("app", Reader::parsed)?,
            act: read.optional("act", Reader::actor)?,
            kid: kid.clone(),
        };
        if !claims.are_of_one_kind() {
            return Err(Malformed);
        }
        let life = u64::try_from(claims.exp - claims.iat).map_err(|_| Malformed)?;
        (1..=MAX_LIFE.as_secs()).contains(&life).then_some(claims).ok_or(Malformed)
    }

    /// Whether they are a user's, a service client's, or exchanged, and not some of each.
    fn are_of_one_kind(&self) -> bool {
        match (&self.act, &self.app, self.is_of_service()) {
            (None, None, false) => true,
            (None, None, true) => self.client().is_some() && self.sub == self.client_id && self.sid.is_none(),
            (Some(act), Some(_), true) => {
                act.sub.as_str() == self.client_id && self.user().is_some() && self.sid.is_some()
            }
            _ => false,
        }
    }
}

/// A claim is missing, or not of its kind. Which one is nobody's business but ours.
#[derive(Debug)]
pub(crate) struct Malformed;

struct Reader(Map<String, Value>);

impl Reader {
    /// A claim that may be missing, but not malformed.
    fn optional<'a, T>(
        &'a self,
        name: &str,
        read: impl Fn(&'a Self, &str) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        self.0.contains_key(name).then(|| read(self, name)).transpose()
    }

    fn string(&self, name: &str) -> Result<&str, Malformed> {
        self.0.get(name).and_then(Value::as_str).ok_or(Malformed)
    }

    fn truth(&self, name: &str) -> Result<bool, Malformed> {
        self.0.get(name).and_then(Value::as_bool).ok_or(Malformed)
    }

    fn parsed<T: FromStr>(&self, name: &str) -> Result<T, Malformed> {
        self.string(name)?.parse().map_err(|_| Malformed)
    }

    fn actor(&self, name: &str) -> Result<Actor, Malformed> {
        self.0.get(name).and_then(Actor::read).ok_or(Malformed)
    }

    /// A text that is not empty.
    fn text(&self, name: &str) -> Result<String, Malformed> {
        filled(self.0.get(name)).ok_or(Malformed)
    }

    /// Whole seconds: RFC 7519 allows fractions, but those we never write, and readers round them differently.
    fn seconds(&self, name: &str) -> Result<i64, Malformed> {
        let seconds = self.0.get(name).and_then(Value::as_i64);
        seconds.filter(|seconds| (0..=LAST_SECOND).contains(seconds)).ok_or(Malformed)
    }

    /// One text or several (RFC 7519 section 4.1.3), none of them empty.
    fn audiences(&self) -> Result<Vec<String>, Malformed> {
        match self.0.get("aud") {
            Some(Value::Array(items)) if !items.is_empty() => {
                items.iter().map(|item| filled(Some(item))).collect::<Option<_>>().ok_or(Malformed)
            }
            one => filled(one).map(|one| vec![one]).ok_or(Malformed),
        }
    }
}

/// A phone number is told in a token, and nowhere by accident.
#[expect(clippy::ref_option, reason = "serde passes the field")]
fn told<S: Serializer>(number: &Option<E164>, serializer: S) -> Result<S::Ok, S::Error> {
    number.as_ref().map(E164::expose).serialize(serializer)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(flag: &bool) -> bool {
    !flag
}

fn filled(value: Option<&Value>) -> Option<String> {
    value?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
