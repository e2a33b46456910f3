//! Folders: their names, their numbers, their counts.

use minicbor::{Decode, Encode};

use crate::events::Event;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

mod removal;
mod special;

pub use removal::delete_folder;
pub use special::SpecialUse;

const NAME_LEN_MAX: usize = 200;
const FOLDERS_MAX: usize = 1000;
const LEVELS_MAX: usize = 10;

/// Which folder; never reused.
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
    /// Which one.
    #[n(0)]
    pub id: FolderId,
    /// Its full name, levels parted by `/`; `INBOX` is written so.
    #[n(1)]
    pub name: String,
    /// What it is for.
    #[n(2)]
    pub special: Option<SpecialUse>,
    /// Rises whenever the name means another set of UIDs (RFC 9051 2.3.1.1).
    #[n(3)]
    pub uid_validity: u32,
    /// The UID the next message will have.
    #[n(4)]
    pub uid_next: u32,
    /// The modseq of the latest change (RFC 7162); 1 in a new folder.
    #[n(5)]
    pub highest_modseq: u64,
    /// How many messages.
    #[n(6)]
    pub total: u32,
    /// How many of them are not seen.
    #[n(7)]
    pub unseen: u32,
    /// How many of them are marked as deleted.
    #[n(8)]
    pub deleted: u32,
    /// Their sizes together, in bytes.
    #[n(9)]
    pub size: u64,
    /// Whether mail programs show it.
    #[n(10)]
    pub subscribed: bool,
    /// The keywords that messages here have, or have had.
    #[n(11)]
    pub keywords: Vec<String>,
    /// Of what was gone at this modseq or before, not everything is remembered any more.
    #[n(12)]
    #[cbor(default)]
    pub forgotten: u64,
    /// How many messages have each keyword. Fewer than there are keywords in a row from before they
    /// were counted.
    #[n(13)]
    #[cbor(default)]
    pub(super) uses: Vec<u32>,
}

impl Record for Folder {
    const TABLE: Table = Table::new("mailbox_folders");
    const VERSION: u8 = 1;
}

impl Folder {
    /// The name people read: the special folders' titles, else the name.
    pub fn title(&self) -> &str {
        match self.special {
            Some(special) => special.title(),
            None => &self.name,
        }
    }
}

/// What numbers have been given out.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Numbers {
    #[n(0)]
    next_folder: u32,
    #[n(1)]
    last_uid_validity: u32,
}

impl Record for Numbers {
    const TABLE: Table = Table::new("mailbox_numbers");
    const VERSION: u8 = 1;
}

const NUMBERS: &[u8] = b"numbers";

/// Why a folder could not be made, renamed or deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FolderError {
    /// There is no such folder.
    #[error("there is no such folder")]
    NoSuchFolder,
    /// There is one of that name.
    #[error("there is a folder of that name")]
    Exists,
    /// Empty, too long, too deep, or with control characters, `*` or `%`.
    #[error("a folder can't be called that")]
    BadName,
    /// One of the six that always exist.
    #[error("this folder always exists")]
    Special,
    /// There are a thousand.
    #[error("there are too many folders")]
    TooMany,
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Makes the six special folders and finishes what a stop interrupted. Safe to repeat; called at
/// every start.
///
/// # Errors
/// When the store is unavailable.
pub async fn initialise(node: &Node) -> Result<(), StoreError> {
    let now = node.clock.now().as_secs();
    node.store
        .commit(move |tx| {
            if !all(tx)?.is_empty() {
                return Ok(());
            }
            for special in SpecialUse::ALL {
                add(tx, now, special.name().to_owned(), Some(special))?;
            }
            Ok::<_, StoreError>(())
        })
        .await?;
    removal::finish(node).await
}

fn all(rows: &impl Rows) -> Result<Vec<Folder>, StoreError> {
    Ok(row::scan::<Folder>(rows, &Scan::prefix(&[], FOLDERS_MAX))?
        .into_iter()
        .map(|(_, folder)| folder)
        .collect())
}

fn add(
    tx: &mut Tx<'_>,
    now_secs: u64,
    name: String,
    special: Option<SpecialUse>,
) -> Result<Folder, StoreError> {
    let mut numbers = row::get::<Numbers>(tx, NUMBERS)?
        .unwrap_or(Numbers { next_folder: 1, last_uid_validity: 0 });
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
        subscribed: true,
        keywords: Vec::new(),
        uses: Vec::new(),
        forgotten: 0,
    };
    numbers.next_folder += 1;
    numbers.last_uid_validity = uid_validity;
    row::put(tx, NUMBERS, &numbers)?;
    save(tx, &folder)?;
    Ok(folder)
}

/// Writes a folder's row inside a commit and hints at it.
pub(super) fn save(tx: &mut Tx<'_>, folder: &Folder) -> Result<(), StoreError> {
    row::put(tx, &folder.id.key(), folder)?;
    tx.after(Event::Mailbox(folder.id.0));
    Ok(())
}

