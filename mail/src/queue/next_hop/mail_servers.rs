//! The mail servers of a domain, as DNS names them (RFC 5321 5.1).

use std::net::SocketAddr;
use std::time::Duration;

use freehold_core::mta_sts::Policy;
use freehold_core::random::Random;
use mail_auth::DnsError;
use mail_auth::Error;
use mail_auth::hickory_resolver::proto::op::ResponseCode;
use tokio::time::timeout;

use crate::dns::{Dns, MailServer};
use crate::public_address::is_public;
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

/// The servers of `domain` in the order in which they are tried; with a policy (MTA-STS), those
/// that it names. `own` is the name of this server.
pub(super) async fn find(
    dns: &Dns,
    domain: &str,
    policy: Option<&Policy>,
    own: &str,
    random: &Random,
) -> Result<Vec<Server>, AttemptResult> {
    let found = timeout(DNS_TIMEOUT, async {
        let hosts = match dns.mail_servers(domain).await {
            Ok(found) => ordered(found, domain, policy, own, random)?,
            // Without MX the domain itself is the server.
            Err(Error::Dns(DnsError::RecordNotFound(ResponseCode::NoError))) => {
                named(vec![domain.to_owned()], domain, policy)?
            }
            Err(Error::Dns(DnsError::RecordNotFound(_))) => {
                return refused(format!("550 5.1.2 there is no domain {domain}"));
            }
            Err(error) => return deferred(format!("451 4.4.3 {domain}: {error}")),
        };
        addresses(dns, domain, hosts).await
    });
    match found.await {
        Ok(servers) => servers.map_err(|result| against(policy, domain, result)),
        Err(_) => deferred(format!("451 4.4.3 {domain}: DNS did not answer in time")),
    }
}

/// The result of a look-up in DNS that contradicts a policy: a forged answer must not return the
/// message at once (RFC 8461 10.1), so the message waits.
fn against(policy: Option<&Policy>, domain: &str, result: AttemptResult) -> AttemptResult {
    match result {
        AttemptResult::Refused(reply) if policy.is_some() => AttemptResult::Deferred(format!(
            "451 4.7.0 DNS contradicts the MTA-STS policy of {domain}: {reply}"
        )),
        result => result,
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
    policy: Option<&Policy>,
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
    let hosts = keyed.into_iter().map(|(_, _, host)| host).collect();
    let mut hosts = named(hosts, domain, policy)?;
    hosts.truncate(HOSTS_MAX);
    Ok(hosts)
}

/// The hosts that a policy names (RFC 8461 4.1); without a policy all.
fn named(
    mut hosts: Vec<String>,
    domain: &str,
    policy: Option<&Policy>,
) -> Result<Vec<String>, AttemptResult> {
    let Some(policy) = policy else { return Ok(hosts) };
    hosts.retain(|host| policy.names(host));
    if hosts.is_empty() {
        return deferred(format!(
            "451 4.7.0 the MTA-STS policy of {domain} names none of the servers that DNS names"
        ));
    }
    Ok(hosts)
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

#[cfg(test)]
mod tests {
    use freehold_core::mta_sts::Mode;

    use super::*;

    fn servers(list: &[(u16, &str)]) -> Vec<MailServer> {
        let server = |(preference, host): &(u16, &str)| MailServer {
            preference: *preference,
            host: (*host).to_owned(),
        };
        list.iter().map(server).collect()
    }

    fn hosts(list: &[(u16, &str)]) -> Result<Vec<String>, AttemptResult> {
        ordered(servers(list), "bob.house", None, "mx.alice.house", &Random::seeded(1))
    }

    #[test]
    fn mail_servers_are_tried_by_preference() {
        let found = hosts(&[(20, "c"), (0, "a"), (10, "b"), (30, "")]).unwrap();
        assert_eq!(found, ["a", "b", "c"]);
        assert_eq!(hosts(&[(5, "x"); 100]).unwrap().len(), HOSTS_MAX);
        let firsts = (0..40u64).map(|seed| {
            let list = servers(&[(1, "a"), (1, "b")]);
            ordered(list, "bob.house", None, "", &Random::seeded(seed)).unwrap().remove(0)
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
    fn null_mx_against_a_policy_waits() {
        let policy = Policy { mode: Mode::Enforce, mx: vec!["a".into()], max_age_secs: 1 };
        let refused = || hosts(&[(0, "")]).unwrap_err();
        let waits = against(Some(&policy), "bob.house", refused());
        assert!(matches!(&waits, AttemptResult::Deferred(reply) if reply.starts_with("451 4.7.0")));
        assert_eq!(against(None, "bob.house", refused()), refused());
    }

    #[test]
    fn policy_leaves_the_servers_that_it_names() {
        let policy =
            Policy { mode: Mode::Enforce, mx: vec!["*.bob.house".into()], max_age_secs: 1 };
        let left = |list: &[(u16, &str)]| {
            ordered(servers(list), "bob.house", Some(&policy), "", &Random::seeded(1))
        };
        let list =
            [(1, "evil.house"), (2, "a.b.bob.house"), (3, "a.bob.house"), (4, "b.bob.house")];
        assert_eq!(left(&list).unwrap(), ["a.bob.house", "b.bob.house"]);
        // However many others stand before them.
        let many: Vec<(u16, &str)> = [(1, "evil.house"); 50].into_iter().chain(list).collect();
        assert_eq!(left(&many).unwrap(), ["a.bob.house", "b.bob.house"]);
        let refused = left(&list[..2]).unwrap_err();
        assert!(matches!(&refused, AttemptResult::Deferred(reply) if reply.contains("MTA-STS")));
    }
}
