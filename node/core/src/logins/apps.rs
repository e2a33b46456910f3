//! App passwords: random, one per mail program, shown once, each revocable.

use data_encoding::BASE32_NOPAD;
use minicbor::{Decode, Encode};

use super::{ClientNet, LoginError};
use crate::clock::Timestamp;
use crate::ids::id16;
use crate::node::Node;
use crate::profile;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table};

/// The longest label of an app password, in bytes; a longer one is cut.
pub const APP_LABEL_LEN_MAX: usize = 60;
const APP_PASSWORDS_MAX: usize = 100;
/// Letters of an app password: 25 letters of base32 are 125 bits.
const LETTERS: usize = 25;
const GROUP: usize = 5;
/// The longest typed password that is hashed, in bytes; a longer one is never valid.
const TYPED_LEN_MAX: usize = 200;
/// The age at which the stored `last_used` is renewed, in milliseconds: renewing it for each use
/// would be a commit per use.
const LAST_USED_EVERY_MS: u64 = 60 * 60 * 1000;

id16! {
    /// The id of an app password; not the password.
    AppPasswordId
}

/// An app password as its owner sees it in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppPassword {
    /// The id.
    pub id: AppPasswordId,
    /// The owner's label.
    pub label: String,
    /// The time it was made.
    pub created: Timestamp,
    /// The time of the last use, to the hour.
    pub last_used: Option<Timestamp>,
}

#[derive(Clone, Encode, Decode)]
#[cbor(map)]
struct AppRow {
    #[n(0)]
    id: AppPasswordId,
    #[n(1)]
    label: String,
    #[n(2)]
    created: Timestamp,
    #[n(3)]
    last_used: Option<Timestamp>,
}

impl Record for AppRow {
    const TABLE: Table = Table::new("logins_apps");
    const VERSION: u8 = 1;
}

/// Makes an app password and returns it, this once, in the form to type: five groups of five
/// letters and digits.
///
/// # Errors
/// When there are 100 already ([`StoreError::TooLarge`]) or the store refuses.
pub async fn create_app_password(
    node: &Node,
    label: &str,
) -> Result<(AppPassword, String), StoreError> {
    let letters = BASE32_NOPAD.encode(&node.random.array::<16>()).to_ascii_lowercase();
    let letters = row::cut(&letters, LETTERS);
    let row = AppRow {
        id: AppPasswordId(node.random.array()),
        label: row::cut(label.trim(), APP_LABEL_LEN_MAX).to_owned(),
        created: node.clock.now(),
        last_used: None,
    };
    let (key, listed) = (key_of(node, letters)?, listed(&row));
    node.store
        .commit(move |tx| {
            let len = tx.scan(AppRow::TABLE, &Scan::prefix(&[], APP_PASSWORDS_MAX))?.len();
            if len >= APP_PASSWORDS_MAX {
                return Err(StoreError::TooLarge {
                    what: "list of app passwords",
                    len: len + 1,
                    len_max: APP_PASSWORDS_MAX,
                });
            }
            row::put(tx, &key, &row)
        })
        .await?;
    let groups: Vec<&str> = letters
        .as_bytes()
        .chunks(GROUP)
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    Ok((listed, groups.join("-")))
}

/// The row key of a typed password; case, dashes and spaces are ignored.
fn key_of(node: &Node, typed: &str) -> Result<[u8; 16], StoreError> {
    let letters: String =
        typed.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect();
    node.keyed("app password", letters.as_bytes())
}

fn listed(row: &AppRow) -> AppPassword {
    AppPassword {
        id: row.id,
        label: row.label.clone(),
        created: row.created,
        last_used: row.last_used,
    }
}

/// Every app password, the newest first.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn app_passwords(node: &Node) -> Result<Vec<AppPassword>, StoreError> {
    let rows = row::scan::<AppRow>(&node.store, &Scan::prefix(&[], APP_PASSWORDS_MAX))?;
    let mut all: Vec<AppPassword> = rows.iter().map(|(_, row)| listed(row)).collect();
    all.sort_by_key(|app| std::cmp::Reverse(app.created));
    Ok(all)
}

