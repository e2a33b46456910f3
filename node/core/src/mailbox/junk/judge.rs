//! Judging a stranger's message: points for and against it, each with its reason.
//!
//! The owner's word comes first (blocked or allowed senders), then the proof of the author, then
//! what the filter has learnt. Nothing but the owner's word and a domain that disowns the message
//! makes it junk while little was learnt.

use std::net::IpAddr;

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use super::bayes::{self, Counts};
use super::learnt;
use super::listed::{self, Listing};
use super::reputation::{self, grade};
use crate::mailbox::senders;
use crate::node::Node;
use crate::store::StoreError;

/// The points from which on a message is junk.
const JUNK_FROM: i16 = 50;
/// The fewest messages of each class that must be learnt before words count.
const LEARNT_JUNK_MIN: u32 = 20;
const LEARNT_WANTED_MIN: u32 = 50;
/// From so many learnt messages on the filter is sure enough at [`DOUBT_MAX`].
const LEARNT_FULL: u32 = 2000;
/// The largest distance from certainty at which words alone make a message junk.
const DOUBT_MAX: f64 = 0.02;
/// How many words a reason names.
const WORDS_MAX: usize = 5;
/// The longest detail of a reason, in bytes: all reasons of a message are in its row.
const DETAIL_LEN_MAX: usize = 120;
/// The most authors whose reputation and listing is looked up.
const AUTHORS_MAX: usize = 10;

/// A domain that asks to refuse or to quarantine the message (DMARC, RFC 9989).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disowned {
    /// The author's domain.
    pub domain: String,
    /// True if it asks to refuse it.
    pub is_refused: bool,
}

/// The result of the checks of a message's sender.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The address of the server that brought it.
    pub address: IpAddr,
    /// The addresses in From.
    pub authors: Vec<String>,
    /// False if DNS did not answer every question: then a missing proof says nothing.
    pub is_checked: bool,
    /// The domain of the first author, if it proves that it sent the message.
    pub proven: Option<String>,
    /// The domain that says that the message is not from it.
    pub disowned: Option<Disowned>,
    /// The domain that passed the message on with a valid seal (ARC, RFC 8617).
    pub passed_on_by: Option<String>,
    /// True if the server's address has no name, or one of another address (RFC 8601 2.7.3).
    pub has_no_reverse_name: bool,
    /// The block lists (DNSBL, RFC 5782) that have the server's address.
    pub block_lists: Vec<String>,
    /// A field that is in the header more often than a valid signature covers (RFC 6376 8.15).
    pub added_field: Option<String>,
    /// The name of the friend whose node brought it over an authenticated connection; the authors
    /// are at the friend's own domain then, and `address` says nothing.
    pub friend: Option<String>,
}

/// The origin of a message, to which reputations belong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(in crate::mailbox) struct Origin {
    /// The author's address, if proven; lower case.
    #[n(0)]
    pub(super) author: Option<String>,
    /// The author's domain, if proven; lower case.
    #[n(1)]
    pub(super) domain: Option<String>,
    /// A keyed hash of the network of the server.
    #[n(2)]
    pub(super) network: Option<ByteArray<16>>,
}

/// The kind of a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ReasonKind {
    /// The owner blocks the sender, which the detail names.
    #[n(0)]
    Blocked,
    /// The owner allows the sender, which the detail names.
    #[n(1)]
    Allowed,
    /// The owner wrote to the author before.
    #[n(2)]
    Known,
    /// The author's domain is a friend's.
    #[n(3)]
    Friend,
    /// The domain in the detail asks to refuse or quarantine the message.
    #[n(4)]
    Disowned,
    /// The domain in the detail passed it on, and the owner always lets it in.
    #[n(5)]
    PassedOn,
    /// The words and traits; the detail has some of the words that say junk.
    #[n(6)]
    Words,
    /// Earlier messages of the author, whose address is the detail.
    #[n(7)]
    Author,
    /// Earlier messages of the author's domain, which is the detail.
    #[n(8)]
    Domain,
    /// Earlier messages from the network of the server.
    #[n(9)]
    Network,
    /// Nothing proves the author.
    #[n(10)]
    Unproven,
    /// The server has no name.
    #[n(11)]
    NoReverseName,
    /// The block list in the detail has the server.
    #[n(12)]
    BlockList,
    /// The node of the friend in the detail brought it, without SMTP.
    #[n(13)]
    FriendsNode,
    /// The field in the detail was added to a signed message.
    #[n(14)]
    AddedField,
}

/// A reason for a judgement.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct JunkReason {
    /// Its kind.
    #[n(0)]
    pub kind: ReasonKind,
    /// Its points: above zero they say junk. From 50 points in all on a message is junk.
    #[n(1)]
    pub points: i16,
    /// See [`ReasonKind`].
    #[n(2)]
    #[cbor(default)]
    pub detail: String,
}

/// The judgement of a message, and its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Judgement {
    /// True if it was put into Junk.
    #[n(0)]
    pub is_junk: bool,
    /// The reasons, those that decided first.
    #[n(1)]
    #[cbor(default)]
    pub reasons: Vec<JunkReason>,
    #[n(2)]
    #[cbor(default)]
    pub(super) origin: Origin,
}

