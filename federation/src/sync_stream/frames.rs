//! The two halves of a sync stream, each in a task of its own, so that neither waits for the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::AsyncWriteExt;
use futures::io::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::limits::UNSENT_LEN_MAX;
use crate::network::ByteStream;
use crate::wire;
use crate::wire::frame::{self, FrameError};
use crate::wire::sync::Sync;

/// Queues frames for the writing task.
pub(super) struct FrameSender {
    frames: mpsc::UnboundedSender<Vec<u8>>,
    /// Bytes queued and not yet written.
    unsent_len: Arc<AtomicUsize>,
}

impl FrameSender {
    /// Starts the writing task, which ends after the sender is dropped and every frame is written.
    pub(super) fn spawn(writer: WriteHalf<ByteStream>) -> (Self, JoinHandle<()>) {
        let (frames, queue) = mpsc::unbounded_channel();
        let unsent_len = Arc::new(AtomicUsize::new(0));
        let written = tokio::spawn(write(writer, queue, Arc::clone(&unsent_len)));
        (Self { frames, unsent_len }, written)
    }

    pub(super) fn send(&self, message: &Sync) {
        let bytes = wire::encode(message);
        self.unsent_len.fetch_add(bytes.len(), Ordering::Relaxed);
        // The writing task has ended only if the stream is broken, which the reader reports.
        let _ = self.frames.send(bytes);
    }

    /// True if the peer reads so slowly that more than [`UNSENT_LEN_MAX`] bytes are queued.
    pub(super) fn is_over_limit(&self) -> bool {
        self.unsent_len.load(Ordering::Relaxed) > UNSENT_LEN_MAX
    }
}

/// Reads messages until the stream ends, breaks, or has an invalid frame.
pub(super) async fn read(
    mut stream: ReadHalf<ByteStream>,
    messages: mpsc::Sender<Result<Sync, FrameError>>,
) {
    loop {
        let message = frame::read::<Sync, _>(&mut stream).await;
        let is_last = message.is_err();
        if messages.send(message).await.is_err() || is_last {
            return;
        }
    }
}

async fn write(
    mut stream: WriteHalf<ByteStream>,
    mut queue: mpsc::UnboundedReceiver<Vec<u8>>,
    unsent_len: Arc<AtomicUsize>,
) {
    while let Some(bytes) = queue.recv().await {
        if frame::write_bytes(&mut stream, &bytes).await.is_err() {
            return;
        }
        unsent_len.fetch_sub(bytes.len(), Ordering::Relaxed);
        // Frames that are queued already go out in the same packet.
        if queue.is_empty() && stream.flush().await.is_err() {
            return;
        }
    }
    // The stream may be broken already.
    let _ = stream.close().await;
}
