//! Saying hello, and judging whether a peer is who it says. The steps are told in `wire::hello`.
//!
//! What an attacker gets: [`LOOK_UP_COST`] of its requests for each log that this node fetches and
//! verifies, one at a time, and one processor for all strangers together; nothing of a stranger's
//! is kept.

use std::io;
use std::sync::{Arc, PoisonError};

use freehold_core::identity::{self as core_identity, IdentityLog, PersonId};
use freehold_core::identity_log;
use minicbor::bytes::ByteVec;

use crate::aside;
use crate::limits::{ANSWER_TIMEOUT, LOOK_UP_COST};
use crate::network::ByteStream;
use crate::peers::{Peer, Shared};
use crate::standing::{self, Relation, Standing, names};
use crate::wire::frame::{self, FrameError};
use crate::wire::hello::{Hello, PROTOCOL};
use crate::wire::identity::{self, Get, Ops};

/// Operations a log may have; core's own limit.
const OPS_MAX: usize = freehold_core::identity::op::OPS_MAX;

fn own(shared: &Shared) -> Hello {
    let log = shared.node.identity.log();
    Hello {
        person: log.as_ref().map(|log| log.person().0),
        ops: log.as_ref().map_or(0, |log| u32::try_from(log.ops().len()).unwrap_or(u32::MAX)),
        head: log.as_ref().map_or([0; 32], |log| log.head().0),
        capabilities: 0,
        versions: vec![1],
        run: shared.run,
    }
}

/// Says hello to a peer that was called, and judges its answer.
pub(crate) async fn greet(shared: &Shared, peer: &Peer) -> Result<(), FrameError> {
    let exchange = async {
        let mut stream = shared.network.open(peer.key, PROTOCOL).await?;
        frame::write(&mut stream, &own(shared)).await?;
        frame::read::<Hello, _>(&mut stream).await
    };
    judge(shared, peer, within(exchange).await?).await
}

/// Answers a peer's hello, and judges it.
pub(crate) async fn answer(
    shared: &Shared,
    peer: &Peer,
    mut stream: ByteStream,
) -> Result<(), FrameError> {
    if !peer.may_ask(shared, 1) {
        return Ok(());
    }
    let exchange = async {
        let hello = frame::read::<Hello, _>(&mut stream).await?;
        frame::write(&mut stream, &own(shared)).await?;
        Ok(hello)
    };
    let hello = within(exchange).await?;
    let before = peer.run.lock().unwrap_or_else(PoisonError::into_inner).replace(hello.run);
    if before.is_some_and(|before| before != hello.run) {
        shared.network.keep_newest(peer.key);
    }
    judge(shared, peer, hello).await
}

/// Whoever keeps us waiting is waited for no longer.
pub(crate) async fn within<T>(
    work: impl Future<Output = Result<T, FrameError>>,
) -> Result<T, FrameError> {
    let late = |_| FrameError::Io(std::io::ErrorKind::TimedOut.into());
    tokio::time::timeout(ANSWER_TIMEOUT, work).await.map_err(late)?
}

/// Looks up who the peer is and writes down its standing. One at a time: two hellos at once are as
/// good as one.
async fn judge(shared: &Shared, peer: &Peer, hello: Hello) -> Result<(), FrameError> {
    let _alone = peer.judging.lock().await;
    let log = match hello.person {
        Some(person) => look_up(shared, peer, PersonId(person), &hello.head)
            .await?
            .filter(|log| names(log, peer.key))
            .map(Arc::new),
        None => None,
    };
    let person = log.as_ref().map(|log| log.person());
    let standing = Standing { person, log, relation: standing::relation(&shared.node, person) };
    match standing.relation {
        Relation::Friend => keep(shared, &standing).await,
        // Known by another key than the one that is refused at the door.
        Relation::Blocked => shared.network.hangup(peer.key),
        Relation::Asked | Relation::Leaving | Relation::Stranger => {}
    }
    peer.standing.send_replace(Some(standing));
    // The log may have changed since it was read, and nobody would look again.
    peer.renew(shared).await;
    Ok(())
}

/// The log of who the peer says it is. Of two versions core's fork choice decides which holds, for
/// whoever is known here; the log of anyone else is taken as the peer shows it, and forgotten with
/// the connection.
async fn look_up(
    shared: &Shared,
    peer: &Peer,
    person: PersonId,
    head: &[u8; 32],
) -> Result<Option<IdentityLog>, FrameError> {
    let held = held(shared, person).await?;
    if held.as_ref().is_some_and(|held| held.head().0 == *head) {
        return Ok(held);
    }
    let Some(ops) = fetch(shared, peer, person).await? else { return Ok(held) };
    // Strangers wait for each other here, and so does who only claims to be somebody known; the
    // closed gate of a node that stops lets nobody through.
    let is_proved = held.as_ref().is_some_and(|held| names(held, peer.key));
    let _turn = if is_proved {
        None
    } else {
        Some(shared.verifying.acquire().await.map_err(io::Error::other)?)
    };
    // A log that does not hold is the same as none: the peer stays a stranger.
    let shown = aside::blocking(move || IdentityLog::verify(&ops))
        .await?
        .ok()
        .filter(|log| log.person() == person);
    match (held, shown) {
        (None, shown) => Ok(shown),
        (held, None) => Ok(held),
        (Some(_), Some(shown)) => {
            learn(shared, &shown).await?;
            Ok(self::held(shared, person).await?)
        }
    }
}

