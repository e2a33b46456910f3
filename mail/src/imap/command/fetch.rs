//! FETCH (RFC 3501 6.4.5; CHANGEDSINCE and VANISHED, RFC 7162 3.1.4 and 3.2.6), in slices: some
//! messages at a time, and long bodies in pieces as the client receives them.

mod decoded;
pub(crate) mod item;
mod message;

use std::collections::VecDeque;

use freehold_core::mailbox::{self, FlagChange, FlagError, Flags, Message};

use self::item::Item;
use self::message::{PrintError, Segment};
use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::listing::{Listing, Needs};
use crate::imap::selected::{Access, MessageRef, Selected};
use crate::imap::sequence::{Numbering, Set};
use crate::imap::vanished::{self, Known};

/// Messages that are read, and marked as seen, at once.
const MESSAGES_PER_SLICE: usize = 256;
/// Messages whose UIDs are farther apart are not read at once, because what lies between them would
/// be read too.
const UID_GAP_MAX: u32 = 64;
/// Output of one slice, in bytes.
const OUT_LEN: usize = 128 * 1024;

/// The messages and the items to fetch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fetch {
    pub(crate) by: Numbering,
    pub(crate) set: Set,
    pub(crate) items: Vec<Item>,
    pub(crate) changed_since: Option<u64>,
    /// Expunges since then are wanted too.
    pub(crate) vanished: bool,
}

impl Fetch {
    pub(crate) fn parse(cursor: &mut Cursor<'_>, by: Numbering) -> Result<Self, SyntaxError> {
        cursor.space()?;
        let set = cursor.set()?;
        cursor.space()?;
        let mut items = Item::parse_all(cursor)?;
        let (mut changed_since, mut vanished) = (None, false);
        if cursor.eat(" (") {
            loop {
                if cursor.eat("CHANGEDSINCE ") {
                    changed_since = Some(cursor.number64()?);
                } else {
                    cursor.expect("VANISHED", "unknown modifier of FETCH")?;
                    vanished = true;
                }
                if !cursor.eat(" ") {
                    break;
                }
            }
            cursor.expect(")", "the modifiers are not closed")?;
        }
        if vanished && (changed_since.is_none() || by == Numbering::Sequence) {
            return Err(SyntaxError("VANISHED needs UID FETCH and CHANGEDSINCE"));
        }
        if vanished && !cursor.enabled().qresync {
            return Err(SyntaxError("enable QRESYNC first"));
        }
        if by == Numbering::Uid && !items.contains(&Item::Uid) {
            // RFC 3501 6.4.8: the response has the UID, requested or not.
            items.insert(0, Item::Uid);
        }
        if changed_since.is_some() && !items.contains(&Item::ModSeq) {
            items.push(Item::ModSeq);
        }
        Ok(Self { by, set, items, changed_since, vanished })
    }
}

/// A FETCH in progress.
#[derive(Debug)]
pub(crate) struct FetchProgress {
    pub(crate) by: Numbering,
    /// A message that another session expunged is no error.
    may_lack_messages: bool,
    items: Vec<Item>,
    changed_since: Option<u64>,
    todo: std::vec::IntoIter<MessageRef>,
    ready: VecDeque<(u32, Message)>,
    /// The index of the messages in `ready`.
    listing: Listing,
    needs: Needs,
    /// The rest of the current message's response.
    segments: VecDeque<Segment>,
    marks_seen: bool,
    /// A message could not be read and has no response.
    has_failed: bool,
    /// A part of a message could not be decoded; the message has no response.
    is_undecodable: bool,
    /// The messages that exist, and those that another session expunged.
    existing: usize,
    expunged: usize,
}

/// The result of a slice.
pub(crate) enum Slice {
    /// More slices follow.
    More,
    /// The command ended.
    Complete(Completion),
    /// A body could not be read to its end. Its literal was announced, so nothing that the client
    /// could parse can follow.
    Broken,
}

