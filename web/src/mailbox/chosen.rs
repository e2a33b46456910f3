//! Several messages at once: flags, moves, and deletion for good.

use std::collections::BTreeMap;

use axum::extract::{RawForm, State};
use freehold_core::mailbox::{
    self, FlagChange, Flags, Folder, FolderId, SpecialUse, TransferError,
};

use super::empty::is_purgeable;
use super::list_place::{ListPlace, with_field};
use super::throw_away::{ThrownAway, throw_away};
use super::{message, search};
use crate::done::Done;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

/// Most messages that one form names.
const CHOSEN_MAX: usize = 500;
/// Most messages whose move can be undone: an address names them.
const UNDO_MAX: usize = 200;

pub(super) fn routes() -> Routes {
    Routes::new().post("/home/mail/chosen", Access::Owner, change)
}

/// The changes that a list offers for the messages that are chosen in it.
pub(super) struct Chooser {
    /// The special folders to which they can be moved: form value and label.
    pub(super) targets: Vec<(&'static str, &'static str)>,
    /// The other folders: id and title.
    pub(super) folders: Vec<(u32, String)>,
    /// True if they can be deleted for good.
    pub(super) can_be_deleted: bool,
}

impl Chooser {
    /// For the list of a folder.
    pub(super) fn of(folder: &Folder, folders: &[Folder]) -> Self {
        let others = folders.iter().filter(|other| other.id != folder.id);
        Self {
            targets: message::targets(folder.special),
            folders: others.map(|other| (other.id.0, other.title().to_owned())).collect(),
            can_be_deleted: is_purgeable(folder.special),
        }
    }

    /// For the results of a search.
    pub(super) fn of_search(folders: &[Folder]) -> Self {
        Self {
            targets: message::targets(None),
            folders: folders.iter().map(|f| (f.id.0, f.title().to_owned())).collect(),
            can_be_deleted: false,
        }
    }
}

/// Where messages are that were moved.
pub(super) struct Moved {
    pub(super) folder: u32,
    pub(super) uids: Vec<u32>,
}

impl Moved {
    /// The UID, if it is one message.
    pub(super) fn only(&self) -> Option<u32> {
        self.uids.first().copied().filter(|_| self.uids.len() == 1)
    }
}

/// A folder and UIDs, written as `folder.uid,uid`.
fn place(text: &str) -> Option<(u32, Vec<u32>)> {
    let (folder, uids) = text.split_once('.')?;
    let uids: Option<Vec<u32>> = uids.split(',').map(|uid| uid.parse().ok()).collect();
    Some((folder.parse().ok()?, uids?))
}

/// The messages that an address names as `folder.uid,uid`, if any is there.
pub(super) fn moved(site: &Site, text: &str) -> Result<Option<Moved>, Problem> {
    let Some((folder, mut uids)) = place(text) else { return Ok(None) };
    uids.truncate(UNDO_MAX);
    let mut there = Vec::new();
    for uid in uids {
        let message = mailbox::message(&site.node, FolderId(folder), uid)?;
        there.extend(message.map(|message| message.uid));
    }
    Ok((!there.is_empty()).then_some(Moved { folder, uids: there }))
}

/// The form of a list.
#[derive(Default)]
struct ChosenForm {
    /// The UIDs by folder.
    messages: BTreeMap<u32, Vec<u32>>,
    action: String,
    /// The id of a folder, for the action `move`.
    to: String,
    /// Each message represents its thread.
    by_threads: bool,
    /// The folder whose list it is.
    folder: u32,
    /// The search whose results are listed; empty for a folder.
    q: String,
    /// The scope of that search.
    scope: String,
    /// The page of its results; empty for the first one.
    from: String,
    /// The page of the folder's list.
    place: ListPlace,
    /// True if this takes a move back.
    is_undo: bool,
}

impl ChosenForm {
    /// Reads the form; a field may be there several times.
    fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let mut form = Self::default();
        let mut count = 0usize;
        for (name, value) in url::form_urlencoded::parse(bytes) {
            match &*name {
                "letter" => {
                    let (folder, uids) = place(&value).ok_or(Problem::BadRequest)?;
                    count = count.saturating_add(uids.len());
                    form.messages.entry(folder).or_default().extend(uids);
                    if count > CHOSEN_MAX {
                        return Err(Problem::BadRequest);
                    }
                }
                "action" => form.action = value.into_owned(),
                "to" => form.to = value.into_owned(),
                "threads" => form.by_threads = true,
                "folder" => form.folder = value.parse().map_err(|_| Problem::BadRequest)?,
                "q" => form.q = value.into_owned(),
                "in" => form.scope = value.into_owned(),
                "from" => form.from = value.into_owned(),
                "before" => form.place.before = value.parse().ok(),
                "undo" => form.is_undo = true,
                _ => {}
            }
        }
        Ok(form)
    }

    /// The list to which the form leads back.
    fn list(&self) -> String {
        match self.q.is_empty() {
            true => self.place.list(self.folder),
            false => {
                let from = self.from.parse().ok();
                search::address(&self.q, &self.scope, self.folder, from.as_ref())
            }
        }
    }
}

