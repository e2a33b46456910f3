//! Entries of every kind, public and sealed.

use super::*;
use crate::BlobId;
use crate::clock::Timestamp;
use crate::domains;
use crate::entry::{
    Body, Checkpoint, EntryAudience, EntryHeader, EntryId, EpochKey, FeedLogId, Homes, KeyBackup,
    Kind, Lane, MARKDOWN, PhotoRef, PostBody, ProfileBody, WrappedKey, padme,
};
use crate::hlc::Hlc;
use crate::identity::PersonId;
use crate::keys::SecretKey;

fn node() -> SecretKey {
    SecretKey::from_bytes(&[100; 32])
}

fn header(lane: Lane, seq: u64, kind: Kind, refs: Vec<EntryId>, body: &[u8]) -> EntryHeader {
    EntryHeader {
        log: FeedLogId {
            person: PersonId([1; 32]),
            node: node().public(),
            lane,
            epoch: 0xfedc_ba98_7654_3210,
        },
        seq,
        prev: (seq > 0).then_some(EntryId([5; 32])),
        hlc: Hlc(Hlc::at(Timestamp(1_777_636_800_000)).0 + seq),
        kind,
        body_len: u32::try_from(body.len()).unwrap(),
        body_hash: *blake3::hash(body).as_bytes(),
        audience: EntryAudience::Public,
        refs,
        expires: (seq == 1).then_some(Timestamp(1_777_723_200_000)),
        understood: true,
    }
}

fn described(what: &str, header: &EntryHeader, body: &[u8]) -> Json {
    let bytes = header.to_canonical();
    assert_eq!(&EntryHeader::from_canonical(&bytes).unwrap(), header);
    let signature = node().sign(domains::ENTRY, &bytes);
    let audience = match header.audience {
        EntryAudience::Public => json!({ "class": 0 }),
        EntryAudience::Sealed { nonce, commit } => {
            json!({ "class": 2, "nonce": hex(&nonce), "commit": hex(&commit) })
        }
    };
    json!({
        "what": what,
        "fields": {
            "person": hex(&header.log.person.0),
            "node": hex(header.log.node.as_bytes()),
            "lane": hex(&header.log.lane.0),
            "epoch": header.log.epoch.to_string(),
            "seq": header.seq.to_string(),
            "prev": header.prev.map(|prev| hex(&prev.0)),
            "hlc": header.hlc.0.to_string(),
            "kind": header.kind.number(),
            "audience": audience,
            "refs": header.refs.iter().map(|entry| hex(&entry.0)).collect::<Vec<_>>(),
            "expires": header.expires.map(|at| at.0.to_string()),
        },
        "header": hex(&bytes),
        "id": hex(&EntryId::of(&bytes).0),
        "signature": hex(&signature.0),
        "body": hex(body),
    })
}

fn post() -> PostBody {
    PostBody {
        media_type: MARKDOWN.to_owned(),
        lang: "en".to_owned(),
        title: Some("The boat is in the water".to_owned()),
        slug: "the-boat-is-in-the-water".to_owned(),
        text: "At last. ⛵\n\n*More tomorrow.*".to_owned(),
        published: Timestamp(1_777_636_800_000),
        photos: vec![PhotoRef {
            blob: BlobId([7; 32]),
            len: 310_000,
            small: BlobId([8; 32]),
            small_len: 21_000,
            alt: "a small sailing boat beside a jetty".to_owned(),
            caption: String::new(),
            width: 1600,
            height: 1067,
            thumbhash: vec![0xd5, 0x18, 0x0a],
        }],
    }
}

fn bodies() -> Vec<(&'static str, Lane, Body)> {
    let key = node().public();
    vec![
        ("post", Lane::PUBLIC, Body::Post(post())),
        (
            "note that expires",
            Lane::PUBLIC,
            Body::Post(PostBody { title: None, photos: Vec::new(), ..post() }),
        ),
        ("edit", Lane::PUBLIC, Body::Edit { of: EntryId([6; 32]), post: post() }),
        ("tombstone", Lane::PUBLIC, Body::Tombstone { of: EntryId([6; 32]) }),
        (
            "profile",
            Lane::PUBLIC,
            Body::Profile(ProfileBody {
                name: "Alice".to_owned(),
                address: "alice@alice.example".to_owned(),
                strapline: "boats".to_owned(),
                about: "I build *boats*.".to_owned(),
                avatar_colour: 3,
            }),
        ),
        (
            "homes",
            Lane::CONTROL,
            Body::Homes(Homes {
                version: 2,
                web: vec!["https://alice.example".to_owned()],
                libp2p: vec!["/dns/alice.example/tcp/4001".to_owned()],
                mirrors: vec![key],
            }),
        ),
        (
            "checkpoint",
            Lane::CONTROL,
            Body::Checkpoint(Checkpoint {
                logs: vec![(key, Lane::PUBLIC, 9, 41, EntryId([6; 32]))],
            }),
        ),
        (
            "key backup",
            Lane::CONTROL,
            Body::KeyBackup(KeyBackup {
                keys: vec![WrappedKey {
                    lane: Lane([4; 16]),
                    suite: 1,
                    encapsulated: vec![1; 32],
                    wrapped: vec![2; 48],
                }],
            }),
        ),
    ]
}

#[test]
fn entry_vectors_match() {
    let mut all = Vec::new();
    for (seq, (what, lane, body)) in (0u64..).zip(bodies()) {
        let bytes = body.to_canonical([0x11; 16]);
        assert_eq!(Body::from_canonical(body.kind(), &body.refs(), &bytes).as_ref(), Ok(&body));
        let header = header(lane, seq, body.kind(), body.refs(), &bytes);
        let mut vector = described(what, &header, &bytes);
        vector["body_tree"] = tree_of(&bytes);
        all.push(vector);
    }
    check_file("entries", &json!(all));
}

#[test]
fn sealed_entry_vectors_match() {
    let key = EpochKey::new([0x42; 32]);
    let mut all = Vec::new();
    for (seq, (what, body)) in (0u64..).zip([
        ("post", Body::Post(post())),
        ("tombstone", Body::Tombstone { of: EntryId([6; 32]) }),
    ]) {
        let mut header = header(key.lane(), seq, body.kind(), Vec::new(), b"");
        let sealed = key.seal(&mut header, &body, [0x11; 16], [0x22; 32]).unwrap();
        let opened = key.open(&header.to_canonical(), &sealed).unwrap();
        assert_eq!((opened.kind, &opened.body), (body.kind(), &body));
        let mut vector = described(what, &header, &sealed);
        vector["opened"] = json!({
            "kind": body.kind().number(),
            "refs": body.refs().iter().map(|entry| hex(&entry.0)).collect::<Vec<_>>(),
            "body": hex(&body.to_canonical([0x11; 16])),
        });
        all.push(vector);
    }
    let lens = [0, 1, 2, 3, 8, 9, 100, 1_000, 1_025, 10_000, 65_000];
    let vectors = json!({
        "epoch_key": hex(key.as_bytes()),
        "lane": hex(&key.lane().0),
        "entries": all,
        "padme": lens.map(|len| [len, padme(len)]),
    });
    check_file("sealed", &vectors);
}
