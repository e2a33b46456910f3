//! Raw deflate in both directions (RFC 4978, RFC 1951), for COMPRESS=DEFLATE.
//!
//! A client can make a thousand octets of one. So input is inflated in pieces: the session takes
//! one before the next is made, and its limits hold as for input that is not compressed.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// The largest piece of inflated input, in bytes.
const PIECE_LEN_MAX: usize = 16 * 1024;
/// How much room for compressed output is added at a time, in bytes.
const ROOM_LEN: usize = 4 * 1024;
/// The connections that may be compressed at once. Each takes about 400 KiB: a window of 32 KiB in
/// both directions, and the tables that find repetitions.
pub(crate) const COMPRESSED_CONNECTIONS_MAX: usize = 64;

/// The input is no deflate stream, or the stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the compressed input is damaged")]
pub(crate) struct DamagedInput;

/// See the module's text.
pub(crate) struct Deflate {
    inflate: Decompress,
    deflate: Compress,
    /// The last piece was full: there may be more without further input.
    is_behind: bool,
}

impl Deflate {
    /// Both directions begin.
    pub(crate) fn new() -> Self {
        Self {
            inflate: Decompress::new(false),
            // Most of a mailbox is base64, which the higher levels compress little better.
            deflate: Compress::new(Compression::fast(), false),
            is_behind: false,
        }
    }

    /// True if there may be another piece without further input.
    pub(crate) fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// The next piece, and the length of the input that it takes.
    pub(crate) fn inflate(&mut self, input: &[u8]) -> Result<(Vec<u8>, usize), DamagedInput> {
        let mut piece = Vec::with_capacity(PIECE_LEN_MAX);
        let before = self.inflate.total_in();
        let inflated = self.inflate.decompress_vec(input, &mut piece, FlushDecompress::Sync);
        let taken = self.inflate.total_in().saturating_sub(before);
        let taken = usize::try_from(taken).unwrap_or(usize::MAX);
        self.is_behind = piece.len() == piece.capacity();
        let is_stuck = taken == 0 && piece.is_empty() && !input.is_empty();
        match inflated {
            Ok(Status::Ok | Status::BufError) if !is_stuck => Ok((piece, taken)),
            _ => Err(DamagedInput),
        }
    }

    /// Compresses and flushes, so that the client can read all of it (RFC 4978 4).
    pub(crate) fn deflate(&mut self, output: &[u8]) -> Result<Vec<u8>, DamagedInput> {
        let mut compressed = Vec::with_capacity(ROOM_LEN);
        let mut rest = output;
        loop {
            let before = self.deflate.total_in();
            self.deflate
                .compress_vec(rest, &mut compressed, FlushCompress::Sync)
                .map_err(|_| DamagedInput)?;
            let taken = self.deflate.total_in().saturating_sub(before);
            let taken = usize::try_from(taken).unwrap_or(usize::MAX);
            rest = rest.get(taken..).unwrap_or_default();
            // A flush that left room is complete.
            if rest.is_empty() && compressed.len() < compressed.capacity() {
                return Ok(compressed);
            }
            compressed.reserve(ROOM_LEN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Inflates all of `input`, which comes in pieces.
    fn inflate_all(server: &mut Deflate, input: &[u8], len: usize) -> Vec<u8> {
        let mut all = Vec::new();
        for part in input.chunks(len) {
            let mut rest = part;
            while !rest.is_empty() || server.is_behind() {
                let (piece, taken) = server.inflate(rest).unwrap();
                assert!(piece.len() <= PIECE_LEN_MAX);
                rest = &rest[taken..];
                all.extend(piece);
            }
        }
        all
    }

    proptest! {
        #[test]
        fn deflated_replies_are_inflated_reply_by_reply(
            replies in proptest::collection::vec("[a-z0-9 ]{1,9000}", 1..8),
            len in 1..5_000usize,
        ) {
            let (mut server, mut client) = (Deflate::new(), Deflate::new());
            for reply in replies {
                let compressed = server.deflate(reply.as_bytes()).unwrap();
                let inflated = inflate_all(&mut client, &compressed, len);
                prop_assert_eq!(inflated, reply.as_bytes(), "a reply is flushed");
            }
        }

        #[test]
        fn any_octets_are_inflated_or_refused(
            octets in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let mut server = Deflate::new();
            let mut rest = octets.as_slice();
            while !rest.is_empty() || server.is_behind() {
                let Ok((_, taken)) = server.inflate(rest) else { break };
                rest = &rest[taken..];
            }
        }
    }

    #[test]
    fn inflated_input_is_handed_out_in_bounded_pieces() {
        let (mut server, mut client) = (Deflate::new(), Deflate::new());
        let bomb = client.deflate(&vec![b'x'; 10_000_000]).unwrap();
        assert!(bomb.len() < 100_000);
        assert_eq!(inflate_all(&mut server, &bomb, 16 * 1024).len(), 10_000_000);
    }

    #[test]
    fn incompressible_output_is_flushed_whole() {
        let noise = blake3::Hasher::new().finalize_xof();
        for len in [1, ROOM_LEN - 10, ROOM_LEN, ROOM_LEN + 1, 300_000] {
            let (mut server, mut client) = (Deflate::new(), Deflate::new());
            let mut output = vec![0; len];
            noise.clone().fill(&mut output);
            let compressed = server.deflate(&output).unwrap();
            assert_eq!(inflate_all(&mut client, &compressed, 1_000), output);
        }
    }

    #[test]
    fn ended_deflate_stream_is_refused() {
        let mut end = Vec::with_capacity(100);
        let mut client = Compress::new(Compression::fast(), false);
        client.compress_vec(b"a NOOP\r\n", &mut end, flate2::FlushCompress::Finish).unwrap();
        assert_eq!(Deflate::new().inflate(&end), Err(DamagedInput));
    }
}
