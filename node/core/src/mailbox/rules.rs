//! The owner's rules for new messages: into which folder, with which flag, or refused.
//!
//! All rules look at a message, in the order in which they were made. The first that names a folder
//! decides it. A message that was judged junk stays in Junk, and can still be refused.

use freehold_mime::search::{self, fold};
use freehold_mime::{Content, Structure, header};
use minicbor::{Decode, Encode};

use super::Flags;
use super::folders::{self, FolderId};
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

/// The most rules.
pub const RULES_MAX: usize = 200;
/// The longest text of a condition, in bytes.
const TEXT_LEN_MAX: usize = 200;
/// How much of each header field a rule sees, in bytes.
const FIELD_LEN_MAX: usize = 64 * 1024;

/// A rule: if all of its conditions hold, its actions are carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Rule {
    /// A part of a name or address in From; empty for any.
    #[n(0)]
    pub from: String,
    /// A part of a name or address in To or Cc, or of the address it came for; empty for any.
    #[n(1)]
    pub to: String,
    /// A part of the subject; empty for any.
    #[n(2)]
    pub subject: String,
    /// A part of the list's name (List-Id, RFC 2919); empty for any.
    #[n(3)]
    pub list: String,
    /// The message is longer than so many KiB; 0 for any length.
    #[n(4)]
    pub larger_than_kib: u32,
    /// The message has a file.
    #[n(5)]
    pub has_file: bool,
    /// The message is proven to come from a friend's domain.
    #[n(6)]
    pub is_of_friend: bool,
    /// The folder for it.
    #[n(7)]
    pub folder: Option<FolderId>,
    /// It gets the flag \Flagged.
    #[n(8)]
    pub is_flagged: bool,
    /// It gets the flag \Seen.
    #[n(9)]
    pub is_seen: bool,
    /// It is refused.
    #[n(10)]
    pub is_refused: bool,
}

impl Record for Rule {
    const TABLE: Table = Table::new("mailbox_rules");
    const VERSION: u8 = 1;
}

/// The id of a rule. Later ones have higher ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(pub u32);

/// Why a rule was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// It would hold for every message.
    #[error("the rule has no condition")]
    NoCondition,
    /// It would do nothing.
    #[error("the rule does nothing")]
    NoAction,
    /// A condition has more than 200 bytes.
    #[error("a condition has {0} bytes, the limit is {TEXT_LEN_MAX}")]
    TooLong(usize),
    /// The folder does not exist.
    #[error("there is no such folder")]
    NoSuchFolder,
    /// There would be more than [`RULES_MAX`].
    #[error("there are already {RULES_MAX} rules")]
    TooMany,
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl Rule {
    fn texts(&self) -> [&String; 4] {
        [&self.from, &self.to, &self.subject, &self.list]
    }

    fn check(&self) -> Result<(), RuleError> {
        let is_conditional = self.texts().iter().any(|text| !text.trim().is_empty())
            || self.larger_than_kib > 0
            || self.has_file
            || self.is_of_friend;
        if !is_conditional {
            return Err(RuleError::NoCondition);
        }
        if self.folder.is_none() && !self.is_flagged && !self.is_seen && !self.is_refused {
            return Err(RuleError::NoAction);
        }
        match self.texts().iter().map(|text| text.len()).find(|len| *len > TEXT_LEN_MAX) {
            Some(len) => Err(RuleError::TooLong(len)),
            None => Ok(()),
        }
    }

    fn holds_for(&self, seen: &Seen) -> bool {
        let has = |text: &str, part: &str| {
            let part = fold(part.trim());
            part.is_empty() || text.contains(&part)
        };
        has(&seen.from, &self.from)
            && has(&seen.to, &self.to)
            && has(&seen.subject, &self.subject)
            && has(&seen.list, &self.list)
            && (self.larger_than_kib == 0 || seen.len > u64::from(self.larger_than_kib) * 1024)
            && (!self.has_file || seen.has_file)
            && (!self.is_of_friend || seen.is_of_friend)
    }
}

