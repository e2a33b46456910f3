//! The invited side: accepting an invite, and the answer of the inviter's node.

use super::{Friend, FriendRow, FriendState, Invite};
use crate::events::Event;
use crate::identity::PersonId;
use crate::node::Node;
use crate::row;
use crate::store::{Scan, StoreError};

/// Why an invite could not be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcceptInviteError {
    /// The invite is the owner's.
    #[error("this invite is your own: give it to a friend")]
    Own,
    /// The invite has expired.
    #[error("this invite has expired: ask for a new one")]
    Expired,
    /// The inviter is a friend already.
    #[error("you are friends already")]
    Already,
    /// The owner has blocked the inviter.
    #[error("you have blocked this person")]
    Blocked,
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// An accepted invite that the inviter's node has not answered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingInvite {
    /// The inviter, with the addresses of their node.
    pub friend: Friend,
    /// The invite's token.
    pub token: [u8; 16],
}

/// Accepts an invite. Federation then dials the inviter's node until it answers.
///
/// # Errors
/// When the invite is the owner's or has expired, or the inviter is a friend already or blocked.
pub async fn accept_invite(node: &Node, invite: &Invite) -> Result<Friend, AcceptInviteError> {
    let now = node.clock.now();
    if node.identity.person() == Some(invite.person) || node.identity.node_key() == invite.node {
        return Err(AcceptInviteError::Own);
    }
    if invite.expires <= now {
        return Err(AcceptInviteError::Expired);
    }
    let person = invite.person;
    let row = FriendRow {
        token: Some(invite.token),
        ..FriendRow::new(&invite.introduction(), FriendState::Requested, now)
    };
    node.store
        .commit(move |tx| {
            match row::get::<FriendRow>(tx, &person.0)?.map(|friend| friend.state) {
                Some(FriendState::Friend) => return Err(AcceptInviteError::Already),
                Some(FriendState::Blocked) => return Err(AcceptInviteError::Blocked),
                Some(FriendState::Requested | FriendState::Refused | FriendState::Left) | None => {}
            }
            row::put(tx, &person.0, &row)?;
            tx.after(Event::Friends);
            Ok(row.into_friend(person)?)
        })
        .await
}

/// The invites that federation must still send. Federation reads them after each
/// [`Event::Friends`] and at each start.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn pending_invites(node: &Node) -> Result<Vec<PendingInvite>, StoreError> {
    let mut all = Vec::new();
    for (key, row) in row::scan::<FriendRow>(&node.store, &Scan::prefix(&[], super::FRIENDS_MAX))? {
        if let (FriendState::Requested, Some(token)) = (row.state, row.token) {
            all.push(PendingInvite {
                friend: row.into_friend(PersonId(row::key_part(&key, 0)))?,
                token,
            });
        }
    }
    Ok(all)
}

/// Records that the inviter's node has accepted; `false` without a pending invite of that person,
/// so that no stranger becomes a friend by answering.
///
/// # Errors
/// When the store refuses.
pub async fn invite_accepted(node: &Node, person: PersonId) -> Result<bool, StoreError> {
    answer_invite(node, person, FriendState::Friend).await
}

/// Records that the inviter's node has refused: the invite was used or has expired. `false` without
/// a pending invite of that person.
///
/// # Errors
/// When the store refuses.
pub async fn invite_refused(node: &Node, person: PersonId) -> Result<bool, StoreError> {
    answer_invite(node, person, FriendState::Refused).await
}

async fn answer_invite(
    node: &Node,
    person: PersonId,
    state: FriendState,
) -> Result<bool, StoreError> {
    let now = node.clock.now();
    node.store
        .commit(move |tx| {
            let Some(pending) =
                row::get::<FriendRow>(tx, &person.0)?.filter(|f| f.state == FriendState::Requested)
            else {
                return Ok(false);
            };
            let last_seen = Some(now);
            row::put(
                tx,
                &person.0,
                &FriendRow { state, since: now, last_seen, token: None, ..pending },
            )?;
            tx.after(Event::Friends);
            Ok(true)
        })
        .await
}
