//! Annotations of folders and of the mailbox as a whole (METADATA, RFC 5464): names with values
//! that mail programs keep for themselves.
//!
//! The rows are under the folder's id. So annotations stay when a folder is renamed, and a folder
//! that is made again under the name of a deleted one has none.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use super::folders::{FolderId, load};
use crate::events::Event;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table};

/// The longest value, in bytes: a row has at most 4 KiB. RFC 5464 4.1 asks for 1,024 at least.
pub const METADATA_VALUE_LEN_MAX: usize = 3 * 1024;
/// The longest name of an annotation, in bytes: a key has at most 256.
pub const METADATA_NAME_LEN_MAX: usize = 200;
/// How many annotations a folder has at most, and the mailbox as a whole.
pub const METADATA_ENTRIES_MAX: usize = 100;
/// The id in place of a folder's for annotations of the mailbox as a whole; folders begin with 1.
const WHOLE_MAILBOX: FolderId = FolderId(0);

/// Under `folder ‖ name of the annotation`.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct MetadataRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    value: Vec<u8>,
}

impl Record for MetadataRow {
    const TABLE: Table = Table::new("mailbox_metadata");
    const VERSION: u8 = 1;
}

/// Why annotations were not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// There is no such folder.
    #[error("there is no such folder")]
    NoSuchFolder,
    /// A name has more than `METADATA_NAME_LEN_MAX` bytes.
    #[error("the name of an annotation has at most {METADATA_NAME_LEN_MAX} bytes")]
    NameTooLong,
    /// A value has more than `METADATA_VALUE_LEN_MAX` bytes.
    #[error("an annotation has at most {METADATA_VALUE_LEN_MAX} bytes")]
    TooLong,
    /// There would be more than `METADATA_ENTRIES_MAX` annotations.
    #[error("there are already {METADATA_ENTRIES_MAX} annotations")]
    TooMany,
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

fn prefix(folder: Option<FolderId>) -> [u8; 4] {
    folder.unwrap_or(WHOLE_MAILBOX).key()
}

/// The annotations of a folder, or those of the mailbox as a whole for `None`, by name.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn metadata(
    node: &Node,
    folder: Option<FolderId>,
) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
    metadata_in(&node.store, folder)
}

fn metadata_in(
    rows: &impl Rows,
    folder: Option<FolderId>,
) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
    let prefix = prefix(folder);
    let scan = Scan::prefix(&prefix, METADATA_ENTRIES_MAX.saturating_mul(2));
    let found = row::scan::<MetadataRow>(rows, &scan)?;
    let name = |key: &[u8]| {
        String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned()
    };
    Ok(found.into_iter().map(|(key, row)| (name(&key), row.value)).collect())
}

/// An annotation, without its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetadataName {
    /// The folder; `None` for the mailbox as a whole.
    pub folder: Option<FolderId>,
    /// The annotation's name.
    pub name: String,
}

/// The annotations of all folders and of the mailbox as a whole, at most `max`, with hashes of
/// their values.
///
/// # Errors
/// As [`metadata`].
pub fn all_metadata(
    node: &Node,
    max: usize,
) -> Result<BTreeMap<MetadataName, [u8; 16]>, StoreError> {
    let found = row::scan::<MetadataRow>(&node.store, &Scan::prefix(&[], max))?;
    let hashed = |(key, row): (Vec<u8>, MetadataRow)| {
        let folder = FolderId(u32::from_be_bytes(row::key_part(&key, 0)));
        let name = key.get(WHOLE_MAILBOX.key().len()..).unwrap_or_default();
        let name = MetadataName {
            folder: (folder != WHOLE_MAILBOX).then_some(folder),
            name: String::from_utf8_lossy(name).into_owned(),
        };
        (name, row::key_part(blake3::hash(&row.value).as_bytes(), 0))
    };
    Ok(found.into_iter().map(hashed).collect())
}

