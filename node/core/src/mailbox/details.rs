//! Details: what lists, searches and FETCH need of a message, read from its bytes once, at
//! delivery.
//!
//! They have five columns. On disk the details of a message lie in rows of their own under
//! `folder ‖ UID ‖ number` until its page is full; then those of the page are packed, column by
//! column ([`super::columns`]). Details that are too long are not kept: the bytes are read instead.

use std::sync::LazyLock;

use freehold_mime::imap::{Printer, body_structure, envelope};
use freehold_mime::{Structure, date, header, search};
use minicbor::{Decode, Encode};

use super::folders::FolderId;
use super::summary::{self, Summary};
use super::varint;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// The most bytes of the details of a message. A change that moves messages of a page may write the
/// details of two whole pages, of which some are not packed: together less than a MiB.
const DETAILS_LEN_MAX: usize = 7 * 1024;
/// The bytes of details in one row.
const CHUNK_LEN: usize = 4000;
/// The number of rows read at a time.
const ROWS_PER_READ: usize = 128;

/// The header fields that are kept. Programs ask for these when they list a folder.
const FIELDS: [&str; 42] = [
    "authentication-results",
    "auto-submitted",
    "bcc",
    "bimi-indicator",
    "bimi-location",
    "cc",
    "content-description",
    "content-disposition",
    "content-language",
    "content-transfer-encoding",
    "content-type",
    "date",
    "delivered-to",
    "disposition-notification-to",
    "followup-to",
    "from",
    "importance",
    "in-reply-to",
    "lines",
    "list-help",
    "list-id",
    "list-post",
    "list-subscribe",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "message-id",
    "mime-version",
    "newsgroups",
    "precedence",
    "priority",
    "references",
    "reply-to",
    "return-path",
    "sender",
    "subject",
    "to",
    "user-agent",
    "x-label",
    "x-mailer",
    "x-original-to",
    "x-priority",
    "x-spam-status",
];

/// [`FIELDS`] as `header::select` takes them.
static FIELD_NAMES: LazyLock<Vec<String>> =
    LazyLock::new(|| FIELDS.iter().map(|name| (*name).to_owned()).collect());

/// A column of details. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The [`Summary`].
    Summary = 1,
    /// The header fields that programs ask for; [`is_kept`] says which.
    Header = 2,
    /// The printed ENVELOPE (RFC 3501 7.4.2).
    Envelope = 3,
    /// The printed BODY and BODYSTRUCTURE.
    Structure = 4,
    /// The decoded texts of address fields and subject, in lower case.
    Search = 5,
}

impl Column {
    pub(super) const ALL: [Self; 5] =
        [Self::Summary, Self::Header, Self::Envelope, Self::Structure, Self::Search];

    pub(super) fn number(self) -> u8 {
        self as u8
    }

    fn index(self) -> usize {
        usize::from(self.number()).saturating_sub(1)
    }
}

/// Whether a header field is in [`Column::Header`].
pub fn is_kept(field: &str) -> bool {
    let name = field.to_ascii_lowercase();
    FIELDS.binary_search(&name.as_str()).is_ok()
}

/// The details of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Details([Option<Vec<u8>>; 5]);

/// The details of a message, and what else is read from its bytes at delivery.
pub(super) struct Reading {
    pub(super) details: Details,
    pub(super) summary: Summary,
    /// The day of the Date field in the sender's zone, in days since 1970.
    pub(super) sent_day: Option<i64>,
}

/// Part of the details of one message, as they lie in a row.
#[derive(Encode, Decode)]
#[cbor(transparent)]
pub(super) struct ChunkRow(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>);

impl Record for ChunkRow {
    const TABLE: Table = Table::new("mailbox_details");
    const VERSION: u8 = 1;
}

/// Reads a message, well-formed or not.
pub(super) fn read(message: &[u8]) -> Reading {
    let structure = Structure::parse(message);
    let header = structure.header(message, Structure::ROOT);
    let summary = summary::of(message, &structure);
    let mut details = Details::default();
    // In the order of importance: a column that no longer fits is left out.
    let mut left = DETAILS_LEN_MAX;
    let mut keep = |column: Column, value: Vec<u8>| {
        if let Some(rest) = left.checked_sub(value.len())
            && let Some(slot) = details.0.get_mut(column.index())
        {
            left = rest;
            *slot = Some(value);
        }
    };
    keep(Column::Summary, row::encode(Summary::VERSION, &summary));
    keep(Column::Structure, printed_structure(message, &structure));
    keep(Column::Envelope, {
        let mut out = Printer::default();
        envelope::print(&mut out, header);
        out.take()
    });
    keep(Column::Search, search_texts(header));
    keep(Column::Header, header::select(header, &FIELD_NAMES, false));
    let sent_day = header::first(header, "date").and_then(date::parse).map(|date| date.day);
    Reading { details, summary, sent_day }
}

