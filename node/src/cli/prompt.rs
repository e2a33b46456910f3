//! Questions on the terminal. The mnemonic is typed and never an argument: every process on the
//! machine can read arguments.

use std::io::BufRead;

use anyhow::{Context, Result};
use freehold_core::mnemonic::{Mnemonic, WORDS_COUNT};
use zeroize::Zeroizing;

use crate::{console, exit};

/// Reads the 24 words from standard input, on one line or several, numbered or not.
pub(super) fn mnemonic(prompt: &str) -> Result<Mnemonic> {
    console::print(prompt);
    let mut typed = Zeroizing::new(String::new());
    let mut input = std::io::stdin().lock();
    // The input ends at the line that completes 24 words, at an empty line, or at the end of file.
    loop {
        let mut line = Zeroizing::new(String::new());
        let len = input.read_line(&mut line).context("can't read the words")?;
        typed.push_str(&line);
        if len == 0
            || (line.trim().is_empty() && !typed.trim().is_empty())
            || count(&typed) >= WORDS_COUNT
        {
            break;
        }
    }
    Mnemonic::parse(&typed).map_err(|error| exit::with(exit::DATA, error.to_string()))
}

/// Counts the words; a number or a dash alone is none.
fn count(typed: &str) -> usize {
    typed
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| word.chars().any(char::is_alphabetic))
        .count()
}

/// Asks for a confirmation. Any answer but `yes` is the error `refusal`.
pub(super) fn confirm(question: &str, refusal: &'static str) -> Result<()> {
    console::print(format!("{question} Type yes:"));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("can't read the answer")?;
    if answer.trim().eq_ignore_ascii_case("yes") {
        return Ok(());
    }
    Err(exit::with(exit::DATA, refusal))
}
