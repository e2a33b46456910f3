//! Delivery status notifications (DSN, RFC 3464, RFC 6533), a multipart/report (RFC 6522): what
//! became of a message, for each recipient about whom its sender wants to know.

use data_encoding::{BASE64, HEXLOWER};
use freehold_mime::text::one_line as shown;
use freehold_mime::{header, word};

use super::notify::{ReportRequest, utf8_decoded, xtext_decoded};
use crate::blobs::Pinned;
use crate::clock::Timestamp;
use crate::node::Node;
use crate::store::{BlobId, StoreError};

/// How much of the original message's header is returned, in bytes.
const HEADER_LEN_MAX: usize = 16 * 1024;
/// How much of a subject is repeated, in bytes.
const SUBJECT_LEN_MAX: usize = 200;
/// The text of one encoded word (RFC 2047 2), in bytes before base64.
const ENCODED_WORD_LEN: usize = 42;
/// The size of one read, in bytes.
const PIECE_LEN: usize = 64 * 1024;

/// The event that is reported (RFC 3464 2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Failed,
    Delayed,
    Delivered,
    /// Accepted by a server that does not report itself.
    Relayed,
}

impl Action {
    /// In the order of a report.
    const ALL: [Self; 4] = [Self::Failed, Self::Delayed, Self::Delivered, Self::Relayed];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Failed => "Not delivered",
            Self::Delayed => "Not delivered yet",
            Self::Delivered => "Delivered",
            Self::Relayed => "Passed on",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Failed => "could not be delivered to:",
            Self::Delayed => "is not delivered yet; further attempts are made for:",
            Self::Delivered => "was delivered to:",
            Self::Relayed => "was passed on to a server that sends no further report, for:",
        }
    }

    /// The status if the reply has none of the action's class.
    fn status(self) -> &'static str {
        match self {
            Self::Failed => "5.0.0",
            Self::Delayed => "4.0.0",
            Self::Delivered | Self::Relayed => "2.0.0",
        }
    }

    /// A failure after many attempts keeps the status of the last one.
    fn has_class(self, class: u8) -> bool {
        match self {
            Self::Failed => matches!(class, b'4' | b'5'),
            Self::Delayed => class == b'4',
            Self::Delivered | Self::Relayed => class == b'2',
        }
    }
}

/// The event for one recipient.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) address: String,
    /// ORCPT as given.
    pub(super) original: Option<String>,
    pub(super) action: Action,
    /// The last reply of its server.
    pub(super) reply: String,
    /// The type of the reply (RFC 3464 2.3.6); `None` for one that no server gave.
    pub(super) diagnostic: Option<&'static str>,
}

/// A report to be written.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// The domain of this node.
    pub(super) domain: String,
    /// The address that gets the report.
    pub(super) to: String,
    /// The report goes into the owner's mailbox at once: final delivery adds Return-Path, here the
    /// null one (RFC 5321 4.4).
    pub(super) is_delivered_here: bool,
    pub(super) request: ReportRequest,
    /// When the message came to this node.
    pub(super) arrival: Timestamp,
    /// The message.
    pub(super) blob: BlobId,
    pub(super) entries: Vec<Entry>,
}