impl Judgement {
    /// The name of the friend whose node brought the message, without SMTP.
    pub fn friends_node(&self) -> Option<&str> {
        let by_node = |reason: &&JunkReason| reason.kind == ReasonKind::FriendsNode;
        self.reasons.iter().find(by_node).map(|reason| reason.detail.as_str())
    }

    /// Whether the author is proven to be one to whom the owner wrote.
    pub(super) fn is_proven_friend(&self) -> bool {
        let is_known = |reason: &JunkReason| reason.kind == ReasonKind::Known;
        !self.is_junk && self.origin.author.is_some() && self.reasons.iter().any(is_known)
    }
}

/// Judges a message with these tokens. Reads rows, so it blocks.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub(in crate::mailbox) fn judge(
    node: &Node,
    evidence: &Evidence,
    tokens: &[String],
) -> Result<Judgement, StoreError> {
    let mut points = Points::default();
    let origin = origin(node, evidence)?;
    let is_decided = by_owner(node, &evidence.authors, evidence.disowned.is_some(), &mut points)?;
    if let Some(friend) = &evidence.friend {
        points.add(ReasonKind::FriendsNode, -JUNK_FROM, friend);
    } else if !is_decided {
        by_disowning(node, evidence, &mut points)?;
        if !points.has(ReasonKind::Disowned) && is_known(node, evidence)? {
            points.add(ReasonKind::Known, -JUNK_FROM, "");
        } else {
            by_words(node, tokens, &mut points)?;
            by_reputation(node, &origin, &mut points)?;
            by_server(evidence, &mut points);
            by_friendship(node, &origin, &mut points)?;
        }
    }
    let is_junk = points.sum() >= JUNK_FROM;
    let mut reasons = points.reasons;
    // Those that decided come first.
    reasons.sort_by_key(|reason| if is_junk { -reason.points } else { reason.points });
    Ok(Judgement { is_junk, reasons, origin })
}

/// The judgement of a message whose sender was not checked, as one from this machine or through a
/// tunnel that hides the clients: the owner's word against its authors alone. `None` without one.
///
/// # Errors
/// As [`judge`].
pub(in crate::mailbox) fn judge_unchecked(
    node: &Node,
    authors: &[String],
) -> Result<Option<Judgement>, StoreError> {
    let mut points = Points::default();
    // Nothing proves an author, so that nobody is allowed.
    let is_blocked = by_owner(node, authors, true, &mut points)?;
    let origin = Origin::default();
    Ok(is_blocked.then_some(Judgement { is_junk: true, reasons: points.reasons, origin }))
}

/// Whether the owner kept mail from the network of this address, and called almost none of it junk.
///
/// # Errors
/// When the store is unavailable.
pub fn is_good_network(node: &Node, address: IpAddr) -> Result<bool, StoreError> {
    let network = Some(ByteArray::from(senders::network_key(node, address)?));
    let origin = Origin { network, ..Origin::default() };
    Ok(grade(reputation::of(&node.store, &origin)?.network) < 0)
}

#[derive(Default)]
struct Points {
    reasons: Vec<JunkReason>,
}

impl Points {
    fn add(&mut self, kind: ReasonKind, points: i16, detail: impl AsRef<str>) {
        if points != 0 {
            let detail = detail.as_ref();
            let end = detail.floor_char_boundary(DETAIL_LEN_MAX);
            let detail = detail.get(..end).unwrap_or_default().to_owned();
            self.reasons.push(JunkReason { kind, points, detail });
        }
    }

    fn sum(&self) -> i16 {
        self.reasons.iter().fold(0, |sum, reason| sum.saturating_add(reason.points))
    }

    fn has(&self, kind: ReasonKind) -> bool {
        self.reasons.iter().any(|reason| reason.kind == kind)
    }
}

fn origin(node: &Node, evidence: &Evidence) -> Result<Origin, StoreError> {
    let network = match evidence.friend {
        Some(_) => None,
        None => Some(ByteArray::from(senders::network_key(node, evidence.address)?)),
    };
    let author = evidence.proven.as_ref().and(evidence.authors.first());
    Ok(Origin {
        author: author.map(|author| author.to_lowercase()),
        domain: evidence.proven.as_ref().map(|domain| domain.to_lowercase()),
        network,
    })
}

