//! The changes of annotations reported after NOTIFY SET (RFC 5465 5.6 and 5.7).
//!
//! A hash of each value is held, not the value: the client is sent names, and reads what it wants.

use std::collections::{BTreeMap, BTreeSet};

use freehold_core::mailbox::{self, Folder, FolderId, MetadataName};
use freehold_core::node::Node;
use freehold_core::store::StoreError;

use crate::imap::command::notify::{Events, Request};
use crate::imap::command::set_metadata::SetMetadata;
use crate::imap::context::Context;
use crate::imap::{metadata, utf7};

/// The most annotations that are watched for one client, of all folders together.
const ANNOTATIONS_MAX: usize = 2_000;

/// The annotations as the client knows them; none if it does not want their changes.
#[derive(Debug, Default)]
pub(super) struct Annotations(BTreeMap<MetadataName, [u8; 16]>);

impl Annotations {
    /// Reads them; `None` if they are too many.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub(super) fn read(node: &Node, request: &Request) -> Result<Option<Self>, StoreError> {
        if !request.wants_annotations() {
            return Ok(Some(Self::default()));
        }
        let all = mailbox::all_metadata(node, ANNOTATIONS_MAX.saturating_add(1))?;
        Ok((all.len() <= ANNOTATIONS_MAX).then_some(Self(all)))
    }

    /// Prints the names of those that are not as in `new`, of the server and of the folders whose
    /// events want them.
    pub(super) fn report(
        &self,
        cx: &mut Context,
        new: &Self,
        folders: &[Folder],
        is_wanted: impl Fn(Option<&Folder>) -> bool,
    ) {
        let is_changed = |name: &&MetadataName| self.0.get(*name) != new.0.get(*name);
        let mut changed: BTreeMap<Option<FolderId>, BTreeSet<&str>> = BTreeMap::new();
        for name in self.0.keys().chain(new.0.keys()).filter(is_changed) {
            changed.entry(name.folder).or_default().insert(&name.name);
        }
        for (id, names) in changed {
            let folder = folders.iter().find(|folder| Some(folder.id) == id);
            // With a folder that was deleted its annotations are gone.
            if (id.is_none() || folder.is_some()) && is_wanted(folder) {
                let name = folder.map_or("", |folder| folder.name.as_str());
                utf7::print(cx.out.raw("* METADATA "), name);
                for name in names {
                    metadata::print_entry(cx.out.raw(" "), name);
                }
                cx.out.end();
            }
        }
    }

    /// Notes what the client has set itself: not reported (RFC 5465 3).
    ///
    /// # Errors
    /// When the store is unavailable.
    pub(super) fn note(
        &mut self,
        node: &Node,
        request: &Request,
        own: &OwnAnnotations,
    ) -> Result<(), StoreError> {
        let folder = match own.folder.as_str() {
            "" => None,
            name => match mailbox::folder_named(node, name)? {
                Some(folder) => Some(folder.id),
                None => return Ok(()),
            },
        };
        let Some(new) = Self::read(node, request)? else { return Ok(()) };
        for name in &own.names {
            let name = MetadataName { folder, name: name.clone() };
            match new.0.get(&name) {
                Some(hash) => drop(self.0.insert(name, *hash)),
                None => drop(self.0.remove(&name)),
            }
        }
        Ok(())
    }
}

/// The annotations that a command of the client sets.
#[derive(Debug)]
pub(crate) struct OwnAnnotations {
    /// The folder's name; empty for the server.
    folder: String,
    names: Vec<String>,
}

impl OwnAnnotations {
    pub(super) fn of(set: &SetMetadata) -> Self {
        let names = set.changes.iter().map(|(name, _)| name.clone()).collect();
        Self { folder: set.name.clone(), names }
    }
}

/// Whether a folder's events want its annotations; for `None` whether any want the server's.
pub(super) fn wants(request: &Request, events: Option<Events>) -> bool {
    match events {
        Some(events) => events.annotations,
        None => request.groups.iter().any(|group| group.events.server_annotations),
    }
}
