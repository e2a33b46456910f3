//! The page that lists the keys of the mailbox.

use askama::Template;
use axum::extract::State;

use crate::layout::Layout;
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
    Routes::new().get("/home/mail/keys", Access::Owner, show)
}

#[derive(Template)]
#[template(path = "mailbox/keys.html")]
struct KeysPage {
    page: Layout,
    keys: &'static [(&'static str, &'static str)],
}

async fn show(State(site): State<Site>, _: Owner) -> PageResult {
    response::page(&KeysPage { page: site.owner_layout("Keys", "Mail")?, keys: &KEYS })
}
