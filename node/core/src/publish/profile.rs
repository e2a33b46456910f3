//! Publishing the owner's profile.

use crate::apply::apply;
use crate::feed::{self, AppendError, Body, Kind, Lane, ProfileBody};
use crate::node::Node;
use crate::profile::{self, Profile, ProfileError};
use crate::store::Tx;

/// Replaces the profile. On a claimed node an entry for friends is written in the same commit.
///
/// # Errors
/// When a part is not allowed, or the store refuses.
pub async fn profile(node: &Node, profile: Profile) -> Result<(), ProfileError> {
    let (profile, author) = (profile::checked(profile)?, node.clone());
    let commit = move |tx: &mut Tx<'_>| {
        profile::put(tx, &profile)?;
        write(tx, &author, &profile)
    };
    node.store.commit(commit).await
}

/// Writes the profile into the feed, if the feed has another one or none: after a claim. Does
/// nothing on an unclaimed node.
///
/// # Errors
/// When the store refuses.
pub async fn announce_profile(node: &Node) -> Result<(), ProfileError> {
    let author = node.clone();
    let commit = move |tx: &mut Tx<'_>| match profile::read(tx)? {
        Some(profile) => write(tx, &author, &profile),
        None => Ok(()),
    };
    node.store.commit(commit).await
}

fn write(tx: &mut Tx<'_>, node: &Node, profile: &Profile) -> Result<(), ProfileError> {
    let Some(person) = node.identity.person() else { return Ok(()) };
    let body = Body::Profile(ProfileBody {
        name: profile.name.clone(),
        address: profile::address(profile),
        strapline: profile.strapline.clone(),
        about: profile.about.clone(),
        avatar_colour: profile.avatar_colour,
    });
    if feed::latest(tx, &person, Kind::Profile)?.as_ref() == Some(&body) {
        return Ok(());
    }
    let mut changes = Vec::new();
    match feed::append(tx, node, Lane::PUBLIC, &body, None, &mut changes) {
        Ok(_) => Ok(apply(tx, node, changes)?),
        Err(AppendError::Unclaimed | AppendError::Retired) => Ok(()),
        Err(AppendError::Store(error)) => Err(ProfileError::Store(error)),
        // The limits of a profile are narrower than those of an entry.
        Err(AppendError::TooLong { len, len_max }) => {
            Err(ProfileError::TooLong { what: "profile", len, len_max })
        }
        Err(AppendError::NotReadable(_)) => Err(ProfileError::NoName),
    }
}
