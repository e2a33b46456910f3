//! Damaged input to every reader of this crate: refused or read, never a panic.

use std::path::Path;

use serde_json::Value as Json;

use crate::cbor::Value;
use crate::clock::Timestamp;
use crate::entry::{Body, EntryHeader, Kind, RawEntry, VerifiedEntry};
use crate::identity::op::SignedOp;
use crate::identity::transfer::{Claim, SignatureRequest, SignedRequest};
use crate::identity::{IdentityLog, NodeCard, PersonId};
use crate::keys::Signature;
use crate::mnemonic::Mnemonic;
use crate::testing::fuzz::fuzz;

/// Every text in a file of test vectors.
fn texts(name: &str) -> Vec<String> {
    fn collect(json: &Json, texts: &mut Vec<String>) {
        match json {
            Json::String(text) => texts.push(text.clone()),
            Json::Array(items) => items.iter().for_each(|item| collect(item, texts)),
            Json::Object(fields) => fields.values().for_each(|item| collect(item, texts)),
            _ => {}
        }
    }
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(format!("{name}.json"));
    let mut found = Vec::new();
    collect(&serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap(), &mut found);
    found
}

/// Every hexadecimal byte string of more than 40 bytes in these files.
fn bytes(names: &[&str]) -> Vec<Vec<u8>> {
    let all = names.iter().flat_map(|name| texts(name));
    all.filter_map(|text| data_encoding::HEXLOWER.decode(text.as_bytes()).ok())
        .filter(|bytes| bytes.len() > 40)
        .collect()
}

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

/// Bytes that are read encode to themselves again.
#[test]
fn damaged_canonical_bytes_are_refused_or_round_trip() {
    let corpus = bytes(&["cbor", "entries", "identity", "sealed", "key_backup", "texts"]);
    assert!(corpus.len() > 20);
    fuzz("canonical cbor", &corpus, |input| {
        if let Ok(value) = Value::from_canonical(input) {
            assert_eq!(value.to_canonical(), input);
        }
    });
    fuzz("entry header", &corpus, |input| {
        if let Ok(header) = EntryHeader::from_canonical(input).filter_understood() {
            assert_eq!(header.to_canonical(), input);
        }
    });
    fuzz("entry body", &corpus, |input| {
        for kind in (0..16).map(Kind::from_number) {
            let _ = Body::from_canonical(kind, &[], input);
        }
    });
    fuzz("identity operation", &corpus, |input| {
        if let Ok(op) = SignedOp::from_canonical(input) {
            assert_eq!(op.as_bytes(), input);
        }
    });
}

trait FilterUnderstood {
    /// A header with keys of a newer program is kept as bytes and never encoded again.
    fn filter_understood(self) -> Result<EntryHeader, ()>;
}

impl<E> FilterUnderstood for Result<EntryHeader, E> {
    fn filter_understood(self) -> Result<EntryHeader, ()> {
        self.ok().filter(|header| header.understood).ok_or(())
    }
}

#[test]
fn damaged_identity_logs_and_entries_are_refused_or_verify() {
    let ops: Vec<Vec<u8>> = bytes(&["identity"])
        .into_iter()
        .filter(|bytes| SignedOp::from_canonical(bytes).is_ok())
        .collect();
    assert!(!ops.is_empty());
    fuzz("identity log", &ops, |input| {
        // The damaged operation at each place of an otherwise good log.
        for at in 0..ops.len() {
            let mut log = ops.clone();
            log[at] = input.to_vec();
            let _ = IdentityLog::verify(&log);
        }
    });
    let entries = bytes(&["entries"]);
    let author =
        (1..=ops.len()).rev().find_map(|len| IdentityLog::verify(&ops[..len]).ok()).unwrap();
    fuzz("signed entry", &entries, |input| {
        let (header, body) = input.split_at(input.len() / 2);
        for (header, body) in [(header, Some(body)), (input, Some(input)), (input, None)] {
            let raw = RawEntry {
                header: header.to_vec(),
                signature: Signature([7; 64]),
                body: body.map(<[u8]>::to_vec),
            };
            assert!(VerifiedEntry::verify(raw, &author, Timestamp(0)).is_err());
        }
    });
}

#[test]
fn damaged_transfer_texts_are_refused_or_read() {
    let corpus: Vec<Vec<u8>> =
        texts("texts").into_iter().chain(texts("words")).map(String::into_bytes).collect();
    fuzz("transfer texts", &corpus, |input| {
        let text = text(input);
        let _ = (
            text.parse::<Claim>().is_ok(),
            text.parse::<SignatureRequest>().is_ok(),
            text.parse::<SignedRequest>().is_ok(),
        );
        let _ = (text.parse::<NodeCard>().is_ok(), text.parse::<PersonId>().is_ok());
        let _ = Mnemonic::parse(&text).is_ok();
    });
}
