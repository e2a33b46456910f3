//! Who is a friend, and no longer being one.

use super::{FRIENDS_MAX, Friend, FriendRow, FriendState, checked_addresses, request, unfollow};
use crate::events::Event;
use crate::feed;
use crate::identity::PersonId;
use crate::names;
use crate::node::Node;
use crate::profile::AVATAR_COLOUR_COUNT;
use crate::row;
use crate::store::{Scan, StoreError};

/// How stale `last_seen` may be: a row per connection would be a commit per connection.
const TOUCHED_EVERY_MS: u64 = 60 * 60 * 1000;

/// Everyone known, whatever their state, by name.
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

/// Everyone known, by the names they introduced themselves with: without a look at what their feeds
/// say since.
pub(crate) fn without_profiles(node: &Node) -> Result<Vec<Friend>, StoreError> {
    let rows = row::scan::<FriendRow>(&node.store, &Scan::prefix(&[], FRIENDS_MAX))?;
    rows.into_iter().map(|(key, row)| row.shown(PersonId(row::key_part(&key, 0)))).collect()
}

/// Adds what the friend's own feed says of them, verified as all that is in it, and whether they
/// are connected.
pub(crate) fn with_profile(node: &Node, friend: &mut Friend) -> Result<(), StoreError> {
    if let Some(profile) = feed::profile_of(node, &friend.person)? {
        // Their node's limits are not ours.
        let name = names::plain(&profile.name);
        if !name.is_empty() {
            friend.name = name;
        }
        friend.avatar_colour =
            Some(profile.avatar_colour).filter(|colour| *colour < AVATAR_COLOUR_COUNT);
    }
    let (is_online, heard) = node.presence.of(&friend.person);
    friend.is_online = is_online && friend.state == FriendState::Friend;
    friend.last_seen = friend.last_seen.max(heard);
    Ok(())
}

/// One of them.
///
/// # Errors
/// As [`list`].
pub fn get(node: &Node, person: &PersonId) -> Result<Option<Friend>, StoreError> {
    let Some(row) = row::get::<FriendRow>(&node.store, &person.0)? else { return Ok(None) };
    let mut friend = row.shown(*person)?;
    with_profile(node, &mut friend)?;
    Ok(Some(friend))
}

/// Whether both agreed to be friends.
///
/// # Errors
/// As [`list`].
pub fn is_friend(node: &Node, person: &PersonId) -> Result<bool, StoreError> {
    is_friend_in(&node.store, person)
}

/// [`is_friend`] for a look from inside a change.
///
/// # Errors
/// As [`list`].
pub fn is_friend_in(rows: &impl row::Rows, person: &PersonId) -> Result<bool, StoreError> {
    Ok(row::get::<FriendRow>(rows, &person.0)?
        .is_some_and(|friend| friend.state == FriendState::Friend))
}

/// Notes that a friend's node was reached, and where, if any addresses are given.
///
/// # Errors
/// When the store refuses.
pub async fn record_contact(
    node: &Node,
    person: PersonId,
    addresses: &[String],
) -> Result<(), StoreError> {
    let (now, addresses) = (node.clock.now(), checked_addresses(addresses));
    let is_news = |friend: &FriendRow| {
        let is_moved = !addresses.is_empty() && friend.addresses != addresses;
        is_moved || friend.last_seen.is_none_or(|at| now.millis_since(at) >= TOUCHED_EVERY_MS)
    };
    if !row::get::<FriendRow>(&node.store, &person.0)?.is_some_and(|friend| is_news(&friend)) {
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

/// Ends a friendship, or takes back a question. What they have already stays with them; a friend's
/// node is told when it is next reached ([`super::unfollow_notices`]).
///
/// # Errors
/// When the store refuses.
pub async fn remove(node: &Node, person: PersonId) -> Result<(), StoreError> {
    let now = node.clock.now();
    node.store
        .commit(move |tx| {
            if let Some(friend) = row::get::<FriendRow>(tx, &person.0)? {
                unfollow::add_notice(tx, &person, &friend, now)?;
            }
            row::delete::<FriendRow>(tx, &person.0);
            request::forget(tx, &person);
            tx.after(Event::Friends);
            Ok(())
        })
        .await
}

/// Blocks a friend or somebody who asked; `false` when there is no such person here. Federation
/// refuses their node from now on, and they are told nothing: their request is gone, and no
/// farewell is said.
///
/// # Errors
/// When the store refuses.
pub async fn block(node: &Node, person: PersonId) -> Result<bool, StoreError> {
    let now = node.clock.now();
    let asked = super::requests(node)?.into_iter().find(|request| request.from.person == person);
    node.store
        .commit(move |tx| {
            let known = row::get::<FriendRow>(tx, &person.0)?;
            let Some(row) = known.or_else(|| {
                asked.map(|request| FriendRow::new(&request.from, FriendState::Blocked, now))
            }) else {
                return Ok(false);
            };
            row::put(
                tx,
                &person.0,
                &FriendRow { state: FriendState::Blocked, since: now, token: None, ..row },
            )?;
            request::forget(tx, &person);
            unfollow::forget(tx, &person);
            tx.after(Event::Friends);
            Ok(true)
        })
        .await
}

/// Forgets that somebody was blocked; they are a stranger again.
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
