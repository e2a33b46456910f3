//! Questions on the terminal. The mnemonic is typed and never an argument: every process on the
//! machine can read arguments. While it is typed, the terminal does not echo, so that the words do
//! not stay in its scrollback.

use std::io::{BufRead, IsTerminal, Stdin};

use anyhow::{Context, Result};
use freehold_core::mnemonic::{Mnemonic, MnemonicError, WORDS_COUNT};
use rustix::termios::{LocalModes, OptionalActions, Termios};
use zeroize::Zeroizing;

use crate::{console, exit};

/// How often a word that is not in the list is asked for again.
const CORRECTIONS_MAX: usize = 24;

/// Reads the 24 words from standard input, on one line or several, numbered or not. A word that is
/// not in the list is asked for again, alone.
pub(super) fn mnemonic(prompt: &str) -> Result<Mnemonic> {
    console::print(prompt);
    let typed = read_words()?;
    parse(typed)
}

/// As [`mnemonic`]; `None` if there is no input at all, as in a script. A person at a terminal is
/// always asked.
pub(super) fn mnemonic_again(prompt: &str) -> Result<Option<Mnemonic>> {
    console::print(prompt);
    let typed = read_words()?;
    if typed.trim().is_empty() && !std::io::stdin().is_terminal() {
        console::print("There is no input; the words were not asked back.");
        return Ok(None);
    }
    parse(typed).map(Some)
}

/// Reads up to the line that completes 24 words, to an empty line, or to the end of file.
fn read_words() -> Result<Zeroizing<String>> {
    let _silent = SilentTerminal::new();
    let mut typed = Zeroizing::new(String::new());
    loop {
        let line = read_line()?;
        typed.push_str(&line);
        if line.is_empty()
            || (line.trim().is_empty() && !typed.trim().is_empty())
            || words(&typed).len() >= WORDS_COUNT
        {
            return Ok(typed);
        }
    }
}

fn read_line() -> Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    std::io::stdin().lock().read_line(&mut line).context("can't read the words")?;
    Ok(line)
}

fn parse(mut typed: Zeroizing<String>) -> Result<Mnemonic> {
    for _ in 0..CORRECTIONS_MAX {
        let number = match Mnemonic::parse(&typed) {
            Ok(mnemonic) => return Ok(mnemonic),
            Err(MnemonicError::Unknown(number)) => number,
            Err(error) => return Err(exit::with(exit::DATA, error.to_string())),
        };
        console::print(format!(
            "Word {number} is not one of the list. Type word {number} again, then Enter:"
        ));
        let line = {
            let _silent = SilentTerminal::new();
            read_line()?
        };
        let Some(word) = words(&line).pop() else {
            return Err(exit::with(exit::DATA, MnemonicError::Unknown(number).to_string()));
        };
        let corrected = with_word(&typed, number, word);
        typed = corrected;
    }
    Err(exit::with(exit::DATA, "too many words are not in the list; look at your paper again"))
}

/// The typed words with another word of this number, counted from 1.
fn with_word(typed: &str, number: usize, word: &str) -> Zeroizing<String> {
    let mut all = words(typed);
    if let Some(wrong) = number.checked_sub(1).and_then(|at| all.get_mut(at)) {
        *wrong = word;
    }
    Zeroizing::new(all.join(" "))
}

/// The words; a number or a dash alone is none.
fn words(typed: &str) -> Vec<&str> {
    typed
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| word.chars().any(char::is_alphabetic))
        .collect()
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

/// A terminal that does not echo until this is dropped.
struct SilentTerminal {
    terminal: Stdin,
    before: Termios,
}

impl SilentTerminal {
    /// Switches the echo off; `None` if standard input is not a terminal.
    fn new() -> Option<Self> {
        let terminal = std::io::stdin();
        let before = rustix::termios::tcgetattr(&terminal).ok()?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        // The line break is still shown, so that each word typed on a line of its own is seen.
        silent.local_modes.insert(LocalModes::ECHONL);
        rustix::termios::tcsetattr(&terminal, OptionalActions::Now, &silent).ok()?;
        Some(Self { terminal, before })
    }
}

impl Drop for SilentTerminal {
    fn drop(&mut self) {
        // Fails only if the terminal is gone.
        let _ = rustix::termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_of_a_mnemonic_is_corrected() {
        let numbered = "1. able 2. about 3. abocve - 4. absent";
        assert_eq!(*with_word(numbered, 3, "above"), "able about above absent");
        assert_eq!(*with_word("able", 9, "above"), "able");
        assert_eq!(words(" 1. able,about\n- 3"), ["able", "about"]);
    }
}
