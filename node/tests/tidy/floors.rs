//! The floors inside core and store: a module imports only modules of lower floors, and on its own
//! floor only in one direction.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{code_without_tests, is_test_file};
use crate::{files_below, read, root};

/// The top-level modules of core, from the lowest floor to the highest.
const CORE: [&[&str]; 11] = [
    &["audience", "blocking", "events", "ids", "names", "slug", "text"],
    &["store"],
    &["node"],
    &["erasure", "identity", "outbox", "profile"],
    &["friendship"],
    &["feed"],
    &["friends", "identity_log", "logins", "mailbox", "photos"],
    &["delivery_status", "posts", "timeline"],
    &["apply"],
    &["publish"],
    &["check"],
];

/// The top-level modules of store, from the lowest floor to the highest.
const STORE: [&[&str]; 8] = [
    &["fs", "hints"],
    &["types"],
    &["engine", "seal", "space"],
    &["vault"],
    &["blobs"],
    &["wal"],
    &["store"],
    &["row"],
];

/// The imports of each top-level module below a `src` folder, tests excluded.
fn imports(folder: &str) -> BTreeMap<String, BTreeSet<String>> {
    let folder = root().join(folder);
    let modules: BTreeSet<String> = std::fs::read_dir(&folder)
        .expect("a src folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| !is_test_file(name.as_ref()))
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .filter(|name| name != "lib" && name != "main")
        .collect();
    let mut found: BTreeMap<String, BTreeSet<String>> =
        modules.iter().map(|module| (module.clone(), BTreeSet::new())).collect();
    for path in files_below(&folder, &[".rs"]) {
        let relative = path.strip_prefix(&folder).expect("below the folder").with_extension("");
        if is_test_file(path.strip_prefix(&folder).expect("below the folder")) {
            continue;
        }
        let parts: Vec<String> =
            relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let Some(imported) = found.get_mut(&parts[0]) else { continue };
        let code = code_without_tests(&read(&path));
        // `super` as often as the file is deep is the crate's root.
        let to_root = "super::".repeat(parts.len());
        let names = imported_names(&code, "crate::").into_iter().chain(
            // A longer chain of `super` ends with the same text and leaves the crate.
            imported_names(&code, &to_root),
        );
        imported.extend(names.filter(|name| modules.contains(name) && *name != parts[0]));
    }
    found
}

/// The first name of each path after `prefix`, also within braces.
fn imported_names(code: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        // `$crate::`, `my_crate::` and `super::super::` have another meaning than the prefix.
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(group_names(group)),
            None => names.push(first_name(rest)),
        }
    }
    names
}

/// The first names of the paths in a brace group, whose opening brace is stripped.
fn group_names(group: &str) -> Vec<String> {
    let (mut names, mut depth, mut item) = (Vec::new(), 1, String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => {
                names.push(first_name(&item));
                item.clear();
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
        item.push(c);
    }
    names.push(first_name(&item));
    names
}

fn first_name(path: &str) -> String {
    path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Every import that goes up, or that closes a cycle on its own floor.
fn violations(
    imports: &BTreeMap<String, BTreeSet<String>>,
    floors: &[&[&str]],
) -> BTreeSet<(String, String)> {
    let floor: BTreeMap<&str, usize> = floors
        .iter()
        .enumerate()
        .flat_map(|(floor, modules)| modules.iter().map(move |module| (*module, floor)))
        .collect();
    let listed: BTreeSet<&str> = floor.keys().copied().collect();
    let existing: BTreeSet<&str> = imports.keys().map(String::as_str).collect();
    assert_eq!(listed, existing, "give each module a floor in node/tests/tidy/floors.rs");
    let mut found = BTreeSet::new();
    for (module, imported) in imports {
        for other in imported {
            let (own, its) = (floor[module.as_str()], floor[other.as_str()]);
            if its > own || (its == own && reaches(imports, &floor, other, module)) {
                found.insert((module.clone(), other.clone()));
            }
        }
    }
    found
}

/// True if `from` imports `to`, directly or by other modules of the same floor.
fn reaches(
    imports: &BTreeMap<String, BTreeSet<String>>,
    floor: &BTreeMap<&str, usize>,
    from: &str,
    to: &str,
) -> bool {
    let (mut seen, mut waiting) = (BTreeSet::new(), vec![from]);
    while let Some(module) = waiting.pop() {
        if module == to {
            return true;
        }
        if seen.insert(module) {
            waiting.extend(
                imports[module]
                    .iter()
                    .map(String::as_str)
                    .filter(|next| floor[next] == floor[from]),
            );
        }
    }
    false
}

fn check(folder: &str, floors: &[&[&str]]) {
    let found = violations(&imports(folder), floors);
    assert!(found.is_empty(), "{folder}: imports of a higher floor, or in a cycle: {found:#?}");
}

#[test]
fn core_modules_import_lower_floors_only() {
    check("node/core/src", &CORE);
}

#[test]
fn store_modules_import_lower_floors_only() {
    check("node/store/src", &STORE);
}

#[test]
fn import_up_or_in_a_cycle_is_a_violation() {
    let imports = |list: &[(&str, &[&str])]| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        list.iter().map(|(module, names)| ((*module).to_owned(), owned(names))).collect()
    };
    let floors: [&[&str]; 2] = [&["a", "b", "c"], &["d"]];
    let none = imports(&[("a", &["b"]), ("b", &["c"]), ("c", &[]), ("d", &["a"])]);
    assert!(violations(&none, &floors).is_empty());
    let up = imports(&[("a", &["d"]), ("b", &[]), ("c", &[]), ("d", &[])]);
    assert_eq!(violations(&up, &floors).len(), 1);
    let cycle = imports(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"]), ("d", &[])]);
    assert_eq!(violations(&cycle, &floors).len(), 3);
    let code = "use crate::{events, feed::{self, rows}, store::Tx};\nfn f(x: crate::ids::Id) {}";
    assert_eq!(imported_names(code, "crate::"), ["events", "feed", "store", "ids"]);
    assert!(imported_names("$crate::x my_crate::x", "crate::").contains(&"x".to_owned()));
    assert!(imported_names("super::super::feed::x", "super::super::").contains(&"feed".to_owned()));
    assert!(imported_names("super::super::feed::x", "super::").contains(&"super".to_owned()));
}
