//! Randomness as a parameter: seeded by the operating system in a running node, by a number in a
//! test.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};

/// A source of random bytes fit for keys. Cheap to clone; clones share one stream.
#[derive(Clone)]
pub struct Random {
    stream: Arc<Mutex<ChaCha20Rng>>,
    /// True if fresh bytes of the operating system are mixed in. A machine that is resumed twice
    /// from one memory image has the same stream twice, which would repeat a nonce; the operating
    /// system reseeds after a resumption.
    mixed: bool,
}

impl Random {
    /// A cryptographic stream seeded by the operating system.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn from_os() -> Result<Self, getrandom::Error> {
        let mut seed = [0u8; 32];
        getrandom::fill(&mut seed)?;
        Ok(Self::new(ChaCha20Rng::from_seed(seed), true))
    }

    /// The same bytes for the same seed; for tests only.
    #[cfg(any(test, feature = "testing"))]
    pub fn seeded(seed: u64) -> Self {
        Self::new(ChaCha20Rng::seed_from_u64(seed), false)
    }

    fn new(stream: ChaCha20Rng, mixed: bool) -> Self {
        Self { stream: Arc::new(Mutex::new(stream)), mixed }
    }

    /// Fills `bytes`.
    pub fn fill(&self, bytes: &mut [u8]) {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
        if !self.mixed {
            return;
        }
        let mut fresh = [0u8; 32];
        for part in bytes.chunks_mut(fresh.len()) {
            // If this fails, the stream alone is still fit for keys.
            if getrandom::fill(&mut fresh).is_ok() {
                part.iter_mut().zip(fresh).for_each(|(byte, fresh)| *byte ^= fresh);
            }
        }
    }

    /// `N` random bytes.
    pub fn array<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0u8; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A random 64-bit number.
    pub fn u64(&self) -> u64 {
        u64::from_le_bytes(self.array())
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resumed_memory_image_draws_different_random_bytes() {
        let resumed = || Random::new(ChaCha20Rng::seed_from_u64(1), true).array::<100>();
        let (one, two) = (resumed(), resumed());
        assert!((0..100).step_by(20).all(|at| one[at..at + 20] != two[at..at + 20]));
    }

    #[test]
    fn seeded_random_stream_is_repeatable() {
        assert_eq!(Random::seeded(7).array::<100>(), Random::seeded(7).array::<100>());
        assert_ne!(Random::seeded(7).u64(), Random::seeded(8).u64());
    }
}
