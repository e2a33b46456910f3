//! What an entry does once it is stored: shows a post, replaces it, takes it back, moves a home.
//!
//! The outcome does not depend on the order in which entries of different logs arrive: edits are ordered by (epoch chain, seq), and a
//! tombstone that comes before what it takes back waits for it.

use minicbor::{Decode, Encode};

use super::verify::VerifiedEntry;
use super::{Body, EntryId, Header, Kind, PostBody, rows};
use crate::events::Event;
use crate::identity::PersonId;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};
use crate::timeline;

/// Entries that refer to one entry and are looked at, at most.
const REFERRING_MAX: usize = 1_024;

/// Target entry ‖ referring entry → what the referring one does to it.
#[derive(Encode, Decode)]
#[cbor(map)]
struct RefRow {
    /// [`Kind::Edit`] or [`Kind::Tombstone`], as a number.
    #[n(0)]
    kind: u64,
    #[cbor(n(1), with = "minicbor::bytes")]
    person: [u8; 32],
    #[n(2)]
    generation: u64,
    #[n(3)]
    seq: u64,
}

impl Record for RefRow {
    const TABLE: Table = Table::new("feed_refs");
    const VERSION: u8 = 1;
}

/// Person ‖ kind (one byte) → the entry that counts: the last Profile, the Homes of the highest version.
#[derive(Encode, Decode)]
#[cbor(map)]
struct LatestRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    entry: [u8; 32],
    /// Higher counts: a version, or an epoch's place in its chain.
    #[n(1)]
    major: u64,
    #[n(2)]
    minor: u64,
}

impl Record for LatestRow {
    const TABLE: Table = Table::new("feed_latest");
    const VERSION: u8 = 1;
}

/// What an own entry does. The author's posts are the posts noun's own; only what every reader does with them happens here.
pub(super) fn of_own(tx: &mut Tx<'_>, id: &EntryId, header: &Header, generation: u64, body: &Body) -> Result<(), StoreError> {
    match body {
        Body::Edit { of, .. } => refer(tx, id, header, generation, of),
        Body::Tombstone { of } => {
            refer(tx, id, header, generation, of)?;
            delete_bodies(tx, &header.log.person, of).map(|_| ())
        }
        _ => latest(tx, id, header, generation, body),
    }
}

/// What a received entry does.
pub(super) fn of_received(tx: &mut Tx<'_>, node: &Node, entry: &VerifiedEntry, generation: u64) -> Result<(), StoreError> {
    let (id, header) = (entry.id(), entry.header());
    let Some(body) = entry.body() else { return Ok(()) };
    match body {
        Body::Post(post) => {
            timeline::apply(tx, &version(node, entry, post))?;
            show_newest_edit(tx, node, &header.log.person, &id)
        }
        Body::Edit { of, .. } => {
            refer(tx, &id, header, generation, of)?;
            show_newest_edit(tx, node, &header.log.person, of)
        }
        Body::Tombstone { of } => {
            refer(tx, &id, header, generation, of)?;
            take_back(tx, node, &header.log.person, of)
        }
        _ => latest(tx, &id, header, generation, body),
    }
}

/// What the timeline is told of a version of a post.
fn version<'a>(node: &Node, entry: &VerifiedEntry, post: &'a PostBody) -> timeline::Verified<'a> {
    let author = entry.header().log.person;
    timeline::Verified {
        author,
        entry: entry.id(),
        at: entry.header().hlc.time(),
        first_seen: entry.first_seen(),
        has_blobs: false,
        is_news: node.identity.person() != Some(author),
        post,
    }
}

/// Whether the author has taken an entry back.
pub(super) fn is_taken_back(rows: &impl Rows, author: &PersonId, id: &EntryId) -> Result<bool, StoreError> {
    Ok(referring(rows, author, id)?.iter().any(|(_, row)| row.kind == Kind::Tombstone.number()))
}

