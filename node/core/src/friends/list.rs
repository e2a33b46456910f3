//! The list of friends: reading it, contact times, removing and blocking.

use super::{FRIENDS_MAX, Friend, FriendRow, FriendState, bounded_addresses, request, unfollow};
use crate::events::Event;
use crate::feed::{self, forget};
use crate::identity::PersonId;
use crate::names;
use crate::node::Node;
use crate::profile::AVATAR_COLOUR_COUNT;
use crate::row;
use crate::store::{Scan, StoreError};

/// The age at which the stored `last_seen` is renewed, in milliseconds: renewing it for each
/// connection would be a commit per connection.
const LAST_SEEN_EVERY_MS: u64 = 60 * 60 * 1000;

/// Every person in the list, in any state, sorted by name.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn list(node: &Node) -> Result<Vec<Friend>, StoreError> {
    let mut all = without_profiles(node)?;
    for friend in &mut all {
        with_profile(node, friend)?;
    }
    all.sort_by(|a, b| {
        a.name.to_lowercase().cmp(&b.name.to_lowercase()).then_with(|| a.person.cmp(&b.person))
    });
    Ok(all)
}

/// Every person in the list with the name of their introduction, without reading their profiles.
pub(crate) fn without_profiles(node: &Node) -> Result<Vec<Friend>, StoreError> {
    let rows = row::scan::<FriendRow>(&node.store, &Scan::prefix(&[], FRIENDS_MAX))?;
    rows.into_iter().map(|(key, row)| row.into_friend(PersonId(row::key_part(&key, 0)))).collect()
}

/// Fills in name and colour of the friend's newest profile, and the presence of their node.
pub(crate) fn with_profile(node: &Node, friend: &mut Friend) -> Result<(), StoreError> {
    if let Some(profile) = feed::profile_of(node, &friend.person)? {
        // A profile can exceed this node's limits for names.
        let name = names::plain(&profile.name);
        if !name.is_empty() {
            friend.name = name;
        }
        friend.avatar_colour =
            Some(profile.avatar_colour).filter(|colour| *colour < AVATAR_COLOUR_COUNT);
    }
    let (is_connected, last_contact) = node.presence.of(&friend.person);
    friend.is_online = is_connected && friend.state == FriendState::Friend;
    friend.last_seen = friend.last_seen.max(last_contact);
    friend.has_left = node.presence.has_left(&friend.person);
    Ok(())
}

/// One person of the list.
///
/// # Errors
/// As [`list`].
pub fn get(node: &Node, person: &PersonId) -> Result<Option<Friend>, StoreError> {
    let Some(row) = row::get::<FriendRow>(&node.store, &person.0)? else { return Ok(None) };
    let mut friend = row.into_friend(*person)?;
    with_profile(node, &mut friend)?;
    Ok(Some(friend))
}

/// Records a contact with a friend's node, and its addresses unless the list is empty.
///
/// # Errors
/// When the store refuses.
pub async fn record_contact(
    node: &Node,
    person: PersonId,
    addresses: &[String],
) -> Result<(), StoreError> {
    let (now, addresses) = (node.clock.now(), bounded_addresses(addresses));
    let is_outdated = |friend: &FriendRow| {
        let has_moved = !addresses.is_empty() && friend.addresses != addresses;
        has_moved || friend.last_seen.is_none_or(|at| now.millis_since(at) >= LAST_SEEN_EVERY_MS)
    };
    if !row::get::<FriendRow>(&node.store, &person.0)?.is_some_and(|friend| is_outdated(&friend)) {
        return Ok(());
    }
    node.store
        .commit(move |tx| {
            let Some(mut friend) = row::get::<FriendRow>(tx, &person.0)? else { return Ok(()) };
            friend.last_seen = Some(now);
            if !addresses.is_empty() {
                friend.addresses = addresses;
            }
            row::put(tx, &person.0, &friend)
        })
        .await
}

/// Ends a friendship, or withdraws a pending invite. Entries that they have stay with them; a
/// friend's node gets an unfollow notice ([`super::unfollow_notices`]).
///
/// # Errors
/// When the store refuses.
pub async fn remove(node: &Node, person: PersonId) -> Result<(), StoreError> {
    end(node, person, false).await
}

/// [`remove`], and begins to erase everything that the person said, with their photos.
///
/// # Errors
/// As [`remove`].
pub async fn remove_and_forget(node: &Node, person: PersonId) -> Result<(), StoreError> {
    end(node, person, true).await
}

async fn end(node: &Node, person: PersonId, forgets: bool) -> Result<(), StoreError> {
    let now = node.clock.now();
    let forgets = forgets && node.identity.person() != Some(person);
    node.store
        .commit(move |tx| {
            if forgets {
                forget::begin(tx, &person)?;
            }
            if let Some(friend) = row::get::<FriendRow>(tx, &person.0)? {
                unfollow::add_notice(tx, &person, &friend, now)?;
            }
            row::delete::<FriendRow>(tx, &person.0);
            request::delete_request(tx, &person);
            tx.after(Event::Friends);
            Ok(())
        })
        .await
}

/// Blocks a friend or a person with a friend request; `false` when there is no such person here.
/// Federation refuses their node from now on, without a notice: their request and any unfollow
/// notice are deleted.
///
/// # Errors
/// When the store refuses.
pub async fn block(node: &Node, person: PersonId) -> Result<bool, StoreError> {
    refuse(node, person, false).await
}

/// [`block`], and begins to erase everything that the person said, with their photos.
///
/// # Errors
/// As [`block`].
pub async fn block_and_forget(node: &Node, person: PersonId) -> Result<bool, StoreError> {
    refuse(node, person, true).await
}

async fn refuse(node: &Node, person: PersonId, forgets: bool) -> Result<bool, StoreError> {
    let now = node.clock.now();
    let forgets = forgets && node.identity.person() != Some(person);
    let request = super::requests(node)?.into_iter().find(|request| request.from.person == person);
    node.store
        .commit(move |tx| {
            let known = row::get::<FriendRow>(tx, &person.0)?;
            let Some(row) = known.or_else(|| {
                request.map(|request| FriendRow::new(&request.from, FriendState::Blocked, now))
            }) else {
                return Ok(false);
            };
            row::put(
                tx,
                &person.0,
                &FriendRow { state: FriendState::Blocked, since: now, token: None, ..row },
            )?;
            request::delete_request(tx, &person);
            unfollow::delete_notice(tx, &person);
            if forgets {
                forget::begin(tx, &person)?;
            }
            tx.after(Event::Friends);
            Ok(true)
        })
        .await
}

/// Unblocks a person, who is a stranger again.
///
/// # Errors
/// When the store refuses.
pub async fn unblock(node: &Node, person: PersonId) -> Result<(), StoreError> {
    node.store
        .commit(move |tx| {
            if row::get::<FriendRow>(tx, &person.0)?
                .is_some_and(|friend| friend.state == FriendState::Blocked)
            {
                row::delete::<FriendRow>(tx, &person.0);
                tx.after(Event::Friends);
            }
            Ok(())
        })
        .await
}
