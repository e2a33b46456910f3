//! The files of a form together, within the limits of a message.

use freehold_core::blocking::try_blocking;

use super::enclosures::{ENCLOSED_MAX, Enclosure};
use super::form::{MessageForm, NewFile, Posted};
use super::{draft, forward, message_len_max};
use crate::fault::Fault;
use crate::problem::Problem;
use crate::site::Site;
use crate::sizes::size;

/// Room for the header of a message, in bytes.
const HEADER_LEN: u64 = 64 * 1024;
/// The most names of files that a fault lists.
const NAMED_MAX: usize = 5;

/// The files of a form.
pub(super) struct Gathered {
    pub(super) enclosures: Vec<Enclosure>,
    /// True if some of them are in no draft yet.
    pub(super) has_new: bool,
    /// Why some files are left out.
    pub(super) fault: Option<Fault>,
}

/// Splits a form from its files. Those of its draft but for number `without` are kept, then comes
/// what it takes from a forwarded message, then the new ones, as long as they fit.
pub(super) async fn gather(
    site: &Site,
    posted: Posted,
    without: Option<usize>,
) -> Result<(MessageForm, Gathered), Problem> {
    let Posted { form, files, refused } = posted;
    let mut enclosures = draft::kept(site, &form.draft, without).await?;
    let mut new = forward::taken(site, &form).await?;
    new.extend(enclosed(site, files).await?);
    let mut left = room(site, &form);
    left = enclosures.iter().fold(left, |left, kept| left.saturating_sub(kept.len()));
    let (mut left_out, before) = (refused, enclosures.len());
    for enclosure in new {
        match left.checked_sub(enclosure.len()).filter(|_| enclosures.len() < ENCLOSED_MAX) {
            Some(rest) => {
                left = rest;
                enclosures.push(enclosure);
            }
            None => left_out.push(enclosure.name),
        }
    }
    let fault = (!left_out.is_empty()).then(|| Fault::new("files", left_out_text(site, &left_out)));
    let has_new = enclosures.len() > before;
    Ok((form, Gathered { enclosures, has_new, fault }))
}

async fn enclosed(site: &Site, files: Vec<NewFile>) -> Result<Vec<Enclosure>, Problem> {
    let node = site.node.clone();
    let work = move || {
        let each = files.into_iter().map(|new| Enclosure::file(&node, &new.name, new.file));
        each.collect::<Result<Vec<Enclosure>, _>>()
    };
    Ok(try_blocking(work).await?)
}

/// The bytes of a message that its text leaves for files, as they are encoded.
pub(super) fn room(site: &Site, form: &MessageForm) -> u64 {
    // A text grows at most threefold in its transfer encoding (RFC 2045 6.7).
    let text_len = (form.text.len() as u64).saturating_mul(3).saturating_add(HEADER_LEN);
    message_len_max(site).saturating_sub(text_len)
}

/// The bytes of files that fit into a message: base64 takes 78 for 57.
pub(super) fn files_len_max(site: &Site) -> u64 {
    message_len_max(site).saturating_sub(HEADER_LEN) / 78 * 57
}

fn left_out_text(site: &Site, names: &[String]) -> String {
    let shown = names.iter().take(NAMED_MAX).map(|name| match name.as_str() {
        "" => "a file without a name".to_owned(),
        name => format!("“{name}”"),
    });
    let mut named = shown.collect::<Vec<_>>().join(", ");
    if let Some(more) = names.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        named.push_str(&format!(" and {more} more"));
    }
    format!(
        "Left out: {named}. A letter carries at most {ENCLOSED_MAX} files, {} together. All else is \
         kept; send what is left out in another letter.",
        size(files_len_max(site))
    )
}
