//! The smarthost: the server that takes the owner's mail for all other domains, and its login
//! (RFC 5321 2.3.10 names it a relay). Many hosters close port 25, so this is how most nodes send
//! to the world.
//!
//! On disk: one row. The login is tried by the crate of mail, which records the outcome here. A
//! friend's node can take its place ([`set_friend`]); there is at most one of the two.

mod friend;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use minicbor::{Decode, Encode};

use crate::clock::Timestamp;
use crate::domain_name;
use crate::events::Event;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{StoreError, Table, Tx};

/// Submission with TLS from the first byte (RFC 8314 3.3).
pub const SUBMISSIONS_PORT: u16 = 465;
/// The longest user name and the longest password, in bytes.
pub const LOGIN_LEN_MAX: usize = 255;
/// How much of a server's reply is stored, in bytes.
const FAULT_LEN_MAX: usize = 500;

/// The smarthost.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Smarthost {
    /// Its host name as DNS has it, or its address.
    #[n(0)]
    pub host: String,
    /// Its port.
    #[n(1)]
    pub port: u16,
    /// The user name of the login; empty if it asks for none.
    #[n(2)]
    pub user: String,
    /// The password of the login.
    #[n(3)]
    pub password: String,
    /// The outcome of the last try to log in; `None` before the first.
    #[n(4)]
    pub tried: Option<Tried>,
}

/// The outcome of a try to log in.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Tried {
    /// When it was tried.
    #[n(0)]
    pub at: Timestamp,
    /// The reason why it failed; `None` if it succeeded.
    #[n(1)]
    pub fault: Option<String>,
}

impl fmt::Debug for Smarthost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Smarthost({:?}, {})", self.user, self.server())
    }
}

impl Record for Smarthost {
    const TABLE: Table = Table::new("smarthost");
    const VERSION: u8 = 1;
}

const KEY: &[u8] = b"smarthost";

pub use friend::{friend, set_friend};

/// Why a smarthost is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmarthostError {
    /// The server is none.
    #[error("{0:?} names no server; write it like smtp.example.com or smtp.example.com:465")]
    Server(String),
    /// The user name or the password has a character that no login can have, or is too long.
    #[error("the {0} is longer than {LOGIN_LEN_MAX} bytes or has a control character")]
    Login(&'static str),
    /// A server on another machine needs a login.
    #[error("a server on another machine asks for a user name and a password")]
    NoLogin,
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl Smarthost {
    /// A smarthost that was not tried yet. `server` is `host` or `host:port`; without a port it is
    /// [`SUBMISSIONS_PORT`].
    ///
    /// # Errors
    /// As [`SmarthostError`].
    pub fn new(server: &str, user: &str, password: &str) -> Result<Self, SmarthostError> {
        let refused = || SmarthostError::Server(server.to_owned());
        let (host, port) = split(server.trim()).ok_or_else(refused)?;
        for (what, text) in [("user name", user), ("password", password)] {
            if text.len() > LOGIN_LEN_MAX || text.chars().any(char::is_control) {
                return Err(SmarthostError::Login(what));
            }
        }
        let new = Self { host, port, user: user.into(), password: password.into(), tried: None };
        match new.is_this_machine() || !(user.is_empty() || password.is_empty()) {
            true => Ok(new),
            false => Err(SmarthostError::NoLogin),
        }
    }

    /// `host:port`, with an IPv6 address in brackets.
    pub fn server(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// True if it is on this machine, where mail and login may go without TLS.
    pub fn is_this_machine(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// True if TLS begins with the first byte.
    pub fn begins_with_tls(&self) -> bool {
        self.port == SUBMISSIONS_PORT
    }
}

/// Host and port of `host`, `host:port`, `[IPv6]` or `[IPv6]:port`.
fn split(server: &str) -> Option<(String, u16)> {
    let (host, port) = match server.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']')?;
            let address = address.parse::<std::net::Ipv6Addr>().ok()?;
            (address.to_string(), rest.strip_prefix(':').or(rest.is_empty().then_some(""))?)
        }
        None => {
            let (host, port) = match server.split_once(':') {
                Some((_, "")) => return None,
                Some(parts) => parts,
                None => (server, ""),
            };
            let host = domain_name::ascii(host)?;
            let is_address = host.parse::<std::net::Ipv4Addr>().is_ok();
            (is_address || domain_name::is_host(&host)).then_some(())?;
            (host.into_owned(), port)
        }
    };
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = match port {
        "" => SUBMISSIONS_PORT,
        port => port.parse().ok().filter(|port| is_number && *port > 0)?,
    };
    Some((host, port))
}

/// The smarthost, if the owner has set one.
///
/// # Errors
/// The store's.
pub fn get(node: &Node) -> Result<Option<Smarthost>, StoreError> {
    of(&node.store)
}

fn of(rows: &impl Rows) -> Result<Option<Smarthost>, StoreError> {
    row::get::<Smarthost>(rows, KEY)
}

