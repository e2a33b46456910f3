//! Messages taken apart: parts by number, the printed structure, hostile and broken ones.

use super::section::{Section, Text};
use super::*;
use crate::imap::print::Printer;

const NESTED: &str = "From: a@b\r\nContent-Type: multipart/mixed; boundary=outer\r\n\r\npreamble\r\n--outer\r\n\r\nplain\r\n--outer\r\n\
Content-Type: message/rfc822\r\nContent-Description: inner\r\n\r\nSubject: in\r\nContent-Type: multipart/alternative; boundary=\"out\"\r\n\r\n\
--out\r\nContent-Type: text/plain\r\n\r\none\r\ntwo\r\n\r\n--out\r\nContent-Type: text/html\r\n\r\n<p>\r\n--out--\r\nepilogue\r\n--outer--\r\n";

fn text(message: &str, path: &[u32], text: Text) -> Option<String> {
    let root = parse(message.as_bytes());
    Section { path: path.to_vec(), text }.range(&root).map(|range| message[range].to_owned())
}

#[test]
fn part_is_found_by_its_number() {
    let whole = |path: &[u32]| text(NESTED, path, Text::Whole);
    assert_eq!(whole(&[]).as_deref(), Some(NESTED));
    assert_eq!(whole(&[1]).as_deref(), Some("plain"));
    assert_eq!(whole(&[2, 1]).as_deref(), Some("one\r\ntwo\r\n"));
    assert_eq!(whole(&[2, 2]).as_deref(), Some("<p>"));
    assert_eq!(whole(&[2, 3]), None);
    assert_eq!(whole(&[3]), None);
    assert_eq!(whole(&[1, 1]), None);
    assert_eq!(
        text(NESTED, &[2], Text::Mime).as_deref(),
        Some("Content-Type: message/rfc822\r\nContent-Description: inner\r\n\r\n")
    );
    assert!(text(NESTED, &[2], Text::Header).unwrap().starts_with("Subject: in\r\n"));
    assert!(text(NESTED, &[2], Text::Body).unwrap().ends_with("--out--\r\nepilogue"));
    assert_eq!(text(NESTED, &[1], Text::Header), None);
    assert_eq!(text("A: b\r\n\r\nhello\r\n", &[1], Text::Whole).as_deref(), Some("hello\r\n"));
    assert_eq!(text("A: b\r\n\r\nhello\r\n", &[1, 1], Text::Whole), None);
    assert_eq!(text("A: b\r\n\r\nhello\r\n", &[2], Text::Whole), None);
}

#[test]
fn structure_is_printed_by_the_grammar() {
    let root = parse(NESTED.as_bytes());
    let mut out = Printer::default();
    structure::print(&mut out, NESTED.as_bytes(), &root, true);
    assert_eq!(
        String::from_utf8(out.take()).unwrap(),
        "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 5 0 NIL NIL NIL NIL)\
(\"message\" \"rfc822\" NIL NIL \"inner\" \"7bit\" 171 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) \
((\"text\" \"plain\" NIL NIL NIL \"7bit\" 10 2 NIL NIL NIL NIL)(\"text\" \"html\" NIL NIL NIL \"7bit\" 3 0 NIL NIL NIL NIL) \
\"alternative\" (\"boundary\" \"out\") NIL NIL NIL) 14 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"outer\") NIL NIL NIL)"
    );
}

#[test]
fn hostile_structure_is_not_parsed() {
    let mut deep = String::new();
    for level in 0..500 {
        deep.push_str(&format!(
            "Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"
        ));
    }
    let mut part = &parse(deep.as_bytes());
    let mut depth = 0;
    while let Kind::Multipart(children) = &part.kind {
        depth += 1;
        part = &children[0];
    }
    assert_eq!(depth, DEPTH_MAX);
    assert!(part.media.is("application", Some("octet-stream")));

    let wide = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}",
        "--b\r\n\r\n\r\n".repeat(20_000)
    );
    let Kind::Multipart(children) = parse(wide.as_bytes()).kind else { panic!("not a multipart") };
    assert!(children.len() <= PARTS_MAX);

    let long = format!(
        "X: y\r\n{}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\r\n",
        "A: b\r\n".repeat(HEADER_LEN_MAX / 5)
    );
    assert!(matches!(parse(long.as_bytes()).kind, Kind::Leaf));
}

#[test]
fn unclosed_structure_is_parsed_to_the_end() {
    for message in [
        "",
        "\r\n",
        "A",
        "Content-Type: multipart/mixed; boundary=b",
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b",
        "Content-Type: message/rfc822\r\n\r\n",
    ] {
        let root = parse(message.as_bytes());
        let mut out = Printer::default();
        structure::print(&mut out, message.as_bytes(), &root, true);
        assert!(root.body.end <= message.len() && out.len() > 0);
    }
}

proptest::proptest! {
    #[test]
    fn part_ranges_stay_within_any_message(lines in proptest::collection::vec(
        proptest::sample::select(vec!["--a", "--b", "--a--", "--b--", "", "x", "Content-Type: multipart/mixed; boundary=a",
            "Content-Type: multipart/digest; boundary=b", "Content-Type: message/rfc822", "Subject: \u{fc}"]), 0..60)) {
        let message = lines.join("\r\n");
        let root = parse(message.as_bytes());
        let mut todo = vec![&root];
        while let Some(part) = todo.pop() {
            assert!(part.header.end == part.body.start && part.body.end <= message.len());
            match &part.kind {
                Kind::Leaf => {}
                Kind::Multipart(children) => todo.extend(children),
                Kind::Message(inner) => todo.push(inner),
            }
        }
    }
}
