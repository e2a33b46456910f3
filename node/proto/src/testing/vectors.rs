//! Test vectors of formats that cannot change, as JSON files that another program verifies too.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use crate::cbor::Value;

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// A CBOR item as JSON that names each type, so that another program can encode it on its own.
/// Numbers are strings, because JSON numbers are too small.
pub fn tree(value: &Value) -> Json {
    match value {
        Value::Uint(number) => json!({ "uint": number.to_string() }),
        Value::Bytes(bytes) => json!({ "bytes": hex(bytes) }),
        Value::Text(text) => json!({ "text": text }),
        Value::Bool(flag) => json!({ "bool": flag }),
        Value::Array(items) => json!({ "array": items.iter().map(tree).collect::<Vec<_>>() }),
        Value::Map(fields) => {
            let items: Vec<_> =
                fields.iter().map(|(key, value)| json!([key, tree(value)])).collect();
            json!({ "map": items })
        }
    }
}

/// The tree of canonical CBOR bytes.
#[allow(clippy::unwrap_used, reason = "a vector that is no CBOR fails its test")]
pub fn tree_of(bytes: &[u8]) -> Json {
    tree(&Value::from_canonical(bytes).unwrap())
}

/// Compares vectors with the file `tests/vectors/<name>.json` in `crate_folder`. The environment
/// variable `FREEHOLD_VECTORS=write` writes the file: only ever for a new format.
#[allow(clippy::unwrap_used, reason = "a vector file that cannot be read fails its test")]
pub fn check_file(crate_folder: &str, name: &str, vectors: &Json) {
    let path = PathBuf::from(crate_folder).join("tests/vectors").join(format!("{name}.json"));
    let current = format!("{vectors:#}\n");
    if std::env::var_os("FREEHOLD_VECTORS").is_some_and(|word| word == "write") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &current).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    assert!(stored == current, "{name}.json: a format that cannot change has changed");
}
