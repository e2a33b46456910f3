//! A small browser for tests: keeps cookies, follows no redirect by itself, sends forms.

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use freehold_core::node::Node;
use freehold_core::testing::PASSWORD;
use freehold_web::{Internet, MailEndpoints, SiteService, WebConfig};

use crate::html::{Document, Element};

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

/// A response.
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

    /// The target of a redirect, without what it says to the owner there (`done`).
    #[track_caller]
    pub(crate) fn location(&self) -> String {
        assert!(
            self.status.is_redirection(),
            "{} instead of a redirect: {}",
            self.status,
            self.text()
        );
        let target = self.header("location");
        let (target, fragment) = target.find('#').map_or((target, ""), |at| target.split_at(at));
        let path = target.split(['?', '&']).take_while(|part| !part.starts_with("done=")).fold(
            String::new(),
            |path, part| match path.as_str() {
                "" => part.to_owned(),
                path => format!("{path}{}{part}", if path.contains('?') { '&' } else { '?' }),
            },
        );
        path + fragment
    }

    fn document(&self) -> Document {
        Document::parse(&self.text())
    }

    /// The elements of the page that match (`html` says which selectors there are).
    pub(crate) fn all(&self, selector: &str) -> Vec<Element> {
        self.document().all(selector)
    }

    /// The only element that matches.
    #[track_caller]
    pub(crate) fn one(&self, selector: &str) -> Element {
        let mut found = self.all(selector);
        assert_eq!(found.len(), 1, "elements for {selector} in {}", self.text());
        found.remove(0)
    }

    pub(crate) fn has(&self, selector: &str) -> bool {
        !self.all(selector).is_empty()
    }

    /// The value of the form's field `name`.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> String {
        self.one(&format!("[name='{name}']")).value()
    }

    /// Checks that the form was sent back (422) with a fault beside the field `name` alone, and
    /// gives the fault's text.
    #[track_caller]
    pub(crate) fn fault(&self, name: &str) -> String {
        assert_eq!(self.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", self.text());
        self.shown_fault(name)
    }

    /// The same with any status.
    #[track_caller]
    pub(crate) fn shown_fault(&self, name: &str) -> String {
        assert_eq!(self.one("[aria-invalid='true']").attr("name"), name);
        let id = format!("{name}-fault");
        let described = self.one("[aria-invalid='true']").attr("aria-describedby").to_owned();
        assert!(described.split(' ').any(|known| known == id), "{described}");
        let text = self.one(&format!("#{id}")).text();
        assert!(!text.is_empty());
        text
    }
}

impl Browser {
    /// A stranger.
    pub(crate) fn stranger(node: &Node) -> Self {
        Self::stranger_with(node, WebConfig::default())
    }

    /// A stranger at a site with this configuration.
    pub(crate) fn stranger_with(node: &Node, config: WebConfig) -> Self {
        Self {
            service: freehold_web::service(node.clone(), config, 8080).unwrap(),
            cookie: None,
            host: LOCAL,
        }
    }

    /// A stranger at a node with ports for mail clients.
    pub(crate) fn stranger_with_mail(node: &Node, mail: MailEndpoints) -> Self {
        let config = WebConfig::default();
        let service = freehold_web::service_with_mail(node.clone(), config, 8080, Some(mail));
        Self { service: service.unwrap(), cookie: None, host: LOCAL }
    }

    /// The same browser at another host of the node.
    pub(crate) fn at(self, host: &'static str) -> Self {
        Self { host, ..self }
    }

    /// The owner of a node with ports for mail clients.
    pub(crate) async fn owner_with_mail(node: &Node, mail: MailEndpoints) -> Self {
        let service =
            freehold_web::service_with_mail(node.clone(), WebConfig::default(), 8080, Some(mail))
                .unwrap();
        let mut browser = Self { service, cookie: None, host: LOCAL };
        assert_eq!(browser.post("/login", &[("password", PASSWORD)]).await.location(), "/home");
        browser
    }

    /// The owner of a node that reaches this internet alone.
    pub(crate) async fn owner_in(node: &Node, internet: Internet) -> Self {
        let (config, node) = (WebConfig::default(), node.clone());
        let service = freehold_web::service_with_internet(node, config, 8080, None, internet);
        let mut browser = Self { service: service.unwrap(), cookie: None, host: LOCAL };
        assert_eq!(browser.post("/login", &[("password", PASSWORD)]).await.location(), "/home");
        browser
    }

    /// The owner, logged in.
    pub(crate) async fn owner(node: &Node) -> Self {
        Self::owner_with(node, WebConfig::default()).await
    }

    /// The owner of a site with this configuration.
    pub(crate) async fn owner_with(node: &Node, config: WebConfig) -> Self {
        let mut browser = Self::stranger_with(node, config);
        let seen = browser.post("/login", &[("password", PASSWORD)]).await;
        assert_eq!(seen.location(), "/home");
        browser
    }

    /// A stranger at a public host name, over TLS.
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

    /// The page at `path`, after its redirects.
    pub(crate) async fn open(&mut self, path: &str) -> Seen {
        let mut seen = self.get(path).await;
        for _ in 0..5 {
            if !seen.status.is_redirection() {
                break;
            }
            let target = seen.header("location").to_owned();
            seen = self.get(&target).await;
        }
        seen
    }

    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect();
        let request = self
            .request("POST", path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(body.join("&"))).unwrap()).await
    }

    /// A request with the host and the cookie set.
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
    let encode = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    value.bytes().map(encode).collect()
}
