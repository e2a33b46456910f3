//! Fuzz tests over damaged client lines, dates, names and messages.

use freehold_core::testing::fuzz::fuzz;

use super::transcript;
use crate::conversations;
use crate::imap::command::{self, append};
use crate::imap::{date, mime, utf7};

#[test]
fn damaged_imap_session_never_panics() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for logged_in in [false, true] {
        fuzz(&format!("imap session {logged_in}"), &conversations::client_lines("imap"), |input| {
            let pieces: Vec<Vec<u8>> = input.chunks(97).map(<[u8]>::to_vec).collect();
            let _closed = runtime.block_on(transcript::feed_all(&pieces, logged_in));
        });
    }
}

#[test]
fn damaged_command_is_parsed_or_refused() {
    let lines: Vec<Vec<u8>> = conversations::client_lines("imap")
        .iter()
        .flat_map(|lines| lines.split(|byte| *byte == b'\n').map(<[u8]>::to_vec))
        .collect();
    fuzz("imap command", &lines, |input| {
        let _ = (command::parse(input).is_ok(), append::Head::parse(input).is_some());
        let text = String::from_utf8_lossy(input);
        let _ = (date::day(&text), date::moment(&text), date::Day::of_header(input));
        if let Some(name) = utf7::decode(input) {
            assert_eq!(utf7::decode(utf7::encode(&name).as_bytes()).as_ref(), Some(&name));
        }
    });
}

#[test]
fn damaged_message_has_parts_within_bounds() {
    let mail = b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=\"x\"\r\n\r\nbefore\r\n--x\r\n\r\none\r\n--x\r\n\
        Content-Type: multipart/alternative; boundary=xx\r\n\r\n--xx\r\nContent-Type: text/plain; charset=\"utf-8\"\r\n\r\ntwo\r\n--xx--\r\n\
        --x\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninside\r\n--x--\r\nafter\r\n";
    fuzz("mime", &[mail.to_vec(), mail.repeat(3)], |input| {
        assert_within(&mime::parse(input), input.len());
    });
}

fn assert_within(part: &mime::Part, len: usize) {
    assert!(part.body.start <= part.body.end && part.body.end <= len);
    match &part.kind {
        mime::Kind::Leaf => {}
        mime::Kind::Multipart(parts) => parts.iter().for_each(|part| assert_within(part, len)),
        mime::Kind::Message(part) => assert_within(part, len),
    }
}
