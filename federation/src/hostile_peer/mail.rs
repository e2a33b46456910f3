//! Mail of a hostile friend: spoofed, damaged, too much, or sent again.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use freehold_core::identity_log;
use freehold_core::mailbox::{SpecialUse, messages, special_folder};
use freehold_core::sealed_stream::{Piece, Sealer};

use super::*;
use crate::limits::{MAIL_PER_HOUR, MAIL_PIECE_LEN};
use crate::wire;
use crate::wire::mail::{Envelope, Offer, PROTOCOL, Refusal, Reply};

const ALICE: &str = "alice@alice.example";
pub(super) const MALLORY: &str = "mallory@mallory.example";

/// A friend whose address Alice's node knows.
pub(super) async fn with_friend() -> Fixture {
    let fixture = Fixture::with_friend().await;
    let log = fixture.mallory.identity.log().unwrap().to_bytes();
    identity_log::learn(&fixture.alice, log).await.unwrap();
    fixture.mallory.write_profile(&fixture.alice, MALLORY).await;
    fixture
}

/// A sealed message to one recipient.
struct Sealed {
    offer: Offer,
    pieces: Vec<Vec<u8>>,
}

fn sealed(fixture: &Fixture, id: u8, to: &str, text: &str) -> Sealed {
    let id = [id; 16];
    let (from, receiver) =
        (fixture.state.network.me().0, *fixture.alice.identity.node_key().as_bytes());
    let info = [freehold_core::domains::MAIL.bytes(), &from, &receiver, &id].concat();
    let kem = fixture.alice.identity.kem_key();
    let (mut sealer, encapsulated) = Sealer::new(&kem, &info, &fixture.mallory.random).unwrap();
    let envelope = Envelope { from: MALLORY.to_owned(), to: vec![to.to_owned()] };
    let envelope = sealer.seal(&wire::encode(&envelope), Piece::Head).unwrap();
    let offer = Offer { id, size: text.len() as u64, suite: 1, encapsulated, envelope };
    let mut parts = text.as_bytes().chunks(MAIL_PIECE_LEN).peekable();
    let mut pieces = Vec::new();
    while let Some(part) = parts.next() {
        let kind = if parts.peek().is_none() { Piece::Last } else { Piece::Part };
        pieces.push(sealer.seal(part, kind).unwrap());
    }
    Sealed { offer, pieces }
}

/// Offers it and sends the pieces if they are wanted; the last reply, if there is one.
async fn exchange(fixture: &Fixture, sealed: &Sealed) -> Option<Reply> {
    let mut stream = fixture.open(PROTOCOL).await;
    frame::write(&mut stream, &sealed.offer).await.ok()?;
    match frame::read::<Reply, _>(&mut stream).await.ok()? {
        Reply::Send(_) => {}
        reply => return Some(reply),
    }
    for piece in &sealed.pieces {
        frame::write_bytes(&mut stream, piece).await.ok()?;
    }
    futures::AsyncWriteExt::flush(&mut stream).await.ok()?;
    frame::read::<Reply, _>(&mut stream).await.ok()
}

fn stored(fixture: &Fixture) -> usize {
    let inbox = special_folder(&fixture.alice, SpecialUse::Inbox).unwrap().unwrap().id;
    messages(&fixture.alice, inbox, 0, u32::MAX, 100).unwrap().len()
}

pub(super) fn text(from: &str) -> String {
    format!("From: {from}\r\nSubject: x\r\n\r\n{}", "0123456789abcd\r\n".repeat(9000))
}

#[tokio::test]
async fn message_of_a_stranger_is_refused() {
    let fixture = Fixture::new(false, None).await;
    let message = sealed(&fixture, 1, ALICE, &text(MALLORY));
    let refused = exchange(&fixture, &message).await;
    assert_eq!(refused, Some(Reply::Refused(Refusal::NotFriends)));
    assert_eq!(stored(&fixture), 0);
    fixture.shutdown().await;
}

#[tokio::test]
async fn message_offered_again_is_stored_once() {
    let fixture = with_friend().await;
    let message = sealed(&fixture, 1, ALICE, &text(MALLORY));
    // The sender stops after the last piece and does not hear the answer.
    let mut stream = fixture.open(PROTOCOL).await;
    frame::write(&mut stream, &message.offer).await.unwrap();
    let reply = frame::read::<Reply, _>(&mut stream).await.unwrap();
    assert_eq!(reply, Reply::Send(Vec::new()));
    for piece in &message.pieces {
        frame::write_bytes(&mut stream, piece).await.unwrap();
    }
    futures::AsyncWriteExt::flush(&mut stream).await.unwrap();
    let mut events = fixture.alice.events.subscribe();
    while stored(&fixture) == 0 {
        let _ = tokio::time::timeout(TIMEOUT, events.recv()).await.unwrap();
    }
    drop(stream);
    // The first exchange may not have ended yet: then the offer gets no answer.
    let again = sealed(&fixture, 1, ALICE, &text(MALLORY));
    let reply = loop {
        if let Some(reply) = exchange(&fixture, &again).await {
            break reply;
        }
    };
    assert_eq!(reply, Reply::Accepted(Vec::new()));
    assert_eq!(stored(&fixture), 1);
    fixture.shutdown().await;
}

#[tokio::test]
async fn spoofed_and_damaged_messages_are_refused() {
    let fixture = with_friend().await;
    let good = || sealed(&fixture, 2, ALICE, &text(MALLORY));
    let spoofed = sealed(&fixture, 2, ALICE, &text("bob@bob.example"));
    let unknown = sealed(&fixture, 2, "nobody@alice.example", &text(MALLORY));
    let (mut large, mut other_id, mut suite) = (good(), good(), good());
    large.offer.size = 51 * 1024 * 1024;
    other_id.offer.id = [3; 16];
    suite.offer.suite = 2;
    let (mut damaged, mut short, mut swapped) = (good(), good(), good());
    damaged.pieces[1][7] ^= 1;
    short.pieces[0].truncate(100);
    swapped.pieces.swap(0, 1);
    let (mut no_key, mut envelope) = (good(), good());
    no_key.offer.encapsulated.truncate(31);
    envelope.offer.envelope.truncate(15);
    for (message, refusal) in [
        (spoofed, Refusal::Spoofed),
        (unknown, Refusal::NoSuchRecipient),
        (large, Refusal::TooLarge),
        (other_id, Refusal::Unreadable),
        (suite, Refusal::Unreadable),
        (damaged, Refusal::Unreadable),
        (short, Refusal::Unreadable),
        (swapped, Refusal::Unreadable),
        (no_key, Refusal::Unreadable),
        (envelope, Refusal::Unreadable),
    ] {
        assert_eq!(exchange(&fixture, &message).await, Some(Reply::Refused(refusal)));
    }
    assert_eq!(stored(&fixture), 0);
    fixture.shutdown().await;
}

#[tokio::test]
async fn friend_over_the_hourly_rate_is_put_off() {
    let fixture = with_friend().await;
    let unknown = sealed(&fixture, 4, "nobody@alice.example", "x");
    for _ in 0..MAIL_PER_HOUR {
        let reply = exchange(&fixture, &unknown).await;
        assert_eq!(reply, Some(Reply::Refused(Refusal::NoSuchRecipient)));
    }
    assert_eq!(exchange(&fixture, &unknown).await, Some(Reply::Later(60)));
    fixture.shutdown().await;
}
