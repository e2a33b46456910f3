//! Encoding of every message: fixed bytes, and fuzzing with damaged ones.

use freehold_core::testing::fuzz::fuzz;
use futures::executor::block_on;
use futures::io::Cursor;

use super::feed::log_from_wire;
use super::follow::{Follow, Introduction, Request};
use super::sync::{Entry, Head, Log, Reason, Sync};
use super::{Message, blob, decode, encode, frame, hello, identity, mail, relay};
use crate::blobs::slice;

/// If the bytes decode to a message, it encodes and decodes to itself.
fn assert_round_trip<M: Message + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(message) = decode::<M>(bytes) {
        assert_eq!(decode::<M>(&encode(&message)).unwrap(), message);
    }
    let _ = block_on(frame::read::<M, _>(&mut Cursor::new(bytes))).is_ok();
}

/// One of each kind of message.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let log = Log { person: [1; 32], suite: 1, node: [2; 32], lane: [3; 16], epoch: 1 << 40 };
    let entry = || Entry { header: vec![4; 200], signature: vec![5; 64], body: Some(vec![6; 300]) };
    let from = Introduction {
        name: "Zoë".into(),
        addresses: vec!["/ip4/127.0.0.1/tcp/7001/p2p/12D3KooW".into(); 3],
    };
    let request = Request { token: Some([8; 16]), note: "it is me".into(), from: from.clone() };
    vec![
        ("sync have", encode(&Sync::Have(vec![Head { log, lo: 3, hi: 9, head: [7; 32] }; 3]))),
        ("sync want", encode(&Sync::Want { log, from: 7 })),
        ("sync entries", encode(&Sync::Entries(vec![entry(), Entry { body: None, ..entry() }]))),
        ("sync push", encode(&Sync::Push(vec![entry()]))),
        ("sync ack", encode(&Sync::Ack { log, through: 12, held_ms: None })),
        ("sync ack held", encode(&Sync::Ack { log, through: 12, held_ms: Some(600_000) })),
        ("sync fork", encode(&Sync::Fork { one: entry(), other: entry() })),
        ("sync lacking", encode(&Sync::Lacking(vec![[8; 32].into(); 3]))),
        ("sync bye leaving", encode(&Sync::Bye { reason: Reason::Leaving, retry_after: 0 })),
        ("sync bye rate", encode(&Sync::Bye { reason: Reason::Rate, retry_after: 60 })),
        ("sync bye invalid", encode(&Sync::Bye { reason: Reason::Invalid, retry_after: 3600 })),
        ("sync bye busy", encode(&Sync::Bye { reason: Reason::Busy, retry_after: 30 })),
        (
            "sync bye not friends",
            encode(&Sync::Bye { reason: Reason::NotFriends, retry_after: 3600 }),
        ),
        ("follow request", encode(&Follow::Request(request.clone()))),
        (
            "follow request without a token",
            encode(&Follow::Request(Request { token: None, ..request })),
        ),
        ("follow accept", encode(&Follow::Accept(from))),
        ("follow pending", encode(&Follow::Pending)),
        ("follow reject", encode(&Follow::Reject)),
        ("follow unfollow", encode(&Follow::Unfollow)),
        ("follow noted", encode(&Follow::Noted)),
        (
            "hello",
            encode(&hello::Hello {
                person: Some([7; 32]),
                ops: 3,
                head: [9; 32],
                capabilities: 5,
                versions: vec![1],
                run: 7,
                ..hello::Hello::default()
            }),
        ),
        (
            "hello with a clock and a copy",
            encode(&hello::Hello {
                versions: vec![1],
                run: 7,
                clock: Some(1 << 40),
                copy: Some(8),
                ..hello::Hello::default()
            }),
        ),
        (
            "hello of nobody",
            encode(&hello::Hello {
                person: None,
                ops: 0,
                head: [0; 32],
                capabilities: 0,
                versions: vec![1],
                run: 7,
                ..hello::Hello::default()
            }),
        ),
        ("identity get", encode(&identity::Get { person: [1; 32], from: 2 })),
        (
            "identity ops",
            encode(&identity::Ops {
                ops: vec![vec![1; 100].into(), vec![2; 100].into()],
                more: true,
            }),
        ),
        ("blob get", encode(&blob::Get { hash: [1; 32], start: 16384, len: 70_000 })),
        ("blob found", encode(&blob::Answer::Found(123_456))),
        ("blob missing", encode(&blob::Answer::Missing)),
        (
            "mail offer",
            encode(&mail::Offer {
                id: [1; 16],
                size: 70_000,
                suite: 1,
                encapsulated: vec![2; 32],
                envelope: vec![3; 80],
            }),
        ),
        (
            "mail envelope",
            encode(&mail::Envelope {
                from: "bob@bob.example".into(),
                to: vec!["alice@alice.example".into(); 2],
            }),
        ),
        ("mail send", encode(&mail::Reply::Send(vec![1, 300]))),
        ("mail accepted", encode(&mail::Reply::Accepted(Vec::new()))),
        ("mail refused", encode(&mail::Reply::Refused(mail::Refusal::Spoofed))),
        ("mail later", encode(&mail::Reply::Later(60))),
        (
            "relay envelope",
            encode(&relay::Envelope {
                from: "bob@bob.house".into(),
                to: vec![relay::To { address: "dora@far.house".into(), reports: 3 }; 2],
            }),
        ),
        ("relay send", encode(&relay::Reply::Send(vec![1, 300]))),
        ("relay accepted", encode(&relay::Reply::Accepted(Vec::new()))),
        ("relay refused", encode(&relay::Reply::Refused(relay::Refusal::Unreadable))),
        ("relay later", encode(&relay::Reply::Later(60, relay::Cause::OverLimit))),
    ]
}

