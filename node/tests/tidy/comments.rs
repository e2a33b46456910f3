//! Comments: plain sentences that begin with their subject.

use crate::source::lines;
use crate::{files_below, read, root, shown};

/// A noun clause instead of a noun: the reader must guess the subject.
const CLAUSES: [&str; 5] = ["What", "Who", "Whoever", "Whatever", "Whose"];

/// True if a comment line begins with a noun clause and not with a question.
fn begins_with_clause(comment: &str) -> bool {
    let text = comment.trim_start_matches(['/', '!']).trim_start();
    CLAUSES.iter().any(|clause| {
        text.strip_prefix(clause)
            .and_then(|rest| rest.strip_prefix(' '))
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
    })
}

#[test]
fn comments_do_not_begin_with_a_noun_clause() {
    let mut found = Vec::new();
    for path in files_below(&root(), &[".rs"]) {
        for (at, line) in lines(&read(&path)).iter().enumerate() {
            if begins_with_clause(&line.comment) {
                found.push(format!("{}:{}: {}", shown(&path), at + 1, line.comment));
            }
        }
    }
    assert!(found.is_empty(), "name the subject: {found:#?}");
}

#[test]
fn noun_clause_is_told_from_other_words() {
    for comment in ["// What is stored", "//! Who asks", "/// Whatever comes", "/// Whose post"] {
        assert!(begins_with_clause(comment), "{comment}");
    }
    for comment in ["// Whole blobs", "// The node", "// What? Nothing.", "// WHAT is", "///"] {
        assert!(!begins_with_clause(comment), "{comment}");
    }
}
