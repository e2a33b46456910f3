//! The changes of folders reported to a client after NOTIFY SET (RFC 5465).
//!
//! It holds the names and the counts that the client knows. An event, or the end of IDLE's wait, is
//! only a hint: the rows are read and compared, so no event is lost and many events cost one read.

use std::collections::{BTreeMap, BTreeSet};

use freehold_core::mailbox::{self, Folder, FolderId, SpecialUse};
use freehold_core::store::StoreError;

use super::command::notify::{self, Events, Filter, Request};
use super::command::{Command, list, status};
use super::completion::Completion;
use super::context::Context;
use super::selected::Wanted;
use annotations::{Annotations, OwnAnnotations};

mod annotations;

/// Output of one report, in bytes. A client that gets more is sent no further changes (RFC 5465
/// 5.8): it would have to read as much as it saves.
const REPORT_LEN_MAX: usize = 128 * 1024;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) request: Request,
    known: BTreeMap<FolderId, Known>,
    subscribed: BTreeSet<String>,
    annotations: Annotations,
}

/// A folder as the client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    name: String,
    uid_next: u32,
    total: u32,
    modseq: u64,
}

impl Known {
    fn of(folder: &Folder) -> Self {
        Self {
            name: folder.name.clone(),
            uid_next: folder.uid_next,
            total: folder.total,
            modseq: folder.highest_modseq,
        }
    }
}

/// A change of names or annotations that the client itself makes: not reported (RFC 5465 3).
#[derive(Debug)]
pub(crate) enum OwnChange {
    Made(String),
    Deleted(String),
    Renamed { from: String, to: String },
    Subscribed { name: String, subscribed: bool },
    Annotated(OwnAnnotations),
}

impl OwnChange {
    /// The change that a command makes if it succeeds.
    pub(crate) fn of(command: &Command) -> Option<Self> {
        Some(match command {
            Command::Create(create) => Self::Made(create.name.clone()),
            Command::Delete(delete) => Self::Deleted(delete.name.clone()),
            // INBOX stays; its messages move into a new folder (RFC 3501 6.3.5).
            Command::Rename(rename) if rename.from == "INBOX" => Self::Made(rename.to.clone()),
            Command::Rename(rename) => {
                Self::Renamed { from: rename.from.clone(), to: rename.to.clone() }
            }
            Command::Subscribe(change) => {
                Self::Subscribed { name: change.name.clone(), subscribed: change.subscribed }
            }
            Command::SetMetadata(set) => Self::Annotated(OwnAnnotations::of(set)),
            _ => return None,
        })
    }
}

impl Watch {
    /// Begins, and prints the STATUS of folders whose messages are watched if that is wanted.
    ///
    /// # Errors
    /// When there are too many annotations to be watched, or the store is unavailable.
    pub(crate) fn start(
        cx: &mut Context,
        selected: Option<FolderId>,
        request: Request,
    ) -> Result<Self, Completion> {
        let folders = mailbox::folders(&cx.node)?;
        let known = folders.iter().map(|folder| (folder.id, Known::of(folder))).collect();
        let annotations = Annotations::read(&cx.node, &request)?
            .ok_or_else(|| notify::too_much("too many annotations"))?;
        let subscribed = mailbox::subscriptions(&cx.node)?;
        let watch = Self { request, known, subscribed, annotations };
        for folder in folders.iter().filter(|folder| Some(folder.id) != selected) {
            let events = watch.events(&folder.name, folder.special, &watch.subscribed);
            if watch.request.status && events.messages {
                print_status(cx, folder, events)?;
            }
        }
        Ok(watch)
    }

    /// The changes of the selected folder that are reported.
    pub(crate) fn wanted(&self) -> Wanted {
        let events = self.request.selected.as_ref().map(|group| group.events).unwrap_or_default();
        Wanted { counts: events.messages, flags: events.flags }
    }

    /// True if an EXPUNGE waits for a command that permits it (RFC 5465 6.1.2).
    pub(crate) fn is_delayed(&self) -> bool {
        self.request.selected.as_ref().is_none_or(|group| group.is_delayed)
    }

