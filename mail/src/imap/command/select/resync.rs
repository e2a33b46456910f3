//! The QRESYNC parameter of SELECT and EXAMINE (RFC 7162 3.2.5): the client tells its last state of
//! the folder and is sent the changes since.

use freehold_core::mailbox::{self, Folder};
use freehold_core::store::StoreError;

use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::selected::Selected;
use crate::imap::vanished::{self, Known, Pairs};

/// The state that the client knows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resync {
    uid_validity: u32,
    modseq: u64,
    known: Known,
}

impl Resync {
    /// `(uidvalidity modseq [known-uids] [(numbers uids)])`.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        cursor.expect("(", "the state of QRESYNC is missing")?;
        let uid_validity = cursor.nz_number()?;
        cursor.space()?;
        let modseq = cursor.number64()?;
        if modseq == 0 {
            return Err(SyntaxError("a modseq must not be zero"));
        }
        let (mut uids, mut pairs) = (None, None);
        if cursor.eat(" ") {
            if cursor.peek() != Some(b'(') {
                uids = Some(vanished::known_set(cursor)?);
            }
            if uids.is_none() || cursor.eat(" ") {
                pairs = Some(Pairs::parse(cursor)?);
            }
        }
        cursor.expect(")", "the state of QRESYNC is not closed")?;
        Ok(Self { uid_validity, modseq, known: Known { uids, pairs } })
    }

    /// Prints the UIDs that vanished, and then the flags of messages that came or changed. Nothing
    /// when the client knows another set of UIDs: then its state is void.
    pub(super) fn print(
        &self,
        cx: &mut Context,
        selected: &Selected,
        folder: &Folder,
    ) -> Result<(), StoreError> {
        if self.uid_validity != folder.uid_validity {
            return Ok(());
        }
        let changes = mailbox::changes_since(&cx.node, folder.id, self.modseq)?;
        let gone = vanished::earlier(selected, &changes, &self.known, folder.uid_next);
        vanished::print(&mut cx.out, &gone, true);
        let asked = self.known.uids.as_ref().map(|set| set.ranges(u32::MAX));
        for message in &changes.changed {
            if asked.as_ref().is_none_or(|ranges| vanished::is_in(ranges, message.uid)) {
                selected.report_flags(cx, message.uid, message.modseq, &message.flags);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qresync_state_is_parsed_with_its_options() {
        let parse = |text: &str| Resync::parse(&mut Cursor::new(text.as_bytes()));
        for (text, uids, pairs) in [
            ("(7 9)", false, false),
            ("(7 9 1:5,8)", true, false),
            ("(7 9 1:5 (1,3 1,4))", true, true),
            ("(7 9 (1,3 1,4))", false, true),
        ] {
            let state = parse(text).unwrap();
            assert_eq!((state.uid_validity, state.modseq), (7, 9));
            assert_eq!((state.known.uids.is_some(), state.known.pairs.is_some()), (uids, pairs));
        }
        for text in [
            "(0 9)",
            "(7 0)",
            "(7)",
            "(7 9",
            "(7 9 )",
            "(7 9 1:*)",
            "(7 9 1 2)",
            "(7 9 () )",
            "7 9",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
