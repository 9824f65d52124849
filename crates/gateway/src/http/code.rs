//! The one table of error codes. Clients program against `code` and `action`; titles are for people.

use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// What a client does about an error, the field `action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// Call `wx.login` again and send the new code.
    NewCode,
    /// Ask the user for the data again, and send what comes of it.
    Reauthorize,
    /// Call `wx.login`, then ask the user for the data again, then send both.
    ReloginThenReauthorize,
    /// Refresh the access token, then send the same request again with the new one.
    Refresh,
    /// Call `wx.login` and log in again.
    Relogin,
    /// Send the same request again after `retry_after` seconds.
    Wait,
    /// Nothing the client does will help.
    Stop,
}

macro_rules! codes {
    ($($variant:ident $status:literal $name:literal $action:expr, $title:literal;)*) => {
        /// A stable error code.
        #[expect(clippy::enum_variant_names, reason = "the names are those on the wire")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name on the wire.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The sentence for people.
            pub(crate) fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What the client does, unless the error says otherwise.
            pub(crate) fn action(self) -> Option<Action> {
                match self { $(Self::$variant => $action,)* }
            }

            fn status_number(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }
        }
    };
}

codes! {
    RequestInvalid 400 "REQUEST_INVALID" None, "The request is not what this route expects.";
    FieldForbidden 400 "FIELD_FORBIDDEN" None, "The request carries a field that must never leave the server or reach a log.";
    AppRequired 400 "APP_REQUIRED" None, "The request does not say which mini-program it is for.";
    AppMismatch 400 "APP_MISMATCH" None, "The request names two different mini-programs.";
    CodeInvalid 400 "CODE_INVALID" Some(Action::NewCode), "The login code is malformed, expired or of another mini-program.";
    MergeTokenInvalid 400 "MERGE_TOKEN_INVALID" None, "The merge token was used, has expired, or is another session's.";
    TokenInvalid 401 "TOKEN_INVALID" Some(Action::Refresh), "The access token is missing or not accepted here.";
    TokenExpired 401 "TOKEN_EXPIRED" Some(Action::Refresh), "The access token has expired.";
    RefreshInvalid 401 "REFRESH_INVALID" Some(Action::Relogin), "The refresh token is not one of ours, or no longer.";
    RefreshReused 401 "REFRESH_REUSED" Some(Action::Relogin), "An old refresh token came back, so the session ended.";
    SessionEnded 401 "SESSION_ENDED" Some(Action::Relogin), "The session is over.";
    AdminKeyInvalid 401 "ADMIN_KEY_INVALID" None, "The admin key is missing, unknown, removed or expired.";
    ClientInvalid 401 "CLIENT_INVALID" None, "The service client is unknown, or its secret is not right.";
    AppDisabled 403 "APP_DISABLED" Some(Action::Stop), "The mini-program is disabled.";
    AppNotAuthorized 403 "APP_NOT_AUTHORIZED" Some(Action::Stop), "The mini-program is not authorised to this platform.";
    UserBlocked 403 "USER_BLOCKED" Some(Action::Stop), "The user may not log in.";
    StepUpRequired 403 "STEP_UP_REQUIRED" Some(Action::NewCode), "A fresh login code of the same user must come with this.";
    ScopeInsufficient 403 "SCOPE_INSUFFICIENT" Some(Action::Stop), "The access token does not allow this.";
    NotGranted 403 "NOT_GRANTED" None, "The service client or admin key has no grant for this.";
    AuthorizationRefused 403 "AUTHORIZATION_REFUSED" None, "Nobody waits for this authorisation, or no longer.";
    PolicyUnknown 403 "POLICY_UNKNOWN" None, "No such forward-auth policy.";
    PushRefused 403 "PUSH_REFUSED" None, "The push is not WeChat's, not for this app, or not of now.";
    HostRefused 403 "HOST_REFUSED" None, "This listener answers under its own address only.";
    AppUnknown 404 "APP_UNKNOWN" None, "No such mini-program.";
    NotFound 404 "NOT_FOUND" None, "Nothing is here.";
    MethodNotAllowed 405 "METHOD_NOT_ALLOWED" None, "This address does not take this method.";
    RequestTimeout 408 "REQUEST_TIMEOUT" None, "The request did not arrive in time.";
    CodeUsed 409 "CODE_USED" Some(Action::NewCode), "The login code was used already.";
    PhoneTaken 409 "PHONE_TAKEN" None, "The phone number is another user's.";
    PhoneUnconfirmed 409 "PHONE_UNCONFIRMED" Some(Action::Reauthorize), "WeChat does not vouch for the phone number.";
    SessionKeyStale 409 "SESSION_KEY_STALE" Some(Action::ReloginThenReauthorize), "The encrypted data does not open with this user's keys.";
    AccountTaken 409 "ACCOUNT_TAKEN" None, "The account belongs to another user.";
    NotMergeable 409 "NOT_MERGEABLE" Some(Action::Stop), "These users do not become one, or no longer two.";
    Taken 409 "TAKEN" None, "The name is in use already, or was.";
    Full 409 "FULL" None, "There are as many of these as there may be.";
    InUse 409 "IN_USE" None, "Something else still needs it.";
    NotYet 409 "NOT_YET" None, "It is too early for this.";
    CursorGone 410 "CURSOR_GONE" None, "The cursor is of no more use: load a snapshot.";
    PreconditionFailed 412 "PRECONDITION_FAILED" None, "It was changed in the meantime: read it again.";
    BodyTooLarge 413 "BODY_TOO_LARGE" None, "The request body is too large.";
    MediaType 415 "MEDIA_TYPE" None, "The request body must be application/json.";
    IdempotencyKeyReused 422 "IDEMPOTENCY_KEY_REUSED" None, "The Idempotency-Key came with another request before.";
    SecretRefused 422 "SECRET_REFUSED" None, "WeChat refuses the AppSecret.";
    RateLimited 429 "RATE_LIMITED" Some(Action::Wait), "Too many requests.";
    HeadersTooLarge 431 "HEADERS_TOO_LARGE" None, "The request head is too large.";
    Internal 500 "INTERNAL" None, "Something failed on our side.";
    AppMisconfigured 500 "APP_MISCONFIGURED" Some(Action::Stop), "The mini-program's set-up needs its operator.";
    UpstreamBadResponse 502 "UPSTREAM_BAD_RESPONSE" Some(Action::NewCode), "WeChat's answer made no sense.";
    AppTokenUnavailable 503 "APP_TOKEN_UNAVAILABLE" Some(Action::Wait), "WeChat gives no access token of the mini-program at the moment.";
    Overloaded 503 "OVERLOADED" Some(Action::Wait), "Too much to do at the moment.";
    UpstreamBusy 503 "UPSTREAM_BUSY" Some(Action::NewCode), "WeChat is busy.";
    UpstreamTimeout 503 "UPSTREAM_TIMEOUT" Some(Action::NewCode), "WeChat did not answer in time.";
    UpstreamUnavailable 503 "UPSTREAM_UNAVAILABLE" Some(Action::Wait), "WeChat cannot be reached.";
}

