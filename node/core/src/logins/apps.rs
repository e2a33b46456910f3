//! App passwords: random, one per mail program, shown once, each revocable. Each may be limited to
//! reading or sending, and may expire.

mod check;
mod limits;

use data_encoding::BASE32_NOPAD;
use minicbor::{Decode, Encode};

use super::Protocol;
use super::scram::{self, Verifier};
use crate::blocking::try_blocking;
use crate::clock::Timestamp;
use crate::ids::id16;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table};

pub use check::check_app_password;
pub(super) use check::{Verified, is_valid, record_use, renew_use, verify_password, verify_proof};
pub use limits::{AppLimits, AppScope, NotAScope};

/// The longest label of an app password, in bytes; a longer one is cut.
pub const APP_LABEL_LEN_MAX: usize = 60;
const APP_PASSWORDS_MAX: usize = 100;
/// Letters of an app password: 25 letters of base32 are 125 bits.
const LETTERS: usize = 25;
const GROUP: usize = 5;

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
    /// Its scope and its end.
    pub limits: AppLimits,
    /// The time of the last use, to the hour.
    pub last_used: Option<Timestamp>,
    /// The client of the last use; `None` when an earlier version has recorded the use.
    pub last_client: Option<AppClient>,
}

impl AppPassword {
    /// Whether it has expired.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.limits.is_expired(now)
    }
}

/// A client of an app password.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AppClient {
    /// Its protocol.
    #[n(0)]
    pub protocol: Protocol,
    /// Its address.
    #[n(1)]
    pub address: String,
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
    /// Rows of earlier versions have none of the following.
    #[n(4)]
    scope: Option<AppScope>,
    #[n(5)]
    expires: Option<Timestamp>,
    #[n(6)]
    verifier: Option<Verifier>,
    #[n(7)]
    last_client: Option<AppClient>,
}

impl Record for AppRow {
    const TABLE: Table = Table::new("logins_apps");
    const VERSION: u8 = 1;
}

impl AppRow {
    fn limits(&self) -> AppLimits {
        AppLimits { scope: self.scope.unwrap_or_default(), expires: self.expires }
    }

    fn listed(&self) -> AppPassword {
        AppPassword {
            id: self.id,
            label: self.label.clone(),
            created: self.created,
            limits: self.limits(),
            last_used: self.last_used,
            last_client: self.last_client.clone(),
        }
    }

    /// Whether SCRAM works with this password.
    fn is_ready_for(&self, parameters: &scram::ScramParameters) -> bool {
        self.verifier.as_ref().is_some_and(|verifier| verifier.is_of(parameters))
    }
}

/// Makes an app password without limits.
///
/// # Errors
/// As [`create_limited_app_password`].
pub async fn create_app_password(
    node: &Node,
    label: &str,
) -> Result<(AppPassword, String), StoreError> {
    create_limited_app_password(node, label, AppLimits::default()).await
}

/// Makes an app password and returns it, this once, in the form to type: five groups of five
/// letters and digits.
///
/// # Errors
/// When there are 100 already ([`StoreError::TooLarge`]) or the store refuses.
pub async fn create_limited_app_password(
    node: &Node,
    label: &str,
    limits: AppLimits,
) -> Result<(AppPassword, String), StoreError> {
    let letters = BASE32_NOPAD.encode(&node.random.array::<16>()).to_ascii_lowercase();
    let letters = row::cut(&letters, LETTERS);
    let row = AppRow {
        id: AppPasswordId(node.random.array()),
        label: row::cut(label.trim(), APP_LABEL_LEN_MAX).to_owned(),
        created: node.clock.now(),
        last_used: None,
        scope: Some(limits.scope),
        expires: limits.expires,
        verifier: Some(verifier_of(node, letters).await?),
        last_client: None,
    };
    let (key, listed) = (key_of(node, letters)?, row.listed());
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
    Ok((listed, shown(letters)))
}

/// The form to type: groups of five, with dashes.
fn shown(letters: &str) -> String {
    let groups = letters.as_bytes().chunks(GROUP);
    let groups: Vec<&str> = groups.filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join("-")
}

/// The letters of a typed password; case, dashes and spaces are ignored.
fn letters_of(typed: &str) -> String {
    typed.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect()
}

/// The row key of a password's letters.
fn key_of(node: &Node, letters: &str) -> Result<[u8; 16], StoreError> {
    node.keyed("app password", letters.as_bytes())
}

/// The keys by which SCRAM checks the password of these letters.
async fn verifier_of(node: &Node, letters: &str) -> Result<Verifier, StoreError> {
    let (parameters, letters) = (scram::scram_parameters(node)?, letters.to_owned());
    try_blocking(move || Ok(Verifier::derive(&parameters, &[&shown(&letters), &letters]))).await
}

/// Every app password, the newest first.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn app_passwords(node: &Node) -> Result<Vec<AppPassword>, StoreError> {
    let rows = row::scan::<AppRow>(&node.store, &Scan::prefix(&[], APP_PASSWORDS_MAX))?;
    let mut all: Vec<AppPassword> = rows.iter().map(|(_, row)| row.listed()).collect();
    all.sort_by_key(|app| std::cmp::Reverse(app.created));
    Ok(all)
}

/// Whether SCRAM is to be advertised: it works with every app password that has not expired. See
/// the text of the module `scram`.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn offers_scram(node: &Node) -> Result<bool, StoreError> {
    let (parameters, now) = (scram::scram_parameters(node)?, node.clock.now());
    let rows = row::scan::<AppRow>(&node.store, &Scan::prefix(&[], APP_PASSWORDS_MAX))?;
    Ok(rows.iter().all(|(_, row)| row.is_ready_for(&parameters) || row.limits().is_expired(now)))
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

/// Makes every app password like one of an earlier version, which SCRAM does not know.
///
/// # Errors
/// When the store is unavailable.
#[cfg(any(test, feature = "testing"))]
pub async fn forget_scram_keys(node: &Node) -> Result<(), StoreError> {
    node.store
        .commit(|tx| {
            for (key, app) in row::scan::<AppRow>(tx, &Scan::prefix(&[], APP_PASSWORDS_MAX))? {
                row::put(tx, &key, &AppRow { verifier: None, ..app })?;
            }
            Ok::<_, StoreError>(())
        })
        .await
}

#[cfg(test)]
mod tests;
