//! Senders that the owner allows or blocks: addresses, and domains with all that are below them.

use std::borrow::Cow;

use minicbor::{Decode, Encode};

use crate::aliases;
use crate::clock::Timestamp;
use crate::domain_name;
use crate::node::{KeyedHash, Node};
use crate::profile;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// The most senders that are allowed or blocked.
pub const LISTED_MAX: usize = 5_000;
/// The longest name (RFC 5321 4.5.3.1.3).
const NAME_LEN_MAX: usize = 254;
/// The most domains above a domain that are looked up: those nearest to the top.
const LEVELS_MAX: usize = 16;
const PURPOSE: &str = "junk.listed";

/// The owner's word on a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Listing {
    /// Its mail goes to the inbox.
    #[n(0)]
    Allowed,
    /// Its mail goes to Junk.
    #[n(1)]
    Blocked,
}

/// A sender that the owner allows or blocks. Under a keyed hash of its name.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ListedSender {
    /// An address, or a domain behind `@`; in lower case.
    #[n(0)]
    pub name: String,
    /// Whether it is allowed or blocked.
    #[n(1)]
    pub listing: Listing,
    /// When the owner said so.
    #[n(2)]
    pub since: Timestamp,
}

impl Record for ListedSender {
    const TABLE: Table = Table::new("junk_listed_senders");
    const VERSION: u8 = 1;
}

/// Why a sender was not listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The name is neither an address nor a domain.
    #[error("{0:?} is neither an address nor a domain, as ann@example.org or @example.org")]
    Malformed(String),
    /// A blocked sender is the owner.
    #[error("{0} is your own address")]
    Own(String),
    /// There would be more than [`LISTED_MAX`].
    #[error("at most {LISTED_MAX} senders can be allowed or blocked")]
    TooMany,
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// The name as it is stored: an address, or `@` and a domain. A bare domain gets its `@`.
fn normal(name: &str) -> Result<String, ListError> {
    let malformed = || ListError::Malformed(name.to_owned());
    let trimmed = name.trim();
    let (local, domain) = trimmed.rsplit_once('@').unwrap_or(("", trimmed));
    let domain = domain_name::ascii(domain).ok_or_else(malformed)?;
    let is_plain = !local.chars().any(|c| c.is_whitespace() || c.is_control());
    if trimmed.len() > NAME_LEN_MAX
        || !domain.contains('.')
        || !domain_name::is_host(&domain)
        || !is_plain
    {
        return Err(malformed());
    }
    Ok(format!("{}@{domain}", local.to_lowercase()))
}

/// Allows or blocks a sender, and returns its name as it is stored. An earlier word on it is
/// replaced.
///
/// # Errors
/// When the name is malformed, it is the owner's and blocked, there are too many, or the store
/// refuses.
pub async fn list_sender(node: &Node, name: &str, listing: Listing) -> Result<String, ListError> {
    let name = normal(name)?;
    if listing == Listing::Blocked && is_own(node, &name)? {
        return Err(ListError::Own(name));
    }
    let key = node.keyed(PURPOSE, name.as_bytes())?;
    let sender = ListedSender { name: name.clone(), listing, since: node.clock.now() };
    let commit = move |tx: &mut Tx<'_>| {
        let is_new = row::get::<ListedSender>(tx, &key)?.is_none();
        let all = Scan::prefix(&[], LISTED_MAX);
        if is_new && tx.scan(ListedSender::TABLE, &all)?.len() >= LISTED_MAX {
            return Err(ListError::TooMany);
        }
        Ok(row::put(tx, &key, &sender)?)
    };
    node.store.commit(commit).await?;
    Ok(name)
}

/// Whether a stored name is the owner's: an address, or a domain with the owner's below it.
fn is_own(node: &Node, name: &str) -> Result<bool, StoreError> {
    let Some(domain) = name.strip_prefix('@') else { return aliases::owns(node, name) };
    let Some(owner) = profile::get(node)? else { return Ok(false) };
    let own = domain_name::ascii(&owner.domain).unwrap_or(owner.domain.as_str().into());
    let above = own.len().checked_sub(domain.len()).and_then(|len| own.split_at_checked(len));
    Ok(above.is_some_and(|(sub, end)| end == domain && (sub.is_empty() || sub.ends_with('.'))))
}

/// Takes a sender off the list. One that is not on it is no error.
///
/// # Errors
/// When the name is malformed or the store refuses.
pub async fn unlist_sender(node: &Node, name: &str) -> Result<(), ListError> {
    let key = node.keyed(PURPOSE, normal(name)?.as_bytes())?;
    let commit = move |tx: &mut Tx<'_>| {
        row::delete::<ListedSender>(tx, &key);
        Ok::<_, StoreError>(())
    };
    Ok(node.store.commit(commit).await?)
}

