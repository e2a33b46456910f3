//! The open message as the page shows it.

use freehold_core::mailbox::queue::NOT_DELIVERED;
use freehold_core::mailbox::{self, Message, SpecialUse, Summary};
use freehold_mime::people::{self, Person};
use freehold_mime::structure::HEADER_LEN_MAX;
use freehold_mime::{Structure, content};

use super::targets;
use crate::avatar::Avatar;
use crate::dates;
use crate::mailbox::blocks::{self, Attachment, Block, Blocks};
use crate::mailbox::came_for::{self, Addresses};
use crate::mailbox::compose::{draft, reply};
use crate::mailbox::host_names::honest_address;
use crate::mailbox::leave::Leaving;
use crate::mailbox::named_people;
use crate::mailbox::parsed::{ParsedMessage, header_of, parsed};
use crate::mailbox::picture_senders::{self, AlwaysPictures};
use crate::mailbox::pictures;
use crate::mailbox::proof::Proof;
use crate::mailbox::queue::{self, RecipientStatus};
use crate::mailbox::unsubscribe::List;
use crate::mailbox::why::Why;
use crate::problem::Problem;
use crate::site::Site;

/// Most people of Reply-To that are named.
const NAMED_MAX: usize = 8;
/// If the `Date` header and the arrival differ by more than this, both are shown, in milliseconds.
const DATE_GAP_MS: u64 = 60 * 60 * 1000;

/// The open message as the template shows it.
pub(super) struct OpenMessage {
    pub(super) uid: u32,
    pub(super) subject: String,
    pub(super) avatar: Avatar,
    pub(super) name: String,
    pub(super) address: String,
    /// The sender's address as written; empty without one.
    pub(super) sender: String,
    pub(super) to: String,
    /// The recipients of copies; empty if there are none.
    pub(super) cc: String,
    /// The owner's address that it came for, if it is not the first one; else empty.
    pub(super) came_for: String,
    /// The people to whom an answer goes, if they are not the sender; else empty.
    pub(super) reply_to: String,
    /// The authors after the first; empty if there is one.
    pub(super) authors: String,
    /// True if the sender's name has the form of an address and there is no address.
    pub(super) has_address_in_name: bool,
    /// True if not all of its header is read.
    pub(super) has_long_header: bool,
    /// True if an answer can go to more than one person.
    pub(super) has_others: bool,
    pub(super) when: String,
    pub(super) machine_time: String,
    /// `None` if the message is too long to be shown.
    pub(super) blocks: Option<Vec<ShownBlock>>,
    pub(super) attachments: Vec<Attachment>,
    /// The date of the `Date` header, if it differs from the arrival.
    pub(super) written: Option<String>,
    /// True in the folders Sent and Drafts.
    pub(super) is_own: bool,
    /// True but for drafts and reports of mail servers.
    pub(super) can_be_answered: bool,
    /// True but for drafts.
    pub(super) can_be_forwarded: bool,
    /// True if an answer can go to a mailing list.
    pub(super) has_list: bool,
    /// True for a draft that the form can show.
    pub(super) can_be_continued: bool,
    /// The state of delivery for each recipient; empty once all have it.
    pub(super) delivery: Vec<RecipientStatus>,
    /// True if it did not reach every recipient.
    pub(super) has_failed: bool,
    pub(super) proof: Proof,
    pub(super) why: Why,
    /// The sender's domain, if the sender can be let in or kept out; else empty.
    pub(super) listable_domain: String,
    /// How to leave its mailing list.
    pub(super) leaving: Option<Leaving>,
    /// The grant of pictures from elsewhere; empty without one.
    pub(super) pictures: String,
    pub(super) always_pictures: AlwaysPictures,
    /// The folders to which it can be moved: form value and label.
    pub(super) targets: Vec<(&'static str, &'static str)>,
}

impl OpenMessage {
    /// True if its HTML has pictures from elsewhere.
    pub(super) fn has_remote(&self) -> bool {
        let is_remote = |shown: &ShownBlock| match shown.block {
            Block::Html { remote_images, .. } => remote_images > 0,
            _ => false,
        };
        self.blocks.as_ref().is_some_and(|blocks| blocks.iter().any(is_remote))
    }
}

/// A block with the address of its picture.
pub(in crate::mailbox) struct ShownBlock {
    pub(in crate::mailbox) block: Block,
    pub(in crate::mailbox) picture: String,
}

/// The blocks of a message with the addresses of their pictures.
pub(in crate::mailbox) fn shown(
    site: &Site,
    message: &Message,
    blocks: Vec<Block>,
) -> Result<Vec<ShownBlock>, Problem> {
    let mut shown = Vec::with_capacity(blocks.len());
    for block in blocks {
        let picture = match &block {
            Block::Picture { place, .. } => pictures::address(site, message, *place)?,
            _ => String::new(),
        };
        shown.push(ShownBlock { block, picture });
    }
    Ok(shown)
}

/// The people of a message and its blocks.
#[derive(Default)]
struct Parts {
    from: Vec<Person>,
    to: Vec<Person>,
    cc: Vec<Person>,
    reply_to: Vec<Person>,
    blocks: Blocks,
    has_long_header: bool,
    is_report: bool,
    is_plain: bool,
    has_list: bool,
    list: Option<List>,
    addresses: Addresses,
    proof: Proof,
}

