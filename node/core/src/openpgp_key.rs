//! The owner's public OpenPGP key (RFC 9580), which others find by the owner's address (Web Key
//! Directory, draft-koch-openpgp-webkey-service).
//!
//! On disk: pieces of the key in rows, because a row has at most 4 KiB. Every packet is looked at:
//! a secret key would be given to everybody. Signatures are not verified; those who fetch the key
//! do that.

use data_encoding::BASE64_MIME_PERMISSIVE;
use minicbor::{Decode, Encode};

use crate::events::Event;
use crate::node::Node;
use crate::profile;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table};

/// The longest key, in bytes without armour.
pub const KEY_LEN_MAX: usize = 64 * 1024;
/// The longest key in armour, in bytes: base64 and line ends, and header fields.
pub const ARMOUR_LEN_MAX: usize = 128 * 1024;
/// The bytes of a row.
const PIECE_LEN: usize = 3 * 1024;
const PIECES_MAX: usize = KEY_LEN_MAX.div_ceil(PIECE_LEN);

/// The types of packets (RFC 9580 5).
const SIGNATURE: u8 = 2;
const SECRET_KEY: u8 = 5;
const PUBLIC_KEY: u8 = 6;
const SECRET_SUBKEY: u8 = 7;
const MARKER: u8 = 10;
const TRUST: u8 = 12;
const USER_ID: u8 = 13;
const PUBLIC_SUBKEY: u8 = 14;
const USER_ATTRIBUTE: u8 = 17;
const PADDING: u8 = 21;

/// A piece of the key, under its number.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Piece {
    #[cbor(n(0), with = "minicbor::bytes")]
    bytes: Vec<u8>,
}

impl Record for Piece {
    const TABLE: Table = Table::new("openpgp_key");
    const VERSION: u8 = 1;
}

/// Why a key is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenPgpKeyError {
    /// It has secret parts.
    #[error(
        "this is a secret key, which must never leave your computer; export the public one, as with \
         `gpg --export --armor`"
    )]
    Secret,
    /// It is no key.
    #[error("this is no OpenPGP public key: {0}")]
    NoKey(&'static str),
    /// It is too long.
    #[error(
        "the key is longer than {KEY_LEN_MAX} bytes; export it with fewer signatures, as with \
         `gpg --export-options export-minimal`"
    )]
    TooLong,
    /// Programs would ignore it.
    #[error("the key has no user ID with your address {0}")]
    NotYours(String),
    /// The node has no owner yet.
    #[error("the node is not set up")]
    NoOwner,
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// The key as it is served, without armour.
///
/// # Errors
/// The store's.
pub fn get(node: &Node) -> Result<Option<Vec<u8>>, StoreError> {
    let pieces = row::scan::<Piece>(&node.store, &Scan::prefix(&[], PIECES_MAX + 1))?;
    let key: Vec<u8> = pieces.into_iter().flat_map(|(_, piece)| piece.bytes).collect();
    Ok((!key.is_empty()).then_some(key))
}

/// Serves this key from now on, given in armour or without.
///
/// # Errors
/// As [`OpenPgpKeyError`]; the earlier key stays.
pub async fn set(node: &Node, file: &[u8]) -> Result<(), OpenPgpKeyError> {
    let owner = profile::get(node)?.ok_or(OpenPgpKeyError::NoOwner)?;
    let key = unarmoured(file)?;
    check(&key, &profile::address(&owner))?;
    write(node, key).await?;
    Ok(())
}

/// Serves no key any more.
///
/// # Errors
/// The store's.
pub async fn remove(node: &Node) -> Result<(), StoreError> {
    write(node, Vec::new()).await
}

async fn write(node: &Node, key: Vec<u8>) -> Result<(), StoreError> {
    node.store
        .commit(move |tx| {
            for (old, _) in row::scan::<Piece>(tx, &Scan::prefix(&[], PIECES_MAX + 1))? {
                row::delete::<Piece>(tx, &old);
            }
            for (number, bytes) in (0_u32..).zip(key.chunks(PIECE_LEN)) {
                row::put(tx, &number.to_be_bytes(), &Piece { bytes: bytes.to_vec() })?;
            }
            tx.after(Event::Public);
            Ok(())
        })
        .await
}

