//! Taking in entries from another node. What an attacker gets: a batch with one bad entry is
//! refused whole; a replay changes nothing; a gap or a wrong predecessor is refused; two entries at
//! one place of a log are kept as proof and end that log; nothing of a stranger is stored.
//! Signatures are verified before the commit, order inside it, so that two connections cannot
//! interleave.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::cutoff::{Standing, standing};
use super::refs::{self, Rank, RefKind};
use super::{
    Body, EntryHeader, EntryId, FeedLogId, Kind, RawEntry, due, effects, forks, jobs, rows,
};
use super::{EntryError, VerifiedEntry};
use crate::friendship;
use crate::identity::{self, IdentityLog, PersonId};
use crate::node::Node;
use crate::store::{StoreError, Tx};

/// Entries taken in one call, at most.
pub const RECEIVE_MAX: usize = 256;
/// Entries in one commit, at most.
const COMMIT_ENTRIES_MAX: usize = 32;
/// Bytes of entries in one commit, at most (a commit may carry 1 MiB).
const COMMIT_LEN_MAX: usize = 384 * 1024;
/// Rows that entries may write in one commit, at most (a commit may write 1,000).
const COMMIT_ROWS_MAX: usize = 800;
/// Rows of any entry.
const ROWS_EACH: usize = 15;
/// Rows of one photo.
const ROWS_PER_PHOTO: usize = 4;
/// A body lies in rows of at least so many bytes.
const PIECE_LEN_MIN: usize = 2048;

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Entries that are new and now durable.
    pub accepted: usize,
    /// Entries that were held already.
    pub known: usize,
    /// Of the accepted ones, those that wait for their time.
    pub held: usize,
    /// Entries that count for nothing, and are not kept: of logs that ended in a fork earlier,
    /// beyond a retired node's cut-offs, of a person whose identity has ended, or by a key that
    /// only a newer program can verify.
    pub voided: usize,
    /// Logs found forked by this batch: nothing more of them is taken.
    pub forked: Vec<FeedLogId>,
}

/// Why a batch is refused.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refused {
    /// More than [`RECEIVE_MAX`] entries.
    #[error("{0} entries at once are too many")]
    TooMany(usize),
    /// The peer or the author is not a friend.
    #[error("{0} is not a friend")]
    NotAFriend(PersonId),
    /// The author's identity log is not known here yet.
    #[error("the identity log of {0} is not known here")]
    UnknownAuthor(PersonId),
    /// An entry is bad in itself.
    #[error("entry {at} of the batch: {cause}")]
    Entry {
        /// Which, from 0.
        at: usize,
        /// What is wrong with it.
        cause: EntryError,
    },
    /// Entries before it are missing.
    #[error("entries of a log are missing before {seq}, {expected} would be next")]
    Gap {
        /// The log.
        log: FeedLogId,
        /// The entry's place.
        seq: u64,
        /// The place that is next here.
        expected: u64,
    },
    /// It names another predecessor than the one held here.
    #[error("entry {seq} of a log names another predecessor")]
    Predecessor {
        /// The log.
        log: FeedLogId,
        /// The entry's place.
        seq: u64,
    },
    /// What stood in this log before it was cut is still being undone, place by place: whatever is
    /// taken now would be undone with it.
    #[error("a log that was cut is still being undone")]
    BeingCut(FeedLogId),
    /// It claims to be from this very process, which did not write it.
    #[error("an entry of this process that this process did not write")]
    NotMine(FeedLogId),
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Verifies and stores what a peer brought: all in order, each part of a batch durable before the
/// next. `from` is the person whose node the connection has proved.
///
/// # Errors
/// Why the batch is refused. What came before a refused part stays (it was verified on its own);
/// sending it again is harmless.
pub async fn receive(
    node: &Node,
    from: PersonId,
    entries: Vec<RawEntry>,
) -> Result<Received, Refused> {
    if entries.len() > RECEIVE_MAX {
        return Err(Refused::TooMany(entries.len()));
    }
    let own = node.identity.person();
    if own != Some(from) && !friendship::is_friend(node, &from)? {
        return Err(Refused::NotAFriend(from));
    }
    let mut done = Received::default();
    let mut verified = verify_all(node, &entries, &mut done.voided)?;
    while let Some(part) = verified.next_part() {
        let (inside, taking) = (node.clone(), part.clone());
        let logs = verified.authors.clone();
        match node.store.commit(move |tx| take_all(tx, &inside, &taking, &logs)).await {
            Ok(Some(taken)) => done.add(taken),
            // An author's identity log has changed meanwhile: what it certifies is looked at anew.
            Ok(None) => {
                let rest: Vec<_> =
                    part.iter().chain(&verified.entries).map(|entry| entry.raw().clone()).collect();
                verified = verify_all(node, &rest, &mut done.voided)?;
            }
            // What the rows were reckoned to be was too little: the halves are taken on their own.
            Err(Refused::Store(StoreError::TooLarge { .. })) if part.len() > 1 => {
                verified.put_back_halved(&part)
            }
            Err(refused) => return Err(refused),
        }
    }
    Ok(done)
}

