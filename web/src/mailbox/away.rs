//! The answer while the owner is away.

use askama::Template;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use freehold_core::clock::Timestamp;
use freehold_core::mailbox::{self, AWAY_TEXT_LEN_MAX, Away};
use serde::Deserialize;

use crate::dates;
use crate::done::Done;
use crate::fault::{self, Fault};
use crate::layout::Layout;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

const PAGE: &str = "/home/mail/away";

pub(super) fn routes() -> Routes {
    Routes::new().get("/home/mail/away", Access::Owner, show).post(
        "/home/mail/away",
        Access::Owner,
        set,
    )
}

#[derive(Template)]
#[template(path = "mailbox/away.html")]
struct AwayPage {
    page: Layout,
    form: AwayForm,
    fault: Option<Fault>,
}

impl AwayPage {
    fn fault_of(&self, field: &str) -> Option<&str> {
        Fault::of(self.fault.as_ref(), field)
    }
}

#[derive(Default, Deserialize)]
struct AwayForm {
    #[serde(default)]
    text: String,
    /// As a `datetime-local` field has it; empty for none.
    #[serde(default)]
    from: String,
    #[serde(default)]
    until: String,
    /// Not empty if only known people are answered.
    #[serde(default)]
    known: String,
}

impl AwayForm {
    /// `now` is the time at which it is set.
    fn away(&self, now: Timestamp) -> Result<Away, Fault> {
        let time = |field: &'static str, text: &str| match text.trim() {
            "" => Ok(None),
            text => match dates::typed(text) {
                Some(at) => Ok(Some(at)),
                None => Err(Fault::new(field, "That is no date with a time.")),
            },
        };
        let (from, until) = (time("from", &self.from)?, time("until", &self.until)?);
        if from.zip(until).is_some_and(|(from, until)| until <= from) {
            return Err(Fault::new("until", "That is before the beginning."));
        }
        // An empty text answers nobody, whatever the time.
        if !self.text.trim().is_empty() && until.is_some_and(|until| until <= now) {
            return Err(Fault::new("until", "That is over already: nobody would be answered."));
        }
        if self.text.len() > AWAY_TEXT_LEN_MAX {
            let text = fault::too_long("answer", self.text.len(), AWAY_TEXT_LEN_MAX);
            return Err(Fault::new("text", text));
        }
        let known_only = !self.known.is_empty();
        Ok(Away { text: self.text.replace("\r\n", "\n"), from, until, known_only })
    }
}

async fn show(State(site): State<Site>, _: Owner, done: Done) -> PageResult {
    let set = mailbox::away(&site.node)?;
    let shown = |at: Option<Timestamp>| at.map(dates::field).unwrap_or_default();
    let form = AwayForm {
        from: shown(set.from),
        until: shown(set.until),
        known: if set.known_only { "1".to_owned() } else { String::new() },
        text: set.text,
    };
    let page = site.owner_layout("While you are away", "Settings")?.saying(done);
    response::page(&AwayPage { page, form, fault: None })
}

async fn set(State(site): State<Site>, _: Owner, Form(form): Form<AwayForm>) -> PageResult {
    match form.away(site.node.clock.now()) {
        Ok(away) => {
            mailbox::set_away(&site.node, away).await?;
            Ok(response::see_other(&Done::SettingsSaved.at(PAGE)))
        }
        Err(fault) => {
            let page = site.owner_layout("While you are away", "Settings")?;
            let page = AwayPage { page, form, fault: Some(fault) };
            response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}
