//! Bounds on a server that talks without an end and brings nothing.

use std::time::Duration;

use super::client::{ClientError, lost};
use super::reader::Response;

/// How long the server may be waited for without a message that was asked for, in all reads of a
/// command together: one that says something every minute would else keep an import forever.
const WAITED_MAX: Duration = Duration::from_secs(15 * 60);
/// The least speed of a server beyond that, in bytes a second.
const RATE_MIN: u64 = 256;
/// The most responses meanwhile: an account has fewer folders.
const RESPONSES_MAX: u32 = 100_000;
/// The most of them that have a text of a message. One command asks for fewer.
const TEXTS_MAX: u32 = 1000;
/// The most bytes of the responses without those texts: 64 MiB.
const LINES_LEN_MAX: u64 = 64 * 1024 * 1024;

/// The server's output since the last command or message.
#[derive(Default)]
pub(super) struct Progress {
    responses: u32,
    texts: u32,
    lines_len: u64,
    /// All bytes.
    len: u64,
    /// The time in which the server was waited for.
    waited: Duration,
}

impl Progress {
    /// Counts a response.
    pub(super) fn responded(&mut self, response: &Response) -> Result<(), ClientError> {
        self.responses = self.responses.saturating_add(1);
        self.texts = self.texts.saturating_add(response.text.is_some().into());
        self.lines_len = self.lines_len.saturating_add(response.line.len() as u64);
        let is_over = self.responses > RESPONSES_MAX
            || self.texts > TEXTS_MAX
            || self.lines_len > LINES_LEN_MAX;
        if is_over {
            let cause = "the server sends responses without an end";
            return Err(ClientError::Fatal(cause.to_owned()));
        }
        Ok(())
    }

    /// Counts a read.
    pub(super) fn received(&mut self, len: usize, waited: Duration) -> Result<(), ClientError> {
        self.len = self.len.saturating_add(len as u64);
        self.waited = self.waited.saturating_add(waited);
        let waited_max = WAITED_MAX.saturating_add(Duration::from_secs(self.len / RATE_MIN));
        if self.waited > waited_max {
            return Err(lost("the server makes no progress"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::Text;
    use super::*;

    #[test]
    fn responses_without_progress_are_bounded() {
        let response = |line: usize, text: Option<Text>| Response { line: vec![b'x'; line], text };
        for (response, count) in [
            (response(10, None), RESPONSES_MAX),
            (response(10, Some(Text::Kept(Vec::new()))), TEXTS_MAX),
            (response(1024 * 1024, None), 64),
        ] {
            let mut progress = Progress::default();
            assert!((0..count).all(|_| progress.responded(&response).is_ok()));
            assert!(matches!(progress.responded(&response), Err(ClientError::Fatal(_))));
        }
    }

    #[test]
    fn server_that_drips_is_left() {
        let mut progress = Progress::default();
        let minute = Duration::from_secs(60);
        assert!((0..15).all(|_| progress.received(8, minute).is_ok()));
        assert!(matches!(progress.received(8, minute), Err(ClientError::Lost(_))));
        // A slow line with a large message is no such server.
        let mut slow = Progress::default();
        assert!((0..600).all(|_| slow.received(32 * 1024, minute).is_ok()));
    }
}
