//! Sort keys that are kept in memory: programs that show a folder in an order ask for it again and
//! again.
//!
//! The bytes of a message never change, a UID and a folder's id are never reused. So no key is ever
//! stale, and of a folder with new messages only these are read. The folders that were sorted last
//! are kept.

use std::sync::{Arc, Mutex, PoisonError};

use freehold_core::mailbox::FolderId;

use super::criterion::SortKey;

/// The memory for all keys, in bytes.
const LEN_MAX: usize = 4 * 1024 * 1024;

/// The keys of messages of one folder by one criterion.
#[derive(Debug, Default)]
pub(crate) struct KnownKeys {
    /// Ascending.
    uids: Vec<u32>,
    /// The end of each key in `bytes`.
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl KnownKeys {
    /// The key of a message. `next` is where it is looked for first, and is set for the message
    /// after it.
    pub(super) fn get(&self, next: &mut usize, uid: u32) -> Option<&[u8]> {
        if self.uids.get(*next) != Some(&uid) {
            *next = self.uids.binary_search(&uid).ok()?;
        }
        let at = *next;
        *next = at.saturating_add(1);
        self.key(at)
    }

    fn key(&self, at: usize) -> Option<&[u8]> {
        let start = match at.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize,
            None => 0,
        };
        self.bytes.get(start..*self.ends.get(at)? as usize)
    }

    /// True if it has the keys of these messages, which ascend.
    pub(crate) fn covers(&self, uids: &[u32]) -> bool {
        let Some(first) = uids.first() else { return true };
        let from = self.uids.partition_point(|uid| uid < first);
        self.uids.get(from..).is_some_and(|known| known.starts_with(uids))
            || uids.iter().all(|uid| self.uids.binary_search(uid).is_ok())
    }

    /// Adds the key of a message after the others.
    pub(super) fn push(&mut self, uid: u32, key: &[u8]) {
        let end = self.bytes.len().saturating_add(key.len());
        if end <= LEN_MAX
            && let Ok(end) = u32::try_from(end)
        {
            self.uids.push(uid);
            self.ends.push(end);
            self.bytes.extend_from_slice(key);
        }
    }

    /// The keys that are here or there.
    fn with(&self, other: &Self) -> Self {
        let mut all = Self::default();
        let (mut ours, mut theirs) = (0, 0);
        loop {
            let next = match (self.uids.get(ours), other.uids.get(theirs)) {
                (None, None) => return all,
                (Some(our), their) if their.is_none_or(|their| our <= their) => {
                    theirs += usize::from(their == Some(our));
                    ours += 1;
                    (*our, self.key(ours - 1))
                }
                (_, Some(their)) => {
                    theirs += 1;
                    (*their, other.key(theirs - 1))
                }
                (Some(_), None) => return all,
            };
            all.push(next.0, next.1.unwrap_or_default());
        }
    }

    /// Its memory, in bytes.
    fn len(&self) -> usize {
        self.bytes.len().saturating_add(self.uids.len().saturating_mul(8))
    }
}

/// The keys of the folders that were sorted last, the latest at the end.
#[derive(Debug, Default)]
pub(crate) struct SortCache(Mutex<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    folder: FolderId,
    key: SortKey,
    known: Arc<KnownKeys>,
}

impl SortCache {
    /// The keys of a folder that are known.
    pub(super) fn get(&self, folder: FolderId, key: SortKey) -> Arc<KnownKeys> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = entries.iter().position(|entry| entry.folder == folder && entry.key == key);
        let Some(at) = at else { return Arc::default() };
        let entry = entries.remove(at);
        let known = Arc::clone(&entry.known);
        entries.push(entry);
        known
    }

    /// Adds keys of a folder.
    pub(super) fn add(&self, folder: FolderId, key: SortKey, new: &KnownKeys) {
        if new.uids.is_empty() {
            return;
        }
        let known = Arc::new(self.get(folder, key).with(new));
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry.folder != folder || entry.key != key);
        entries.push(Entry { folder, key, known });
        let mut left = LEN_MAX;
        // The latest first: those that no longer fit, and all before them, are dropped.
        let kept = entries.iter().rev().take_while(|entry| {
            let rest = left.checked_sub(entry.known.len());
            left = rest.unwrap_or(0);
            rest.is_some()
        });
        let dropped = entries.len().saturating_sub(kept.count());
        entries.drain(..dropped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(some: &[(u32, &str)]) -> KnownKeys {
        let mut keys = KnownKeys::default();
        some.iter().for_each(|(uid, key)| keys.push(*uid, key.as_bytes()));
        keys
    }

    #[test]
    fn sort_keys_of_new_messages_join_the_known_ones() {
        let cache = SortCache::default();
        let folder = FolderId(3);
        cache.add(folder, SortKey::Subject, &keys(&[(2, "b"), (9, "")]));
        cache.add(folder, SortKey::Subject, &keys(&[(1, "a"), (9, "x"), (12, "dd")]));
        let known = cache.get(folder, SortKey::Subject);
        let mut next = 0;
        let found = [1, 2, 3, 9, 12, 2].map(|uid| known.get(&mut next, uid).map(<[u8]>::to_vec));
        let expected = [Some("a"), Some("b"), None, Some(""), Some("dd"), Some("b")];
        assert_eq!(found, expected.map(|key| key.map(|key| key.as_bytes().to_vec())));
        assert!(known.covers(&[1, 2, 9]) && known.covers(&[2, 12]) && known.covers(&[]));
        assert!(!known.covers(&[1, 2, 3]) && !known.covers(&[13]));
        assert_eq!(cache.get(folder, SortKey::From).len(), 0);
        assert_eq!(cache.get(FolderId(4), SortKey::Subject).len(), 0);
    }

    #[test]
    fn sort_keys_in_memory_are_bounded() {
        let cache = SortCache::default();
        let long = "k".repeat(LEN_MAX / 3);
        for folder in 0..5 {
            cache.add(FolderId(folder), SortKey::To, &keys(&[(1, &long)]));
        }
        let kept = |folder| cache.get(FolderId(folder), SortKey::To).covers(&[1]);
        assert_eq!([0, 1, 2, 3, 4].map(kept), [false, false, false, true, true]);
        cache.add(FolderId(9), SortKey::To, &keys(&[(1, &long), (2, &long), (3, &long), (4, "")]));
        assert!(!kept(3) && !kept(4));
        assert!(keys(&[(1, &long), (2, &long), (3, &long), (4, &long)]).len() <= LEN_MAX + 32);
    }
}
