//! Folders (mailboxes, RFC 9051 2.3.1): names, ids, UIDs and counts.

mod nearest;
mod parent;
mod special;

use minicbor::{Decode, Encode};
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::subscriptions::{self, SUBSCRIPTIONS_MAX};
use crate::events::Event;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

pub use nearest::nearest_name;
pub use parent::{folders_below, rename_below};
pub use special::SpecialUse;

pub(super) const NAME_LEN_MAX: usize = 200;
pub(super) const FOLDERS_MAX: usize = 1000;
const LEVELS_MAX: usize = 10;

/// The id of a folder; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct FolderId(#[n(0)] pub u32);

impl FolderId {
    pub(super) fn key(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

/// A folder and its counts.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Folder {
    /// Its id.
    #[n(0)]
    pub id: FolderId,
    /// Its full name, levels separated by `/`; INBOX in capitals.
    #[n(1)]
    pub name: String,
    /// Its special use, if any.
    #[n(2)]
    pub special: Option<SpecialUse>,
    /// UIDVALIDITY: increases whenever the name gets a new set of UIDs (RFC 9051 2.3.1.1).
    #[n(3)]
    pub uid_validity: u32,
    /// UIDNEXT: the UID of the next message.
    #[n(4)]
    pub uid_next: u32,
    /// HIGHESTMODSEQ: the modseq of the latest change (RFC 7162 3.1.2.1); 1 in a new folder.
    #[n(5)]
    pub highest_modseq: u64,
    /// The number of messages.
    #[n(6)]
    pub total: u32,
    /// The number of messages without \Seen.
    #[n(7)]
    pub unseen: u32,
    /// The number of messages with \Deleted.
    #[n(8)]
    pub deleted: u32,
    /// The sum of the messages' sizes, in bytes.
    #[n(9)]
    pub size: u64,
    /// Whether it was subscribed when subscriptions became rows of their own
    /// ([`super::subscriptions`]); false in folders made since.
    #[n(10)]
    pub(super) was_subscribed: bool,
    /// The keywords that messages here have or had.
    #[n(11)]
    pub keywords: Vec<String>,
    /// Expunges up to this modseq may have been forgotten.
    #[n(12)]
    #[cbor(default)]
    pub forgotten_modseq: u64,
    /// The number of messages with each keyword, in the order of `keywords`. A row from before
    /// keywords were counted has fewer counts than keywords.
    #[n(13)]
    #[cbor(default)]
    pub(super) keyword_counts: Vec<u32>,
    /// The lowest UID that was reported to no IMAP session; `None` when there is none, and in rows
    /// from before this field.
    #[n(14)]
    pub(super) recent_from: Option<u32>,
    /// The number of messages that were reported to no IMAP session (RECENT, RFC 3501 6.3.10).
    #[n(15)]
    #[cbor(default)]
    pub recent: u32,
    /// Whether its messages are in pages; false in folders of earlier versions until they are
    /// converted.
    #[n(16)]
    #[cbor(default)]
    pub(super) is_paged: bool,
}

impl Record for Folder {
    const TABLE: Table = Table::new("mailbox_folders");
    const VERSION: u8 = 1;
}

impl Folder {
    /// The name on pages: the title of a special folder, else its name.
    pub fn title(&self) -> &str {
        match self.special {
            Some(special) => special.title(),
            None => &self.name,
        }
    }
}

/// The last numbers that were assigned.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct NumbersRow {
    #[n(0)]
    next_folder: u32,
    #[n(1)]
    last_uid_validity: u32,
    /// Whether subscriptions have rows of their own; false in rows from before.
    #[n(2)]
    #[cbor(default)]
    pub(super) has_subscription_rows: bool,
    /// Whether the details of all messages of earlier versions were read.
    #[n(3)]
    #[cbor(default)]
    pub(super) is_indexed: bool,
    /// Whether all messages are listed in their threads.
    #[n(4)]
    #[cbor(default)]
    pub(super) has_thread_members: bool,
}

impl Record for NumbersRow {
    const TABLE: Table = Table::new("mailbox_numbers");
    const VERSION: u8 = 1;
}

pub(super) const NUMBERS: &[u8] = b"numbers";