/// The rules in the order of their ids.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn rules(node: &Node) -> Result<Vec<(RuleId, Rule)>, StoreError> {
    let rows = row::scan::<Rule>(&node.store, &Scan::prefix(&[], RULES_MAX))?;
    let id = |key: &[u8]| RuleId(u32::from_be_bytes(row::key_part(key, 0)));
    Ok(rows.into_iter().map(|(key, rule)| (id(&key), rule)).collect())
}

/// Adds a rule behind the others.
///
/// # Errors
/// When it has no condition or no action, a text is too long, its folder does not exist, there are
/// too many, or the store refuses.
pub async fn add_rule(node: &Node, rule: Rule) -> Result<RuleId, RuleError> {
    rule.check()?;
    let commit = move |tx: &mut Tx<'_>| {
        if let Some(folder) = rule.folder
            && folders::load(tx, folder)?.is_none()
        {
            return Err(RuleError::NoSuchFolder);
        }
        let earlier = row::scan::<Rule>(tx, &Scan::prefix(&[], RULES_MAX))?;
        if earlier.len() >= RULES_MAX {
            return Err(RuleError::TooMany);
        }
        let last = earlier.last().map_or(0, |(key, _)| u32::from_be_bytes(row::key_part(key, 0)));
        let id = RuleId(last.saturating_add(1));
        row::put(tx, &id.0.to_be_bytes(), &rule)?;
        Ok(id)
    };
    node.store.commit(commit).await
}

/// Removes a rule. A missing one is no error.
///
/// # Errors
/// When the store refuses.
pub async fn remove_rule(node: &Node, id: RuleId) -> Result<(), StoreError> {
    let commit = move |tx: &mut Tx<'_>| {
        row::delete::<Rule>(tx, &id.0.to_be_bytes());
        Ok::<_, StoreError>(())
    };
    node.store.commit(commit).await
}

/// The parts of a message that rules see, folded to lower case.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    from: String,
    to: String,
    subject: String,
    list: String,
    len: u64,
    has_file: bool,
    pub(super) is_of_friend: bool,
}

impl Seen {
    /// Reads a message that came for `recipients`.
    pub(super) fn of(message: &[u8], recipients: &[String]) -> Self {
        let structure = Structure::parse(message);
        let fields = structure.header(message, Structure::ROOT);
        let first = |name: &str| {
            let value = header::first(fields, name).unwrap_or_default();
            value.get(..FIELD_LEN_MAX).unwrap_or(value).to_vec()
        };
        let people = |name: &str| fold(&search::addresses(&first(name)));
        let text = |name: &str| fold(&search::field(&first(name)));
        Self {
            from: people("from"),
            to: [people("to"), people("cc"), fold(&recipients.join(", "))].join(", "),
            subject: text("subject"),
            list: text("list-id"),
            len: message.len() as u64,
            has_file: !Content::of(message, &structure).files.is_empty(),
            is_of_friend: false,
        }
    }
}

/// The sum of all rules for a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) folder: Option<FolderId>,
    pub(super) flags: Flags,
    pub(super) is_refused: bool,
}

/// Applies all rules to a message. A folder that was deleted does not count. Blocks.
///
/// # Errors
/// As [`rules`].
pub(super) fn apply(
    rules: &[(RuleId, Rule)],
    node: &Node,
    seen: &Seen,
) -> Result<Wanted, StoreError> {
    let mut wanted = Wanted::default();
    for (_, rule) in rules.iter().filter(|(_, rule)| rule.holds_for(seen)) {
        if wanted.folder.is_none()
            && let Some(folder) = rule.folder
            && folders::folder(node, folder)?.is_some()
        {
            wanted.folder = Some(folder);
        }
        wanted.flags.bits |= if rule.is_flagged { Flags::FLAGGED } else { 0 };
        wanted.flags.bits |= if rule.is_seen { Flags::SEEN } else { 0 };
        wanted.is_refused |= rule.is_refused;
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests;
