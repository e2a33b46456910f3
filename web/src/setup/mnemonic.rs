//! The mnemonic of 24 words (BIP 39): generated for one page and stored nowhere, until the owner
//! types three of the words back and the identity is created. An owner who does not trust the
//! machine generates the words elsewhere and brings only a claim.

use askama::Template;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use freehold_core::identity::{self, Claim, ClaimError, PersonId, recovery_card};
use freehold_core::mnemonic::{Mnemonic, WORDS_COUNT};
use serde::Deserialize;

use crate::dates;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

/// Number of words the owner types back.
const CHECKED_WORDS: usize = 3;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/setup/words", Access::Owner, show)
        .post("/setup/words", Access::Owner, confirm)
        .post("/setup/claim", Access::Owner, claim)
}

/// A word the owner types back.
struct WordCheck {
    /// Its place on the card, from 1.
    number: usize,
    typed: String,
    is_wrong: bool,
    /// True for the first wrong one, where the page opens.
    is_first_wrong: bool,
}

/// The recovery card, to be copied or printed.
struct RecoveryCard {
    owner: String,
    words: Vec<String>,
    person: String,
    /// Addresses of the identity log, and blanks to fill in by pen.
    log_addresses: Vec<String>,
    date: String,
}

#[derive(Template)]
#[template(path = "setup/mnemonic.html")]
struct MnemonicPage {
    page: Layout,
    card: RecoveryCard,
    /// All words, for the hidden fields of the forms.
    phrase: String,
    checks: Vec<WordCheck>,
    /// The node's public keys, for `freehold identity new --node`.
    node_card: String,
    /// The typed claim, sent back with a fault.
    claim_typed: String,
    claim_fault: Option<String>,
}

#[derive(Deserialize)]
struct ConfirmForm {
    #[serde(default)]
    words: String,
    #[serde(default)]
    first: String,
    #[serde(default)]
    second: String,
    #[serde(default)]
    third: String,
}

#[derive(Deserialize)]
struct ClaimForm {
    #[serde(default)]
    claim: String,
    /// The words on the page of the form: the owner may have written them down already.
    #[serde(default)]
    words: String,
}

async fn show(State(site): State<Site>, _: Owner) -> PageResult {
    if site.node.identity.person().is_some() {
        return Ok(response::see_other("/home"));
    }
    let mnemonic = Mnemonic::generate(&site.node.random);
    response::page(&mnemonic_page(&site, &mnemonic, None)?)
}

/// The places of the checked words, from 0: three different ones, the same for the same mnemonic.
fn checked_places(mnemonic: &Mnemonic) -> Vec<usize> {
    let hash = blake3::hash(mnemonic.phrase().as_bytes());
    let mut places = Vec::new();
    for byte in hash.as_bytes() {
        let place = usize::from(*byte) % WORDS_COUNT;
        if places.len() < CHECKED_WORDS && !places.contains(&place) {
            places.push(place);
        }
    }
    places.sort_unstable();
    places
}

fn mnemonic_page(
    site: &Site,
    mnemonic: &Mnemonic,
    typed: Option<&[&str; CHECKED_WORDS]>,
) -> Result<MnemonicPage, Problem> {
    let phrase = mnemonic.phrase().to_string();
    let card = recovery_card(site, mnemonic, &phrase)?;
    let mut has_wrong = false;
    let checks = checked_places(mnemonic).into_iter().enumerate().map(|(at, place)| {
        let typed = typed.and_then(|typed| typed.get(at)).map(|typed| typed.trim().to_lowercase());
        let is_wrong = typed.as_ref().is_some_and(|typed| card.words.get(place) != Some(typed));
        let is_first_wrong = is_wrong && !has_wrong;
        has_wrong |= is_wrong;
        WordCheck { number: place + 1, is_wrong, is_first_wrong, typed: typed.unwrap_or_default() }
    });
    let checks = checks.collect();
    Ok(MnemonicPage {
        page: Layout::public(None, "Your twenty-four words", ""),
        checks,
        card,
        phrase,
        node_card: site.node.identity.card().to_string(),
        claim_typed: String::new(),
        claim_fault: None,
    })
}

fn recovery_card(site: &Site, mnemonic: &Mnemonic, phrase: &str) -> Result<RecoveryCard, Problem> {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let claim = identity::create_claim(mnemonic, &site.node.identity.card())
        .map_err(|error| Problem::Internal(error.to_string()))?;
    Ok(RecoveryCard {
        owner: profile.name.clone(),
        words: phrase.split(' ').map(str::to_owned).collect(),
        person: claim.person().as_ref().map(PersonId::to_string).unwrap_or_default(),
        log_addresses: recovery_card::with_blanks(recovery_card::addresses(
            site.config.public_url.as_deref(),
            Some(&profile.domain),
            &[],
        )),
        date: dates::long(site.node.clock.now()),
    })
}

async fn confirm(State(site): State<Site>, _: Owner, Form(form): Form<ConfirmForm>) -> PageResult {
    let Ok(mnemonic) = Mnemonic::parse(&form.words) else {
        return Ok(response::see_other("/setup/words"));
    };
    let typed = [form.first.as_str(), form.second.as_str(), form.third.as_str()];
    let page = mnemonic_page(&site, &mnemonic, Some(&typed))?;
    if page.checks.iter().any(|check| check.is_wrong) {
        return response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    match identity::create_with(&site.node, mnemonic).await {
        Ok(_) | Err(ClaimError::AlreadyClaimed(_)) => Ok(response::see_other("/home")),
        Err(ClaimError::Store(error)) => Err(error.into()),
        Err(error) => Err(Problem::Internal(error.to_string())),
    }
}

async fn claim(State(site): State<Site>, _: Owner, Form(form): Form<ClaimForm>) -> PageResult {
    let fault = match form.claim.parse::<Claim>() {
        Ok(claim) => match identity::claim(&site.node, &claim).await {
            Ok(_) | Err(ClaimError::AlreadyClaimed(_)) => {
                return Ok(response::see_other("/home"));
            }
            Err(ClaimError::Store(error)) => return Err(error.into()),
            Err(error) => claim_fault(&error),
        },
        Err(error) => invalid_claim(&error),
    };
    let mnemonic =
        Mnemonic::parse(&form.words).unwrap_or_else(|_| Mnemonic::generate(&site.node.random));
    let page = mnemonic_page(&site, &mnemonic, None)?;
    let page = MnemonicPage { claim_typed: form.claim, claim_fault: Some(fault), ..page };
    response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// The fault of a refused claim: the cause, then what to do.
fn claim_fault(error: &ClaimError) -> String {
    match error {
        ClaimError::AnotherNode => {
            "This claim is for another node. Make one for this node with the command above."
                .to_owned()
        }
        ClaimError::BackupKey => {
            "The claim was changed: its backup key does not belong to the words. Make a new claim."
                .to_owned()
        }
        ClaimError::Log(cause) => invalid_claim(cause),
        ClaimError::Transfer(cause) => invalid_claim(cause),
        ClaimError::Content(cause) => invalid_claim(cause),
        ClaimError::Vault(cause) => format!(
            "The node is yours now, but its vault can’t be written, so your words don’t open it \
             yet: {cause}. Make room on the disk; each start of the node tries again."
        ),
        ClaimError::AlreadyClaimed(person) => format!("This node already belongs to {person}."),
        ClaimError::Store(cause) => format!("The claim was not stored: {cause}. Try again."),
    }
}

fn invalid_claim(cause: &dyn std::fmt::Display) -> String {
    format!("The claim is not valid: {cause}. Paste all of the claim file, or make a new claim.")
}
