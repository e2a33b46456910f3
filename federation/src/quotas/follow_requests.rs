//! Follow requests without a token: one per peer in [`REQUEST_INTERVAL`].

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use freehold_core::clock::Timestamp;

use crate::limits::REQUEST_INTERVAL;
use crate::network::PeerKey;

/// Peers whose last request is remembered; beyond that, requests of other peers are refused.
const REMEMBERED_MAX: usize = 4096;

/// The time of each peer's last request.
#[derive(Default)]
pub(crate) struct FollowRequests(Mutex<HashMap<PeerKey, Timestamp>>);

impl FollowRequests {
    /// Notes a request of this peer and returns true, if one is allowed now.
    pub(crate) fn take(&self, peer: PeerKey, now: Timestamp) -> bool {
        let interval = u64::try_from(REQUEST_INTERVAL.as_millis()).unwrap_or(u64::MAX);
        let mut last_requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last_requests.get(&peer).is_some_and(|last| now.millis_since(*last) < interval) {
            return false;
        }
        if last_requests.len() >= REMEMBERED_MAX {
            last_requests.retain(|_, last| now.millis_since(*last) < interval);
        }
        // Still full: thousands of keys within one interval are a flood, not people.
        let has_room = last_requests.len() < REMEMBERED_MAX;
        if has_room {
            last_requests.insert(peer, now);
        }
        has_room
    }
}
