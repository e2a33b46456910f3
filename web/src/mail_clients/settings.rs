//! The settings of mail programs, in the forms in which they ask for them: Thunderbird's
//! autoconfiguration, Outlook's autodiscovery (POX), and a profile for Apple's programs.
//!
//! Anyone may ask, so no answer names the owner's address: programs put in the one that was typed.
//! The body of Outlook's request is bounded and not parsed, so its XML can do no harm. No answer
//! has a password.

use askama::Template;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use data_encoding::HEXUPPER;
use freehold_core::profile::{self, Profile};

use crate::problem::Problem;
use crate::response::PageResult;
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/.well-known/autoconfig/mail/config-v1.1.xml", Access::Anyone, autoconfig)
        .get("/mail/config-v1.1.xml", Access::Anyone, autoconfig)
        .post("/autodiscover/autodiscover.xml", Access::Anyone, autodiscover)
        .post("/Autodiscover/Autodiscover.xml", Access::Anyone, autodiscover)
        .get("/home/settings/apps/mail.mobileconfig", Access::Owner, mobileconfig)
}

#[derive(Template)]
#[template(path = "mail_clients/autoconfig.xml")]
struct Settings {
    domain: String,
    name: String,
    host: String,
    imaps: u16,
    smtps: u16,
}

#[derive(Template)]
#[template(path = "mail_clients/autodiscover.xml")]
struct Autodiscover {
    host: String,
    imaps: u16,
    smtps: u16,
}

#[derive(Template)]
#[template(path = "mail_clients/mobileconfig.xml")]
struct Mobileconfig {
    settings: Settings,
    address: String,
    identifier: String,
    profile_id: String,
    account_id: String,
}

/// The settings of a node that has ports for mail programs.
fn settings(site: &Site, owner: &Profile) -> Result<Settings, Problem> {
    let mail = site.mail.as_ref().ok_or(Problem::NotFound)?;
    Ok(Settings {
        domain: owner.domain.clone(),
        name: owner.name.clone(),
        host: mail.host(owner),
        imaps: mail.imaps,
        smtps: mail.smtps,
    })
}

fn xml(template: &impl Template) -> PageResult {
    let headers = [(header::CONTENT_TYPE, "text/xml; charset=utf-8")];
    Ok((headers, template.render()?).into_response())
}

async fn autoconfig(State(site): State<Site>) -> PageResult {
    let owner = site.profile()?.ok_or(Problem::NotFound)?;
    xml(&settings(&site, &owner)?)
}

async fn autodiscover(State(site): State<Site>, _: Bytes) -> PageResult {
    let owner = site.profile()?.ok_or(Problem::NotFound)?;
    let Settings { host, imaps, smtps, .. } = settings(&site, &owner)?;
    xml(&Autodiscover { host, imaps, smtps })
}

async fn mobileconfig(State(site): State<Site>, _: Owner) -> PageResult {
    let owner = site.profile()?.ok_or(Problem::NotFound)?;
    let address = profile::address(&owner);
    let id = |name: &[u8]| -> Result<String, Problem> {
        Ok(uuid(site.node.keyed("web.mobileconfig", name)?))
    };
    let reversed: Vec<&str> = owner.domain.rsplit('.').collect();
    let profile = Mobileconfig {
        settings: settings(&site, &owner)?,
        identifier: format!("{}.{}.freehold", reversed.join("."), owner.login),
        profile_id: id(b"profile")?,
        account_id: id(b"account")?,
        address,
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/x-apple-aspen-config")),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"mail.mobileconfig\""),
        ),
    ];
    Ok((headers, profile.render()?).into_response())
}

/// A UUID of random bits (RFC 9562 5.4): the same for each download, so that a new profile replaces
/// the one before.
fn uuid(mut bits: [u8; 16]) -> String {
    for (at, keep, set) in [(6, 0x0f, 0x40), (8, 0x3f, 0x80)] {
        if let Some(byte) = bits.get_mut(at) {
            *byte = *byte & keep | set;
        }
    }
    let hex = HEXUPPER.encode(&bits);
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::uuid;

    #[test]
    fn uuid_has_version_and_variant() {
        assert_eq!(uuid([0xff; 16]), "FFFFFFFF-FFFF-4FFF-BFFF-FFFFFFFFFFFF");
        assert_eq!(uuid([0; 16]), "00000000-0000-4000-8000-000000000000");
    }
}
