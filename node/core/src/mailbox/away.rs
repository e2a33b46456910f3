//! The answer while the owner is away (RFC 3834).
//!
//! It goes to the envelope's sender, once a week, with the null sender, and only if the message is
//! from a person who can be believed: its author's domain proves it, its only author is the
//! sender, nothing says that a program or a list sent it, and one of the owner's addresses is in To
//! or Cc. So it
//! answers no answer, and nobody can be flooded through it.

use freehold_mime::text::one_line;
use freehold_mime::{header, people, word};
use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use super::junk::Evidence;
use super::queue::{ReportRequest, SendLimits, Submission, SubmitError, dsn, submit};
use super::{IdempotencyKey, senders};
use crate::aliases::{self, Standing};
use crate::blocking::try_blocking;
use crate::clock::Timestamp;
use crate::node::Node;
use crate::profile;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

/// The longest text, in bytes.
pub const AWAY_TEXT_LEN_MAX: usize = 2_000;
/// How much of a subject is repeated, in bytes.
const SUBJECT_LEN_MAX: usize = 200;
const WEEK_MS: u64 = 7 * 24 * 3_600_000;
const DAY_MS: u64 = 24 * 3_600_000;
/// The most answers in a day.
const ANSWERS_PER_DAY: u32 = 100;
/// The most answers in a day to one domain.
const ANSWERS_PER_DOMAIN: u32 = 10;
/// Rows of earlier answers that one answer deletes: more than it adds.
const FORGOTTEN_EACH: usize = 4;
const OWN: &[u8] = b"own";

/// The answer, and to whom it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Away {
    /// The text; empty if nothing is answered.
    #[n(0)]
    pub text: String,
    /// From when on; `None` means at once.
    #[n(1)]
    pub from: Option<Timestamp>,
    /// Until when; `None` means until it is switched off.
    #[n(2)]
    pub until: Option<Timestamp>,
    /// True if only people to whom the owner wrote are answered.
    #[n(3)]
    pub known_only: bool,
}

impl Record for Away {
    const TABLE: Table = Table::new("mailbox_away");
    const VERSION: u8 = 1;
}

impl Away {
    fn is_on(&self, now: Timestamp) -> bool {
        !self.text.trim().is_empty()
            && self.from.is_none_or(|from| from <= now)
            && self.until.is_none_or(|until| now < until)
    }
}

/// Under `time ‖ keyed hash of the sender`.
#[derive(Encode, Decode)]
#[cbor(map)]
struct AnsweredRow {
    /// A keyed hash of the sender's domain.
    #[n(0)]
    domain: ByteArray<16>,
}

impl Record for AnsweredRow {
    const TABLE: Table = Table::new("mailbox_away_answered");
    const VERSION: u8 = 1;
}

/// The answer, if the owner has set one.
///
/// # Errors
/// When the row is damaged or the store is unavailable.
pub fn away(node: &Node) -> Result<Away, StoreError> {
    Ok(row::get::<Away>(&node.store, OWN)?.unwrap_or_default())
}

/// Sets the answer; its text is cut to [`AWAY_TEXT_LEN_MAX`].
///
/// # Errors
/// When the store refuses.
pub async fn set_away(node: &Node, away: Away) -> Result<(), StoreError> {
    let end = away.text.floor_char_boundary(AWAY_TEXT_LEN_MAX);
    let text = away.text.get(..end).unwrap_or_default().to_owned();
    node.store.commit(move |tx| row::put(tx, OWN, &Away { text, ..away })).await
}

/// A message that may be answered.
#[derive(Clone, Debug)]
pub struct Answerable {
    /// Its first author, as its header writes it.
    to: String,
    subject: String,
    message_id: String,
    references: String,
    /// The owner's address that it was for.
    own: String,
}

