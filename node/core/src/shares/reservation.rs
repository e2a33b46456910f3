//! Content that arrives: its bytes are on the disk, and no share is charged yet.

use super::{Allowance, Share, UsedRow};
use crate::clock::Timestamp;
use crate::node::Arriving;
use crate::row::{self, Rows};
use crate::store::StoreError;

/// The part of the shares that one arriving message holds. Dropped, it is free again.
#[derive(Debug)]
pub struct Reservation {
    arriving: Arriving,
    allowances: Vec<Allowance>,
    bytes: u64,
}

impl Reservation {
    /// An empty part. Without allowances everything fits.
    pub fn new(arriving: &Arriving, allowances: Vec<Allowance>) -> Self {
        Self { arriving: arriving.clone(), allowances, bytes: 0 }
    }

    /// The shares with their limits.
    pub fn allowances(&self) -> &[Allowance] {
        &self.allowances
    }

    /// The bytes that it holds of each share.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Holds `bytes` of each share from now on, if no share is beyond its limit then, with what was
    /// used today and what else arrives. A message that is the first of its day always fits.
    ///
    /// # Errors
    /// `Ok(Err(_))` with the share that has no room; it holds what it held before. As
    /// [`super::has_room`].
    pub fn grow(
        &mut self,
        rows: &impl Rows,
        now: Timestamp,
        bytes: u64,
    ) -> Result<Result<(), Share>, StoreError> {
        let mut arriving = self.arriving.lock();
        for Allowance { share, limit } in &self.allowances {
            let used = row::get::<UsedRow>(rows, &share.key(now))?.unwrap_or_default();
            let held = arriving.get(&share.name()).copied().unwrap_or(0).saturating_sub(self.bytes);
            let others = used.bytes.saturating_add(held);
            if others > 0 && others.saturating_add(bytes) > limit.bytes {
                return Ok(Err(*share));
            }
        }
        for Allowance { share, .. } in &self.allowances {
            let held = arriving.entry(share.name()).or_default();
            *held = held.saturating_sub(self.bytes).saturating_add(bytes);
        }
        self.bytes = bytes;
        Ok(Ok(()))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut arriving = self.arriving.lock();
        for Allowance { share, .. } in &self.allowances {
            if let Some(held) = arriving.get_mut(&share.name()) {
                *held = held.saturating_sub(self.bytes);
                if *held == 0 {
                    arriving.remove(&share.name());
                }
            }
        }
    }
}
