//! The Web Key Directory (draft-koch-openpgp-webkey-service): others find the owner's public
//! OpenPGP key by the owner's address, in the direct way at the domain and in the advanced way at
//! the host `openpgpkey.` of the domain.

use std::sync::LazyLock;

use askama::Template;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use axum::extract::{Form, Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use data_encoding::{Encoding, Specification};
use freehold_core::openpgp_key::{self, OpenPgpKeyError};
use freehold_core::{domain_name, profile};
use serde::Deserialize;

use crate::done::Done;
use crate::fault::Fault;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

const PAGE: &str = "/home/settings/openpgp";
/// Mail programs in a browser fetch keys too (section 3.1).
const ANY_ORIGIN: (header::HeaderName, &str) = (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");

/// Z-Base-32 (RFC 6189 5.1.6).
static ZBASE32: LazyLock<Option<Encoding>> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("ybndrfg8ejkmcpqxot1uwisza345h769");
    spec.encoding().ok()
});

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/.well-known/openpgpkey/policy", Access::Anyone, policy)
        .get("/.well-known/openpgpkey/hu/{hash}", Access::Anyone, direct)
        .get("/.well-known/openpgpkey/{domain}/policy", Access::Anyone, policy_of)
        .get("/.well-known/openpgpkey/{domain}/hu/{hash}", Access::Anyone, advanced)
        .get("/home/settings/openpgp", Access::Owner, show)
        .post("/home/settings/openpgp", Access::Owner, set)
        .post("/home/settings/openpgp/remove", Access::Owner, remove)
}

/// The name of a key: the hash of the local part in lower case (section 3.1). SHA-1 is no
/// protection here; it only makes a name.
fn name_of(local: &str) -> Option<String> {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, local.to_lowercase().as_bytes());
    ZBASE32.as_ref().map(|encoding| encoding.encode(hash.as_ref()))
}

/// The policy file has nothing, but must be there (section 4.5).
async fn policy() -> PageResult {
    Ok(([(header::CONTENT_TYPE, "text/plain"), ANY_ORIGIN], "").into_response())
}

async fn policy_of(State(site): State<Site>, Path(domain): Path<String>) -> PageResult {
    check_domain(&site, &domain)?;
    policy().await
}

async fn direct(State(site): State<Site>, Path(hash): Path<String>) -> PageResult {
    key(&site, &hash)
}

async fn advanced(
    State(site): State<Site>,
    Path((domain, hash)): Path<(String, String)>,
) -> PageResult {
    check_domain(&site, &domain)?;
    key(&site, &hash)
}

fn check_domain(site: &Site, domain: &str) -> Result<(), Problem> {
    let owner = site.profile()?.ok_or(Problem::NotFound)?;
    match domain_name::is_same(domain, &owner.domain) {
        true => Ok(()),
        false => Err(Problem::NotFound),
    }
}

fn key(site: &Site, hash: &str) -> PageResult {
    let owner = site.profile()?.ok_or(Problem::NotFound)?;
    if name_of(&owner.login).as_deref() != Some(hash) {
        return Err(Problem::NotFound);
    }
    let key = openpgp_key::get(&site.node)?.ok_or(Problem::NotFound)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream"), ANY_ORIGIN], key).into_response())
}

#[derive(Template)]
#[template(path = "profile/openpgp.html")]
struct KeyPage {
    page: Layout,
    address: String,
    /// The length of the key, if there is one.
    len: Option<usize>,
    text: String,
    fault: Option<Fault>,
}

impl KeyPage {
    fn fault_of(&self, field: &str) -> Option<&str> {
        Fault::of(self.fault.as_ref(), field)
    }
}

#[derive(Default, Deserialize)]
struct KeyForm {
    #[serde(default)]
    key: String,
}

fn page(site: &Site, text: String, fault: Option<Fault>) -> Result<KeyPage, Problem> {
    let owner = site.profile()?.ok_or(Problem::NotFound)?;
    Ok(KeyPage {
        page: site.owner_layout("Your key for letters", "Settings")?,
        address: profile::address(&owner),
        len: openpgp_key::get(&site.node)?.map(|key| key.len()),
        text,
        fault,
    })
}

async fn show(State(site): State<Site>, _: Owner, done: Done) -> PageResult {
    let shown = page(&site, String::new(), None)?;
    response::page(&KeyPage { page: shown.page.saying(done), ..shown })
}

async fn set(State(site): State<Site>, _: Owner, Form(form): Form<KeyForm>) -> PageResult {
    let (text, shown) = match openpgp_key::set(&site.node, form.key.trim().as_bytes()).await {
        Ok(()) => return Ok(response::see_other(&Done::SettingsSaved.at(PAGE))),
        Err(OpenPgpKeyError::Store(error)) => return Err(error.into()),
        Err(OpenPgpKeyError::NoOwner) => return Err(Problem::NotFound),
        // The page does not repeat a secret.
        Err(OpenPgpKeyError::Secret) => (
            "This is your secret key, which must never leave your computer. Nothing of it was \
             stored. Give the public one: gpg --export --armor."
                .to_owned(),
            String::new(),
        ),
        Err(error) => (format!("It can’t be used: {error}."), form.key),
    };
    let page = page(&site, shown, Some(Fault::new("key", text)))?;
    response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn remove(State(site): State<Site>, _: Owner) -> PageResult {
    openpgp_key::remove(&site.node).await?;
    Ok(response::see_other(&Done::SettingsSaved.at(PAGE)))
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn wkd_name_is_that_of_the_draft() {
        // The example of section 3.1.
        assert_eq!(name_of("Joe.Doe").as_deref(), Some("iy9q119eutrkn8s1mk4r39qejnbu3n5q"));
    }
}
