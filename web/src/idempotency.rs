//! A form that is sent twice (a second press, the back button, a connection that broke before the
//! response) takes effect once.
//!
//! Each form that makes something carries a key of its own. The id of the made thing is a hash of
//! the key and the typed texts: the same texts sent again get the same id, other texts from the
//! same form get another.

use data_encoding::HEXLOWER;

use crate::site::Site;

/// The key of a new form.
pub(crate) fn new_key(site: &Site) -> String {
    HEXLOWER.encode(&site.node.random.array::<16>())
}

/// The id for what the form with `key` makes of `texts`. A form without a key gets a new id each
/// time.
pub(crate) fn id_for(site: &Site, key: &str, texts: &[&str]) -> [u8; 16] {
    if key.is_empty() {
        return site.node.random.array();
    }
    let mut hasher = blake3::Hasher::new();
    for text in [key].iter().chain(texts) {
        hasher.update(&(text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default()
}
