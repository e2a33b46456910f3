//! The line ends of a message at the entrance of the queue. Everything here blocks.
#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

use freehold_mime::line_ends::LineEnds;

use crate::blobs::{BlobReader, Pinned};
use crate::node::Node;
use crate::store::StoreError;

/// The size of one read, in bytes.
const PIECE_LEN: usize = 64 * 1024;

/// The message, or a copy of it in which CR LF replaces each bare CR and LF (RFC 5321 2.3.8).
pub(super) fn normal(node: &Node, message: Pinned) -> Result<Pinned, StoreError> {
    let reader = node.blobs.open(&message.id)?;
    let mut len = 0u64;
    let examined = read(&reader, |piece| {
        len = len.saturating_add(piece.len() as u64);
        Ok(())
    })?;
    if !examined.has_bare() {
        return Ok(message);
    }
    let mut writer = node.blobs.writer(len)?;
    read(&reader, |piece| writer.write(piece))?;
    writer.finish()
}

/// Hands the message to `each` in pieces, with CR LF as line ends.
fn read(
    reader: &BlobReader,
    mut each: impl FnMut(&[u8]) -> Result<(), StoreError>,
) -> Result<LineEnds, StoreError> {
    let (mut ends, mut at) = (LineEnds::default(), 0u64);
    let (mut piece, mut out) = (vec![0; PIECE_LEN], Vec::new());
    loop {
        let len = reader.read_at(at, &mut piece)?;
        if len == 0 {
            return Ok(ends);
        }
        at = at.saturating_add(len as u64);
        out.clear();
        ends.read(piece.get(..len).unwrap_or_default(), &mut out);
        each(&out)?;
    }
}

#[cfg(test)]
mod tests {
    use crate::mailbox::queue::{ReportRequest, SendLimits, item};
    use crate::mailbox::{IdempotencyKey, SpecialUse, Submission, special_folder, submit};
    use crate::testing::TestNode;

    /// The message as it is queued.
    async fn queued(node: &TestNode, text: &[u8]) -> Vec<u8> {
        let submission = Submission {
            id: IdempotencyKey::new(node),
            from: "alice@alice.example".into(),
            recipients: vec!["bob@bob.example".to_owned().into()],
            blob: node.blobs.put(text).unwrap(),
            copy_to_sent: true,
            request: ReportRequest::default(),
            limits: SendLimits::NONE,
            not_before: None,
        };
        let id = submit(node, submission).await.unwrap();
        let item = item(node, id).unwrap().unwrap();
        let bytes = node.blobs.open(&item.blob).unwrap().read_all(1_000_000).unwrap();
        assert_eq!(item.size, bytes.len() as u64);
        bytes
    }

    #[tokio::test]
    async fn queued_message_has_no_bare_newline() {
        let alice = TestNode::new("alice").await.allowing_queued_mail();
        let text = b"Subject: x\r\n\r\na\r.\rMAIL FROM:<m@m.example>\rb\r.\r\nc\n.\nd\r\n";
        let expected =
            b"Subject: x\r\n\r\na\r\n.\r\nMAIL FROM:<m@m.example>\r\nb\r\n.\r\nc\r\n.\r\nd\r\n";
        assert_eq!(queued(&alice, text).await, expected);
        let sent = special_folder(&alice, SpecialUse::Sent).unwrap().unwrap();
        let copies = crate::mailbox::messages(&alice, sent.id, 1, u32::MAX, 10).unwrap();
        let copy = crate::mailbox::body(&alice, &copies[0]).unwrap().read_all(1000).unwrap();
        assert_eq!(copy, expected, "the copy in Sent is the message that is sent");
        // Longer than a piece, and than a blob that is in a row; CR LF is cut by the pieces.
        let long = [&b"Subject: y\r\n\r\n"[..], &b"1234567\r\n".repeat(30_000), b"\rend"].concat();
        let sent = queued(&alice, &long).await;
        assert_eq!(sent, [&long[..long.len() - 4], b"\r\nend"].concat());
        let clean = &long[..long.len() - 4];
        assert_eq!(queued(&alice, clean).await, clean);
    }
}
