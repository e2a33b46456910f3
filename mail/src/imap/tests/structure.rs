//! Messages taken apart: parts by number, the printed structure, hostile and broken ones.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use freehold_mime::Structure;

use crate::imap::section::{Section, Text};
use freehold_mime::imap::{Printer, body_structure};

const NESTED: &str = "From: a@b\r\nContent-Type: multipart/mixed; boundary=outer\r\n\r\npreamble\r\n--outer\r\n\r\nplain\r\n--outer\r\n\
Content-Type: message/rfc822\r\nContent-Description: inner\r\n\r\nSubject: in\r\nContent-Type: multipart/alternative; boundary=\"out\"\r\n\r\n\
--out\r\nContent-Type: text/plain\r\n\r\none\r\ntwo\r\n\r\n--out\r\nContent-Type: text/html\r\n\r\n<p>\r\n--out--\r\nepilogue\r\n--outer--\r\n";

fn text(message: &str, path: &[u32], text: Text) -> Option<String> {
    let parts = Structure::parse(message.as_bytes());
    Section { path: path.to_vec(), text }.range(&parts).map(|range| message[range].to_owned())
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
    let parts = Structure::parse(NESTED.as_bytes());
    let mut out = Printer::default();
    body_structure::print(&mut out, NESTED.as_bytes(), &parts, Structure::ROOT, true);
    assert_eq!(
        String::from_utf8(out.take()).unwrap(),
        "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 5 0 NIL NIL NIL NIL)\
(\"message\" \"rfc822\" NIL NIL \"inner\" \"7bit\" 171 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) \
((\"text\" \"plain\" NIL NIL NIL \"7bit\" 10 2 NIL NIL NIL NIL)(\"text\" \"html\" NIL NIL NIL \"7bit\" 3 0 NIL NIL NIL NIL) \
\"alternative\" (\"boundary\" \"out\") NIL NIL NIL) 14 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"outer\") NIL NIL NIL)"
    );
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
        let parts = Structure::parse(message.as_bytes());
        let mut out = Printer::default();
        body_structure::print(&mut out, message.as_bytes(), &parts, Structure::ROOT, true);
        assert!(!out.is_empty(), "{message}");
    }
}

#[test]
fn global_message_has_the_basic_structure() {
    for message in [
        "Content-Type: message/global\r\n\r\nSubject: \u{e9}\r\n\r\nbody\r\n",
        "Content-Type: Message/Global\r\n\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n",
    ] {
        let parts = Structure::parse(message.as_bytes());
        let len = message.len() - message.find("\r\n\r\n").unwrap() - 4;
        for (extended, end) in [(false, ")"), (true, " NIL NIL NIL NIL)")] {
            let mut out = Printer::default();
            body_structure::print(&mut out, message.as_bytes(), &parts, Structure::ROOT, extended);
            let printed = String::from_utf8(out.take()).unwrap().to_lowercase();
            let end = end.to_lowercase();
            let wanted = format!("(\"message\" \"global\" nil nil nil \"7bit\" {len}{end}");
            assert_eq!(printed, wanted);
        }
    }
}
