//! The one table of OAuth errors. Each is a status, an `error` from a registry, and a sentence for people; nothing else
//! ever leaves an OAuth endpoint.

use actix_web::http::StatusCode;

use crate::http::code::Code;

macro_rules! oauth_codes {
    ($($variant:ident $status:literal $error:literal, $description:literal;)*) => {
        /// What an OAuth endpoint fails with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum OAuthCode {
            $(#[doc = $description] $variant,)*
        }

        impl OAuthCode {
            /// Every code, in the order of the table.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// `error` on the wire (RFC 6749 section 5.2 and its extensions).
            pub(crate) fn error(self) -> &'static str {
                match self { $(Self::$variant => $error,)* }
            }

            /// `error_description` on the wire.
            pub(crate) fn description(self) -> &'static str {
                match self { $(Self::$variant => $description,)* }
            }

            fn status_number(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }
        }
    };
}

oauth_codes! {
    RequestInvalid 400 "invalid_request", "A parameter is missing, malformed, not for this grant, or there twice.";
    QueryForbidden 400 "invalid_request", "Parameters belong in the body, never in the address.";
    CredentialsTwice 400 "invalid_request", "A client proves who it is in one way only.";
    SubjectInvalid 400 "invalid_request", "The subject token has ended, was revoked, is no user's, or is not for this client.";
    ExchangedTooOften 400 "invalid_request", "The subject token was exchanged twice already.";
    CodeRejected 400 "invalid_grant", "The login code is malformed, expired, used, or of another mini-program.";
    RefreshRejected 400 "invalid_grant", "The refresh token is not valid, or its session is over; log in again.";
    UserBlocked 400 "invalid_grant", "The user may not log in.";
    ClientDisabled 400 "unauthorized_client", "The mini-program is disabled, or the tenant suspended.";
    NotTheHolder 400 "unauthorized_client", "The token was issued to another client.";
    GrantUnsupported 400 "unsupported_grant_type", "There is no such grant.";
    ScopeInvalid 400 "invalid_scope", "The client may not ask for this scope.";
    TargetInvalid 400 "invalid_target", "The client may not have a token for this audience.";
    TokenUnsupported 400 "unsupported_token_type", "A service client's tokens cannot be revoked; they end by themselves.";
    ClientInvalid 401 "invalid_client", "The client is unknown, or its secret is not right.";
    NotGranted 403 "unauthorized_client", "The client may not introspect tokens.";
    TenantUnknown 404 "invalid_request", "There is no such tenant.";
    MethodNotAllowed 405 "invalid_request", "This address takes POST only.";
    RequestTimeout 408 "invalid_request", "The request did not arrive in time.";
    BodyTooLarge 413 "invalid_request", "The request body is too large.";
    MediaType 415 "invalid_request", "The request body must be application/x-www-form-urlencoded.";
    RateLimited 429 "temporarily_unavailable", "Too many requests.";
    HeadersTooLarge 431 "invalid_request", "The request head is too large.";
    ServerError 500 "server_error", "Something failed on our side.";
    UpstreamBadResponse 502 "server_error", "WeChat's answer made no sense; ask for a new code.";
    Overloaded 503 "temporarily_unavailable", "Too much to do at the moment.";
    UpstreamUnavailable 503 "temporarily_unavailable", "WeChat did not answer; ask for a new code.";
}

impl OAuthCode {
    /// The HTTP status.
    pub(crate) fn status(self) -> StatusCode {
        StatusCode::from_u16(self.status_number()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<Code> for OAuthCode {
    /// What an error of the rest of our API is called here, where logins, refreshes and the framework can fail with it;
    /// others keep their class. Actions have no place in these bodies.
    fn from(code: Code) -> Self {
        match code {
            Code::CodeInvalid | Code::CodeUsed => Self::CodeRejected,
            Code::RefreshInvalid | Code::RefreshReused | Code::SessionEnded => Self::RefreshRejected,
            Code::UserBlocked => Self::UserBlocked,
            Code::AppUnknown => Self::ClientInvalid,
            Code::AppDisabled | Code::AppNotAuthorized => Self::ClientDisabled,
            Code::NotFound => Self::TenantUnknown,
            Code::MethodNotAllowed => Self::MethodNotAllowed,
            Code::RequestTimeout => Self::RequestTimeout,
            Code::BodyTooLarge => Self::BodyTooLarge,
            Code::MediaType => Self::MediaType,
            Code::RateLimited => Self::RateLimited,
            Code::HeadersTooLarge => Self::HeadersTooLarge,
            Code::UpstreamBadResponse => Self::UpstreamBadResponse,
            Code::Overloaded => Self::Overloaded,
            Code::UpstreamBusy | Code::UpstreamTimeout | Code::UpstreamUnavailable => Self::UpstreamUnavailable,
            other if other.status().is_server_error() => Self::ServerError,
            _ => Self::RequestInvalid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_written_in_the_characters_that_may_stand_there() {
        // RFC 6749 section 5.2.
        let allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        for code in OAuthCode::ALL {
            assert!(code.description().bytes().all(allowed) && code.error().bytes().all(allowed), "{code:?}");
            assert_eq!(code.status().as_u16(), code.status_number());
        }
    }

    #[test]
    fn an_error_keeps_its_status_class_when_it_gets_its_oauth_name() {
        for code in Code::ALL {
            let told = OAuthCode::from(*code);
            assert_eq!(code.status().is_server_error(), told.status().is_server_error(), "{}", code.name());
        }
    }

    #[test]
    fn the_documented_table_is_this_table() {
        let page = include_str!("../../../../../docs/errors.md");
        for code in OAuthCode::ALL {
            let row = format!("| {} | {} | {} |", code.error(), code.status_number(), code.description());
            assert!(page.contains(&row), "docs/errors.md lacks the row:\n{row}");
        }
    }
}
