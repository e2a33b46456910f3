//! Quotas that several peers share, or that outlive a connection: a peer that reconnects, or uses
//! many keys, gains nothing.

mod daily;
mod follow_requests;
mod mail;
mod nets;

use std::sync::{Mutex, MutexGuard, PoisonError};

use freehold_core::clock::Timestamp;
use freehold_core::logins::ClientNet;
use tokio::sync::Semaphore;

pub(crate) use self::daily::DailyShares;
pub(crate) use self::follow_requests::FollowRequests;
pub(crate) use self::mail::MailRates;
use self::nets::NetRates;
use crate::limits::{
    STRANGERS_BLOB_KIB_BURST, STRANGERS_BLOB_KIB_PER_SECOND, STRANGERS_REQUESTS_BURST,
    STRANGERS_REQUESTS_PER_SECOND, STRANGERS_VERIFIED_MAX,
};
use crate::rate::TokenBucket;

/// The quotas of one node.
pub(crate) struct Quotas {
    /// Bytes of photos that are requested of each friend per day, whether they are stored or not.
    pub(crate) photos: DailyShares,
    /// Follow requests without a token.
    pub(crate) follow_requests: FollowRequests,
    /// Messages of each friend's node.
    pub(crate) mail: MailRates,
    /// Those for the world.
    pub(crate) relay: MailRates,
    /// Held while an unknown person's identity log is verified.
    pub(crate) verifying: Semaphore,
    strangers: Mutex<StrangerRates>,
}

/// Rates that all unexpected peers share.
struct StrangerRates {
    by_net: NetRates,
    requests: TokenBucket,
    blob_kib: TokenBucket,
}

impl Quotas {
    pub(crate) fn new(photos_mib_per_friend_day: u32, now: Timestamp) -> Self {
        Self {
            photos: DailyShares::new(photos_mib_per_friend_day),
            follow_requests: FollowRequests::default(),
            mail: MailRates::default(),
            relay: MailRates::default(),
            verifying: Semaphore::new(STRANGERS_VERIFIED_MAX),
            strangers: Mutex::new(StrangerRates {
                by_net: NetRates::default(),
                requests: TokenBucket::per_second(
                    STRANGERS_REQUESTS_PER_SECOND,
                    STRANGERS_REQUESTS_BURST,
                    now,
                ),
                blob_kib: TokenBucket::per_second(
                    STRANGERS_BLOB_KIB_PER_SECOND,
                    STRANGERS_BLOB_KIB_BURST,
                    now,
                ),
            }),
        }
    }

    /// Takes short requests from the rate of a stranger's network, then from the rate that all
    /// strangers share. `None` is a network that many share, as loopback.
    pub(crate) fn take_stranger_requests(
        &self,
        net: Option<ClientNet>,
        count: usize,
        now: Timestamp,
    ) -> bool {
        let mut strangers = self.strangers();
        net.is_none_or(|net| strangers.by_net.take(net, count, now))
            && strangers.requests.take(count, now)
    }

    /// Takes KiB of blobs from the rate that strangers share.
    pub(crate) fn take_stranger_blob_kib(&self, kib: usize, now: Timestamp) -> bool {
        self.strangers().blob_kib.take(kib, now)
    }

    fn strangers(&self) -> MutexGuard<'_, StrangerRates> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
