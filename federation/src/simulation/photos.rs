//! Photos of the posts: some bytes that follow from the post's text, and how they get from one node
//! to another.

use freehold_core::blobs::{AtRest, Pinned};
use freehold_core::feed::{EntryId, Photo};
use freehold_core::node::Node;
use freehold_core::photos::Size;
use freehold_core::store::{BlobId, StoreError};
use freehold_core::timeline::{self, WantedBlob};

use crate::blobs::slice::{self, GROUP_LEN};

/// More than one group of the tree, so that a transfer has a middle to break off in.
const LARGE_LEN: usize = 17_000;
const SMALL_LEN: usize = 300;

/// The bytes of both sizes of the photo that a text has.
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

/// The photos that a post with this text shows: every fourth has one.
pub(super) fn of(label: &str) -> Vec<Photo> {
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
    vec![Photo { blob, len, small, small_len, alt, caption, width: 40, height: 30, thumbhash }]
}

/// Stores the photos of a post at its author's node.
#[allow(clippy::disallowed_methods, reason = "a test may block")]
pub(super) fn keep(node: &Node, photos: &[Photo], label: &str) -> Result<Vec<Pinned>, StoreError> {
    let bytes = if photos.is_empty() { Vec::new() } else { pixels(label).to_vec() };
    bytes.iter().map(|bytes| node.blobs.put(bytes, AtRest::Plain)).collect()
}

/// What comes of a blob that is asked for.
pub(super) enum Came {
    /// All of it, verified.
    Whole(Pinned),
    /// The transfer broke off, or what came was not what the hash promises.
    Broken,
    /// The other does not have it.
    Missing,
}

/// Brings one blob from its author's node, range by range. A rough way breaks off or spoils a bit
/// now and then.
#[allow(clippy::disallowed_methods, reason = "a test may block")]
pub(super) fn bring(
    from: &Node,
    to: &Node,
    wanted: &WantedBlob,
    choice: u64,
    is_rough: bool,
) -> Came {
    let Ok(reader) = from.blobs.open(&wanted.blob) else { return Came::Missing };
    let bytes = reader.read_all(LARGE_LEN).unwrap();
    let tree = slice::outboard(bytes.as_slice(), wanted.len).unwrap();
    let mut writer = to.blobs.writer(AtRest::Plain, wanted.len).unwrap();
    for start in (0..wanted.len).step_by(usize::try_from(GROUP_LEN).unwrap()) {
        let len = GROUP_LEN.min(wanted.len - start);
        let mut coming = slice::encode(bytes.as_slice(), &tree, start, len).unwrap();
        if is_rough && start > 0 && choice.is_multiple_of(4) {
            return Came::Broken;
        }
        if is_rough && choice % 4 == 1 {
            let at = usize::try_from(choice / 4).unwrap_or_default() % coming.len();
            coming[at] ^= 1;
        }
        match slice::decode(wanted.blob.0, wanted.len, start, len, &coming) {
            Ok(part) => writer.write(&part).unwrap(),
            Err(_) => return Came::Broken,
        }
    }
    Came::Whole(writer.finish().unwrap())
}

/// Whether a node has both sizes of the photos that this text has, byte for byte, where its
/// timeline shows the post `of`.
#[allow(clippy::disallowed_methods, reason = "a test may block")]
pub(super) fn are_there(node: &Node, of: &EntryId, label: &str) -> bool {
    self::of(label).is_empty()
        || [Size::Large, Size::Small].into_iter().zip(pixels(label)).all(|(size, bytes)| {
            let shown = timeline::image_bytes(node, of, 0, size).unwrap();
            shown.is_some_and(|shown| shown.read_all(LARGE_LEN).is_ok_and(|shown| shown == bytes))
        })
}
