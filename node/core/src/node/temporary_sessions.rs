//! The sessions of a node that was opened on a disk that can't be written: the owner must be able
//! to log in and read. They end with the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Timestamp;

/// The most temporary sessions; the oldest is removed for another one.
const SESSIONS_MAX: usize = 100;

/// Sessions by the hash of their token, with the time of the login. Cheap to clone.
#[derive(Clone, Default)]
pub struct TemporarySessions(Arc<Mutex<HashMap<[u8; 32], Timestamp>>>);

impl TemporarySessions {
    pub(crate) fn insert(&self, hash: [u8; 32], now: Timestamp) {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= SESSIONS_MAX {
            let oldest = sessions.iter().min_by_key(|(_, at)| **at).map(|(hash, _)| *hash);
            oldest.map(|hash| sessions.remove(&hash));
        }
        sessions.insert(hash, now);
    }

    pub(crate) fn get(&self, hash: &[u8; 32]) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(hash).copied()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// True if there was such a session.
    pub(crate) fn remove(&self, hash: &[u8; 32]) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(hash).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_sessions_are_bounded() {
        let sessions = TemporarySessions::default();
        (0..=200).for_each(|n| sessions.insert([n; 32], Timestamp(n.into())));
        assert_eq!((0..=200).filter(|n| sessions.get(&[*n; 32]).is_some()).count(), SESSIONS_MAX);
        assert!(sessions.remove(&[200; 32]) && !sessions.remove(&[200; 32]));
    }
}
