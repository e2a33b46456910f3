//! What comes from others or from a disk, damaged: it is refused or read, and nothing falls over.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;

use crate::blobs::{Blobs, Form, SmallBlob};
use crate::cbor::Value;
use crate::clock::Timestamp;
use crate::events::Events;
use crate::feed::{Body, Header, Kind, RawEntry, VerifiedEntry};
use crate::friends::Invite;
use crate::fs::{self, Fs, MemoryFs};
use crate::identity::op::SignedOp;
use crate::identity::paper::{Claim, Request, SignedRequest};
use crate::identity::{IdentityLog, NodeCard, PersonId};
use crate::keys::Signature;
use crate::log::group;
use crate::random::Random;
use crate::space::{Margins, Space};
use crate::store::{Scan, Store, StoreOptions, Table};
use crate::testing::fuzz::fuzz;
use crate::vault::{Unlock, Vault};
use crate::{markdown, photos, words};

/// The longest file of a store made here.
const FILE_LEN_MAX: usize = 1 << 20;

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

/// The byte strings among them.
fn bytes(names: &[&str]) -> Vec<Vec<u8>> {
    let all = names.iter().flat_map(|name| texts(name));
    all.filter_map(|text| data_encoding::HEXLOWER.decode(text.as_bytes()).ok())
        .filter(|bytes| bytes.len() > 40)
        .collect()
}

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