/// Why a folder was not created, renamed or deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FolderError {
    /// There is no such folder.
    #[error("there is no such folder")]
    NoSuchFolder,
    /// A folder of that name exists.
    #[error("there is a folder of that name")]
    Exists,
    /// Empty, too long, too deep, with a level that is empty, `.` or `..`, or with control
    /// characters, `*` or `%`.
    #[error(
        "a folder name has 1 to {NAME_LEN_MAX} bytes, up to {LEVELS_MAX} levels, \
         none of them empty, . or .., no control characters, no * or %"
    )]
    BadName,
    /// It is one of the six special folders, which always exist.
    #[error("the special folders can't be renamed or deleted")]
    Special,
    /// There are already `FOLDERS_MAX` folders.
    #[error("there are already {FOLDERS_MAX} folders")]
    TooMany,
    /// There are already `SUBSCRIPTIONS_MAX` subscriptions.
    #[error("there are already {SUBSCRIPTIONS_MAX} subscriptions")]
    TooManySubscriptions,
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Creates the six special folders, subscribed, unless there are folders already.
pub(super) fn create_special_folders(tx: &mut Tx<'_>, now_secs: u64) -> Result<(), StoreError> {
    if !load_all(tx)?.is_empty() {
        return Ok(());
    }
    for special in SpecialUse::ALL {
        insert(tx, now_secs, special.name().to_owned(), Some(special))?;
        subscriptions::insert(tx, special.name())?;
    }
    Ok(())
}

pub(super) fn load_all(rows: &impl Rows) -> Result<Vec<Folder>, StoreError> {
    Ok(row::scan::<Folder>(rows, &Scan::prefix(&[], FOLDERS_MAX))?
        .into_iter()
        .map(|(_, folder)| folder)
        .collect())
}

fn insert(
    tx: &mut Tx<'_>,
    now_secs: u64,
    name: String,
    special: Option<SpecialUse>,
) -> Result<Folder, StoreError> {
    let mut numbers = row::get::<NumbersRow>(tx, NUMBERS)?.unwrap_or(NumbersRow {
        next_folder: 1,
        last_uid_validity: 0,
        has_subscription_rows: true,
        is_indexed: true,
        has_thread_members: true,
    });
    let uid_validity = u32::try_from(now_secs)
        .unwrap_or(u32::MAX)
        .max(numbers.last_uid_validity.saturating_add(1));
    let folder = Folder {
        id: FolderId(numbers.next_folder),
        name,
        special,
        uid_validity,
        uid_next: 1,
        highest_modseq: 1,
        total: 0,
        unseen: 0,
        deleted: 0,
        size: 0,
        was_subscribed: false,
        keywords: Vec::new(),
        keyword_counts: Vec::new(),
        forgotten_modseq: 0,
        recent_from: None,
        recent: 0,
        is_paged: true,
    };
    numbers.next_folder += 1;
    numbers.last_uid_validity = uid_validity;
    row::put(tx, NUMBERS, &numbers)?;
    save(tx, &folder)?;
    Ok(folder)
}

/// Writes a folder's row within a commit, with an event after it.
pub(super) fn save(tx: &mut Tx<'_>, folder: &Folder) -> Result<(), StoreError> {
    row::put(tx, &folder.id.key(), folder)?;
    tx.after(Event::Mailbox(folder.id.0));
    Ok(())
}

/// A folder as seen by `rows`.
pub(super) fn load(rows: &impl Rows, id: FolderId) -> Result<Option<Folder>, StoreError> {
    row::get(rows, &id.key())
}

/// All folders: the special ones first, then the others by name.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn folders(node: &Node) -> Result<Vec<Folder>, StoreError> {
    let mut folders = load_all(&node.store)?;
    let rank = |f: &Folder| {
        SpecialUse::ALL.iter().position(|s| Some(*s) == f.special).unwrap_or(usize::MAX)
    };
    folders.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name)));
    Ok(folders)
}

/// The folder with that id.
///
/// # Errors
/// As [`folders`].
pub fn folder(node: &Node, id: FolderId) -> Result<Option<Folder>, StoreError> {
    load(&node.store, id)
}

/// The folder of that name; `INBOX` matches in any case (RFC 9051 5.1).
///
/// # Errors
/// As [`folders`].
pub fn folder_named(node: &Node, name: &str) -> Result<Option<Folder>, StoreError> {
    named(&node.store, name)
}

/// The folder with that special use; `None` only before [`super::initialise`].
///
/// # Errors
/// As [`folders`].
pub fn special_folder(node: &Node, special: SpecialUse) -> Result<Option<Folder>, StoreError> {
    special_in(&node.store, special)
}

