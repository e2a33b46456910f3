//! Which host names are ours. A request under any other name is refused, so that a foreign name pointed at this address
//! (DNS rebinding) never reaches a page.

use axum::http::{Request, header};
use freehold_core::profile::Profile;

/// The host a request names, without its port, in lower case: the URI's authority if it has one, else `Host`
/// (RFC 9112 3.2).
pub(crate) fn host_of<B>(request: &Request<B>) -> Option<String> {
    let authority = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(header::HOST)?.to_str().ok()?,
    };
    Some(without_port(authority).trim_end_matches('.').to_ascii_lowercase())
}

fn without_port(authority: &str) -> &str {
    if let Some(end) = authority.find(']') {
        return authority.get(..=end).unwrap_or(authority);
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

/// Whether `host` (as [`host_of`] gives it) is one of this node's names. The port is not compared: it differs behind a
/// tunnel, and a browser keeps other sites out by name alone.
pub(crate) fn is_ours(host: &str, profile: Option<&Profile>, names: &[String], public_url: Option<&str>) -> bool {
    if matches!(host, "localhost" | "127.0.0.1" | "[::1]") || names.iter().any(|name| name.eq_ignore_ascii_case(host)) {
        return true;
    }
    if public_url.is_some_and(|url| url_host(url).eq_ignore_ascii_case(host)) {
        return true;
    }
    match (host.strip_suffix(".localhost"), profile) {
        (Some(login), Some(profile)) => login == profile.login,
        // Before set-up the house has no name yet; any name that can only mean this machine will do.
        (Some(_), None) => true,
        (None, _) => false,
    }
}

fn url_host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    without_port(rest.split('/').next().unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use freehold_core::testing::profile_of;

    #[test]
    fn our_names_are_ours_and_no_others() {
        let alice = profile_of("alice");
        let names = ["www.alice.example".to_owned()];
        let ours = |host: &str| is_ours(host, Some(&alice), &names, Some("https://alice.example:8443/"));
        for host in ["alice.localhost", "localhost", "127.0.0.1", "[::1]", "www.alice.example", "alice.example"] {
            assert!(ours(host), "{host}");
        }
        for host in ["bob.localhost", "evil.example", "alice.example.evil.example", "", "127.0.0.2", "notlocalhost"] {
            assert!(!ours(host), "{host}");
        }
        assert!(is_ours("anyone.localhost", None, &[], None));
    }

    #[test]
    fn a_port_and_a_final_dot_do_not_count() {
        let request = |host: &str| Request::builder().uri("/").header("host", host).body(()).unwrap();
        assert_eq!(host_of(&request("Alice.Localhost:8080")).unwrap(), "alice.localhost");
        assert_eq!(host_of(&request("alice.example.")).unwrap(), "alice.example");
        assert_eq!(host_of(&request("[::1]:8080")).unwrap(), "[::1]");
        assert_eq!(host_of(&Request::builder().uri("/").body(()).unwrap()), None);
    }
}
