//! The address as which the form writes. One that the draft or the answered message has stays
//! chosen, also if it is closed or is the owner's no longer: another one would tell the recipients
//! an address that they are not to know.

use freehold_core::aliases;
use freehold_core::profile::{self, Profile};

use super::recipients::is_address;
use crate::fault::Fault;
use crate::problem::Problem;
use crate::site::Site;

/// An address in the list of the form.
pub(super) struct Choice {
    pub(super) address: String,
    /// A note behind it; may be empty.
    pub(super) note: &'static str,
    pub(super) is_chosen: bool,
}

/// The addresses as which the owner can write, the first one first, and the chosen one; empty if
/// there is only the first one.
///
/// # Errors
/// If the store can't be read.
pub(super) fn choices(site: &Site, chosen: &str) -> Result<Vec<Choice>, Problem> {
    let Some(owner) = site.profile()? else { return Ok(Vec::new()) };
    let open = aliases::aliases(&site.node)?.into_iter().filter(|alias| alias.is_on);
    let open = open.map(|alias| aliases::address(&owner, &alias.local));
    let choice = |address: String| Choice {
        is_chosen: address.eq_ignore_ascii_case(chosen),
        address,
        note: "",
    };
    let first = std::iter::once(profile::address(&owner));
    let mut all: Vec<Choice> = first.chain(open).map(choice).collect();
    if !chosen.is_empty() && !all.iter().any(|choice| choice.is_chosen) {
        let note = match (aliases::owns(&site.node, chosen)?, aliases::accepts(&site.node, chosen)?)
        {
            (true, true) => "",
            (true, false) => " (closed: answers don’t come in)",
            (false, _) => " (not yours any more)",
        };
        all.push(Choice { address: chosen.to_owned(), note, is_chosen: true });
    }
    Ok(if all.len() > 1 { all } else { Vec::new() })
}

/// The address in From for what the form chose.
///
/// # Errors
/// The fault of an address that is not the owner's: nothing else is chosen in its place.
pub(super) fn address(
    site: &Site,
    owner: &Profile,
    chosen: &str,
) -> Result<Result<String, Fault>, Problem> {
    if chosen.is_empty() {
        return Ok(Ok(profile::address(owner)));
    }
    if is_address(chosen) && aliases::owns(&site.node, chosen)? {
        return Ok(Ok(chosen.to_owned()));
    }
    let text = format!("“{chosen}” is not your address any more. Choose one to write as.");
    Ok(Err(Fault::new("from", text)))
}