impl FetchProgress {
    /// Begins a FETCH.
    pub(crate) fn start(
        cx: &mut Context,
        selected: &Selected,
        fetch: Fetch,
    ) -> Result<Self, Completion> {
        let todo = selected.resolve(&fetch.set, fetch.by)?.into_iter();
        if let Some(since) = fetch.changed_since.filter(|_| fetch.vanished) {
            print_vanished(cx, selected, fetch.set.clone(), since)?;
        }
        let marks_seen =
            selected.access == Access::Write && fetch.items.iter().any(Item::marks_seen);
        let needs = message::needs(&fetch.items);
        Ok(Self {
            by: fetch.by,
            may_lack_messages: fetch.set.may_lack_messages(fetch.by),
            items: fetch.items,
            changed_since: fetch.changed_since,
            todo,
            ready: VecDeque::new(),
            listing: Listing::default(),
            needs,
            segments: VecDeque::new(),
            marks_seen,
            has_failed: false,
            is_undecodable: false,
            existing: 0,
            expunged: 0,
        })
    }

    /// Leaves \\Seen as it is.
    pub(crate) fn peek(&mut self) {
        self.marks_seen = false;
    }

    /// Prints the next slice.
    pub(crate) async fn slice(&mut self, cx: &mut Context, selected: &mut Selected) -> Slice {
        while cx.out.len() < OUT_LEN {
            if let Some(segment) = self.segments.pop_front() {
                match segment.print(&mut cx.out, OUT_LEN) {
                    Ok(Some(rest)) => self.segments.push_front(rest),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::error!(%error, "imap: a body could not be read to its end");
                        return Slice::Broken;
                    }
                }
            } else if let Some((number, message)) = self.ready.pop_front() {
                let is_recent = !cx.enabled.rev2 && selected.is_recent(message.uid);
                match message::print(cx, &self.listing, number, &message, is_recent, &self.items) {
                    Ok(segments) => self.segments = segments,
                    Err(PrintError::UnknownEncoding) => self.is_undecodable = true,
                    Err(PrintError::Store(error)) if error.is_refusal() => {
                        return Slice::Complete(error.into());
                    }
                    Err(PrintError::Store(error)) => {
                        // No response for this message: the client would cache an empty one.
                        tracing::error!(%error, uid = message.uid, "imap: can't read a message");
                        self.has_failed = true;
                    }
                }
            } else {
                match self.refill(cx, selected).await {
                    // None of these messages matches CHANGEDSINCE: the walk goes on in the next
                    // slice.
                    Ok(true) if self.ready.is_empty() => return Slice::More,
                    Ok(true) => {}
                    Ok(false) if self.has_failed => {
                        return Slice::Complete(
                            Completion::no("some messages could not be read").code("SERVERBUG"),
                        );
                    }
                    Ok(false) if self.is_undecodable => {
                        // RFC 3516 4.3.
                        return Slice::Complete(
                            Completion::no("a transfer encoding is unknown").code("UNKNOWN-CTE"),
                        );
                    }
                    Ok(false) => return Slice::Complete(self.completion()),
                    Err(completion) => return Slice::Complete(completion),
                }
            }
        }
        Slice::More
    }

    /// The completion after the last message.
    fn completion(&self) -> Completion {
        match (self.may_lack_messages, self.existing, self.expunged) {
            (true, _, _) | (_, _, 0) => Completion::ok("fetched"),
            (_, 0, _) => Completion::expunged(),
            _ => Completion::ok("fetched the others").code("EXPUNGEISSUED"),
        }
    }

    /// Reads the next rows; false at the end. A message expunged meanwhile is skipped (RFC 2180
    /// 4.1.2).
    async fn refill(
        &mut self,
        cx: &mut Context,
        selected: &mut Selected,
    ) -> Result<bool, Completion> {
        let refs = self.next_refs();
        let (Some(first), Some(last)) = (refs.first(), refs.last()) else { return Ok(false) };
        let mut found = messages(cx, selected, &refs)?;
        self.existing = self.existing.saturating_add(found.len());
        self.expunged = self.expunged.saturating_add(refs.len().saturating_sub(found.len()));
        if let Some(since) = self.changed_since {
            found.retain(|(_, message)| message.modseq > since);
            if found.is_empty() {
                return Ok(true);
            }
        }
        if self.marks_seen {
            let unseen: Vec<u32> = found
                .iter()
                .filter(|(_, message)| !message.flags.has(Flags::SEEN))
                .map(|(_, message)| message.uid)
                .collect();
            if !unseen.is_empty() {
                let seen = FlagChange::Add(Flags::of(Flags::SEEN));
                let stored =
                    mailbox::store_flags(&cx.node, selected.folder, &unseen, seen, None).await;
                let changed = match stored {
                    Ok(outcome) => outcome.changed,
                    // A disk that can't be written must not prevent reading.
                    Err(FlagError::Store(error)) if error.is_refusal() => Vec::new(),
                    Err(error) => return Err(error.into()),
                };
                for (uid, modseq, flags) in changed {
                    // RFC 3501 6.4.5: the response has the new flags.
                    if let Some((_, message)) =
                        found.iter_mut().find(|(_, message)| message.uid == uid)
                    {
                        (message.modseq, message.flags) = (modseq, flags);
                    }
                    if self.items.contains(&Item::Flags) {
                        selected.mark_reported(uid, modseq);
                    }
                }
            }
        }
        if self.items.contains(&Item::Flags) {
            selected.report_keywords(cx, found.iter().map(|(_, message)| &message.flags));
        }
        self.listing = Listing::read(&cx.node, selected.folder, self.needs, first.uid, last.uid)?;
        if self.needs.blobs {
            self.listing.open_ahead(&cx.node, &found);
        }
        self.ready = found.into();
        Ok(true)
    }

    /// The next messages, whose UIDs are close together.
    fn next_refs(&mut self) -> Vec<MessageRef> {
        let rest = self.todo.as_slice();
        let is_far = |pair: &[MessageRef]| match pair {
            [one, next] => next.uid.saturating_sub(one.uid) > UID_GAP_MAX,
            _ => false,
        };
        let len = rest.windows(2).take(MESSAGES_PER_SLICE).position(is_far);
        let len = len.map_or(MESSAGES_PER_SLICE, |at| at.saturating_add(1));
        self.todo.by_ref().take(len).collect()
    }
}

