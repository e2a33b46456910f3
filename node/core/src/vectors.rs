//! Byte-level test vectors of every format that cannot change, kept in `node/core/tests/vectors`
//! and verified by `.ci/vectors/verify.mjs` with none of this code. `FREEHOLD_VECTORS=write` writes
//! them anew: only ever for a new format, never for an old one.

mod entries;
mod newer;
mod papers;
mod people;

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use crate::cbor::Value;

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// A CBOR item as JSON that names each type, so that another program can encode it by itself.
/// Numbers are texts: JSON's are too small.
fn tree(value: &Value) -> Json {
    match value {
        Value::Uint(number) => json!({ "uint": number.to_string() }),
        Value::Bytes(bytes) => json!({ "bytes": hex(bytes) }),
        Value::Text(text) => json!({ "text": text }),
        Value::Bool(flag) => json!({ "bool": flag }),
        Value::Array(items) => json!({ "array": items.iter().map(tree).collect::<Vec<_>>() }),
        Value::Map(fields) => {
            json!({ "map": fields.iter().map(|(key, value)| json!([key, tree(value)])).collect::<Vec<_>>() })
        }
    }
}

fn tree_of(bytes: &[u8]) -> Json {
    tree(&Value::from_canonical(bytes).unwrap())
}

/// Compares vectors with the file, or writes it when asked to.
fn hold(name: &str, vectors: &Json) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(format!("{name}.json"));
    let now = format!("{vectors:#}\n");
    if std::env::var_os("FREEHOLD_VECTORS").is_some_and(|word| word == "write") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept == now, "{name}.json: a format that cannot change has changed");
}

#[test]
fn cbor_has_one_encoding_of_each_thing() {
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
    hold("cbor", &json!(vectors));
}
