//! Storing a friend's message until its signature is checked.

use freehold_mime::header;

use super::{DoneRow, RelayRefusal, ToRow, WaitingRow, key, mail_allowance, recipients_allowance};
use crate::blobs::{Pinned, SMALL_LEN_MAX};
use crate::blocking::try_blocking;
use crate::events::Event;
use crate::friends;
use crate::identity::PersonId;
use crate::mailbox::discard;
use crate::mailbox::from_friend::{check_author, read_header};
use crate::mailbox::queue::{NewRecipient, dsn};
use crate::node::Node;
use crate::profile;
use crate::row;
use crate::shares;
use crate::store::{StoreError, Tx};

/// A friend's message, for recipients to whom it is sent from here.
#[derive(Debug)]
pub struct RelayRequest {
    /// The friend, proven by the connection.
    pub person: PersonId,
    /// The id that the friend's node has chosen.
    pub id: [u8; 16],
    /// The sender in the envelope; empty for a report.
    pub sender: String,
    /// The recipients.
    pub recipients: Vec<NewRecipient>,
    /// The places of those that were left out.
    pub refused: Vec<u16>,
    /// The text as received.
    pub text: Pinned,
}

/// Why a message is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// It is not sent on.
    #[error("the message is not sent on: {0:?}")]
    Refused(RelayRefusal),
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Stores a message until its signature is checked; once this returns, it is durable. One with an
/// id that is known is not stored again.
///
/// # Errors
/// When it is refused; nothing is stored then.
pub async fn take(node: &Node, request: RelayRequest) -> Result<(), RelayError> {
    let (raw, is_file) = (request.text.id, request.text.len > SMALL_LEN_MAX as u64);
    let taken = store(node, request).await;
    if is_file
        && matches!(taken, Err(RelayError::Refused(_)))
        && let Err(error) = discard(node, raw).await
    {
        tracing::warn!(%error, "the file of a refused message is deleted later");
    }
    taken
}

async fn store(node: &Node, request: RelayRequest) -> Result<(), RelayError> {
    let reading = node.clone();
    let (request, authors, trace) = try_blocking(move || {
        let authors = check(&reading, &request)?;
        let trace = trace(&reading, &request)?;
        Ok::<_, RelayError>((request, authors, trace))
    })
    .await?;
    let RelayRequest { person, id, sender, recipients, refused, text } = request;
    let (key, now) = (key(&person, &id).0, node.clock.now());
    let to = |to: NewRecipient| ToRow { address: to.address, notify: to.notify };
    let row = WaitingRow {
        person: person.0,
        sender,
        to: recipients.into_iter().map(to).collect(),
        refused,
        blob: text.id,
        size: text.len,
        arrived: now,
        trace,
        authors,
    };
    let commit = move |tx: &mut Tx<'_>| {
        let is_known = row::get::<DoneRow>(tx, &key.0)?.is_some()
            || row::get::<WaitingRow>(tx, &key.0)?.is_some();
        if is_known {
            return Ok(());
        }
        tx.attach(&text);
        row::put_referring(tx, &key.0, &row, &[row.blob])?;
        let bytes = shares::cost(tx, &[row.size]);
        shares::charge(tx, now, &mail_allowance(person), bytes, 1)?;
        let count = row.to.len() as u64;
        shares::charge(tx, now, &recipients_allowance(person), 0, count)?;
        tx.after(Event::Relay);
        Ok::<_, StoreError>(())
    };
    Ok(node.store.commit(commit).await?)
}

/// Checks the header and returns the authors. Blocks.
fn check(node: &Node, request: &RelayRequest) -> Result<Vec<String>, RelayError> {
    if !friends::is_relayed(node, &request.person)? {
        return Err(RelayError::Refused(RelayRefusal::NotAllowed));
    }
    let (authors, header) = read_header(node, &request.text)?;
    let envelope = Some(&request.sender).filter(|sender| !sender.is_empty());
    for address in authors.iter().chain(envelope) {
        check_author(node, &request.person, address)?;
    }
    let mark = own_mark(node).into_bytes();
    let is_own = |field: &[u8]| field.windows(mark.len()).any(|part| part == mark);
    match header::all(&header, "received").any(is_own) {
        true => Err(RelayError::Refused(RelayRefusal::Loop)),
        false => Ok(authors),
    }
}

/// By this the node knows a message again that it has sent on.
fn own_mark(node: &Node) -> String {
    format!("outgoing host {}", node.identity.node_key())
}

/// The Received field (RFC 5321 4.4) before the text when it is sent. Blocks.
fn trace(node: &Node, request: &RelayRequest) -> Result<String, RelayError> {
    let friend = friends::get(node, &request.person)?;
    let friend = friend.ok_or(RelayError::Refused(RelayRefusal::NotAllowed))?;
    let hostname = profile::get(node)?.map(|owner| owner.domain).unwrap_or_default();
    let id = data_encoding::HEXLOWER.encode(&request.id);
    Ok(format!(
        "Received: from node {}\r\n\
         \tby {hostname} (Freehold, {})\r\n\
         \twith LIBP2P id {id};\r\n\
         \t{}\r\n",
        friend.node,
        own_mark(node),
        dsn::date(node.clock.now())
    ))
}