/// A person's log as it is kept here, which reading verifies anew.
async fn held(shared: &Shared, person: PersonId) -> io::Result<Option<IdentityLog>> {
    let node = shared.node.clone();
    aside::blocking(move || core_identity::log_of(&node, &person)).await?.map_err(io::Error::other)
}

async fn learn(shared: &Shared, log: &IdentityLog) -> io::Result<()> {
    let (node, ops) = (shared.node.clone(), log.to_bytes());
    match aside::computing(async move { identity_log::learn(&node, ops).await }).await? {
        Ok((person, learned)) => {
            tracing::debug!(person = %person.short(), ?learned, "an identity log was shown")
        }
        Err(error) => tracing::warn!(%error, "cannot keep an identity log"),
    }
    Ok(())
}

/// Keeps the log of somebody who matters here. A stranger's is only looked at, or anyone could fill
/// the disk.
pub(crate) async fn keep(shared: &Shared, standing: &Standing) {
    let Some(log) = &standing.log else { return };
    let kept = match held(shared, log.person()).await {
        Ok(Some(known)) if known.head() == log.head() => Ok(()),
        Ok(_) => learn(shared, log).await,
        Err(error) => Err(error),
    };
    if let Err(error) = kept {
        tracing::warn!(%error, "cannot keep an identity log");
    }
}

/// More bytes than the longest valid log has: 256 ops of 3 KiB, and their signatures.
const LOG_LEN_MAX: usize = 1024 * 1024;

/// Asks the peer for the operations of a person's log, none of which is believed yet; `None` when
/// it has asked too much itself.
async fn fetch(
    shared: &Shared,
    peer: &Peer,
    person: PersonId,
) -> Result<Option<Vec<Vec<u8>>>, FrameError> {
    if !peer.may_ask(shared, LOOK_UP_COST) {
        return Ok(None);
    }
    let mut ops: Vec<Vec<u8>> = Vec::new();
    within(async {
        let mut stream = shared.network.open(peer.key, identity::PROTOCOL).await?;
        loop {
            frame::write(
                &mut stream,
                &Get { person: person.0, from: u32::try_from(ops.len()).unwrap_or(u32::MAX) },
            )
            .await?;
            let answer: Ops = frame::read(&mut stream).await?;
            let more = answer.more && !answer.ops.is_empty();
            ops.extend(answer.ops.into_iter().map(Vec::from));
            if ops.iter().map(Vec::len).sum::<usize>() > LOG_LEN_MAX {
                // No valid log is as long; whoever sends one wants to be remembered for it.
                ops.clear();
                return Ok(());
            }
            if !more || ops.len() > OPS_MAX {
                return Ok(());
            }
        }
    })
    .await?;
    Ok(Some(ops))
}

/// Answers questions about identity logs on one stream.
pub(crate) async fn serve_identity(
    shared: &Shared,
    peer: &Peer,
    mut stream: ByteStream,
) -> Result<(), FrameError> {
    loop {
        let get: Get = match within(frame::read(&mut stream)).await {
            Err(FrameError::End) => return Ok(()),
            get => get?,
        };
        if !peer.may_ask(shared, 1) {
            return Ok(());
        }
        // The owner's alone: whom else this node knows is nobody's business.
        let log = shared.node.identity.log().filter(|log| log.person().0 == get.person);
        let ops = log.map(|log| log.to_bytes()).unwrap_or_default();
        frame::write(&mut stream, &part(ops, get.from)).await?;
    }
}

/// The operations from number `from` on, as many as one answer holds.
fn part(ops: Vec<Vec<u8>>, from: u32) -> Ops {
    // What CBOR wraps around an operation, and around them all.
    const WRAPPING: usize = 16;
    let mut room = crate::limits::OPS_LEN_MAX - WRAPPING;
    let mut answer = Ops::default();
    for op in ops.into_iter().skip(usize::try_from(from).unwrap_or(usize::MAX)) {
        let len = op.len() + WRAPPING;
        if len > room {
            answer.more = true;
            break;
        }
        room -= len;
        answer.ops.push(ByteVec::from(op));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_too_long_for_one_answer_comes_in_parts() {
        let ops: Vec<Vec<u8>> = (0..200u8).map(|i| vec![i; 3000]).collect();
        let mut got: Vec<Vec<u8>> = Vec::new();
        loop {
            let answer = part(ops.clone(), u32::try_from(got.len()).unwrap());
            assert!(crate::wire::encode(&answer).len() <= crate::limits::OPS_LEN_MAX);
            got.extend(answer.ops.into_iter().map(Vec::from));
            if !answer.more {
                break;
            }
        }
        assert_eq!(got, ops);
    }
}
