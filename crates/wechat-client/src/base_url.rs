//! Where WeChat is.

use std::fmt;

use url::Url;
use url::form_urlencoded::Serializer;
use zeroize::Zeroizing;

use crate::error::ConfigError;

/// WeChat's nearest entry, by its own list of hosts.
const WECHAT: &str = "https://api.weixin.qq.com";
/// All of WeChat's API hosts (api, api2, sh.api, sz.api, hk.api) are below this name.
const WECHAT_DOMAIN: &str = ".weixin.qq.com";

/// The address that paths of WeChat's API are appended to.
///
/// AppSecrets travel to this address in the query, so by default it can only be `https` and a host of WeChat's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// Without a trailing slash.
    text: String,
    https: bool,
    wechat: bool,
}

impl BaseUrl {
    /// `https://api.weixin.qq.com`.
    pub fn wechat() -> Self {
        Self { text: WECHAT.to_owned(), https: true, wechat: true }
    }

    /// Reads an address, such as `https://sh.api.weixin.qq.com`.
    ///
    /// With `allow_other_hosts` any host, port and path prefix will do, and plain `http` as well: for a simulator, or
    /// for a relay of the operator's own.
    ///
    /// # Errors
    /// Not an address, or one with a user name, a query or a fragment: [`ConfigError::BaseUrl`]. Not
    /// `https://*.weixin.qq.com` though nothing else is allowed: [`ConfigError::OtherHost`].
    pub fn parse(text: &str, allow_other_hosts: bool) -> Result<Self, ConfigError> {
        let url = Url::parse(text).map_err(|_| ConfigError::BaseUrl)?;
        let https = url.scheme() == "https";
        let host = url.host_str().ok_or(ConfigError::BaseUrl)?;
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && (https || url.scheme() == "http");
        if !bare {
            return Err(ConfigError::BaseUrl);
        }
        let wechat = https && host.ends_with(WECHAT_DOMAIN) && url.port().is_none() && url.path() == "/";
        if !wechat && !allow_other_hosts {
            return Err(ConfigError::OtherHost);
        }
        Ok(Self { text: url.as_str().trim_end_matches('/').to_owned(), https, wechat })
    }

    /// Whether it is one of WeChat's own hosts over `https`. What is not deserves a line in the log at start.
    pub fn is_wechat(&self) -> bool {
        self.wechat
    }

    /// The address of a call, percent-encoded. Its query holds secrets, so it is zeroed when dropped.
    pub(crate) fn address(&self, route: &str, query: &[(&str, &str)]) -> Zeroizing<String> {
        // Room for everything, so that no outgrown buffer is left behind: escaping triples at worst.
        let pairs: usize = query.iter().map(|(name, value)| name.len() + 3 * value.len() + 2).sum();
        let mut url = String::with_capacity(self.text.len() + route.len() + 1 + pairs);
        url.push_str(&self.text);
        url.push_str(route);
        if query.is_empty() {
            return Zeroizing::new(url);
        }
        url.push('?');
        let start = url.len();
        Zeroizing::new(Serializer::for_suffix(url, start).extend_pairs(query).finish())
    }

    pub(crate) fn is_https(&self) -> bool {
        self.https
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wechats_hosts_over_https_need_no_permission() {
        for host in ["api", "api2", "sh.api", "sz.api", "hk.api"] {
            let url = BaseUrl::parse(&format!("https://{host}.weixin.qq.com/"), false).unwrap();
            assert!(url.is_wechat() && url.is_https());
            assert_eq!(url.to_string(), format!("https://{host}.weixin.qq.com"));
        }
        assert_eq!(BaseUrl::parse(WECHAT, false).unwrap(), BaseUrl::wechat());
    }

    #[test]
    fn everything_else_must_be_allowed() {
        for other in [
            "http://api.weixin.qq.com",
            "https://weixin.qq.com",
            "https://evilweixin.qq.com",
            "https://api.weixin.qq.com.evil.example",
            "https://api.weixin.qq.com:8443",
            "https://api.weixin.qq.com/elsewhere",
            "http://127.0.0.1:8082",
            "https://relay.example/wechat/",
        ] {
            assert_eq!(BaseUrl::parse(other, false).unwrap_err(), ConfigError::OtherHost, "{other}");
            let allowed = BaseUrl::parse(other, true).unwrap();
            assert!(!allowed.is_wechat(), "{other}");
            assert_eq!(allowed.to_string(), other.trim_end_matches('/'));
        }
    }

    #[test]
    fn the_longest_query_fits_the_room_that_was_made() {
        let longest = "&".repeat(128);
        let room = WECHAT.len() + "/path?".len() + 2 * ("name=&".len() + 3 * 128);
        let url = BaseUrl::wechat().address("/path", &[("name", &longest), ("name", &longest)]);
        assert!(url.len() <= room && url.capacity() <= room);
        assert_eq!(BaseUrl::wechat().address("/path", &[]).as_str(), "https://api.weixin.qq.com/path");
    }

    #[test]
    fn some_addresses_are_never_right() {
        for wrong in [
            "",
            "api.weixin.qq.com",
            "ftp://api.weixin.qq.com",
            "https://user@api.weixin.qq.com",
            "https://:word@api.weixin.qq.com",
            "https://api.weixin.qq.com/?a=b",
            "https://api.weixin.qq.com/#a",
            "unix:/run/wechat",
        ] {
            assert_eq!(BaseUrl::parse(wrong, true).unwrap_err(), ConfigError::BaseUrl, "{wrong}");
        }
    }
}
