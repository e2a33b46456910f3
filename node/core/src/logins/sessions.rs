//! Browser sessions of the owner.

use minicbor::{Decode, Encode};

use super::token::SessionToken;
use super::{ClientNet, password};
use crate::clock::Timestamp;
use crate::ids::id16;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

/// The lifetime of a session that is not used, in milliseconds: 30 days.
const SESSION_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// The age at which the stored `last_seen` is renewed, in milliseconds: renewing it for each
/// request would be a commit per request.
const LAST_SEEN_EVERY_MS: u64 = 60 * 60 * 1000;
const SESSIONS_MAX: usize = 100;

id16! {
    /// The id of a session; not its token.
    SessionId
}

/// A logged-in browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The id.
    pub id: SessionId,
    /// The time of the login.
    pub created: Timestamp,
    /// The time of the last use, to the hour.
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
    fn is_expired(&self, now: Timestamp) -> bool {
        now.millis_since(self.last_seen) >= SESSION_MS
    }

    fn listed(&self) -> Session {
        Session { id: self.id, created: self.created, last_seen: self.last_seen }
    }
}

/// Why a login was refused. The client learns no more than this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Unknown user or wrong password: the same answer after the same time.
    #[error("wrong user or password")]
    Wrong,
    /// Too many wrong attempts from that network.
    #[error("too many tries; wait {retry_after_ms} ms")]
    TooOften {
        /// How long to wait, in milliseconds.
        retry_after_ms: u64,
    },
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Logs a browser in with the owner's password.
///
/// # Errors
/// When the password is wrong, or there were too many attempts.
pub async fn login(
    node: &Node,
    password: &str,
    from: ClientNet,
) -> Result<SessionToken, LoginError> {
    // The row is read before the attempt is counted: an error of the store is no wrong password.
    let stored = password::stored(node)?;
    node.throttle
        .attempt(from, node.clock.now())
        .map_err(|retry_after_ms| LoginError::TooOften { retry_after_ms })?;
    // The attempt is counted before the hash, so hanging up during the hash does not undo it.
    match stored.matches(password).await {
        Ok(true) => {}
        Ok(false) => return Err(LoginError::Wrong),
        Err(error) => {
            node.throttle.withdraw(from);
            return Err(error.into());
        }
    }
    node.throttle.succeeded(from);
    let (token, row) = new(node);
    let (hash, now) = (token.hash(), node.clock.now());
    if node.is_read_only() {
        node.temporary_sessions.insert(hash, now);
        return Ok(token);
    }
    node.store
        .commit(move |tx| {
            tx.mark_essential();
            sweep(tx, now)?;
            row::put(tx, &hash, &row)
        })
        .await?;
    Ok(token)
}

fn new(node: &Node) -> (SessionToken, SessionRow) {
    let now = node.clock.now();
    (
        SessionToken::generate(&node.random),
        SessionRow { id: SessionId(node.random.array()), created: now, last_seen: now },
    )
}