/// All listed senders, by name.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn listed_senders(node: &Node) -> Result<Vec<ListedSender>, StoreError> {
    let all = row::scan::<ListedSender>(&node.store, &Scan::prefix(&[], LISTED_MAX))?;
    let mut senders: Vec<ListedSender> = all.into_iter().map(|(_, sender)| sender).collect();
    senders.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(senders)
}

/// The owner's word on an address: on itself, else on its domain, else on a domain above.
///
/// # Errors
/// As [`listed_senders`].
pub(super) fn find(rows: &impl Rows, address: &str) -> Result<Option<ListedSender>, StoreError> {
    let hash = KeyedHash::new(rows, PURPOSE)?;
    // Anything behind the @ counts: a malformed address is in the domain too.
    let (_, domain) = address.rsplit_once('@').unwrap_or_default();
    let domain = domain.trim().trim_end_matches('.');
    let domain = domain_name::ascii(domain).unwrap_or(Cow::Borrowed(domain)).to_lowercase();
    let ends = domain.rmatch_indices('.').map(|(at, _)| at.saturating_add(1));
    let mut names: Vec<String> = ends
        .skip(1)
        .filter_map(|at| domain.get(at..))
        .take(LEVELS_MAX)
        .map(str::to_owned)
        .collect();
    names.push(domain.clone());
    names.iter_mut().for_each(|name| name.insert(0, '@'));
    names.extend(normal(address).ok());
    // The longest name is the nearest one.
    for name in names.into_iter().rev() {
        if let Some(found) = row::get::<ListedSender>(rows, &hash.of(name.as_bytes()))? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;

    #[tokio::test]
    async fn nearest_word_on_a_sender_counts() {
        let alice = TestNode::new("alice").await;
        let list = async |name: &str, listing| list_sender(&alice, name, listing).await.unwrap();
        assert_eq!(list(" Shop.Example ", Listing::Blocked).await, "@shop.example");
        assert_eq!(list("Ann@News.Shop.example", Listing::Allowed).await, "ann@news.shop.example");
        let found = |address| find(&alice.store, address).unwrap().map(|sender| sender.listing);
        assert_eq!(found("bob@shop.example"), Some(Listing::Blocked));
        assert_eq!(found("bob@a.b.c.SHOP.example"), Some(Listing::Blocked));
        let deep = format!("x@{}shop.example", "a.".repeat(30));
        for odd in ["\"a b\"@shop.example", "x@a_b.shop.example", "x@shop.example..", &deep] {
            assert_eq!(found(odd), Some(Listing::Blocked), "{odd}");
        }
        assert_eq!(found("ann@news.shop.example"), Some(Listing::Allowed));
        assert_eq!(found("ann@ashop.example"), None);
        assert_eq!((found(""), found("nobody"), found("a@")), (None, None, None));
        list("@shop.example", Listing::Allowed).await;
        assert_eq!(listed_senders(&alice).unwrap().len(), 2);
        unlist_sender(&alice, "shop.example").await.unwrap();
        assert_eq!(found("bob@shop.example"), None);
    }

    #[tokio::test]
    async fn names_that_are_no_sender_are_refused() {
        let alice = TestNode::new("alice").await;
        for name in
            ["", "@", "ann", "example", "ann@", "a b@x.example", "ann@x..example", "a\n@b.c"]
        {
            let listed = list_sender(&alice, name, Listing::Blocked).await;
            assert!(matches!(listed, Err(ListError::Malformed(_))), "{name:?}");
        }
        let long = format!("{}@x.example", "a".repeat(300));
        assert!(list_sender(&alice, &long, Listing::Allowed).await.is_err());
    }

    #[tokio::test]
    async fn own_address_is_never_blocked() {
        let alice = TestNode::new("alice").await;
        aliases::add(&alice, "shop", "").await.unwrap();
        let block = async |name| list_sender(&alice, name, Listing::Blocked).await;
        for own in ["Alice@alice.example", "shop+a@ALICE.example", "alice.example", "@example"] {
            let blocked = block(own).await;
            assert!(matches!(blocked, Err(ListError::Own(_) | ListError::Malformed(_))), "{own}");
        }
        for other in ["bob@alice.example", "lice.example", "x.alice.example"] {
            assert!(block(other).await.is_ok(), "{other}");
        }
        list_sender(&alice, "alice@alice.example", Listing::Allowed).await.unwrap();
    }
}
