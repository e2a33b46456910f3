//! A set of the messages of a run, or of its rows.

use super::run::RUN_LEN_MAX;

/// Places of messages in a run, or numbers of rows.
#[derive(Clone)]
pub(super) struct Places([u64; RUN_LEN_MAX / 64]);

impl Places {
    pub(super) const NONE: Self = Self([0; RUN_LEN_MAX / 64]);
    pub(super) const ALL: Self = Self([u64::MAX; RUN_LEN_MAX / 64]);

    pub(super) fn contains(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    pub(super) fn insert(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Keeps those that are in both.
    pub(super) fn intersect(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= *other);
    }

    /// Adds those of the other.
    pub(super) fn unite(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= *other);
    }
}
