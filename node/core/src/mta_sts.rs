//! The MTA-STS policies of other domains (RFC 8461): which servers take their mail, and whether it
//! may go without verified TLS. A policy stays valid until its time is over, so that an attacker
//! who hides it later gains nothing.
//!
//! On disk: a row for each domain. The crate of mail fetches policies and obeys them.

use std::borrow::Cow;

use minicbor::{Decode, Encode};

use crate::clock::Timestamp;
use crate::domain_name;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table};

/// The most policies that are kept; for another one, that whose time is over first is removed.
pub const POLICIES_MAX: usize = 5000;
/// The longest time for which a policy is valid, in seconds (RFC 8461 3.2).
pub const MAX_AGE_SECS_MAX: u64 = 31_557_600;

/// A policy (RFC 8461 3.2).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Policy {
    /// Its effect.
    #[n(0)]
    pub mode: Mode,
    /// The names of the domain's servers, in lower case; `*.` stands for one label.
    #[n(1)]
    pub mx: Vec<String>,
    /// How long it is valid after it was fetched, in seconds.
    #[n(2)]
    pub max_age_secs: u64,
}

/// The effect of a policy (RFC 8461 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Mode {
    /// Mail goes to servers of the policy over verified TLS alone.
    #[n(0)]
    Enforce,
    /// Mail goes as without a policy.
    #[n(1)]
    Testing,
    /// The domain has no policy any more.
    #[n(2)]
    None,
}

/// A policy as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct FetchedPolicy {
    /// The id of the DNS record by which it was found (RFC 8461 3.1).
    #[n(0)]
    pub id: String,
    /// The policy.
    #[n(1)]
    pub policy: Policy,
    /// When it was fetched.
    #[n(2)]
    pub fetched: Timestamp,
}

impl Record for FetchedPolicy {
    const TABLE: Table = Table::new("mta_sts_policies");
    const VERSION: u8 = 1;
}

/// How long the owner's own policy is valid, in seconds: two weeks (RFC 8461 3.2 asks for weeks).
const OWN_MAX_AGE_SECS: u64 = 14 * 24 * 60 * 60;

impl Policy {
    /// The policy of the owner's domain, whose mail goes to `host`.
    pub fn own(mode: Mode, host: &str) -> Self {
        let host = domain_name::ascii(host).map_or_else(|| host.to_owned(), Cow::into_owned);
        Self { mode, mx: vec![host], max_age_secs: OWN_MAX_AGE_SECS }
    }

    /// The text that a web server of the domain gives (RFC 8461 3.2).
    pub fn text(&self) -> String {
        let mode = match self.mode {
            Mode::Enforce => "enforce",
            Mode::Testing => "testing",
            Mode::None => "none",
        };
        let mx = self.mx.iter().map(|host| format!("mx: {host}\r\n")).collect::<String>();
        let max_age = self.max_age_secs;
        format!("version: STSv1\r\nmode: {mode}\r\n{mx}max_age: {max_age}\r\n")
    }

    /// The DNS record that announces the policy (RFC 8461 3.1). Its id changes with the policy, so
    /// that other servers fetch it anew.
    pub fn record(&self) -> String {
        let hash = blake3::hash(self.text().as_bytes()).to_hex();
        format!("v=STSv1; id={};", hash.get(..16).unwrap_or_default())
    }

    /// Whether `host` is one of the domain's servers. A wildcard stands for exactly one label (RFC
    /// 8461 4.1).
    pub fn names(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        self.mx.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(label, rest)| {
                !label.is_empty() && rest.eq_ignore_ascii_case(parent)
            }),
            None => pattern.eq_ignore_ascii_case(host),
        })
    }
}

impl FetchedPolicy {
    /// When its time is over.
    pub fn expires(&self) -> Timestamp {
        self.fetched.plus_millis(self.age_ms_max())
    }

    /// True if half of its time is over, so that it should be fetched again.
    pub fn is_old(&self, now: Timestamp) -> bool {
        now >= self.fetched.plus_millis(self.age_ms_max() / 2)
    }

    fn age_ms_max(&self) -> u64 {
        self.policy.max_age_secs.min(MAX_AGE_SECS_MAX).saturating_mul(1000)
    }
}

/// The policy of `domain`, in the form of DNS, if its time is not over.
///
/// # Errors
/// The store's.
pub fn get(node: &Node, domain: &str) -> Result<Option<FetchedPolicy>, StoreError> {
    let known = row::get::<FetchedPolicy>(&node.store, &key(domain))?;
    let now = node.clock.now();
    Ok(known.filter(|known| now < known.expires()))
}

