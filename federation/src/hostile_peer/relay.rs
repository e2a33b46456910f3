//! A hostile friend who wants mail sent to the world: without leave, spoofed, too much, or twice.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use freehold_core::mailbox::queue::{self, QueuedMessage};
use freehold_core::mailbox::relay;
use freehold_core::sealed_stream::{Piece, Sealer};
use freehold_core::smarthost::{self, Smarthost};

use super::mail::{MALLORY, text, with_friend};
use super::*;
use crate::limits::{MAIL_PER_HOUR, MAIL_PIECE_LEN};
use crate::wire;
use crate::wire::mail::Offer;
use crate::wire::relay::{Cause, Envelope, PROTOCOL, Refusal, Reply, To};

const FAR: &str = "dora@far.house";

/// Alice's node sends mail by a smarthost, and Mallory's with it.
async fn allowed() -> Fixture {
    let fixture = with_friend().await;
    let smarthost = Smarthost::new("smtp.example.com", "alice", "x").unwrap();
    smarthost::set(&fixture.alice, smarthost).await.unwrap();
    friends::set_relayed(&fixture.alice, person_id(&fixture.mallory), true).await.unwrap();
    fixture
}

struct Sealed {
    offer: Offer,
    pieces: Vec<Vec<u8>>,
}

fn sealed(fixture: &Fixture, id: u8, to: &[&str], text: &str) -> Sealed {
    let id = [id; 16];
    let (from, receiver) =
        (fixture.state.network.me().0, *fixture.alice.identity.node_key().as_bytes());
    let info = [freehold_core::domains::RELAY.bytes(), &from, &receiver, &id].concat();
    let kem = fixture.alice.identity.kem_key();
    let (mut sealer, encapsulated) = Sealer::new(&kem, &info, &fixture.mallory.random).unwrap();
    let to = to.iter().map(|to| To { address: (*to).to_owned(), reports: 3 }).collect();
    let envelope = wire::encode(&Envelope { from: MALLORY.to_owned(), to });
    let envelope = sealer.seal(&envelope, Piece::Head).unwrap();
    let offer = Offer { id, size: text.len() as u64, suite: 1, encapsulated, envelope };
    let mut parts = text.as_bytes().chunks(MAIL_PIECE_LEN).peekable();
    let mut pieces = Vec::new();
    while let Some(part) = parts.next() {
        let kind = if parts.peek().is_none() { Piece::Last } else { Piece::Part };
        pieces.push(sealer.seal(part, kind).unwrap());
    }
    Sealed { offer, pieces }
}

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

fn queued(fixture: &Fixture) -> Vec<QueuedMessage> {
    queue::queued(&fixture.alice, 10).unwrap()
}

#[tokio::test]
async fn friend_without_leave_is_relayed_nowhere() {
    let fixture = with_friend().await;
    let message = sealed(&fixture, 1, &[FAR], &text(MALLORY));
    let refused = exchange(&fixture, &message).await;
    assert_eq!(refused, Some(Reply::Refused(Refusal::NotAllowed)));
    assert_eq!(queued(&fixture), []);
    fixture.shutdown().await;
}

#[tokio::test]
async fn hostile_relay_offers_are_refused() {
    let fixture = allowed().await;
    let good = || sealed(&fixture, 2, &[FAR], &text(MALLORY));
    let spoofed = sealed(&fixture, 2, &[FAR], &text("bob@bob.house"));
    let back = sealed(&fixture, 2, &[MALLORY, "x@y.example"], &text(MALLORY));
    let nobody = sealed(&fixture, 2, &[], &text(MALLORY));
    let (mut large, mut other_id, mut damaged) = (good(), good(), good());
    large.offer.size = 51 * 1024 * 1024;
    other_id.offer.id = [3; 16];
    damaged.pieces[1][7] ^= 1;
    for (message, refusal) in [
        (spoofed, Refusal::Spoofed),
        (back, Refusal::NoRecipient),
        (nobody, Refusal::Unreadable),
        (large, Refusal::TooLarge),
        (other_id, Refusal::Unreadable),
        (damaged, Refusal::Unreadable),
    ] {
        assert_eq!(exchange(&fixture, &message).await, Some(Reply::Refused(refusal)));
    }
    assert_eq!(
        (relay::unverified(&fixture.alice, 10).unwrap().len(), queued(&fixture)),
        (0, vec![])
    );
    fixture.shutdown().await;
}

#[tokio::test]
async fn relayed_message_offered_again_is_queued_once() {
    let fixture = allowed().await;
    let message = sealed(&fixture, 1, &[FAR, MALLORY], &text(MALLORY));
    // The sender stops after the last piece and does not hear the answer.
    let mut stream = fixture.open(PROTOCOL).await;
    frame::write(&mut stream, &message.offer).await.unwrap();
    let reply = frame::read::<Reply, _>(&mut stream).await.unwrap();
    assert_eq!(reply, Reply::Send(vec![1]), "her own domain is not relayed to");
    for piece in &message.pieces {
        frame::write_bytes(&mut stream, piece).await.unwrap();
    }
    futures::AsyncWriteExt::flush(&mut stream).await.unwrap();
    let mut events = fixture.alice.events.subscribe();
    let waiting = loop {
        if let Some(waiting) = relay::unverified(&fixture.alice, 1).unwrap().pop() {
            break waiting;
        }
        let _ = tokio::time::timeout(TIMEOUT, events.recv()).await.unwrap();
    };
    // Mail has verified the signature.
    relay::accept(&fixture.alice, waiting.key).await.unwrap();
    drop(stream);
    // The first exchange may not have ended yet: then the offer gets no answer.
    let again = sealed(&fixture, 1, &[FAR, MALLORY], &text(MALLORY));
    let reply = loop {
        if let Some(reply) = exchange(&fixture, &again).await {
            break reply;
        }
    };
    assert_eq!(reply, Reply::Accepted(vec![1]));
    let item = queued(&fixture).remove(0);
    assert_eq!((queued(&fixture).len(), item.recipients.len()), (1, 1));
    assert_eq!(item.on_behalf, Some(person_id(&fixture.mallory)));
    queue::drop_item(&fixture.alice, item.id).await.unwrap();
    let report = queued(&fixture).remove(0);
    assert_eq!((report.from.as_str(), report.recipients[0].address.as_str()), ("", MALLORY));
    queue::drop_item(&fixture.alice, report.id).await.unwrap();
    fixture.shutdown().await;
}

#[tokio::test]
async fn friend_over_the_hourly_rate_is_not_relayed_now() {
    let fixture = allowed().await;
    let nowhere = sealed(&fixture, 4, &["x@y.example"], "x");
    for _ in 0..MAIL_PER_HOUR {
        let reply = exchange(&fixture, &nowhere).await;
        assert_eq!(reply, Some(Reply::Refused(Refusal::NoRecipient)));
    }
    assert_eq!(exchange(&fixture, &nowhere).await, Some(Reply::Later(60, Cause::Busy)));
    fixture.shutdown().await;
}
