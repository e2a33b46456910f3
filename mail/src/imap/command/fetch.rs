//! FETCH (RFC 3501 6.4.5; CHANGEDSINCE, RFC 7162 3.1.4): a few messages at a time, long bodies in
//! pieces as the client takes them.

pub(crate) mod item;
mod message;

use std::collections::VecDeque;

use freehold_core::mailbox::{self, FlagChange, Flags, Message};

use self::item::Item;
use self::message::Segment;
use super::By;
use super::select::Access;
use crate::imap::answer::Done;
use crate::imap::context::Context;
use crate::imap::cursor::{Bad, Cursor};
use crate::imap::selected::{Named, Selected};
use crate::imap::sequence::Set;

/// Messages whose rows are read, and which are marked as seen, at once.
const MESSAGES_PER_SLICE: usize = 50;
/// Output gathered before it is sent on, in bytes.
const OUT_LEN: usize = 64 * 1024;

/// Messages, and what of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fetch {
    pub(crate) by: By,
    pub(crate) set: Set,
    pub(crate) items: Vec<Item>,
    pub(crate) changed_since: Option<u64>,
}

impl Fetch {
    pub(crate) fn parse(cursor: &mut Cursor<'_>, by: By) -> Result<Self, Bad> {
        cursor.space()?;
        let set = cursor.set()?;
        cursor.space()?;
        let mut items = Item::parse_all(cursor)?;
        let changed_since = if cursor.eat(" (CHANGEDSINCE ") {
            let since = cursor.number64()?;
            cursor.expect(")", "the modifier does not end")?;
            Some(since)
        } else {
            None
        };
        if by == By::Uid && !items.contains(&Item::Uid) {
            // RFC 3501 6.4.8: the UID is part of the answer, asked for or not.
            items.insert(0, Item::Uid);
        }
        if changed_since.is_some() && !items.contains(&Item::ModSeq) {
            items.push(Item::ModSeq);
        }
        Ok(Self { by, set, items, changed_since })
    }
}

/// A FETCH under way.
#[derive(Debug)]
pub(crate) struct Fetching {
    pub(crate) tag: String,
    pub(crate) by: By,
    items: Vec<Item>,
    changed_since: Option<u64>,
    todo: std::vec::IntoIter<Named>,
    ready: VecDeque<(u32, Message)>,
    /// What is left to send of the message being sent.
    segments: VecDeque<Segment>,
    marks_seen: bool,
    unreadable: bool,
}

/// What a slice came to.
pub(crate) enum Slice {
    /// There is more.
    More,
    /// All is sent.
    Done(Done),
    /// A body broke off in the middle: nothing the client could make sense of can follow.
    Broken,
}

impl Fetching {
    /// Begins a FETCH.
    pub(crate) fn start(
        cx: &mut Context,
        selected: &Selected,
        tag: String,
        fetch: Fetch,
    ) -> Result<Self, Done> {
        let todo = selected.named(&fetch.set, fetch.by)?.into_iter();
        let marks_seen =
            selected.access == Access::Write && fetch.items.iter().any(Item::marks_seen);
        cx.condstore |= fetch.items.contains(&Item::ModSeq);
        Ok(Self {
            tag,
            by: fetch.by,
            items: fetch.items,
            changed_since: fetch.changed_since,
            todo,
            ready: VecDeque::new(),
            segments: VecDeque::new(),
            marks_seen,
            unreadable: false,
        })
    }

    /// Prints some more.
    pub(crate) async fn slice(&mut self, cx: &mut Context, selected: &mut Selected) -> Slice {
        while cx.out.len() < OUT_LEN {
            if let Some(segment) = self.segments.pop_front() {
                match segment.print(&mut cx.out, OUT_LEN) {
                    Ok(Some(rest)) => self.segments.push_front(rest),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::error!(%error, "imap: a body broke off");
                        return Slice::Broken;
                    }
                }
            } else if let Some((number, message)) = self.ready.pop_front() {
                match message::segments(cx, number, &message, &self.items) {
                    Ok(segments) => self.segments = segments,
                    Err(error) => {
                        // Better no answer for this message than an empty one, which the client
                        // would keep.
                        tracing::error!(%error, uid = message.uid, "imap: a message can't be read");
                        self.unreadable = true;
                    }
                }
            } else {
                match self.refill(cx, selected).await {
                    Ok(true) => {}
                    Ok(false) if self.unreadable => {
                        return Slice::Done(
                            Done::no("some messages could not be read").code("SERVERBUG"),
                        );
                    }
                    Ok(false) => return Slice::Done(Done::ok("fetched")),
                    Err(done) => return Slice::Done(done),
                }
            }
        }
        Slice::More
    }

    /// Reads the next rows; false at the end. A message that is gone meanwhile is passed over (RFC
    /// 2180 4.1.2).
    async fn refill(&mut self, cx: &mut Context, selected: &mut Selected) -> Result<bool, Done> {
        let named: Vec<Named> = self.todo.by_ref().take(MESSAGES_PER_SLICE).collect();
        if named.is_empty() {
            return Ok(false);
        }
        let mut found = rows(cx, selected, &named)?;
        if let Some(since) = self.changed_since {
            found.retain(|(_, message)| message.modseq > since);
        }
        if self.marks_seen {
            let unseen: Vec<u32> = found
                .iter()
                .filter(|(_, message)| !message.flags.has(Flags::SEEN))
                .map(|(_, message)| message.uid)
                .collect();
            if !unseen.is_empty() {
                let seen = FlagChange::Add(Flags::of(Flags::SEEN));
                let outcome =
                    mailbox::store_flags(&cx.node, selected.folder, &unseen, seen, None).await?;
                for (uid, modseq, flags) in outcome.changed {
                    // RFC 3501 6.4.5: the change is part of the answer.
                    if let Some((_, message)) =
                        found.iter_mut().find(|(_, message)| message.uid == uid)
                    {
                        (message.modseq, message.flags) = (modseq, flags);
                    }
                    if self.items.contains(&Item::Flags) {
                        selected.told(uid, modseq);
                    }
                }
            }
        }
        self.ready = found.into();
        Ok(true)
    }
}

/// The rows of messages in order: one scan where they lie close together, else one by one.
fn rows(cx: &Context, selected: &Selected, named: &[Named]) -> Result<Vec<(u32, Message)>, Done> {
    let (Some(first), Some(last)) = (named.first(), named.last()) else { return Ok(Vec::new()) };
    let span = last.uid.saturating_sub(first.uid) as usize;
    let messages = if span <= named.len().saturating_mul(4) {
        mailbox::messages(&cx.node, selected.folder, first.uid, last.uid, span.saturating_add(1))?
    } else {
        let mut messages = Vec::with_capacity(named.len());
        for named in named {
            messages.extend(mailbox::message(&cx.node, selected.folder, named.uid)?);
        }
        messages
    };
    let number = |uid: u32| {
        named
            .binary_search_by_key(&uid, |named| named.uid)
            .ok()
            .and_then(|at| named.get(at))
            .map(|named| named.number)
    };
    Ok(messages.into_iter().filter_map(|message| Some((number(message.uid)?, message))).collect())
}