async fn change(State(site): State<Site>, _: Owner, RawForm(bytes): RawForm) -> PageResult {
    let mut form = ChosenForm::parse(&bytes)?;
    if form.messages.is_empty() {
        return Ok(response::see_other(&Done::NothingChosen.at(&form.list())));
    }
    if form.by_threads {
        for (folder, uids) in &mut form.messages {
            *uids = mailbox::with_threads(&site.node, FolderId(*folder), uids)?;
        }
    }
    for (folder, uids) in &mut form.messages {
        mailbox::folder(&site.node, FolderId(*folder))?.ok_or(Problem::NotFound)?;
        uids.sort_unstable();
        let there = mailbox::messages_named(&site.node, FolderId(*folder), uids)?;
        *uids = there.into_iter().map(|message| message.uid).collect();
    }
    form.messages.retain(|_, uids| !uids.is_empty());
    if form.messages.is_empty() {
        // They were moved meanwhile, or it is a second press of the button.
        return Ok(response::see_other(&Done::MessagesGone.at(&form.list())));
    }
    let (add, remove) = (FlagChange::Add, FlagChange::Remove);
    match form.action.as_str() {
        "read" => flag(&site, &form, add(Flags::of(Flags::SEEN))).await,
        "unread" => flag(&site, &form, remove(Flags::of(Flags::SEEN))).await,
        "flag" => flag(&site, &form, add(Flags::of(Flags::FLAGGED))).await,
        "unflag" => flag(&site, &form, remove(Flags::of(Flags::FLAGGED))).await,
        "delete" => delete(&site, &form).await,
        _ => transfer(&site, &form).await,
    }
}

async fn flag(site: &Site, form: &ChosenForm, change: FlagChange) -> PageResult {
    for (folder, uids) in &form.messages {
        mailbox::store_flags(&site.node, FolderId(*folder), uids, change.clone(), None).await?;
    }
    Ok(response::see_other(&Done::MessagesMarked.at(&form.list())))
}

async fn delete(site: &Site, form: &ChosenForm) -> PageResult {
    for (folder, uids) in &form.messages {
        let id = FolderId(*folder);
        let special = mailbox::folder(&site.node, id)?.ok_or(Problem::NotFound)?.special;
        // In other folders a message must be moved to the bin first.
        if !is_purgeable(special) {
            return Err(Problem::NotFound);
        }
        mailbox::delete_for_good(&site.node, id, uids).await?;
    }
    Ok(response::see_other(&Done::MessagesDeleted.at(&form.list())))
}

async fn transfer(site: &Site, form: &ChosenForm) -> PageResult {
    let special = |special| mailbox::special_folder(&site.node, special);
    let target = match form.action.as_str() {
        "inbox" => special(SpecialUse::Inbox)?,
        "archive" => special(SpecialUse::Archive)?,
        "junk" => special(SpecialUse::Junk)?,
        "trash" => special(SpecialUse::Trash)?,
        "move" => {
            let id = form.to.parse().map_err(|_| Problem::BadRequest)?;
            mailbox::folder(&site.node, FolderId(id))?
        }
        _ => return Err(Problem::BadRequest),
    };
    let target = target.ok_or(Problem::NotFound)?.id;
    let (mut moved, mut thrown) = (Vec::new(), ThrownAway::default());
    for (folder, uids) in form.messages.iter().filter(|(folder, _)| **folder != target.0) {
        if form.action == "trash" {
            let more = throw_away(site, FolderId(*folder), uids, target).await?;
            moved.extend(more.moved);
            thrown.taken_back.extend(more.taken_back);
            thrown.goes_on |= more.goes_on;
            continue;
        }
        match mailbox::move_messages(&site.node, FolderId(*folder), uids, target).await {
            Ok(pairs) => moved.extend(pairs.into_iter().map(|(_, new)| new)),
            Err(TransferError::Store(error)) => return Err(error.into()),
            Err(_) => return Err(Problem::NotFound),
        }
    }
    let mut list = form.list();
    if !thrown.taken_back.is_empty() {
        return Ok(response::see_other(&Done::TakenBackToTrash.at(&list)));
    }
    if moved.is_empty() {
        // They are there already.
        return Ok(response::see_other(&list));
    }
    if form.is_undo {
        return Ok(response::see_other(&Done::MessagesBack.at(&list)));
    }
    let is_of_this_list = form.q.is_empty() && form.messages.keys().all(|id| *id == form.folder);
    if is_of_this_list && moved.len() <= UNDO_MAX {
        let uids: Vec<String> = moved.iter().map(u32::to_string).collect();
        list = with_field(&list, &format!("moved={}.{}", target.0, uids.join(",")));
    }
    let done = if thrown.goes_on { Done::GoesOnFromTrash } else { Done::MessagesMoved };
    Ok(response::see_other(&done.at(&list)))
}
