//! Deleting for good: one message, all of the bin or of junk, and the setting after how many days
//! both are emptied.

use axum::extract::{Form, Path, State};
use freehold_core::mailbox::{self, FlagError, FolderId, SpecialUse};
use serde::Deserialize;

use crate::done::Done;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

pub(super) fn routes() -> Routes {
    Routes::new()
        .post("/home/mail/{folder}/empty", Access::Owner, empty)
        .post("/home/mail/{folder}/{uid}/delete", Access::Owner, delete)
        .post("/home/settings/bin", Access::Owner, save_bin_days)
}

/// True if messages of the folder can be deleted for good here.
pub(super) fn is_purgeable(special: Option<SpecialUse>) -> bool {
    matches!(special, Some(SpecialUse::Trash | SpecialUse::Junk))
}

/// The folder, if it is the bin or junk: in others a message must be moved to the bin first.
fn purgeable(site: &Site, id: u32) -> Result<FolderId, Problem> {
    let folder = mailbox::folder(&site.node, FolderId(id))?.ok_or(Problem::NotFound)?;
    if is_purgeable(folder.special) { Ok(folder.id) } else { Err(Problem::NotFound) }
}

fn problem(error: FlagError) -> Problem {
    match error {
        FlagError::Store(error) => error.into(),
        _ => Problem::NotFound,
    }
}

async fn empty(State(site): State<Site>, _: Owner, Path(id): Path<u32>) -> PageResult {
    let folder = purgeable(&site, id)?;
    mailbox::empty_folder(&site.node, folder).await.map_err(problem)?;
    Ok(response::see_other(&Done::FolderEmptied.at(&format!("/home/mail/{id}"))))
}

async fn delete(
    State(site): State<Site>,
    _: Owner,
    Path((id, uid)): Path<(u32, u32)>,
) -> PageResult {
    let folder = purgeable(&site, id)?;
    mailbox::delete_for_good(&site.node, folder, &[uid]).await.map_err(problem)?;
    Ok(response::see_other(&Done::MessageDeleted.at(&format!("/home/mail/{id}"))))
}

#[derive(Deserialize)]
struct BinForm {
    /// Days, or empty for never.
    #[serde(default)]
    days: String,
}

async fn save_bin_days(
    State(site): State<Site>,
    _: Owner,
    Form(form): Form<BinForm>,
) -> PageResult {
    let days = match form.days.as_str() {
        "" => None,
        days => Some(days.parse().map_err(|_| Problem::BadRequest)?),
    };
    mailbox::set_bin_days(&site.node, days).await?;
    Ok(response::see_other(&Done::BinDaysSaved.at("/home/settings")))
}