impl Received {
    fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.known += other.known;
        self.held += other.held;
        self.voided += other.voided;
        self.forked.extend(other.forked);
    }
}

/// What is still to be taken, and the identity logs it was verified by.
struct Verified {
    entries: VecDeque<VerifiedEntry>,
    authors: Arc<BTreeMap<PersonId, IdentityLog>>,
    /// Entries in one commit, at most.
    part_max: usize,
}

impl Verified {
    /// As many of the next entries as one commit can take.
    fn next_part(&mut self) -> Option<Arc<Vec<VerifiedEntry>>> {
        let (mut part, mut len, mut rows) = (Vec::new(), 0, 0);
        while let Some(entry) = self.entries.pop_front() {
            len += weight(&entry);
            rows += rows_of(&entry);
            if !part.is_empty()
                && (part.len() >= self.part_max || len > COMMIT_LEN_MAX || rows > COMMIT_ROWS_MAX)
            {
                self.entries.push_front(entry);
                break;
            }
            part.push(entry);
        }
        (!part.is_empty()).then(|| Arc::new(part))
    }

    /// Takes back a part that was too large; the parts that follow are at most half as long.
    fn put_back_halved(&mut self, part: &[VerifiedEntry]) {
        self.part_max = part.len().div_ceil(2);
        for entry in part.iter().rev() {
            self.entries.push_front(entry.clone());
        }
    }
}

fn weight(entry: &VerifiedEntry) -> usize {
    entry.raw().header.len() + entry.raw().body.as_ref().map_or(0, Vec::len)
}

/// How many rows an entry may write, at most: its own places, its body's pieces, and what it shows
/// or wants of each photo.
fn rows_of(entry: &VerifiedEntry) -> usize {
    let photos = entry.body().and_then(Body::post).map_or(0, |post| post.photos.len());
    ROWS_EACH + weight(entry) / PIECE_LEN_MIN + ROWS_PER_PHOTO * photos
}

/// Verifies entries; those that count for nothing are only counted.
fn verify_all(node: &Node, raw: &[RawEntry], voided: &mut usize) -> Result<Verified, Refused> {
    let now = node.clock.now();
    let mut authors: BTreeMap<PersonId, IdentityLog> = BTreeMap::new();
    let mut entries = VecDeque::with_capacity(raw.len());
    for (at, raw) in raw.iter().enumerate() {
        let refused = |cause| Refused::Entry { at, cause };
        let author = match EntryHeader::from_canonical(&raw.header) {
            Ok(header) => header.log.person,
            Err(cause) if EntryHeader::is_of_a_newer_suite(&cause) => {
                *voided += 1;
                continue;
            }
            Err(cause) => return Err(refused(EntryError::EntryHeader(cause))),
        };
        if let std::collections::btree_map::Entry::Vacant(free) = authors.entry(author) {
            if node.identity.person() != Some(author) && !friendship::is_friend(node, &author)? {
                return Err(Refused::NotAFriend(author));
            }
            free.insert(
                identity::stored_log(&node.store, &author, now)?
                    .ok_or(Refused::UnknownAuthor(author))?,
            );
        }
        let log = authors.get(&author).ok_or(Refused::UnknownAuthor(author))?;
        match VerifiedEntry::verify(raw.clone(), log, now) {
            Ok(entry) => entries.push_back(entry),
            // An honest node that has not heard of it yet, or an old backup, may still bring these.
            Err(EntryError::Retired | EntryError::Ended) => *voided += 1,
            Err(cause) => return Err(refused(cause)),
        }
    }
    Ok(Verified { entries, authors: Arc::new(authors), part_max: COMMIT_ENTRIES_MAX })
}

