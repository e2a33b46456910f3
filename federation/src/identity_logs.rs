//! Identity logs over the wire: fetched from peers and verified, and the owner's given out.
//!
//! An attacker gets one verification per [`LOOK_UP_COST`] of its requests; one processor at most
//! verifies for all strangers together, and a stranger's log is never stored.

use std::io;

use freehold_core::blocking::{blocking, blocking_future};
use freehold_core::identity::op::OPS_MAX;
use freehold_core::identity::{self as core_identity, IdentityLog, PersonId};
use freehold_core::identity_log;
use minicbor::bytes::ByteVec;

use crate::limits::{LOOK_UP_COST, OPS_LEN_MAX};
use crate::network::ByteStream;
use crate::peer_identity::{PeerIdentity, certifies};
use crate::peers::Peer;
use crate::state::FederationState;
use crate::wire::frame::{self, FrameError, answered_in_time};
use crate::wire::identity::{Get, Ops, PROTOCOL};

/// How often a log is fetched that has not the head of the hello.
const FETCHES_MAX: usize = 2;
/// More bytes than the longest valid log has: 256 operations of 3 KiB, and their signatures.
const LOG_LEN_MAX: usize = 1024 * 1024;

/// The result of a look-up.
#[allow(clippy::large_enum_variant, reason = "a short-lived result")]
pub(crate) enum LookUp {
    /// The log, if there is a valid one.
    Log(Option<IdentityLog>),
    /// A rate is used up, so it is not known whether there is one.
    NotNow,
}

/// The verified log of the person that a peer claims to be. Core's fork choice decides between the
/// stored and the shown version of a known person's log; an unknown person's log is taken as the
/// peer shows it and not stored.
pub(crate) async fn look_up(
    state: &FederationState,
    peer: &Peer,
    person: PersonId,
    head: &[u8; 32],
) -> Result<LookUp, FrameError> {
    let stored = stored_log(state, person).await?;
    if stored.as_ref().is_some_and(|stored| stored.head().0 == *head) {
        return Ok(LookUp::Log(stored));
    }
    let mut shown = None;
    // Two copies of a node share a key. The one that answers the request need not be the one that
    // said hello and may have an older log.
    for _ in 0..FETCHES_MAX {
        let Some(ops) = fetch(state, peer, person).await? else { break };
        let log = verified(state, peer, stored.as_ref(), person, ops).await?;
        let is_the_named = log.as_ref().is_some_and(|log| log.head().0 == *head);
        shown = Some(log);
        if is_the_named || stored.is_none() {
            break;
        }
    }
    match (stored, shown) {
        (None, None) => Ok(LookUp::NotNow),
        (None, Some(shown)) => Ok(LookUp::Log(shown)),
        (stored, Some(None) | None) => Ok(LookUp::Log(stored)),
        (Some(_), Some(Some(shown))) => {
            learn(state, &shown).await?;
            Ok(LookUp::Log(stored_log(state, person).await?))
        }
    }
}

/// The person's log in these operations; an invalid one counts as none, so the peer stays a
/// stranger.
async fn verified(
    state: &FederationState,
    peer: &Peer,
    stored: Option<&IdentityLog>,
    person: PersonId,
    ops: Vec<Vec<u8>>,
) -> io::Result<Option<IdentityLog>> {
    // Unproved peers wait for each other here: strangers, and those that only claim to be a known
    // person. One with a valid token waits for nobody. The semaphore is closed when the node stops;
    // then the look-up fails.
    let is_certified = stored.is_some_and(|stored| certifies(stored, peer.key));
    let turn = peer.invited.run_until_cancelled(state.quotas.verifying.acquire());
    let _permit =
        if is_certified { None } else { turn.await.transpose().map_err(io::Error::other)? };
    let log = blocking(move || IdentityLog::verify(&ops)).await?;
    Ok(log.ok().filter(|log| log.person() == person))
}

/// A person's stored log, which is verified again when it is read.
async fn stored_log(state: &FederationState, person: PersonId) -> io::Result<Option<IdentityLog>> {
    let node = state.node.clone();
    blocking(move || core_identity::log_of(&node, &person)).await?.map_err(io::Error::other)
}

