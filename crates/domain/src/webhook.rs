//! A webhook: where a tenant's services are told of what happens.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use url::{Host, Url};

use crate::event::EventKinds;
use crate::ids::{MalformedId, TenantId, WebhookId, parsed};
use crate::time::Timestamp;

/// Where a tenant's services are told of what happens, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Our id.
    pub id: WebhookId,
    /// The tenant whose events it is told of.
    pub tenant: TenantId,
    /// Its name for people, unique in the tenant, at most 200 characters.
    pub name: String,
    /// Where to.
    pub url: WebhookUrl,
    /// Of what.
    pub events: EventKinds,
    /// Whether it is told of anything.
    pub status: WebhookStatus,
    /// Until when requests are signed with the secret before the present one, too.
    pub previous_until: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// Most webhooks of one tenant: each event is a row for each of them.
pub const MOST: u64 = 20;

/// How long requests are signed with two secrets after a rotation, unless asked otherwise.
pub const OVERLAP: Duration = Duration::from_hours(24);

/// The longest overlap that may be asked for.
pub const MAX_OVERLAP: Duration = Duration::from_hours(7 * 24);

/// Where a webhook's requests go: `https`, or `http` inside networks that the operator allows.
///
/// At most 1,024 visible ASCII characters, with a host, without credentials and without a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookUrl(Url);

impl WebhookUrl {
    /// The address.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// Whether requests go unencrypted.
    pub fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// The host.
    pub fn host(&self) -> Option<Host<&str>> {
        self.0.host()
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl FromStr for WebhookUrl {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let visible = (1..=1_024).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        let url = Url::parse(text).ok().filter(|url| {
            let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
            let whole = url.has_host() && url.port_or_known_default().is_some_and(|port| port > 0);
            visible && bare && whole && matches!(url.scheme(), "https" | "http") && url.as_str().len() <= 1_024
        });
        url.map(Self)
            .ok_or(MalformedId("an https address of at most 1,024 characters, without credentials and fragment"))
    }
}

impl Serialize for WebhookUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WebhookUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// Whether a webhook is told of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookStatus {
    /// It is.
    Enabled,
    /// An operator disabled it: what happens meanwhile it never hears of, what was waiting waits on, for a day at most.
    Disabled,
    /// The same, because the receiver answered 410: it is not there any more.
    Gone,
}

impl WebhookStatus {
    const ALL: [Self; 3] = [Self::Enabled, Self::Disabled, Self::Gone];

    /// The word in storage and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Gone => "gone",
        }
    }

    /// The status of a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_no_credentials() {
        let read = |text: &str| text.parse::<WebhookUrl>().map(|url| url.to_string());
        assert_eq!(read("https://a.example/hook?x=1").unwrap(), "https://a.example/hook?x=1");
        // However it is written, it is the address that is checked.
        assert_eq!(read("http://0x7f.1/").unwrap(), "http://127.0.0.1/");
        let long = format!("https://a.example/{}", "x".repeat(1_024));
        for wrong in [
            "",
            "a.example",
            "ftp://a.example",
            "https://",
            "https://u:p@a.example",
            "https://u@a.example",
            "https://a.example/#x",
            "https://a.example/a b",
            "https://a.example:0/",
            "file:///etc/passwd",
            &long,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
