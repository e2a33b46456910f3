//! The domains of friends' mail addresses: mail to them goes to the friend's node over libp2p.
//!
//! A friend's profile names an address, which the friend alone has signed. A domain of the public
//! DNS must say so too: its site serves the friend's identity log (`/.well-known/freehold`), which
//! mail looks up once a day. Otherwise a friend could name the domain of a bank and get the
//! owner's mail to it. A domain that is in no public DNS is a friend's if exactly one friend names
//! it. On disk a row under a keyed hash of each public domain.

use std::borrow::Cow;

use minicbor::{Decode, Encode};

use super::{FriendState, is_friend, without_profiles};
use crate::clock::Timestamp;
use crate::domain_name;
use crate::feed;
use crate::identity::PersonId;
use crate::node::Node;
use crate::profile;
use crate::row::{self, Record};
use crate::store::{StoreError, Table, Tx};

/// How long a domain counts as a friend's after it last said so, in milliseconds: thirty days.
const VOUCHED_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// Under a keyed hash of a domain: the person whose identity log its site serves.
#[derive(Encode, Decode)]
#[cbor(map)]
struct VouchedRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    person: [u8; 32],
    /// When the site was last asked and served it.
    #[n(1)]
    checked: Timestamp,
}

impl Record for VouchedRow {
    const TABLE: Table = Table::new("friends_mail_domains");
    const VERSION: u8 = 1;
}

/// A domain of the public DNS that a friend names as their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailDomain {
    /// The friend.
    pub person: PersonId,
    /// The domain, as DNS has it.
    pub domain: String,
    /// When its site last served the friend's identity log.
    pub vouched: Option<Timestamp>,
}

fn key(node: &Node, domain: &str) -> Result<[u8; 16], StoreError> {
    node.keyed("friends.mail_domain", domain.as_bytes())
}

/// The domain of an address as DNS has it.
fn domain_of(address: &str) -> Option<Cow<'_, str>> {
    let (_, domain) = address.rsplit_once('@')?;
    domain_name::ascii(domain)
}

/// Whether the person's profile names an address at this domain.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub(crate) fn names_domain(
    node: &Node,
    person: &PersonId,
    domain: &str,
) -> Result<bool, StoreError> {
    let profile = feed::profile_of(node, person)?;
    Ok(profile.is_some_and(|profile| {
        profile.address.rsplit_once('@').is_some_and(|(_, own)| domain_name::is_same(own, domain))
    }))
}

/// The friend to whose node mail for `address` goes: the address is at the friend's own domain, and
/// the domain is confirmed. Blocks; for a domain that is in no public DNS it reads the profiles of
/// all friends.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn mail_friend(node: &Node, address: &str) -> Result<Option<PersonId>, StoreError> {
    let Some(domain) = domain_of(address) else { return Ok(None) };
    if profile::get(node)?.is_some_and(|owner| domain_name::is_same(&owner.domain, &domain)) {
        return Ok(None);
    }
    if !domain_name::is_special_use(&domain) {
        let found = row::get::<VouchedRow>(&node.store, &key(node, &domain)?)?;
        let now = node.clock.now();
        let found = found.filter(|row| now.millis_since(row.checked) < VOUCHED_MS);
        let Some(person) = found.map(|row| PersonId(row.person)) else { return Ok(None) };
        let is_own = is_friend(node, &person)? && names_domain(node, &person, &domain)?;
        return Ok(is_own.then_some(person));
    }
    let mut found = None;
    for friend in without_profiles(node)? {
        if friend.state == FriendState::Friend && names_domain(node, &friend.person, &domain)? {
            if found.is_some() {
                return Ok(None);
            }
            found = Some(friend.person);
        }
    }
    Ok(found)
}