/// Prints the UIDs of a set whose messages were expunged since a modseq, before the first FETCH
/// (RFC 7162 3.2.6).
fn print_vanished(
    cx: &mut Context,
    selected: &Selected,
    set: Set,
    since: u64,
) -> Result<(), Completion> {
    let Some(folder) = mailbox::folder(&cx.node, selected.folder)? else { return Ok(()) };
    let changes = mailbox::changes_since(&cx.node, selected.folder, since)?;
    let known = Known { uids: Some(set), pairs: None };
    let gone = vanished::earlier(selected, &changes, &known, folder.uid_next);
    vanished::print(&mut cx.out, &gone, true);
    Ok(())
}

/// The messages in order, each with its sequence number.
fn messages(
    cx: &Context,
    selected: &Selected,
    refs: &[MessageRef],
) -> Result<Vec<(u32, Message)>, Completion> {
    let (Some(first), Some(last)) = (refs.first(), refs.last()) else { return Ok(Vec::new()) };
    let messages = mailbox::messages(&cx.node, selected.folder, first.uid, last.uid, usize::MAX)?;
    let number = |uid: u32| {
        let index = refs.binary_search_by_key(&uid, |message| message.uid).ok()?;
        refs.get(index).map(|message| message.number)
    };
    Ok(messages.into_iter().filter_map(|message| Some((number(message.uid)?, message))).collect())
}