/// Deletes an app password; no error if there is none with this id.
///
/// # Errors
/// When the store is unavailable.
pub async fn revoke_app_password(node: &Node, id: AppPasswordId) -> Result<(), StoreError> {
    node.store
        .commit(move |tx| {
            for (key, app) in row::scan::<AppRow>(tx, &Scan::prefix(&[], APP_PASSWORDS_MAX))? {
                if app.id == id {
                    row::delete::<AppRow>(tx, &key);
                }
            }
            Ok::<_, StoreError>(())
        })
        .await?;
    node.logins.program_sessions.end(|_, session| session.app_password == id.0);
    Ok(())
}

/// Verifies an app password of a client on network `from`. `user` is the owner's login name or any
/// of the owner's addresses.
///
/// An unknown user and a wrong password give the same answer after the same work. A right password
/// is never refused for the wrong ones before it: it has 125 bits, so guessing does not find it,
/// and a program with an old password must not lock out the others of its network.
///
/// # Errors
/// When user or password are wrong, or there were too many wrong passwords.
pub async fn check_app_password(
    node: &Node,
    user: &str,
    password: &str,
    from: ClientNet,
) -> Result<AppPasswordId, LoginError> {
    verify(node, user, password, from).await.map(|(_, id)| id)
}

/// [`check_app_password`] with the key of the password's row.
pub(super) async fn verify(
    node: &Node,
    user: &str,
    password: &str,
    from: ClientNet,
) -> Result<([u8; 16], AppPasswordId), LoginError> {
    let now = node.clock.now();
    // Rows are read before the attempt is counted: an error of the store is no wrong password.
    let key = key_of(node, row::cut(password, TYPED_LEN_MAX))?;
    let found = row::get::<AppRow>(&node.store, &key)?;
    let is_owner = profile::is_login_name(node, user)?;
    let Some(app) = found.filter(|_| is_owner) else {
        let secret = u64::from_be_bytes(row::key_part(&key, 0));
        return Err(match node.logins.programs.wrong_secret(from, secret, now) {
            Ok(()) => LoginError::Wrong,
            Err(retry_after_ms) => LoginError::TooOften { retry_after_ms },
        });
    };
    let id = app.id;
    if app.last_used.is_none_or(|at| now.millis_since(at) >= LAST_USED_EVERY_MS) {
        renew_last_used(node, key, now).await?;
    }
    Ok((key, id))
}

/// Whether the password `id` under `key` was not revoked. Reads one row.
pub(super) fn exists(node: &Node, key: &[u8; 16], id: AppPasswordId) -> Result<bool, StoreError> {
    Ok(row::get::<AppRow>(&node.store, key)?.is_some_and(|app| app.id == id))
}

/// Records that a session of the app password `id` is in use, at most once an hour: a mail program
/// may stay logged in for weeks. Nothing is recorded for a revoked password.
///
/// # Errors
/// When the store is unavailable; a full disk is none.
pub async fn app_password_used(node: &Node, id: AppPasswordId) -> Result<(), StoreError> {
    let now = node.clock.now();
    let rows = row::scan::<AppRow>(&node.store, &Scan::prefix(&[], APP_PASSWORDS_MAX))?;
    let is_due = |app: &AppRow| {
        app.id == id && app.last_used.is_none_or(|at| now.millis_since(at) >= LAST_USED_EVERY_MS)
    };
    let due = rows.into_iter().find(|(_, app)| is_due(app));
    match due.and_then(|(key, _)| <[u8; 16]>::try_from(key.as_slice()).ok()) {
        Some(key) => renew_last_used(node, key, now).await,
        None => Ok(()),
    }
}

