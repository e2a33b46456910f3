//! Block lists of addresses (DNSBL, RFC 5782), if the configuration names some.

use std::net::IpAddr;

use futures::future::join_all;
use tokio::time::timeout;

use super::CHECK_TIMEOUT;
use crate::dns::Dns;

/// The lists of `zones` that have the address. A list that does not answer has it not.
pub(super) async fn listed(dns: &Dns, zones: &[String], address: IpAddr) -> Vec<String> {
    let address = address.to_canonical();
    let is_listed = async |zone: &String| {
        let answered = timeout(CHECK_TIMEOUT, dns.addresses(&name(address, zone))).await;
        let answers = answered.ok().and_then(Result::ok).unwrap_or_default();
        answers.iter().any(says_listed).then(|| zone.clone())
    };
    join_all(zones.iter().map(is_listed)).await.into_iter().flatten().collect()
}

/// The name that is asked for (RFC 5782 2.1, 2.4): the address backwards, below the zone.
fn name(address: IpAddr, zone: &str) -> String {
    let mut name = String::new();
    match address {
        IpAddr::V4(address) => {
            for octet in address.octets().iter().rev() {
                name.push_str(&format!("{octet}."));
            }
        }
        IpAddr::V6(address) => {
            for octet in address.octets().iter().rev() {
                name.push_str(&format!("{:x}.{:x}.", octet & 0xf, octet >> 4));
            }
        }
    }
    name + zone.trim_end_matches('.')
}

/// Whether an answer means "listed" (RFC 5782 2.1): 127.0.0.0/8, but not 127.255.255.0/24, by which
/// lists refuse to answer a resolver, and not 127.0.0.1 (RFC 5782 5).
fn says_listed(answer: &IpAddr) -> bool {
    match answer {
        IpAddr::V4(answer) => match answer.octets() {
            [127, 255, 255, _] | [127, 0, 0, 1] => false,
            [first, ..] => first == 127,
        },
        IpAddr::V6(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_asked_backwards_below_the_zone() {
        let name = |address: &str| name(address.parse().unwrap(), "bl.example.");
        assert_eq!(name("192.0.2.99"), "99.2.0.192.bl.example");
        assert_eq!(
            name("2001:db8::1:2"),
            "2.0.0.0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example"
        );
    }

    #[test]
    fn answers_that_refuse_do_not_list() {
        let says = |answer: &str| says_listed(&answer.parse().unwrap());
        assert!(says("127.0.0.2") && says("127.0.0.11"));
        for answer in ["127.255.255.254", "127.0.0.1", "192.0.2.1", "::1"] {
            assert!(!says(answer), "{answer}");
        }
    }
}