impl Parts {
    /// Those of the header alone, for a message that is too long to be parsed.
    fn of_header(fields: &[u8], charset: Option<&str>) -> Self {
        let people = |name: &str| people::of(fields, name, charset);
        let from = people::first(fields, "from", charset);
        Self {
            proof: Proof::of(fields, picture_senders::domain(&from)),
            list: List::of(fields),
            has_list: reply::list_address(fields).is_some(),
            addresses: Addresses::of(fields),
            from,
            to: people("to"),
            cc: people("cc"),
            reply_to: people("reply-to"),
            ..Self::default()
        }
    }

    fn of(message: &ParsedMessage) -> Self {
        let charset = content::main_charset(&message.structure);
        let root = message.structure.part(Structure::ROOT);
        Self {
            is_plain: draft::fits(message),
            blocks: blocks::blocks(message),
            is_report: root.media.is("multipart", Some("report")),
            has_long_header: root.header.len() > HEADER_LEN_MAX,
            ..Self::of_header(message.header(), charset.as_deref())
        }
    }
}

pub(super) async fn open_message(
    site: &Site,
    message: &Message,
    summary: Summary,
) -> Result<OpenMessage, Problem> {
    let now = site.node.clock.now();
    let parts = parsed(site, message, Parts::of).await?;
    let is_too_long = parts.is_none();
    let parts = match parts {
        Some(parts) => parts,
        None => Parts::of_header(&header_of(site, message).await?, None),
    };
    let shown = shown(site, message, parts.blocks.blocks)?;
    let joined = |people: &[Person]| named_people::joined(people);
    let is_sender = |person: &Person| person.address.eq_ignore_ascii_case(&summary.from.address);
    let answers_elsewhere = !parts.reply_to.iter().all(is_sender);
    let special = mailbox::folder(&site.node, message.folder)?.and_then(|folder| folder.special);
    let address = honest_address(&summary.from.address).into_owned();
    // A name that could be taken for another address comes after the real one.
    let named = &summary.from.name;
    let is_claim = named_people::claims_another_address(named, &summary.from.address);
    let name = Some(if is_claim || named.is_empty() { &address } else { named })
        .filter(|shown| !shown.is_empty())
        .map_or("Nobody named", String::as_str)
        .to_owned();
    let is_own = matches!(special, Some(SpecialUse::Sent | SpecialUse::Drafts));
    let why = Why::of(site, message)?;
    Ok(OpenMessage {
        always_pictures: AlwaysPictures::of(site, &parts.from, &parts.proof, &why, special)?,
        uid: message.uid,
        subject: if summary.subject.is_empty() { "No subject".to_owned() } else { summary.subject },
        avatar: Avatar::of(&name, summary.from.address.to_ascii_lowercase().as_bytes()),
        has_address_in_name: summary.from.address.is_empty() && name.contains('@'),
        sender: summary.from.address.clone(),
        address: match address == name {
            true if is_claim => format!("under the name “{named}”"),
            true => String::new(),
            false => address,
        },
        name,
        to: if parts.to.is_empty() { "nobody named".to_owned() } else { joined(&parts.to) },
        cc: joined(&parts.cc),
        came_for: match is_own {
            true => String::new(),
            false => came_for::address(site, message, &parts.addresses)?,
        },
        // With the address: a name alone may be another person's address.
        reply_to: if answers_elsewhere {
            parts
                .reply_to
                .iter()
                .take(NAMED_MAX)
                .map(named_people::full)
                .collect::<Vec<_>>()
                .join(", ")
        } else {
            String::new()
        },
        authors: named_people::joined(parts.from.get(1..).unwrap_or_default()),
        has_long_header: parts.has_long_header,
        has_others: match is_own {
            true => !parts.cc.is_empty(),
            false => parts.to.len().saturating_add(parts.cc.len()) > 1,
        },
        when: dates::ago(message.internal_date, now),
        machine_time: dates::machine(message.internal_date),
        blocks: (!is_too_long).then_some(shown),
        attachments: parts.blocks.attachments,
        written: summary
            .date
            .filter(|date| date.0.abs_diff(message.internal_date.0) > DATE_GAP_MS)
            .map(dates::long),
        is_own,
        can_be_answered: special != Some(SpecialUse::Drafts) && !parts.is_report,
        can_be_forwarded: special != Some(SpecialUse::Drafts),
        has_list: parts.has_list,
        can_be_continued: special == Some(SpecialUse::Drafts) && parts.is_plain,
        delivery: if special == Some(SpecialUse::Sent) {
            delivery(site, message)?
        } else {
            Vec::new()
        },
        why,
        listable_domain: match is_own {
            true => String::new(),
            false => picture_senders::domain(&parts.from).to_owned(),
        },
        proof: parts.proof,
        leaving: Leaving::of(site, parts.list, special)?,
        pictures: String::new(),
        has_failed: message.flags.has_keyword(NOT_DELIVERED),
        targets: targets(special),
    })
}

/// The state of delivery of a sent message for each recipient; empty if it is not in the queue.
fn delivery(site: &Site, message: &Message) -> Result<Vec<RecipientStatus>, Problem> {
    let Some(content) = mailbox::content(&site.node, message)? else { return Ok(Vec::new()) };
    let Some(outgoing) = mailbox::queued_with_blob(&site.node, &content.blob)? else {
        return Ok(Vec::new());
    };
    Ok(queue::statuses(&site.node, &outgoing)?)
}