/// The bytes of a file without armour (RFC 9580 6.2).
fn unarmoured(file: &[u8]) -> Result<Vec<u8>, OpenPgpKeyError> {
    if file.len() > ARMOUR_LEN_MAX {
        return Err(OpenPgpKeyError::TooLong);
    }
    // The first bit of a packet is set, and no text begins so.
    if file.first().is_some_and(|byte| byte & 0x80 != 0) {
        return Ok(file.to_vec());
    }
    let no_armour = OpenPgpKeyError::NoKey("it is neither a packet nor in armour");
    let text = std::str::from_utf8(file).map_err(|_| no_armour.clone())?;
    if text.contains("-----BEGIN PGP PRIVATE KEY BLOCK-----") {
        return Err(OpenPgpKeyError::Secret);
    }
    let begin = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
    let (_, block) = text.split_once(begin).ok_or(no_armour)?;
    let cut = OpenPgpKeyError::NoKey("its armour has no end");
    let (block, _) = block.split_once("-----END PGP PUBLIC KEY BLOCK-----").ok_or(cut)?;
    // Header fields, an empty line, the data, and a checksum that nobody needs (RFC 9580 6.1).
    let lines = block.lines().skip(1).skip_while(|line| line.contains(": "));
    let data: String = lines.map(str::trim).take_while(|line| !line.starts_with('=')).collect();
    let damaged = OpenPgpKeyError::NoKey("its armour is damaged");
    BASE64_MIME_PERMISSIVE.decode(data.as_bytes()).map_err(|_| damaged)
}

/// Checks that these are the packets of one public key (RFC 9580 10.1) with a user ID of `address`.
fn check(key: &[u8], address: &str) -> Result<(), OpenPgpKeyError> {
    if key.len() > KEY_LEN_MAX {
        return Err(OpenPgpKeyError::TooLong);
    }
    let (mut rest, mut is_first, mut is_own) = (key, true, false);
    while !rest.is_empty() {
        let (kind, body, after) =
            packet(rest).ok_or(OpenPgpKeyError::NoKey("a packet is damaged"))?;
        match kind {
            SECRET_KEY | SECRET_SUBKEY => return Err(OpenPgpKeyError::Secret),
            PUBLIC_KEY if is_first => {}
            PUBLIC_KEY => return Err(OpenPgpKeyError::NoKey("it has several keys")),
            _ if is_first => return Err(OpenPgpKeyError::NoKey("it does not begin with a key")),
            USER_ID => is_own |= names(body, address),
            SIGNATURE | MARKER | TRUST | PUBLIC_SUBKEY | USER_ATTRIBUTE | PADDING => {}
            _ => return Err(OpenPgpKeyError::NoKey("it has a packet of another kind")),
        }
        (rest, is_first) = (after, false);
    }
    match (is_first, is_own) {
        (true, _) => Err(OpenPgpKeyError::NoKey("it is empty")),
        (false, false) => Err(OpenPgpKeyError::NotYours(address.to_owned())),
        (false, true) => Ok(()),
    }
}

/// Whether a user ID is this address, or a name with the address in angle brackets.
fn names(user_id: &[u8], address: &str) -> bool {
    let text = String::from_utf8_lossy(user_id);
    let inner = text.rsplit_once('<').and_then(|(_, rest)| rest.strip_suffix('>'));
    inner.unwrap_or(&text).trim().eq_ignore_ascii_case(address)
}

/// The type and body of the first packet, and what follows (RFC 9580 4.2). Keys have no partial or
/// indeterminate lengths.
fn packet(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (kind, len, rest) = match first & 0xc0 {
        0xc0 => {
            let (&one, rest) = rest.split_first()?;
            let (len, rest) = match one {
                0..=191 => (usize::from(one), rest),
                192..=223 => {
                    let (&two, rest) = rest.split_first()?;
                    ((usize::from(one) - 192) * 256 + usize::from(two) + 192, rest)
                }
                255 => number(rest, 4)?,
                _ => return None,
            };
            (first & 0x3f, len, rest)
        }
        0x80 => {
            let (len, rest) = match first & 3 {
                0 => number(rest, 1)?,
                1 => number(rest, 2)?,
                2 => number(rest, 4)?,
                _ => return None,
            };
            (first >> 2 & 0x0f, len, rest)
        }
        _ => return None,
    };
    let (body, after) = rest.split_at_checked(len)?;
    Some((kind, body, after))
}

