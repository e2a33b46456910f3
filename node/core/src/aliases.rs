//! Aliases: further addresses of the owner at the owner's domain. A masked address is an alias with
//! a local part that nobody guesses, given to one shop or list.
//!
//! Each can be switched off, and says who wrote to it. By choice the domain has a catch-all: then
//! mail to any address is accepted, and the address becomes an alias when mail comes for it.

mod reached;

use minicbor::{Decode, Encode};

use crate::clock::Timestamp;
use crate::domain_name;
use crate::names;
use crate::node::Node;
use crate::profile::{self, Profile};
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

pub(crate) use reached::{reached, record};

/// The most aliases.
pub const ALIASES_MAX: usize = 1_000;
/// The longest local part (RFC 5321 4.5.3.1.1).
const LOCAL_LEN_MAX: usize = 64;
/// The longest label, in characters.
const LABEL_CHARS_MAX: usize = 80;
/// The letters of masked addresses.
const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
const VOWELS: &[u8; 4] = b"aeiu";
const PURPOSE: &str = "aliases";
const OWN: &[u8] = b"own";

/// A sender of mail to an alias.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AliasSender {
    /// The address; empty for reports of mail servers.
    #[n(0)]
    pub address: String,
    /// When it last wrote.
    #[n(1)]
    pub last: Timestamp,
}

/// An alias. Under a keyed hash of its local part.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Alias {
    /// The local part of the address, in lower case.
    #[n(0)]
    pub local: String,
    /// The owner's note, as for whom it is; may be empty.
    #[n(1)]
    pub label: String,
    /// False if mail to it is refused.
    #[n(2)]
    pub is_on: bool,
    /// When it was made.
    #[n(3)]
    pub made: Timestamp,
    /// True if the catch-all made it.
    #[n(4)]
    pub is_caught: bool,
    /// How many messages came.
    #[n(5)]
    pub messages: u64,
    /// The latest senders, the last one first.
    #[n(6)]
    #[cbor(default)]
    pub senders: Vec<AliasSender>,
}

impl Record for Alias {
    const TABLE: Table = Table::new("aliases");
    const VERSION: u8 = 1;
}

#[derive(Default, Encode, Decode)]
#[cbor(map)]
struct SettingsRow {
    #[n(0)]
    is_catch_all: bool,
}

impl Record for SettingsRow {
    const TABLE: Table = Table::new("alias_settings");
    const VERSION: u8 = 1;
}

/// Why an alias was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AliasError {
    /// The local part is malformed.
    #[error(
        "{0:?} is no name of an address: letters, digits, dots, dashes and underscores, at most 64"
    )]
    Malformed(String),
    /// The address is the owner's already.
    #[error("{0} is your address already")]
    Taken(String),
    /// There would be more than [`ALIASES_MAX`].
    #[error("there are already {ALIASES_MAX} aliases; remove some first")]
    TooMany,
    /// The label has more than 80 characters.
    #[error("the label has {0} characters, the limit is 80")]
    LongLabel(usize),
    /// There is no such alias.
    #[error("there is no alias {0}")]
    Missing(String),
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// The owner of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The owner's: the login, with a tag or not, or a role (RFC 2142).
    Owner,
    /// An alias of this local part.
    Alias(String),
    /// An alias that is switched off.
    Off,
    /// Nobody's, and the catch-all takes it.
    Caught(String),
    /// Not the owner's.
    Foreign,
}

/// The local part without a tag, in lower case, if it can be that of an alias.
fn base_of(local: &str) -> Option<String> {
    let base = local.split_once('+').map_or(local, |(base, _)| base).to_ascii_lowercase();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_local = !base.is_empty()
        && base.len() <= LOCAL_LEN_MAX
        && base.bytes().all(is_plain)
        && base.split('.').all(|atom| !atom.is_empty());
    is_local.then_some(base)
}

fn key(node: &Node, local: &str) -> Result<[u8; 16], StoreError> {
    node.keyed(PURPOSE, local.as_bytes())
}

