//! The client's address and scheme behind a reverse proxy, as a trusted proxy reports them.
//!
//! Only `X-Forwarded-For` and `X-Forwarded-Proto` are read, because the usual proxies replace or
//! extend both. Many of them pass `Forwarded` (RFC 7239) on as the client sent it, so a client
//! could claim any address by it.

use axum::http::{HeaderMap, HeaderName};
use std::net::{IpAddr, SocketAddr};

use crate::config::WebConfig;
use crate::site_service::Client;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The most proxies in a row.
const HOPS_MAX: usize = 16;

/// The client of a request that came over a connection from `peer`.
pub(crate) fn client(peer: Client, headers: &HeaderMap, config: &WebConfig) -> Client {
    if !config.trusts(peer.address) {
        return peer;
    }
    // Each proxy appends the address of its client, so the list is read from the right, as far as
    // the appending proxy is a trusted one.
    let mut address = peer.address;
    for hop in from_the_right(headers, &FOR).take(HOPS_MAX) {
        let Some(before) = parse_address(hop) else { break };
        address = before;
        if !config.trusts(before) {
            break;
        }
    }
    let is_https = from_the_right(headers, &PROTO)
        .next()
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    Client { address, secure: peer.secure || (is_https && config.is_https()) }
}

fn from_the_right<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines: Vec<&str> =
        headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default()).collect();
    lines.into_iter().rev().flat_map(|line| line.rsplit(',')).map(str::trim)
}

/// Parses an address as proxies write it: alone, in brackets, or with a port.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn client_of(peer: &str, url: &str, lines: &[(HeaderName, &'static str)]) -> (String, bool) {
        let proxies = vec![PROXY.parse().unwrap(), "10.0.0.2".parse().unwrap()];
        let config = WebConfig {
            public_url: Some(url.to_owned()),
            trusted_proxies: proxies,
            ..WebConfig::default()
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value.parse().unwrap());
        }
        let client =
            client(Client { address: peer.parse().unwrap(), secure: false }, &headers, &config);
        (client.address.to_string(), client.secure)
    }

    #[test]
    fn trusted_proxy_sets_client_address_and_scheme() {
        for chain in [
            "203.0.113.9",
            "198.51.100.1, 203.0.113.9",
            "203.0.113.9:4711",
            "spoofed, 203.0.113.9, 10.0.0.2",
            "10.0.0.9,203.0.113.9",
        ] {
            let lines = [(FOR, chain), (PROTO, "https")];
            assert_eq!(
                client_of(PROXY, "https://ruth.example", &lines),
                ("203.0.113.9".to_owned(), true),
                "{chain}"
            );
            assert_eq!(
                client_of("::ffff:10.0.0.1", "https://ruth.example", &lines).0,
                "203.0.113.9",
                "{chain}"
            );
        }
        let two =
            [(FOR, "198.51.100.1"), (FOR, "[2001:db8::7]:4711"), (PROTO, "https"), (PROTO, "http")];
        assert_eq!(
            client_of(PROXY, "https://ruth.example", &two),
            ("2001:db8::7".to_owned(), false)
        );
    }

    #[test]
    fn forwarded_headers_from_elsewhere_are_ignored() {
        let lines = [
            (FOR, "203.0.113.9"),
            (PROTO, "https"),
            (HeaderName::from_static("forwarded"), "for=203.0.113.9;proto=https"),
        ];
        assert_eq!(
            client_of("192.0.2.66", "https://ruth.example", &lines),
            ("192.0.2.66".to_owned(), false)
        );
        // `Forwarded` is written by the client, even on a connection from the proxy.
        assert_eq!(
            client_of(PROXY, "https://ruth.example", &lines[2..]),
            (PROXY.to_owned(), false)
        );
        // A site whose own address is http is never secure.
        assert_eq!(
            client_of(PROXY, "http://ruth.example", &lines),
            ("203.0.113.9".to_owned(), false)
        );
        for chain in ["", "unknown", "203.0.113.9, unknown", "203.0.113.9, _hidden"] {
            assert_eq!(
                client_of(PROXY, "https://ruth.example", &[(FOR, chain)]),
                (PROXY.to_owned(), false),
                "{chain}"
            );
        }
    }
}
