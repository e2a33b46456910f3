//! The short form of an invite: `<site>/i#<22 characters>`, the token alone. The bearer's node asks
//! the site for the rest.
//!
//! 1. The bearer's node sends `GET <site>/i/<id>`; the id is the hash of the token, so the token
//!    itself never leaves the bearer's node before the inviter's node has proved its key.
//! 2. The site answers with `version byte ‖ authenticator ‖ fields`, the fields of the long form
//!    without the token. The authenticator is BLAKE3 of the fields under a key derived from the
//!    token. It was made with the invite: the site no longer knows the token.
//!
//! A party that changes the answer on its way would have to know the token. So neither HTTPS nor
//! the name's resolution has to be trusted, and nobody can put another node's key in its place.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;

use super::invite::{self, Invite, NotAnInvite};
use crate::IpScope;
use crate::domains;
use crate::feed;
use crate::node::Node;
use crate::store::StoreError;

/// Bytes in a link; a site's name is at most 253.
const TEXT_LEN_MAX: usize = 400;
/// Bytes in the answer of a site.
pub const RESOLUTION_LEN_MAX: usize = 4096;
const WIRE_VERSION: u8 = 1;
const AUTHENTICATOR_LEN: usize = 32;

/// A short invite, as its bearer has it.
#[derive(Clone, PartialEq, Eq)]
pub struct ShortInvite {
    site: String,
    token: [u8; 16],
}

impl fmt::Debug for ShortInvite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShortInvite({}, …)", self.site)
    }
}

impl Invite {
    /// The short link, on the inviter's own site. It works where that site can be reached.
    pub fn to_short_url(&self, base: &str) -> String {
        format!("{}/i#{}", base.trim_end_matches('/'), BASE64URL_NOPAD.encode(&self.token))
    }
}

impl FromStr for ShortInvite {
    type Err = NotAnInvite;

    /// Reads a link, ignoring spaces and line breaks.
    fn from_str(text: &str) -> Result<Self, NotAnInvite> {
        if text.len() > TEXT_LEN_MAX {
            return Err(NotAnInvite);
        }
        let text: String = text.split_ascii_whitespace().collect();
        let (page, token) = text.split_once('#').ok_or(NotAnInvite)?;
        let site = page.strip_suffix("/i").ok_or(NotAnInvite)?;
        let is_web = site.starts_with("https://") || site.starts_with("http://");
        let token = BASE64URL_NOPAD.decode(token.as_bytes()).ok();
        let token = token.and_then(|token| token.try_into().ok()).filter(|_| is_web);
        Ok(Self { site: site.to_owned(), token: token.ok_or(NotAnInvite)? })
    }
}

impl ShortInvite {
    /// The site, such as `https://alice.example`.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// True if it is an open invite of this node itself.
    ///
    /// # Errors
    /// When a row is damaged or the store is unavailable.
    pub fn is_own(&self, node: &Node) -> Result<bool, StoreError> {
        invite::is_open_invite(node, &self.token)
    }

    /// The path on the site that answers with the rest of the invite.
    pub fn path(&self) -> String {
        format!("/i/{}", BASE64URL_NOPAD.encode(&invite::key(&self.token)))
    }

    /// The whole invite, by the site's answer.
    ///
    /// # Errors
    /// When the answer is not that of this invite.
    pub fn open(&self, answer: &[u8]) -> Result<Invite, NotAnInvite> {
        let (version, rest) = answer.split_first().ok_or(NotAnInvite)?;
        let (authenticator, map) =
            rest.split_first_chunk::<AUTHENTICATOR_LEN>().ok_or(NotAnInvite)?;
        // The comparison of hashes takes constant time.
        let expected = authenticate(&self.token, map);
        if *version != WIRE_VERSION || expected != blake3::Hash::from_bytes(*authenticator) {
            return Err(NotAnInvite);
        }
        invite::read(map, Some(self.token)).map_err(|_| NotAnInvite)
    }
}

/// The answer for the bearer of a new invite's short form.
pub(super) fn resolution(invite: &Invite) -> Vec<u8> {
    let map = invite.to_map(false);
    let authenticator = authenticate(&invite.token, &map);
    [&[WIRE_VERSION], authenticator.as_bytes().as_slice(), map.as_slice()].concat()
}

