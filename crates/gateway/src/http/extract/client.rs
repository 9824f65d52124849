//! Who sends a request: the address that limits count, and what makes two requests look like one client's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderValue};
use ipnet::IpNet;
use wxgate_crypto::Digest;

use crate::service::refresh::PresentedBy;

/// The sender of a request.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    address: IpAddr,
    user_agent: Option<HeaderValue>,
    /// Whether a peer that is no trusted proxy sent X-Forwarded-For.
    pub(crate) forwarded_by_stranger: bool,
}

impl Client {
    /// Reads the sender from the peer and, behind trusted proxies only, from X-Forwarded-For.
    pub(crate) fn of(request: &HttpRequest, trusted: &[IpNet]) -> Self {
        let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| canonical(address.ip()));
        let trusts = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
        let forwarded = request.headers().contains_key(header::X_FORWARDED_FOR);
        let address = if forwarded && trusts(&peer) { forwarded_for(request, trusts).unwrap_or(peer) } else { peer };
        Self {
            address,
            user_agent: request.headers().get(header::USER_AGENT).cloned(),
            forwarded_by_stranger: forwarded && !trusts(&peer),
        }
    }

    /// Where the request came from.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// What limits count: an IPv4 address, or the /64 of an IPv6 address.
    pub(crate) fn bucket(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(_) => self.address,
            IpAddr::V6(address) => IpAddr::V6(network_64(address)),
        }
    }

    /// What a repeated request must share: network (/24 or /64) and user agent.
    pub(crate) fn fingerprint(&self) -> Digest {
        Digest::sha256(&[self.network().as_slice(), self.user_agent()].concat())
    }

    /// Who presents a refresh token, as far as it can be told.
    pub(crate) fn presented_by(&self) -> PresentedBy {
        PresentedBy { network: self.network(), agent: Digest::sha256(self.user_agent()) }
    }

    fn user_agent(&self) -> &[u8] {
        self.user_agent.as_ref().map(HeaderValue::as_bytes).unwrap_or_default()
    }

    /// IPv4 inside IPv6, so that all networks are equally long.
    fn network(&self) -> [u8; 16] {
        match self.address {
            IpAddr::V4(address) => Ipv4Addr::from(u32::from(address) & 0xFFFF_FF00).to_ipv6_mapped().octets(),
            IpAddr::V6(address) => network_64(address).octets(),
        }
    }
}

/// The last address that no trusted proxy has: everything before it is the client's own claim.
fn forwarded_for(request: &HttpRequest, trusts: impl Fn(&IpAddr) -> bool) -> Option<IpAddr> {
    let values = request.headers().get_all(header::X_FORWARDED_FOR).filter_map(|value| value.to_str().ok());
    let hops: Vec<_> = values.flat_map(|value| value.split(',')).map(|hop| hop.trim().parse::<IpAddr>()).collect();
    let parsed = hops.into_iter().rev().map_while(Result::ok).map(canonical);
    let mut last = None;
    for hop in parsed {
        last = Some(hop);
        if !trusts(&hop) {
            break;
        }
    }
    last
}

/// One spelling for one address: IPv4 inside IPv6 is IPv4.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn network_64(address: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(address) >> 64 << 64)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn bucket(peer: &str, forwarded: &[&str]) -> String {
        let mut request = TestRequest::default().peer_addr(peer.parse().unwrap());
        for value in forwarded {
            request = request.append_header((header::X_FORWARDED_FOR, *value));
        }
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        Client::of(&request.to_http_request(), &trusted).bucket().to_string()
    }

    #[test]
    fn spoofed_forwarded_for_does_not_choose_the_bucket() {
        assert_eq!(bucket("203.0.113.9:1", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(bucket("10.0.0.1:1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(bucket("10.0.0.1:1", &["1.1.1.1, 198.51.100.1", "10.0.0.2"]), "198.51.100.1");
        assert_eq!(bucket("10.0.0.1:1", &["1.1.1.1, nonsense, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(bucket("10.0.0.1:1", &["nonsense"]), "10.0.0.1");
    }

    #[test]
    fn textual_variants_of_one_address_share_a_bucket() {
        assert_eq!(bucket("[::ffff:203.0.113.9]:1", &[]), "203.0.113.9");
        assert_eq!(bucket("[2001:db8::1]:1", &[]), bucket("[2001:db8:0:0:ffff::2]:1", &[]));
        assert_ne!(bucket("[2001:db8::1]:1", &[]), bucket("[2001:db8:0:1::1]:1", &[]));
    }
}
