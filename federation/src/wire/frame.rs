//! Frames on a byte stream. Their length is checked against a limit before memory is allocated.

use std::io;

use freehold_core::blocking::Unfinished;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{DecodeError, Message};
use crate::limits::ANSWER_TIMEOUT;

/// Why no frame was read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The peer ended the stream between frames.
    #[error("the stream has ended")]
    End,
    /// The frame is longer than its limit; no byte of it was read.
    #[error("the frame has {len} bytes; the limit is {len_max}")]
    TooLong {
        /// The announced length in bytes.
        len: usize,
        /// The limit in bytes.
        len_max: usize,
    },
    /// The frame is not a valid message.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The stream broke.
    #[error("the stream broke: {0}")]
    Io(#[from] io::Error),
}

impl From<Unfinished> for FrameError {
    fn from(error: Unfinished) -> Self {
        Self::Io(error.into())
    }
}

/// Bounds an exchange with a peer by [`ANSWER_TIMEOUT`].
pub(crate) async fn answered_in_time<T>(
    exchange: impl Future<Output = Result<T, FrameError>>,
) -> Result<T, FrameError> {
    let timed_out = |_| FrameError::Io(io::ErrorKind::TimedOut.into());
    tokio::time::timeout(ANSWER_TIMEOUT, exchange).await.map_err(timed_out)?
}

/// Reads one frame of at most `len_max` bytes.
pub(crate) async fn read_bytes<R: AsyncRead + Unpin>(
    stream: &mut R,
    len_max: usize,
) -> Result<Vec<u8>, FrameError> {
    let mut prefix = [0u8; 4];
    let first = stream.read(prefix.get_mut(..1).unwrap_or_default()).await?;
    if first == 0 {
        return Err(FrameError::End);
    }
    stream.read_exact(prefix.get_mut(1..).unwrap_or_default()).await?;
    let len = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    if len > len_max {
        return Err(FrameError::TooLong { len, len_max });
    }
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Reads one message.
pub(crate) async fn read<M: Message, R: AsyncRead + Unpin>(
    stream: &mut R,
) -> Result<M, FrameError> {
    Ok(super::decode(&read_bytes(stream, M::LEN_MAX).await?)?)
}

/// Writes one frame without flushing.
pub(crate) async fn write_bytes<W: AsyncWrite + Unpin>(
    stream: &mut W,
    bytes: &[u8],
) -> io::Result<()> {
    let len = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // One write for both parts: two would make two packets of a small message.
    let mut frame = Vec::with_capacity(bytes.len() + 4);
    frame.extend_from_slice(&len.to_be_bytes());
    frame.extend_from_slice(bytes);
    stream.write_all(&frame).await
}

/// Writes one message and flushes.
pub(crate) async fn write<M: Message, W: AsyncWrite + Unpin>(
    stream: &mut W,
    message: &M,
) -> io::Result<()> {
    write_bytes(stream, &super::encode(message)).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::Cursor;

    use super::*;
    use crate::wire::hello::Hello;

    #[test]
    fn message_survives_a_frame_round_trip() {
        let hello = Hello {
            person: Some([7; 32]),
            ops: 3,
            head: [9; 32],
            capabilities: 0,
            versions: vec![1],
            run: 7,
            ..Hello::default()
        };
        let mut bytes = Vec::new();
        block_on(write(&mut bytes, &hello)).unwrap();
        assert_eq!(block_on(read::<Hello, _>(&mut Cursor::new(bytes))).unwrap(), hello);
    }

    #[test]
    fn oversized_frame_is_refused_before_it_is_read() {
        let mut stream = Cursor::new(u32::MAX.to_be_bytes().to_vec());
        let refused = block_on(read::<Hello, _>(&mut stream)).unwrap_err();
        assert!(matches!(refused, FrameError::TooLong { len_max: Hello::LEN_MAX, .. }));
    }

    #[test]
    fn truncated_frame_is_refused() {
        let mut stream = Cursor::new([0, 0, 0, 9, 1, 2].to_vec());
        assert!(matches!(block_on(read::<Hello, _>(&mut stream)), Err(FrameError::Io(_))));
        assert!(matches!(
            block_on(read::<Hello, _>(&mut Cursor::new(Vec::new()))),
            Err(FrameError::End)
        ));
    }
}