/// A message with this header, if it may be answered. Blocks.
///
/// # Errors
/// As [`away`].
pub(super) fn answerable(
    node: &Node,
    fields: &[u8],
    sender: &str,
    evidence: Option<&Evidence>,
) -> Result<Option<Answerable>, StoreError> {
    let away = away(node)?;
    let proven = evidence.filter(|evidence| evidence.proven.is_some());
    let (Some(proven), true) = (proven, away.is_on(node.clock.now())) else { return Ok(None) };
    let Some((local, _)) = sender.rsplit_once('@') else { return Ok(None) };
    // A signed message can be sent again, by anybody and with any sender.
    if !matches!(proven.authors.as_slice(), [author] if author.eq_ignore_ascii_case(sender))
        || is_of_a_program(local)
        || is_automatic(fields)
        || aliases::owns(node, sender)?
        || (away.known_only && !senders::is_known(node, sender)?)
    {
        return Ok(None);
    }
    let named = ["to", "cc"].map(|name| people::of(fields, name, None)).concat();
    for person in named {
        let own = match (aliases::standing(node, &person.address)?, profile::get(node)?) {
            (Standing::Owner, Some(owner)) => Some(profile::address(&owner)),
            (Standing::Alias(local), Some(owner)) => Some(aliases::address(&owner, &local)),
            _ => None,
        };
        if let Some(own) = own {
            let value = |name: &str| {
                let value = header::first(fields, name).map(header::unfold).unwrap_or_default();
                String::from_utf8_lossy(&value).trim().to_owned()
            };
            return Ok(Some(Answerable {
                to: sender.to_owned(),
                subject: one_line(
                    &word::decode(value("subject").as_bytes(), None),
                    SUBJECT_LEN_MAX,
                ),
                message_id: value("message-id"),
                references: value("references"),
                own,
            }));
        }
    }
    Ok(None)
}

/// Whether the local part is one that no person reads (RFC 3834 2).
fn is_of_a_program(local: &str) -> bool {
    let local = local.to_ascii_lowercase();
    let is = |name: &str| {
        let rest = local.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '+', '.', '=', '_']))
    };
    local.is_empty()
        || local.starts_with("owner-")
        || local.ends_with("-request")
        || local.ends_with("-bounces")
        || ["mailer-daemon", "postmaster", "noreply", "no-reply", "donotreply", "bounce", "bounces"]
            .into_iter()
            .any(is)
}

/// Values of Precedence that say so of a message that no person sent.
const AUTOMATIC: [&str; 4] = ["bulk", "junk", "list", "auto_reply"];
/// Fields that only programs write.
const PROGRAMS: [&str; 3] = ["x-auto-response-suppress", "x-autoreply", "x-autorespond"];

/// Whether a program or a list sent the message (RFC 3834 2, RFC 2369, RFC 2919), or it is a report
/// (RFC 6522).
fn is_automatic(fields: &[u8]) -> bool {
    let value = |name: &str| {
        let value = header::first(fields, name).map(header::unfold)?;
        let value = String::from_utf8_lossy(&value).trim().to_ascii_lowercase();
        Some(value.split([';', ' ', '(']).next().unwrap_or_default().to_owned())
    };
    let is_list =
        header::fields(fields).any(|field| field.name.to_ascii_lowercase().starts_with(b"list-"));
    is_list
        || value("auto-submitted").is_some_and(|value| value != "no")
        || value("precedence").is_some_and(|value| AUTOMATIC.contains(&&*value))
        || value("content-type").is_some_and(|value| value == "multipart/report")
        || PROGRAMS.iter().any(|name| header::first(fields, name).is_some())
}

/// Answers a message, unless its sender was answered within a week or a hundred others today.
///
/// # Errors
/// As [`submit`].
pub async fn answer(node: &Node, answerable: Answerable) -> Result<bool, SubmitError> {
    let (now, reading, to) = (node.clock.now(), node.clone(), answerable.to.to_lowercase());
    let prepared = try_blocking(move || {
        Ok::<_, StoreError>((
            away(&reading)?,
            profile::get(&reading)?,
            reading.keyed("mailbox.away", to.as_bytes())?,
            reading.keyed("mailbox.away", domain_of(&to).as_bytes())?,
        ))
    });
    let (away, owner, sender, domain) = prepared.await?;
    let Some(owner) = owner else { return Ok(false) };
    if !node.store.commit(move |tx| claim(tx, sender, domain, now)).await? {
        return Ok(false);
    }
    let message = message(node, &owner, &away, &answerable);
    let blobs = node.blobs.clone();
    let blob = try_blocking(move || blobs.put(message.as_bytes())).await?;
    let submission = Submission {
        id: IdempotencyKey::new(node),
        // Nothing is ever reported about an answer (RFC 3834 3.3).
        from: String::new(),
        recipients: vec![answerable.to.into()],
        blob,
        copy_to_sent: false,
        request: ReportRequest::default(),
        limits: SendLimits::NONE,
        not_before: None,
    };
    submit(node, submission).await.map(|_| true)
}

