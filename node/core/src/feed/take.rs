//! Taking in verified entries inside a commit: each is judged, written, and what it changes for
//! readers is returned. Entries of one author are judged in order here, so that two connections
//! cannot interleave.

use std::collections::BTreeMap;

use super::batch::{Received, Refused, rows_of};
use super::change::Change;
use super::cutoff::{CutoffStatus, cutoff_status};
use super::judge::{self, Verdict};
use super::refs::{self, Rank, RefKind};
use super::{Body, EntryId, Kind, VerifiedEntry, due, effects, forks, jobs, rows};
use crate::identity::{self, IdentityLog, PersonId};
use crate::node::Node;
use crate::store::{StoreError, Tx};

/// Takes a part of a batch. `None` when it was verified by an identity log that has changed since:
/// nothing was written then. `may_author` returns whether a person's entries are accepted.
///
/// # Errors
/// Why the batch is refused; the commit is to be dropped then.
pub(crate) fn take_all(
    tx: &mut Tx<'_>,
    node: &Node,
    entries: &[VerifiedEntry],
    authors: &BTreeMap<PersonId, IdentityLog>,
    may_author: impl Fn(&Tx<'_>, &PersonId) -> Result<bool, StoreError>,
) -> Result<Option<(Received, Vec<Change>)>, Refused> {
    let (mut done, mut changes) = (Received::default(), Vec::new());
    for log in authors.values() {
        if !identity::is_current(tx, log)? {
            return Ok(None);
        }
    }
    for entry in entries {
        let author = entry.header().log.person;
        // A friend may have been removed between the verification and this commit.
        if !may_author(tx, &author)? {
            return Err(Refused::NotAFriend(author));
        }
        take(tx, node, entry, authors.get(&author), &mut done, &mut changes)?;
    }
    Ok(Some((done, changes)))
}

fn take(
    tx: &mut Tx<'_>,
    node: &Node,
    entry: &VerifiedEntry,
    author: Option<&IdentityLog>,
    done: &mut Received,
    changes: &mut Vec<Change>,
) -> Result<(), Refused> {
    let (id, header) = (entry.id(), entry.header());
    let log = header.log;
    let (generation, cutoff_status) = match judge::judge(tx, node, entry, author)? {
        Verdict::Known(row) => {
            done.known += 1;
            return Ok(fill_in(tx, node, entry, author, &row, done, changes)?);
        }
        Verdict::Void => {
            done.voided += 1;
            return Ok(());
        }
        Verdict::OtherBranch => {
            done.voided += 1;
            return Ok(jobs::judge_again(tx, &log)?);
        }
        Verdict::Fork(row) => {
            forks::found(tx, entry, &row)?;
            done.forked.push(log);
            return Ok(());
        }
        Verdict::Next { generation, cutoff_status } => (generation, cutoff_status),
    };
    let rank = Rank::of(&id, header, generation);
    let dead = refs::is_over(tx, &id, header, node.clock.now())?;
    let with_body = !dead && !refs::is_past(tx, header, &rank)?;
    let waits = cutoff_status != CutoffStatus::NotRetired;
    let how = rows::Circumstances { seen: entry.first_seen(), with_body, generation, waits };
    rows::put_entry(tx, &id, entry.raw(), how)?;
    rows::advance(tx, &log, header.seq, &id, generation)?;
    done.accepted += 1;
    if cutoff_status == CutoffStatus::Named {
        jobs::judge_again(tx, &log)?;
    }
    if waits {
        return Ok(());
    }
    if dead {
        return Ok(effects::delete(tx, node, &log.person, &id, changes)?);
    }
    Ok(count_in(tx, node, entry, &rank, done, changes)?)
}

/// Lets an entry count that has waited until a cut-off vouched for it. Returns how many rows that
/// may have written.
pub(super) fn release(
    tx: &mut Tx<'_>,
    node: &Node,
    id: &EntryId,
    changes: &mut Vec<Change>,
) -> Result<usize, StoreError> {
    let Some((entry, generation)) = rows::verified(tx, id)? else { return Ok(0) };
    let Some(row) = rows::entry(tx, id)?.filter(|row| row.waits) else { return Ok(0) };
    let (entry, dead) = (entry.vouched(), row.dead);
    rows::release(tx, id, row)?;
    let (header, written) = (entry.header(), rows_of(&entry));
    let (author, rank) = (&header.log.person, Rank::of(id, header, generation));
    if dead || refs::is_over(tx, id, header, node.clock.now())? {
        effects::delete(tx, node, author, id, changes)?;
        return Ok(written);
    }
    if refs::is_past(tx, header, &rank)? {
        rows::drop_body(tx, id)?;
    }
    // The counts are for a peer that waits for an answer; nobody waits here.
    count_in(tx, node, &entry, &rank, &mut Received::default(), changes)?;
    if entry.body().is_none() {
        // An edit with a body may have arrived before this entry did.
        effects::project_of(tx, node, author, id, changes)?;
    }
    Ok(written)
}

/// Writes a body that came after its header: another peer had deleted the body, or was a mirror,
/// and sent the header alone.
fn fill_in(
    tx: &mut Tx<'_>,
    node: &Node,
    entry: &VerifiedEntry,
    author: Option<&IdentityLog>,
    row: &rows::EntryRow,
    done: &mut Received,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let rank = Rank::of(&entry.id(), entry.header(), row.generation);
    if row.dead || row.has_body() || entry.raw().body.is_none() {
        return Ok(());
    }
    if refs::is_past(tx, entry.header(), &rank)? {
        // A replaced edit counts again if the entry that replaced it turns out to be void.
        return if row.waits { Ok(()) } else { effects::note_past(tx, entry, &rank) };
    }
    let how = rows::Circumstances {
        seen: row.seen,
        with_body: true,
        generation: row.generation,
        waits: row.waits,
    };
    rows::put_entry(tx, &entry.id(), entry.raw(), how)?;
    if row.waits {
        return Ok(());
    }
    match cutoff_status(tx, entry, author)? {
        CutoffStatus::Vouched => count_in(tx, node, &entry.clone().vouched(), &rank, done, changes),
        _ => count_in(tx, node, entry, &rank, done, changes),
    }
}

/// Lets an entry take effect, or schedules it if its author's clock is ahead.
fn count_in(
    tx: &mut Tx<'_>,
    node: &Node,
    entry: &VerifiedEntry,
    rank: &Rank,
    done: &mut Received,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let (header, now) = (entry.header(), node.clock.now());
    if let Some(at) = header.expires {
        due::expire_at(tx, at, &entry.id())?;
    }
    // A tombstone takes effect at once even if the author's clock is ahead, so that its target is
    // deleted as soon as possible.
    if header.kind != Kind::Tombstone && header.hlc.is_ahead_of(now) {
        done.held += 1;
        if let (Some(Body::Edit { .. }), Some(of)) = (entry.body(), header.refs.first()) {
            refs::put(tx, of, &header.log.person, RefKind::WillReplace, rank)?;
        }
        return due::release_at(tx, header.hlc.time(), rank);
    }
    if node.identity.person() == Some(header.log.person) && !header.hlc.is_ahead_of(now) {
        let merged = rows::clock(tx)?.max(header.hlc);
        rows::put_clock(tx, merged)?;
    }
    effects::of_received(tx, node, entry, rank.generation, changes)
}