/// The public domains that friends name as their own. Blocks.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn mail_domains(node: &Node) -> Result<Vec<MailDomain>, StoreError> {
    let mut named = Vec::new();
    for friend in without_profiles(node)? {
        if friend.state != FriendState::Friend {
            continue;
        }
        let Some(profile) = feed::profile_of(node, &friend.person)? else { continue };
        let domain = domain_of(&profile.address);
        let Some(domain) = domain.filter(|domain| !domain_name::is_special_use(domain)) else {
            continue;
        };
        let row = row::get::<VouchedRow>(&node.store, &key(node, &domain)?)?;
        let vouched = row.filter(|row| row.person == friend.person.0).map(|row| row.checked);
        named.push(MailDomain { person: friend.person, domain: domain.into_owned(), vouched });
    }
    Ok(named)
}

/// Records whose identity log the site of a domain has served; `None` for that of no person.
///
/// # Errors
/// When the store refuses.
pub async fn vouch_mail_domain(
    node: &Node,
    domain: &str,
    person: Option<PersonId>,
) -> Result<(), StoreError> {
    let (key, now) = (key(node, domain)?, node.clock.now());
    node.store
        .commit(move |tx: &mut Tx<'_>| match person {
            Some(person) => row::put(tx, &key, &VouchedRow { person: person.0, checked: now }),
            None => {
                row::delete::<VouchedRow>(tx, &key);
                Ok(())
            }
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::friends;
    use crate::testing::TestNode;

    async fn named(alice: &TestNode, friend: &TestNode, address: &str) {
        friend.write_profile(alice, address).await;
    }

    #[tokio::test]
    async fn special_use_domain_is_of_its_one_friend() {
        let (alice, bob) = TestNode::pair().await;
        assert_eq!(mail_friend(&alice, "bob@bob.example").unwrap(), None, "no profile yet");
        named(&alice, &bob, "bob@bob.example").await;
        let person = bob.identity.person();
        for address in ["bob@bob.example", "postmaster@BOB.example.", "bob+x@bob.example"] {
            assert_eq!(mail_friend(&alice, address).unwrap(), person, "{address}");
        }
        for other in ["bob@bob2.example", "bob", "bob@x.bob.example", "alice@alice.example"] {
            assert_eq!(mail_friend(&alice, other).unwrap(), None, "{other}");
        }
        let carol = TestNode::new("carol").await;
        alice.make_friends(&carol).await;
        named(&alice, &carol, "carol@bob.example").await;
        assert_eq!(mail_friend(&alice, "bob@bob.example").unwrap(), None, "two name it");
        friends::remove(&alice, carol.identity.person().unwrap()).await.unwrap();
        assert_eq!(mail_friend(&alice, "bob@bob.example").unwrap(), person);
        // Nobody gets the owner's own mail.
        named(&alice, &bob, "bob@alice.example").await;
        assert_eq!(mail_friend(&alice, "alice@alice.example").unwrap(), None);
    }

    #[tokio::test]
    async fn public_domain_must_vouch_for_the_friend() {
        let (alice, bob) = TestNode::pair().await;
        named(&alice, &bob, "bob@Bank.com").await;
        let (person, domain) = (bob.identity.person().unwrap(), "bank.com");
        let claim = |vouched| vec![MailDomain { person, domain: domain.to_owned(), vouched }];
        assert_eq!(mail_domains(&alice).unwrap(), claim(None));
        assert_eq!(mail_friend(&alice, "ceo@bank.com").unwrap(), None);
        vouch_mail_domain(&alice, domain, Some(PersonId([9; 32]))).await.unwrap();
        assert_eq!(mail_domains(&alice).unwrap(), claim(None));
        assert_eq!(mail_friend(&alice, "ceo@bank.com").unwrap(), None);
        let now = alice.clock.now();
        vouch_mail_domain(&alice, domain, Some(person)).await.unwrap();
        assert_eq!(mail_domains(&alice).unwrap(), claim(Some(now)));
        assert_eq!(mail_friend(&alice, "ceo@bank.com").unwrap(), Some(person));
        alice.clock.advance(VOUCHED_MS);
        assert_eq!(mail_friend(&alice, "ceo@bank.com").unwrap(), None, "too long ago");
        vouch_mail_domain(&alice, domain, Some(person)).await.unwrap();
        vouch_mail_domain(&alice, domain, None).await.unwrap();
        assert_eq!(mail_friend(&alice, "ceo@bank.com").unwrap(), None);
    }
}
