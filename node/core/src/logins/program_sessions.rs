//! Sessions of mail programs. Each keeps its app password and looks the row up before each command,
//! so that a revoked or expired password ends it. Nothing of it is stored: it ends with its
//! connection.

use std::net::IpAddr;

use super::apps::{self, AppClient, AppPasswordId, AppScope, Verified};
use super::scram::ScramProof;
use super::{LoginError, Protocol};
use crate::clock::Timestamp;
use crate::node::{EndSignal, Node, OpenSession};
use crate::store::StoreError;

/// The session of a mail program; it is listed until this is dropped.
pub struct ProgramSession {
    node: Node,
    number: u64,
    key: [u8; 16],
    app_password: AppPasswordId,
    client: AppClient,
    end: EndSignal,
}

/// A session of a mail program as its owner sees it in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedProgram {
    /// Its number in this process.
    pub number: u64,
    /// The label of its app password.
    pub label: String,
    /// `imap` or `smtp`.
    pub protocol: &'static str,
    /// The client's address.
    pub address: IpAddr,
    /// The time of the login.
    pub created: Timestamp,
}

/// Why the login of a mail program was refused. The limits of an app password are told only to a
/// client that has it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramLoginError {
    /// Unknown user or wrong password, too many of them, or the store's own error.
    #[error(transparent)]
    Refused(#[from] LoginError),
    /// The app password has expired.
    #[error("the app password has expired; make a new one")]
    Expired,
    /// The app password is for another protocol.
    #[error("this app password is for {}", match .0 {
        AppScope::Both => "mail programs only",
        AppScope::Read => "reading mail only",
        AppScope::Send => "sending mail only",
    })]
    OutOfScope(AppScope),
}

impl From<StoreError> for ProgramLoginError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

/// Logs in a mail program at `address` with an app password.
///
/// # Errors
/// As [`ProgramLoginError`].
pub async fn log_in_program(
    node: &Node,
    user: &str,
    password: &str,
    protocol: Protocol,
    address: IpAddr,
) -> Result<ProgramSession, ProgramLoginError> {
    let verified = apps::verify_password(node, user, password, address.into()).await?;
    open(node, &verified, protocol, address).await
}

/// A client that has proven by SCRAM which app password it has, and is not logged in yet: it may
/// still refuse the server.
pub struct ProvenProgram {
    verified: Verified,
    protocol: Protocol,
    address: IpAddr,
    /// The ServerSignature, by which the client verifies the server (RFC 5802 section 3).
    pub server_signature: [u8; 32],
}

/// Checks the proof of a mail program at `address`.
///
/// # Errors
/// As [`ProgramLoginError`].
pub async fn prove_program(
    node: &Node,
    proof: ScramProof,
    protocol: Protocol,
    address: IpAddr,
) -> Result<ProvenProgram, ProgramLoginError> {
    let (verified, server_signature) = apps::verify_proof(node, proof, address.into()).await?;
    verified.permit(protocol, node.clock.now())?;
    Ok(ProvenProgram { verified, protocol, address, server_signature })
}

impl ProvenProgram {
    /// Logs the program in.
    ///
    /// # Errors
    /// As [`ProgramLoginError`]: the password may have been revoked or have expired since.
    pub async fn log_in(self, node: &Node) -> Result<ProgramSession, ProgramLoginError> {
        open(node, &self.verified, self.protocol, self.address).await
    }
}

async fn open(
    node: &Node,
    verified: &Verified,
    protocol: Protocol,
    address: IpAddr,
) -> Result<ProgramSession, ProgramLoginError> {
    let now = node.clock.now();
    verified.permit(protocol, now)?;
    let address = address.to_canonical();
    let client = AppClient { protocol, address: address.to_string() };
    apps::record_use(node, verified, Some(client.clone())).await?;
    let (key, app_password, end) = (verified.key, verified.id, EndSignal::default());
    let number = node.logins.program_sessions.open(OpenSession {
        app_password: app_password.0,
        protocol: protocol.name(),
        address,
        created: now,
        expires: verified.limits.expires,
        end: end.clone(),
    });
    let session = ProgramSession { node: node.clone(), number, key, app_password, client, end };
    // A revocation since the check has not found the session.
    if session.is_valid()? { Ok(session) } else { Err(LoginError::Wrong.into()) }
}

