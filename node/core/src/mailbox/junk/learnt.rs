//! The counts of tokens in the messages that the filter has learnt from.
//!
//! Under a keyed hash of each token a row of counts. When there are too many rows, all counts are
//! halved: tokens that were seen once are forgotten, and what was learnt long ago weighs less.

use minicbor::{Decode, Encode};

use super::bayes::Counts;
use crate::node::{KeyedHash, Node};
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// The most rows of tokens.
const ROWS_MAX: u32 = 200_000;
/// Rows of one commit while counts are halved.
const HALVED_EACH: usize = 400;
const ALL: &[u8] = b"all";

/// Under the first bytes of a keyed hash of the token.
#[derive(Encode, Decode)]
#[cbor(map)]
struct TokenRow {
    #[n(0)]
    counts: Counts,
}

impl Record for TokenRow {
    const TABLE: Table = Table::new("junk_tokens");
    const VERSION: u8 = 1;
}

/// The totals of all lessons.
#[derive(Clone, Copy, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub(super) struct Learnt {
    /// The messages.
    #[n(0)]
    pub(super) messages: Counts,
    /// The number of rows of tokens.
    #[n(1)]
    rows: u32,
}

impl Record for Learnt {
    const TABLE: Table = Table::new("junk_learnt");
    const VERSION: u8 = 1;
}

/// The key of a token's row.
pub(super) type TokenKey = [u8; 8];

/// The keys of tokens, in their order.
///
/// # Errors
/// When the store is unavailable.
pub(super) fn keys(rows: &impl Rows, tokens: &[String]) -> Result<Vec<TokenKey>, StoreError> {
    let hash = KeyedHash::new(rows, "junk.token")?;
    Ok(tokens.iter().map(|token| row::key_part(&hash.of(token.as_bytes()), 0)).collect())
}

/// The counts of tokens, in the order of their keys.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub(super) fn counts(rows: &impl Rows, keys: &[TokenKey]) -> Result<Vec<Counts>, StoreError> {
    let counts = |key: &TokenKey| {
        Ok(row::get::<TokenRow>(rows, key)?.map(|row| row.counts).unwrap_or_default())
    };
    keys.iter().map(counts).collect()
}

/// The totals of all lessons.
///
/// # Errors
/// As [`counts`].
pub(super) fn all(rows: &impl Rows) -> Result<Learnt, StoreError> {
    Ok(row::get::<Learnt>(rows, ALL)?.unwrap_or_default())
}

/// Changes the counts of a message's tokens, and of all messages.
pub(super) fn change(
    tx: &mut Tx<'_>,
    tokens: &[TokenKey],
    change: impl Fn(&mut Counts),
) -> Result<(), StoreError> {
    let mut learnt = all(tx)?;
    for key in tokens {
        let earlier = row::get::<TokenRow>(tx, key)?.map(|row| row.counts);
        let mut counts = earlier.unwrap_or_default();
        change(&mut counts);
        match (earlier.is_some(), counts == Counts::default()) {
            (false, true) => continue,
            (true, true) => {
                row::delete::<TokenRow>(tx, key);
                learnt.rows = learnt.rows.saturating_sub(1);
                continue;
            }
            (false, false) => learnt.rows = learnt.rows.saturating_add(1),
            (true, false) => {}
        }
        row::put(tx, key, &TokenRow { counts })?;
    }
    change(&mut learnt.messages);
    row::put(tx, ALL, &learnt)
}

/// Halves all counts if there are more than [`ROWS_MAX`] rows. After an interruption the next call
/// begins anew: a token's share of junk stays the same.
///
/// # Errors
/// When the store refuses.
pub(super) async fn halve_if_many(node: &Node) -> Result<bool, StoreError> {
    if all(&node.store)?.rows <= ROWS_MAX {
        return Ok(false);
    }
    halve(node).await.map(|()| true)
}

async fn halve(node: &Node) -> Result<(), StoreError> {
    let (mut scan, mut left) = (Scan::prefix(&[], HALVED_EACH), 0u32);
    loop {
        let page = row::scan::<TokenRow>(&node.store, &scan)?;
        let Some((last, _)) = page.last() else { break };
        scan = Scan::prefix(&[], HALVED_EACH).after(last);
        let commit = move |tx: &mut Tx<'_>| {
            let mut left = 0u32;
            for (key, TokenRow { counts }) in &page {
                let counts = halved(*counts);
                if counts == Counts::default() {
                    row::delete::<TokenRow>(tx, key);
                } else {
                    row::put(tx, key, &TokenRow { counts })?;
                    left = left.saturating_add(1);
                }
            }
            Ok::<_, StoreError>(left)
        };
        left = left.saturating_add(node.store.commit(commit).await?);
    }
    let finish = move |tx: &mut Tx<'_>| {
        let messages = halved(all(tx)?.messages);
        row::put(tx, ALL, &Learnt { messages, rows: left })
    };
    node.store.commit(finish).await
}

fn halved(counts: Counts) -> Counts {
    Counts { junk: counts.junk / 2, wanted: counts.wanted / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;

    fn learn(node: &Node, keys: &[TokenKey]) {
        let keys = keys.to_vec();
        let commit = move |tx: &mut Tx<'_>| change(tx, &keys, |counts| counts.junk += 1);
        node.store.commit_blocking(commit).unwrap();
    }

    #[tokio::test]
    async fn halving_forgets_tokens_seen_once() {
        let alice = TestNode::new("alice").await;
        let tokens: Vec<String> = (0..900).map(|n| format!("word{n}")).collect();
        let keys = keys(&alice.store, &tokens).unwrap();
        learn(&alice, &keys[..300]);
        learn(&alice, &keys[300..600]);
        learn(&alice, &keys[600..]);
        learn(&alice, &keys[..100]);
        assert_eq!(all(&alice.store).unwrap().rows, 900);
        assert!(!halve_if_many(&alice).await.unwrap());
        halve(&alice).await.unwrap();
        let learnt = all(&alice.store).unwrap();
        assert_eq!((learnt.rows, learnt.messages), (100, Counts { junk: 2, wanted: 0 }));
        let counts = counts(&alice.store, &keys).unwrap();
        assert_eq!(counts[99], Counts { junk: 1, wanted: 0 });
        assert_eq!(counts[100], Counts::default());
    }

    #[tokio::test]
    async fn unlearnt_token_leaves_no_row() {
        let alice = TestNode::new("alice").await;
        let keys = keys(&alice.store, &["word".to_owned()]).unwrap();
        learn(&alice, &keys);
        let unlearn = move |tx: &mut Tx<'_>| {
            change(tx, &keys, |counts| counts.junk = counts.junk.saturating_sub(1))
        };
        alice.store.commit_blocking(unlearn).unwrap();
        assert_eq!(all(&alice.store).unwrap().rows, 0);
        assert_eq!(all(&alice.store).unwrap().messages, Counts::default());
    }
}
