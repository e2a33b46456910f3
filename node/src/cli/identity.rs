//! `freehold identity`: what is done with the 24 words, on the owner's own computer, away from any node.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use freehold_core::identity::paper::Signed;
use freehold_core::identity::{self, NodeCard};
use freehold_core::random::Random;
use freehold_core::words::Words;

use super::{arguments, read_input};
use crate::{exit, say};

/// Makes words and a claim file for one node.
pub(super) fn new(new: &arguments::IdentityNew) -> Result<()> {
    let card: NodeCard = new.node.trim().parse().map_err(|error| exit::with(exit::DATA, format!("the node's card: {error}")))?;
    let random = Random::from_os().context("this machine gives no randomness")?;
    let words = Words::generate(&random);
    let claim = identity::paper::begin(&words, &card).map_err(|error| exit::with(exit::DATA, error.to_string()))?;
    write_new(&new.out, &claim.to_string())?;
    say::line("These 24 words are your deeds: they move you, your writing and your friends to a new machine.");
    say::line("Write them on paper. They are shown this once and are kept nowhere.\n");
    say::line(self::card(&words));
    if let Some(person) = claim.person() {
        say::line(format!("\nPerson {person}"));
    }
    say::line(format!("The claim is in {}. It is no secret: give it to your node, on its set-up page or with", new.out.display()));
    say::line(format!("  freehold identity claim {}", new.out.display()));
    Ok(())
}

/// Signs a node's request with the words.
pub(super) fn sign(sign: &arguments::IdentitySign) -> Result<()> {
    let request = read_input(&sign.request)?;
    let request: identity::Request = request.parse().map_err(|error| exit::with(exit::DATA, format!("the request: {error}")))?;
    say::line(format!("This signs: {}", request.describe()));
    say::line("Type your 24 words, then Enter:");
    let mut typed = String::new();
    std::io::stdin().read_line(&mut typed).context("no words")?;
    let words = Words::parse(&typed).map_err(|error| exit::with(exit::DATA, error.to_string()))?;
    let signed = identity::paper::sign(&request, &words).map_err(|error| exit::with(exit::DATA, error.to_string()))?;
    let (text, to) = match signed {
        Signed::Done(done) => (done.to_string(), "the node that asked, with `freehold identity upload`"),
        Signed::Claim(claim) => (claim.to_string(), "the node that is added, with `freehold identity claim`"),
    };
    write_new(&sign.out, &text)?;
    say::line(format!("Signed. Give {} to {to}.", sign.out.display()));
    Ok(())
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    // Never over a file that is there: it may be somebody's only copy.
    let mut file = std::fs::File::create_new(path)
        .map_err(|error| exit::with(exit::CANT_CREATE, format!("can't write {}: {error}", path.display())))?;
    file.write_all(text.as_bytes()).with_context(|| format!("can't write {}", path.display()))
}

/// The words in four columns, numbered down.
pub(super) fn card(words: &Words) -> String {
    let phrase = words.phrase();
    let words: Vec<&str> = phrase.split_whitespace().collect();
    let rows = words.len().div_ceil(4);
    let line = |row: usize| {
        let cells = (0..4).filter_map(|column| {
            let at = column * rows + row;
            words.get(at).map(|word| format!("{:>3} {word:<12}", at + 1))
        });
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..rows).map(line).collect::<Vec<_>>().join("\n")
}
