//! The text of a message from a friend's node: reading its header, and storing it behind the trace
//! fields. Blocks.
#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

use freehold_mime::{header, header_end, people};

use super::FriendMailError;
use crate::blobs::Pinned;
use crate::keys::PublicKey;
use crate::mailbox::queue::dsn;
use crate::node::Node;
use crate::store::StoreError;

/// The longest header that is read, in bytes, as by SMTP.
const HEADER_LEN_MAX: usize = 128 * 1024;
/// The most Received fields; a message with more is in a mail loop (RFC 5321 6.3).
const RECEIVED_MAX: usize = 100;
/// The most authors.
const AUTHORS_MAX: usize = 10;
/// The size of one read, in bytes.
const PIECE_LEN: usize = 64 * 1024;
/// The fields that this node writes, and no sender: what a friend's node has of them is dropped.
const OWN_FIELDS: [&str; 2] = ["return-path", "authentication-results"];

/// The header of a message that a friend's node has brought.
pub(super) struct ReadHeader {
    /// The addresses in From.
    pub(super) authors: Vec<String>,
    pub(super) header: Vec<u8>,
    /// Where the rest begins.
    end: usize,
}

/// The facts in the trace fields.
pub(super) struct Trace<'a> {
    pub(super) sender: &'a str,
    pub(super) recipients: &'a [String],
    /// The domain of the friend.
    pub(super) domain: &'a str,
    /// The key of the friend's node.
    pub(super) node: PublicKey,
    /// The domain of this node.
    pub(super) hostname: &'a str,
    pub(super) id: &'a [u8; 16],
}

/// Reads and checks the header.
pub(super) fn read(node: &Node, text: &Pinned) -> Result<ReadHeader, FriendMailError> {
    let reader = node.blobs.open(&text.id)?;
    let mut begin = vec![0; HEADER_LEN_MAX];
    let mut len = 0usize;
    while let Some(rest) = begin.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match reader.read_at(len as u64, rest)? {
            0 => break,
            read => len = len.saturating_add(read),
        }
    }
    begin.truncate(len);
    let end = header_end::len(&begin);
    if end >= HEADER_LEN_MAX {
        return Err(FriendMailError::HeaderTooLong);
    }
    let header = begin.get(..end).unwrap_or_default().to_vec();
    if header::all(&header, "received").count() > RECEIVED_MAX {
        return Err(FriendMailError::Loop);
    }
    let authors: Vec<String> =
        people::of(&header, "from", None).into_iter().map(|person| person.address).collect();
    // Each program would show another author.
    let is_one = header::all(&header, "from").count() == 1;
    if !is_one || authors.is_empty() || authors.len() > AUTHORS_MAX {
        return Err(FriendMailError::Spoofed);
    }
    Ok(ReadHeader { authors, header, end })
}

/// Stores the text behind Return-Path and Received (RFC 5321 4.4).
pub(super) fn store(
    node: &Node,
    text: &Pinned,
    read: &ReadHeader,
    trace: &Trace<'_>,
) -> Result<Pinned, StoreError> {
    let mut head = trace_fields(node, trace).into_bytes();
    for line in header::lines(&read.header) {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
        if !OWN_FIELDS.iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes())) {
            head.extend_from_slice(line);
        }
    }
    if read.header.ends_with(b"\n") && header_end::end(&read.header).is_some() {
        head.extend_from_slice(b"\r\n");
    }
    let reader = node.blobs.open(&text.id)?;
    let mut writer = node.blobs.writer(text.len.saturating_add(head.len() as u64))?;
    writer.write(&head)?;
    let (mut piece, mut at) = (vec![0; PIECE_LEN], read.end as u64);
    loop {
        let len = reader.read_at(at, &mut piece)?;
        if len == 0 {
            return writer.finish();
        }
        writer.write(piece.get(..len).unwrap_or_default())?;
        at = at.saturating_add(len as u64);
    }
}

/// `with` names a protocol that is no SMTP (RFC 5321 4.4, Attdl-Protocol).
fn trace_fields(node: &Node, trace: &Trace<'_>) -> String {
    let Trace { sender, recipients, domain, node: key, hostname, id } = trace;
    // With several recipients the clause would reveal them to each other (RFC 5321 7.2).
    let for_clause = match recipients {
        [one] => format!("\r\n\tfor <{one}>"),
        _ => String::new(),
    };
    let id = data_encoding::HEXLOWER.encode(*id);
    format!(
        "Return-Path: <{sender}>\r\n\
         Received: from {domain} (node {key})\r\n\
         \tby {hostname} (Freehold) with LIBP2P id {id}{for_clause};\r\n\
         \t{}\r\n",
        dsn::date(node.clock.now())
    )
}
