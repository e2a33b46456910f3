//! A form that is sent twice does once what it says: by a second press, by going back, by a
//! connection that broke before the answer.
//!
//! Each form that makes something carries a mark of its own. What is made of it is named by the
//! mark and the words, so the same words sent again are known for the same, and other words from
//! the same form are something else.

use data_encoding::HEXLOWER;

use crate::site::Site;

/// A new form's mark.
pub(crate) fn mark(site: &Site) -> String {
    HEXLOWER.encode(&site.node.random.array::<16>())
}

/// The name of what the form with `mark` makes of `words`; a form without a mark makes something
/// new each time.
pub(crate) fn named(site: &Site, mark: &str, words: &[&str]) -> [u8; 16] {
    if mark.is_empty() {
        return site.node.random.array();
    }
    let mut hasher = blake3::Hasher::new();
    for part in [mark].iter().chain(words) {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default()
}
