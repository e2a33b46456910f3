//! What is answered before the node's rows can be read, and that the house opens without anybody
//! having to knock again.

use freehold_core::node::Node;
use freehold_core::testing::TestNode;
use freehold_web::{Entrance, Web, WebConfig};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A connection that stays open from one request to the next.
struct Line(BufReader<TcpStream>);

/// A head in lower case, and a body.
struct Heard {
    head: String,
    body: String,
}

impl Heard {
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

impl Line {
    async fn to(web: &Web) -> Self {
        Self(BufReader::new(TcpStream::connect(web.addresses()[0]).await.unwrap()))
    }

    async fn ask(&mut self, method: &str, path: &str, form: &str) -> Heard {
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
        let mut heard = Heard { head, body: String::new() };
        let len =
            if method == "HEAD" { 0 } else { heard.header("content-length").parse().unwrap() };
        let mut body = vec![0; len];
        self.0.read_exact(&mut body).await.unwrap();
        heard.body = String::from_utf8(body).unwrap();
        heard
    }
}

async fn listening() -> Web {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Web::listen(WebConfig::default(), vec![Entrance { listener, tls: None }]).unwrap()
}

#[tokio::test]
async fn before_the_rows_can_be_read_a_page_says_to_come_back() {
    let web = listening().await;
    let mut line = Line::to(&web).await;
    let front = line.ask("GET", "/", "").await;
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
    assert!(
        front.body.contains("<h1>Back in a moment</h1>") && front.body.contains("Look again"),
        "{}",
        front.body
    );
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
    assert_eq!(line.ask("GET", styles, "").await.status(), "200", "the look is there all the same");
    assert_eq!(line.ask("HEAD", "/home", "").await.status(), "503");
    let sent = line.ask("POST", "/home/write", "text=a+long+letter").await;
    assert_eq!(sent.status(), "503");
    assert!(sent.body.contains("What you sent was not taken"), "{}", sent.body);
}

#[tokio::test]
async fn whoever_watches_the_node_hears_that_it_lives_and_how_far_it_is() {
    let web = listening().await;
    let mut line = Line::to(&web).await;
    assert_eq!(line.ask("GET", "/livez", "").await.body, "alive\n");
    let ready = line.ask("GET", "/readyz", "").await;
    assert_eq!((ready.status(), ready.body.as_str()), ("503", "not ready\n"));
    web.opening().tell("Rows from the snapshot", 43_999, 100_000);
    let ready = line.ask("GET", "/readyz", "").await;
    assert_eq!(
        (ready.status(), ready.body.as_str()),
        ("503", "not ready: rows from the snapshot, 43 %\n")
    );
    assert!(line.ask("GET", "/", "").await.body.contains("<progress max=\"100\" value=\"43\">"));
    // Of nothing at all, and of less than there is.
    web.opening().tell("Changes from the log", 7, 0);
    assert!(line.ask("GET", "/readyz", "").await.body.contains("the log, 0 %"));
    web.opening().tell("Changes from the log", u64::MAX, 9);
    assert!(line.ask("GET", "/readyz", "").await.body.contains("the log, 100 %"));
}

#[tokio::test]
async fn the_house_opens_on_the_line_that_waits() {
    let alice = TestNode::new("alice").await;
    let web = listening().await;
    let mut line = Line::to(&web).await;
    assert_eq!(line.ask("GET", "/", "").await.status(), "503");
    web.open(Node::clone(&alice), None).unwrap();
    assert_eq!(line.ask("GET", "/readyz", "").await.body, "ready\n");
    assert_eq!(line.ask("GET", "/", "").await.status(), "200");
    web.shutdown().await;
}

#[tokio::test]
async fn a_house_that_never_opened_ends_as_any_other() {
    let web = listening().await;
    let address = web.addresses()[0];
    web.shutdown().await;
    assert!(TcpStream::connect(address).await.is_err());
}