/// Writes a report and returns its bytes' blob; lines end in CRLF. Blocks.
#[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
pub(super) fn write(node: &Node, report: &Report) -> Result<Pinned, StoreError> {
    let now = node.clock.now();
    let boundary = HEXLOWER.encode(&node.random.array::<16>());
    let original = header_of(node, report.blob)?;
    let reader = node.blobs.open(&report.blob)?;
    let is_failure = report.entries.iter().any(|entry| entry.action == Action::Failed);
    let is_full = report.request.return_full && is_failure;
    let mut head = top(node, report, &original, &boundary, now);
    head.push_str(&status_part(report, &boundary, now));
    // The body of a whole message may have 8-bit data that is not looked at.
    let (kind, encoding) = match (is_full, original.is_ascii()) {
        (true, true) => ("message/rfc822", "8bit"),
        (true, false) => ("message/global", "8bit"),
        (false, true) => ("text/rfc822-headers", "7bit"),
        (false, false) => ("message/global-headers", "8bit"),
    };
    head.push_str(&format!(
        "\r\n--{boundary}\r\nContent-Type: {kind}\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n"
    ));
    let end = format!("\r\n--{boundary}--\r\n");
    if !is_full {
        let text = format!("{head}{original}{end}");
        return node.blobs.put(text.as_bytes());
    }
    let len = reader.len().saturating_add((head.len() + end.len()) as u64);
    let mut writer = node.blobs.writer(len)?;
    writer.write(head.as_bytes())?;
    let mut piece = vec![0; PIECE_LEN];
    let mut at = 0u64;
    loop {
        let len = reader.read_at(at, &mut piece)?;
        if len == 0 {
            break;
        }
        writer.write(piece.get(..len).unwrap_or_default())?;
        at = at.saturating_add(len as u64);
    }
    writer.write(end.as_bytes())?;
    writer.finish()
}

/// The header and the text for people.
fn top(node: &Node, report: &Report, original: &str, boundary: &str, now: Timestamp) -> String {
    let message_id = HEXLOWER.encode(&node.random.array::<16>());
    let (domain, to, date) = (&report.domain, &report.to, date(now));
    let subject = header::first(original.as_bytes(), "subject").unwrap_or_default();
    let subject = shown(&word::decode(subject, None), SUBJECT_LEN_MAX);
    let of = |action: Action| report.entries.iter().filter(move |entry| entry.action == action);
    let title = Action::ALL.into_iter().find(|action| of(*action).next().is_some());
    let title = title.map_or("Report", Action::title);
    let titled = if subject.is_empty() { title.to_owned() } else { format!("{title}: {subject}") };
    let name = if subject.is_empty() { String::new() } else { format!(" “{subject}”") };
    let return_path = if report.is_delivered_here { "Return-Path: <>\r\n" } else { "" };
    let mut text = format!(
        "{return_path}From: Mail delivery <postmaster@{domain}>\r\nTo: <{to}>\r\nSubject: {}\r\nDate: {date}\r\n\
         Message-ID: <{message_id}@{domain}>\r\n\
         Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; \
         boundary=\"{boundary}\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n",
        encoded(&titled)
    );
    for action in Action::ALL {
        let mut entries = of(action).peekable();
        if entries.peek().is_none() {
            continue;
        }
        let created = self::date(report.arrival);
        text.push_str(&format!("Your message{name} of {created} {}\r\n\r\n", action.sentence()));
        for entry in entries {
            let (address, reply) = (one_line(&entry.address), one_line(&entry.reply));
            text.push_str(&format!("  {address}\r\n    {reply}\r\n"));
        }
        text.push_str("\r\n");
    }
    text
}

/// The part for programs: `message/delivery-status`, or its form for addresses beyond ASCII (RFC
/// 6533 4.1).
fn status_part(report: &Report, boundary: &str, now: Timestamp) -> String {
    let mut fields = format!("Reporting-MTA: dns; {}\r\n", report.domain);
    if let Some(id) = &report.request.envelope_id {
        fields.push_str(&format!("Original-Envelope-Id: {}\r\n", one_line(id)));
    }
    fields.push_str(&format!("Arrival-Date: {}\r\n", date(report.arrival)));
    for entry in &report.entries {
        fields.push_str("\r\n");
        if let Some((kind, address)) = entry.original.as_deref().and_then(original_recipient) {
            fields.push_str(&format!("Original-Recipient: {kind}; {}\r\n", one_line(&address)));
        }
        let kind = if entry.address.is_ascii() { "rfc822" } else { "utf-8" };
        let (address, reply) = (one_line(&entry.address), one_line(&entry.reply));
        fields.push_str(&format!(
            "Final-Recipient: {kind}; {address}\r\nAction: {}\r\nStatus: {}\r\n",
            entry.action.name(),
            status(&entry.reply, entry.action)
        ));
        if let Some(kind) = entry.diagnostic.filter(|_| !reply.is_empty()) {
            fields.push_str(&format!("Diagnostic-Code: {kind}; {reply}\r\n"));
        }
        fields.push_str(&format!("Last-Attempt-Date: {}\r\n", date(now)));
    }
    let kind = if fields.is_ascii() { "delivery-status" } else { "global-delivery-status" };
    let encoding = if fields.is_ascii() { "" } else { "Content-Transfer-Encoding: 8bit\r\n" };
    format!("--{boundary}\r\nContent-Type: message/{kind}\r\n{encoding}\r\n{fields}")
}

