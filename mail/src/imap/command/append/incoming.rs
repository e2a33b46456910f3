//! The message of an APPEND that is being received.

use freehold_core::clock::Timestamp;
use freehold_core::mailbox::{Delivery, Flags, FolderId, IdempotencyKey};
use freehold_core::node::Node;

use super::binary;
use crate::imap::completion::Completion;
use crate::imap::framer::Literal;
use crate::spool::Spool;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Incoming {
    spool: Spool,
    flags: Flags,
    date: Option<Timestamp>,
    is_literal8: bool,
    has_nul: bool,
}

impl Incoming {
    pub(super) fn new(
        spool: Spool,
        flags: Flags,
        date: Option<Timestamp>,
        literal: Literal,
    ) -> Self {
        Self { spool, flags, date, is_literal8: literal.binary, has_nul: false }
    }

    /// Takes the next piece.
    pub(super) async fn write(&mut self, piece: &[u8]) {
        self.has_nul |= memchr::memchr(0, piece).is_some();
        if !self.has_nul || self.is_literal8 {
            self.spool.write(piece).await;
        }
    }

    /// The message, ready to be stored. A header with octets above 127 is stored too, although RFC
    /// 6855 4 asks to refuse it without UTF8=ACCEPT: programs that move old mail would lose it.
    pub(super) async fn finish(
        self,
        node: &Node,
        folder: FolderId,
        len_max: u64,
    ) -> Result<Delivery, Completion> {
        if self.has_nul && !self.is_literal8 {
            return Err(Completion::bad("a literal has a NUL"));
        }
        let mut blob = self.spool.finish().await?;
        if self.has_nul {
            blob = binary::without_nul(node, blob, len_max).await?;
        }
        Ok(Delivery {
            folder,
            blob,
            id: IdempotencyKey::new(node),
            internal_date: self.date.unwrap_or_else(|| node.clock.now()),
            flags: self.flags,
        })
    }
}
