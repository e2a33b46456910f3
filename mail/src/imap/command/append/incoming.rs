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
    header: HeaderScan,
}

/// Looks for octets above 127 in the header, while it comes.
#[derive(Debug, Default)]
struct HeaderScan {
    has_8bit: bool,
    /// The line that has begun has a character.
    is_in_line: bool,
    is_over: bool,
}

impl HeaderScan {
    fn see(&mut self, piece: &[u8]) {
        for byte in piece {
            match byte {
                _ if self.is_over => return,
                b'\n' => self.is_over = !std::mem::take(&mut self.is_in_line),
                b'\r' => {}
                _ => {
                    self.is_in_line = true;
                    self.has_8bit |= *byte > 0x7f;
                }
            }
        }
    }
}

impl Incoming {
    pub(super) fn new(
        spool: Spool,
        flags: Flags,
        date: Option<Timestamp>,
        literal: Literal,
    ) -> Self {
        let (is_literal8, header) = (literal.binary, HeaderScan::default());
        Self { spool, flags, date, is_literal8, has_nul: false, header }
    }

    /// Takes the next piece.
    pub(super) async fn write(&mut self, piece: &[u8]) {
        self.header.see(piece);
        self.has_nul |= memchr::memchr(0, piece).is_some();
        if !self.has_nul || self.is_literal8 {
            self.spool.write(piece).await;
        }
    }

    /// The message, ready to be stored.
    pub(super) async fn finish(
        self,
        node: &Node,
        folder: FolderId,
        takes_utf8: bool,
        len_max: u64,
    ) -> Result<Delivery, Completion> {
        if self.has_nul && !self.is_literal8 {
            return Err(Completion::bad("a literal has a NUL"));
        }
        if self.header.has_8bit && !takes_utf8 {
            // RFC 6855 4.
            let text = "the header is not US-ASCII; enable UTF8=ACCEPT to store it";
            return Err(Completion::no(text).code("CANNOT"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_above_127_count_in_the_header_alone() {
        for (text, has_8bit) in [
            ("Subject: ü\r\n\r\nx", true),
            ("Subject: u\r\n\r\nü", false),
            ("Subject: u\n\nü", false),
            ("Subject: u\r\n b\r\nTo: ü", true),
            ("\r\nü", false),
            ("", false),
        ] {
            for len in [1, 2, 100] {
                let mut scan = HeaderScan::default();
                text.as_bytes().chunks(len).for_each(|piece| scan.see(piece));
                assert_eq!(scan.has_8bit, has_8bit, "{text}");
            }
        }
    }
}