#[test]
fn damaged_message_is_refused_or_round_trips() {
    let corpus: Vec<_> = samples().into_iter().map(|(_, bytes)| bytes).collect();
    let framed = corpus
        .iter()
        .map(|bytes| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), &bytes[..]].concat());
    let corpus: Vec<_> = corpus.iter().cloned().chain(framed).collect();
    fuzz("federation message", &corpus, |input| {
        assert_round_trip::<Sync>(input);
        assert_round_trip::<Follow>(input);
        assert_round_trip::<hello::Hello>(input);
        assert_round_trip::<identity::Get>(input);
        assert_round_trip::<identity::Ops>(input);
        assert_round_trip::<blob::Get>(input);
        assert_round_trip::<blob::Answer>(input);
        assert_round_trip::<mail::Offer>(input);
        assert_round_trip::<mail::Envelope>(input);
        assert_round_trip::<mail::Reply>(input);
        assert_round_trip::<relay::Envelope>(input);
        assert_round_trip::<relay::Reply>(input);
    });
}

#[test]
fn damaged_blob_slice_never_yields_wrong_bytes() {
    let data: Vec<u8> = (0..50_000u32).map(|n| (n % 251) as u8).collect();
    let outboard = slice::outboard(&data[..], data.len() as u64).unwrap();
    let hash = *outboard.root.as_bytes();
    let valid = slice::encode(&data[..], &outboard, slice::GROUP_LEN, 20_000).unwrap();
    fuzz("blob slice", &[valid.clone(), valid[..valid.len() / 2].to_vec()], |input| {
        if let Ok(read) = slice::decode(hash, data.len() as u64, slice::GROUP_LEN, 20_000, input) {
            assert_eq!(&data[slice::GROUP_LEN as usize..][..read.len()], read);
        }
    });
}

#[test]
fn log_of_a_newer_suite_leaves_the_offer_valid() {
    let log = Log { person: [1; 32], suite: 1, node: [2; 32], lane: [3; 16], epoch: 1 };
    let known = Head { log, lo: 3, hi: 9, head: [7; 32] };
    // The first of the two with suite 2 and a key of 40 bytes.
    let mut bytes = encode(&Sync::Have(vec![known; 2]));
    let at = bytes.windows(4).position(|four| four == [2, 1, 4, 0x58]).unwrap();
    bytes.splice(at..at + 37, [2, 2, 4, 0x58, 40].into_iter().chain([9; 40]));
    let Ok(Sync::Have(heads)) = decode::<Sync>(&bytes) else { panic!("the offer was refused") };
    assert_eq!((heads.len(), heads[0].log.suite, heads[1]), (2, 2, known));
    assert_eq!(log_from_wire(&heads[0].log), None);
}

/// The bytes of each message, in hexadecimal. Nodes of different releases must read each other's
/// messages: a line may be added, never changed.
const FIXED: &str = include_str!("../../tests/vectors/messages.txt");

#[test]
fn every_message_encodes_to_its_test_vector() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let encoded: String =
        samples().iter().map(|(name, bytes)| format!("{name}: {}\n", hex(bytes))).collect();
    assert!(
        encoded == FIXED,
        "a message has changed on the wire; the present bytes are:\n{encoded}"
    );
}

/// The hello of the first version.
#[derive(Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
struct FirstHello {
    #[cbor(n(0), with = "minicbor::bytes")]
    person: Option<[u8; 32]>,
    #[n(2)]
    ops: u32,
    #[cbor(n(4), with = "minicbor::bytes")]
    head: [u8; 32],
    #[n(1)]
    capabilities: u64,
    #[n(3)]
    versions: Vec<u8>,
    #[n(5)]
    run: u64,
}

impl Message for FirstHello {
    const LEN_MAX: usize = hello::Hello::LEN_MAX;
}

/// The acknowledgement of the first version.
#[derive(Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
enum FirstSync {
    #[n(8)]
    Ack {
        #[n(0)]
        log: Log,
        #[n(1)]
        through: u64,
    },
}

impl Message for FirstSync {
    const LEN_MAX: usize = Sync::LEN_MAX;
}

#[test]
fn nodes_of_the_first_version_are_understood() {
    let first = || FirstHello {
        person: Some([7; 32]),
        ops: 3,
        head: [9; 32],
        capabilities: 0,
        versions: vec![1],
        run: 7,
    };
    let plain = hello::Hello {
        person: Some([7; 32]),
        ops: 3,
        head: [9; 32],
        versions: vec![1],
        run: 7,
        ..hello::Hello::default()
    };
    assert_eq!(decode::<hello::Hello>(&encode(&first())).unwrap(), plain);
    let full = hello::Hello { clock: Some(1 << 40), copy: Some(8), ..plain };
    assert_eq!(decode::<FirstHello>(&encode(&full)).unwrap(), first());

    let log = Log { person: [1; 32], suite: 1, node: [2; 32], lane: [3; 16], epoch: 4 };
    let ack = |held_ms| Sync::Ack { log, through: 12, held_ms };
    let first = FirstSync::Ack { log, through: 12 };
    assert_eq!(decode::<Sync>(&encode(&first)).unwrap(), ack(None));
    for held_ms in [None, Some(600_000)] {
        assert_eq!(decode::<FirstSync>(&encode(&ack(held_ms))).unwrap(), first);
    }
}
