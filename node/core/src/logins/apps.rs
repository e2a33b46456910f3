//! App passwords: one per mail program, random, shown once, revocable one by one.

use data_encoding::BASE32_NOPAD;
use minicbor::{Decode, Encode};

use super::{ClientNet, LoginError};
use crate::clock::Timestamp;
use crate::ids::id16;
use crate::node::Node;
use crate::profile;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table};

const LABEL_LEN_MAX: usize = 60;
const APP_PASSWORDS_MAX: usize = 100;
/// 25 letters of base32 are 125 bits.
const LETTERS: usize = 25;
const GROUP: usize = 5;
/// What is longer was never one of ours and is not worth hashing.
const TYPED_LEN_MAX: usize = 200;
const TOUCHED_EVERY_MS: u64 = 60 * 60 * 1000;

id16! {
    /// Which app password; not the password.
    AppPasswordId
}

/// An app password as its owner sees it in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppPassword {
    /// Which one.
    pub id: AppPasswordId,
    /// What the owner called it.
    pub label: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used, to the hour.
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

/// Makes an app password and returns it as it is to be typed, this once: five groups of five
/// letters and digits.
///
/// # Errors
/// When there are a hundred already ([`StoreError::TooLarge`]) or the store refuses.
pub async fn create_app_password(
    node: &Node,
    label: &str,
) -> Result<(AppPassword, String), StoreError> {
    let letters = BASE32_NOPAD.encode(&node.random.array::<16>()).to_ascii_lowercase();
    let letters = row::cut(&letters, LETTERS);
    let row = AppRow {
        id: AppPasswordId(node.random.array()),
        label: row::cut(label.trim(), LABEL_LEN_MAX).to_owned(),
        created: node.clock.now(),
        last_used: None,
    };
    let (key, made) = (key_of(node, letters)?, shown(&row));
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
    Ok((made, groups.join("-")))
}

/// The row key of a password as typed: without case, dashes and spaces.
fn key_of(node: &Node, typed: &str) -> Result<[u8; 16], StoreError> {
    let letters: String =
        typed.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect();
    node.keyed("app password", letters.as_bytes())
}

fn shown(row: &AppRow) -> AppPassword {
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
    let mut all: Vec<AppPassword> = rows.iter().map(|(_, row)| shown(row)).collect();
    all.sort_by_key(|app| std::cmp::Reverse(app.created));
    Ok(all)
}

/// Ends an app password; one that is not there is no error.
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
            Ok(())
        })
        .await
}

/// Which app password this is, for `user` (the owner's login or any of their addresses) at a
/// program on `from`.
///
/// An unknown user gets the same answer after the same work as a wrong password.
///
/// # Errors
/// When user or password are wrong, or guessed too often.
pub async fn check_app_password(
    node: &Node,
    user: &str,
    password: &str,
    from: ClientNet,
) -> Result<AppPasswordId, LoginError> {
    let now = node.clock.now();
    node.throttle
        .guess(from, now)
        .map_err(|retry_after_ms| LoginError::TooOften { retry_after_ms })?;
    let key = key_of(node, row::cut(password, TYPED_LEN_MAX))?;
    let found = row::get::<AppRow>(&node.store, &key)?;
    let is_owner = profile::owns(node, user)?
        || profile::get(node)?.is_some_and(|p| p.login.eq_ignore_ascii_case(user));
    let Some(app) = found.filter(|_| is_owner) else {
        return Err(LoginError::Wrong);
    };
    node.throttle.succeeded(from);
    let id = app.id;
    if app.last_used.is_none_or(|at| now.millis_since(at) >= TOUCHED_EVERY_MS) {
        touch(node, key, now).await?;
    }
    Ok(id)
}

async fn touch(node: &Node, key: [u8; 16], now: Timestamp) -> Result<(), StoreError> {
    let touched = node
        .store
        .commit(move |tx| {
            // It may have been revoked meanwhile, and must not come back.
            match row::get::<AppRow>(tx, &key)? {
                Some(app) => row::put(tx, &key, &AppRow { last_used: Some(now), ..app }),
                None => Ok(()),
            }
        })
        .await;
    match touched {
        // A full disk keeps nobody from reading their mail.
        Ok(()) | Err(StoreError::Full) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::testing::{PASSWORD, TestNode};

    fn here() -> ClientNet {
        IpAddr::V4(Ipv4Addr::LOCALHOST).into()
    }

    #[tokio::test]
    async fn an_app_password_works_however_it_is_typed_until_it_is_revoked() {
        let alice = TestNode::new("alice").await;
        let (app, password) = create_app_password(&alice, " Thunderbird ").await.unwrap();
        assert_eq!((app.label.as_str(), password.len()), ("Thunderbird", 29));
        for user in ["alice", "alice@alice.example", "ALICE+list@alice.example"] {
            for typed in [
                password.clone(),
                password.replace('-', ""),
                password.to_uppercase().replace('-', " "),
            ] {
                assert_eq!(check_app_password(&alice, user, &typed, here()).await, Ok(app.id));
            }
        }
        assert_eq!(app_passwords(&alice).unwrap()[0].last_used, Some(alice.clock.now()));
        revoke_app_password(&alice, app.id).await.unwrap();
        assert_eq!(
            check_app_password(&alice, "alice", &password, here()).await,
            Err(LoginError::Wrong)
        );
        assert_eq!(app_passwords(&alice).unwrap(), []);
    }

    #[tokio::test]
    async fn another_user_the_browser_password_and_nothing_are_wrong() {
        let alice = TestNode::new("alice").await;
        let (_, password) = create_app_password(&alice, "phone").await.unwrap();
        assert_eq!(
            check_app_password(&alice, "bob", &password, here()).await,
            Err(LoginError::Wrong)
        );
        assert_eq!(
            check_app_password(&alice, "alice", PASSWORD, here()).await,
            Err(LoginError::Wrong)
        );
        assert_eq!(check_app_password(&alice, "alice", "", here()).await, Err(LoginError::Wrong));
        assert_eq!(
            check_app_password(&alice, "alice", &password, here()).await,
            Err(LoginError::TooOften { retry_after_ms: 1000 })
        );
    }
}
