//! Friends: the people whose feeds this node stores, and the steps to become friends.
//!
//! 1. Alice makes an [`Invite`] and hands it to Bob as a link or a QR code. The link has the whole
//!    invite, or its token alone ([`ShortInvite`]).
//! 2. Bob pastes it: [`accept_invite`] writes a friend in state [`FriendState::Requested`].
//!    Federation finds it with [`pending_invites`] and dials.
//! 3. The connection proves the key of Alice's node, and Bob's node sends the token:
//!    [`redeem_invite`] checks the token, deletes it and makes Bob a friend, in one commit. A token
//!    works once, until it expires.
//! 4. Alice's node accepts: [`invite_accepted`] makes Alice a friend on Bob's node.
//!
//! [`remove`] ends a friendship and leaves an [`UnfollowNotice`] for the other node, which then
//! calls [`unfollowed_by`].
//!
//! Without a token, Bob's message is a [`FriendRequest`], which Alice accepts or rejects. A person
//! who steals an invite becomes a friend in Bob's place; then Bob's token is refused, so both
//! owners notice.

mod accept;
mod invite;
mod list;
mod mail_domain;
mod relay;
mod request;
mod short_invite;
mod unfollow;

pub use crate::friendship::{
    ADDRESSES_MAX, FRIENDS_MAX, Friend, FriendState, Introduction, is_friend, is_friend_in,
};
pub(crate) use crate::friendship::{FriendRow, bounded_addresses};
pub use accept::{
    AcceptInviteError, PendingInvite, accept_invite, invite_accepted, invite_refused,
    pending_invites,
};
pub use invite::{
    INVITE_LABEL_LEN_MAX, INVITE_MS, Invite, InviteError, NotAnInvite, OpenInvite, create_invite,
    is_open_invite, open_invites, resolve_invite, revoke_invite,
};
pub use list::{
    block, block_and_forget, get, list, record_contact, remove, remove_and_forget, unblock,
};
pub(crate) use list::{with_profile, without_profiles};
pub(crate) use mail_domain::names_domain;
pub use mail_domain::{MailDomain, mail_domains, mail_friend, vouch_mail_domain};
pub use relay::{OutgoingFriendError, is_relayed, send_by, set_relayed};
pub use request::{
    BefriendError, FriendRequest, REQUEST_MS, accept_request, receive_request, redeem_invite,
    reject_request, requests,
};
pub use short_invite::{RESOLUTION_LEN_MAX, ShortInvite, may_fetch_from};
pub use unfollow::{
    UNFOLLOW_NOTICE_MS, UnfollowNotice, drop_expired_unfollow_notices, unfollow_notice_delivered,
    unfollow_notices, unfollowed_by,
};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
