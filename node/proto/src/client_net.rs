//! The network of a client, the unit by which limits and throttles count.

use std::net::IpAddr;

/// A client's network: one IPv4 address, or the /64 of an IPv6 address. An IPv4-mapped IPv6
/// address (RFC 4291 2.5.5.2) counts as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientNet([u8; 8]);

impl From<IpAddr> for ClientNet {
    fn from(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                Self([0, 0, 0, 0, a, b, c, d])
            }
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                Self([a, b, c, d, e, f, g, h])
            }
        }
    }
}

impl ClientNet {
    /// True for an IPv4 address.
    pub fn is_v4(self) -> bool {
        matches!(self.0, [0, 0, 0, 0, ..])
    }

    /// The largest network that providers assign to one customer: the IPv4 address or the IPv6 /48.
    pub fn customer(self) -> Self {
        if self.is_v4() {
            return self;
        }
        let [a, b, c, d, e, f, ..] = self.0;
        Self([a, b, c, d, e, f, 0, 0])
    }

    /// The network whose strangers share a limit: the IPv4 /24 or the IPv6 /48. One sender can have
    /// all of its addresses.
    pub fn block(self) -> Self {
        let [a, b, c, d, e, f, g, _] = self.0;
        if self.is_v4() { Self([a, b, c, d, e, f, g, 0]) } else { self.customer() }
    }
}
