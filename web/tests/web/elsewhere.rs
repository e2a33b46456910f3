//! Requests that a message leads to, only when asked: pictures from elsewhere, leaving a list.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use freehold_core::mailbox::{self, SpecialUse};
use freehold_core::testing::TestNode;
use freehold_web::Internet;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::browser::Browser;
use crate::mailbox::deliver;

/// The address of the test's server in its internet.
const OUTSIDE: &str = "203.0.113.7";
const GIF: &[u8] = b"GIF89a\x02\0\x03\0rest";

type Requests = Arc<Mutex<Vec<String>>>;

/// A server that answers by the path of a request, and remembers the requests.
async fn serve(tls: Option<ServerConfig>, answer: fn(&str) -> Vec<u8>) -> (SocketAddr, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, requests) = (listener.local_addr().unwrap(), Requests::default());
    let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    let seen = requests.clone();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            match &acceptor {
                None => answer_one(socket, &seen, answer).await,
                Some(acceptor) => match acceptor.accept(socket).await {
                    Ok(stream) => answer_one(stream, &seen, answer).await,
                    Err(_) => seen.lock().unwrap().push("no TLS".to_owned()),
                },
            }
        }
    });
    (address, requests)
}

async fn answer_one(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Requests,
    answer: fn(&str) -> Vec<u8>,
) {
    let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
    let is_whole = |request: &[u8]| {
        let text = String::from_utf8_lossy(request).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let len = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        len.is_none_or(|len| body.len() >= len.parse().unwrap())
    };
    while !is_whole(&request) {
        match stream.read(&mut buffer).await {
            Ok(len) if len > 0 => request.extend_from_slice(&buffer[..len]),
            _ => return,
        }
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    seen.lock().unwrap().push(request);
    let _ = stream.write_all(&answer(&path)).await;
    let _ = stream.shutdown().await;
}

fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn redirect(place: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

fn internet(server: SocketAddr, roots: &str) -> Internet {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let names = HashMap::from([
        ("pic.example".to_owned(), vec![ip("10.0.0.1"), ip(OUTSIDE)]),
        ("l.example".to_owned(), vec![ip(OUTSIDE)]),
        ("inner.example".to_owned(), vec![ip("127.0.0.1"), ip("192.168.0.1"), ip("fe80::1")]),
    ]);
    // A connection to an inner address would come to the server as well.
    let inner = ["127.0.0.1", "10.0.0.1", "192.168.0.1", "fe80::1", "169.254.169.254", OUTSIDE];
    let routes = inner.into_iter().map(|text| (ip(text), server)).collect();
    Internet::trusting(roots).laid_out(names, routes)
}

fn pictures(path: &str) -> Vec<u8> {
    match path {
        "/a.gif?u=1&x=2" | "/b.gif" => ok(GIF),
        "/moved" => redirect("/b.gif"),
        "/inner" => redirect("http://127.0.0.1/b.gif"),
        "/inner-name" => redirect("http://inner.example/b.gif"),
        "/loop" => redirect("/loop"),
        "/svg" => ok(b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        "/pixels" => ok(b"GIF89a\xff\xff\xff\xff"),
        "/huge" => ok(&[GIF, &vec![0; 6 << 20]].concat()),
        "/error" => b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\nGIF89a".to_vec(),
        _ => b"GIF89a\x02\0\x03\0".to_vec(),
    }
}

#[tokio::test]
async fn remote_pictures_are_fetched_only_when_asked() {
    let alice = TestNode::new("alice").await;
    let (server, requests) = serve(None, pictures).await;
    let mut owner = Browser::owner_in(&alice, internet(server, "")).await;
    let sources = [
        ("//nowhere.example/b.gif", StatusCode::NOT_FOUND),
        ("http://pic.example/a.gif?u=1&amp;x=2", StatusCode::OK),
        ("HTTP://pic.example/moved", StatusCode::OK),
        ("http://pic.example/inner", StatusCode::NOT_FOUND),
        ("http://pic.example/inner-name", StatusCode::NOT_FOUND),
        ("http://pic.example/loop", StatusCode::NOT_FOUND),
        ("http://pic.example/svg", StatusCode::NOT_FOUND),
        ("http://pic.example/pixels", StatusCode::NOT_FOUND),
        ("http://pic.example/huge", StatusCode::NOT_FOUND),
        ("http://pic.example/error", StatusCode::NOT_FOUND),
        ("http://pic.example/no-http", StatusCode::NOT_FOUND),
        ("http://inner.example/b.gif", StatusCode::NOT_FOUND),
        ("http://127.0.0.1/b.gif", StatusCode::NOT_FOUND),
        ("http://169.254.169.254/b.gif", StatusCode::NOT_FOUND),
        ("http://nowhere.example/b.gif", StatusCode::NOT_FOUND),
        ("http://pic.example:25/b.gif", StatusCode::NOT_FOUND),
    ];
    let html: String = sources.iter().map(|(url, _)| format!("<img src=\"{url}\">")).collect();
    let message =
        format!("Subject: s\r\nContent-Type: text/html\r\n\r\n{html}<img src='remote:1'>");
    let place = deliver(&alice, message).await;
    let path = format!("/home/mail/{place}");
    for query in ["", "?pictures=1", "?pictures=00000000000000000000000000000000"] {
        let page = owner.get(&format!("{path}{query}")).await;
        assert!(page.has("[data-notice='remote-images'] form"), "{query}");
        let frame = page.one("iframe").attr("src").to_owned();
        assert!(!owner.get(&format!("{frame}{query}")).await.has("img"), "{query}");
    }
    assert!(requests.lock().unwrap().is_empty());
    let shown = owner.post(&format!("{path}/pictures"), &[]).await.location();
    let page = owner.get(&shown).await;
    assert!(!page.has("[data-notice='remote-images']"));
    assert!(page.has("[data-notice='fetched-images'] [data-many]"), "they are offered again");
    let frame = owner.get(page.one("iframe").attr("src")).await;
    let images = frame.all("img");
    assert_eq!(images.len(), sources.len());
    assert!(requests.lock().unwrap().is_empty(), "the browser asks for each");
    // The frame sends no cookie.
    let mut browser = Browser::stranger(&alice);
    let refused = browser.get(images[1].attr("src")).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND, "the grant is of the other site");
    for (image, (url, status)) in images.iter().zip(sources) {
        assert!(image.attr("src").starts_with(&format!("{path}/remote/")), "{url}");
        let seen = owner.get(image.attr("src")).await;
        assert_eq!(seen.status, status, "{url}");
        if status == StatusCode::OK {
            assert_eq!((seen.header("content-type"), seen.bytes.as_slice()), ("image/gif", GIF));
            assert_eq!(seen.header("x-content-type-options"), "nosniff");
        }
    }
    let requests = requests.lock().unwrap().clone();
    let hosts = |host: &str| {
        requests.iter().filter(|request| request.contains(&format!("host: {host}\r\n"))).count()
    };
    assert_eq!(hosts("pic.example"), requests.len(), "{requests:?}");
    for request in &requests {
        let lower = request.to_lowercase();
        for told in ["cookie", "referer", "user-agent", "alice"] {
            assert!(!lower.contains(told), "{told} in {request}");
        }
    }
    // The grant is for that message alone, and for an hour.
    let other = deliver(
        &alice,
        "Subject: s\r\nContent-Type: text/html\r\n\r\n<img src='http://pic.example/b.gif'>",
    )
    .await;
    let (_, secret) = shown.split_once('?').unwrap();
    assert!(
        owner
            .get(&format!("/home/mail/{other}?{secret}"))
            .await
            .has("[data-notice='remote-images']")
    );
    alice.clock.advance(60 * 60 * 1000);
    assert_eq!(owner.get(images[1].attr("src")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn remote_pictures_have_one_budget() {
    fn large(_: &str) -> Vec<u8> {
        ok(&[GIF, &vec![0; (5 << 20) - GIF.len()]].concat())
    }
    let alice = TestNode::new("alice").await;
    let (server, requests) = serve(None, large).await;
    let mut owner = Browser::owner_in(&alice, internet(server, "")).await;
    let html: String =
        (0..150).map(|number| format!("<img src=http://pic.example/{number}>")).collect();
    let message = format!("Subject: s\r\nContent-Type: text/html\r\n\r\n{html}");
    let place = deliver(&alice, message).await;
    let shown = owner.post(&format!("/home/mail/{place}/pictures"), &[]).await.location();
    let page = owner.get(&shown).await;
    let frame = owner.get(page.one("iframe").attr("src")).await;
    let images = frame.all("img");
    assert_eq!(images.len(), 100);
    let mut shown = 0;
    for image in images.iter().take(12) {
        shown += usize::from(owner.get(image.attr("src")).await.status.is_success());
    }
    assert_eq!(shown, 6, "6 times 5 MiB are within 32 MiB");
    assert!(requests.lock().unwrap().len() <= 12);
}

/// A message of a list with a valid signature over these fields.
fn list_message(unsubscribe: &str) -> String {
    format!(
        "Return-Path: <b@l.example>\r\nAuthentication-Results: alice.example;\r\n\t\
         dkim=pass header.d=l.example header.s=k header.b=YWJjZGVm;\r\n\t\
         dmarc=pass header.from=l.example\r\nReceived: by alice.example\r\n\
         DKIM-Signature: v=1; d=l.example; s=k; h=from:list-unsubscribe:list-unsubscribe-post; \
         b=YWJjZGVmZ2hp\r\nFrom: News <news@l.example>\r\nTo: alice@alice.example\r\n\
         List-Unsubscribe: {unsubscribe}\r\n\
         List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nSubject: s\r\n\r\nx"
    )
}

fn leaving(path: &str) -> Vec<u8> {
    match path {
        "/u?id=1" => ok(b"gone"),
        "/moved" => redirect("https://l.example/u?id=1"),
        _ => b"HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n".to_vec(),
    }
}

#[tokio::test]
async fn list_is_left_by_one_post_of_the_node() {
    let made = rcgen::generate_simple_self_signed(["l.example".to_owned()]).unwrap();
    let roots = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(roots.path(), made.cert.pem()).unwrap();
    let key = made.key_pair.serialize_der().try_into().unwrap();
    let tls = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let alice = TestNode::new("alice").await;
    let (server, requests) = serve(Some(tls), leaving).await;
    let net = internet(server, roots.path().to_str().unwrap());
    let mut owner = Browser::owner_in(&alice, net).await;
    // Every way that fails leaves the button.
    for bad in [
        "<https://l.example/moved>",
        "<https://l.example/error>",
        "<https://inner.example/u?id=1>",
        "<https://127.0.0.1/u?id=1>",
        "<https://pic.example/u?id=1>",
    ] {
        let path = format!("/home/mail/{}", deliver(&alice, list_message(bad)).await);
        let seen = owner.post(&format!("{path}/leave"), &[]).await;
        assert!(seen.header("location").ends_with("done=list-not-left"), "{bad}");
        let page = owner.get(seen.header("location")).await;
        assert!(page.has("#done[role='status']") && page.has("#leaving form"), "{bad}");
    }
    requests.lock().unwrap().clear();
    let message = list_message("<mailto:l@l.example>, <https://l.example/u?id=1>");
    let path = format!("/home/mail/{}", deliver(&alice, &message).await);
    assert!(owner.get(&path).await.one("#leaving").text().contains("l.example"));
    let posts = || {
        let requests = requests.lock().unwrap();
        requests.iter().filter(|text| *text != "no TLS").cloned().collect::<Vec<String>>()
    };
    assert!(posts().is_empty(), "nothing is asked before the button");
    let seen = owner.post(&format!("{path}/leave"), &[]).await;
    assert!(seen.header("location").ends_with("done=list-left"));
    let seen = owner.post(&format!("{path}/leave"), &[]).await;
    assert_eq!(seen.header("location"), path, "a second press asks nothing");
    let sent = posts();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].starts_with("POST /u?id=1 HTTP/1.1\r\n"), "{}", sent[0]);
    assert!(sent[0].ends_with("\r\n\r\nList-Unsubscribe=One-Click"), "{}", sent[0]);
    for told in ["cookie", "referer", "user-agent"] {
        assert!(!sent[0].to_lowercase().contains(told));
    }
    // The next message of the list says so, and only the owner's new wish asks again.
    let next = format!("/home/mail/{}", deliver(&alice, message).await);
    let page = owner.get(&next).await;
    assert!(page.has("#asked") && page.has("#leaving form"));
    let asked = page.field("asked");
    owner.post(&format!("{next}/leave"), &[("asked", "1")]).await.location();
    assert_eq!(posts().len(), 1);
    let seen = owner.post(&format!("{next}/leave"), &[("asked", &asked)]).await;
    assert!(seen.header("location").ends_with("done=list-left"));
    assert_eq!(posts().len(), 2);
    // Another list of the same sender.
    let other = list_message("<https://l.example/u?id=2>");
    let page = owner.get(&format!("/home/mail/{}", deliver(&alice, other).await)).await;
    assert!(!page.has("#asked") && page.has("#leaving form"));
}

#[tokio::test]
async fn unsigned_list_is_left_by_mail_or_its_page() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let (server, requests) = serve(None, leaving).await;
    let mut owner = Browser::owner_in(&alice, internet(server, "")).await;
    let unsigned = |links| list_message(links).replace("dkim=pass", "dkim=fail");
    let message =
        unsigned("<https://l.example/u?id=1>, <mailto:l%2bu@l.example?subject=out&cc=x@y>");
    let path = format!("/home/mail/{}", deliver(&alice, message).await);
    assert!(owner.get(&path).await.one("#leaving").text().contains("l+u@l.example"));
    for _ in 0..2 {
        owner.post(&format!("{path}/leave"), &[]).await.location();
    }
    let sent = mailbox::special_folder(&alice, SpecialUse::Sent).unwrap().unwrap();
    assert_eq!(sent.total, 1);
    let (copy, summary) = mailbox::summaries(&alice, sent.id, None, 1).unwrap().remove(0);
    let to: Vec<&str> = summary.to.iter().map(|to| to.address.as_str()).collect();
    assert_eq!((to, summary.subject.as_str()), (vec!["l+u@l.example"], "out"));
    let text = mailbox::body(&alice, &copy).unwrap().read_all(9999).unwrap();
    assert!(!String::from_utf8(text).unwrap().contains("x@y"));
    let page = unsigned("<https://other.example/\"><script>>").replace("news@l", "news@m");
    let path = format!("/home/mail/{}", deliver(&alice, page).await);
    let seen = owner.get(&path).await;
    assert!(
        seen.one("#leaving a").attr("rel").contains("noreferrer") && !seen.has("#leaving form")
    );
    assert_eq!(owner.post(&format!("{path}/leave"), &[]).await.status, StatusCode::BAD_REQUEST);
    // A message in Junk tells its sender nothing.
    owner.post(&format!("{path}/move"), &[("to", "junk")]).await.location();
    let junk = mailbox::special_folder(&alice, SpecialUse::Junk).unwrap().unwrap();
    let path = format!("/home/mail/{}/1", junk.id.0);
    assert!(!owner.get(&path).await.has("#leaving"));
    assert_eq!(owner.post(&format!("{path}/leave"), &[]).await.status, StatusCode::NOT_FOUND);
    assert!(requests.lock().unwrap().is_empty());
}

/// A message whose HTML has one picture, with these results of checks; none for an empty text.
fn with_picture(results: &str, from: &str) -> String {
    let trace = match results {
        "" => String::new(),
        results => format!(
            "Return-Path: <b@l.example>\r\nAuthentication-Results: alice.example; {results}\r\n\
             Received: by alice.example\r\n"
        ),
    };
    format!(
        "{trace}From: {from}\r\nSubject: {from} {results}\r\nContent-Type: text/html\r\n\r\n\
         <img src='http://pic.example/b.gif'>"
    )
}

const PROVEN: &str = "dmarc=pass header.from=l.example";

#[tokio::test]
async fn pictures_of_a_proven_sender_are_shown_always() {
    let alice = TestNode::new("alice").await;
    let (server, _) = serve(None, pictures).await;
    let mut owner = Browser::owner_in(&alice, internet(server, "")).await;
    let path = async |message: String| format!("/home/mail/{}", deliver(&alice, message).await);
    let (first, next) = (
        path(with_picture(PROVEN, "news@l.example")).await,
        path(with_picture(PROVEN, "News <NEWS@l.example>")).await,
    );
    let others = [
        path(with_picture("", "news@l.example")).await,
        path(with_picture("dmarc=fail header.from=l.example", "news@l.example")).await,
        path(with_picture("dkim=pass header.d=m.example", "news@l.example")).await,
        path(with_picture(PROVEN, "news@l.example, x@l.example")).await,
        path(with_picture(PROVEN, "other@l.example")).await,
    ];
    assert!(owner.get(&next).await.has("[data-notice='remote-images']"));
    let shown = owner.post(&format!("{first}/pictures"), &[("always", "1")]).await.location();
    assert!(!owner.get(&shown).await.has("[data-notice='remote-images']"));
    let page = owner.get(&next).await;
    assert!(page.has("[data-notice='always-pictures']"));
    let frame = owner.get(page.one("iframe").attr("src")).await;
    assert_eq!(owner.get(frame.one("img").attr("src")).await.status, StatusCode::OK);
    for (number, other) in others.iter().enumerate() {
        let page = owner.get(other).await;
        assert!(page.has("[data-notice='remote-images']"), "{number}");
        assert!(!owner.get(page.one("iframe").attr("src")).await.has("img"), "{number}");
        // The button says why it is not offered.
        assert_eq!(page.has("[data-not-always]"), number < 4, "{number}");
        let asked = owner.post(&format!("{other}/pictures"), &[("always", "1")]).await;
        assert_eq!(asked.status == StatusCode::BAD_REQUEST, number < 4, "{number}");
    }
    // A link on another site shows none.
    let request = owner.request("GET", &next).header("sec-fetch-site", "cross-site");
    let page = owner.send(request.body(Default::default()).unwrap()).await;
    assert!(page.has("[data-notice='remote-images']"));
    // In Junk none is shown by itself.
    owner.post(&format!("{next}/move"), &[("to", "junk")]).await.location();
    let junk = mailbox::special_folder(&alice, SpecialUse::Junk).unwrap().unwrap();
    let page = owner.get(&format!("/home/mail/{}/1", junk.id.0)).await;
    assert!(page.has("[data-notice='remote-images'] [data-not-always]"));
    // The choice can be taken back.
    let page = owner.get("/home/mail/senders").await;
    assert_eq!(page.all("#picture-senders li").len(), 2);
    let remove = "/home/mail/senders/pictures/remove";
    owner.post(remove, &[("name", "news@l.example")]).await.location();
    assert_eq!(mailbox::picture_senders(&alice).unwrap().len(), 1);
    assert!(owner.get(&first).await.has("[data-notice='remote-images'] [name=always]"));
}
