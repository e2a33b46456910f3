//! The rules of `.cargo/deny.toml`, checked with `cargo metadata`, so that no tool has to be
//! installed.

use std::collections::BTreeSet;

use crate::{metadata, read, root};

fn rules() -> toml::Table {
    read(&root().join(".cargo/deny.toml")).parse().expect("deny.toml")
}

/// True if the `allowed` licences satisfy an SPDX expression. `/` is the old spelling of `OR`.
fn permitted(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words: Vec<String> = Vec::new();
    for word in spaced.split_whitespace() {
        if words.last().is_some_and(|last| last == "WITH") {
            words.pop();
            let licence = words.pop().unwrap_or_default();
            words.push(format!("{licence} WITH {word}"));
        } else {
            words.push(word.to_owned());
        }
    }
    let mut at = 0;
    let met = either(&words, &mut at, allowed);
    met && at == words.len()
}

fn either(words: &[String], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = both(words, at, allowed);
    while words.get(*at).is_some_and(|w| w == "OR") {
        *at += 1;
        met |= both(words, at, allowed);
    }
    met
}

fn both(words: &[String], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at).is_some_and(|w| w == "AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

fn one(words: &[String], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    match words.get(*at).map(String::as_str) {
        Some("(") => {
            *at += 1;
            let met = either(words, at, allowed);
            *at += 1;
            met
        }
        Some(licence) => {
            *at += 1;
            allowed.contains(licence)
        }
        None => false,
    }
}

#[test]
fn dependencies_are_permissive_and_from_the_default_registry() {
    let rules = rules();
    let allowed = rules["licenses"]["allow"].as_array().expect("licenses.allow");
    let allowed: BTreeSet<String> =
        allowed.iter().filter_map(|l| l.as_str()).map(str::to_owned).collect();
    let metadata = metadata();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        let licence = package["license"].as_str().unwrap_or("");
        assert!(
            permitted(licence, &allowed),
            "{name} is under {licence:?}, which .cargo/deny.toml does not allow"
        );
        let source = package["source"].as_str();
        let ours = source.is_none() && name.starts_with("freehold");
        assert!(
            ours || source.is_some_and(|s| s.starts_with("registry+")),
            "{name} comes from {source:?}"
        );
    }
}

#[test]
fn banned_packages_are_not_in_the_dependency_tree() {
    let rules = rules();
    let banned: Vec<String> = rules["bans"]["deny"]
        .as_array()
        .expect("bans.deny")
        .iter()
        .filter_map(|ban| ban["name"].as_str())
        .map(str::to_owned)
        .collect();
    let metadata = metadata();
    // Only resolved packages count: an optional dependency that is not enabled is not in the tree.
    for node in metadata["resolve"]["nodes"].as_array().expect("nodes") {
        let id = node["id"].as_str().expect("an id");
        for name in &banned {
            let here = id.contains(&format!("#{name}@")) || id.contains(&format!("/{name}#"));
            assert!(!here, "{name} is banned by .cargo/deny.toml and in the tree: {id}");
        }
    }
}

#[test]
fn spdx_expression_needs_allowed_licences() {
    let allowed = BTreeSet::from([
        "MIT".to_owned(),
        "ISC".to_owned(),
        "Apache-2.0 WITH LLVM-exception".to_owned(),
    ]);
    assert!(permitted("MIT OR GPL-3.0", &allowed));
    assert!(permitted("GPL-3.0/MIT", &allowed));
    assert!(permitted("(GPL-2.0 OR MIT) AND ISC", &allowed));
    assert!(permitted("Apache-2.0 WITH LLVM-exception", &allowed));
    assert!(!permitted("MIT AND GPL-3.0", &allowed));
    assert!(!permitted("AGPL-3.0", &allowed));
    assert!(!permitted("", &allowed));
}