/// Sets annotations, or removes them for the value `None`: all or none, in one commit.
///
/// # Errors
/// When there is no such folder, or a limit is reached; nothing is changed then.
pub async fn set_metadata(
    node: &Node,
    folder: Option<FolderId>,
    changes: Vec<(String, Option<Vec<u8>>)>,
) -> Result<(), MetadataError> {
    if changes.len() > METADATA_ENTRIES_MAX {
        return Err(MetadataError::TooMany);
    }
    if changes.iter().any(|(name, _)| name.len() > METADATA_NAME_LEN_MAX) {
        return Err(MetadataError::NameTooLong);
    }
    if changes.iter().flat_map(|(_, value)| value).any(|v| v.len() > METADATA_VALUE_LEN_MAX) {
        return Err(MetadataError::TooLong);
    }
    node.store
        .commit(move |tx| {
            if let Some(id) = folder {
                load(tx, id)?.ok_or(MetadataError::NoSuchFolder)?;
            }
            for (name, value) in changes {
                let key = row::key(&[&prefix(folder), name.as_bytes()]);
                match value {
                    Some(value) => row::put(tx, &key, &MetadataRow { value })?,
                    None => row::delete::<MetadataRow>(tx, &key),
                }
            }
            if metadata_in(tx, folder)?.len() > METADATA_ENTRIES_MAX {
                return Err(MetadataError::TooMany);
            }
            tx.after(Event::Annotations);
            Ok(())
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::{create_folder, delete_folder, rename_folder};
    use crate::testing::TestNode;

    fn set(name: &str, value: &[u8]) -> Vec<(String, Option<Vec<u8>>)> {
        vec![(name.to_owned(), Some(value.to_vec()))]
    }

    #[tokio::test]
    async fn annotations_follow_the_folder_and_go_with_it() {
        let alice = TestNode::new("alice").await;
        let one = create_folder(&alice, "one").await.unwrap().id;
        set_metadata(&alice, Some(one), set("/private/comment", b"\0")).await.unwrap();
        set_metadata(&alice, None, set("/shared/comment", b"server")).await.unwrap();
        rename_folder(&alice, one, "two").await.unwrap();
        let of = |folder| metadata(&alice, folder).unwrap();
        assert_eq!(of(Some(one)), BTreeMap::from([("/private/comment".into(), b"\0".to_vec())]));
        assert_eq!(of(None), BTreeMap::from([("/shared/comment".into(), b"server".to_vec())]));
        delete_folder(&alice, one).await.unwrap();
        assert_eq!(of(Some(one)), BTreeMap::new(), "the rows are deleted");
        let again = create_folder(&alice, "two").await.unwrap().id;
        assert_eq!((of(Some(again)).len(), of(None).len()), (0, 1));
        let all = all_metadata(&alice, 10).unwrap();
        let name = MetadataName { folder: None, name: "/shared/comment".to_owned() };
        assert_eq!(all.into_keys().collect::<Vec<_>>(), [name]);
        let gone = set_metadata(&alice, Some(one), set("/private/comment", b"x")).await;
        assert_eq!(gone, Err(MetadataError::NoSuchFolder));
    }

    #[tokio::test]
    async fn annotations_are_bounded_in_number_and_length() {
        let alice = TestNode::new("alice").await;
        let full = |count: usize| {
            let value = vec![0xff; METADATA_VALUE_LEN_MAX];
            (0..count).map(move |at| (format!("/private/{at:0191}"), Some(value.clone()))).collect()
        };
        set_metadata(&alice, None, full(METADATA_ENTRIES_MAX)).await.unwrap();
        let more = set_metadata(&alice, None, set("/private/x", b"")).await;
        assert_eq!(more, Err(MetadataError::TooMany));
        // One that exists is replaced.
        set_metadata(&alice, None, full(1)).await.unwrap();
        let swap = vec![("/private/x".to_owned(), Some(Vec::new())), (full(1)[0].0.clone(), None)];
        let swapped: Vec<(String, Option<Vec<u8>>)> = swap;
        set_metadata(&alice, None, swapped).await.unwrap();
        assert_eq!(metadata(&alice, None).unwrap().len(), METADATA_ENTRIES_MAX);
        let long = set("/private/x", &vec![0; METADATA_VALUE_LEN_MAX + 1]);
        assert_eq!(set_metadata(&alice, None, long).await, Err(MetadataError::TooLong));
        let name = set(&"x".repeat(METADATA_NAME_LEN_MAX + 1), b"");
        assert_eq!(set_metadata(&alice, None, name).await, Err(MetadataError::NameTooLong));
        let many = full(METADATA_ENTRIES_MAX + 1);
        assert_eq!(set_metadata(&alice, None, many).await, Err(MetadataError::TooMany));
    }
}