async fn learn(state: &FederationState, log: &IdentityLog) -> io::Result<()> {
    let (node, ops) = (state.node.clone(), log.to_bytes());
    match blocking_future(async move { identity_log::learn(&node, ops).await }).await? {
        Ok((person, learned)) => {
            tracing::debug!(person = %person.short(), ?learned, "received an identity log");
        }
        Err(error) => tracing::warn!(%error, "cannot store an identity log"),
    }
    Ok(())
}

/// Stores the log of a person who is not a stranger. A stranger's is never stored: otherwise anyone
/// could fill the disk.
pub(crate) async fn store(state: &FederationState, identity: &PeerIdentity) {
    let Some(log) = &identity.log else { return };
    let stored = match stored_log(state, log.person()).await {
        Ok(Some(stored)) if stored.head() == log.head() => Ok(()),
        Ok(_) => learn(state, log).await,
        Err(error) => Err(error),
    };
    if let Err(error) = stored {
        tracing::warn!(%error, "cannot store an identity log");
    }
}

/// Fetches the unverified operations of a person's log from the peer; `None` when the peer's own
/// rate of requests is used up.
async fn fetch(
    state: &FederationState,
    peer: &Peer,
    person: PersonId,
) -> Result<Option<Vec<Vec<u8>>>, FrameError> {
    if !state.may_request(peer, LOOK_UP_COST) {
        return Ok(None);
    }
    let mut ops: Vec<Vec<u8>> = Vec::new();
    answered_in_time(async {
        let mut stream = state.network.open(peer.key, PROTOCOL).await?;
        loop {
            let from = u32::try_from(ops.len()).unwrap_or(u32::MAX);
            frame::write(&mut stream, &Get { person: person.0, from }).await?;
            let answer: Ops = frame::read(&mut stream).await?;
            let has_more = answer.more && !answer.ops.is_empty();
            ops.extend(answer.ops.into_iter().map(Vec::from));
            if ops.iter().map(Vec::len).sum::<usize>() > LOG_LEN_MAX {
                // No valid log is this long. Nothing of it is kept in memory.
                ops.clear();
                return Ok(());
            }
            if !has_more || ops.len() > OPS_MAX {
                return Ok(());
            }
        }
    })
    .await?;
    Ok(Some(ops))
}

/// Answers Gets for the owner's log on one stream. Other persons' logs are not given out: they
/// would show whom the owner knows.
pub(crate) async fn serve(
    state: &FederationState,
    peer: &Peer,
    mut stream: ByteStream,
) -> Result<(), FrameError> {
    loop {
        let get: Get = match answered_in_time(frame::read(&mut stream)).await {
            Err(FrameError::End) => return Ok(()),
            get => get?,
        };
        if !state.may_request(peer, 1) {
            return Ok(());
        }
        let log = state.node.identity.log().filter(|log| log.person().0 == get.person);
        let ops = log.map(|log| log.to_bytes()).unwrap_or_default();
        frame::write(&mut stream, &ops_from(ops, get.from)).await?;
    }
}

/// The operations from number `from` on, as many as fit one answer.
fn ops_from(ops: Vec<Vec<u8>>, from: u32) -> Ops {
    // Bytes of CBOR around each operation, and around the list, rounded up.
    const OVERHEAD: usize = 16;
    let mut remaining_len = OPS_LEN_MAX - OVERHEAD;
    let mut answer = Ops::default();
    for op in ops.into_iter().skip(usize::try_from(from).unwrap_or(usize::MAX)) {
        let len = op.len() + OVERHEAD;
        if len > remaining_len {
            answer.more = true;
            break;
        }
        remaining_len -= len;
        answer.ops.push(ByteVec::from(op));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_identity_log_is_sent_in_several_answers() {
        let ops: Vec<Vec<u8>> = (0..200u8).map(|i| vec![i; 3000]).collect();
        let mut fetched: Vec<Vec<u8>> = Vec::new();
        loop {
            let answer = ops_from(ops.clone(), u32::try_from(fetched.len()).unwrap());
            assert!(crate::wire::encode(&answer).len() <= OPS_LEN_MAX);
            fetched.extend(answer.ops.into_iter().map(Vec::from));
            if !answer.more {
                break;
            }
        }
        assert_eq!(fetched, ops);
    }
}
