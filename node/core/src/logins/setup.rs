//! Set-up: the bearer of the one-time link that the node printed becomes its owner.

use minicbor::{Decode, Encode};
use subtle::ConstantTimeEq;

use super::token::{SessionToken, SetupToken};
use super::{Browser, PasswordError, password, sessions};
use crate::node::Node;
use crate::profile::{self, Profile, ProfileError};
use crate::row::{self, Record};
use crate::store::{StoreError, Table};

#[derive(Encode, Decode)]
#[cbor(map)]
struct OfferRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    hash: [u8; 32],
}

impl Record for OfferRow {
    const TABLE: Table = Table::new("logins_setup");
    const VERSION: u8 = 1;
}

const OFFER: &[u8] = b"offer";

/// Why the node was not set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetUpError {
    /// The link is not the last one that the node printed, or was used.
    #[error("this set-up link is not valid any more")]
    BadToken,
    /// The profile was refused.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The password was refused.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// A new token for the set-up link, or `None` once the node has an owner. An earlier token is no
/// longer valid: only its hash is stored, so a restarted node cannot print it again.
///
/// # Errors
/// When the store is unavailable.
pub async fn offer_setup(node: &Node) -> Result<Option<SetupToken>, StoreError> {
    let token = SetupToken::generate(&node.random);
    let offer = OfferRow { hash: token.hash() };
    let offered = node
        .store
        .commit(move |tx| {
            let is_free = !password::is_set(tx)?;
            if is_free {
                row::put(tx, OFFER, &offer)?;
            }
            Ok::<_, StoreError>(is_free)
        })
        .await?;
    Ok(offered.then_some(token))
}

/// True if the token of this link can set up the node.
///
/// # Errors
/// When the store is unavailable.
pub fn setup_is_open(node: &Node, token: &SetupToken) -> Result<bool, StoreError> {
    is_offered(&node.store, token.hash())
}

fn is_offered(rows: &impl row::Rows, hash: [u8; 32]) -> Result<bool, StoreError> {
    let offer = row::get::<OfferRow>(rows, OFFER)?;
    Ok(offer.is_some_and(|offer| bool::from(offer.hash.ct_eq(&hash))))
}

/// Sets up the node: writes profile, password and a first session, for `browser` if there is one,
/// and deletes the token, in one commit.
///
/// # Errors
/// When the link is no longer valid, or profile or password are refused.
pub async fn set_up(
    node: &Node,
    token: &SetupToken,
    profile: Profile,
    password: &str,
    browser: Option<&Browser>,
) -> Result<SessionToken, SetUpError> {
    let profile = profile::checked(profile)?;
    if !setup_is_open(node, token)? {
        return Err(SetUpError::BadToken);
    }
    let password = password::hashed(node, password).await?;
    let (session, open_session) = sessions::first(node, browser);
    let hash = token.hash();
    node.store
        .commit(move |tx| {
            if !is_offered(tx, hash)? {
                return Err(SetUpError::BadToken);
            }
            row::delete::<OfferRow>(tx, OFFER);
            profile::put(tx, &profile)?;
            password::put(tx, &password)?;
            Ok(open_session(tx)?)
        })
        .await?;
    Ok(session)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logins::session;
    use crate::testing::{PASSWORD, TestNode, profile_of};

    #[tokio::test]
    async fn setup_link_works_once_and_logs_in() {
        let node = TestNode::without_owner("alice").await;
        let token = offer_setup(&node).await.unwrap().unwrap();
        assert!(setup_is_open(&node, &token).unwrap());
        let opened = set_up(&node, &token, profile_of("alice"), PASSWORD, None).await.unwrap();
        assert!(session(&node, &opened).await.unwrap().is_some());
        assert_eq!(profile::get(&node).unwrap(), Some(profile_of("alice")));
        assert!(!setup_is_open(&node, &token).unwrap());
        assert_eq!(
            set_up(&node, &token, profile_of("mallory"), PASSWORD, None).await,
            Err(SetUpError::BadToken)
        );
        assert_eq!(offer_setup(&node).await.unwrap(), None);
    }

    #[tokio::test]
    async fn new_setup_link_ends_the_older_one() {
        let node = TestNode::without_owner("alice").await;
        let old = offer_setup(&node).await.unwrap().unwrap();
        let new = offer_setup(&node).await.unwrap().unwrap();
        assert_eq!(
            set_up(&node, &old, profile_of("alice"), PASSWORD, None).await,
            Err(SetUpError::BadToken)
        );
        let bad = set_up(&node, &new, profile_of("alice"), "short", None).await;
        assert_eq!(bad, Err(SetUpError::Password(PasswordError::TooShort)));
        assert_eq!(profile::get(&node).unwrap(), None);
        assert!(set_up(&node, &new, profile_of("alice"), PASSWORD, None).await.is_ok());
    }

    #[tokio::test]
    async fn concurrent_use_of_one_setup_link_makes_one_owner() {
        let node = TestNode::without_owner("alice").await;
        let token = offer_setup(&node).await.unwrap().unwrap();
        let (one, two) = tokio::join!(
            set_up(&node, &token, profile_of("alice"), PASSWORD, None),
            set_up(&node, &token, profile_of("mallory"), "mallory's password", None)
        );
        assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|succeeded| **succeeded).count(), 1);
    }
}
