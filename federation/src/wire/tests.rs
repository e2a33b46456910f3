//! Every message there is, damaged: refused or read, and what was read means itself.

use freehold_core::testing::fuzz::fuzz;
use futures::executor::block_on;
use futures::io::Cursor;

use super::follow::{Follow, Introduction, Request};
use super::sync::{Entry, Head, Log, Reason, Sync};
use super::{Message, blob, decode, encode, frame, hello, identity};
use crate::blobs::slice;

/// Bytes that are a message read again as the same.
fn holds<M: Message + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(message) = decode::<M>(bytes) {
        assert_eq!(decode::<M>(&encode(&message)).unwrap(), message);
    }
    let _ = block_on(frame::read::<M, _>(&mut Cursor::new(bytes))).is_ok();
}

#[test]
fn a_damaged_message_is_refused_or_means_itself() {
    let log = Log { person: [1; 32], suite: 1, node: [2; 32], lane: [3; 16], epoch: 1 << 40 };
    let entry = || Entry { header: vec![4; 200], signature: vec![5; 64], body: Some(vec![6; 300]) };
    let from = Introduction { name: "Zoë".into(), addresses: vec!["/ip4/127.0.0.1/tcp/7001/p2p/12D3KooW".into(); 3] };
    let corpus = vec![
        encode(&Sync::Have(vec![Head { log, lo: 3, hi: 9, head: [7; 32] }; 3])),
        encode(&Sync::Want { log, from: 7 }),
        encode(&Sync::Entries(vec![entry(), Entry { body: None, ..entry() }])),
        encode(&Sync::Push(vec![entry()])),
        encode(&Sync::Ack { log, through: 12 }),
        encode(&Sync::Fork { one: entry(), other: entry() }),
        encode(&Sync::Lacking(vec![[8; 32].into(); 3])),
        encode(&Sync::Bye { reason: Reason::Busy, retry_after: 30 }),
        encode(&Follow::Request(Request { token: Some([8; 16]), note: "it is me".into(), from: from.clone() })),
        encode(&Follow::Accept(from)),
        encode(&Follow::Pending),
        encode(&hello::Hello { person: Some([7; 32]), ops: 3, head: [9; 32], capabilities: 0, versions: vec![1], run: 7 }),
        encode(&identity::Get { person: [1; 32], from: 2 }),
        encode(&identity::Ops { ops: vec![vec![1; 100].into(), vec![2; 100].into()], more: true }),
        encode(&blob::Get { hash: [1; 32], start: 16384, len: 70_000 }),
        encode(&blob::Answer::Found(123_456)),
        encode(&blob::Answer::Missing),
    ];
    let framed = corpus.iter().map(|bytes| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), &bytes[..]].concat());
    let corpus: Vec<_> = corpus.iter().cloned().chain(framed).collect();
    fuzz("federation message", &corpus, |input| {
        holds::<Sync>(input);
        holds::<Follow>(input);
        holds::<hello::Hello>(input);
        holds::<identity::Get>(input);
        holds::<identity::Ops>(input);
        holds::<blob::Get>(input);
        holds::<blob::Answer>(input);
    });
}

#[test]
fn a_damaged_slice_gives_the_blobs_own_bytes_or_none() {
    let data: Vec<u8> = (0..50_000u32).map(|n| (n % 251) as u8).collect();
    let outboard = slice::outboard(&data[..], data.len() as u64).unwrap();
    let hash = *outboard.root.as_bytes();
    let good = slice::encode(&data[..], &outboard, slice::GROUP_LEN, 20_000).unwrap();
    fuzz("blob slice", &[good.clone(), good[..good.len() / 2].to_vec()], |input| {
        if let Ok(read) = slice::decode(hash, data.len() as u64, slice::GROUP_LEN, 20_000, input) {
            assert_eq!(&data[slice::GROUP_LEN as usize..][..read.len()], read);
        }
    });
}
