//! The mail servers of a domain, as DNS names them (RFC 5321 5.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use freehold_core::random::Random;
use mail_auth::DnsError;
use mail_auth::Error;
use mail_auth::hickory_resolver::proto::op::ResponseCode;
use tokio::time::timeout;

use crate::dns::{Dns, MailServer};
use crate::queue::result::AttemptResult;

/// The port of mail servers.
const PORT: u16 = 25;
/// The most addresses that are tried in one attempt.
const ADDRESSES_MAX: usize = 6;
/// The most servers whose addresses are asked for.
const HOSTS_MAX: usize = 10;
/// How long DNS may take for one domain.
const DNS_TIMEOUT: Duration = Duration::from_secs(60);

/// A server of the domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// `host:port`.
    pub(super) name: String,
    pub(super) address: SocketAddr,
}

/// The servers of `domain` in the order in which they are tried. `own` is the name of this server.
pub(super) async fn find(
    dns: &Dns,
    domain: &str,
    own: &str,
    random: &Random,
) -> Result<Vec<Server>, AttemptResult> {
    let found = timeout(DNS_TIMEOUT, async {
        let hosts = match dns.mail_servers(domain).await {
            Ok(found) => ordered(found, domain, own, random)?,
            // Without MX the domain itself is the server.
            Err(Error::Dns(DnsError::RecordNotFound(ResponseCode::NoError))) => {
                vec![domain.to_owned()]
            }
            Err(Error::Dns(DnsError::RecordNotFound(_))) => {
                return refused(format!("550 5.1.2 there is no domain {domain}"));
            }
            Err(error) => return deferred(format!("451 4.4.3 {domain}: {error}")),
        };
        addresses(dns, domain, hosts).await
    });
    match found.await {
        Ok(servers) => servers,
        Err(_) => deferred(format!("451 4.4.3 {domain}: DNS did not answer in time")),
    }
}

fn refused<T>(reply: String) -> Result<T, AttemptResult> {
    Err(AttemptResult::Refused(reply))
}

fn deferred<T>(reply: String) -> Result<T, AttemptResult> {
    Err(AttemptResult::Deferred(reply))
}

/// The hosts by preference, those of the same preference in any order. If this server is one of
/// them, only better ones are left: it must not send a message round in a circle.
fn ordered(
    mut found: Vec<MailServer>,
    domain: &str,
    own: &str,
    random: &Random,
) -> Result<Vec<String>, AttemptResult> {
    // RFC 7505 3: the only record names the root.
    let is_null = |server: &MailServer| server.host.is_empty();
    if !found.is_empty() && found.iter().all(is_null) {
        return refused(format!("556 5.1.10 {domain} takes no mail (null MX)"));
    }
    found.retain(|server| !is_null(server));
    let is_own = |server: &&MailServer| server.host.eq_ignore_ascii_case(own);
    if let Some(limit) = found.iter().find(is_own).map(|server| server.preference) {
        found.retain(|server| server.preference < limit);
        if found.is_empty() {
            return refused(format!(
                "554 5.4.6 this server is named as the mail server of {domain}, and is not"
            ));
        }
    }
    let mut keyed: Vec<(u16, [u8; 4], String)> =
        found.into_iter().map(|server| (server.preference, random.array(), server.host)).collect();
    keyed.sort();
    keyed.truncate(HOSTS_MAX);
    Ok(keyed.into_iter().map(|(_, _, host)| host).collect())
}

/// The addresses of `hosts`, up to [`ADDRESSES_MAX`].
async fn addresses(
    dns: &Dns,
    domain: &str,
    hosts: Vec<String>,
) -> Result<Vec<Server>, AttemptResult> {
    let mut servers: Vec<Server> = Vec::new();
    let (mut fault, mut is_inner) = (None, false);
    for host in hosts {
        match dns.addresses(&host).await {
            Ok(found) => {
                for address in found {
                    if !is_public(address) {
                        is_inner = true;
                    } else if servers.len() < ADDRESSES_MAX {
                        let name = format!("{host}:{PORT}");
                        servers.push(Server { name, address: SocketAddr::new(address, PORT) });
                    }
                }
            }
            Err(error) => fault = Some(format!("451 4.4.3 {host}: {error}")),
        }
        if servers.len() >= ADDRESSES_MAX {
            break;
        }
    }
    match fault {
        _ if !servers.is_empty() => Ok(servers),
        Some(fault) => deferred(fault),
        None if is_inner => {
            deferred(format!("451 4.4.4 the mail servers of {domain} have no public address"))
        }
        None => deferred(format!("451 4.4.4 the mail servers of {domain} have no address")),
    }
}

/// Whether an address can be that of another domain's server: a stranger's DNS must not lead into
/// this machine or its network (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, ..] = v4.octets();
    !(v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b)))
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    !(v6.is_loopback()
        || v6.is_unspecified()
        || v6.is_multicast()
        || v6.is_unique_local()
        || v6.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(list: &[(u16, &str)]) -> Vec<MailServer> {
        let server = |(preference, host): &(u16, &str)| MailServer {
            preference: *preference,
            host: (*host).to_owned(),
        };
        list.iter().map(server).collect()
    }

    fn hosts(list: &[(u16, &str)]) -> Result<Vec<String>, AttemptResult> {
        ordered(named(list), "bob.house", "mx.alice.house", &Random::seeded(1))
    }

    #[test]
    fn mail_servers_are_tried_by_preference() {
        let found = hosts(&[(20, "c"), (0, "a"), (10, "b"), (30, "")]).unwrap();
        assert_eq!(found, ["a", "b", "c"]);
        assert_eq!(hosts(&[(5, "x"); 100]).unwrap().len(), HOSTS_MAX);
        let firsts = (0..40u64).map(|seed| {
            let list = named(&[(1, "a"), (1, "b")]);
            ordered(list, "bob.house", "", &Random::seeded(seed)).unwrap().remove(0)
        });
        let firsts: std::collections::BTreeSet<String> = firsts.collect();
        assert_eq!(firsts.len(), 2, "servers of one preference share the load");
    }

    #[test]
    fn null_mx_refuses_the_message() {
        let refused = hosts(&[(0, "")]).unwrap_err().into_reply();
        assert!(refused.starts_with("556 5.1.10 "), "{refused}");
    }

    #[test]
    fn own_mx_record_leaves_only_better_ones() {
        let list = [(5, "a"), (10, "MX.alice.house"), (10, "b"), (20, "c")];
        assert_eq!(hosts(&list).unwrap(), ["a"]);
        let refused = hosts(&[(10, "mx.alice.house"), (20, "c")]).unwrap_err().into_reply();
        assert!(refused.starts_with("554 5.4.6 "), "{refused}");
    }

    #[test]
    fn address_of_an_inner_network_is_not_public() {
        for inner in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_public(inner.parse().unwrap()), "{inner}");
        }
        for public in ["192.0.2.1", "100.128.0.1", "8.8.8.8", "2001:db8::1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
