//! Invites: a link that makes its bearer a friend, once.
//!
//! Long form: `<site>/i#<base64url of version byte ‖ {0: person, 2: suite of the node's key,
//! 4: node's key, 6: token, 8: expires (ms), 10: addresses, 11: name}>`. A browser does not send
//! the fragment after `#` to the server, so the token stays secret. The short form is in
//! `short_invite`.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use minicbor::{Decode, Encode};

use super::{Introduction, bounded_addresses, short_invite};
use crate::cbor::{CborError, Fields, MapWriter, Value};
use crate::clock::Timestamp;
use crate::events::Event;
use crate::identity::{self, PersonId};
use crate::keys::{PublicKey, SUITE_25519};
use crate::node::Node;
use crate::profile;
use crate::row::{self, Record, cut};
use crate::store::{Scan, StoreError, Table, Tx};

/// The lifetime of an invite, in milliseconds: two weeks.
pub const INVITE_MS: u64 = 14 * 24 * 60 * 60 * 1000;
const INVITES_MAX: usize = 500;
/// The longest label of an invite, in bytes; a longer one is cut.
pub const INVITE_LABEL_LEN_MAX: usize = 80;
const TEXT_LEN_MAX: usize = 4096;
const WIRE_VERSION: u8 = 1;

/// An invite, as its bearer has it.
#[derive(Clone, PartialEq, Eq)]
pub struct Invite {
    /// The inviter.
    pub person: PersonId,
    /// The key of the inviter's node.
    pub node: PublicKey,
    /// The inviter's name.
    pub name: String,
    /// The libp2p addresses of the inviter's node; at most four.
    pub addresses: Vec<String>,
    /// The single-use token.
    pub token: [u8; 16],
    /// The end of the lifetime.
    pub expires: Timestamp,
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invite({}, …)", self.person)
    }
}

/// A text is not an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("that is not an invite")]
pub struct NotAnInvite;

impl Invite {
    /// The link, on the inviter's own site (`https://alice.example`).
    pub fn to_url(&self, base: &str) -> String {
        format!("{}/i#{self}", base.trim_end_matches('/'))
    }

    /// The introduction of the inviter.
    pub fn introduction(&self) -> Introduction {
        Introduction {
            person: self.person,
            node: self.node,
            name: self.name.clone(),
            addresses: self.addresses.clone(),
        }
    }
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let map = self.to_map(true);
        f.write_str(&BASE64URL_NOPAD.encode(&[&[WIRE_VERSION], map.as_slice()].concat()))
    }
}

impl Invite {
    /// The invite's fields, with its token or without.
    pub(super) fn to_map(&self, with_token: bool) -> Vec<u8> {
        let map = MapWriter::new()
            .bytes(0, &self.person.0)
            .uint(2, self.node.suite())
            .bytes(4, self.node.as_bytes());
        let map = if with_token { map.bytes(6, &self.token) } else { map };
        map.uint(8, self.expires.0)
            .list(10, &self.addresses, |address| Value::Text(address.clone()))
            .text(11, &self.name)
            .canonical()
    }
}

impl FromStr for Invite {
    type Err = NotAnInvite;

    /// Reads a link or its fragment, ignoring spaces and line breaks.
    fn from_str(text: &str) -> Result<Self, NotAnInvite> {
        if text.len() > TEXT_LEN_MAX {
            return Err(NotAnInvite);
        }
        let text: String = text.split_ascii_whitespace().collect();
        let code = text.rsplit_once('#').map_or(text.as_str(), |(_, code)| code);
        let bytes = BASE64URL_NOPAD
            .decode(code.trim_end_matches('=').as_bytes())
            .map_err(|_| NotAnInvite)?;
        match bytes.split_first() {
            Some((&WIRE_VERSION, map)) => read(map, None).map_err(|_| NotAnInvite),
            _ => Err(NotAnInvite),
        }
    }
}

/// Reads an invite's fields. Those without a token get `token`.
pub(super) fn read(map: &[u8], token: Option<[u8; 16]>) -> Result<Invite, CborError> {
    let mut fields = Fields::from_canonical(map)?;
    let person = PersonId(fields.array(0)?);
    if fields.uint(2)? != u64::from(SUITE_25519) {
        return Err(CborError::NotUnderstood(2));
    }
    let node = PublicKey::from_ed25519(fields.array(4)?).map_err(|_| CborError::Invalid(4))?;
    let token = match token {
        Some(token) => token,
        None => fields.array(6)?,
    };
    let expires = Timestamp(fields.uint(8)?);
    let addresses = fields.list(10, TEXT_LEN_MAX, |value, key| match value {
        Value::Text(address) => Ok(address),
        _ => Err(CborError::Invalid(key)),
    })?;
    let name = fields.maybe_text(11, TEXT_LEN_MAX)?.unwrap_or_default();
    fields.finish()?;
    let Introduction { person, node, name, addresses } =
        Introduction { person, node, name, addresses }.bounded();
    Ok(Invite { person, node, name, addresses, token, expires })
}