/// Whose `address` is.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn standing(node: &Node, address: &str) -> Result<Standing, StoreError> {
    if profile::owns(node, address)? {
        return Ok(Standing::Owner);
    }
    let owner = profile::get(node)?;
    let (Some(owner), Some((local, domain))) = (owner, address.rsplit_once('@')) else {
        return Ok(Standing::Foreign);
    };
    let base = base_of(local).filter(|_| domain_name::is_same(domain, &owner.domain));
    let Some(base) = base else { return Ok(Standing::Foreign) };
    Ok(match row::get::<Alias>(&node.store, &key(node, &base)?)? {
        Some(alias) if alias.is_on => Standing::Alias(base),
        Some(_) => Standing::Off,
        None if is_catch_all(node)? => Standing::Caught(base),
        None => Standing::Foreign,
    })
}

/// Whether mail to `address` is accepted for the owner.
///
/// # Errors
/// As [`standing`].
pub fn accepts(node: &Node, address: &str) -> Result<bool, StoreError> {
    let standing = standing(node, address)?;
    Ok(matches!(standing, Standing::Owner | Standing::Alias(_) | Standing::Caught(_)))
}

/// Whether the owner may write as `address`: also as an alias that is switched off.
///
/// # Errors
/// As [`standing`].
pub fn owns(node: &Node, address: &str) -> Result<bool, StoreError> {
    Ok(standing(node, address)? != Standing::Foreign)
}

/// All aliases, the latest first.
///
/// # Errors
/// As [`standing`].
pub fn aliases(node: &Node) -> Result<Vec<Alias>, StoreError> {
    let mut aliases = all(&node.store)?;
    aliases.sort_by(|a, b| (b.made, &a.local).cmp(&(a.made, &b.local)));
    Ok(aliases)
}

fn all(rows: &impl Rows) -> Result<Vec<Alias>, StoreError> {
    let rows = row::scan::<Alias>(rows, &Scan::prefix(&[], ALIASES_MAX))?;
    Ok(rows.into_iter().map(|(_, alias)| alias).collect())
}

/// The address of a local part.
pub fn address(owner: &Profile, local: &str) -> String {
    format!("{local}@{}", owner.domain)
}

/// Makes an alias of this local part.
///
/// # Errors
/// When it is malformed or taken, there are too many, or the store refuses.
pub async fn add(node: &Node, local: &str, label: &str) -> Result<Alias, AliasError> {
    let trimmed = local.trim();
    let base = base_of(trimmed).filter(|_| !trimmed.contains('+'));
    let base = base.ok_or_else(|| AliasError::Malformed(local.to_owned()))?;
    if let Some(owner) = profile::get(node)?
        && profile::owns(node, &address(&owner, &base))?
    {
        return Err(AliasError::Taken(address(&owner, &base)));
    }
    let chars = label.chars().count();
    if chars > LABEL_CHARS_MAX {
        return Err(AliasError::LongLabel(chars));
    }
    let label = names::plain(label);
    let (made, is_on) = (node.clock.now(), true);
    let alias =
        Alias { local: base, label, is_on, made, is_caught: false, messages: 0, senders: vec![] };
    let (key, new) = (key(node, &alias.local)?, alias.clone());
    let commit = move |tx: &mut Tx<'_>| {
        if row::get::<Alias>(tx, &key)?.is_some() {
            return Err(AliasError::Taken(new.local));
        }
        if all(tx)?.len() >= ALIASES_MAX {
            return Err(AliasError::TooMany);
        }
        Ok(row::put(tx, &key, &new)?)
    };
    node.store.commit(commit).await?;
    Ok(alias)
}

/// Makes a masked address: an alias with a random local part that can be read out on the phone.
///
/// # Errors
/// As [`add`].
pub async fn mask(node: &Node, label: &str) -> Result<Alias, AliasError> {
    loop {
        match add(node, &random_local(node), label).await {
            // One in billions.
            Err(AliasError::Taken(_)) => {}
            made => return made,
        }
    }
}

