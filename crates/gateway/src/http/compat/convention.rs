//! What a convention is made of: where its clients ask, what they call things, and what they read in the answers.

use actix_web::http::StatusCode;
use wxgate_domain::ClientProfile;

/// One convention, as data.
pub(super) struct Convention {
    pub(super) profile: ClientProfile,
    /// What its paths may begin with.
    pub(super) bases: &'static [&'static str],
    pub(super) routes: &'static [Route],
    /// Where a request may have its token, beside the Authorization header.
    pub(super) token: &'static [Place],
    /// The header that says the id of the token's session once more.
    pub(super) session_id: Option<&'static str>,
    pub(super) failure: Failure,
    /// Whether its clients read nothing but HTTP 200, unless the app's policy says otherwise.
    pub(super) always_ok: bool,
}

impl Convention {
    /// Whether its clients get a refresh token and know where to send it.
    pub(super) fn refreshes(&self) -> bool {
        self.routes.iter().any(|route| matches!(route.verb, Verb::Refresh(_) | Verb::Grant))
    }
}

/// One address that its clients know.
pub(super) struct Route {
    pub(super) verb: Verb,
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// Fields that stand in headers: the header, and what the field is called elsewhere.
    pub(super) headers: &'static [(&'static str, &'static str)],
    /// Fields that may stand in the address, because these clients put them there.
    pub(super) query: &'static [&'static str],
    pub(super) reply: Template,
}

/// The methods that such clients use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Method {
    Get,
    Post,
    Put,
}

impl Method {
    /// As an endpoint takes it.
    pub(super) fn as_list(self) -> &'static [&'static str] {
        match self {
            Self::Get => &["GET"],
            Self::Post => &["POST"],
            Self::Put => &["PUT"],
        }
    }
}

/// What is asked for. Each is a use case of wxgate's own API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// A login; the name is what the client calls the code of `wx.login`.
    LogIn(&'static str),
    /// The next pair; the name is what the client calls the refresh token.
    Refresh(&'static str),
    /// The one or the other, as `grant_type` says (RFC 6749).
    Grant,
    /// Who is logged in.
    Show,
    /// Nickname and avatar, as the user fills them in.
    FillIn,
    /// The end of this session.
    LogOut,
}

/// Where a token stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Header(&'static str),
    /// A field of the body, or of the address where the route allows it.
    Field(&'static str),
}

impl Route {
    pub(super) const fn get(path: &'static str, verb: Verb, reply: Template) -> Self {
        Self { verb, method: Method::Get, path, headers: &[], query: &[], reply }
    }

    pub(super) const fn post(path: &'static str, verb: Verb, reply: Template) -> Self {
        Self { method: Method::Post, ..Self::get(path, verb, reply) }
    }

    pub(super) const fn put(path: &'static str, verb: Verb, reply: Template) -> Self {
        Self { method: Method::Put, ..Self::get(path, verb, reply) }
    }

    /// With fields in headers.
    pub(super) const fn headers(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { headers, ..self }
    }

    /// With fields in the address.
    pub(super) const fn query(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }
}

/// The fields of a JSON object, each with what is told there. What is not known is left out.
pub(super) type Template = &'static [(&'static str, Told)];

/// What stands in a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told {
    Number(i64),
    Text(&'static str),
    Texts(&'static [&'static str]),
    True,
    Null,
    Object(Template),
    AccessToken,
    RefreshToken,
    /// The life of the access token, in seconds.
    ExpiresIn,
    /// Its end, in milliseconds since 1970.
    ExpiresAtMillis,
    RefreshExpiresIn,
    Scope,
    SessionId,
    UserId,
    Appid,
    OpenId,
    UnionId,
    Nickname,
    AvatarUrl,
    /// What `encryptedData` held, or what is stored, under WeChat's names.
    UserInfo,
    /// Why `encryptedData` did not open: `{code, action}`.
    UserDataError,
    /// Why the code of the phone button gave no number: `{code, action}`.
    PhoneError,
    /// The user's number, masked.
    PhoneMasked,
    /// Of a failure: what makes the clients of this convention act.
    Signal,
    /// Of a failure: a sentence for the user.
    Sentence,
    /// Of a failure: its code in docs/errors.md.
    Code,
    /// Of a failure: what a client that knows wxgate does about it.
    Action,
}

/// How a convention says that something failed.
pub(super) enum Failure {
    /// These fields; the signal is the first that fits, else the HTTP status.
    Fields(Template, &'static [(When, Told)]),
    /// As RFC 6749 section 5.2 has it.
    OAuth,
}

/// Which failures.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    /// The token is of no more use: refresh it or log in.
    Unauthorized,
    /// The request itself is wrong.
    Malformed,
    /// The user, or the app, may not.
    Forbidden,
    /// Too often.
    TooMany,
    /// Ours, or WeChat's.
    Server,
    Any,
}

impl When {
    pub(super) fn fits(self, status: StatusCode) -> bool {
        match self {
            Self::Unauthorized => status == StatusCode::UNAUTHORIZED,
            Self::Malformed => status == StatusCode::BAD_REQUEST,
            Self::Forbidden => status == StatusCode::FORBIDDEN,
            Self::TooMany => status == StatusCode::TOO_MANY_REQUESTS,
            Self::Server => status.is_server_error(),
            Self::Any => true,
        }
    }
}