/// What was read says the same bytes again.
#[test]
fn damaged_canonical_bytes_are_refused_or_mean_themselves() {
    let corpus = bytes(&["cbor", "entries", "identity", "sealed", "key_backup", "texts"]);
    assert!(corpus.len() > 20);
    fuzz("canonical cbor", &corpus, |input| {
        if let Ok(value) = Value::from_canonical(input) {
            assert_eq!(value.to_canonical(), input);
        }
    });
    fuzz("entry header", &corpus, |input| {
        if let Ok(header) = Header::from_canonical(input).filter_understood() {
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

trait Understood {
    /// A header with keys that a newer program wrote is kept as bytes and never written anew.
    fn filter_understood(self) -> Result<Header, ()>;
}

impl<E> Understood for Result<Header, E> {
    fn filter_understood(self) -> Result<Header, ()> {
        self.ok().filter(|header| header.understood).ok_or(())
    }
}

#[test]
fn a_damaged_log_of_a_person_and_what_it_signed_are_refused_or_verify() {
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
fn damaged_papers_and_invites_are_refused_or_read() {
    let mut corpus: Vec<Vec<u8>> =
        texts("texts").into_iter().chain(texts("words")).map(String::into_bytes).collect();
    corpus.push(
        b"http://alice.localhost:7080/i#AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_vec(),
    );
    fuzz("papers", &corpus, |input| {
        let text = text(input);
        let _ = (
            text.parse::<Claim>().is_ok(),
            text.parse::<Request>().is_ok(),
            text.parse::<SignedRequest>().is_ok(),
        );
        let _ = (
            text.parse::<NodeCard>().is_ok(),
            text.parse::<Invite>().is_ok(),
            text.parse::<PersonId>().is_ok(),
        );
        let _ = words::Words::parse(&text).is_ok();
    });
}

#[test]
fn any_markdown_is_rendered() {
    let post = "# Head\n\nA [link](https://a.example \"t\") *and* **more** ~~of~~ `it`.\n\n| a | b |\n|--|:-:|\n| 1 | ![x](y.jpg) |\n\n\
        1. one\n   - two\n     > three\n\n[^1]: note\n\n```rust\nfn main() {}\n```\n<b onclick=x>raw</b> &amp; <!-- no -->\n\n- [ ] done[^1]\n";
    let corpus = [
        post.as_bytes().to_vec(),
        b"**_`[(<".repeat(30),
        b"> - 1. ".repeat(40),
        "ä\u{202e}\u{0}é\r\n\r\n".repeat(9).into(),
    ];
    fuzz("markdown", &corpus, |input| {
        let text = text(input);
        let html = markdown::render_foreign(&text, "p");
        for forbidden in ["<script", "<iframe", "<object", "<style"] {
            assert!(!html.as_str().to_ascii_lowercase().contains(forbidden), "{forbidden}");
        }
        let _ = (markdown::render(&text), markdown::summary(&text, 200), markdown::minutes(&text));
    });
}

#[test]
fn a_damaged_picture_is_refused_or_developed() {
    let picture = image::DynamicImage::ImageRgb8(image::RgbImage::from_fn(48, 32, |x, y| {
        image::Rgb([x as u8 * 5, y as u8 * 7, 99])
    }));
    let encoded = |format| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    use image::ImageFormat::{Gif, Jpeg, Png, WebP};
    fuzz("pictures", &[Jpeg, Png, WebP, Gif].map(encoded), |input| {
        drop(photos::develop::develop(input))
    });
}

#[test]
fn a_damaged_group_of_the_log_is_refused_or_means_itself() {
    let row = |value| group::RowWrite { table: "posts".into(), key: b"a key".to_vec(), value };
    let blob = SmallBlob {
        id: crate::store::BlobId([3; 32]),
        form: Form::Private,
        bytes: vec![7; 90].into(),
    };
    let change =
        group::Change { rows: vec![row(Some(vec![1; 300])), row(None)], blobs: vec![blob] };
    let corpus =
        [group::encode(std::slice::from_ref(&change)), group::encode(&[change.clone(), change])];
    fuzz("log group", &corpus, |input| {
        for count in [0, 1, 2, u32::MAX] {
            if let Some(changes) = group::decode(input, count) {
                assert_eq!(group::encode(&changes), input);
            }
        }
    });
}

const ROWS: Table = Table::new("rows");

fn unlock() -> Unlock {
    Unlock::KeyFile("/key".into())
}

/// Opens the node's files with all that reads them at a start: vault, checkpoint, snapshots, log,
/// rows.
fn opened(fs: &MemoryFs) -> Option<Store> {
    let shared: Arc<dyn Fs> = Arc::new(fs.clone());
    let data = Path::new("/data");
    shared.create_folder(data).ok()?;
    let vault = match Vault::exists(&*shared, data).ok()? {
        true => Vault::open(shared.clone(), data, &unlock()).ok()?,
        false => Vault::create(shared.clone(), data, &unlock(), &Random::seeded(1)).ok()?,
    };
    let space = Space::new(shared.clone(), data, Margins { watermark: 0, reserve: 0 });
    let mut options = StoreOptions::in_memory(fs.clone(), Events::default());
    options.blobs = Blobs::new(shared, data, vault.keys(), Random::seeded(2), space).ok();
    options.key = vault.keys().store().clone();
    options.log = vault.keys().log_id();
    options.segment_len = 8 * 1024;
    Store::open(options).ok()
}

fn files(fs: &MemoryFs, folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs.list(folder).unwrap() {
        let path = folder.join(&entry.name);
        if entry.folder {
            files(fs, &path, found);
        } else if let Ok(bytes) = fs::read(fs, &path, FILE_LEN_MAX) {
            found.push((path, bytes));
        }
    }
}

/// Each file in turn; a store that opens shows rows that were written, and none that were not.
#[test]
fn a_damaged_file_of_the_node_is_noticed_or_repaired() {
    let fs = MemoryFs::new();
    let store = opened(&fs).unwrap();
    let value = |n: u32| n.to_be_bytes().repeat(40);
    for n in 0..60u32 {
        store.commit_blocking(move |tx| tx.put(ROWS, &n.to_be_bytes(), &value(n))).unwrap();
        if n % 25 == 20 {
            store.snapshot().unwrap();
        }
    }
    let left = fs.crash();
    drop(store);
    let mut all = Vec::new();
    files(&left, Path::new("/"), &mut all);
    let told = |part: &str| {
        all.iter()
            .filter(|(path, _)| path.to_string_lossy().contains(part))
            .cloned()
            .collect::<Vec<_>>()
    };
    for part in ["vault-1", "checkpoint", "snapshots/", "log/"] {
        let damaged = told(part);
        assert!(!damaged.is_empty(), "{part}");
        let corpus: Vec<Vec<u8>> = damaged.iter().map(|(_, bytes)| bytes.clone()).collect();
        fuzz(&format!("files {}", part.trim_end_matches('/')), &corpus, |input| {
            let fs = left.crash();
            let (path, _) = &damaged[input.len() % damaged.len()];
            fs::replace(&fs, path, input).unwrap();
            let Some(store) = opened(&fs) else { return };
            for (key, row) in store.scan(ROWS, &Scan::prefix(b"", 1000)).unwrap_or_default() {
                assert_eq!(row.value, value(u32::from_be_bytes(key.try_into().unwrap())));
            }
        });
    }
}
