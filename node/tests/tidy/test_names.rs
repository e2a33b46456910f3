//! Test names: short sentences that begin with their subject.

use crate::source::lines;
use crate::{files_below, read, root, shown};

/// The most words in a test's name.
const WORDS_MAX: usize = 9;

/// The names of the functions with a `#[test]` or `#[tokio::test]` attribute.
fn test_names(source: &str) -> Vec<String> {
    let (mut names, mut is_test) = (Vec::new(), false);
    for line in lines(source) {
        let code = line.code.trim();
        is_test |= code.starts_with("#[test]") || code.starts_with("#[tokio::test");
        if let (true, Some((_, rest))) = (is_test, code.split_once("fn ")) {
            names.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
            is_test = false;
        }
    }
    names
}

#[test]
fn test_names_have_at_most_nine_words() {
    let mut long = Vec::new();
    for path in files_below(&root(), &[".rs"]) {
        for name in test_names(&read(&path)) {
            if name.split('_').count() > WORDS_MAX {
                long.push(format!("{}: {name}", shown(&path)));
            }
        }
    }
    assert!(long.is_empty(), "more than {WORDS_MAX} words: {long:#?}");
}

#[test]
fn test_attributes_are_found() {
    let source = "#[test]\nfn a_b() {}\nfn c() {}\n#[tokio::test(start_paused = true)]\nasync fn d() {}\n    #[test]\n    #[should_panic]\n    fn e() {}\n";
    assert_eq!(test_names(source), ["a_b", "d", "e"]);
}
