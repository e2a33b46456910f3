//! Browser sessions of the owner.

use minicbor::{Decode, Encode};

use super::browser::Browser;
use super::password;
use super::token::SessionToken;
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
/// The longest name of a browser that is stored, in bytes.
const AGENT_LEN_MAX: usize = 80;

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
    /// The address from which the browser logged in; empty for a session of an earlier version.
    pub address: String,
    /// The browser's name; may be empty.
    pub agent: String,
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
    #[n(3)]
    address: Option<String>,
    #[n(4)]
    agent: Option<String>,
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
        Session {
            id: self.id,
            created: self.created,
            last_seen: self.last_seen,
            address: self.address.clone().unwrap_or_default(),
            agent: self.agent.clone().unwrap_or_default(),
        }
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
    browser: Browser,
) -> Result<SessionToken, LoginError> {
    // Rows are read before the attempt is counted: an error of the store is no wrong password.
    let stored = password::stored(node)?;
    let guesser = browser.guesser(node)?;
    let throttle = &node.logins.browsers;
    throttle
        .attempt(guesser, node.clock.now())
        .map_err(|retry_after_ms| LoginError::TooOften { retry_after_ms })?;
    // The attempt is counted before the hash, so hanging up during the hash does not undo it.
    match stored.matches(password).await {
        Ok(true) => {}
        Ok(false) => return Err(LoginError::Wrong),
        Err(error) => {
            throttle.withdraw(guesser);
            return Err(error.into());
        }
    }
    throttle.succeeded(guesser);
    let (token, row) = new(node, Some(&browser));
    let (hash, now) = (token.hash(), node.clock.now());
    if node.is_read_only() {
        node.logins.temporary_sessions.insert(hash, now);
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

fn new(node: &Node, browser: Option<&Browser>) -> (SessionToken, SessionRow) {
    let now = node.clock.now();
    let row = SessionRow {
        id: SessionId(node.random.array()),
        created: now,
        last_seen: now,
        address: browser.map(|browser| browser.address.to_canonical().to_string()),
        agent: browser.map(|browser| row::cut(&browser.agent, AGENT_LEN_MAX).to_owned()),
    };
    (SessionToken::generate(&node.random), row)
}

/// A token for the first session, and the closure that writes the session inside the commit of
/// set-up.
pub(super) fn first(
    node: &Node,
    browser: Option<&Browser>,
) -> (SessionToken, impl FnOnce(&mut Tx<'_>) -> Result<(), StoreError> + Send + use<>) {
    let (token, row) = new(node, browser);
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
    if let Some(created) = node.logins.temporary_sessions.get(&hash) {
        let id = SessionId(row::key_part(&hash, 0));
        let (address, agent) = (String::new(), String::new());
        return Ok(Some(Session { id, created, last_seen: created, address, agent }));
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
    if node.logins.temporary_sessions.remove(&hash) {
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

/// Ends one session; no error if there is none with this id.
///
/// # Errors
/// When the store is unavailable.
pub async fn end_session(node: &Node, id: SessionId) -> Result<(), StoreError> {
    node.store
        .commit(move |tx| {
            for (key, session) in row::scan::<SessionRow>(tx, &Scan::prefix(&[], SESSIONS_MAX + 1))?
            {
                if session.id == id {
                    row::delete::<SessionRow>(tx, &key);
                }
            }
            Ok(())
        })
        .await
}

/// Ends every session, of browsers and of mail programs.
///
/// # Errors
/// When the store is unavailable.
pub async fn end_all_sessions(node: &Node) -> Result<(), StoreError> {
    node.store.commit(end_all).await?;
    end_unstored(node);
    Ok(())
}

/// Ends the sessions that are not rows.
pub(super) fn end_unstored(node: &Node) {
    node.logins.temporary_sessions.clear();
    node.logins.program_sessions.end(|_, _| true);
}

pub(super) fn end_all(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    for (key, _) in tx.scan(SessionRow::TABLE, &Scan::prefix(&[], SESSIONS_MAX + 1))? {
        row::delete::<SessionRow>(tx, &key);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
