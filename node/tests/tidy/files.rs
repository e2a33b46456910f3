//! Small files, each under a noun's name.

use crate::{files_below, read, root, shown};

/// The longest source file, in lines; one that grows past it splits along its nouns.
const LINES_MAX: usize = 450;

/// Names that say nothing of what is inside.
const FORBIDDEN: [&str; 9] = [
    "utils.rs",
    "util.rs",
    "helpers.rs",
    "helper.rs",
    "common.rs",
    "manager.rs",
    "service.rs",
    "misc.rs",
    "mod.rs",
];

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let long: Vec<String> = files_below(&root(), &[".rs"])
        .iter()
        .map(|path| (read(path).lines().count(), shown(path)))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "over {LINES_MAX} lines: {long:#?}");
}

#[test]
fn every_file_is_named_for_what_it_holds() {
    for path in files_below(&root(), &[".rs"]) {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(
            !FORBIDDEN.contains(&name.as_str()),
            "{} says nothing of what is inside",
            shown(&path)
        );
    }
}

#[test]
fn every_module_says_what_it_is() {
    for path in files_below(&root(), &[".rs"]) {
        let text = read(&path);
        // The names of tests are sentences that say it.
        if shown(&path).split('/').any(|part| part == "tests" || part == "tests.rs") {
            continue;
        }
        let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
        let opens = first.is_some_and(|line| line.starts_with("//!") || line.starts_with("// "));
        assert!(opens, "{} does not open with a line saying what it is", shown(&path));
    }
}

#[test]
fn the_visible_top_level_is_the_house_alone() {
    let expected = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "federation",
        "mail",
        "node",
        "rust-toolchain.toml",
        "target",
        "themes",
        "web",
    ];
    for entry in std::fs::read_dir(root()).expect("the workspace's folder") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(
            name.starts_with('.') || expected.contains(&name.as_str()),
            "{name} does not belong at the top level"
        );
    }
}

#[test]
fn every_template_is_used() {
    let templates = root().join("themes/templates");
    let mut sources: String =
        files_below(&root().join("web/src"), &[".rs"]).iter().map(|path| read(path)).collect();
    for path in files_below(&templates, &[".html", ".xml", ".txt"]) {
        sources.push_str(&read(&path));
    }
    for path in files_below(&templates, &[".html", ".xml", ".txt"]) {
        let name = path.strip_prefix(&templates).expect("below templates").display().to_string();
        assert!(
            sources.contains(&format!("\"{name}\"")),
            "themes/templates/{name} is used by no view and no template"
        );
    }
}

#[test]
fn the_project_needs_no_registry_by_address() {
    // A lock file names the default registry by its short public identity alone; no other file
    // names one at all.
    for path in files_below(&root(), &[".rs", ".toml", ".md", ".sh", ".mjs", ".json", ".py"]) {
        let text = read(&path);
        for host in ["registry.npm", "index.crates", "pypi.org/simple", "deb.debian"] {
            let itself = path.ends_with("node/tests/tidy/files.rs");
            assert!(
                itself || !text.contains(host),
                "{} names the registry host {host}",
                shown(&path)
            );
        }
    }
}

#[test]
fn lenient_clippy_file_is_a_subset_of_the_strict() {
    let strict = read(&root().join(".clippy.toml"));
    for line in read(&root().join("node/.clippy.toml")).lines() {
        assert!(
            line.starts_with('#') || strict.lines().any(|known| known == line),
            "node/.clippy.toml has a line that .clippy.toml lacks: {line}"
        );
    }
}
