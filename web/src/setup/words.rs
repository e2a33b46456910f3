//! The 24 words: made for this page and kept nowhere but on it, until some of them are typed back
//! and the house is theirs. Who trusts no landlord makes them on their own computer and brings only
//! a claim.

use askama::Template;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use freehold_core::identity::{self, Claim, ClaimError, PersonId, recovery_card};
use freehold_core::mnemonic::Mnemonic;
use serde::Deserialize;

use crate::answer::{self, Answer, Problem};
use crate::dates;
use crate::frame::Frame;
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::visitor::Owner;

/// How many words are asked back.
const ASKED: usize = 3;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/setup/words", Access::Owner, show)
        .post("/setup/words", Access::Owner, confirm)
        .post("/setup/claim", Access::Owner, claim)
}

/// A word that is asked back: where it stands, what was typed.
struct Asked {
    number: usize,
    typed: String,
    is_wrong: bool,
}

#[derive(Template)]
#[template(path = "setup/words.html")]
struct WordsPage {
    page: Frame,
    /// Whose card it is.
    owner: String,
    words: Vec<String>,
    phrase: String,
    asked: Vec<Asked>,
    person: String,
    /// Where the identity log can be had, or room for a pen.
    addresses: Vec<String>,
    made: String,
    node_card: String,
    claim_fault: Option<String>,
}

#[derive(Deserialize)]
struct Confirmed {
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
struct Brought {
    #[serde(default)]
    claim: String,
    /// The words on the page the claim was brought to: somebody may have written them down.
    #[serde(default)]
    words: String,
}

async fn show(State(site): State<Site>, _: Owner) -> Answer {
    if site.node.identity.person().is_some() {
        return Ok(answer::see("/home"));
    }
    let words = Mnemonic::generate(&site.node.random);
    answer::page(&words_page(&site, &words, None)?)
}

/// Which words are asked back: three different places, the same for the same words.
fn asked_places(words: &Mnemonic) -> Vec<usize> {
    let hash = blake3::hash(words.phrase().as_bytes());
    let mut places = Vec::new();
    for byte in hash.as_bytes() {
        let place = usize::from(*byte) % freehold_core::mnemonic::WORDS_COUNT;
        if places.len() < ASKED && !places.contains(&place) {
            places.push(place);
        }
    }
    places.sort_unstable();
    places
}

fn words_page(
    site: &Site,
    words: &Mnemonic,
    typed: Option<&[&str; ASKED]>,
) -> Result<WordsPage, Problem> {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let phrase = words.phrase().to_string();
    let listed: Vec<String> = phrase.split(' ').map(str::to_owned).collect();
    let asked = asked_places(words).into_iter().enumerate().map(|(at, place)| {
        let typed = typed.and_then(|typed| typed.get(at)).map(|typed| typed.trim().to_lowercase());
        Asked {
            number: place + 1,
            is_wrong: typed.as_ref().is_some_and(|typed| listed.get(place) != Some(typed)),
            typed: typed.unwrap_or_default(),
        }
    });
    let claim = identity::create_claim(words, &site.node.identity.card())
        .map_err(|error| Problem::Unwell(error.to_string()))?;
    Ok(WordsPage {
        page: Frame::public(None, "Your twenty-four words", ""),
        owner: profile.name.clone(),
        asked: asked.collect(),
        words: listed,
        phrase,
        person: claim.person().as_ref().map(PersonId::to_string).unwrap_or_default(),
        addresses: recovery_card::with_blanks(recovery_card::addresses(
            site.config.public_url.as_deref(),
            Some(&profile.domain),
            &[],
        )),
        made: dates::long(site.node.clock.now()),
        node_card: site.node.identity.card().to_string(),
        claim_fault: None,
    })
}

async fn confirm(State(site): State<Site>, _: Owner, Form(form): Form<Confirmed>) -> Answer {
    let Ok(words) = Mnemonic::parse(&form.words) else { return Ok(answer::see("/setup/words")) };
    let typed = [form.first.as_str(), form.second.as_str(), form.third.as_str()];
    let page = words_page(&site, &words, Some(&typed))?;
    if page.asked.iter().any(|asked| asked.is_wrong) {
        return answer::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    match identity::create_with(&site.node, words).await {
        Ok(_) | Err(ClaimError::AlreadyClaimed(_)) => Ok(answer::see("/home")),
        Err(ClaimError::Store(error)) => Err(error.into()),
        Err(error) => Err(Problem::Unwell(error.to_string())),
    }
}

async fn claim(State(site): State<Site>, _: Owner, Form(form): Form<Brought>) -> Answer {
    let fault = match form.claim.parse::<Claim>() {
        Ok(claim) => match identity::claim(&site.node, &claim).await {
            Ok(_) | Err(ClaimError::AlreadyClaimed(_)) => return Ok(answer::see("/home")),
            Err(ClaimError::Store(error)) => return Err(error.into()),
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    let words =
        Mnemonic::parse(&form.words).unwrap_or_else(|_| Mnemonic::generate(&site.node.random));
    let page = WordsPage { claim_fault: Some(fault), ..words_page(&site, &words, None)? };
    answer::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