impl ProgramSession {
    /// Whether the session may go on: nobody has ended it, and its app password was not revoked and
    /// has not expired. Reads one row.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub fn is_valid(&self) -> Result<bool, StoreError> {
        Ok(!self.end.is_ended() && apps::is_valid(&self.node, &self.key, self.app_password)?)
    }

    /// Records that the session's app password is in use, at most once an hour. Nothing is recorded
    /// for a revoked password.
    ///
    /// # Errors
    /// When the store is unavailable; a full disk is none.
    pub async fn record_use(&self) -> Result<(), StoreError> {
        apps::renew_use(&self.node, self.key, self.app_password, self.client.clone()).await
    }

    /// The signal that the session was ended.
    pub fn end_signal(&self) -> EndSignal {
        self.end.clone()
    }
}

impl Drop for ProgramSession {
    fn drop(&mut self) {
        self.node.logins.program_sessions.close(self.number);
    }
}

/// The open sessions of mail programs, the newest first.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn program_sessions(node: &Node) -> Result<Vec<ListedProgram>, StoreError> {
    let apps = apps::app_passwords(node)?;
    let mut listed: Vec<ListedProgram> = node
        .logins
        .program_sessions
        .all()
        .into_iter()
        .filter(|(_, session)| !session.end.is_ended())
        .map(|(number, session)| ListedProgram {
            number,
            label: apps
                .iter()
                .find(|app| app.id.0 == session.app_password)
                .map(|app| app.label.clone())
                .unwrap_or_default(),
            protocol: session.protocol,
            address: session.address,
            created: session.created,
        })
        .collect();
    listed.sort_by_key(|listed| std::cmp::Reverse((listed.created, listed.number)));
    Ok(listed)
}

/// Ends the session with this number. The program may log in again as long as its password is
/// valid.
pub fn end_program_session(node: &Node, number: u64) {
    node.logins.program_sessions.end(|open, _| open == number);
}

/// Ends the sessions whose app password has expired. They are refused their next command anyway;
/// this ends those that wait.
pub fn end_expired_program_sessions(node: &Node) {
    let now = node.clock.now();
    let is_expired = |at: Timestamp| now >= at;
    node.logins.program_sessions.end(|_, session| session.expires.is_some_and(is_expired));
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::logins::{create_app_password, revoke_app_password, set_password};
    use crate::testing::TestNode;

    #[tokio::test]
    async fn program_session_ends_with_its_app_password() {
        let alice = TestNode::new("alice").await;
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (phone, one) = create_app_password(&alice, "phone").await.unwrap();
        let (_, two) = create_app_password(&alice, "laptop").await.unwrap();
        let open = |password: String| {
            let node = Node::clone(&alice);
            async move { log_in_program(&node, "alice", &password, Protocol::Imap, here).await }
        };
        let (stolen, kept) = (open(one.clone()).await.unwrap(), open(two.clone()).await.unwrap());
        assert_eq!(program_sessions(&alice).unwrap().len(), 2);
        let end = stolen.end_signal();
        revoke_app_password(&alice, phone.id).await.unwrap();
        end.ended().await;
        assert_eq!((stolen.is_valid(), kept.is_valid()), (Ok(false), Ok(true)));
        assert!(open(one).await.is_err());
        let listed = program_sessions(&alice).unwrap();
        assert_eq!((listed.len(), listed[0].label.as_str()), (1, "laptop"));
        end_program_session(&alice, listed[0].number);
        assert_eq!(kept.is_valid(), Ok(false));
        let again = open(two).await.unwrap();
        set_password(&alice, "another long one").await.unwrap();
        assert_eq!(again.is_valid(), Ok(false));
        drop((stolen, kept, again));
        assert_eq!(program_sessions(&alice).unwrap(), []);
    }
}
