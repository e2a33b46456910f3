//! Plain HTTP on a port that begins with TLS: a browser that was given the address without
//! `https://` is redirected instead of meeting a TLS alert that it shows as a broken connection.

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use axum::response::IntoResponse;

use crate::config::WebConfig;
use crate::response;
use crate::{headers, hosts};

/// True if a connection whose first byte is `byte` sends no TLS: a handshake begins with the record
/// type 22 (RFC 8446 5.1), a request with the capital letter of its method.
pub(crate) fn is_plain(byte: u8) -> bool {
    byte.is_ascii_uppercase()
}

/// Redirects to the same address by HTTPS. A form is refused instead: its content has crossed the
/// network unencrypted already.
pub(crate) fn answer<B>(request: &Request<B>, config: &WebConfig) -> Response<Body> {
    let mut response = match hosts::authority_of(request) {
        Ok(Some(authority)) if !authority.is_empty() => redirect(request, authority, config),
        Ok(_) | Err(hosts::InvalidHost) => {
            (StatusCode::BAD_REQUEST, "This port speaks HTTPS.\n").into_response()
        }
    };
    headers::add_security_headers(response.headers_mut(), false);
    response
}

fn redirect<B>(request: &Request<B>, authority: &str, config: &WebConfig) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let text = "HTTPS is required. The form was refused; nothing was changed.\n";
        return (StatusCode::UPGRADE_REQUIRED, text).into_response();
    }
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let host = hosts::without_port(authority).trim_end_matches('.');
    let base = match config.public_host().filter(|public| host.eq_ignore_ascii_case(public)) {
        Some(_) => config.url(None, 0),
        None => format!("https://{authority}"),
    };
    response::moved_to_site(&base, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, host: &str, path: &str) -> (u16, String) {
        let config = WebConfig {
            public_url: Some("https://ruth.example:8443".to_owned()),
            tls: true,
            ..WebConfig::default()
        };
        let request = Request::builder().method(method).uri(path).header("host", host);
        let response = answer(&request.body(()).unwrap(), &config);
        let location = response.headers().get("location");
        let location = location.map_or("", |value| value.to_str().unwrap()).to_owned();
        (response.status().as_u16(), location)
    }

    #[test]
    fn plain_request_is_redirected_to_https() {
        for (host, path, location) in [
            ("ruth.example", "/?page=2", "https://ruth.example:8443/?page=2"),
            ("Ruth.Example:80", "/about", "https://ruth.example:8443/about"),
            ("localhost:7080", "/", "https://localhost:7080/"),
            ("localhost:7080", "//evil.example/", "https://localhost:7080//evil.example/"),
        ] {
            assert_eq!(asked("GET", host, path), (301, location.to_owned()), "{host}{path}");
        }
    }

    #[test]
    fn plain_form_and_invalid_host_are_refused() {
        assert_eq!(asked("POST", "ruth.example", "/login"), (426, String::new()));
        for host in ["", "a/b", "a@b"] {
            assert_eq!(asked("GET", host, "/"), (400, String::new()), "{host}");
        }
    }
}
