//! Threads as arrays: for each message its parent. They are built, printed and dropped without
//! recursion.

use freehold_mime::imap::Printer;

/// The parent of a message: another message, a group of messages without a message above them, or
/// none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parent(u32);

/// The first number of a group.
const GROUPS: u32 = 1 << 31;

impl Parent {
    /// The message begins a thread.
    pub(super) const NONE: Self = Self(u32::MAX);

    /// The message with this index.
    pub(super) fn message(index: u32) -> Self {
        Self(index)
    }

    /// The group with this index.
    pub(super) fn group(index: u32) -> Self {
        Self(GROUPS.saturating_add(index))
    }

    /// The index of the group, if the parent is one.
    pub(super) fn as_group(self) -> Option<u32> {
        if self == Self::NONE { None } else { self.0.checked_sub(GROUPS) }
    }
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Forest {
    /// The number of each message.
    numbers: Vec<u32>,
    /// The messages whose parent is each message, then each group: the children of parent n are
    /// `children[starts[n]..starts[n + 1]]`.
    starts: Vec<u32>,
    children: Vec<u32>,
    /// The threads in order.
    roots: Vec<Root>,
}

/// The top of a thread: a message or a group.
#[derive(Clone, Copy, Debug)]
enum Root {
    Message(u32),
    Group(u32),
}

/// The next text to be printed.
enum Step {
    Open(u32),
    Close,
}

impl Forest {
    /// Threads from the parent of each message. `order` has the indexes of the messages by sent
    /// date; siblings are in that order (RFC 5256 3, step 6).
    pub(super) fn new(
        numbers: Vec<u32>,
        parents: Vec<Parent>,
        group_count: usize,
        order: Vec<u32>,
    ) -> Self {
        let message_count = numbers.len();
        let slot = |parent: Parent| match parent.as_group() {
            _ if parent == Parent::NONE => None,
            Some(group) => Some(message_count.saturating_add(group as usize)),
            None => Some(parent.0 as usize),
        };
        let parent_of = |index: u32| parents.get(index as usize).copied().unwrap_or(Parent::NONE);
        let parent_count = message_count.saturating_add(group_count);
        // Counts, then the ends of the ranges; filling from the back turns them into starts.
        let mut starts = vec![0u32; parent_count.saturating_add(1)];
        for at in parents.iter().filter_map(|parent| slot(*parent)) {
            if let Some(count) = starts.get_mut(at) {
                *count = count.saturating_add(1);
            }
        }
        let mut sum = 0u32;
        for start in &mut starts {
            sum = sum.saturating_add(*start);
            *start = sum;
        }
        let mut children = vec![0u32; sum as usize];
        for index in order.iter().rev() {
            let Some(start) = slot(parent_of(*index)).and_then(|at| starts.get_mut(at)) else {
                continue;
            };
            *start = start.saturating_sub(1);
            if let Some(child) = children.get_mut(*start as usize) {
                *child = *index;
            }
        }
        let mut is_listed = vec![false; group_count];
        let mut roots = Vec::new();
        for index in &order {
            let parent = parent_of(*index);
            if parent == Parent::NONE {
                roots.push(Root::Message(*index));
            } else if let Some(group) = parent.as_group()
                && let Some(listed) = is_listed.get_mut(group as usize)
                && !std::mem::replace(listed, true)
            {
                // A group has the date of its first message.
                roots.push(Root::Group(group));
            }
        }
        Self { numbers, starts, children, roots }
    }

    fn children(&self, parent: usize) -> &[u32] {
        let (Some(start), Some(end)) =
            (self.starts.get(parent), self.starts.get(parent.saturating_add(1)))
        else {
            return &[];
        };
        self.children.get(*start as usize..*end as usize).unwrap_or_default()
    }

    /// Prints a space and the threads (`1*thread-list`); nothing if there are none.
    pub(super) fn print(&self, out: &mut Printer) {
        if !self.roots.is_empty() {
            out.raw(" ");
        }
        let mut todo = Vec::new();
        for root in &self.roots {
            match root {
                Root::Message(index) => todo.push(Step::Open(*index)),
                Root::Group(group) => {
                    out.raw("(");
                    let parent = self.numbers.len().saturating_add(*group as usize);
                    todo.push(Step::Close);
                    todo.extend(self.children(parent).iter().rev().map(|child| Step::Open(*child)));
                }
            }
            while let Some(step) = todo.pop() {
                match step {
                    Step::Open(index) => self.print_members(out, index, &mut todo),
                    Step::Close => drop(out.raw(")")),
                }
            }
        }
    }

    /// Prints a message with the chain of only children below it; the children of the last one are
    /// to be done.
    fn print_members(&self, out: &mut Printer, index: u32, todo: &mut Vec<Step>) {
        out.raw("(");
        let mut index = index as usize;
        loop {
            if let Some(number) = self.numbers.get(index) {
                out.show(number);
            }
            match self.children(index) {
                [] => {
                    out.raw(")");
                    return;
                }
                [only] => index = *only as usize,
                several => {
                    out.raw(" ");
                    todo.push(Step::Close);
                    todo.extend(several.iter().rev().map(|child| Step::Open(*child)));
                    return;
                }
            }
            out.raw(" ");
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn printed(forest: &Forest) -> String {
        let mut out = Printer::default();
        forest.print(&mut out);
        String::from_utf8(out.take()).unwrap().trim_start().to_owned()
    }

    /// Messages with numbers from 1, in the order of their dates.
    fn forest(parents: Vec<Parent>, group_count: usize) -> Forest {
        let count = u32::try_from(parents.len()).unwrap();
        Forest::new((1..=count).collect(), parents, group_count, (0..count).collect())
    }

    #[test]
    fn threads_are_printed_as_in_the_rfc() {
        let (none, message, group) = (Parent::NONE, Parent::message, Parent::group);
        // RFC 5256 4: (2)(3 6 (4 23)(44 7 96)) in the numbers of this test.
        let parents = [none, none, message(1), message(2), message(3), message(2), message(5)];
        assert_eq!(printed(&forest(parents.into(), 0)), "(1)(2 3 (4 5)(6 7))");
        let parents = [group(0), none, group(0), message(0)];
        assert_eq!(printed(&forest(parents.into(), 1)), "((1 4)(3))(2)");
        assert_eq!(printed(&forest(Vec::new(), 0)), "");
    }

    #[test]
    fn deep_and_wide_threads_are_printed() {
        let chain: Vec<Parent> =
            std::iter::once(Parent::NONE).chain((0..199_999).map(Parent::message)).collect();
        let text = printed(&forest(chain, 0));
        assert!(text.starts_with("(1 2 3 ") && text.ends_with(" 199999 200000)"));
        // Each message of a chain has another child: nested as deep as possible.
        let comb: Vec<Parent> = std::iter::once(Parent::NONE)
            .chain((0..100_000).flat_map(|at| [Parent::message(at * 2); 2]))
            .collect();
        let text = printed(&forest(comb, 0));
        assert!(text.starts_with("(1 (2)(3 (4)"), "{}", &text[..20]);
        assert_eq!(text.matches('(').count(), text.matches(')').count());
    }
}
