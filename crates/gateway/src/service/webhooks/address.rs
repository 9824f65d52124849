//! Whom a webhook may be made to call: the public internet and the networks that the operator
//! allows, and never this process itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use ipnet::{Ipv4Net, Ipv6Net};
use wxgate_domain::Network;

/// Addresses that are no place of the public internet (IANA's registry of special-purpose addresses, RFC 6890), and those
/// of it where a cloud answers its own machines.
const NOT_PUBLIC_4: [Ipv4Net; 17] = [
    net4([0, 0, 0, 0], 8),
    net4([10, 0, 0, 0], 8),
    net4([100, 64, 0, 0], 10),
    net4([127, 0, 0, 0], 8),
    // Most clouds' metadata among them.
    net4([169, 254, 0, 0], 16),
    net4([172, 16, 0, 0], 12),
    net4([192, 0, 0, 0], 24),
    net4([192, 0, 2, 0], 24),
    net4([192, 31, 196, 0], 24),
    net4([192, 52, 193, 0], 24),
    net4([192, 88, 99, 0], 24),
    net4([192, 168, 0, 0], 16),
    net4([198, 18, 0, 0], 15),
    net4([198, 51, 100, 0], 24),
    net4([203, 0, 113, 0], 24),
    // Multicast, what is reserved, and the broadcast address.
    net4([224, 0, 0, 0], 3),
    // Azure's metadata.
    net4([168, 63, 129, 16], 32),
];

/// All that is public in IPv6 now (RFC 4291 section 2.4). Outside are loopback, mapped and translated addresses (NAT64),
/// private ones, link-local ones and multicast.
const PUBLIC_6: Ipv6Net = net6([0x2000, 0], 3);

/// What of it is not: protocols of the IETF with Teredo among them, documentation, and addresses that hold an IPv4 one (6to4).
const NOT_PUBLIC_6: [Ipv6Net; 4] =
    [net6([0x2001, 0], 23), net6([0x2001, 0x0db8], 32), net6([0x2002, 0], 16), net6([0x3fff, 0], 20)];

const fn net4(address: [u8; 4], prefix: u8) -> Ipv4Net {
    let [a, b, c, d] = address;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn net6(beginning: [u16; 2], prefix: u8) -> Ipv6Net {
    let [a, b] = beginning;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

/// Whether everybody on the internet could call this address.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !NOT_PUBLIC_4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            PUBLIC_6.contains(&address) && !NOT_PUBLIC_6.iter().any(|network| network.contains(&address))
        }
    }
}

/// How far webhooks reach.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    /// What the operator allows beside the public internet.
    allowed: Arc<[Network]>,
    /// Where this process listens.
    own: Arc<[SocketAddr]>,
}

impl Reach {
    /// To the public internet and these networks, save for where this process listens.
    pub(crate) fn new(allowed: &[Network], own: &[SocketAddr]) -> Self {
        Self { allowed: allowed.into(), own: own.into() }
    }

    /// Whether this process listens at this port of whatever address.
    pub(super) fn is_own_port(&self, port: u16) -> bool {
        self.own.iter().any(|own| own.port() == port)
    }

    /// Whether the address may be called. Without encryption only what the operator allows is.
    pub(super) fn permits(&self, address: IpAddr, port: u16, plain: bool) -> bool {
        let allowed = self.allowed.iter().any(|network| network.contains(address));
        (allowed || (!plain && is_public(address))) && !self.is_own(address, port)
    }

    fn is_own(&self, address: IpAddr, port: u16) -> bool {
        let address = address.to_canonical();
        self.own.iter().filter(|own| own.port() == port).any(|own| {
            let listens_at = own.ip().to_canonical();
            address == listens_at || (listens_at.is_unspecified() && is_of_this_machine(address))
        })
    }
}

/// Whether an address belongs to this machine: then, and only then, it can be bound. Nothing is sent.
fn is_of_this_machine(address: IpAddr) -> bool {
    address.is_unspecified() || UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(allowed: &[&str], own: &[&str]) -> Reach {
        let allowed: Vec<_> = allowed.iter().map(|network| network.parse().unwrap()).collect();
        let own: Vec<_> = own.iter().map(|address| address.parse().unwrap()).collect();
        Reach::new(&allowed, &own)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn private_local_translated_and_metadata_addresses_are_refused() {
        let reach = reach(&[], &[]);
        for refused in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "169.254.0.23",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!reach.permits(address(refused), 443, false), "{refused}");
        }
        for public in ["8.8.8.8", "1.1.1.1", "100.63.0.1", "172.32.0.1", "2606:4700::1111", "240e::1", "::ffff:8.8.8.8"]
        {
            assert!(reach.permits(address(public), 443, false), "{public}");
        }
    }

    #[test]
    fn only_what_the_operator_allows_is_called_without_encryption() {
        let reach = reach(&["10.0.0.0/8"], &[]);
        assert!(reach.permits(address("10.1.2.3"), 80, true) && reach.permits(address("::ffff:10.1.2.3"), 80, false));
        assert!(!reach.permits(address("8.8.8.8"), 80, true) && !reach.permits(address("192.168.0.1"), 443, false));
    }

    #[test]
    fn this_process_is_never_called_whatever_is_allowed() {
        let here = reach(&["127.0.0.0/8"], &["127.0.0.1:8081"]);
        assert!(
            !here.permits(address("127.0.0.1"), 8081, true) && !here.permits(address("::ffff:127.0.0.1"), 8081, true)
        );
        assert!(here.permits(address("127.0.0.1"), 9000, true));
        let everywhere = reach(&["127.0.0.0/8"], &["0.0.0.0:8081"]);
        assert!(!everywhere.permits(address("127.0.0.1"), 8081, true) && everywhere.is_own_port(8081));
        assert!(everywhere.permits(address("127.0.0.1"), 9000, true));
    }
}