async fn renew_last_used(node: &Node, key: [u8; 16], now: Timestamp) -> Result<(), StoreError> {
    let written = node
        .store
        .commit(move |tx| {
            // If the password was revoked in between, the row must not be written again.
            match row::get::<AppRow>(tx, &key)? {
                Some(app) => row::put(tx, &key, &AppRow { last_used: Some(now), ..app }),
                None => Ok(()),
            }
        })
        .await;
    match written {
        Ok(()) => Ok(()),
        // A disk that can't be written must not prevent reading mail.
        Err(error) if error.is_refusal() => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::testing::{PASSWORD, TestNode};

    fn localhost() -> ClientNet {
        IpAddr::V4(Ipv4Addr::LOCALHOST).into()
    }

    #[tokio::test]
    async fn app_password_works_in_any_case_until_revoked() {
        let alice = TestNode::new("alice").await;
        let (app, password) = create_app_password(&alice, " Thunderbird ").await.unwrap();
        assert_eq!((app.label.as_str(), password.len()), ("Thunderbird", 29));
        for user in ["alice", "alice@alice.example", "ALICE+list@alice.example"] {
            for typed in [
                password.clone(),
                password.replace('-', ""),
                password.to_uppercase().replace('-', " "),
            ] {
                assert_eq!(check_app_password(&alice, user, &typed, localhost()).await, Ok(app.id));
            }
        }
        assert_eq!(app_passwords(&alice).unwrap()[0].last_used, Some(alice.clock.now()));
        revoke_app_password(&alice, app.id).await.unwrap();
        assert_eq!(
            check_app_password(&alice, "alice", &password, localhost()).await,
            Err(LoginError::Wrong)
        );
        assert_eq!(app_passwords(&alice).unwrap(), []);
    }

    #[tokio::test]
    async fn use_of_an_open_session_is_recorded_hourly() {
        let alice = TestNode::new("alice").await;
        let (app, password) = create_app_password(&alice, "phone").await.unwrap();
        check_app_password(&alice, "alice", &password, localhost()).await.unwrap();
        let first = alice.clock.now();
        let last_used = || app_passwords(&alice).unwrap().first().map(|app| app.last_used);
        alice.clock.advance(LAST_USED_EVERY_MS - 1);
        app_password_used(&alice, app.id).await.unwrap();
        assert_eq!(last_used(), Some(Some(first)));
        alice.clock.advance(1);
        app_password_used(&alice, app.id).await.unwrap();
        assert_eq!(last_used(), Some(Some(alice.clock.now())));
        revoke_app_password(&alice, app.id).await.unwrap();
        alice.clock.advance(LAST_USED_EVERY_MS);
        app_password_used(&alice, app.id).await.unwrap();
        assert_eq!(last_used(), None);
    }

    #[tokio::test]
    async fn app_password_refuses_other_user_and_browser_password() {
        let alice = TestNode::new("alice").await;
        let (_, password) = create_app_password(&alice, "phone").await.unwrap();
        assert_eq!(
            check_app_password(&alice, "bob", &password, localhost()).await,
            Err(LoginError::Wrong)
        );
        assert_eq!(
            check_app_password(&alice, "alice", PASSWORD, localhost()).await,
            Err(LoginError::Wrong)
        );
        assert_eq!(
            check_app_password(&alice, "alice", "", localhost()).await,
            Err(LoginError::Wrong)
        );
        assert_eq!(
            check_app_password(&alice, "alice", "another", localhost()).await,
            Err(LoginError::TooOften { retry_after_ms: 1000 })
        );
    }

    #[tokio::test]
    async fn right_app_password_is_accepted_amid_wrong_ones() {
        let alice = TestNode::new("alice").await;
        let (app, right) = create_app_password(&alice, "laptop").await.unwrap();
        let (old, stale) = create_app_password(&alice, "phone").await.unwrap();
        revoke_app_password(&alice, old.id).await.unwrap();
        let check = |typed: String| {
            let node = Node::clone(&alice);
            async move { check_app_password(&node, "alice", &typed, localhost()).await }
        };
        for second in 0..600 {
            alice.clock.advance(1000);
            assert_eq!(check(stale.clone()).await, Err(LoginError::Wrong), "the same one again");
            assert!(check(format!("guess {second}")).await.is_err());
            assert_eq!(check(right.clone()).await, Ok(app.id));
        }
        let refused = check("one more guess".to_owned()).await;
        assert!(matches!(refused, Err(LoginError::TooOften { .. })), "{refused:?}");
        // The owner's browser is not affected.
        let browser = IpAddr::V4(Ipv4Addr::LOCALHOST).into();
        assert!(crate::logins::login(&alice, PASSWORD, browser).await.is_ok());
    }
}
