//! Browsers that are logged in.

use minicbor::{Decode, Encode};

use super::token::SessionToken;
use super::{ClientNet, password};
use crate::clock::Timestamp;
use crate::ids::id16;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

/// How long a session lasts without being used.
const SESSION_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// How stale `last_seen` may be: a row per click would be a commit per click.
const TOUCHED_EVERY_MS: u64 = 60 * 60 * 1000;
const SESSIONS_MAX: usize = 100;

id16! {
    /// Which session; not its token.
    SessionId
}

/// A logged-in browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Which one.
    pub id: SessionId,
    /// When it logged in.
    pub created: Timestamp,
    /// When it was last used, to the hour.
    pub last_seen: Timestamp,
}

#[derive(Clone, Encode, Decode)]
#[cbor(map)]
struct SessionRow {
    #[n(0)]
    id: SessionId,
    #[n(1)]
    created: Timestamp,
    #[n(2)]
    last_seen: Timestamp,
}

impl Record for SessionRow {
    const TABLE: Table = Table::new("logins_sessions");
    const VERSION: u8 = 1;
}

impl SessionRow {
    fn is_over(&self, now: Timestamp) -> bool {
        now.millis_since(self.last_seen) >= SESSION_MS
    }

    fn shown(&self) -> Session {
        Session { id: self.id, created: self.created, last_seen: self.last_seen }
    }
}

/// Why a login was refused. Whoever asks learns no more than this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// No such user, or not the password: the same answer after the same time.
    #[error("that is not right")]
    Wrong,
    /// Too many wrong guesses from there.
    #[error("too many tries; wait {retry_after_ms} ms")]
    TooOften {
        /// How long to wait, in milliseconds.
        retry_after_ms: u64,
    },
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Logs a browser in by the owner's password.
///
/// # Errors
/// When it is wrong or guessed too often.
pub async fn login(
    node: &Node,
    password: &str,
    from: ClientNet,
) -> Result<SessionToken, LoginError> {
    node.throttle
        .guess(from, node.clock.now())
        .map_err(|retry_after_ms| LoginError::TooOften { retry_after_ms })?;
    // Whoever hangs up while the password is hashed has guessed all the same.
    if !password::is_right(node, password).await? {
        return Err(LoginError::Wrong);
    }
    node.throttle.succeeded(from);
    let (token, row) = new(node);
    let (hash, now) = (token.hash(), node.clock.now());
    node.store
        .commit(move |tx| {
            sweep(tx, now)?;
            row::put(tx, &hash, &row)
        })
        .await?;
    Ok(token)
}

fn new(node: &Node) -> (SessionToken, SessionRow) {
    let now = node.clock.now();
    (
        SessionToken::made(&node.random),
        SessionRow { id: SessionId(node.random.array()), created: now, last_seen: now },
    )
}

