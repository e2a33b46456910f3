//! Messages taken apart: parts by number, broken and hostile structures.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use super::*;

const NESTED: &str = "From: a@b\r\nContent-Type: multipart/mixed; boundary=outer\r\n\r\n\
    preamble\r\n--outer\r\n\r\nplain\r\n--outer\r\n\
    Content-Type: message/rfc822\r\nContent-Description: inner\r\n\r\nSubject: in\r\n\
    Content-Type: multipart/alternative; boundary=\"out\"\r\n\r\n\
    --out\r\nContent-Type: text/plain\r\n\r\none\r\ntwo\r\n\r\n--out\r\n\
    Content-Type: text/html\r\n\r\n\
    <p>\r\n--out--\r\nepilogue\r\n--outer--\r\n";

fn body<'a>(message: &'a str, path: &[u32]) -> Option<&'a str> {
    let structure = Structure::parse(message.as_bytes());
    structure.find(path).map(|id| &message[structure.part(id).body.clone()])
}

/// The bodies of all leaves.
fn leaves(message: &str) -> Vec<&str> {
    let structure = Structure::parse(message.as_bytes());
    let parts = structure.ids().map(|id| structure.part(id));
    parts.filter(|part| part.kind == Kind::Leaf).map(|part| &message[part.body.clone()]).collect()
}

fn multipart(boundary: &str, text: &str) -> String {
    format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n{text}")
}

#[test]
fn part_is_found_by_its_number() {
    assert_eq!(body(NESTED, &[1]), Some("plain"));
    assert_eq!(body(NESTED, &[2, 1]), Some("one\r\ntwo\r\n"));
    assert_eq!(body(NESTED, &[2, 2]), Some("<p>"));
    assert_eq!(body(NESTED, &[2, 3]), None);
    assert_eq!(body(NESTED, &[3]), None);
    assert_eq!(body(NESTED, &[0]), None);
    assert_eq!(body(NESTED, &[1, 1]), None);
    assert_eq!(body("A: b\r\n\r\nhello\r\n", &[1]), Some("hello\r\n"));
    assert_eq!(body("A: b\r\n\r\nhello\r\n", &[1, 1]), None);
    assert_eq!(body("A: b\r\n\r\nhello\r\n", &[2]), None);
    let inner = "Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nhello";
    assert_eq!(body(inner, &[1]), Some("A: b\r\n\r\nhello"));
    assert_eq!(body(inner, &[1, 1]), Some("hello"));
}

#[test]
fn lines_are_counted_in_each_body() {
    let structure = Structure::parse(NESTED.as_bytes());
    for id in structure.ids() {
        let counted = structure.body(NESTED.as_bytes(), id).iter().filter(|byte| **byte == b'\n');
        assert_eq!(structure.part(id).lines, counted.count(), "{id:?}");
    }
}

#[test]
fn boundary_counts_at_the_beginning_of_a_line() {
    let text =
        multipart("b", "--b\r\n\r\nthe option --best and --b\r\nx --b--\r\n--bold\r\n--b--\r\n");
    assert_eq!(leaves(&text), ["the option --best and --b\r\nx --b--\r\n--bold"]);
}

#[test]
fn text_behind_a_boundary_is_ignored() {
    let text = multipart(
        "bound",
        "--bound [one]\r\n\r\n1\r\n--bound  \r\n\r\n2\r\n--bound-- end\r\nepilogue",
    );
    assert_eq!(leaves(&text), ["1", "2"]);
}

#[test]
fn boundary_that_begins_another_is_apart() {
    let inner = multipart("abc", "--abc\r\n\r\n1\r\n--abc\r\n\r\n2\r\n--abc--\r\n");
    let text = multipart("ab", &format!("--ab\r\n{inner}\r\n--ab\r\n\r\n3\r\n--ab--"));
    assert_eq!(leaves(&text), ["1", "2", "3"]);
    let inner = multipart("ab", "--ab\r\n\r\n1\r\n--ab\r\n\r\n2\r\n--ab--\r\n");
    let text = multipart("abc", &format!("--abc\r\n{inner}\r\n--abc\r\n\r\n3\r\n--abc--"));
    assert_eq!(leaves(&text), ["1", "2", "3"]);
    let closing = multipart("ab--", "--ab--\r\n\r\n1\r\n--ab----\r\n");
    assert_eq!(leaves(&closing), ["1"]);
}