/// Sends the owner's mail for all other domains by this server from now on. Its login is tried
/// soon.
///
/// # Errors
/// The store's.
pub async fn set(node: &Node, smarthost: Smarthost) -> Result<(), StoreError> {
    node.store
        .commit(move |tx| {
            row::put(tx, KEY, &smarthost)?;
            friend::delete(tx);
            tx.after(Event::Smarthost);
            Ok(())
        })
        .await
}

/// As [`set`], and waits for the first try to log in, at most for `limit`.
///
/// # Errors
/// The store's.
pub async fn set_and_try(
    node: &Node,
    smarthost: Smarthost,
    limit: Duration,
) -> Result<(), StoreError> {
    // Subscribe before the change, so that no event is missed.
    let mut events = node.events.subscribe();
    set(node, smarthost).await?;
    let tried = async {
        while get(node)?.is_some_and(|set| set.tried.is_none()) {
            let _: Result<Event, _> = events.recv().await;
        }
        Ok(())
    };
    tokio::time::timeout(limit, tried).await.unwrap_or(Ok(()))
}

/// Sends by no smarthost and by no friend's node any more.
///
/// # Errors
/// The store's.
pub async fn remove(node: &Node) -> Result<(), StoreError> {
    node.store
        .commit(|tx: &mut Tx<'_>| {
            row::delete::<Smarthost>(tx, KEY);
            friend::delete(tx);
            tx.after(Event::Smarthost);
            Ok(())
        })
        .await
}

/// Records the outcome of a try to log in to `smarthost`, unless the owner has changed it
/// meanwhile.
///
/// # Errors
/// The store's.
pub async fn record_try(
    node: &Node,
    smarthost: Smarthost,
    fault: Option<String>,
) -> Result<(), StoreError> {
    let at = node.clock.now();
    let fault = fault.map(|fault| row::cut(&fault, FAULT_LEN_MAX).to_owned());
    node.store
        .commit(move |tx| {
            let is_same = |now: &Smarthost| {
                (&now.host, now.port, &now.user, &now.password)
                    == (&smarthost.host, smarthost.port, &smarthost.user, &smarthost.password)
            };
            if of(tx)?.as_ref().is_some_and(is_same) {
                row::put(tx, KEY, &Smarthost { tried: Some(Tried { at, fault }), ..smarthost })?;
                tx.after(Event::Smarthost);
            }
            Ok(())
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;

    #[test]
    fn smarthost_is_a_host_with_a_port() {
        for (given, shown) in [
            ("smtp.example.com", "smtp.example.com:465"),
            (" SMTP.Example.com:587 ", "smtp.example.com:587"),
            ("müller.example:2525", "xn--mller-kva.example:2525"),
            ("192.0.2.1:25", "192.0.2.1:25"),
            ("[2001:db8::1]:587", "[2001:db8::1]:587"),
            ("[2001:db8::1]", "[2001:db8::1]:465"),
        ] {
            assert_eq!(Smarthost::new(given, "ruth", "x").unwrap().server(), shown);
        }
        for given in [
            "",
            ":465",
            "smtp.example.com:",
            "smtp.example.com:0",
            "smtp.example.com:+1",
            "smtp.example.com:65536",
            "smtp example.com",
            "https://smtp.example.com",
            "ruth@smtp.example.com",
            "2001:db8::1",
            "[smtp.example.com]:465",
            "a..b",
            "smtp.example.com\r\nQUIT",
        ] {
            let refused = Smarthost::new(given, "ruth", "x");
            assert_eq!(refused, Err(SmarthostError::Server(given.to_owned())), "{given}");
        }
    }

    #[test]
    fn other_machine_needs_a_login() {
        for (user, password) in [("", ""), ("ruth", ""), ("", "x")] {
            let refused = Smarthost::new("smtp.example.com", user, password);
            assert_eq!(refused, Err(SmarthostError::NoLogin));
            assert!(Smarthost::new("127.0.0.1:25", user, password).is_ok());
        }
        let control = Smarthost::new("smtp.example.com", "ruth\0", "x");
        assert_eq!(control, Err(SmarthostError::Login("user name")));
        let long = Smarthost::new("smtp.example.com", "ruth", &"x".repeat(256));
        assert_eq!(long, Err(SmarthostError::Login("password")));
    }

    #[tokio::test]
    async fn outcome_of_another_login_is_not_recorded() {
        let node = TestNode::new("ruth").await;
        let one = Smarthost::new("smtp.example.com", "ruth", "one").unwrap();
        let two = Smarthost { password: "two".to_owned(), ..one.clone() };
        set(&node, one.clone()).await.unwrap();
        set(&node, two.clone()).await.unwrap();
        record_try(&node, one, Some("535 wrong".to_owned())).await.unwrap();
        assert_eq!(get(&node).unwrap(), Some(two.clone()));
        record_try(&node, two, Some("535 ".repeat(1000))).await.unwrap();
        let tried = get(&node).unwrap().unwrap().tried.unwrap();
        assert_eq!(tried.fault.map(|fault| fault.len()), Some(FAULT_LEN_MAX));
        remove(&node).await.unwrap();
        assert_eq!(get(&node).unwrap(), None);
    }
}
