//! The table of invariants, the scripts and the tests: every test they name exists.

use std::collections::BTreeSet;

use crate::{files_below, read, root, shown};

/// The names of all test functions of the workspace.
fn test_names() -> BTreeSet<String> {
    files_below(&root(), &[".rs"])
        .iter()
        .flat_map(|path| {
            let text = read(path);
            text.split("fn ")
                .skip(1)
                .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
                .collect::<Vec<String>>()
        })
        .collect()
}

#[test]
fn every_test_in_the_invariants_table_exists() {
    let guide = read(&root().join("node/guide/invariants.md"));
    let tests = test_names();
    let rows: Vec<&str> = guide.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 30, "the table has only {} rows", rows.len());
    for row in rows {
        let proof = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let named: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test is named: {row}");
        for name in named {
            let is_path = name.contains('/');
            let is_command = name.contains(' ');
            let exists = match (is_path, is_command) {
                (true, _) => root().join(name).exists(),
                (_, true) => name.starts_with("freehold "),
                _ => tests.contains(name.rsplit("::").next().unwrap_or_default()),
            };
            assert!(exists, "`{name}` does not exist: {row}");
        }
    }
}

#[test]
fn every_test_named_by_a_script_exists() {
    let tests = test_names();
    for path in files_below(&root().join(".ci"), &[""]) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        // `cargo test … -- FILTER`: a filter is a test's name or its beginning.
        for command in text.replace("\\\n", " ").lines().filter(|line| line.contains("cargo test"))
        {
            let filters = command.split(" -- ").nth(1).unwrap_or_default();
            let words = filters.split(['|', '#']).next().unwrap_or_default().split_whitespace();
            for word in words.filter(|word| word.contains('_') && !word.starts_with('-')) {
                assert!(
                    tests.iter().any(|test| test.contains(word)),
                    "{}: no test matches {word}",
                    shown(&path)
                );
            }
        }
    }
}