    /// Prints the changes of names, subscriptions, annotations, and other folders than the selected
    /// one. False when there were too many.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub(crate) fn report(
        &mut self,
        cx: &mut Context,
        selected: Option<FolderId>,
    ) -> Result<bool, StoreError> {
        let start = cx.out.len();
        let folders = mailbox::folders(&cx.node)?;
        let subscribed = mailbox::subscriptions(&cx.node)?;
        self.report_names(cx, &folders, &subscribed);
        for folder in &folders {
            if let Some(known) = self.known.get(&folder.id)
                && Some(folder.id) != selected
            {
                let events = self.events(&folder.name, folder.special, &subscribed);
                let has_others = known.uid_next != folder.uid_next || known.total != folder.total;
                let is_changed = events.flags && known.modseq != folder.highest_modseq;
                if events.messages && (has_others || is_changed) {
                    print_status(cx, folder, events)?;
                }
            }
        }
        let Some(annotations) = Annotations::read(&cx.node, &self.request)? else {
            return Ok(false);
        };
        self.annotations.report(cx, &annotations, &folders, |folder| {
            let events =
                folder.map(|folder| self.events(&folder.name, folder.special, &subscribed));
            annotations::wants(&self.request, events)
        });
        self.known = folders.iter().map(|folder| (folder.id, Known::of(folder))).collect();
        (self.subscribed, self.annotations) = (subscribed, annotations);
        Ok(cx.out.len().saturating_sub(start) <= REPORT_LEN_MAX)
    }

    /// Prints MailboxName and SubscriptionChange (RFC 5465 5.4 and 5.5).
    fn report_names(&self, cx: &mut Context, folders: &[Folder], subscribed: &BTreeSet<String>) {
        let names: BTreeSet<&str> = folders.iter().map(|folder| folder.name.as_str()).collect();
        let below = |name: &str| {
            let start = format!("{name}/");
            names.range(start.as_str()..).next().is_some_and(|next| next.starts_with(&start))
        };
        let listed = |folder| list::Listed {
            folder,
            has_children: false,
            is_subscribed: false,
            known_as: None,
        };
        for folder in folders {
            let known = self.known.get(&folder.id);
            let old = known.map(|known| known.name.as_str()).filter(|old| *old != folder.name);
            let is_wanted = |name| self.events(name, folder.special, subscribed).names;
            let is_new = known.is_none() || old.is_some();
            if is_new && (is_wanted(&folder.name) || old.is_some_and(is_wanted)) {
                let listed = list::Listed {
                    has_children: below(&folder.name),
                    is_subscribed: subscribed.contains(&folder.name),
                    known_as: old,
                    ..listed(Some(folder))
                };
                listed.print(cx, &folder.name);
            }
        }
        let is_there = |id| folders.iter().any(|folder| folder.id == id);
        for (id, Known { name, .. }) in &self.known {
            // A new folder may have the name already.
            let is_gone = !names.contains(name.as_str()) && !is_there(*id);
            if is_gone && self.events(name, None, subscribed).names {
                let listed = list::Listed {
                    has_children: below(name),
                    is_subscribed: subscribed.contains(name),
                    ..listed(None)
                };
                listed.print(cx, name);
            }
        }
        for name in self.subscribed.symmetric_difference(subscribed) {
            let folder = folders.iter().find(|folder| folder.name == *name);
            let special = folder.and_then(|folder| folder.special);
            // A name that was subscribed is in the group of subscribed names until now.
            let events = [subscribed, &self.subscribed].map(|set| self.events(name, special, set));
            if events.iter().any(|events| events.subscriptions) {
                let listed = list::Listed {
                    has_children: below(name),
                    is_subscribed: subscribed.contains(name),
                    ..listed(folder)
                };
                listed.print(cx, name);
            }
        }
    }

    /// The events of the first group that a folder is in.
    fn events(
        &self,
        name: &str,
        special: Option<SpecialUse>,
        subscribed: &BTreeSet<String>,
    ) -> Events {
        let is_below = |root: &String| {
            name.strip_prefix(root.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let group = self.request.groups.iter().find(|group| match &group.filter {
            // The folders that messages are delivered to.
            Filter::Inboxes => matches!(special, Some(SpecialUse::Inbox | SpecialUse::Junk)),
            Filter::Personal => true,
            Filter::Subscribed => subscribed.contains(name),
            Filter::Subtree(roots) => roots.iter().any(is_below),
            Filter::Mailboxes(names) => names.iter().any(|named| named == name),
        });
        group.map(|group| group.events).unwrap_or_default()
    }

    /// Notes a change that the client has made itself.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub(crate) fn note(&mut self, cx: &Context, change: OwnChange) -> Result<(), StoreError> {
        match change {
            OwnChange::Made(name) => {
                if let Some(folder) = mailbox::folder_named(&cx.node, &name)? {
                    self.known.entry(folder.id).or_insert_with(|| Known::of(&folder));
                }
            }
            OwnChange::Deleted(name) => self.known.retain(|_, known| known.name != name),
            OwnChange::Renamed { from, to } => {
                for known in self.known.values_mut() {
                    if let Some(rest) = known.name.strip_prefix(&from)
                        && (rest.is_empty() || rest.starts_with('/'))
                    {
                        known.name = format!("{to}{rest}");
                    }
                }
            }
            OwnChange::Subscribed { name, subscribed: true } => {
                self.subscribed.insert(name);
            }
            OwnChange::Subscribed { name, subscribed: false } => {
                self.subscribed.remove(&name);
            }
            OwnChange::Annotated(own) => self.annotations.note(&cx.node, &self.request, &own)?,
        }
        Ok(())
    }
}

/// The STATUS of a folder whose messages changed: what tells the client whether it must look (RFC
/// 5465 5.1 to 5.3).
fn print_status(cx: &mut Context, folder: &Folder, events: Events) -> Result<(), StoreError> {
    use status::Item::{HighestModSeq, Messages, UidNext, UidValidity, Unseen};
    let mut items = vec![Messages, UidNext, UidValidity];
    if events.flags {
        items.push(Unseen);
    }
    if cx.enabled.condstore {
        items.push(HighestModSeq);
    }
    status::print(cx, folder, &items)
}