pub(super) fn special_in(
    rows: &impl Rows,
    special: SpecialUse,
) -> Result<Option<Folder>, StoreError> {
    Ok(load_all(rows)?.into_iter().find(|f| f.special == Some(special)))
}

/// Earlier versions did not normalise names, so those of the rows are compared both ways.
fn named(rows: &impl Rows, name: &str) -> Result<Option<Folder>, StoreError> {
    let folders = load_all(rows)?;
    let wanted = canonical(name);
    let exact = folders.iter().find(|f| f.name == name || f.name == wanted);
    let same = || folders.iter().find(|f| canonical(&f.name) == wanted);
    Ok(exact.or_else(same).cloned())
}

/// `name` in normalisation form C (RFC 9051 5.1, RFC 5198 3), with a leading `INBOX` in capitals
/// and without a trailing `/` (RFC 9051 6.3.4).
pub(super) fn canonical(name: &str) -> String {
    let name = name.strip_suffix('/').unwrap_or(name);
    let name: String = if is_nfc(name) { name.to_owned() } else { name.nfc().collect() };
    let (first, rest) = name.split_at(name.find('/').unwrap_or(name.len()));
    if first.eq_ignore_ascii_case("INBOX") { format!("INBOX{rest}") } else { name }
}

/// Characters that are not seen and make a name look like another: a byte order mark, spaces
/// without width, and controls of the direction of text. Joiners have a use in some scripts.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}'
    )
}

/// The canonical form of an allowed name. Mail programs make files and folders of the levels:
/// mbsync and offlineimap stop syncing the whole account at a level `.` or `..`.
pub(super) fn valid_name(name: &str) -> Result<String, FolderError> {
    let name = canonical(name);
    let is_level = |level: &str| !matches!(level, "" | "." | "..") && level.trim() == level;
    let is_valid = name.split('/').all(is_level)
        && name.split('/').count() <= LEVELS_MAX
        && name.len() <= NAME_LEN_MAX
        && !name.chars().any(|c| c.is_control() || is_unseen(c) || matches!(c, '*' | '%'));
    if is_valid { Ok(name) } else { Err(FolderError::BadName) }
}

/// Creates a folder (CREATE, RFC 9051 6.3.4).
///
/// # Errors
/// When the name is taken or not allowed.
pub async fn create_folder(node: &Node, name: &str) -> Result<Folder, FolderError> {
    let (name, now) = (valid_name(name)?, node.clock.now().as_secs());
    node.store
        .commit(move |tx| {
            let folders = load_all(tx)?;
            if folders.iter().any(|f| canonical(&f.name) == name) {
                return Err(FolderError::Exists);
            }
            if folders.len() >= FOLDERS_MAX {
                return Err(FolderError::TooMany);
            }
            Ok(insert(tx, now, name, None)?)
        })
        .await
}

/// Renames a folder and its children (RENAME, RFC 9051 6.3.6); messages, UIDs and UIDVALIDITY do
/// not change. Special folders can't be renamed. Subscriptions are names and stay as they are.
///
/// # Errors
/// When there is no such folder, it is special, or the new name is taken or not allowed.
pub async fn rename_folder(node: &Node, id: FolderId, name: &str) -> Result<Folder, FolderError> {
    let name = valid_name(name)?;
    node.store
        .commit(move |tx| {
            let mut folder = load(tx, id)?.ok_or(FolderError::NoSuchFolder)?;
            if folder.special.is_some() {
                return Err(FolderError::Special);
            }
            let prefix = format!("{}/", folder.name);
            if name.starts_with(&prefix) {
                return Err(FolderError::BadName);
            }
            let folders = load_all(tx)?;
            let children: Vec<(Folder, String)> = folders
                .iter()
                .filter_map(|f| {
                    f.name.strip_prefix(&prefix).map(|rest| (f.clone(), format!("{name}/{rest}")))
                })
                .collect();
            let is_taken =
                |wanted: &str| folders.iter().any(|f| canonical(&f.name) == wanted && f.id != id);
            if is_taken(&name) || children.iter().any(|(_, renamed)| is_taken(renamed)) {
                return Err(FolderError::Exists);
            }
            for (mut child, renamed) in children {
                child.name = valid_name(&renamed)?;
                save(tx, &child)?;
            }
            folder.name = name;
            save(tx, &folder)?;
            Ok(folder)
        })
        .await
}

#[cfg(test)]
mod tests;