impl Code {
    /// The HTTP status.
    pub(crate) fn status(self) -> StatusCode {
        StatusCode::from_u16(self.status_number()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What a 401, or a 403 for want of scope, asks for, `WWW-Authenticate` (RFC 6750 section 3).
    pub(crate) fn challenge(self) -> Option<&'static str> {
        match self {
            Self::TokenExpired => Some(r#"Bearer error="invalid_token", error_description="expired""#),
            // RFC 7617 section 2.
            Self::ClientInvalid => Some(r#"Basic realm="wxgate", charset="UTF-8""#),
            Self::ScopeInsufficient => Some(r#"Bearer error="insufficient_scope""#),
            _ if self.status() == StatusCode::UNAUTHORIZED => Some(r#"Bearer error="invalid_token""#),
            _ => None,
        }
    }

    /// Whether it is ours or the operator's to mend, and so an error in the log.
    pub(crate) fn is_alarm(self) -> bool {
        matches!(self, Self::Internal | Self::AppMisconfigured)
    }

    /// The code for an error that the HTTP framework found by itself.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            408 => Self::RequestTimeout,
            413 => Self::BodyTooLarge,
            415 => Self::MediaType,
            431 => Self::HeadersTooLarge,
            400..=499 => Self::RequestInvalid,
            _ => Self::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_statuses_are_errors() {
        let names: HashSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| code.status().as_u16() == code.status_number()));
    }

    #[test]
    fn the_documented_table_is_this_table() {
        let page = include_str!("../../../../docs/errors.md");
        for code in Code::ALL {
            let action = code.action().map(|action| serde_json::to_value(action).unwrap());
            let action = action.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
            let row = format!("| `{}` | {} | {} | {} |", code.name(), code.status_number(), action, code.title());
            let row =
                if action.is_empty() { row } else { row.replace(&format!("| {action} |"), &format!("| `{action}` |")) };
            assert!(page.contains(&row), "docs/errors.md lacks the row:\n{row}");
        }
        assert_eq!(page.matches("\n| `").count(), Code::ALL.len(), "docs/errors.md has rows of unknown codes");
    }
}