/// A token for the first session, and the closure that writes the session inside the commit of
/// set-up.
pub(super) fn first(
    node: &Node,
) -> (SessionToken, impl FnOnce(&mut Tx<'_>) -> Result<(), StoreError> + Send + use<>) {
    let (token, row) = new(node);
    let hash = token.hash();
    (token, move |tx: &mut Tx<'_>| row::put(tx, &hash, &row))
}

/// Deletes expired sessions, and the least recently used one when there are too many.
fn sweep(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
    let mut live = Vec::new();
    for (key, session) in row::scan::<SessionRow>(tx, &Scan::prefix(&[], SESSIONS_MAX + 1))? {
        if session.is_expired(now) {
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

/// The session of a token. Each use renews its lifetime.
///
/// # Errors
/// When the store can't be read. If it can't be written, the session stays valid and is not
/// renewed.
pub async fn session(node: &Node, token: &SessionToken) -> Result<Option<Session>, StoreError> {
    let (hash, now) = (token.hash(), node.clock.now());
    if let Some(created) = node.temporary_sessions.get(&hash) {
        let id = SessionId(row::key_part(&hash, 0));
        return Ok(Some(Session { id, created, last_seen: created }));
    }
    let Some(found) = row::get::<SessionRow>(&node.store, &hash)?.filter(|s| !s.is_expired(now))
    else {
        return Ok(None);
    };
    if now.millis_since(found.last_seen) < LAST_SEEN_EVERY_MS {
        return Ok(Some(found.listed()));
    }
    let renewed = SessionRow { last_seen: now, ..found };
    let row = renewed.clone();
    let written = node
        .store
        .commit(move |tx| {
            // If the session was ended in between, the row must not be written again.
            let is_live = row::get::<SessionRow>(tx, &hash)?.is_some();
            if is_live {
                row::put(tx, &hash, &row)?;
            }
            Ok::<_, StoreError>(is_live)
        })
        .await;
    match written {
        Ok(false) => Ok(None),
        Ok(true) => Ok(Some(renewed.listed())),
        Err(error) if error.is_refusal() => Ok(Some(renewed.listed())),
        Err(error) => Err(error),
    }
}

/// Deletes the session of a token.
///
/// # Errors
/// When the store is unavailable.
pub async fn logout(node: &Node, token: &SessionToken) -> Result<(), StoreError> {
    let hash = token.hash();
    if node.temporary_sessions.remove(&hash) {
        return Ok(());
    }
    node.store
        .commit(move |tx| {
            row::delete::<SessionRow>(tx, &hash);
            Ok(())
        })
        .await
}

/// The sessions that have not expired, the last used first.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn sessions(node: &Node) -> Result<Vec<Session>, StoreError> {
    let now = node.clock.now();
    let rows = row::scan::<SessionRow>(&node.store, &Scan::prefix(&[], SESSIONS_MAX))?;
    let mut live: Vec<Session> =
        rows.iter().filter(|(_, s)| !s.is_expired(now)).map(|(_, s)| s.listed()).collect();
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

    fn localhost() -> ClientNet {
        IpAddr::V4(Ipv4Addr::LOCALHOST).into()
    }

    #[tokio::test]
    async fn session_is_renewed_by_use_and_expires() {
        let alice = TestNode::new("alice").await;
        let token = login(&alice, PASSWORD, localhost()).await.unwrap();
        for _ in 0..3 {
            alice.clock.advance(29 * DAY_MS);
            assert!(session(&alice, &token).await.unwrap().is_some());
        }
        alice.clock.advance(30 * DAY_MS);
        assert_eq!(session(&alice, &token).await.unwrap(), None);
        let token = login(&alice, PASSWORD, localhost()).await.unwrap();
        logout(&alice, &token).await.unwrap();
        assert_eq!(session(&alice, &token).await.unwrap(), None);
    }

    #[tokio::test]
    async fn password_attempts_are_throttled_even_if_correct() {
        let alice = TestNode::new("alice").await;
        for _ in 0..3 {
            assert_eq!(
                login(&alice, "wrong wrong wrong", localhost()).await,
                Err(LoginError::Wrong)
            );
        }
        assert_eq!(
            login(&alice, PASSWORD, localhost()).await,
            Err(LoginError::TooOften { retry_after_ms: 1000 })
        );
        let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)).into();
        assert!(login(&alice, PASSWORD, elsewhere).await.is_ok());
        alice.clock.advance(1000);
        assert!(login(&alice, PASSWORD, localhost()).await.is_ok());
    }

    #[tokio::test]
    async fn store_failure_is_no_wrong_password() {
        let alice = TestNode::new("alice").await;
        let (_, app_password) = crate::logins::create_app_password(&alice, "phone").await.unwrap();
        let check =
            || crate::logins::check_app_password(&alice, "alice", &app_password, localhost());
        alice.fail_rows().await;
        for _ in 0..3 {
            let failed = login(&alice, PASSWORD, localhost()).await;
            assert!(matches!(failed, Err(LoginError::Store(_))), "{failed:?}");
            let failed = check().await;
            assert!(matches!(failed, Err(LoginError::Store(_))), "{failed:?}");
        }
        alice.recover_rows();
        check().await.unwrap();
        login(&alice, PASSWORD, localhost()).await.unwrap();
        // A log that can't be written refuses the session, and lets mail be read.
        alice.fail_disk().await;
        for _ in 0..3 {
            let failed = login(&alice, PASSWORD, localhost()).await;
            assert!(matches!(failed, Err(LoginError::Store(_))), "{failed:?}");
            check().await.unwrap();
        }
        alice.disk().heal();
        while !alice.store.health().is_ready() {
            tokio::task::yield_now().await;
        }
        login(&alice, PASSWORD, localhost()).await.unwrap();
    }

    #[tokio::test]
    async fn concurrent_password_attempts_are_each_counted() {
        let alice = TestNode::new("alice").await;
        let attempts = (0..10).map(|n| {
            let node = Node::clone(&alice);
            tokio::spawn(async move {
                login(&node, &format!("a wrong password {n}"), localhost()).await
            })
        });
        let mut wrong = 0;
        for attempt in attempts.collect::<Vec<_>>() {
            match attempt.await.unwrap() {
                Err(LoginError::Wrong) => wrong += 1,
                other => assert_eq!(other, Err(LoginError::TooOften { retry_after_ms: 1000 })),
            }
        }
        assert_eq!(wrong, 3);
    }

    #[tokio::test]
    async fn cancelled_login_still_counts_as_attempt() {
        let alice = TestNode::new("alice").await;
        for _ in 0..3 {
            tokio::select! {
                biased;
                done = login(&alice, "a wrong password", localhost()) => {
                    panic!("{done:?} before the password was hashed")
                }
                () = std::future::ready(()) => {}
            }
        }
        assert_eq!(
            login(&alice, PASSWORD, localhost()).await,
            Err(LoginError::TooOften { retry_after_ms: 1000 })
        );
    }

    #[tokio::test]
    async fn new_password_ends_sessions_and_the_old_password() {
        let alice = TestNode::new("alice").await;
        let token = login(&alice, PASSWORD, localhost()).await.unwrap();
        assert_eq!(set_password(&alice, "short").await, Err(PasswordError::TooShort));
        assert_eq!(set_password(&alice, &"x".repeat(1001)).await, Err(PasswordError::TooLong));
        set_password(&alice, "another long one").await.unwrap();
        assert_eq!(session(&alice, &token).await.unwrap(), None);
        assert_eq!(login(&alice, PASSWORD, localhost()).await, Err(LoginError::Wrong));
        assert!(login(&alice, "another long one", localhost()).await.is_ok());
    }

    #[tokio::test]
    async fn login_before_setup_answers_like_wrong_password() {
        let node = TestNode::without_owner("nobody").await;
        assert_eq!(login(&node, "", localhost()).await, Err(LoginError::Wrong));
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
