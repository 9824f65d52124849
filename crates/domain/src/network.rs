//! Networks from which somebody may come.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{MalformedId, parsed};

/// An address or a network in CIDR notation (RFC 4632 section 3.1), such as `10.0.0.0/8` or `2001:db8::/32`.
///
/// Bits beyond the prefix are cleared, so that a network has one spelling. IPv4 addresses inside IPv6 are refused: a
/// client's address is told as IPv4 however it arrived, so such a network would never match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpNet);

impl Network {
    /// Whether the address belongs to it.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Network {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let network = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        let network = network.filter(|network| network.addr().to_canonical() == network.addr());
        network
            .map(|network: IpNet| Self(network.trunc()))
            .ok_or(MalformedId("an address or a network such as 10.0.0.0/8"))
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_one_spelling_and_knows_its_own() {
        let network = |text: &str| text.parse::<Network>().map(|network| network.to_string());
        assert_eq!(network("10.1.2.3/8").unwrap(), "10.0.0.0/8");
        assert_eq!(network("192.0.2.7").unwrap(), "192.0.2.7/32");
        assert_eq!(network("2001:DB8::/32").unwrap(), "2001:db8::/32");
        for wrong in ["", "10.0.0.0/33", "example.com", "10.0.0", "::ffff:10.0.0.1", "::ffff:10.0.0.0/104"] {
            assert!(network(wrong).is_err(), "{wrong}");
        }
        let private: Network = "10.0.0.0/8".parse().unwrap();
        assert!(private.contains("10.255.0.1".parse().unwrap()) && !private.contains("11.0.0.1".parse().unwrap()));
        assert!(private.contains("::ffff:10.0.0.1".parse().unwrap()));
    }
}