#[test]
fn multipart_without_delimiters_is_text() {
    for message in [
        multipart("b", "words\r\n"),
        "Content-Type: multipart/mixed\r\n\r\nwords\r\n".to_owned(),
        multipart("", "words\r\n"),
    ] {
        let structure = Structure::parse(message.as_bytes());
        assert_eq!(structure.count(), 1);
        let root = structure.part(Structure::ROOT);
        assert!(root.media.is("text", Some("plain")) && root.kind == Kind::Leaf);
        assert_eq!(&message[root.body.clone()], "words\r\n");
    }
}

#[test]
fn delimiter_ends_a_header_without_empty_line() {
    let text = "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n--b\r\n\r\n1\r\n\
        --b\r\n\r\n2\r\n--b--\r\n";
    assert_eq!(leaves(text), ["1", "2"]);
}

#[test]
fn boundary_is_found_without_parameter() {
    let text = "Content-Type: multipart/mixed\r\n\r\n-- \r\npreamble\r\n--x y\r\n\
        Content-Type: text/plain\r\n\r\n1\r\n\
        --x y\r\n\r\n2\r\n--x y--\r\n";
    assert_eq!(leaves(text), ["1", "2"]);
}

#[test]
fn any_of_two_content_types_has_the_boundary() {
    for body in ["--A\r\n\r\n1\r\n--A\r\n\r\n2\r\n--A--", "--B\r\n\r\n1\r\n--B\r\n\r\n2\r\n--B--"] {
        let text = format!(
            "Content-Type: multipart/mixed; boundary=A\r\nContent-Type: multipart/mixed; \
             boundary=B\r\n\r\n{body}"
        );
        assert_eq!(leaves(&text), ["1", "2"]);
    }
}

#[test]
fn unclosed_multipart_ends_with_the_message() {
    let text = multipart("b", "--b\r\n\r\n1\r\n--b\r\n\r\n2\r\n");
    assert_eq!(leaves(&text), ["1", "2\r\n"]);
    let inner = multipart("in", "--in\r\n\r\n1\r\n");
    let text = multipart("out", &format!("--out\r\n{inner}\r\n--out\r\n\r\n2\r\n--out--"));
    assert_eq!(leaves(&text), ["1\r\n", "2"]);
}

#[test]
fn part_without_header_is_text() {
    let text = multipart("b", "--b\r\nno header here\r\nand more\r\n--b--\r\n");
    assert_eq!(leaves(&text), ["no header here\r\nand more"]);
    assert_eq!(leaves("only words\r\nof a text\r\n"), ["only words\r\nof a text\r\n"]);
}

#[test]
fn byte_order_mark_before_a_field_is_skipped() {
    let inner = "\u{feff}From: inner@b.example\r\nSubject: x\r\n\r\ninside";
    let parts = format!(
        "--b\r\n\u{feff}Content-Type: text/html\r\n\r\n<p>\r\n--b\r\n\
         Content-Type: message/rfc822\r\n\r\n{inner}\r\n\
         --b\r\n\u{feff}\r\nplain\r\n--b--\r\n"
    );
    let own = "\u{feff}Content-Type: multipart/mixed; boundary=b\r\nFrom: a@b.example\r\n\r\n";
    // Delivery puts its own fields before the mark.
    for head in [own.to_owned(), format!("Received: x\r\n{own}")] {
        let message = format!("{head}{parts}");
        let structure = Structure::parse(message.as_bytes());
        assert_eq!(leaves(&message), ["<p>", "inside", "plain"]);
        assert!(structure.part(structure.id(1).unwrap()).media.is("text", Some("html")));
        let header = structure.header(message.as_bytes(), structure.id(3).unwrap());
        let from = header::first(header, "from").map(header::unfold);
        assert_eq!(from.as_deref(), Some(&b"inner@b.example"[..]));
        let names = ["content-type".to_owned()];
        let selected = header::select(head.as_bytes(), &names, false);
        assert!(selected.starts_with(b"Content-Type:"));
    }
    let text = "\u{feff}only words\r\nof a text\r\n\r\nmore";
    assert_eq!(leaves(text), [text]);
    let mailbox = "\u{feff}From ann Sat Jan 3\r\nSubject: x\r\n\r\nwords";
    assert_eq!(leaves(mailbox), ["words"]);
}

#[test]
fn structure_beyond_the_limits_is_a_file() {
    let mut deep = String::new();
    for level in 0..500 {
        deep.push_str(&format!(
            "Content-Type: multipart/mixed; boundary=b{level}x\r\n\r\n--b{level}x\r\n"
        ));
    }
    deep.push_str("\r\nthe end");
    let structure = Structure::parse(deep.as_bytes());
    assert_eq!(structure.count(), DEPTH_MAX + 1);
    let last = structure.part(structure.ids().last().unwrap());
    assert!(last.media.is("application", Some("octet-stream")));
    assert!(deep[last.body.clone()].ends_with("the end"));

    let wide = multipart("b", &"--b\r\n\r\nx\r\n".repeat(20_000));
    let structure = Structure::parse(wide.as_bytes());
    assert_eq!(structure.count(), PARTS_MAX + 1);
    let last = structure.part(structure.ids().last().unwrap());
    assert!(last.media.is("application", Some("octet-stream")));
    assert_eq!(last.body.end, wide.len());
}