fn authenticate(token: &[u8; 16], map: &[u8]) -> blake3::Hash {
    blake3::keyed_hash(&blake3::derive_key(domains::INVITE.text(), token), map)
}

/// True if this node may connect to the address because an invite names it: inside a machine or a
/// private network only if the node itself is reached there alone.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn may_fetch_from(node: &Node, ip: IpAddr) -> Result<bool, StoreError> {
    let person = node.identity.person();
    let homes = person.map(|person| feed::homes_of(node, &person)).transpose()?.flatten();
    let own = homes.map(|homes| homes.libp2p).unwrap_or_default();
    let is_in = |scope| own.iter().all(|address| scope_of(address) == scope);
    Ok(match IpScope::of(ip) {
        IpScope::Global => true,
        IpScope::Machine => is_in(IpScope::Machine),
        IpScope::Private => is_in(IpScope::Private) || is_in(IpScope::Machine),
        IpScope::Unusable => false,
    })
}

/// The scope of a multiaddr: that of its IP address; a name is for everyone.
fn scope_of(address: &str) -> IpScope {
    let mut parts = address.split('/').skip(1);
    match (parts.next(), parts.next().map(str::parse::<IpAddr>)) {
        (Some("ip4" | "ip6"), Some(Ok(ip))) => IpScope::of(ip),
        _ => IpScope::Global,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::friends::{create_invite, resolve_invite, revoke_invite};
    use crate::testing::TestNode;

    async fn invite() -> (TestNode, Invite) {
        let alice = TestNode::new("alice").await;
        let addresses = vec!["/dns4/alice.example/tcp/7001".to_owned()];
        let invite = create_invite(&alice, "", &addresses).await.unwrap();
        (alice, invite)
    }

    #[tokio::test]
    async fn short_invite_resolves_to_the_long_one() {
        let (alice, invite) = invite().await;
        let url = invite.to_short_url("https://alice.example/");
        assert_eq!(url.split_once('#').unwrap().1.len(), 22);
        let short: ShortInvite = format!(" {url}\n").parse().unwrap();
        assert_eq!(short.site(), "https://alice.example");
        let id = blake3::hash(&invite.token);
        assert_eq!(short.path(), format!("/i/{}", BASE64URL_NOPAD.encode(id.as_bytes())));
        let answer = resolve_invite(&alice, id.as_bytes()).unwrap().unwrap();
        assert_eq!(short.open(&answer).unwrap(), invite);
        assert!(!answer.windows(16).any(|window| window == invite.token), "without the token");
        revoke_invite(&alice, *id.as_bytes()).await.unwrap();
        assert_eq!(resolve_invite(&alice, id.as_bytes()).unwrap(), None);
    }

    #[tokio::test]
    async fn forged_answer_to_a_short_invite_is_refused() {
        let (_, invite) = invite().await;
        let short: ShortInvite = invite.to_short_url("http://alice.example").parse().unwrap();
        let answer = resolution(&invite);
        for at in 0..answer.len() {
            let mut forged = answer.clone();
            forged[at] ^= 1;
            assert!(short.open(&forged).is_err(), "byte {at}");
            assert!(short.open(&answer[..at]).is_err(), "{at} bytes");
        }
        // A valid answer to another token, of a node in between.
        let other = Invite { token: [1; 16], ..invite };
        assert!(short.open(&resolution(&other)).is_err());
    }

    #[test]
    fn other_texts_are_no_short_invite() {
        for text in [
            "https://alice.example/i#",
            "https://alice.example/i#AAAAAAAAAAAAAAAAAAAAA",
            "https://alice.example/i#AAAAAAAAAAAAAAAAAAAAAAA",
            "https://alice.example/#AAAAAAAAAAAAAAAAAAAAAA",
            "ftp://alice.example/i#AAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAA",
            "",
        ] {
            assert!(text.parse::<ShortInvite>().is_err(), "{text}");
        }
        assert!("https://alice.example/i#AAAAAAAAAAAAAAAAAAAAAA".parse::<ShortInvite>().is_ok());
    }
}
