//! The header of a received and of a submitted message, cut at any byte.

use proptest::prelude::*;

use super::*;

fn keep() -> Treatment {
    Treatment::Keep { hostname: "mx.alice.example".into() }
}

fn complete() -> Treatment {
    Treatment::Complete(Missing {
        from: "From: f\r\n".into(),
        date: "Date: d\r\n".into(),
        message_id: "Message-ID: m\r\n".into(),
    })
}

/// The stored text and the header, when the input has pieces of `piece` bytes.
fn read(text: &str, treatment: Treatment, piece: usize) -> (String, Headers) {
    let mut headers = Headers::new(treatment);
    let mut out = Vec::new();
    for part in text.as_bytes().chunks(piece) {
        headers.read(part, &mut out);
    }
    headers.finish(&mut out);
    (String::from_utf8(out).unwrap(), headers)
}

#[test]
fn received_header_loses_only_its_return_path() {
    let text = "Return-Path: <forged@x>\r\n\tfolded\r\nReceived: a\r\nreceived : b\r\nBcc: c\r\nFrom: d\r\n\r\nReceived: body\r\n";
    for piece in 1..text.len() {
        let (stored, headers) = read(text, keep(), piece);
        assert_eq!(
            stored,
            "Received: a\r\nreceived : b\r\nBcc: c\r\nFrom: d\r\n\r\nReceived: body\r\n"
        );
        assert_eq!((headers.received_count(), headers.from_count()), (2, 1));
    }
}

#[test]
fn results_of_this_server_are_dropped() {
    let own = "Authentication-Results: (c) mx.alice.example;\r\n dmarc=pass\r\n";
    let long = format!("Authentication-Results: ({}) x; y\r\n", "c".repeat(2000));
    let other = "Authentication-Results: mx.bob.example;\r\n\tspf=pass\r\n";
    let text = format!("{own}{other}{long}A: b\r\n{own}\r\n{own}");
    for piece in [1, 2, 3, 7, 50, text.len()] {
        assert_eq!(read(&text, keep(), piece).0, format!("{other}A: b\r\n\r\n{own}"));
        assert_eq!(read(own, keep(), piece).0, "");
        assert_eq!(read(other, keep(), piece).0, other);
    }
}

#[test]
fn submitted_header_is_completed_and_loses_bcc() {
    let text = "From x Thu Jan  1\r\nFROM: Alice\r\n <a@b>\r\nBcc: secret@x,\r\n other@x\r\nSubject: s\r\n\r\nBcc: body\r\n";
    for piece in 1..text.len() {
        let (stored, headers) = read(text, complete(), piece);
        assert_eq!(
            stored,
            "FROM: Alice\r\n <a@b>\r\nSubject: s\r\nDate: d\r\nMessage-ID: m\r\n\r\nBcc: \
             body\r\n"
        );
        assert_eq!(headers.authors(), Some(&b"FROM: Alice\r\n <a@b>\r\n"[..]));
    }
}

#[test]
fn submission_without_a_header_gets_one() {
    let added = "From: f\r\nDate: d\r\nMessage-ID: m\r\n";
    assert_eq!(
        read("just text\r\nmore: text\r\n", complete(), 3).0,
        format!("{added}\r\njust text\r\nmore: text\r\n")
    );
    assert_eq!(read("", complete(), 1).0, added);
    assert_eq!(read("\r\n", complete(), 1).0, format!("{added}\r\n"));
    assert_eq!(read("Subject: s\r\n", complete(), 1).0, format!("Subject: s\r\n{added}"));
    assert_eq!(read("Sub", complete(), 1).0, format!("{added}\r\nSub"));
    assert_eq!(
        read(" folded from nothing\r\n", complete(), 1).0,
        format!("{added}\r\n folded from nothing\r\n")
    );
}

#[test]
fn byte_order_mark_before_the_header_is_skipped() {
    let text = "\u{feff}From: a\r\nBcc: b\r\nDate: d\r\nMessage-ID: m\r\n\r\nx";
    for size in [1, 2, 100] {
        let (out, headers) = read(text, complete(), size);
        assert_eq!(out, "From: a\r\nDate: d\r\nMessage-ID: m\r\n\r\nx");
        assert_eq!(headers.from_count(), 1);
        let (out, headers) = read(text, keep(), size);
        assert_eq!((out.as_str(), headers.from_count()), (text, 1));
    }
    assert_eq!(read("\u{feff}", keep(), 1).0, "\u{feff}");
}

#[test]
fn too_long_author_fields_are_not_checked() {
    let text = format!("From: {}\r\n\r\n", "a@b, ".repeat(5000));
    let (stored, headers) = read(&text, complete(), 100);
    assert!(headers.authors().is_none() && stored.len() > text.len());
}

proptest! {
    #[test]
    fn header_result_is_independent_of_the_cut(text in "((From|Bcc|Return-Path|X-a|Received)?[: \t]?[a-c]{0,3}\r\n){0,8}", piece in 1usize..9) {
        for treatment in [keep(), complete()] {
            let cut = read(&text, treatment.clone(), piece).0;
            prop_assert_eq!(cut, read(&text, treatment, 1000).0);
        }
    }

    #[test]
    fn received_text_without_return_path_is_unchanged(text in "([A-Ca-c:\t ]{0,9}\r\n){0,8}") {
        prop_assert_eq!(read(&text, keep(), 7).0, text);
    }
}
