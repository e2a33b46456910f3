//! The host names of this node. A request for any other name is refused, so that a foreign name
//! that resolves to this address (DNS rebinding) never reaches a page.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::{Request, Version, header};
use freehold_core::profile::Profile;

/// The request must be refused with 400: more than one `Host`, an invalid one, or none in HTTP/1.1
/// (RFC 9112 3.2). A port that is no number is invalid, and so is text behind an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidHost;

/// The host of a request without the port, in lower case: from the target's authority if it has
/// one, else from `Host` (RFC 9112 3.2.2). `None` if HTTP/1.0 names none.
///
/// # Errors
/// When the request must be refused with 400, whatever its target is.
pub(crate) fn host_of<B>(request: &Request<B>) -> Result<Option<String>, InvalidHost> {
    Ok(authority_of(request)?
        .map(|authority| without_port(authority).trim_end_matches('.').to_ascii_lowercase()))
}

/// The host of a request as it was sent, with the port.
///
/// # Errors
/// As [`host_of`].
pub(crate) fn authority_of<B>(request: &Request<B>) -> Result<Option<&str>, InvalidHost> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) if request.version() < Version::HTTP_11 => None,
        (None, _) | (_, Some(_)) => return Err(InvalidHost),
        (Some(host), None) => Some(host.to_str().map_err(|_| InvalidHost)?),
    };
    if host.is_some_and(|host| !host.bytes().all(is_host_byte) || !has_port_or_none(host)) {
        return Err(InvalidHost);
    }
    Ok(request.uri().authority().map(|authority| authority.as_str()).or(host))
}