/// A token for a first session, and what writes that session inside the commit that makes the
/// owner.
pub(super) fn first(
    node: &Node,
) -> (SessionToken, impl FnOnce(&mut Tx<'_>) -> Result<(), StoreError> + Send + use<>) {
    let (token, row) = new(node);
    let hash = token.hash();
    (token, move |tx: &mut Tx<'_>| row::put(tx, &hash, &row))
}

/// Drops what is over, and the session unused for longest when there are too many.
fn sweep(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
    let mut live = Vec::new();
    for (key, session) in row::scan::<SessionRow>(tx, &Scan::prefix(&[], SESSIONS_MAX + 1))? {
        if session.is_over(now) {
            row::delete::<SessionRow>(tx, &key)
        } else {
            live.push((session.last_seen, key))
        }
    }
    if live.len() >= SESSIONS_MAX
        && let Some((_, key)) = live.iter().min()
    {
        row::delete::<SessionRow>(tx, key);
    }
    Ok(())
}

/// The session a token opens; using it keeps it alive.
///
/// # Errors
/// When the store is unavailable. A full disk does not lock the owner out: the session then just
/// ages.
pub async fn session(node: &Node, token: &SessionToken) -> Result<Option<Session>, StoreError> {
    let (hash, now) = (token.hash(), node.clock.now());
    let Some(found) = row::get::<SessionRow>(&node.store, &hash)?.filter(|s| !s.is_over(now))
    else {
        return Ok(None);
    };
    if now.millis_since(found.last_seen) < TOUCHED_EVERY_MS {
        return Ok(Some(found.shown()));
    }
    let touched = SessionRow { last_seen: now, ..found };
    let kept = touched.clone();
    let written = node
        .store
        .commit(move |tx| {
            // It may have been ended meanwhile, and must not come back.
            let is_live = row::get::<SessionRow>(tx, &hash)?.is_some();
            if is_live {
                row::put(tx, &hash, &kept)?;
            }
            Ok::<_, StoreError>(is_live)
        })
        .await;
    match written {
        Ok(false) => Ok(None),
        Ok(true) | Err(StoreError::Full) => Ok(Some(touched.shown())),
        Err(error) => Err(error),
    }
}

/// Ends the session of a token.
///
/// # Errors
/// When the store is unavailable.
pub async fn logout(node: &Node, token: &SessionToken) -> Result<(), StoreError> {
    let hash = token.hash();
    node.store
        .commit(move |tx| {
            row::delete::<SessionRow>(tx, &hash);
            Ok(())
        })
        .await
}

/// Every live session, the one used last first.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn sessions(node: &Node) -> Result<Vec<Session>, StoreError> {
    let now = node.clock.now();
    let rows = row::scan::<SessionRow>(&node.store, &Scan::prefix(&[], SESSIONS_MAX))?;
    let mut live: Vec<Session> =
        rows.iter().filter(|(_, s)| !s.is_over(now)).map(|(_, s)| s.shown()).collect();
    live.sort_by_key(|s| std::cmp::Reverse(s.last_seen));
    Ok(live)
}

pub(super) fn end_all(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    for (key, _) in tx.scan(SessionRow::TABLE, &Scan::prefix(&[], SESSIONS_MAX + 1))? {
        row::delete::<SessionRow>(tx, &key);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::logins::{PasswordError, set_password};
    use crate::testing::{PASSWORD, TestNode};

    const DAY_MS: u64 = 24 * 60 * 60 * 1000;

    fn here() -> ClientNet {
        IpAddr::V4(Ipv4Addr::LOCALHOST).into()
    }

    #[tokio::test]
    async fn the_right_password_opens_a_session_that_slides_and_ends() {
        let alice = TestNode::new("alice").await;
        let token = login(&alice, PASSWORD, here()).await.unwrap();
        for _ in 0..3 {
            alice.clock.advance(29 * DAY_MS);
            assert!(session(&alice, &token).await.unwrap().is_some());
        }
        alice.clock.advance(30 * DAY_MS);
        assert_eq!(session(&alice, &token).await.unwrap(), None);
        let token = login(&alice, PASSWORD, here()).await.unwrap();
        logout(&alice, &token).await.unwrap();
        assert_eq!(session(&alice, &token).await.unwrap(), None);
    }

    #[tokio::test]
    async fn guessing_is_slowed_even_for_the_right_password() {
        let alice = TestNode::new("alice").await;
        for _ in 0..3 {
            assert_eq!(login(&alice, "wrong wrong wrong", here()).await, Err(LoginError::Wrong));
        }
        assert_eq!(
            login(&alice, PASSWORD, here()).await,
            Err(LoginError::TooOften { retry_after_ms: 1000 })
        );
        let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)).into();
        assert!(login(&alice, PASSWORD, elsewhere).await.is_ok());
        alice.clock.advance(1000);
        assert!(login(&alice, PASSWORD, here()).await.is_ok());
    }

    #[tokio::test]
    async fn guesses_made_side_by_side_are_counted_one_by_one() {
        let alice = TestNode::new("alice").await;
        let guesses = (0..10).map(|n| {
            let node = Node::clone(&alice);
            tokio::spawn(
                async move { login(&node, &format!("a wrong password {n}"), here()).await },
            )
        });
        let mut wrong = 0;
        for guess in guesses.collect::<Vec<_>>() {
            match guess.await.unwrap() {
                Err(LoginError::Wrong) => wrong += 1,
                other => assert_eq!(other, Err(LoginError::TooOften { retry_after_ms: 1000 })),
            }
        }
        assert_eq!(wrong, 3);
    }

    #[tokio::test]
    async fn hanging_up_takes_no_guess_back() {
        let alice = TestNode::new("alice").await;
        for _ in 0..3 {
            tokio::select! {
                biased;
                done = login(&alice, "a wrong password", here()) => panic!("{done:?} before the password was hashed"),
                () = std::future::ready(()) => {}
            }
        }
        assert_eq!(
            login(&alice, PASSWORD, here()).await,
            Err(LoginError::TooOften { retry_after_ms: 1000 })
        );
    }

    #[tokio::test]
    async fn a_new_password_ends_every_session_and_the_old_password() {
        let alice = TestNode::new("alice").await;
        let token = login(&alice, PASSWORD, here()).await.unwrap();
        assert_eq!(set_password(&alice, "short").await, Err(PasswordError::TooShort));
        assert_eq!(set_password(&alice, &"x".repeat(1001)).await, Err(PasswordError::TooLong));
        set_password(&alice, "another long one").await.unwrap();
        assert_eq!(session(&alice, &token).await.unwrap(), None);
        assert_eq!(login(&alice, PASSWORD, here()).await, Err(LoginError::Wrong));
        assert!(login(&alice, "another long one", here()).await.is_ok());
    }

    #[tokio::test]
    async fn a_node_that_is_not_set_up_answers_like_a_wrong_password() {
        let node = TestNode::without_owner("nobody").await;
        assert_eq!(login(&node, "", here()).await, Err(LoginError::Wrong));
    }

    #[tokio::test]
    async fn sessions_are_bounded() {
        let alice = TestNode::new("alice").await;
        let (first, row) = new(&alice);
        let hash = first.hash();
        alice.store.commit(move |tx| row::put(tx, &hash, &row)).await.unwrap();
        for _ in 0..SESSIONS_MAX + 5 {
            alice.clock.advance(1);
            let (token, row) = new(&alice);
            let (hash, now) = (token.hash(), alice.clock.now());
            let add = move |tx: &mut Tx<'_>| {
                sweep(tx, now)?;
                row::put(tx, &hash, &row)
            };
            alice.store.commit(add).await.unwrap();
        }
        assert_eq!(sessions(&alice).unwrap().len(), SESSIONS_MAX);
        assert_eq!(session(&alice, &first).await.unwrap(), None);
    }
}
