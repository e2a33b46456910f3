//! How far an IP address reaches. A node does not connect to its own machine or network because
//! somebody else has named an address there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// From where an address can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpScope {
    /// From the same machine: loopback.
    Machine,
    /// From networks that are not part of the Internet: RFC 1918, RFC 6598, unique local IPv6
    /// (RFC 4193).
    Private,
    /// From the Internet.
    Global,
    /// Not the address of one other host, or of a host on the same link only: unspecified,
    /// link-local, multicast, reserved.
    Unusable,
}

impl IpScope {
    /// The scope of an address. An IPv6 address that carries an IPv4 address (mapped, NAT64, 6to4)
    /// has that one's scope.
    pub fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => of_v4(v4),
            IpAddr::V6(v6) => embedded_v4(v6).map_or_else(|| of_v6(v6), of_v4),
        }
    }
}

fn of_v4(ip: Ipv4Addr) -> IpScope {
    match ip.octets() {
        [127, ..] => IpScope::Machine,
        [10, ..]
        | [192, 168, ..]
        | [172, 16..=31, ..]
        | [100, 64..=127, ..]
        | [198, 18 | 19, ..] => IpScope::Private,
        // "This network", link-local, IETF protocol assignments, multicast and reserved (RFC 6890).
        [0, ..] | [169, 254, ..] | [192, 0, 0, _] | [224..=255, ..] => IpScope::Unusable,
        _ => IpScope::Global,
    }
}

fn of_v6(ip: Ipv6Addr) -> IpScope {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => IpScope::Machine,
        [0xfc00..=0xfdff, ..] => IpScope::Private,
        // Global unicast is 2000::/3 (RFC 4291 2.4); Teredo (2001::/32) hides an IPv4 address.
        [0x2001, 0, ..] => IpScope::Unusable,
        [0x2000..=0x3fff, ..] => IpScope::Global,
        _ => IpScope::Unusable,
    }
}

/// The IPv4 address inside a mapped address (RFC 4291 2.5.5.2), a NAT64 address (RFC 6052) or a
/// 6to4 address (RFC 3056).
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low]
        | [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_has_the_scope_of_its_network() {
        for (scope, addresses) in [
            (IpScope::Machine, &["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"][..]),
            (
                IpScope::Private,
                &["10.1.2.3", "172.16.0.1", "172.31.9.9", "192.168.77.1", "100.64.0.1", "fd00::1"],
            ),
            (IpScope::Private, &["::ffff:192.168.0.1", "64:ff9b::a00:1", "2002:c0a8:1::1"]),
            (
                IpScope::Unusable,
                &["0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255", "240.0.0.1"],
            ),
            (IpScope::Unusable, &["::", "fe80::1", "ff02::1", "2001::7f00:1", "64:ff9b::a9fe:1"]),
            (IpScope::Global, &["11.1.5.2", "172.32.0.1", "192.0.2.1", "2a01:4f8::1"]),
            (IpScope::Global, &["::ffff:8.8.8.8", "2001:db8::1", "64:ff9b::808:808"]),
        ] {
            for address in addresses {
                assert_eq!(IpScope::of(address.parse().unwrap()), scope, "{address}");
            }
        }
    }
}
