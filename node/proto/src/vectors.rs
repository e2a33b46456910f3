//! Byte-level test vectors of every format that cannot change, in `node/proto/tests/vectors`. Also
//! verified by `.ci/vectors/verify.mjs`, which shares no code with this crate.
//! `FREEHOLD_VECTORS=write` writes the files: only ever for a new format, never for an old one.

mod entries;
mod newer;
mod people;
mod transfer;

use serde_json::{Value as Json, json};

use crate::cbor::Value;
use crate::testing::vectors::{hex, tree, tree_of};

fn check_file(name: &str, vectors: &Json) {
    crate::testing::vectors::check_file(env!("CARGO_MANIFEST_DIR"), name, vectors);
}

#[test]
fn cbor_vectors_match() {
    let cases: &[(&str, &[u8])] = &[
        ("the number 0", &[0x00]),
        ("the number 24", &[0x18, 0x18]),
        ("the number 2^64 - 1", &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ("no bytes", &[0x40]),
        ("a text", &[0x63, 0xe2, 0x82, 0xac]),
        ("true", &[0xf5]),
        ("an array", &[0x82, 0x01, 0x80]),
        ("a map", &[0xa2, 0x00, 0xa0, 0x18, 0x19, 0xf4]),
        ("a number in more bytes than it needs", &[0x18, 0x05]),
        ("a number in eight bytes that fits four", &[0x1b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
        ("a length in more bytes than it needs", &[0x58, 0x01, 0xff]),
        ("keys out of order", &[0xa2, 0x02, 0x00, 0x00, 0x00]),
        ("a key twice", &[0xa2, 0x00, 0x00, 0x00, 0x01]),
        ("an indefinite array", &[0x9f, 0x00, 0xff]),
        ("an indefinite map", &[0xbf, 0x00, 0x00, 0xff]),
        ("an indefinite byte string", &[0x5f, 0x41, 0x00, 0xff]),
        ("bytes left over", &[0x00, 0x00]),
        ("nothing", &[]),
        ("a negative number", &[0x20]),
        ("null", &[0xf6]),
        ("a float", &[0xf9, 0x00, 0x00]),
        ("a tag", &[0xc0, 0x60]),
        ("a text key", &[0xa1, 0x61, 0x61, 0x00]),
        ("a boolean in two bytes", &[0xf8, 0x15]),
        ("text that is not UTF-8", &[0x61, 0xff]),
        ("a length beyond the end", &[0x5a, 0xff, 0xff, 0xff, 0xff]),
    ];
    let vectors: Vec<Json> = cases
        .iter()
        .map(|(what, bytes)| match Value::from_canonical(bytes) {
            Ok(value) => json!({ "what": what, "hex": hex(bytes), "tree": tree(&value) }),
            Err(_) => json!({ "what": what, "hex": hex(bytes), "refused": true }),
        })
        .collect();
    assert_eq!(vectors.iter().filter(|case| case.get("refused").is_some()).count(), 18);
    check_file("cbor", &json!(vectors));
}