/// Takes a part of a batch; `None` if it was verified by an identity log that is no longer the one
/// that holds.
fn take_all(
    tx: &mut Tx<'_>,
    node: &Node,
    entries: &[VerifiedEntry],
    authors: &BTreeMap<PersonId, IdentityLog>,
) -> Result<Option<Received>, Refused> {
    let mut done = Received::default();
    for log in authors.values() {
        if !identity::is_current(tx, log)? {
            return Ok(None);
        }
    }
    for entry in entries {
        let author = entry.header().log.person;
        // A friend may have been removed between the look before and this commit.
        if node.identity.person() != Some(author) && !friendship::is_friend_in(tx, &author)? {
            return Err(Refused::NotAFriend(author));
        }
        take(tx, node, entry, authors.get(&author), &mut done)?;
    }
    Ok(Some(done))
}

fn take(
    tx: &mut Tx<'_>,
    node: &Node,
    entry: &VerifiedEntry,
    author: Option<&IdentityLog>,
    done: &mut Received,
) -> Result<(), Refused> {
    let (id, header) = (entry.id(), entry.header());
    let log = header.log;
    if jobs::is_being_cut(tx, &log)? {
        return Err(Refused::BeingCut(log));
    }
    // What was void is taken anew: it would not have been verified if it still were.
    if let Some(row) = rows::entry(tx, &id)?.filter(|row| !row.void) {
        done.known += 1;
        return Ok(fill_in(tx, node, entry, author, &row, done)?);
    }
    if log.node == node.identity.node_key() && log.epoch == node.identity.epoch() {
        return Err(Refused::NotMine(log));
    }
    let standing = standing(tx, entry, author)?;
    // At a place that is vouched for another entry is held: this one is of a branch that is not
    // reached.
    if matches!(standing, Standing::Void | Standing::Vouched) {
        done.voided += 1;
        return Ok(());
    }
    // What is held is another branch than the named one, and makes room for it.
    if standing == Standing::Named && rows::log(tx, &log)?.is_some_and(|held| held.hi >= header.seq)
    {
        done.voided += 1;
        return Ok(jobs::judge_again(tx, &log)?);
    }
    let generation = match rows::log(tx, &log)? {
        // Of two forks of one log the earlier one is where it ends.
        Some(row)
            if header.seq <= row.hi
                && forks::place(tx, &log)?.is_none_or(|known| header.seq < known) =>
        {
            forks::found(tx, entry, &row)?;
            done.forked.push(log);
            return Ok(());
        }
        Some(row) if row.retired => {
            done.voided += 1;
            return Ok(());
        }
        Some(row) if header.seq > row.hi + 1 => {
            return Err(Refused::Gap { log, seq: header.seq, expected: row.hi + 1 });
        }
        Some(row) if header.prev != Some(EntryId(row.head)) => {
            return Err(Refused::Predecessor { log, seq: header.seq });
        }
        Some(row) => row.generation,
        // It continues from what is void: a peer that has not heard of the retirement would bring
        // it again and again.
        None if standing == Standing::Open
            && (header.seq > 0
                || matches!(first_of_epoch(tx, header), Err(Refused::Predecessor { .. }))) =>
        {
            done.voided += 1;
            return Ok(());
        }
        None if header.seq > 0 => return Err(Refused::Gap { log, seq: header.seq, expected: 0 }),
        None => first_of_epoch(tx, header)?,
    };

    let now = node.clock.now();
    let rank = Rank::of(&id, header, generation);
    let dead = refs::is_over(tx, &id, header, now)?;
    let with_body = !dead && !refs::is_past(tx, header, &rank)?;
    let waits = standing != Standing::Free;
    rows::put_entry(
        tx,
        &id,
        entry.raw(),
        rows::Circumstances { seen: entry.first_seen(), with_body, generation, waits },
    )?;
    rows::advance(tx, &log, header.seq, &id, generation)?;
    done.accepted += 1;
    if standing == Standing::Named {
        jobs::judge_again(tx, &log)?;
    }
    if waits {
        return Ok(());
    }
    if dead {
        return Ok(effects::take_back(tx, node, &log.person, &id)?);
    }
    Ok(show(tx, node, entry, &rank, done)?)
}