/// BLAKE3 of the token → an unused invite.
#[derive(Encode, Decode)]
#[cbor(map)]
struct InviteRow {
    #[n(0)]
    label: String,
    #[n(1)]
    created: Timestamp,
    #[n(2)]
    expires: Timestamp,
    /// The answer to the bearer of the short form; rows of earlier versions have none.
    #[cbor(n(3), with = "minicbor::bytes")]
    resolution: Option<Vec<u8>>,
}

impl Record for InviteRow {
    const TABLE: Table = Table::new("friends_invites");
    const VERSION: u8 = 1;
}

/// An unused invite in the owner's list; the link itself was shown once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenInvite {
    /// The id for [`revoke_invite`]; not the token.
    pub id: [u8; 32],
    /// The owner's label for it.
    pub label: String,
    /// The time it was made.
    pub created: Timestamp,
    /// The end of the lifetime.
    pub expires: Timestamp,
}

/// Why no invite was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// The node has not been claimed, or has no profile.
    #[error("this node belongs to nobody yet")]
    Unclaimed,
    /// The node is retired: no friend could reach the owner through it.
    #[error(
        "this node is retired, so its invites lead nowhere; make the invite at your other node"
    )]
    Retired,
    /// There are 500 unused invites.
    #[error("there are too many open invites")]
    TooMany,
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Makes an invite that lives for [`INVITE_MS`], with the first four of this node's `addresses`.
///
/// # Errors
/// When the node is unclaimed, there are too many, or the store refuses.
pub async fn create_invite(
    node: &Node,
    label: &str,
    addresses: &[String],
) -> Result<Invite, InviteError> {
    let person = node.identity.person().ok_or(InviteError::Unclaimed)?;
    let profile = profile::get(node)?.ok_or(InviteError::Unclaimed)?;
    if identity::is_retired(node) {
        return Err(InviteError::Retired);
    }
    let now = node.clock.now();
    let invite = Invite {
        person,
        node: node.identity.node_key(),
        name: profile.name.clone(),
        addresses: bounded_addresses(addresses),
        token: node.random.array(),
        expires: now.plus_millis(INVITE_MS),
    };
    let row = InviteRow {
        label: cut(label.trim(), INVITE_LABEL_LEN_MAX).to_owned(),
        created: now,
        expires: invite.expires,
        resolution: Some(short_invite::resolution(&invite)),
    };
    let key = key(&invite.token);
    node.store
        .commit(move |tx| {
            let mut open = 0;
            for (key, invite) in row::scan::<InviteRow>(tx, &Scan::prefix(&[], INVITES_MAX))? {
                if invite.expires <= now { row::delete::<InviteRow>(tx, &key) } else { open += 1 }
            }
            if open >= INVITES_MAX {
                return Err(InviteError::TooMany);
            }
            row::put(tx, &key, &row)?;
            tx.after(Event::Friends);
            Ok(())
        })
        .await?;
    Ok(invite)
}

/// The answer to the bearer of an open invite's short form, by the invite's id; `None` if there is
/// no such invite.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn resolve_invite(node: &Node, id: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
    let found = row::get::<InviteRow>(&node.store, id)?;
    let open = found.filter(|invite| invite.expires > node.clock.now());
    Ok(open.and_then(|invite| invite.resolution))
}

/// An invite's id, by which it is stored; nobody can compute the token from it.
pub(super) fn key(token: &[u8; 16]) -> [u8; 32] {
    *blake3::hash(token).as_bytes()
}

/// True if the token is that of an unused invite that has not expired.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn is_open_invite(node: &Node, token: &[u8; 16]) -> Result<bool, StoreError> {
    let found = row::get::<InviteRow>(&node.store, &key(token))?;
    Ok(found.is_some_and(|invite| invite.expires > node.clock.now()))
}

/// Deletes the invite of a token inside a commit; `true` if it was unused and not expired.
pub(super) fn consume(
    tx: &mut Tx<'_>,
    token: &[u8; 16],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let key = key(token);
    let found = row::get::<InviteRow>(tx, &key)?;
    row::delete::<InviteRow>(tx, &key);
    Ok(found.is_some_and(|invite| invite.expires > now))
}

/// The unused invites that have not expired, the newest first.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn open_invites(node: &Node) -> Result<Vec<OpenInvite>, StoreError> {
    let now = node.clock.now();
    let rows = row::scan::<InviteRow>(&node.store, &Scan::prefix(&[], INVITES_MAX))?;
    let unexpired = rows.into_iter().filter(|(_, invite)| invite.expires > now);
    let mut open: Vec<OpenInvite> = unexpired
        .map(|(key, row)| OpenInvite {
            id: row::key_part(&key, 0),
            label: row.label,
            created: row.created,
            expires: row.expires,
        })
        .collect();
    open.sort_by_key(|invite| std::cmp::Reverse(invite.created));
    Ok(open)
}

/// Deletes an invite; no error if there is none with this id.
///
/// # Errors
/// When the store refuses.
pub async fn revoke_invite(node: &Node, id: [u8; 32]) -> Result<(), StoreError> {
    node.store
        .commit(move |tx| {
            row::delete::<InviteRow>(tx, &id);
            tx.after(Event::Friends);
            Ok(())
        })
        .await
}