#[test]
fn header_over_its_limit_is_cut_for_readers() {
    let fields = "A: b\r\n".repeat(HEADER_LEN_MAX / 5);
    let line = format!("A: {}\r\n", "b".repeat(HEADER_LEN_MAX));
    for long in [fields, line] {
        let text = format!("Subject: s\r\n{long}\r\nbody");
        let structure = Structure::parse(text.as_bytes());
        assert_eq!(structure.body(text.as_bytes(), Structure::ROOT), b"body");
        let header = structure.header(text.as_bytes(), Structure::ROOT);
        assert!(header.starts_with(b"Subject: s") && header.len() == HEADER_LEN_MAX);
        let parts = "Content-Type: multipart/mixed; boundary=b\r\n";
        let early = format!("{parts}{long}\r\n--b\r\n\r\n1\r\n--b--\r\n");
        assert_eq!(Structure::parse(early.as_bytes()).count(), 2);
        let late = format!("{long}{parts}\r\n--b\r\n\r\n1\r\n--b--\r\n");
        assert_eq!(Structure::parse(late.as_bytes()).count(), 1);
        let unended = format!("Subject: s\r\n{long}");
        assert_eq!(Structure::parse(unended.as_bytes()).count(), 1);
    }
}

#[test]
fn encoded_message_is_a_file() {
    let text =
        "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQTogYg==\r\n";
    let structure = Structure::parse(text.as_bytes());
    assert_eq!(structure.count(), 1);
    assert_eq!(structure.decoded(text.as_bytes(), Structure::ROOT).bytes, &b"A: b"[..]);
    assert!(structure.is_encoded_message(text.as_bytes(), Structure::ROOT));
    let plain = b"Content-Type: message/rfc822\r\n\r\nA: b\r\n";
    assert!(!Structure::parse(plain).is_encoded_message(plain, Structure::ROOT));
}

#[test]
fn nested_structures_of_24_mib_fit_a_small_stack() {
    const LEN: usize = 24 * 1024 * 1024;
    let repeated = |unit: &str| unit.repeat(LEN / unit.len());
    let messages = [
        repeated("Content-Type: message/rfc822\r\n\r\n"),
        repeated("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"),
        repeated("Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n"),
        multipart("b", &repeated("--b\r\n")),
        multipart("b", &repeated("--bx\r\n")),
        repeated("--\r\n"),
        repeated("A:\r\n"),
        repeated(" \r\n"),
        repeated("x"),
    ];
    let parse_and_drop = move || {
        for message in messages {
            drop(Structure::parse(message.as_bytes()));
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(parse_and_drop).unwrap().join().unwrap();
}

proptest::proptest! {
    #[test]
    fn part_ranges_stay_within_any_message(lines in proptest::collection::vec(
        proptest::sample::select(vec![
            "--a", "--b", "--a--", "--b--", "--ab", "--a x", "", "x", " y",
            "Content-Type: multipart/mixed; boundary=a",
            "Content-Type: multipart/digest; boundary=b",
            "Content-Type: multipart/mixed",
            "Content-Type: multipart/mixed; boundary=ab",
            "Content-Type: message/rfc822",
            "Subject: \u{fc}",
        ]), 0..60)) {
        let message = lines.join("\r\n");
        let structure = Structure::parse(message.as_bytes());
        assert_eq!(structure.part(Structure::ROOT).body.end, message.len());
        for id in structure.ids() {
            let part = structure.part(id);
            assert!(part.header.end <= part.body.start && part.body.end <= message.len());
            assert_eq!(part.lines, message[part.body.clone()].matches('\n').count());
            for child in structure.children(id) {
                let inner = structure.part(child);
                assert_eq!(inner.parent, Some(id));
                assert!(part.body.start <= inner.header.start && inner.body.end <= part.body.end);
                assert!(structure.contains(id, child) && !structure.contains(child, id));
            }
            match part.kind {
                Kind::Leaf => assert_eq!(structure.children(id).count(), 0),
                Kind::Multipart => assert!(structure.children(id).count() > 0),
                Kind::Message => assert_eq!(structure.children(id).count(), 1),
            }
        }
    }
}