/// Whether only a port follows the host (RFC 3986 3.2.3); an empty one is allowed.
fn has_port_or_none(authority: &str) -> bool {
    let host = without_port(authority);
    if host.contains(':') && !host.starts_with('[') {
        return false;
    }
    let rest = authority.strip_prefix(host).unwrap_or_default();
    match rest.strip_prefix(':') {
        None => rest.is_empty(),
        Some(port) => port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// The characters of `uri-host` and a port (RFC 3986 3.2.2).
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%:[]".contains(&byte)
}

pub(crate) fn without_port(authority: &str) -> &str {
    if let Some(end) = authority.find(']') {
        return authority.get(..=end).unwrap_or(authority);
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

/// True if `host` (from [`host_of`]) is one of this node's names. The port is not compared: it
/// differs behind a tunnel, and the name alone stops DNS rebinding.
pub(crate) fn is_ours(
    host: &str,
    profile: Option<&Profile>,
    names: &[String],
    public_url: Option<&str>,
) -> bool {
    if matches!(host, "localhost" | "127.0.0.1" | "[::1]")
        || names.iter().any(|name| name.eq_ignore_ascii_case(host))
    {
        return true;
    }
    if public_url.is_some_and(|url| of_url(url) == host) {
        return true;
    }
    match (host.strip_suffix(".localhost"), profile) {
        (Some(login), Some(profile)) => login == profile.login,
        // Before the set-up the owner's login is not known; every name below `localhost` means
        // this machine.
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// True if the response gets `Strict-Transport-Security`: over TLS and for names of the public web.
/// For `localhost` or an IP address the header would apply to every other port as well.
pub(crate) fn wants_hsts(host: Option<&str>, secure: bool) -> bool {
    secure && host.is_some_and(|host| !is_this_machine(host) && address(host).is_none())
}

/// True if a name (from [`host_of`]) can mean only this machine.
pub(crate) fn is_this_machine(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || address(host).is_some_and(|address| address.is_loopback())
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// The part of a URL after `scheme` and `://`; the case of the scheme does not matter.
pub(crate) fn strip_scheme<'a>(url: &'a str, scheme: &str) -> Option<&'a str> {
    url.split_once("://")
        .filter(|(before, _)| before.eq_ignore_ascii_case(scheme))
        .map(|(_, rest)| rest)
}

/// The host of a URL, in lower case.
pub(crate) fn of_url(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    without_port(rest.split('/').next().unwrap_or(rest)).to_ascii_lowercase()
}

/// The origin of a site's URL as browsers send it (RFC 6454 6.1): in lower case, without a path and
/// without the scheme's default port. `None` if it is not an `http` or `https` URL of a whole site.
pub(crate) fn origin(url: &str) -> Option<String> {
    let (scheme, port, rest) = match (strip_scheme(url, "https"), strip_scheme(url, "http")) {
        (Some(rest), _) => ("https", ":443", rest),
        (None, Some(rest)) => ("http", ":80", rest),
        (None, None) => return None,
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest).to_ascii_lowercase();
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    if without_port(&authority).is_empty() || !authority.chars().all(is_plain) {
        return None;
    }
    Some(format!("{scheme}://{}", authority.strip_suffix(port).unwrap_or(&authority)))
}

/// Whether `name` is a host name alone as browsers send it: letters, digits, hyphens and
/// underscores between dots, an IPv4 address, or an IPv6 address in brackets.
pub(crate) fn is_host(name: &str) -> bool {
    if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Whether an origin has no port or a valid one.
pub(crate) fn has_valid_port(origin: &str) -> bool {
    let authority = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    match authority.strip_prefix(without_port(authority)).and_then(|rest| rest.strip_prefix(':')) {
        None => authority == without_port(authority),
        Some(port) => {
            port.bytes().all(|byte| byte.is_ascii_digit())
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use freehold_core::testing::profile_of;

    #[test]
    fn only_configured_host_names_are_served() {
        let alice = profile_of("alice");
        let names = ["www.alice.example".to_owned()];
        let ours =
            |host: &str| is_ours(host, Some(&alice), &names, Some("https://alice.example:8443/"));
        for host in [
            "alice.localhost",
            "localhost",
            "127.0.0.1",
            "[::1]",
            "www.alice.example",
            "alice.example",
        ] {
            assert!(ours(host), "{host}");
        }
        for host in [
            "bob.localhost",
            "evil.example",
            "alice.example.evil.example",
            "",
            "127.0.0.2",
            "notlocalhost",
        ] {
            assert!(!ours(host), "{host}");
        }
        assert!(is_ours("anyone.localhost", None, &[], None));
    }

    #[test]
    fn origin_is_normalised_as_browsers_send_it() {
        let cases = [
            ("https://Ruth.Example/", Some("https://ruth.example")),
            ("HTTPS://ruth.example:443", Some("https://ruth.example")),
            ("http://ruth.example:80/", Some("http://ruth.example")),
            ("https://ruth.example:8443", Some("https://ruth.example:8443")),
            ("https://ruth.example/blog", None),
            ("https://user@ruth.example", None),
            ("https://:8443", None),
            ("ruth.example", None),
        ];
        for (url, expected) in cases {
            assert_eq!(origin(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn hsts_is_sent_for_public_names_only() {
        for host in ["localhost", "a.localhost", "127.0.0.1", "127.8.8.8", "[::1]"] {
            assert!(!wants_hsts(Some(host), true) && is_this_machine(host), "{host}");
        }
        for (host, bound) in [
            ("192.0.2.1", false),
            ("[2001:db8::1]", false),
            ("ruth.example", true),
            ("localhost.example", true),
        ] {
            assert_eq!(
                (wants_hsts(Some(host), true), is_this_machine(host)),
                (bound, false),
                "{host}"
            );
        }
        assert!(!wants_hsts(Some("ruth.example"), false) && !wants_hsts(None, true));
    }

    #[test]
    fn missing_second_or_invalid_host_is_an_error() {
        let host_of = |version, target: &str, hosts: &[&str]| {
            let request = Request::builder().uri(target).version(version);
            let request = hosts.iter().fold(request, |request, host| request.header("host", *host));
            host_of(&request.body(()).unwrap())
        };
        let (old, new) = (Version::HTTP_10, Version::HTTP_11);
        for (version, target, hosts) in [
            (new, "/", &["localhost", "evil.example"][..]),
            (old, "/", &["localhost", "localhost"]),
            (new, "/", &[]),
            (new, "http://localhost/", &[]),
            (new, "http://localhost/", &["localhost", "localhost"]),
            (new, "/", &["localhost/x"]),
            (new, "/", &["local host"]),
            (new, "/", &["a@localhost"]),
            (new, "/", &["localhost:evil"]),
            (new, "/", &["[::1]evil"]),
            (new, "/", &["[::1]:evil"]),
            (new, "/", &["localhost:80:80"]),
        ] {
            assert_eq!(host_of(version, target, hosts), Err(InvalidHost), "{target} {hosts:?}");
        }
        assert_eq!(host_of(old, "/", &[]), Ok(None));
        let authority = host_of(new, "http://localhost:80/", &["evil.example"]);
        assert_eq!(authority, Ok(Some("localhost".to_owned())), "the target's authority wins");
    }

    #[test]
    fn host_ignores_port_and_final_dot() {
        let request =
            |host: &str| Request::builder().uri("/").header("host", host).body(()).unwrap();
        for (sent, host) in [
            ("Alice.Localhost:8080", "alice.localhost"),
            ("alice.example.", "alice.example"),
            ("[::1]:8080", "[::1]"),
        ] {
            assert_eq!(host_of(&request(sent)).unwrap().unwrap(), host);
        }
    }
}
