//! The page that lists the keys of the mailbox, and turns them off and on (WCAG 2.1.4).

use askama::Template;
use axum::extract::{Form, State};
use freehold_core::mailbox;
use serde::Deserialize;

use crate::done::Done;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

/// The keys, as the script of the mailbox has them.
const KEYS: [(&str, &str); 16] = [
    ("j", "The next letter"),
    ("k", "The letter before"),
    ("o", "Open the letter; Enter does the same"),
    ("u", "Back to the list"),
    ("x", "Choose the letter, or take the choice back"),
    ("e", "Keep it, out of the inbox"),
    ("#", "Throw it away"),
    ("!", "It is junk"),
    ("r", "Reply"),
    ("a", "Reply to all"),
    ("l", "Reply to the list"),
    ("f", "Forward"),
    ("c", "Write a letter"),
    ("/", "Search"),
    ("Esc", "Leave the field"),
    ("?", "This page"),
];

pub(super) fn routes() -> Routes {
    Routes::new().get("/home/mail/keys", Access::Owner, show).post(
        "/home/mail/keys",
        Access::Owner,
        save,
    )
}

#[derive(Template)]
#[template(path = "mailbox/keys.html")]
struct KeysPage {
    page: Layout,
    keys: &'static [(&'static str, &'static str)],
    are_on: bool,
}

async fn show(State(site): State<Site>, _: Owner, done: Done) -> PageResult {
    let page = site.owner_layout("Keys", "Mail")?.saying(done);
    response::page(&KeysPage { page, keys: &KEYS, are_on: mailbox::heeds_keys(&site.node)? })
}

#[derive(Deserialize)]
struct KeysForm {
    /// `on` or `off`.
    keys: String,
}

async fn save(State(site): State<Site>, _: Owner, Form(form): Form<KeysForm>) -> PageResult {
    let (are_on, done) = match form.keys.as_str() {
        "on" => (true, Done::KeysOn),
        "off" => (false, Done::KeysOff),
        _ => return Err(Problem::BadRequest),
    };
    mailbox::set_heeds_keys(&site.node, are_on).await?;
    Ok(response::see_other(&done.at("/home/mail/keys")))
}
