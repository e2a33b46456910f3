//! The listening sockets. All are bound before anything starts, so that a port in use is one clear
//! error and nothing has to be undone.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use freehold_core::random::Random;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpSocket, UdpSocket};

use crate::exit;

/// Where the node listens. Port 0 lets the system choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ListenConfig {
    /// The web pages.
    pub(crate) web: SocketAddr,
    /// SMTP: mail from other servers (RFC 5321).
    pub(crate) smtp: SocketAddr,
    /// Submission: mail from the owner's programs, TLS by STARTTLS (RFC 6409).
    pub(crate) submission: SocketAddr,
    /// Submission with TLS from the first byte (RFC 8314).
    pub(crate) smtps: SocketAddr,
    /// IMAP, TLS by STARTTLS (RFC 3501).
    pub(crate) imap: SocketAddr,
    /// IMAP with TLS from the first byte (RFC 8314).
    pub(crate) imaps: SocketAddr,
    /// Friends' nodes over libp2p: TCP and QUIC on the same port.
    pub(crate) libp2p: SocketAddr,
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self::loopback(7080, 7025, 7587, 7465, 7143, 7993, 7001)
    }
}

/// The lowest port chosen for a node whose ports must stay the same: above those that need rights,
/// below the ephemeral ports of the usual systems (from 32768 on).
const PORT_MIN: u16 = 10_000;
/// One more than the highest such port.
const PORT_MAX: u16 = 32_000;
/// The most connections that wait to be accepted at one address. A burst beyond it waits for TCP's
/// retransmission, a second or more.
const BACKLOG: u32 = 1024;
/// How many ports are tried.
const PORT_TRIES_MAX: usize = 1000;

impl ListenConfig {
    fn loopback(
        web: u16,
        smtp: u16,
        submission: u16,
        smtps: u16,
        imap: u16,
        imaps: u16,
        libp2p: u16,
    ) -> Self {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            web: at(web),
            smtp: at(smtp),
            submission: at(submission),
            smtps: at(smtps),
            imap: at(imap),
            imaps: at(imaps),
            libp2p: at(libp2p),
        }
    }

    /// The ports of all listeners.
    pub(crate) fn ports(&self) -> [u16; 7] {
        let Self { web, smtp, submission, smtps, imap, imaps, libp2p } = self;
        [web, smtp, submission, smtps, imap, imaps, libp2p].map(SocketAddr::port)
    }

    /// Loopback ports that are free at this moment, for a node that keeps its ports over restarts.
    /// None is in `reserved`: the ports of nodes that are not running look free.
    pub(crate) fn free(reserved: &[u16]) -> Result<Self> {
        let random = Random::from_os().context("this machine gives no randomness")?;
        // Ephemeral ports are not used: by the next start another program could have one of them.
        let tries = (0..PORT_TRIES_MAX).map(|_| {
            PORT_MIN
                + u16::try_from(random.u64() % u64::from(PORT_MAX - PORT_MIN)).unwrap_or_default()
        });
        // All stay bound until all are known, so that none is chosen twice.
        let hold = |port| {
            Some((
                std::net::TcpListener::bind(("127.0.0.1", port)).ok()?,
                std::net::UdpSocket::bind(("127.0.0.1", port)).ok()?,
            ))
        };
        let held: Vec<_> =
            tries.filter(|port| !reserved.contains(port)).filter_map(hold).take(7).collect();
        let ports = held
            .iter()
            .map(|(listener, _)| listener.local_addr().map(|a| a.port()))
            .collect::<Result<Vec<_>, _>>()?;
        match ports.as_slice() {
            &[web, smtp, submission, smtps, imap, imaps, libp2p] => {
                Ok(Self::loopback(web, smtp, submission, smtps, imap, imaps, libp2p))
            }
            _ => anyhow::bail!("no free ports"),
        }
    }

    /// The addresses that libp2p is configured to listen on, as multiaddrs, TCP first; none if it
    /// listens on all of the machine's, which only the running node knows.
    pub(crate) fn multiaddrs(&self) -> Vec<String> {
        if self.libp2p.ip().is_unspecified() {
            return Vec::new();
        }
        let (family, ip, port) = match self.libp2p {
            SocketAddr::V4(at) => ("ip4", at.ip().to_string(), at.port()),
            SocketAddr::V6(at) => ("ip6", at.ip().to_string(), at.port()),
        };
        vec![format!("/{family}/{ip}/tcp/{port}"), format!("/{family}/{ip}/udp/{port}/quic-v1")]
    }
}

/// The bound sockets. libp2p binds its own; whether it can is only checked here.
pub(crate) struct Listeners {
    pub(crate) web: TcpListener,
    pub(crate) smtp: TcpListener,
    pub(crate) submission: TcpListener,
    pub(crate) smtps: TcpListener,
    pub(crate) imap: TcpListener,
    pub(crate) imaps: TcpListener,
}

