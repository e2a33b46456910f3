//! The list of sessions, of browsers and of mail programs: when, where and what; each can be ended,
//! and all at once.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use freehold_core::logins::{self, SessionId};

use crate::dates;
use crate::done::Done;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::site_service::Client;
use crate::viewer::{self, Owner};

const PAGE: &str = "/home/settings/sessions";

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(PAGE, Access::Owner, list)
        .post("/home/settings/sessions/end", Access::Owner, end_all)
        .post("/home/settings/sessions/browsers/{id}/end", Access::Owner, end_browser)
        .post("/home/settings/sessions/programs/{number}/end", Access::Owner, end_program)
}

/// A session of a browser.
struct BrowserSession {
    id: String,
    name: String,
    address: String,
    since: String,
    last_seen: String,
    is_this: bool,
}

/// A session of a mail program.
struct ProgramSession {
    number: u64,
    label: String,
    purpose: &'static str,
    address: String,
    since: String,
}

#[derive(Template)]
#[template(path = "logins/sessions.html")]
struct SessionsPage {
    page: Layout,
    browsers: Vec<BrowserSession>,
    programs: Vec<ProgramSession>,
}

async fn list(State(site): State<Site>, owner: Owner, done: Done) -> PageResult {
    let now = site.node.clock.now();
    let browsers = logins::sessions(&site.node)?.into_iter().map(|session| BrowserSession {
        id: session.id.to_string(),
        name: if session.agent.is_empty() { "A browser".to_owned() } else { session.agent },
        address: session.address,
        since: dates::ago(session.created, now),
        is_this: session.id == owner.session.id,
        // The stored time of the browser in use is renewed every few minutes only.
        last_seen: match session.id == owner.session.id {
            true => "now".to_owned(),
            false => dates::ago(session.last_seen, now),
        },
    });
    let programs =
        logins::program_sessions(&site.node)?.into_iter().map(|session| ProgramSession {
            number: session.number,
            label: session.label,
            purpose: if session.protocol == "imap" { "reads mail" } else { "sends mail" },
            address: session.address.to_string(),
            since: dates::ago(session.created, now),
        });
    response::page(&SessionsPage {
        page: site.owner_layout("Who is in", "Settings")?.saying(done),
        browsers: browsers.collect(),
        programs: programs.collect(),
    })
}

async fn end_browser(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> PageResult {
    let id: SessionId = id.parse().map_err(|_| Problem::NotFound)?;
    logins::end_session(&site.node, id).await?;
    Ok(response::see_other(&Done::SessionsEnded.at(PAGE)))
}

async fn end_program(State(site): State<Site>, _: Owner, Path(number): Path<u64>) -> PageResult {
    logins::end_program_session(&site.node, number);
    Ok(response::see_other(&Done::SessionsEnded.at(PAGE)))
}

async fn end_all(State(site): State<Site>, _: Owner, client: Client) -> PageResult {
    logins::end_all_sessions(&site.node).await?;
    let cleared = [(header::SET_COOKIE, viewer::cookie_cleared(&site, client))];
    Ok((cleared, response::see_other("/login")).into_response())
}
