//! The filter on a corpus of real messages, if `FREEHOLD_JUNK_CORPUS` names its folder: the files
//! in its folders whose names begin with `spam` are junk, those in its other folders are wanted.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::bayes::{self, Counts};
use super::tokens;

/// The probability from which on a fully taught filter calls a message junk by its words.
const JUNK_FROM: f64 = 0.98;
/// Every message is judged by a filter that learnt from the messages of the other parts.
const PARTS: usize = 5;

#[test]
fn corpus_is_told_apart() {
    let Some(folder) = std::env::var_os("FREEHOLD_JUNK_CORPUS") else { return };
    let messages = read(Path::new(&folder));
    let (mut called_junk, mut found, mut of) = (0u32, 0u32, Counts::default());
    for part in 0..PARTS {
        let (judged, taught): (Vec<_>, Vec<_>) =
            messages.iter().enumerate().partition(|(at, _)| at % PARTS == part);
        let (mut counts, mut learnt) = (HashMap::new(), Counts::default());
        for (_, (is_junk, tokens)) in taught {
            add(&mut learnt, *is_junk);
            for token in tokens {
                add(counts.entry(token).or_default(), *is_junk);
            }
        }
        for (_, (is_junk, tokens)) in judged {
            let of_token = |token| counts.get(token).copied().unwrap_or_default();
            let tokens: Vec<Counts> = tokens.iter().map(of_token).collect();
            add(&mut of, *is_junk);
            match (bayes::combine(&tokens, learnt).junk >= JUNK_FROM, is_junk) {
                (true, true) => found += 1,
                (true, false) => called_junk += 1,
                (false, _) => {}
            }
        }
    }
    let share = |count: u32, of: u32| 100.0 * f64::from(count) / f64::from(of);
    let (wrong, right) = (share(called_junk, of.wanted), share(found, of.junk));
    println!("{called_junk} of {} wanted messages are called junk: {wrong:.3} %", of.wanted);
    println!("{found} of {} junk messages are found: {right:.1} %", of.junk);
    assert!(wrong <= 0.1 && right >= 90.0, "{wrong} % and {right} %");
}

fn add(counts: &mut Counts, is_junk: bool) {
    if is_junk {
        counts.junk += 1;
    } else {
        counts.wanted += 1;
    }
}

/// The messages in an order that does not depend on their folders.
fn read(folder: &Path) -> Vec<(bool, Vec<String>)> {
    let mut messages = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap().path();
        if !entry.is_dir() {
            continue;
        }
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        for file in fs::read_dir(&entry).unwrap().map(|file| file.unwrap().path()) {
            if file.extension().is_some_and(|extension| extension == "json") {
                continue;
            }
            let bytes = fs::read(&file).unwrap();
            let message = match bytes.strip_prefix(b"From ") {
                Some(rest) => rest.splitn(2, |byte| *byte == b'\n').nth(1).unwrap_or_default(),
                None => &bytes,
            };
            let order = blake3::hash(file.to_string_lossy().as_bytes());
            messages.push((order, (name.starts_with("spam"), tokens(message))));
        }
    }
    messages.sort_by_key(|(order, _)| *order.as_bytes());
    messages.into_iter().map(|(_, message)| message).collect()
}