/// The length of BODY, then BODY, then BODYSTRUCTURE.
fn printed_structure(message: &[u8], structure: &Structure) -> Vec<u8> {
    let mut out = Printer::default();
    body_structure::print(&mut out, message, structure, Structure::ROOT, false);
    let body = out.take();
    body_structure::print(&mut out, message, structure, Structure::ROOT, true);
    let mut value = Vec::new();
    varint::put(&mut value, body.len() as u64);
    [value, body, out.take()].concat()
}

/// The fields of [`Column::Search`], in the order in which they are kept.
const SEARCHED: [&str; 5] = ["from", "to", "cc", "bcc", "subject"];
/// The end of a field in [`Column::Search`].
const FIELD_END: char = '\0';

/// For each field of [`SEARCHED`] its values, each after a line feed; an address field also as the
/// envelope has it.
fn search_texts(header: &[u8]) -> Vec<u8> {
    let mut out = String::new();
    for name in SEARCHED {
        for value in header::all(header, name) {
            let text = search::fold(&search::field(value)).replace(FIELD_END, " ");
            out.push('\n');
            out.push_str(&text);
            if name != "subject" {
                let people = search::fold(&search::addresses(value)).replace(FIELD_END, " ");
                if !text.contains(&people) {
                    out.push('\n');
                    out.push_str(&people);
                }
            }
        }
        out.push(FIELD_END);
    }
    out.into_bytes()
}

/// The folded text of a field in a value of [`Column::Search`], empty if the message has no such
/// field; `None` if the field is not in that column.
pub fn searched<'a>(value: &'a [u8], field: &str) -> Option<&'a str> {
    let at = SEARCHED.iter().position(|name| name.eq_ignore_ascii_case(field))?;
    std::str::from_utf8(value).ok()?.split(FIELD_END).nth(at)
}

/// The printed type of a part whose structure earlier versions printed in another form.
const GLOBAL: &[u8] = b"\"message\" \"global\"";

/// BODY and BODYSTRUCTURE in a value of [`Column::Structure`]. `None` if an earlier version may
/// have printed them in another form: with the envelope of a message/global. Then they are printed
/// from the bytes of the message.
pub fn structures(mut value: &[u8]) -> Option<(&[u8], &[u8])> {
    if value.windows(GLOBAL.len()).any(|part| part.eq_ignore_ascii_case(GLOBAL)) {
        return None;
    }
    let len = usize::try_from(varint::take(&mut value)?).ok()?;
    value.split_at_checked(len)
}

impl Details {
    pub(super) fn get(&self, column: Column) -> Option<&[u8]> {
        self.0.get(column.index())?.as_deref()
    }

    pub(super) fn set(&mut self, column: Column, value: Vec<u8>) {
        if let Some(slot) = self.0.get_mut(column.index()) {
            *slot = Some(value);
        }
    }

    /// The summary; `None` if it is missing or damaged.
    pub(super) fn summary(&self) -> Option<Summary> {
        row::decode(Summary::VERSION, self.get(Column::Summary)?).ok()
    }

    /// For each column its length and one, or zero if it was not kept; then its bytes.
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for value in &self.0 {
            let len = value.as_ref().map_or(0, |value| (value.len() as u64).saturating_add(1));
            varint::put(&mut out, len);
            out.extend_from_slice(value.as_deref().unwrap_or_default());
        }
        out
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut details = Self::default();
        for slot in &mut details.0 {
            if let Some(len) = varint::take(&mut bytes)?.checked_sub(1) {
                let (value, rest) = bytes.split_at_checked(usize::try_from(len).ok()?)?;
                *slot = Some(value.to_vec());
                bytes = rest;
            }
        }
        Some(details)
    }

    /// Writes the details of a message whose page is not packed.
    pub(super) fn save(
        &self,
        tx: &mut Tx<'_>,
        folder: FolderId,
        uid: u32,
    ) -> Result<(), StoreError> {
        for (number, chunk) in (0u8..).zip(self.encode().chunks(CHUNK_LEN)) {
            row::put(tx, &key(folder, uid, number), &ChunkRow(chunk.to_vec()))?;
        }
        Ok(())
    }
}

