//! Photos of posts, whose bytes follow from the post's text, and their transfer between nodes.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use freehold_core::blobs::Pinned;
use freehold_core::feed::{EntryId, PhotoRef};
use freehold_core::node::Node;
use freehold_core::photos::Size;
use freehold_core::store::{BlobId, StoreError};
use freehold_core::timeline::{self, WantedBlob};

use crate::blobs::slice::{self, GROUP_LEN};

/// More than one group of the hash tree, so that a transfer can break in its middle.
const LARGE_LEN: usize = 17_000;
const SMALL_LEN: usize = 300;

/// The bytes of both sizes of a post's photo.
fn pixels(label: &str) -> [Vec<u8>; 2] {
    [("large", LARGE_LEN), ("small", SMALL_LEN)].map(|(size, len)| {
        let mut bytes = vec![0; len];
        blake3::Hasher::new()
            .update(label.as_bytes())
            .update(size.as_bytes())
            .finalize_xof()
            .fill(&mut bytes);
        bytes
    })
}

/// The photos of a post with this text: every fourth post has one.
pub(super) fn for_text(label: &str) -> Vec<PhotoRef> {
    if !label
        .rsplit(' ')
        .next()
        .and_then(|number| number.parse::<u64>().ok())
        .is_some_and(|number| number.is_multiple_of(4))
    {
        return Vec::new();
    }
    let [(blob, len), (small, small_len)] =
        pixels(label).map(|bytes| (BlobId(*blake3::hash(&bytes).as_bytes()), bytes.len() as u64));
    let (alt, caption, thumbhash) = ("a photo".to_owned(), String::new(), Vec::new());
    vec![PhotoRef { blob, len, small, small_len, alt, caption, width: 40, height: 30, thumbhash }]
}

/// Stores the photos of a post at its author's node.
pub(super) fn store(
    node: &Node,
    photos: &[PhotoRef],
    label: &str,
) -> Result<Vec<Pinned>, StoreError> {
    let bytes = if photos.is_empty() { Vec::new() } else { pixels(label).to_vec() };
    bytes.iter().map(|bytes| node.blobs.put(bytes)).collect()
}

/// The result of a transfer.
pub(super) enum Transfer {
    /// The blob was fetched and verified.
    Complete(Pinned),
    /// The transfer broke, or the bytes did not match the hash.
    Broken,
    /// The other node does not have the blob.
    Missing,
}

/// Fetches one blob from its author's node, range by range. A lossy transfer sometimes breaks, or
/// flips a bit.
pub(super) fn transfer(
    from: &Node,
    to: &Node,
    wanted: &WantedBlob,
    choice: u64,
    is_lossy: bool,
) -> Transfer {
    let Ok(reader) = from.blobs.open(&wanted.blob) else { return Transfer::Missing };
    let bytes = reader.read_all(LARGE_LEN).unwrap();
    let tree = slice::outboard(bytes.as_slice(), wanted.len).unwrap();
    let mut writer = to.blobs.writer(wanted.len).unwrap();
    for start in (0..wanted.len).step_by(usize::try_from(GROUP_LEN).unwrap()) {
        let len = GROUP_LEN.min(wanted.len - start);
        let mut received = slice::encode(bytes.as_slice(), &tree, start, len).unwrap();
        if is_lossy && start > 0 && choice.is_multiple_of(4) {
            return Transfer::Broken;
        }
        if is_lossy && choice % 4 == 1 {
            let at = usize::try_from(choice / 4).unwrap_or_default() % received.len();
            received[at] ^= 1;
        }
        match slice::decode(wanted.blob.0, wanted.len, start, len, &received) {
            Ok(part) => writer.write(&part).unwrap(),
            Err(_) => return Transfer::Broken,
        }
    }
    Transfer::Complete(writer.finish().unwrap())
}

/// True if a node's timeline shows the post `of` with both sizes of its photos, byte for byte.
pub(super) fn are_complete(node: &Node, of: &EntryId, label: &str) -> bool {
    for_text(label).is_empty()
        || [Size::Large, Size::Small].into_iter().zip(pixels(label)).all(|(size, bytes)| {
            let shown = timeline::image_bytes(node, of, 0, size).unwrap();
            shown.is_some_and(|shown| shown.read_all(LARGE_LEN).is_ok_and(|shown| shown == bytes))
        })
}
