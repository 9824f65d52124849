//! What the API's document says of these routes. Their fields are other people's to define, so it names the clients.

use wxgate_domain::ClientProfile;

use super::OF_APP;
use super::convention::Method;
use crate::http::code::Code;
use crate::http::login;
use crate::http::openapi::about::{self, About};

/// Why they may fail, beside a login.
const FAILURES: &[Code] = &[
    Code::AppRequired,
    Code::AppMismatch,
    Code::TokenInvalid,
    Code::TokenExpired,
    Code::RefreshInvalid,
    Code::RefreshReused,
    Code::SessionEnded,
    Code::NotFound,
];

/// The description of a method of an address of these clients.
pub(super) fn route(path: &str, method: Method, profiles: &[ClientProfile]) -> About {
    let names: Vec<_> = profiles.iter().map(|profile| format!("`{profile}`")).collect();
    let about = About::new(&id(path, method), "Serve clients that were written for another server.")
        .tag(about::COMPATIBILITY)
        .says(&format!(
            "For apps with the profile {}; for all others nothing is here. The appid comes from the path, X-App-Id, the \
             body, the Referer, or is the only one. What is asked and answered is in docs/compatibility.md. An app may \
             answer every failure with HTTP 200.",
            names.join(" or ")
        ))
        .header("X-App-Id", login::APPID)
        .gives_object("As the clients of the profile read it.")
        .fails(login::FAILURES)
        .fails(FAILURES)
        .fails_in_foreign_words();
    if path.starts_with(OF_APP) { about.path("appid", login::APPID) } else { about }
}

/// `compatGetWeappUser` of GET `/weapp/user`.
fn id(path: &str, method: Method) -> String {
    let words = path.split(|separator: char| !separator.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words = words.map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        format!("{}{rest}", first.to_ascii_uppercase())
    });
    format!("compat{method:?}{}", words.collect::<String>())
}
