//! A queued message as it is sent: piece by piece from its blob.

use freehold_core::blobs::BlobReader;

use super::super::attempt::Fate;
use super::super::wire::Scissors;
use super::read;

/// How much is read at one time, in bytes.
const PIECE_LEN: usize = 64 * 1024;

/// The text, without its last line end: lettre writes that together with the dot (RFC 5321
/// 4.1.1.4).
pub(super) struct Text {
    reader: BlobReader,
    len: u64,
}

impl Text {
    /// Looks at how the text ends.
    pub(super) fn open(reader: BlobReader) -> Result<Self, Fate> {
        let len = reader.len();
        let mut end = [0; 2];
        let at = len.saturating_sub(2);
        let ended = len >= 2 && read(&reader, at, &mut end)? == 2 && end == *b"\r\n";
        Ok(Self { reader, len: if ended { at } else { len } })
    }

    /// Whether there are bytes beyond ASCII anywhere.
    pub(super) fn is_eight_bit(&self) -> Result<bool, Fate> {
        self.any(|piece| (!piece.is_ascii(), false))
    }

    /// Whether there are bytes beyond ASCII in the header (RFC 6532).
    pub(super) fn is_international(&self) -> Result<bool, Fate> {
        // An empty line that a piece's edge cuts is missed, which at worst asks for more than is
        // needed.
        self.any(|piece| match piece.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(end) => (!piece.get(..end).unwrap_or_default().is_ascii(), true),
            None => (!piece.is_ascii(), false),
        })
    }

    /// Asks every piece in turn: what was found, and whether to stop looking.
    fn any(&self, ask: impl Fn(&[u8]) -> (bool, bool)) -> Result<bool, Fate> {
        let mut piece = vec![0; PIECE_LEN];
        let mut at = 0;
        while at < self.len {
            let len = read(&self.reader, at, &mut piece)?;
            let (found, stop) = ask(piece.get(..len).unwrap_or_default());
            if found || stop || len == 0 {
                return Ok(found);
            }
            at += len as u64;
        }
        Ok(false)
    }

    /// The pieces. When one can't be read the wire is cut, so that the half is not taken for the
    /// whole.
    pub(super) fn pieces(self, scissors: &Scissors) -> impl Iterator<Item = Vec<u8>> {
        let scissors = scissors.clone();
        let mut at = 0;
        std::iter::from_fn(move || {
            let left = self.len.saturating_sub(at);
            if left == 0 {
                return None;
            }
            let mut piece = vec![0; usize::try_from(left).unwrap_or(PIECE_LEN).min(PIECE_LEN)];
            match self.reader.read_at(at, &mut piece) {
                Ok(len) if len > 0 => {
                    at += len as u64;
                    piece.truncate(len);
                    Some(piece)
                }
                _ => {
                    tracing::error!("a queued message can't be read: the connection is cut");
                    scissors.cut();
                    None
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use freehold_core::blobs::AtRest;
    use freehold_core::clock::{Clock, Timestamp};
    use freehold_core::node::Node;
    use freehold_core::random::Random;

    use super::*;

    fn text(content: &[u8]) -> Text {
        let blobs = Node::in_memory(Clock::manual(Timestamp(0)), Random::seeded(1)).unwrap().blobs;
        let pinned = blobs.put(content, AtRest::Sealed).unwrap();
        Text::open(blobs.open(&pinned.id).unwrap()).unwrap()
    }

    #[test]
    fn the_last_line_end_is_left_to_the_dot() {
        for (content, sent) in [
            (&b"a\r\n\r\nb\r\n"[..], &b"a\r\n\r\nb"[..]),
            (b"b", b"b"),
            (b"\r\n", b""),
            (b"", b""),
            (b"\n", b"\n"),
        ] {
            let pieces: Vec<u8> = text(content).pieces(&Scissors::default()).flatten().collect();
            assert_eq!(pieces, sent);
        }
        let long = vec![b'x'; PIECE_LEN * 2 + 1];
        assert_eq!(
            text(&long).pieces(&Scissors::default()).map(|piece| piece.len()).collect::<Vec<_>>(),
            [PIECE_LEN, PIECE_LEN, 1]
        );
    }

    #[test]
    fn letters_beyond_ascii_are_found_where_they_are() {
        let found = |content: &str| {
            let text = text(content.as_bytes());
            (text.is_international().unwrap(), text.is_eight_bit().unwrap())
        };
        assert_eq!(found("Subject: a\r\n\r\nplain\r\n"), (false, false));
        assert_eq!(found("Subject: a\r\n\r\nnaïve\r\n"), (false, true));
        assert_eq!(found("Subject: naïve\r\n\r\nplain\r\n"), (true, true));
    }
}