/// The domain of an address, with the `@`.
fn domain_of(address: &str) -> &str {
    address.rfind('@').and_then(|at| address.get(at..)).unwrap_or_default()
}

/// Records that the sender is answered; false if it was, or if too many were today.
fn claim(
    tx: &mut Tx<'_>,
    sender: [u8; 16],
    domain: [u8; 16],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let domain = ByteArray::from(domain);
    let all = Scan::prefix(&[], 8 * ANSWERS_PER_DAY as usize);
    let (mut today, mut of_domain, mut forgotten) = (0u32, 0u32, 0);
    for (key, row) in row::scan::<AnsweredRow>(tx, &all)? {
        let age = now.millis_since(Timestamp(u64::from_be_bytes(row::key_part(&key, 0))));
        if age >= WEEK_MS && forgotten < FORGOTTEN_EACH {
            row::delete::<AnsweredRow>(tx, &key);
            forgotten += 1;
        }
        if age < WEEK_MS && row::key_part::<16>(&key, 8) == sender {
            return Ok(false);
        }
        today += u32::from(age < DAY_MS);
        of_domain += u32::from(age < DAY_MS && row.domain == domain);
    }
    if today >= ANSWERS_PER_DAY || of_domain >= ANSWERS_PER_DOMAIN {
        return Ok(false);
    }
    row::put(tx, &row::key(&[&now.0.to_be_bytes(), &sender]), &AnsweredRow { domain })?;
    Ok(true)
}

/// The answer in the format of RFC 5322.
fn message(node: &Node, owner: &profile::Profile, away: &Away, to: &Answerable) -> String {
    let id = data_encoding::HEXLOWER.encode(&node.random.array::<16>());
    let date = dsn::date(node.clock.now());
    // Only what has the form of Message-IDs is repeated.
    let is_ids = |ids: &str| {
        ids.len() <= 900
            && ids.split_whitespace().all(|id| id.starts_with('<') && id.ends_with('>'))
    };
    let mut thread = String::new();
    if !to.message_id.is_empty() && is_ids(&to.message_id) {
        thread = format!("In-Reply-To: {}\r\n", to.message_id);
        let earlier = Some(&to.references).filter(|ids| is_ids(ids)).map_or("", String::as_str);
        let all: Vec<&str> = earlier.split_whitespace().chain([to.message_id.as_str()]).collect();
        thread.push_str(&format!("References: {}\r\n", all.join("\r\n ")));
    }
    let text = data_encoding::BASE64
        .encode(away.text.replace("\r\n", "\n").replace('\n', "\r\n").as_bytes());
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).unwrap_or_default())
        .collect();
    // A masked address tells nobody the owner's name.
    let name = match aliases::shows_name(&to.own) {
        true => format!("{} ", display_name(&owner.name)),
        false => String::new(),
    };
    format!(
        "From: {}<{}>\r\nTo: <{}>\r\nSubject: {}\r\nDate: {date}\r\nMessage-ID: <{id}@{}>\r\n{thread}\
         Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        name,
        to.own,
        to.to,
        dsn::encoded(&format!("Auto: {}", to.subject)),
        owner.domain,
        lines.join("\r\n"),
    )
}

/// A name before an address (RFC 5322 3.4): quoted if it is ASCII, else in encoded words.
fn display_name(name: &str) -> String {
    match name.is_ascii() && !name.contains("=?") {
        true => format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")),
        false => dsn::encoded(name),
    }
}

#[cfg(test)]
mod tests;
