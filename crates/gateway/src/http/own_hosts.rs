//! The names under which the admin listener is reached. A page that had its own name resolved to this machine (DNS
//! rebinding) still asks under that name, and is refused by it.

use std::net::IpAddr;

/// Which Host headers are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnHosts {
    /// Names that the operator gave, in lower case.
    names: Vec<String>,
    /// Whether every address is ours: nobody can have one resolved, so no page of somebody else's asks under it.
    any_address: bool,
}

impl OwnHosts {
    /// Those of a listener: this machine's loopback, the names that are given, and any address unless it listens on
    /// loopback.
    pub(crate) fn of(listener: IpAddr, names: &[String]) -> Self {
        Self { names: names.to_vec(), any_address: !listener.is_loopback() }
    }

    /// Whether a Host header (RFC 9110 section 7.2) is ours; its port does not count.
    pub(crate) fn include(&self, host: &[u8]) -> bool {
        let Ok(host) = std::str::from_utf8(host) else { return false };
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(address) => self.any_address || address.is_loopback(),
            Err(_) => {
                name.eq_ignore_ascii_case("localhost") || self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(listener: &str, names: &[&str]) -> impl Fn(&str) -> bool {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let own = OwnHosts::of(listener.parse().unwrap(), &names);
        move |host| own.include(host.as_bytes())
    }

    #[test]
    fn only_loopback_names_are_the_own_host_of_loopback() {
        let own = of("127.0.0.1", &[]);
        for host in ["127.0.0.1:8081", "localhost:8081", "localhost", "LOCALHOST", "[::1]:8081", "[::1]", "127.1.2.3"] {
            assert!(own(host), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "0.0.0.0", "10.0.0.1:8081", "", "127.0.0.1.nip.io", ":1"]
        {
            assert!(!own(host), "{host}");
        }
    }

    #[test]
    fn beyond_loopback_addresses_are_own_and_names_only_if_they_are_given() {
        let own = of("10.0.0.1", &["wxgate-admin", "admin.example.com"]);
        for host in
            ["10.0.0.1:8081", "192.0.2.7", "[2001:db8::1]:8081", "localhost", "wxgate-admin:8081", "Admin.Example.com"]
        {
            assert!(own(host), "{host}");
        }
        for host in
            ["evil.example", "evil.example:8081", "admin.example.com.evil.example", "10.0.0.1.nip.io", "", "a@b"]
        {
            assert!(!own(host), "{host}");
        }
        assert!(of("127.0.0.1", &["admin.test"])("admin.test:8081"), "a proxy may stand before loopback too");
    }
}
