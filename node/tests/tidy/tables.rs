//! Table names on disk never change: a renamed table has lost its rows.

use std::collections::BTreeSet;

use crate::{files_below, read, root};

#[test]
fn tables_are_never_renamed_or_removed() {
    let known = read(&root().join("node/tests/tidy/tables.txt"));
    let known: BTreeSet<&str> =
        known.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    let mut found = BTreeSet::new();
    let crates = ["node/core/src", "node/store/src"];
    for path in crates.iter().flat_map(|folder| files_below(&root().join(folder), &[".rs"])) {
        // Tables of tests are on no user's disk.
        if path.components().any(|part| {
            ["tests", "tests.rs", "fuzz.rs"].iter().any(|of_tests| part.as_os_str() == *of_tests)
        }) {
            continue;
        }
        let text = read(&path);
        let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
        for declaration in ["Table::new(\"", "Table::referring(\""] {
            for part in text.split(declaration).skip(1) {
                found.insert(part.split('"').next().unwrap_or_default().to_owned());
            }
        }
    }
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    let lost: Vec<_> = known.difference(&found).collect();
    assert!(lost.is_empty(), "tables of existing stores are missing in the code: {lost:?}");
    let new: Vec<_> = found.difference(&known).collect();
    assert!(
        new.is_empty(),
        "add the new tables to node/tests/tidy/tables.txt, permanently: {new:?}"
    );
}
