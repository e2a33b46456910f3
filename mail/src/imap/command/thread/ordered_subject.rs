//! THREAD=ORDEREDSUBJECT (RFC 5256 3): the messages with one base subject are a thread. The first
//! by sent date is the parent of all others.

use std::collections::HashMap;

use super::forest::{Forest, Parent};
use super::{Threaded, by_date};

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct OrderedSubject(Vec<Threaded>);

impl OrderedSubject {
    /// Adds the next message of the folder.
    pub(super) fn add(&mut self, message: Threaded) {
        self.0.push(message);
    }

    /// The threads.
    pub(super) fn finish(self) -> Forest {
        let Self(messages) = self;
        let order = by_date(&messages);
        let mut parents = vec![Parent::NONE; messages.len()];
        let mut first: HashMap<u64, u32> = HashMap::new();
        for index in &order {
            let at = *index as usize;
            let Some(message) = messages.get(at) else { continue };
            let parent = *first.entry(message.subject).or_insert(*index);
            if let Some(slot) = parents.get_mut(at).filter(|_| parent != *index) {
                *slot = Parent::message(parent);
            }
        }
        Forest::new(messages.iter().map(|message| message.number).collect(), parents, 0, order)
    }
}

#[cfg(test)]
mod tests {
    use super::super::forest::tests::printed;
    use super::*;

    #[test]
    fn messages_with_one_subject_are_a_thread() {
        let mut threads = OrderedSubject::default();
        for (number, date, subject) in
            [(1, 50, 7), (2, 20, 8), (3, 10, 7), (4, 60, 7), (5, 5, 0), (6, 30, 8), (7, 70, 0)]
        {
            threads.add(Threaded { number, date, subject, is_reply: false });
        }
        assert_eq!(printed(&threads.finish()), "(5 7)(3 (1)(4))(2 6)");
        assert_eq!(printed(&OrderedSubject::default().finish()), "");
    }
}