/// The type and the address of an ORCPT.
fn original_recipient(given: &str) -> Option<(&str, String)> {
    let (kind, address) = given.split_once(';')?;
    let address = xtext_decoded(address)?;
    let is_utf8 = kind.eq_ignore_ascii_case("utf-8");
    Some((kind, if is_utf8 { utf8_decoded(&address) } else { address }))
}

/// A text of a header field: as it is if it is ASCII, else in encoded words (RFC 2047).
pub(in crate::mailbox) fn encoded(text: &str) -> String {
    if text.is_ascii() && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(ENCODED_WORD_LEN));
        words.push(format!("=?utf-8?B?{}?=", BASE64.encode(piece.as_bytes())));
        rest = after;
    }
    words.join("\r\n ")
}

/// A date in the format of RFC 5322 3.3, in UTC.
pub(in crate::mailbox) fn date(at: Timestamp) -> String {
    let zoned = i64::try_from(at.0)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .unwrap_or_default();
    zoned.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// The enhanced status code of a reply (RFC 3463), if it fits the action.
fn status(reply: &str, action: Action) -> String {
    let is_status = |word: &&str| {
        let parts: Vec<&str> = word.split('.').collect();
        parts.len() == 3
            && parts
                .iter()
                .all(|p| !p.is_empty() && p.len() <= 3 && p.bytes().all(|b| b.is_ascii_digit()))
    };
    reply
        .split_ascii_whitespace()
        .take(3)
        .find(is_status)
        .filter(|status| status.bytes().next().is_some_and(|class| action.has_class(class)))
        .unwrap_or(action.status())
        .to_owned()
}

/// A text from outside on one line, so that it adds no header field.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
fn header_of(node: &Node, blob: BlobId) -> Result<String, StoreError> {
    let mut start = vec![0; HEADER_LEN_MAX];
    let len = node.blobs.open(&blob)?.read_at(0, &mut start)?;
    start.truncate(len);
    let text = String::from_utf8_lossy(&start);
    let end = text.find("\r\n\r\n").or_else(|| text.rfind("\r\n")).unwrap_or(0);
    Ok(format!("{}\r\n", text.get(..end).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_fits_its_action() {
        for (reply, action, expected) in [
            ("550 5.1.1 no such user", Action::Failed, "5.1.1"),
            ("550", Action::Failed, "5.0.0"),
            ("451 4.4.1 tried for 48 hours", Action::Failed, "4.4.1"),
            ("550 2.0.0 odd", Action::Failed, "5.0.0"),
            ("250 2.1.5 ok", Action::Relayed, "2.1.5"),
            ("250 ok", Action::Delivered, "2.0.0"),
            ("451 4.7.1.2 no", Action::Delayed, "4.0.0"),
        ] {
            assert_eq!(status(reply, action), expected, "{reply}");
        }
    }

    #[test]
    fn long_subject_is_encoded_in_words() {
        assert_eq!(encoded("Tide"), "Tide");
        let encoded = encoded(&"ш".repeat(90));
        assert!(encoded.lines().all(|line| line.len() <= 76), "{encoded}");
        let unfolded = header::unfold(encoded.as_bytes());
        assert_eq!(word::decode(&unfolded, None), "ш".repeat(90));
    }
}
