//! The page of mail that was refused in the last 30 days.

use askama::Template;
use axum::extract::{Form, Query, State};
use data_encoding::HEXLOWER;
use freehold_core::blocking::try_blocking;
use freehold_core::mailbox::{self, FetchBackError, RefusalId, Refused, RefusedHead};
use freehold_core::store::StoreError;
use freehold_mime::people::Person;
use serde::Deserialize;

use super::named_people;
use crate::dates;
use crate::done::Done;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

/// Rows on one page.
const LIST_LEN: usize = 50;
/// Most authors of a message that are named.
const AUTHORS_MAX: usize = 3;

pub(super) fn routes() -> Routes {
    Routes::new().get("/home/mail/refused", Access::Owner, show).post(
        "/home/mail/refused/fetch",
        Access::Owner,
        fetch,
    )
}

/// A refusal in the list.
struct Row {
    id: String,
    sender: String,
    recipients: Vec<String>,
    address: String,
    when: String,
    machine_time: String,
    reason: Reason,
    /// The reply as it was sent.
    reply: String,
    has_text: bool,
    /// The authors and the subject; `None` without a text.
    head: Option<Head>,
}

struct Head {
    from: String,
    subject: String,
}

impl Head {
    fn of(head: RefusedHead) -> Self {
        let person = |person: mailbox::Correspondent| {
            named_people::full(&Person { name: person.name, address: person.address })
        };
        Self {
            from: head
                .from
                .into_iter()
                .take(AUTHORS_MAX)
                .map(person)
                .collect::<Vec<_>>()
                .join(", "),
            subject: head.subject,
        }
    }
}

/// Why a message was refused, by the enhanced status code of the reply (RFC 3463).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// 5.1.x: the recipient.
    Address,
    /// 5.2.3 and 5.3.4: the size.
    Size,
    /// 5.4.6: a loop.
    Loop,
    /// 5.6.x: the form of the message.
    Form,
    /// 5.7.x: a rule of the owner, or the authors.
    Policy,
    Other,
}

impl Reason {
    fn of(reply: &str) -> Self {
        match reply.split(' ').nth(1).unwrap_or_default() {
            status if status.starts_with("5.1.") => Self::Address,
            "5.2.3" | "5.3.4" => Self::Size,
            "5.4.6" => Self::Loop,
            status if status.starts_with("5.6.") => Self::Form,
            status if status.starts_with("5.7.") => Self::Policy,
            _ => Self::Other,
        }
    }
}

#[derive(Template)]
#[template(path = "mailbox/refused.html")]
struct RefusedPage {
    page: Layout,
    rows: Vec<Row>,
    /// The last row, before which earlier ones begin.
    earlier: Option<String>,
}

fn id_of(id: RefusalId) -> String {
    HEXLOWER.encode(&id.0)
}

fn parse(id: &str) -> Option<RefusalId> {
    let bytes = HEXLOWER.decode(id.as_bytes()).ok()?;
    Some(RefusalId(bytes.try_into().ok()?))
}

#[derive(Deserialize)]
struct ListQuery {
    #[serde(default)]
    before: String,
}

async fn show(
    State(site): State<Site>,
    _: Owner,
    Query(query): Query<ListQuery>,
    done: Done,
) -> PageResult {
    let now = site.node.clock.now();
    let row = |(refused, head): (Refused, Option<RefusedHead>)| Row {
        head: head.map(Head::of),
        id: id_of(refused.id),
        when: dates::ago(refused.at, now),
        machine_time: dates::machine(refused.at),
        reason: Reason::of(&refused.reply),
        sender: refused.sender,
        recipients: refused.recipients,
        address: refused.address,
        reply: refused.reply,
        has_text: refused.has_text,
    };
    let mut listed = mailbox::refusals(&site.node, parse(&query.before), LIST_LEN + 1)?;
    let earlier = (listed.len() > LIST_LEN).then(|| listed.get(LIST_LEN - 1)).flatten();
    let earlier = earlier.map(|refused| id_of(refused.id));
    listed.truncate(LIST_LEN);
    let page = site.owner_layout("Turned away", "Mail")?.saying(done);
    let node = site.node.clone();
    let with_heads = move || {
        let head = |refused: Refused| {
            let head = mailbox::refused_head(&node, refused.id)?;
            Ok::<_, StoreError>((refused, head))
        };
        listed.into_iter().map(head).collect::<Result<Vec<_>, _>>()
    };
    let rows = try_blocking(with_heads).await?.into_iter().map(row).collect();
    response::page(&RefusedPage { page, rows, earlier })
}

#[derive(Deserialize)]
struct FetchForm {
    id: String,
}

async fn fetch(State(site): State<Site>, _: Owner, Form(form): Form<FetchForm>) -> PageResult {
    let id = parse(&form.id).ok_or(Problem::NotFound)?;
    match mailbox::fetch_back(&site.node, id).await {
        Ok(message) => {
            let page = format!("/home/mail/{}/{}", message.folder.0, message.uid);
            Ok(response::see_other(&Done::MovedToInbox.at(&page)))
        }
        Err(FetchBackError::NoText) => Err(Problem::NotFound),
        Err(FetchBackError::Deliver(mailbox::DeliverError::Store(error))) => Err(error.into()),
        Err(FetchBackError::Deliver(_)) => Err(Problem::BadRequest),
    }
}