/// The owner's word on the authors. A message is allowed only if all of its authors are, and no
/// domain disowns it.
fn by_owner(
    node: &Node,
    authors: &[String],
    is_disowned: bool,
    points: &mut Points,
) -> Result<bool, StoreError> {
    let mut listed = Vec::new();
    for author in authors.iter().take(AUTHORS_MAX) {
        listed.push(listed::find(&node.store, author)?);
    }
    let is = |wanted: Listing| move |sender: &&listed::ListedSender| sender.listing == wanted;
    if let Some(blocked) = listed.iter().flatten().find(is(Listing::Blocked)) {
        points.add(ReasonKind::Blocked, 2 * JUNK_FROM, blocked.name.clone());
        return Ok(true);
    }
    let all = !listed.is_empty() && listed.iter().all(Option::is_some);
    match listed.iter().flatten().find(is(Listing::Allowed)) {
        // Anyone can write any author: the domain itself says that this is not from it.
        Some(allowed) if all && !is_disowned => {
            points.add(ReasonKind::Allowed, -JUNK_FROM, allowed.name.clone());
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// A domain's wish is honoured, unless a server that the owner always lets in passed the message
/// on: anybody can seal a message, so a good name by earlier messages is not enough.
fn by_disowning(node: &Node, evidence: &Evidence, points: &mut Points) -> Result<(), StoreError> {
    let Some(disowned) = &evidence.disowned else { return Ok(()) };
    let wish = if disowned.is_refused { 2 * JUNK_FROM } else { JUNK_FROM + 20 };
    points.add(ReasonKind::Disowned, wish, disowned.domain.clone());
    if let Some(sealer) = &evidence.passed_on_by
        && let Some(listed) = listed::find(&node.store, &format!("list@{sealer}"))?
        && listed.listing == Listing::Allowed
    {
        points.add(ReasonKind::PassedOn, -wish, sealer.clone());
    }
    Ok(())
}

/// Whether the owner wrote to all of the authors.
fn is_known(node: &Node, evidence: &Evidence) -> Result<bool, StoreError> {
    for author in evidence.authors.iter().take(AUTHORS_MAX) {
        if !senders::is_known(node, author)? {
            return Ok(false);
        }
    }
    Ok(!evidence.authors.is_empty() && evidence.authors.len() <= AUTHORS_MAX)
}

fn by_words(node: &Node, tokens: &[String], points: &mut Points) -> Result<(), StoreError> {
    let learnt = learnt::all(&node.store)?.messages;
    if learnt.junk < LEARNT_JUNK_MIN || learnt.wanted < LEARNT_WANTED_MIN {
        return Ok(());
    }
    let keys = learnt::keys(&node.store, tokens)?;
    let probability = bayes::combine(&learnt::counts(&node.store, &keys)?, learnt);
    let says_junk = probability.strongest.iter().filter_map(|at| tokens.get(*at));
    // Traits have a colon.
    let words = says_junk.filter(|token| !token.contains(':')).take(WORDS_MAX);
    let words: Vec<&str> = words.map(String::as_str).collect();
    match word_points(probability.junk, learnt) {
        found if found > 0 => points.add(ReasonKind::Words, found, words.join(", ")),
        // Words don't save a message that its domain disowns.
        found if !points.has(ReasonKind::Disowned) => points.add(ReasonKind::Words, found, ""),
        _ => {}
    }
    Ok(())
}

/// The points of a probability. The less was learnt, the surer the words must be.
fn word_points(probability: f64, learnt: Counts) -> i16 {
    let messages = learnt.junk.saturating_mul(2).min(learnt.wanted).min(LEARNT_FULL);
    let doubt = DOUBT_MAX * (f64::from(messages) / f64::from(LEARNT_FULL)).powi(2);
    match probability {
        junk if junk >= 1.0 - doubt => JUNK_FROM,
        junk if junk >= 1.0 - 5.0 * doubt => 25,
        junk if junk <= doubt => -40,
        junk if junk <= 5.0 * doubt => -20,
        _ => 0,
    }
}

fn by_reputation(node: &Node, origin: &Origin, points: &mut Points) -> Result<(), StoreError> {
    let found = reputation::of(&node.store, origin)?;
    let author = origin.author.clone().unwrap_or_default();
    // Five of an author's messages in Junk speak for themselves.
    points.add(ReasonKind::Author, 25 * grade(found.author), author);
    // A large provider has authors of both kinds: its good name does not vouch for a new one.
    let domain = grade(found.domain);
    let domain_points = if domain > 0 { 15 * domain } else { 5 * domain };
    points.add(ReasonKind::Domain, domain_points, origin.domain.clone().unwrap_or_default());
    points.add(ReasonKind::Network, 5 * grade(found.network), "");
    Ok(())
}

fn by_server(evidence: &Evidence, points: &mut Points) {
    if evidence.is_checked && evidence.proven.is_none() {
        points.add(ReasonKind::Unproven, 10, "");
    }
    if evidence.is_checked && evidence.has_no_reverse_name {
        points.add(ReasonKind::NoReverseName, 10, "");
    }
    if let Some(field) = &evidence.added_field {
        points.add(ReasonKind::AddedField, 25, field);
    }
    for list in &evidence.block_lists {
        points.add(ReasonKind::BlockList, 40, list.clone());
    }
}

/// A friend's domain, proven, is never junk. Reads the identity logs of all friends, so only when
/// it matters.
fn by_friendship(node: &Node, origin: &Origin, points: &mut Points) -> Result<(), StoreError> {
    if let Some(domain) = &origin.domain
        && points.sum() >= JUNK_FROM
        && !points.has(ReasonKind::Disowned)
        && senders::is_domain_of_friend(node, domain)?
    {
        let sum = points.sum();
        points.add(ReasonKind::Friend, -sum, domain.clone());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
