//! A small browser: keeps cookies, follows nothing by itself, fills in forms.

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use freehold_core::node::Node;
use freehold_core::testing::PASSWORD;
use freehold_web::{MailPlace, SiteService, WebConfig};

/// A browser at one node's site.
pub(crate) struct Browser {
    service: SiteService,
    cookie: Option<String>,
    host: &'static str,
}

/// The host of a laptop.
const LOCAL: &str = "localhost:8080";
/// The public host of a site that has one.
pub(crate) const PUBLIC: &str = "alice.example";

/// What came back.
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Seen {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Where it sends us.
    #[track_caller]
    pub(crate) fn location(&self) -> String {
        assert!(
            self.status.is_redirection(),
            "{} instead of a redirect: {}",
            self.status,
            self.text()
        );
        self.header("location").to_owned()
    }

    /// The value of the form field called `name` as the page holds it.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> String {
        let text = self.text();
        let at = text
            .find(&format!("name=\"{name}\""))
            .unwrap_or_else(|| panic!("no field {name} in {text}"));
        text[at..]
            .split_once("value=\"")
            .expect("a value")
            .1
            .split_once('"')
            .expect("its end")
            .0
            .to_owned()
    }
}

impl Browser {
    /// Somebody nobody knows.
    pub(crate) fn stranger(node: &Node) -> Self {
        Self::stranger_with(node, WebConfig::default())
    }

    /// The same at a site that is configured so.
    pub(crate) fn stranger_with(node: &Node, config: WebConfig) -> Self {
        Self {
            service: freehold_web::service(node.clone(), config, 8080).unwrap(),
            cookie: None,
            host: LOCAL,
        }
    }

    /// The owner of a node that says where mail programs find it.
    pub(crate) async fn owner_with_mail(node: &Node, mail: MailPlace) -> Self {
        let service =
            freehold_web::service_with_mail(node.clone(), WebConfig::default(), 8080, Some(mail))
                .unwrap();
        let mut browser = Self { service, cookie: None, host: LOCAL };
        assert_eq!(browser.post("/login", &[("password", PASSWORD)]).await.location(), "/home");
        browser
    }

    /// The owner, logged in.
    pub(crate) async fn owner(node: &Node) -> Self {
        Self::owner_with(node, WebConfig::default()).await
    }

    /// The owner of a site that is configured so.
    pub(crate) async fn owner_with(node: &Node, config: WebConfig) -> Self {
        let mut browser = Self::stranger_with(node, config);
        let seen = browser.post("/login", &[("password", PASSWORD)]).await;
        assert_eq!(seen.location(), "/home");
        browser
    }

    /// Somebody nobody knows, at a public name and over TLS.
    pub(crate) fn under_tls(node: &Node) -> Self {
        let config = WebConfig {
            public_url: Some(format!("https://{PUBLIC}")),
            tls: true,
            ..WebConfig::default()
        };
        Self { host: PUBLIC, ..Self::stranger_with(node, config) }
            .connected_from(IpAddr::V4(Ipv4Addr::LOCALHOST), true)
    }

    /// The same, connected from `address`, under TLS or not.
    pub(crate) fn connected_from(mut self, address: IpAddr, secure: bool) -> Self {
        self.service = self.service.for_client(address, secure);
        self
    }

    pub(crate) fn with_cookie(mut self, cookie: &str) -> Self {
        self.cookie = Some(cookie.to_owned());
        self
    }

    pub(crate) fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    pub(crate) async fn get(&mut self, path: &str) -> Seen {
        self.send(self.request("GET", path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect();
        let request = self
            .request("POST", path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(body.join("&"))).unwrap()).await
    }

    /// A request to fill in: it names our host and carries our cookie.
    pub(crate) fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        let request = Request::builder().method(method).uri(path).header(header::HOST, self.host);
        match &self.cookie {
            Some(cookie) => request.header(header::COOKIE, cookie),
            None => request,
        }
    }

    pub(crate) async fn send(&mut self, request: Request<Body>) -> Seen {
        let (parts, body) = self.service.answer(request).await.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        let seen = Seen { status: parts.status, headers: parts.headers, bytes };
        if let Some(set) = seen.headers.get(header::SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap().to_owned();
            self.cookie = (!pair.ends_with('=')).then_some(pair);
        }
        seen
    }
}

fn percent(value: &str) -> String {
    let one = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    value.bytes().map(one).collect()
}
