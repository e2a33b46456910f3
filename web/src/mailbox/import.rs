//! Moving in: the import of the letters from an account at another provider.

use askama::Template;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use freehold_core::node::{
    ImapSecurity, ImapSource, ImapSourceError, ImportPhase, ImportResult, ImportStatus,
};
use serde::Deserialize;

use crate::fault::Fault;
use crate::layout::Layout;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

const PAGE: &str = "/home/mail/import";

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/home/mail/import", Access::Owner, show)
        .post("/home/mail/import", Access::Owner, start)
        .post("/home/mail/import/stop", Access::Owner, stop)
}

#[derive(Template)]
#[template(path = "mailbox/import.html")]
struct ImportPage {
    page: Layout,
    status: Option<ImportStatus>,
    form: ImportForm,
    fault: Option<Fault>,
}

impl ImportPage {
    fn fault_of(&self, field: &str) -> Option<&str> {
        Fault::of(self.fault.as_ref(), field)
    }

    /// The messages read and all messages of the import that runs.
    fn running(&self) -> Option<(u64, u64)> {
        match &self.status.as_ref()?.phase {
            ImportPhase::Running(done, total) => Some((*done, *total)),
            ImportPhase::Ended(_) => None,
        }
    }

    fn result(&self) -> Option<&ImportResult> {
        match &self.status.as_ref()?.phase {
            ImportPhase::Running(..) => None,
            ImportPhase::Ended(result) => Some(result),
        }
    }
}

#[derive(Default, Deserialize)]
struct ImportForm {
    #[serde(default)]
    host: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    password: String,
    /// Not empty for STARTTLS.
    #[serde(default)]
    starttls: String,
}

fn page(
    site: &Site,
    form: ImportForm,
    fault: Option<Fault>,
) -> Result<ImportPage, crate::problem::Problem> {
    Ok(ImportPage {
        page: site.owner_layout("Move your letters in", "Settings")?,
        status: site.node.mail_import.status(),
        form,
        fault,
    })
}

async fn show(State(site): State<Site>, _: Owner) -> PageResult {
    let last = site.node.mail_import.status();
    let form =
        last.map(|last| ImportForm { host: last.server, user: last.user, ..ImportForm::default() });
    response::page(&page(&site, form.unwrap_or_default(), None)?)
}

async fn start(State(site): State<Site>, _: Owner, Form(form): Form<ImportForm>) -> PageResult {
    let security = match form.starttls.as_str() {
        "" => ImapSecurity::Tls,
        _ => ImapSecurity::StartTls,
    };
    let (host, port) = split(form.host.trim());
    let fault = match ImapSource::new(host, port, security, form.user.trim(), &form.password) {
        // One that runs is shown, and goes on.
        Ok(source) => {
            site.node.mail_import.start(source);
            return Ok(response::see_other(PAGE));
        }
        Err(ImapSourceError::Login("password")) => {
            Fault::new("password", "The password is missing, or too long.")
        }
        Err(ImapSourceError::Login(_)) => {
            Fault::new("user", "The user name is missing. It is often the whole address.")
        }
        Err(ImapSourceError::Host(_) | ImapSourceError::NotLoopback(_)) => Fault::new(
            "host",
            "That names no server. The carrier’s help pages name it, such as imap.example.com.",
        ),
    };
    let page = page(&site, ImportForm { password: String::new(), ..form }, Some(fault))?;
    response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// The port behind a host name. An address of IPv6 has none without brackets.
fn split(server: &str) -> (&str, Option<u16>) {
    match server.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (server, None),
        },
        _ => (server, None),
    }
}

async fn stop(State(site): State<Site>, _: Owner) -> PageResult {
    site.node.mail_import.stop();
    Ok(response::see_other(PAGE))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn port_is_split_from_the_host() {
        for (server, host, port) in [
            ("imap.example.com", "imap.example.com", None),
            ("imap.example.com:1993", "imap.example.com", Some(1993)),
            ("[::1]:993", "[::1]", Some(993)),
            ("2001:db8::1", "2001:db8::1", None),
            ("a:x", "a:x", None),
        ] {
            assert_eq!(split(server), (host, port), "{server}");
        }
    }
}
