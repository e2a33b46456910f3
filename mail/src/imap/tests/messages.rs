//! Letters that are hard to take apart (`tests/mail/letters`): what is printed of each, somebody
//! else can read.

use super::oracle;
use crate::imap::command::search::text;
use crate::imap::mime::{self, Kind, Part, envelope, structure};
use crate::imap::print::Printer;

fn leaves(part: &Part) -> usize {
    match &part.kind {
        Kind::Leaf => 1,
        Kind::Multipart(children) => children.iter().map(leaves).sum(),
        Kind::Message(inner) => leaves(inner),
    }
}

/// What FETCH would answer about a message's structure.
fn printed(message: &[u8]) -> Vec<u8> {
    let root = mime::parse(message);
    // What SEARCH TEXT looks at is taken from the same parts.
    assert!(text::body(message, &root).len() <= 4 * message.len() + 1024);
    let mut out = Printer::default();
    out.raw("* 1 FETCH (ENVELOPE ");
    envelope::print(&mut out, &message[root.header.clone()]);
    out.raw(" BODY ");
    structure::print(&mut out, message, &root, false);
    out.raw(" BODYSTRUCTURE ");
    structure::print(&mut out, message, &root, true);
    out.raw(")\r\n");
    out.take()
}

#[test]
fn the_structure_of_hard_letters_can_be_read_by_somebody_else() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mail/letters");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Shown when the test fails, to say which.
        eprintln!("{}", path.display());
        let letter = std::fs::read(&path)
            .unwrap()
            .split(|byte| *byte == b'\n')
            .collect::<Vec<_>>()
            .join(&b"\r\n"[..]);
        oracle::responses(&printed(&letter));
        // A letter may also be cut anywhere.
        for cut in (0..letter.len()).step_by(37) {
            oracle::responses(&printed(&letter[..cut]));
        }
        read += 1;
    }
    assert!(read >= 18, "letters are missing");
}

#[test]
fn the_parts_of_hard_letters_are_where_they_should_be() {
    let parts = |name: &str| {
        let path = format!("{}/tests/mail/letters/{name}.eml", env!("CARGO_MANIFEST_DIR"));
        let letter = std::fs::read_to_string(path).unwrap().replace('\n', "\r\n");
        leaves(&mime::parse(letter.as_bytes()))
    };
    assert_eq!(parts("boxes_in_boxes"), 4);
    assert_eq!(parts("names_in_pieces"), 3);
    assert_eq!(parts("a_letter_in_a_letter"), 5);
    assert_eq!(parts("signed"), 2);
    assert_eq!(parts("returned"), 3);
    assert_eq!(parts("dots"), 1);
}