/// A folder as `rows` have it.
pub(super) fn load(rows: &impl Rows, id: FolderId) -> Result<Option<Folder>, StoreError> {
    row::get(rows, &id.key())
}

/// Every folder: the special ones first, then by name.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn folders(node: &Node) -> Result<Vec<Folder>, StoreError> {
    let mut folders = all(&node.store)?;
    let place = |f: &Folder| {
        SpecialUse::ALL.iter().position(|s| Some(*s) == f.special).unwrap_or(usize::MAX)
    };
    folders.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.name.cmp(&b.name)));
    Ok(folders)
}

/// One folder.
///
/// # Errors
/// As [`folders`].
pub fn folder(node: &Node, id: FolderId) -> Result<Option<Folder>, StoreError> {
    load(&node.store, id)
}

/// The folder of that name; `INBOX` in any case (RFC 9051 5.1).
///
/// # Errors
/// As [`folders`].
pub fn folder_named(node: &Node, name: &str) -> Result<Option<Folder>, StoreError> {
    named(&node.store, &canonical(name))
}

/// The folder for that use; `None` only before [`initialise`].
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
    Ok(all(rows)?.into_iter().find(|f| f.special == Some(special)))
}

fn named(rows: &impl Rows, name: &str) -> Result<Option<Folder>, StoreError> {
    Ok(all(rows)?.into_iter().find(|f| f.name == name))
}

/// `name` with a leading `INBOX` in capitals and without a trailing `/` (RFC 9051 6.3.4).
fn canonical(name: &str) -> String {
    let name = name.strip_suffix('/').unwrap_or(name);
    let (first, rest) = name.split_at(name.find('/').unwrap_or(name.len()));
    if first.eq_ignore_ascii_case("INBOX") { format!("INBOX{rest}") } else { name.to_owned() }
}

fn checked(name: &str) -> Result<String, FolderError> {
    let name = canonical(name);
    let levels_are_good = name.split('/').all(|level| !level.is_empty() && level.trim() == level)
        && name.split('/').count() <= LEVELS_MAX;
    let is_good = levels_are_good
        && name.len() <= NAME_LEN_MAX
        && !name.chars().any(|c| c.is_control() || matches!(c, '*' | '%'));
    if is_good { Ok(name) } else { Err(FolderError::BadName) }
}

/// Makes a folder.
///
/// # Errors
/// When the name is taken or not allowed.
pub async fn create_folder(node: &Node, name: &str) -> Result<Folder, FolderError> {
    let (name, now) = (checked(name)?, node.clock.now().as_secs());
    node.store
        .commit(move |tx| {
            let folders = all(tx)?;
            if folders.iter().any(|f| f.name == name) {
                return Err(FolderError::Exists);
            }
            if folders.len() >= FOLDERS_MAX {
                return Err(FolderError::TooMany);
            }
            Ok(add(tx, now, name, None)?)
        })
        .await
}

/// Renames a folder and those below it; their messages, UIDs and UIDVALIDITY stay. The special
/// folders keep their names.
///
/// # Errors
/// When there is no such folder, it is special, or the new name is taken or not allowed.
pub async fn rename_folder(node: &Node, id: FolderId, name: &str) -> Result<Folder, FolderError> {
    let name = checked(name)?;
    node.store
        .commit(move |tx| {
            let mut folder = load(tx, id)?.ok_or(FolderError::NoSuchFolder)?;
            if folder.special.is_some() {
                return Err(FolderError::Special);
            }
            let below = format!("{}/", folder.name);
            if name.starts_with(&below) {
                return Err(FolderError::BadName);
            }
            let folders = all(tx)?;
            let moved: Vec<(Folder, String)> = folders
                .iter()
                .filter_map(|f| {
                    f.name.strip_prefix(&below).map(|rest| (f.clone(), format!("{name}/{rest}")))
                })
                .collect();
            let is_taken = |wanted: &str| folders.iter().any(|f| f.name == wanted && f.id != id);
            if is_taken(&name) || moved.iter().any(|(_, wanted)| is_taken(wanted)) {
                return Err(FolderError::Exists);
            }
            for (mut child, wanted) in moved {
                child.name = checked(&wanted)?;
                save(tx, &child)?;
            }
            folder.name = name;
            save(tx, &folder)?;
            Ok(folder)
        })
        .await
}

/// Shows a folder in mail programs, or hides it.
///
/// # Errors
/// When there is no such folder.
pub async fn subscribe(node: &Node, id: FolderId, subscribed: bool) -> Result<(), FolderError> {
    node.store
        .commit(move |tx| {
            let mut folder = load(tx, id)?.ok_or(FolderError::NoSuchFolder)?;
            folder.subscribed = subscribed;
            Ok(save(tx, &folder)?)
        })
        .await
}

#[cfg(test)]
mod tests;