/// Four syllables and four digits: 40 bits.
fn random_local(node: &Node) -> String {
    let mut bits = node.random.u64();
    let mut take = |letters: &[u8]| {
        let count = letters.len() as u64;
        let letter = letters.get(usize::try_from(bits % count).unwrap_or_default());
        bits /= count;
        char::from(letter.copied().unwrap_or(b'a'))
    };
    let mut local = String::new();
    for _ in 0..4 {
        local.push(take(CONSONANTS));
        local.push(take(VOWELS));
    }
    local.push('.');
    (0..4).for_each(|_| local.push(take(b"0123456789")));
    local
}

/// Whether a local part has the form of those that [`mask`] makes. Mail from such an address is to
/// tell nobody the owner's name.
pub fn is_mask(local: &str) -> bool {
    let base = local.split_once('+').map_or(local, |(base, _)| base).to_ascii_lowercase();
    let Some((syllables, digits)) = base.split_once('.') else { return false };
    let is_syllable = |(at, letter): (usize, u8)| match at % 2 {
        0 => CONSONANTS.contains(&letter),
        _ => VOWELS.contains(&letter),
    };
    syllables.len() == 8
        && syllables.bytes().enumerate().all(is_syllable)
        && digits.len() == 4
        && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// Whether mail from an address of the owner bears the owner's name: not from a masked one.
pub fn shows_name(address: &str) -> bool {
    !is_mask(address.rsplit_once('@').map_or(address, |(local, _)| local))
}

/// The local part without a tag of an address at the owner's domain, in lower case; `None` for
/// another domain, and if it can't be that of an alias.
pub fn local_of(owner: &Profile, address: &str) -> Option<String> {
    let (local, domain) = address.rsplit_once('@')?;
    base_of(local).filter(|_| domain_name::is_same(domain, &owner.domain))
}

/// Switches an alias on or off.
///
/// # Errors
/// When there is none, or the store refuses.
pub async fn switch(node: &Node, local: &str, is_on: bool) -> Result<(), AliasError> {
    change(node, local, move |tx, key, alias| row::put(tx, key, &Alias { is_on, ..alias })).await
}

/// Removes an alias. Mail to it is refused from then on, unless the catch-all takes it.
///
/// # Errors
/// As [`switch`].
pub async fn remove(node: &Node, local: &str) -> Result<(), AliasError> {
    let delete = |tx: &mut Tx<'_>, key: &[u8], _| {
        row::delete::<Alias>(tx, key);
        Ok(())
    };
    change(node, local, delete).await
}

async fn change(
    node: &Node,
    local: &str,
    change: impl FnOnce(&mut Tx<'_>, &[u8], Alias) -> Result<(), StoreError> + Send + 'static,
) -> Result<(), AliasError> {
    let local = local.split_once('@').map_or(local, |(local, _)| local);
    let missing = AliasError::Missing(local.to_owned());
    let Some(base) = base_of(local) else { return Err(missing) };
    let key = key(node, &base)?;
    let commit = move |tx: &mut Tx<'_>| {
        let alias = row::get::<Alias>(tx, &key)?.ok_or(missing)?;
        Ok::<_, AliasError>(change(tx, &key, alias)?)
    };
    node.store.commit(commit).await
}

/// Whether mail to any address at the owner's domain is accepted.
///
/// # Errors
/// As [`standing`].
pub fn is_catch_all(node: &Node) -> Result<bool, StoreError> {
    Ok(row::get::<SettingsRow>(&node.store, OWN)?.unwrap_or_default().is_catch_all)
}

/// Sets [`is_catch_all`].
///
/// # Errors
/// When the store refuses.
pub async fn set_catch_all(node: &Node, is_catch_all: bool) -> Result<(), StoreError> {
    node.store.commit(move |tx| row::put(tx, OWN, &SettingsRow { is_catch_all })).await
}

#[cfg(test)]
mod tests;
