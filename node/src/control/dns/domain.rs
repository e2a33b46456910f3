//! The owner's domain and the machine, as the records describe them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use anyhow::Result;
use freehold_core::blocking::blocking;
use freehold_core::domain_name;
use freehold_core::mta_sts::{Mode, Policy};
use freehold_dns::{Domain, Ports};
use freehold_mail::{dkim, is_public_address};

use super::super::execute::{ControlContext, invalid};
use crate::exit;

/// Addresses of documentation networks (RFC 5737, RFC 3849), to which the machine would send by
/// the interface with its public address. Nothing is sent.
const ELSEWHERE: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 9),
];

/// The domain of the node's owner; `addresses` as in the request.
pub(super) async fn of_node(context: &ControlContext, addresses: Vec<IpAddr>) -> Result<Domain> {
    let owner = context.owner()?;
    let name = domain_name::ascii(&owner.domain).unwrap_or_default().to_ascii_lowercase();
    if domain_name::is_special_use(&name) {
        let message = format!(
            "{} is not a public domain, so it has no DNS; the domain is changed in the browser \
             under Settings",
            owner.domain
        );
        return Err(exit::with(exit::DATA, message));
    }
    // An address literal has no records.
    let hostname = context.mail.hostname.to_ascii_lowercase();
    let host = match hostname.is_empty() || hostname.starts_with('[') {
        true => name.clone(),
        false => hostname,
    };
    let records = dkim::records(&context.node, None).await.map_err(invalid)?;
    let mode = context.mail.mta_sts.into();
    let mta_sts = (mode != Mode::None).then(|| Policy::own(mode, &host).record());
    let ports = &context.ports;
    Ok(Domain {
        dkim: records.into_iter().map(|record| (record.name, record.value)).collect(),
        mta_sts,
        names: site_names(context, &name),
        addresses: match addresses.is_empty() {
            true => known_addresses(context).await?,
            false => addresses,
        },
        ports: Ports {
            imaps: ports.imaps.port(),
            submissions: ports.smtps.port(),
            submission: ports.submission.port(),
            libp2p: ports.libp2p.port(),
        },
        senders: context.mail.spf_senders.clone(),
        certificate_authority: Some(context.certificate_authority.clone())
            .filter(|authority| !authority.is_empty()),
        name,
        host,
    })
}

/// The other names of the site within the domain, and the host of its address.
fn site_names(context: &ControlContext, domain: &str) -> Vec<String> {
    let url = context.web.public_url.as_deref().unwrap_or_default();
    let host = url.split("://").nth(1).unwrap_or_default().split([':', '/']).next();
    let names = context.web.names.iter().map(String::as_str).chain(host);
    let names = names.map(str::to_ascii_lowercase);
    names.filter(|name| !name.is_empty() && name != domain).collect()
}

/// The public addresses: those of the configuration, or else those that the node listens on, has
/// for friends, or would send from.
async fn known_addresses(context: &ControlContext) -> Result<Vec<IpAddr>> {
    if !context.public_addresses.is_empty() {
        return Ok(context.public_addresses.clone());
    }
    let mut found: Vec<IpAddr> = vec![context.ports.smtp.ip(), context.ports.web.ip()];
    let multiaddrs = (context.addresses)();
    found.extend(multiaddrs.iter().filter_map(|address| ip_of(address)));
    found.extend(blocking(sending_addresses).await?);
    found.retain(|address| is_public_address(*address));
    found.sort();
    found.dedup();
    Ok(found)
}

/// The address in a multiaddr such as `/ip4/192.0.2.7/tcp/7001`.
fn ip_of(multiaddr: &str) -> Option<IpAddr> {
    let mut parts = multiaddr.split('/').skip(1);
    let kind = parts.next()?;
    let address = parts.next()?;
    matches!(kind, "ip4" | "ip6").then(|| address.parse().ok()).flatten()
}

/// The addresses from which the machine would send to the internet.
fn sending_addresses() -> Vec<IpAddr> {
    let from = |to: &SocketAddr| {
        let any: SocketAddr = match to {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(to).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    ELSEWHERE.iter().filter_map(from).collect()
}

#[cfg(test)]
mod tests {
    use super::ip_of;

    #[test]
    fn multiaddr_of_a_name_has_no_address() {
        assert_eq!(ip_of("/ip4/192.0.2.7/udp/7001/quic-v1"), "192.0.2.7".parse().ok());
        assert_eq!(ip_of("/ip6/2001:db8::7/tcp/7001"), "2001:db8::7".parse().ok());
        assert_eq!(ip_of("/dns4/ruth.example/tcp/7001"), None);
        assert_eq!(ip_of(""), None);
    }
}
