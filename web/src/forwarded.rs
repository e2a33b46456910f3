//! Who asks, and over what, when a reverse proxy stands between: as the proxy says, if it is one of
//! ours.
//!
//! Only `X-Forwarded-For` and `X-Forwarded-Proto` count, because the proxies people run write over
//! or add to both. `Forwarded` (RFC 7239) many of them pass on as the client wrote it, and the
//! client may write anything.

use axum::http::{HeaderMap, HeaderName};
use std::net::{IpAddr, SocketAddr};

use crate::config::WebConfig;
use crate::door::Client;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// How many proxies may stand one behind the other.
const HOPS_MAX: usize = 16;

/// The client of a request that came over a connection from `peer`.
pub(crate) fn client(peer: Client, headers: &HeaderMap, config: &WebConfig) -> Client {
    if !config.trusts(peer.address) {
        return peer;
    }
    // Each proxy adds at the right end whom it was asked by, so the list is believed from the right
    // as long as our own speak.
    let mut address = peer.address;
    for said in from_the_right(headers, &FOR).take(HOPS_MAX) {
        let Some(before) = address_in(said) else { break };
        address = before;
        if !config.trusts(before) {
            break;
        }
    }
    let said_https = from_the_right(headers, &PROTO)
        .next()
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    Client { address, secure: peer.secure || (said_https && config.is_https()) }
}

fn from_the_right<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines: Vec<&str> =
        headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default()).collect();
    lines.into_iter().rev().flat_map(|line| line.rsplit(',')).map(str::trim)
}

/// An address as proxies write it: alone, in brackets, with a port.
fn address_in(said: &str) -> Option<IpAddr> {
    let bare = said.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| said.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn asked(peer: &str, url: &str, lines: &[(HeaderName, &'static str)]) -> (String, bool) {
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
    fn a_trusted_proxy_is_believed_about_the_client_and_the_scheme() {
        for said in [
            "203.0.113.9",
            "198.51.100.1, 203.0.113.9",
            "203.0.113.9:4711",
            "spoofed, 203.0.113.9, 10.0.0.2",
            "10.0.0.9,203.0.113.9",
        ] {
            let lines = [(FOR, said), (PROTO, "https")];
            assert_eq!(
                asked(PROXY, "https://ruth.example", &lines),
                ("203.0.113.9".to_owned(), true),
                "{said}"
            );
            assert_eq!(
                asked("::ffff:10.0.0.1", "https://ruth.example", &lines).0,
                "203.0.113.9",
                "{said}"
            );
        }
        let two =
            [(FOR, "198.51.100.1"), (FOR, "[2001:db8::7]:4711"), (PROTO, "https"), (PROTO, "http")];
        assert_eq!(asked(PROXY, "https://ruth.example", &two), ("2001:db8::7".to_owned(), false));
    }

    #[test]
    fn nobody_else_is_believed() {
        let lines = [
            (FOR, "203.0.113.9"),
            (PROTO, "https"),
            (HeaderName::from_static("forwarded"), "for=203.0.113.9;proto=https"),
        ];
        assert_eq!(
            asked("192.0.2.66", "https://ruth.example", &lines),
            ("192.0.2.66".to_owned(), false)
        );
        // `Forwarded` is what the client wrote, even from the proxy.
        assert_eq!(asked(PROXY, "https://ruth.example", &lines[2..]), (PROXY.to_owned(), false));
        // A site whose own address is http is not secure, whatever is said.
        assert_eq!(asked(PROXY, "http://ruth.example", &lines), ("203.0.113.9".to_owned(), false));
        for said in ["", "unknown", "203.0.113.9, unknown", "203.0.113.9, _hidden"] {
            assert_eq!(
                asked(PROXY, "https://ruth.example", &[(FOR, said)]),
                (PROXY.to_owned(), false),
                "{said}"
            );
        }
    }
}