/// A number of `len` bytes, and what follows.
fn number(bytes: &[u8], len: usize) -> Option<(usize, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(len)?;
    Some((digits.iter().fold(0, |number, digit| number << 8 | usize::from(*digit)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;
    use data_encoding::BASE64;
    use proptest::prelude::*;

    /// A packet with a new header.
    fn packet_of(kind: u8, body: &[u8]) -> Vec<u8> {
        let len = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[0xc0 | kind, 255][..], &len, body].concat()
    }

    fn key(user_id: &str) -> Vec<u8> {
        let own = packet_of(USER_ID, user_id.as_bytes());
        // The first packet has an old header.
        let first = [0x80 | PUBLIC_KEY << 2, 3, 4, 1, 2];
        [&first[..], &own, &packet_of(SIGNATURE, &[4; 5000])].concat()
    }

    fn armoured(kind: &str, bytes: &[u8]) -> String {
        let lines: Vec<String> = BASE64
            .encode(bytes)
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
            .collect();
        let data = lines.join("\r\n");
        format!(
            "-----BEGIN PGP {kind} KEY BLOCK-----\r\nComment: mine\r\n\r\n{data}\r\n=Ab1/\r\n\
             -----END PGP {kind} KEY BLOCK-----\r\n"
        )
    }

    #[tokio::test]
    async fn public_key_is_stored_without_armour() {
        let alice = TestNode::new("alice").await;
        let (one, two) = (key("Alice <ALICE@alice.example>"), key("alice@alice.example"));
        set(&alice, armoured("PUBLIC", &one).as_bytes()).await.unwrap();
        assert_eq!(get(&alice).unwrap(), Some(one));
        set(&alice, &two).await.unwrap();
        assert_eq!(get(&alice).unwrap(), Some(two));
        remove(&alice).await.unwrap();
        assert_eq!(get(&alice).unwrap(), None);
    }

    #[tokio::test]
    async fn secret_or_foreign_openpgp_key_is_refused() {
        let alice = TestNode::new("alice").await;
        let own = key("alice@alice.example");
        let secret = [packet_of(SECRET_KEY, &[4]), own.clone()].concat();
        let subkey = [own.clone(), packet_of(SECRET_SUBKEY, &[4])].concat();
        for file in [
            secret.clone(),
            subkey.clone(),
            armoured("PRIVATE", &own).into_bytes(),
            armoured("PUBLIC", &subkey).into_bytes(),
        ] {
            assert_eq!(set(&alice, &file).await, Err(OpenPgpKeyError::Secret));
        }
        for file in [
            &b""[..],
            b"ssh-ed25519 AAAA",
            b"\x80",
            b"\xff\xff\xff\xff\xff\xff",
            b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA",
            &[own.clone(), own.clone()].concat(),
            &packet_of(USER_ID, b"alice@alice.example"),
            &own[..own.len() - 1],
        ] {
            let refused = set(&alice, file).await;
            assert!(matches!(refused, Err(OpenPgpKeyError::NoKey(_))), "{refused:?}");
        }
        let other = set(&alice, &key("Bob <bob@alice.example>")).await;
        assert_eq!(other, Err(OpenPgpKeyError::NotYours("alice@alice.example".to_owned())));
        let long = [own, packet_of(SIGNATURE, &[0; KEY_LEN_MAX])].concat();
        assert_eq!(set(&alice, &long).await, Err(OpenPgpKeyError::TooLong));
        assert_eq!(get(&alice).unwrap(), None);
    }

    proptest! {
        #[test]
        fn openpgp_packets_of_any_bytes_are_bounded(
            bytes in proptest::collection::vec(any::<u8>(), 0..80)
        ) {
            let _ = check(&bytes, "a@b");
            let _ = unarmoured(&bytes);
        }
    }
}