/// Lets an entry count that has waited until a cut-off vouched for it; gives how many rows that may
/// have written.
pub(super) fn release(tx: &mut Tx<'_>, node: &Node, id: &EntryId) -> Result<usize, StoreError> {
    let Some((entry, generation)) = rows::verified(tx, id)? else { return Ok(0) };
    let Some(row) = rows::entry(tx, id)?.filter(|row| row.waits) else { return Ok(0) };
    let (entry, dead) = (entry.vouched(), row.dead);
    rows::release(tx, id, row)?;
    let (header, written) = (entry.header(), rows_of(&entry));
    let (author, rank) = (&header.log.person, Rank::of(id, header, generation));
    if dead || refs::is_over(tx, id, header, node.clock.now())? {
        effects::take_back(tx, node, author, id)?;
        return Ok(written);
    }
    if refs::is_past(tx, header, &rank)? {
        rows::drop_body(tx, id)?;
    }
    // Nobody waits here to be told what has become of it.
    show(tx, node, &entry, &rank, &mut Received::default())?;
    if entry.body().is_none() {
        // Its edit may have come with a body, and have found nothing yet that it could replace.
        effects::settle_of(tx, node, author, id)?;
    }
    Ok(written)
}

/// A body that comes after its header: a peer that had deleted it, or a mirror, brought only the
/// header before.
fn fill_in(
    tx: &mut Tx<'_>,
    node: &Node,
    entry: &VerifiedEntry,
    author: Option<&IdentityLog>,
    row: &rows::EntryRow,
    done: &mut Received,
) -> Result<(), StoreError> {
    let rank = Rank::of(&entry.id(), entry.header(), row.generation);
    if row.dead || row.has_body() || entry.raw().body.is_none() {
        return Ok(());
    }
    if refs::is_past(tx, entry.header(), &rank)? {
        // An edit that is past now counts again if what made it so turns out to be void.
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
    match standing(tx, entry, author)? {
        Standing::Vouched => show(tx, node, &entry.clone().vouched(), &rank, done),
        _ => show(tx, node, entry, &rank, done),
    }
}

fn show(
    tx: &mut Tx<'_>,
    node: &Node,
    entry: &VerifiedEntry,
    rank: &Rank,
    done: &mut Received,
) -> Result<(), StoreError> {
    let (header, now) = (entry.header(), node.clock.now());
    if let Some(at) = header.expires {
        due::expire_at(tx, at, &entry.id())?;
    }
    // What a tombstone takes back should be gone the sooner the better, whatever the author's clock
    // says.
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
    effects::of_received(tx, node, entry, rank.generation)
}

/// How many epochs came before the one that this entry opens. Its predecessor must be held already,
/// in the same lane of the same node; only after a fork may it be one of those that were not taken.
fn first_of_epoch(tx: &Tx<'_>, header: &EntryHeader) -> Result<u64, Refused> {
    let Some(prev) = header.prev else { return Ok(0) };
    let refused = Refused::Predecessor { log: header.log, seq: header.seq };
    let (before, generation) = match rows::entry(tx, &prev)? {
        Some(row) => (rows::header(&prev, &row)?.log, row.generation),
        None => return forks::generation(tx, &header.log)?.map(|forked| forked + 1).ok_or(refused),
    };
    let same_lane = FeedLogId { epoch: header.log.epoch, ..before } == header.log;
    if !same_lane || before.epoch == header.log.epoch {
        return Err(refused);
    }
    Ok(generation + 1)
}
