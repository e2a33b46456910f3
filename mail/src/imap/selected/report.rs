//! The changes of the selected folder, sent to the client.

use std::collections::BTreeSet;

use freehold_core::mailbox::{self, Flags, Message};
use freehold_core::store::StoreError;

use super::{Numbers, Selected, claim_recent, number};
use crate::imap::context::Context;
use crate::imap::{flags, sequence, vanished};

/// The changes of the selected folder that are reported: all, unless NOTIFY says less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Messages that come and go.
    pub(crate) counts: bool,
    /// Changes of flags.
    pub(crate) flags: bool,
}

impl Wanted {
    /// Without NOTIFY.
    pub(crate) const ALL: Self = Self { counts: true, flags: true };
}

/// Messages that a report announced.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    pub(crate) uids: Vec<u32>,
    /// The sum of their sizes, in bytes.
    pub(crate) size: u64,
}

impl Selected {
    /// Reports the changes since the last report (RFC 3501 7.3 and 7.4.1) and returns the messages
    /// that arrived.
    pub(crate) async fn report_changes(
        &mut self,
        cx: &mut Context,
        numbers: Numbers,
        wanted: Wanted,
    ) -> Result<Arrived, StoreError> {
        if !wanted.counts {
            return Ok(Arrived::default());
        }
        let changed = self.collect_changes(cx).await?;
        if numbers == Numbers::MayChange {
            self.report_expunged(cx);
        }
        let mut arrived: Vec<u32> = changed
            .iter()
            .map(|message| message.uid)
            .filter(|uid| self.uids.binary_search(uid).is_err())
            .collect();
        arrived.sort_unstable();
        arrived.dedup();
        let is_new = |uid: u32| arrived.binary_search(&uid).is_ok();
        if !arrived.is_empty() {
            // UIDs only rise (RFC 3501 2.3.1.1): new messages are the last.
            self.uids.extend(arrived.iter().copied().filter(|uid| !self.expunged.contains(uid)));
            cx.out.line(format!("* {} EXISTS", self.uids.len()));
        }
        let recent_len = self.recent_len();
        if !arrived.is_empty() || recent_len != self.recent.reported {
            self.recent.reported = recent_len;
            if !cx.enabled.rev2 {
                cx.out.line(format!("* {recent_len} RECENT"));
            }
        }
        for message in &changed {
            let reported =
                self.reported.remove(&message.uid).is_some_and(|modseq| modseq >= message.modseq);
            if !reported && wanted.flags && !is_new(message.uid) {
                self.report_flags(cx, message.uid, message.modseq, &message.flags);
            }
        }
        self.reported.clear();
        let sizes = changed.iter().filter(|message| is_new(message.uid)).map(|it| it.size);
        let size = sizes.fold(0, u64::saturating_add);
        Ok(Arrived { uids: arrived, size })
    }

    /// Reads the changes since `modseq`: returns the messages that arrived or changed, notes those
    /// that were expunged, and reports new keywords.
    async fn collect_changes(&mut self, cx: &mut Context) -> Result<Vec<Message>, StoreError> {
        let Some(folder) = mailbox::folder(&cx.node, self.folder)? else {
            // Another session deleted the folder: all its messages are expunged.
            self.expunged.extend(self.uids.iter().copied());
            return Ok(Vec::new());
        };
        if folder.highest_modseq <= self.modseq {
            return Ok(Vec::new());
        }
        self.recent.add(claim_recent(cx, &folder, self.access).await);
        let changes = mailbox::changes_since(&cx.node, self.folder, self.modseq)?;
        // Not the modseq of the last message: changes of other messages before it may be missing.
        self.modseq = changes.modseq;
        self.expunged.extend(
            changes.vanished.into_iter().filter(|uid| self.uids.binary_search(uid).is_ok()),
        );
        if changes.is_incomplete {
            self.expunged.extend(self.unstored(cx)?);
        }
        self.set_keywords(cx, folder.keywords);
        Ok(changes.changed)
    }

    /// Sends FLAGS if a keyword among `flags`, which are about to be sent, is new to the client
    /// (RFC 3501 7.2.6).
    pub(crate) fn report_keywords<'a>(
        &mut self,
        cx: &mut Context,
        flags: impl IntoIterator<Item = &'a Flags>,
    ) {
        let known = |name: &String| self.keywords.iter().any(|it| it.eq_ignore_ascii_case(name));
        if flags.into_iter().flat_map(|set| &set.keywords).all(known) {
            return;
        }
        match mailbox::folder(&cx.node, self.folder) {
            Ok(Some(folder)) => self.set_keywords(cx, folder.keywords),
            Ok(None) => {}
            // The next report has them as well.
            Err(error) => tracing::error!(%error, "imap: new keywords could not be reported"),
        }
    }

    fn set_keywords(&mut self, cx: &mut Context, keywords: Vec<String>) {
        if keywords != self.keywords {
            cx.out.raw("* FLAGS ");
            flags::print_known(&mut cx.out, &keywords, false);
            cx.out.end();
            self.keywords = keywords;
        }
    }

    /// The UIDs with a sequence number that are no longer in the folder.
    fn unstored(&self, cx: &Context) -> Result<BTreeSet<u32>, StoreError> {
        let stored = mailbox::view(&cx.node, self.folder)?.uids;
        let is_unstored = |uid: &u32| stored.binary_search(uid).is_err();
        Ok(self.uids.iter().copied().filter(is_unstored).collect())
    }

    fn report_expunged(&mut self, cx: &mut Context) {
        if cx.enabled.qresync {
            let mut gone: Vec<u32> = std::mem::take(&mut self.expunged).into_iter().collect();
            gone.retain(|uid| self.uids.binary_search(uid).is_ok());
            self.uids.retain(|uid| gone.binary_search(uid).is_err());
            return vanished::print(&mut cx.out, &sequence::runs(&gone), false);
        }
        // In descending order, so that each EXPUNGE leaves the numbers still to be sent unchanged.
        for uid in std::mem::take(&mut self.expunged).into_iter().rev() {
            if let Ok(index) = self.uids.binary_search(&uid) {
                cx.out.line(format!("* {} EXPUNGE", number(index)));
                self.uids.remove(index);
            }
        }
    }

    /// One message's flags as an untagged FETCH.
    pub(crate) fn report_flags(&self, cx: &mut Context, uid: u32, modseq: u64, set: &Flags) {
        let Some(number) = self.number_of(uid) else { return };
        cx.out.show(format_args!("* {number} FETCH (UID {uid} FLAGS "));
        flags::print(&mut cx.out, set, !cx.enabled.rev2 && self.is_recent(uid));
        if cx.enabled.condstore {
            cx.out.show(format_args!(" MODSEQ ({modseq})"));
        }
        cx.out.line(")");
    }
}
