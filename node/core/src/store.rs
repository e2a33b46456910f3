//! The store with this crate's [`Event`] as its hints: aliases of [`freehold_store`]'s generic
//! types.

pub use freehold_store::store::{
    BlobId, EngineFiles, EngineSource, FolderLock, Health, KEY_LEN_MAX, OpenError, Progress,
    ROWS_MAX, Row, Scan, Stage, Stop, StoreError, Table, VALUE_LEN_MAX, WRITTEN_LEN_MAX, WalError,
    WalkedRow, boot_id,
};

use crate::events::Event;

/// The store of one node.
pub type Store = freehold_store::store::Store<Event>;
/// The options to open a node's store.
pub type StoreOptions = freehold_store::store::StoreOptions<Event>;
/// A commit in preparation.
pub type Tx<'a> = freehold_store::store::Tx<'a, Event>;
