//! The side that was invited: accepting, dialling, being answered.

use super::{Friend, FriendRow, FriendState, Invite};
use crate::events::Event;
use crate::identity::PersonId;
use crate::node::Node;
use crate::row;
use crate::store::{Scan, StoreError};

/// Why an invite could not be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcceptInviteError {
    /// It is one's own.
    #[error("this invite is your own: give it to a friend")]
    Own,
    /// It has expired.
    #[error("this invite has expired: ask for a new one")]
    Expired,
    /// They are a friend already.
    #[error("you are friends already")]
    Already,
    /// The owner has blocked them.
    #[error("you have blocked this person")]
    Blocked,
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Somebody whose invite was accepted here and whose node must still be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingInvite {
    /// Who, and where their node is.
    pub friend: Friend,
    /// What makes the invite good.
    pub token: [u8; 16],
}

/// Accepts an invite: from now on federation tries to reach its node until it answers.
///
/// # Errors
/// When it is one's own, has expired, or they are a friend or blocked already.
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
        ..FriendRow::new(&invite.introduction(), FriendState::Asked, now)
    };
    node.store
        .commit(move |tx| {
            match row::get::<FriendRow>(tx, &person.0)?.map(|friend| friend.state) {
                Some(FriendState::Friend) => return Err(AcceptInviteError::Already),
                Some(FriendState::Blocked) => return Err(AcceptInviteError::Blocked),
                Some(FriendState::Asked | FriendState::Refused | FriendState::Left) | None => {}
            }
            row::put(tx, &person.0, &row)?;
            tx.after(Event::Friends);
            Ok(row.shown(person)?)
        })
        .await
}

/// Whom federation must still ask. It looks here whenever it hears of friends, and at every start.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn pending_invites(node: &Node) -> Result<Vec<PendingInvite>, StoreError> {
    let mut all = Vec::new();
    for (key, row) in row::scan::<FriendRow>(&node.store, &Scan::prefix(&[], super::FRIENDS_MAX))? {
        if let (FriendState::Asked, Some(token)) = (row.state, row.token) {
            all.push(PendingInvite { friend: row.shown(PersonId(row::key_part(&key, 0)))?, token });
        }
    }
    Ok(all)
}

/// Their node said yes. Somebody who was never asked can't make themselves a friend with this.
///
/// # Errors
/// When the store refuses.
pub async fn invite_accepted(node: &Node, person: PersonId) -> Result<bool, StoreError> {
    settle(node, person, FriendState::Friend).await
}

/// Their node said no: the invite was used or has expired.
///
/// # Errors
/// When the store refuses.
pub async fn invite_refused(node: &Node, person: PersonId) -> Result<bool, StoreError> {
    settle(node, person, FriendState::Refused).await
}

async fn settle(node: &Node, person: PersonId, state: FriendState) -> Result<bool, StoreError> {
    let now = node.clock.now();
    node.store
        .commit(move |tx| {
            let Some(asked) =
                row::get::<FriendRow>(tx, &person.0)?.filter(|f| f.state == FriendState::Asked)
            else {
                return Ok(false);
            };
            let last_seen = Some(now);
            row::put(
                tx,
                &person.0,
                &FriendRow { state, since: now, last_seen, token: None, ..asked },
            )?;
            tx.after(Event::Friends);
            Ok(true)
        })
        .await
}
