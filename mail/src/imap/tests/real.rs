//! Real messages, where a folder of them is at hand: `FREEHOLD_REAL_DATA=/path cargo test` reads every file under `mail/`.

use std::path::PathBuf;

use super::oracle;
use crate::imap::command::search::text;
use crate::imap::mime::{self, Kind, Part, envelope, structure};
use crate::imap::print::Printer;

fn messages() -> Vec<(PathBuf, Vec<u8>)> {
    let Some(folder) = std::env::var_os("FREEHOLD_REAL_DATA") else { return Vec::new() };
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder).join("mail")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "eml") {
                found.push((path.clone(), std::fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn leaves(part: &Part) -> usize {
    match &part.kind {
        Kind::Leaf => 1,
        Kind::Multipart(children) => children.iter().map(leaves).sum(),
        Kind::Message(inner) => leaves(inner),
    }
}

#[test]
fn the_structure_of_real_messages_can_be_read_by_somebody_else() {
    for (path, message) in messages() {
        let root = mime::parse(&message);
        let mut out = Printer::default();
        out.raw("* 1 FETCH (ENVELOPE ");
        envelope::print(&mut out, &message[root.header.clone()]);
        out.raw(" BODY ");
        structure::print(&mut out, &message, &root, false);
        out.raw(" BODYSTRUCTURE ");
        structure::print(&mut out, &message, &root, true);
        out.raw(")\r\n");
        let bytes = out.take();
        assert!(leaves(&root) >= 1 && text::body(&message, &root).len() <= 64 * 1024 * 1024, "{}", path.display());
        println!("{}", path.display());
        oracle::responses(&bytes);
    }
}
