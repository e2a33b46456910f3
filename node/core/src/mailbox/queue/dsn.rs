//! The delivery status notification of failed recipients (DSN, RFC 3464), a multipart/report (RFC
//! 6522).

use data_encoding::HEXLOWER;

use super::{QueuedMessage, Recipient};
use crate::clock::Timestamp;
use crate::node::Node;
use crate::profile::{self, Profile};
use crate::store::StoreError;

/// How much of the original message's header is returned, in bytes.
const HEADER_LEN_MAX: usize = 16 * 1024;

/// The DSN about `failed` recipients of `item`, with the original header; lines end in CRLF.
pub(super) fn text(
    node: &Node,
    owner: &Profile,
    item: &QueuedMessage,
    failed: &[Recipient],
    now: Timestamp,
) -> Result<String, StoreError> {
    let boundary = HEXLOWER.encode(&node.random.array::<16>());
    let message_id = HEXLOWER.encode(&node.random.array::<16>());
    let (domain, to, date) = (&owner.domain, profile::address(owner), date(now));
    let original = header(node, item)?;
    let mut recipients = String::new();
    let mut fields = String::new();
    for recipient in failed {
        let (address, reply) = (one_line(&recipient.address), one_line(&recipient.last_reply));
        recipients.push_str(&format!("  {address}\r\n    {reply}\r\n"));
        let status = status(&recipient.last_reply);
        fields.push_str(&format!(
            "\r\nFinal-Recipient: rfc822; {address}\r\nAction: failed\r\nStatus: {status}\r\nDiagnostic-Code: smtp; {reply}\r\nLast-Attempt-Date: {date}\r\n"
        ));
    }
    let created = self::date(item.created);
    Ok(format!(
        "From: Mail delivery <postmaster@{domain}>\r\nTo: <{to}>\r\nSubject: Not delivered\r\nDate: {date}\r\nMessage-ID: <{message_id}@{domain}>\r\n\
         Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         Your message of {created} could not be delivered to:\r\n\r\n{recipients}\r\nIts header is below; the message itself is still in Sent if a copy was kept.\r\n\
         \r\n--{boundary}\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; {domain}\r\nArrival-Date: {created}\r\n{fields}\
         \r\n--{boundary}\r\nContent-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{original}\r\n--{boundary}--\r\n"
    ))
}

/// A date in the format of RFC 5322 3.3, in UTC.
fn date(at: Timestamp) -> String {
    let zoned = i64::try_from(at.0)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .unwrap_or_default();
    zoned.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// The enhanced status code of a reply (RFC 3463), or 5.0.0 (permanent failure, undefined status).
fn status(reply: &str) -> String {
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
        .filter(|s| s.starts_with('5'))
        .unwrap_or("5.0.0")
        .to_owned()
}

/// A text from outside on one line, so that it adds no header field.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn header(node: &Node, item: &QueuedMessage) -> Result<String, StoreError> {
    let mut start = vec![0; HEADER_LEN_MAX];
    let len = node.blobs.open(&item.blob)?.read_at(0, &mut start)?;
    start.truncate(len);
    let text = String::from_utf8_lossy(&start);
    let end = text.find("\r\n\r\n").or_else(|| text.rfind("\r\n")).unwrap_or(0);
    Ok(format!("{}\r\n", text.get(..end).unwrap_or_default()))
}