fn key(folder: FolderId, uid: u32, number: u8) -> Vec<u8> {
    row::key(&[&folder.key(), &uid.to_be_bytes(), &[number]])
}

/// The details in rows of their own, of messages with a UID from `first` to `last`, in order.
pub(super) fn unpacked(
    rows: &impl Rows,
    folder: FolderId,
    first: u32,
    last: u32,
) -> Result<Vec<(u32, Details)>, StoreError> {
    let mut found: Vec<(u32, Vec<u8>)> = Vec::new();
    for (key, chunk) in chunks(rows, folder, first, last)? {
        let uid = uid_of(&key);
        match found.last_mut().filter(|(last, _)| *last == uid) {
            Some((_, bytes)) => bytes.extend_from_slice(&chunk.0),
            None => found.push((uid, chunk.0)),
        }
    }
    found
        .into_iter()
        .map(|(uid, bytes)| {
            let details = Details::decode(&bytes).ok_or_else(|| StoreError::Corrupt {
                table: ChunkRow::TABLE.name().to_owned(),
                key: key(folder, uid, 0),
            })?;
            Ok((uid, details))
        })
        .collect()
}

/// Deletes the details of a message in rows of their own.
pub(super) fn delete(tx: &mut Tx<'_>, folder: FolderId, uid: u32) -> Result<(), StoreError> {
    for (key, _) in chunks(tx, folder, uid, uid)? {
        row::delete::<ChunkRow>(tx, &key);
    }
    Ok(())
}

/// As [`unpacked`], and deletes those rows.
pub(super) fn take_unpacked(
    tx: &mut Tx<'_>,
    folder: FolderId,
    first: u32,
    last: u32,
) -> Result<Vec<(u32, Details)>, StoreError> {
    let found = unpacked(tx, folder, first, last)?;
    for (key, _) in chunks(tx, folder, first, last)? {
        row::delete::<ChunkRow>(tx, &key);
    }
    Ok(found)
}

fn uid_of(key: &[u8]) -> u32 {
    u32::from_be_bytes(row::key_part(key, 4))
}

/// The rows of messages with a UID from `first` to `last`.
fn chunks(
    rows: &impl Rows,
    folder: FolderId,
    first: u32,
    last: u32,
) -> Result<Vec<(Vec<u8>, ChunkRow)>, StoreError> {
    let mut found = Vec::new();
    // Sorts before the first row of the first message.
    let mut after = row::key(&[&folder.key(), &first.to_be_bytes()]);
    let limit = usize::try_from(last.saturating_sub(first))
        .unwrap_or(ROWS_PER_READ)
        .saturating_add(4)
        .min(ROWS_PER_READ);
    loop {
        let scan = Scan::prefix(&folder.key(), limit).after(&after);
        let page = row::scan::<ChunkRow>(rows, &scan)?;
        let is_last = page.len() < limit || page.last().is_none_or(|(key, _)| uid_of(key) > last);
        found.extend(page.into_iter().take_while(|(key, _)| uid_of(key) <= last));
        match found.last() {
            Some((key, _)) if !is_last => after.clone_from(key),
            _ => return Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_header_fields_are_found_in_any_case() {
        assert!(FIELDS.is_sorted());
        assert!(is_kept("Message-ID") && is_kept("SUBJECT") && !is_kept("Received"));
    }

    #[test]
    fn older_structure_of_a_global_message_is_not_used() {
        let printed = |kind: &str| {
            let message = format!("Content-Type: message/{kind}\r\n\r\nSubject: s\r\n\r\n");
            read(message.as_bytes()).details.get(Column::Structure).unwrap().to_vec()
        };
        assert!(structures(&printed("rfc822")).is_some());
        assert!(structures(&printed("global")).is_none());
    }

    #[test]
    fn details_of_any_message_are_bounded_and_round_trip() {
        let many = format!("To: {}\r\nSubject: x\r\n\r\n", "a@b.example, ".repeat(2000));
        for message in ["", "Subject: \u{c4}\u{308}\r\nFrom: A <a@b>\r\n\r\nhello", &many] {
            let details = read(message.as_bytes()).details;
            let bytes = details.encode();
            assert!(bytes.len() <= DETAILS_LEN_MAX + 100);
            assert_eq!(Details::decode(&bytes), Some(details.clone()));
            assert!(details.summary().is_some());
        }
        assert_eq!(Details::decode(&[9, 1]), None);
    }
}
