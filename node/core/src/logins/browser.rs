//! The browser of a login. One that has logged in before has a token, by which its guesses are
//! counted apart from those of its network. Otherwise another device of the network could guess
//! passwords until the owner's login is refused.
//!
//! The token is an id and a keyed hash of it. Only this node can make one, so nothing is stored. It
//! opens nothing: a stolen one gives its thief a few guesses and then the same delays.

use std::net::IpAddr;

use subtle::ConstantTimeEq;

use super::token::Token;
use crate::node::{Guesser, Node};
use crate::row;
use crate::store::StoreError;

/// The token in the long-lived cookie of a browser that has logged in.
pub type BrowserToken = Token<32>;

/// A browser that logs in.
#[derive(Clone, Debug)]
pub struct Browser {
    /// Its address.
    pub address: IpAddr,
    /// Its name, for the list of sessions; may be empty.
    pub agent: String,
    /// The token it has from an earlier login.
    pub known: Option<BrowserToken>,
}

impl From<IpAddr> for Browser {
    fn from(address: IpAddr) -> Self {
        Self { address, agent: String::new(), known: None }
    }
}

impl Browser {
    /// How its guesses are counted.
    pub(super) fn guesser(&self, node: &Node) -> Result<Guesser, StoreError> {
        let known = self.known.as_ref().map_or(Ok(None), |token| browser_id(node, token))?;
        Ok(known.map_or(Guesser::Net(self.address.into()), Guesser::Browser))
    }
}

/// The id in a token that this node made.
fn browser_id(node: &Node, token: &BrowserToken) -> Result<Option<[u8; 16]>, StoreError> {
    let id: [u8; 16] = row::key_part(token.bytes(), 0);
    let mac: [u8; 16] = row::key_part(token.bytes(), 16);
    let is_ours = bool::from(node.keyed("known browser", &id)?.ct_eq(&mac));
    Ok(is_ours.then_some(id))
}

/// The token for a browser that has just logged in: the one it has, else a new one.
///
/// # Errors
/// When the store is unavailable.
pub fn browser_token(
    node: &Node,
    known: Option<&BrowserToken>,
) -> Result<BrowserToken, StoreError> {
    if let Some(known) = known
        && browser_id(node, known)?.is_some()
    {
        return Ok(known.clone());
    }
    let id: [u8; 16] = node.random.array();
    let mac = node.keyed("known browser", &id)?;
    Ok(Token::of(row::key_part(&row::key(&[&id, &mac]), 0)))
}