impl Listeners {
    /// Binds all sockets.
    ///
    /// # Errors
    /// Names every address that can't be bound, and why.
    pub(crate) async fn bind(config: &ListenConfig) -> Result<Self> {
        let mut refused = Vec::new();
        let ListenConfig { web, smtp, submission, smtps, imap, imaps, libp2p } = *config;
        let mut opened = Vec::new();
        for (name, at) in [
            ("web", web),
            ("smtp", smtp),
            ("submission", submission),
            ("smtps", smtps),
            ("imap", imap),
            ("imaps", imaps),
            ("libp2p", libp2p),
        ] {
            match listen(at) {
                Ok(listener) => opened.push(listener),
                Err(error) => refused.push((name, at, error)),
            }
        }
        // libp2p reports a port in use only later and without the name of the setting, so both of
        // its ports are bound for a moment here: TCP above, UDP for QUIC.
        if !refused.iter().any(|(name, ..)| *name == "libp2p")
            && let Err(error) = UdpSocket::bind(libp2p).await
        {
            refused.push(("libp2p (UDP)", libp2p, error));
        }
        match <[TcpListener; 7]>::try_from(opened) {
            Ok([web, smtp, submission, smtps, imap, imaps, _]) if refused.is_empty() => {
                Ok(Self { web, smtp, submission, smtps, imap, imaps })
            }
            _ => Err(exit::with(exit::UNAVAILABLE, bind_error(&refused))),
        }
    }
}

/// Listens at an address as [`TcpListener::bind`] does, with [`BACKLOG`].
fn listen(at: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restarted node listens at once, though closed connections still wait (TIME_WAIT).
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(BACKLOG)
}

/// One sentence with every address that can't be bound, why, and what to do.
fn bind_error(refused: &[(&str, SocketAddr, std::io::Error)]) -> String {
    let why = |error: &std::io::Error| match error.kind() {
        std::io::ErrorKind::AddrInUse => "another program has this port".to_owned(),
        std::io::ErrorKind::PermissionDenied => {
            "ports below 1024 need rights this process does not have".to_owned()
        }
        std::io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address".to_owned()
        }
        _ => error.to_string(),
    };
    if let [(name, at, error)] = refused {
        let setting = name.split(' ').next().unwrap_or_default();
        let advice = format!(
            "choose another with --set listen.{setting}=\"127.0.0.1:PORT\" or in freehold.toml, \
             section [listen]"
        );
        return format!("can't listen on {at} for {name}: {}; {advice}", why(error));
    }
    let mut causes: Vec<(String, Vec<String>)> = Vec::new();
    for (name, at, error) in refused {
        let (cause, address) = (why(error), format!("{at} for {name}"));
        match causes.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, addresses)) => addresses.push(address),
            None => causes.push((cause, vec![address])),
        }
    }
    let parts = causes.into_iter().map(|(cause, addresses)| match addresses.as_slice() {
        [_] => format!("{} ({cause})", addresses.concat()),
        _ => format!("{} ({cause}, each)", addresses.join(", ")),
    });
    let advice = "choose others with --set listen.NAME=\"127.0.0.1:PORT\" or in freehold.toml, section [listen]";
    format!("can't listen on {}; {advice}", parts.collect::<Vec<_>>().join(", nor on "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn port_in_use_is_named_with_its_setting() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = ListenConfig::free(&[]).unwrap();
        config.imap = taken.local_addr().unwrap();
        let Err(error) = Listeners::bind(&config).await else { panic!("the port is taken") };
        let message = error.to_string();
        assert!(message.contains("for imap: another program has this port"), "{message}");
        assert!(message.contains("--set listen.imap="), "{message}");
    }

    #[test]
    fn reserved_port_is_never_chosen() {
        let reserved: Vec<u16> = (PORT_MIN..PORT_MAX).filter(|port| port % 8 != 0).collect();
        let chosen = ListenConfig::free(&reserved).unwrap().ports();
        assert!(chosen.iter().all(|port| port % 8 == 0), "{chosen:?}");
    }

    #[tokio::test]
    async fn listener_holds_a_burst_of_connections() {
        let listeners = Listeners::bind(&ListenConfig::free(&[]).unwrap()).await.unwrap();
        let address = listeners.web.local_addr().unwrap();
        let timeout = std::time::Duration::from_secs(5);
        let connect = |_| std::net::TcpStream::connect_timeout(&address, timeout).unwrap();
        let waiting: Vec<_> = (0..300).map(connect).collect();
        assert_eq!(waiting.len(), 300);
    }

    #[tokio::test]
    async fn ports_in_use_are_named_together_including_udp() {
        let (tcp, udp) = (
            std::net::TcpListener::bind("127.0.0.1:0").unwrap(),
            std::net::UdpSocket::bind("127.0.0.1:0").unwrap(),
        );
        let mut config = ListenConfig::free(&[]).unwrap();
        (config.web, config.smtp, config.libp2p) =
            (tcp.local_addr().unwrap(), tcp.local_addr().unwrap(), udp.local_addr().unwrap());
        let Err(error) = Listeners::bind(&config).await else { panic!("the ports are taken") };
        let (tcp, udp) = (tcp.local_addr().unwrap(), udp.local_addr().unwrap());
        assert_eq!(
            error.to_string(),
            format!(
                "can't listen on {tcp} for web, {tcp} for smtp, {udp} for libp2p (UDP) (another program has this port, each); choose \
                 others with --set listen.NAME=\"127.0.0.1:PORT\" or in freehold.toml, section [listen]"
            )
        );
        assert_eq!(exit::code(&error), exit::UNAVAILABLE);
    }
}
