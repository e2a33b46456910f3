//! Responses while the data folder is being opened, and that open connections then reach the site.

use freehold_core::node::Node;
use freehold_core::testing::TestNode;
use freehold_web::{Endpoint, Web, WebConfig};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A keep-alive connection.
struct Connection(BufReader<TcpStream>);

/// A response: its head in lower case, and its body.
struct Received {
    head: String,
    body: String,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .unwrap_or_default()
    }

    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }
}

impl Connection {
    async fn to(web: &Web) -> Self {
        Self(BufReader::new(TcpStream::connect(web.addresses()[0]).await.unwrap()))
    }

    async fn ask(&mut self, method: &str, path: &str, form: &str) -> Received {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: alice.localhost\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        );
        self.0.write_all(request.as_bytes()).await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(
                self.0.read_line(&mut head).await.unwrap() > 0,
                "the connection ended after {head}"
            );
        }
        let head = head.to_lowercase();
        let mut received = Received { head, body: String::new() };
        let len =
            if method == "HEAD" { 0 } else { received.header("content-length").parse().unwrap() };
        let mut body = vec![0; len];
        self.0.read_exact(&mut body).await.unwrap();
        received.body = String::from_utf8(body).unwrap();
        received
    }
}

async fn listening() -> Web {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Web::listen(WebConfig::default(), vec![Endpoint { listener, tls: None }]).unwrap()
}

#[tokio::test]
async fn startup_page_is_503_with_retry_after_and_styles() {
    let web = listening().await;
    let mut connection = Connection::to(&web).await;
    let front = connection.ask("GET", "/", "").await;
    assert_eq!((front.status(), front.header("retry-after")), ("503", "10"));
    assert_eq!(
        (front.header("cache-control"), front.header("x-content-type-options")),
        ("no-store", "nosniff")
    );
    assert!(
        front.header("content-security-policy").starts_with("default-src 'none'; style-src 'self'"),
        "{}",
        front.head
    );
    assert!(front.body.contains("id=\"main\""), "{}", front.body);
    assert!(
        !front.body.contains("<script")
            && !front.body.contains("style=")
            && !front.body.contains("<progress"),
        "{}",
        front.body
    );
    let styles = front
        .body
        .split("href=\"")
        .find(|part| part.starts_with("/assets/paper."))
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert_eq!(
        connection.ask("GET", styles, "").await.status(),
        "200",
        "the styles are part of the program"
    );
    assert_eq!(connection.ask("HEAD", "/home", "").await.status(), "503");
    let sent = connection.ask("POST", "/home/write", "text=a+long+letter").await;
    assert_eq!(sent.status(), "503");
    assert_ne!(sent.body, front.body, "the page says that the form was not taken");
}

#[tokio::test]
async fn health_reports_liveness_and_startup_progress() {
    let web = listening().await;
    let mut connection = Connection::to(&web).await;
    assert_eq!(connection.ask("GET", "/livez", "").await.body, "alive\n");
    let ready = connection.ask("GET", "/readyz", "").await;
    assert_eq!((ready.status(), ready.body.as_str()), ("503", "not ready\n"));
    web.startup_progress().report("Rows from the snapshot", 43_999, 100_000);
    let ready = connection.ask("GET", "/readyz", "").await;
    assert_eq!(
        (ready.status(), ready.body.as_str()),
        ("503", "not ready: rows from the snapshot, 43 %\n")
    );
    assert!(
        connection.ask("GET", "/", "").await.body.contains("<progress max=\"100\" value=\"43\">")
    );
    // A total of zero, and more done than the total.
    web.startup_progress().report("Changes from the log", 7, 0);
    assert!(connection.ask("GET", "/readyz", "").await.body.contains("the log, 0 %"));
    web.startup_progress().report("Changes from the log", u64::MAX, 9);
    assert!(connection.ask("GET", "/readyz", "").await.body.contains("the log, 100 %"));
}

#[tokio::test]
async fn opened_site_answers_on_open_connections() {
    let alice = TestNode::new("alice").await;
    let web = listening().await;
    let mut connection = Connection::to(&web).await;
    assert_eq!(connection.ask("GET", "/", "").await.status(), "503");
    web.open(Node::clone(&alice), None).unwrap();
    assert_eq!(connection.ask("GET", "/readyz", "").await.body, "ready\n");
    assert_eq!(connection.ask("GET", "/", "").await.status(), "200");
    web.shutdown().await;
}

#[tokio::test]
async fn web_that_never_opened_shuts_down() {
    let web = listening().await;
    let address = web.addresses()[0];
    web.shutdown().await;
    assert!(TcpStream::connect(address).await.is_err());
}
