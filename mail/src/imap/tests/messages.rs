//! Messages that are hard to parse (`tests/mail/messages`): another parser can read their printed
//! structure.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use freehold_mime::{Kind, Structure};

use super::oracle;
use freehold_mime::imap::{Printer, body_structure, envelope};
use freehold_mime::search as text;

fn leaves(structure: &Structure) -> usize {
    structure.ids().filter(|id| structure.part(*id).kind == Kind::Leaf).count()
}

/// The FETCH response with the structure of a message.
fn printed(message: &[u8]) -> Vec<u8> {
    let parts = Structure::parse(message);
    // SEARCH TEXT uses the same parts.
    assert!(text::body(message, &parts).len() <= 4 * message.len() + 1024);
    let mut out = Printer::default();
    out.raw("* 1 FETCH (ENVELOPE ");
    envelope::print(&mut out, parts.header(message, Structure::ROOT));
    out.raw(" BODY ");
    body_structure::print(&mut out, message, &parts, Structure::ROOT, false);
    out.raw(" BODYSTRUCTURE ");
    body_structure::print(&mut out, message, &parts, Structure::ROOT, true);
    out.raw(")\r\n");
    out.take()
}

#[test]
fn printed_structure_is_parsed_by_imap_codec() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mail/messages");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Names the file when the test fails.
        eprintln!("{}", path.display());
        let message = std::fs::read(&path)
            .unwrap()
            .split(|byte| *byte == b'\n')
            .collect::<Vec<_>>()
            .join(&b"\r\n"[..]);
        oracle::assert_readable(&printed(&message));
        // Truncated messages are parsed as well.
        for cut in (0..message.len()).step_by(37) {
            oracle::assert_readable(&printed(&message[..cut]));
        }
        read += 1;
    }
    assert!(read >= 18, "messages are missing");
}

#[test]
fn hard_messages_have_the_expected_parts() {
    let parts = |name: &str| {
        let path = format!("{}/tests/mail/messages/{name}.eml", env!("CARGO_MANIFEST_DIR"));
        let message = std::fs::read_to_string(path).unwrap().replace('\n', "\r\n");
        leaves(&Structure::parse(message.as_bytes()))
    };
    assert_eq!(parts("nested_multiparts"), 4);
    assert_eq!(parts("rfc2231_filenames"), 3);
    assert_eq!(parts("nested_message"), 5);
    assert_eq!(parts("signed"), 2);
    assert_eq!(parts("delivery_report"), 3);
    assert_eq!(parts("dots"), 1);
}