/// Keeps a policy in place of an earlier one of the domain. With [`POLICIES_MAX`] others it reads
/// them all: it blocks.
///
/// # Errors
/// The store's.
pub async fn put(node: &Node, domain: &str, fetched: FetchedPolicy) -> Result<(), StoreError> {
    let (key, now) = (key(domain), node.clock.now());
    node.store
        .commit(move |tx| {
            if row::get::<FetchedPolicy>(tx, &key)?.is_none() {
                for old in superfluous(tx, now)? {
                    row::delete::<FetchedPolicy>(tx, &old);
                }
            }
            row::put(tx, &key, &fetched)
        })
        .await
}

/// The most rows that one commit removes.
const REMOVED_MAX: usize = 500;

/// The keys of the rows that give way to a new one: those whose time is over, or else the one whose
/// time is over first.
fn superfluous(rows: &impl row::Rows, now: Timestamp) -> Result<Vec<Vec<u8>>, StoreError> {
    let all = row::scan::<FetchedPolicy>(rows, &Scan::prefix(&[], POLICIES_MAX))?;
    if all.len() < POLICIES_MAX {
        return Ok(Vec::new());
    }
    let mut ends: Vec<(Timestamp, Vec<u8>)> =
        all.into_iter().map(|(key, known)| (known.expires(), key)).collect();
    ends.sort();
    let over = ends.iter().take_while(|(end, _)| *end <= now).count();
    ends.truncate(over.clamp(1, REMOVED_MAX));
    Ok(ends.into_iter().map(|(_, key)| key).collect())
}

fn key(domain: &str) -> Vec<u8> {
    domain.trim_end_matches('.').to_ascii_lowercase().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;

    fn fetched(node: &TestNode, max_age_secs: u64) -> FetchedPolicy {
        let policy = Policy { mode: Mode::Enforce, mx: vec!["mx.bob.house".into()], max_age_secs };
        FetchedPolicy { id: "1".into(), policy, fetched: node.clock.now() }
    }

    #[test]
    fn wildcard_stands_for_one_label() {
        let mx = ["mx1.bob.house", "*.Example.net"].map(str::to_owned).to_vec();
        let policy = Policy { mode: Mode::Enforce, mx, max_age_secs: 1 };
        for host in ["mx1.bob.house", "MX1.BOB.house.", "a.example.net"] {
            assert!(policy.names(host), "{host}");
        }
        for host in [
            "example.net",
            ".example.net",
            "a.b.example.net",
            "aexample.net",
            "mx2.bob.house",
            "x.mx1.bob.house",
            "*.bob.house",
            "",
        ] {
            assert!(!policy.names(host), "{host}");
        }
    }

    #[tokio::test]
    async fn policy_is_kept_until_its_time_is_over() {
        let alice = TestNode::new("alice").await;
        let policy = fetched(&alice, 100);
        put(&alice, "Bob.house.", policy.clone()).await.unwrap();
        assert_eq!(get(&alice, "bob.house").unwrap(), Some(policy.clone()));
        assert!(!policy.is_old(alice.clock.now()));
        alice.clock.advance(50_000);
        assert!(policy.is_old(alice.clock.now()));
        alice.clock.advance(49_999);
        assert_eq!(get(&alice, "bob.house").unwrap(), Some(policy));
        alice.clock.advance(1);
        assert_eq!(get(&alice, "bob.house").unwrap(), None);
        let eternal = fetched(&alice, u64::MAX);
        assert_eq!(eternal.expires(), eternal.fetched.plus_millis(MAX_AGE_SECS_MAX * 1000));
    }

    #[tokio::test]
    async fn number_of_policies_is_bounded() {
        let alice = TestNode::new("alice").await;
        let policy = fetched(&alice, 1000);
        for first in (0..POLICIES_MAX).step_by(500) {
            let policy = policy.clone();
            let filled = alice.store.commit(move |tx| {
                (first..first + 500).try_for_each(|number| {
                    row::put(tx, &key(&format!("{number:04}.example")), &policy)
                })
            });
            filled.await.unwrap();
        }
        put(&alice, "0007.example", fetched(&alice, 1)).await.unwrap();
        put(&alice, "new.example", fetched(&alice, 1000)).await.unwrap();
        let all = || row::scan::<FetchedPolicy>(&alice.store, &Scan::prefix(&[], 10_000)).unwrap();
        assert_eq!(all().len(), POLICIES_MAX);
        assert_eq!(get(&alice, "0007.example").unwrap(), None, "its time is over first");
        alice.clock.advance(1_000_000);
        put(&alice, "newer.example", fetched(&alice, 1000)).await.unwrap();
        assert_eq!(all().len(), POLICIES_MAX - REMOVED_MAX + 1);
    }
}