/// Deletes an entry's body, and those of its edits, and takes it from the timeline.
pub(super) fn take_back(tx: &mut Tx<'_>, node: &Node, author: &PersonId, of: &EntryId) -> Result<(), StoreError> {
    match delete_bodies(tx, author, of)? {
        Some(header) if header.kind == Kind::Post => timeline::withdraw(tx, author, of),
        // An edit was taken back: what it replaced is shown again.
        Some(Header { kind: Kind::Edit, refs, .. }) => match refs.first() {
            Some(post) => show_again(tx, node, author, post),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

fn show_again(tx: &mut Tx<'_>, node: &Node, author: &PersonId, post: &EntryId) -> Result<(), StoreError> {
    if let Some((entry, _)) = VerifiedEntry::from_store(tx, post)?
        && let Some(Body::Post(original)) = entry.body()
    {
        timeline::show_version(tx, post, &version(node, &entry, original))?;
    }
    show_newest_edit(tx, node, author, post)
}

/// Deletes the bodies of an author's entry and of its edits, with what only they needed. Gives the entry's header if it is held and was
/// not deleted before.
fn delete_bodies(tx: &mut Tx<'_>, author: &PersonId, of: &EntryId) -> Result<Option<Header>, StoreError> {
    let Some(row) = rows::entry(tx, of)? else { return Ok(None) };
    let header = rows::header(of, &row)?;
    if header.log.person != *author || row.dead || header.kind == Kind::Tombstone {
        return Ok(None);
    }
    rows::kill_entry(tx, of, row)?;
    for (edit, _) in referring(tx, author, of)?.into_iter().filter(|(_, row)| row.kind == Kind::Edit.number()) {
        if let Some(row) = rows::entry(tx, &edit)?.filter(|row| !row.dead) {
            rows::kill_entry(tx, &edit, row)?;
        }
    }
    Ok(Some(header))
}

/// Shows the newest edit of a post, if the post is held and has any.
fn show_newest_edit(tx: &mut Tx<'_>, node: &Node, author: &PersonId, post: &EntryId) -> Result<(), StoreError> {
    let Some(target) = rows::entry(tx, post)? else { return Ok(()) };
    let header = rows::header(post, &target)?;
    if header.log.person != *author || header.kind != Kind::Post {
        return Ok(());
    }
    let mut edits = referring(tx, author, post)?;
    edits.retain(|(_, row)| row.kind == Kind::Edit.number());
    edits.sort_by_key(|(id, row)| std::cmp::Reverse((row.generation, row.seq, *id)));
    for (id, _) in edits {
        let Some((edit, _)) = VerifiedEntry::from_store(tx, &id)? else { continue };
        if target.dead {
            if let Some(row) = rows::entry(tx, &id)?.filter(|row| !row.dead) {
                rows::kill_entry(tx, &id, row)?;
            }
        } else if let Some(Body::Edit { post: new, .. }) = edit.body() {
            return timeline::show_version(tx, post, &version(node, &edit, new));
        }
    }
    Ok(())
}

fn refer(tx: &mut Tx<'_>, id: &EntryId, header: &Header, generation: u64, of: &EntryId) -> Result<(), StoreError> {
    let row = RefRow { kind: header.kind.number(), person: header.log.person.0, generation, seq: header.seq };
    row::put(tx, &row::key(&[&of.0, &id.0]), &row)
}

fn referring(rows: &impl Rows, author: &PersonId, of: &EntryId) -> Result<Vec<(EntryId, RefRow)>, StoreError> {
    let rows = row::scan::<RefRow>(rows, &Scan::prefix(&of.0, REFERRING_MAX))?;
    Ok(rows.into_iter().filter(|(_, row)| row.person == author.0).map(|(key, row)| (EntryId(row::key_part(&key, 32)), row)).collect())
}

fn latest(tx: &mut Tx<'_>, id: &EntryId, header: &Header, generation: u64, body: &Body) -> Result<(), StoreError> {
    let (major, minor) = match body {
        Body::Homes(homes) => (homes.version, 0),
        Body::Profile(_) => (generation, header.seq),
        _ => return Ok(()),
    };
    let key = latest_key(&header.log.person, header.kind);
    if row::get::<LatestRow>(tx, &key)?.is_none_or(|before| (major, minor) > (before.major, before.minor)) {
        row::put(tx, &key, &LatestRow { entry: id.0, major, minor })?;
        tx.after(Event::Friends);
    }
    Ok(())
}

/// The entry of a kind that counts for a person.
pub(super) fn latest_of(rows: &impl Rows, person: &PersonId, kind: Kind) -> Result<Option<EntryId>, StoreError> {
    Ok(row::get::<LatestRow>(rows, &latest_key(person, kind))?.map(|row| EntryId(row.entry)))
}

fn latest_key(person: &PersonId, kind: Kind) -> Vec<u8> {
    row::key(&[&person.0, &[u8::try_from(kind.number()).unwrap_or(u8::MAX)]])
}
