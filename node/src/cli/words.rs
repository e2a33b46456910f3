//! The 24 words on a terminal: typed by the owner, never given as arguments, where every process on
//! the machine could read them.

use std::io::BufRead;

use anyhow::{Context, Result};
use freehold_core::mnemonic::{Mnemonic, WORDS_COUNT};
use zeroize::Zeroizing;

use crate::{exit, say};

/// Asks for the words on standard input: on one line or on several, numbered or not.
pub(super) fn ask(prompt: &str) -> Result<Mnemonic> {
    say::line(prompt);
    let mut typed = Zeroizing::new(String::new());
    let mut input = std::io::stdin().lock();
    // The last line of 24 words ends it, so that a terminal needs no end of file; so does an empty
    // line, for whoever has typed fewer.
    loop {
        let mut line = Zeroizing::new(String::new());
        let read = input.read_line(&mut line).context("no words")?;
        typed.push_str(&line);
        if read == 0
            || (line.trim().is_empty() && !typed.trim().is_empty())
            || count(&typed) >= WORDS_COUNT
        {
            break;
        }
    }
    Mnemonic::parse(&typed).map_err(|error| exit::with(exit::DATA, error.to_string()))
}

/// How many words there are; a number or a dash alone is none.
fn count(typed: &str) -> usize {
    typed
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| word.chars().any(char::is_alphabetic))
        .count()
}

/// Asks whether to go on; anything but yes is no, and what that means.
pub(super) fn agreed(question: &str, otherwise: &'static str) -> Result<()> {
    say::line(format!("{question} Type yes:"));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("no answer")?;
    if answer.trim().eq_ignore_ascii_case("yes") {
        return Ok(());
    }
    Err(exit::with(exit::DATA, otherwise))
}
