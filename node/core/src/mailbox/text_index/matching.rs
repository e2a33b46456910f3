//! Looking for terms in one run.

use std::collections::BTreeMap;

use memchr::{memchr, memchr_iter, memmem};

use super::bits;
use super::grams::{GramHash, Part};
use super::lists::{each_list, list_in};
use super::places::Places;
use super::run::{Lists, Run};
use super::tokens::{Needle, SEPARATOR, Term};
use crate::node::Node;
use crate::store::StoreError;

/// The most grams of a term that are looked up.
const LOOKED_UP_MAX: usize = 8;

/// A term, and whether it may also be in the header.
pub(super) struct Wanted {
    term: Term,
    /// The buckets of each needle.
    grams: Vec<Vec<u32>>,
    /// The buckets of the term in the header, if that is searched.
    header: Option<Vec<u32>>,
}

impl Wanted {
    pub(super) fn new(hash: GramHash, folded: &str, with_header: bool) -> Self {
        let some = |part, text: &str| {
            let all = hash.of_term(part, text);
            // A long term: some of its grams, from all of it.
            let step = all.len().div_ceil(LOOKED_UP_MAX).max(1);
            all.into_iter().step_by(step).collect::<Vec<u32>>()
        };
        let term = Term::new(folded);
        let grams = term.needles.iter().map(|needle| some(Part::Body, needle.letters())).collect();
        Self { term, grams, header: with_header.then(|| some(Part::Header, folded)) }
    }

    /// True if the term has a letter or digit.
    pub(super) fn is_known(&self) -> bool {
        !self.term.needles.is_empty()
    }
}

/// The places of messages that may have a term, and of those that have it.
pub(super) struct Found {
    pub(super) possible: Places,
    pub(super) certain: Places,
}

/// Reads a run for a search. Its methods return `None` if the run was replaced meanwhile.
pub(super) struct Reader<'a> {
    node: &'a Node,
    run: &'a Run,
    text: Option<String>,
    /// Rows of grams that were read.
    rows: BTreeMap<u16, Vec<u8>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(node: &'a Node, run: &'a Run) -> Self {
        Self { node, run, text: None, rows: BTreeMap::new() }
    }

    /// The messages with a term.
    pub(super) fn find(&mut self, wanted: &Wanted) -> Result<Option<Found>, StoreError> {
        let mut possible = Places::ALL;
        for (needle, grams) in wanted.term.needles.iter().zip(&wanted.grams) {
            let Some(found) = self.with_needle(needle, grams)? else { return Ok(None) };
            possible.intersect(&found);
            if possible.is_empty() {
                break;
            }
        }
        let certain = if wanted.term.is_exact { possible.clone() } else { Places::NONE };
        self.run.incomplete().for_each(|place| possible.insert(place as usize));
        if let Some(header) = &wanted.header {
            let Some(found) = self.with_grams(Lists::Headers, header)? else { return Ok(None) };
            possible.unite(&found);
        }
        Ok(Some(Found { possible, certain }))
    }

    /// The messages with a word that contains a needle.
    fn with_needle(
        &mut self,
        needle: &Needle,
        grams: &[u32],
    ) -> Result<Option<Places>, StoreError> {
        let sought = memmem::Finder::new(needle.sought.as_bytes());
        if self.text.is_none() {
            self.text = self.run.text(&self.node.store)?;
        }
        let Some(text) = &self.text else { return Ok(None) };
        let numbers = words_with(text.as_bytes(), &sought, needle);
        let Some(mut found) = self.with_words(&numbers)? else { return Ok(None) };
        if found.len() >= self.run.uids.len() {
            return Ok(Some(found));
        }
        let Some(rows) = self.with_grams(Lists::Grams, grams)? else { return Ok(None) };
        for number in (0..self.run.rare_rows()).filter(|row| rows.contains(usize::from(*row))) {
            let Some(rare) = self.run.rare(&self.node.store, number)? else { return Ok(None) };
            rare.find(&sought, |place| found.insert(usize::from(place)));
        }
        Ok(Some(found))
    }

    /// The messages with one of these words, the numbers of which ascend.
    fn with_words(&self, mut numbers: &[u32]) -> Result<Option<Places>, StoreError> {
        let mut found = Places::NONE;
        while let Some((next, rest)) = numbers.split_first()
            && found.len() < self.run.uids.len()
        {
            // A list that is missing is passed over.
            let mut left = rest;
            if let Some((number, first)) = self.run.row_with(Lists::Words, *next) {
                let Some(row) = self.run.posting(&self.node.store, number)? else {
                    return Ok(None);
                };
                let mut wanted = numbers;
                each_list(first, &row, |number, list| {
                    while let Some((next, rest)) = wanted.split_first()
                        && *next <= number
                    {
                        if *next == number {
                            bits::decode(list).for_each(|place| found.insert(place as usize));
                        }
                        wanted = rest;
                    }
                    !wanted.is_empty()
                });
                if wanted.len() < left.len() {
                    left = wanted;
                }
            }
            numbers = left;
        }
        Ok(Some(found))
    }

    /// Those that have all these grams.
    fn with_grams(&mut self, lists: Lists, grams: &[u32]) -> Result<Option<Places>, StoreError> {
        let mut all = Places::ALL;
        for bucket in grams {
            let mut having = Places::NONE;
            if let Some((number, first)) = self.run.row_with(lists, *bucket) {
                if !self.rows.contains_key(&number) {
                    let Some(row) = self.run.posting(&self.node.store, number)? else {
                        return Ok(None);
                    };
                    self.rows.insert(number, row);
                }
                let row = self.rows.get(&number).map(Vec::as_slice).unwrap_or_default();
                let list = list_in(first, row, *bucket).unwrap_or_default();
                bits::decode(list).for_each(|place| having.insert(place as usize));
            }
            all.intersect(&having);
            if all.is_empty() {
                break;
            }
        }
        Ok(Some(all))
    }
}

/// The numbers of the words of a run that contain a needle. Each word has a separator before it.
fn words_with(text: &[u8], sought: &memmem::Finder<'_>, needle: &Needle) -> Vec<u32> {
    let separator = SEPARATOR as u8;
    let lead = usize::from(needle.sought.starts_with(SEPARATOR));
    // The separators before `rest`.
    let (mut passed, mut rest, mut numbers) = (0usize, text, Vec::new());
    while let Some(at) = sought.find(rest) {
        let (before, word) = rest.split_at_checked(at + lead).unwrap_or((rest, &[]));
        passed += memchr_iter(separator, before).count();
        numbers.push(u32::try_from(passed.saturating_sub(1)).unwrap_or(u32::MAX));
        let Some(end) = memchr(separator, word) else { break };
        rest = word.get(end..).unwrap_or_default();
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_numbers_are_counted_between_separators() {
        let text = "\nbean\nan\nbeans\nbea\nxan\nan\n";
        let numbers = |sought: &str| {
            let needle = Needle { sought: sought.to_owned() };
            words_with(text.as_bytes(), &memmem::Finder::new(sought), &needle)
        };
        assert_eq!(numbers("an"), [0, 1, 2, 4, 5]);
        assert_eq!(numbers("bean"), [0, 2]);
        assert_eq!(numbers("an\n"), [0, 1, 4, 5]);
        assert_eq!(numbers("\nan"), [1, 5]);
        assert_eq!(numbers("\nan\n"), [1, 5]);
        assert_eq!(numbers("zz"), Vec::<u32>::new());
    }
}
