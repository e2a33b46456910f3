//! Small files with the names of their content.

use crate::source::lines;
use crate::{files_below, read, root, shown};

/// The longest source file, in lines. A longer one is split by its nouns.
const LINES_MAX: usize = 450;

/// The widest line, in characters (`max_width` of rustfmt). Lines with a string literal, which
/// rustfmt does not break, and rows of a table in a comment may be wider.
const COLUMNS_MAX: usize = 100;

/// Names that do not describe the content.
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
fn source_files_have_at_most_450_lines() {
    let long: Vec<String> = files_below(&root(), &[".rs"])
        .iter()
        .map(|path| (read(path).lines().count(), shown(path)))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "over {LINES_MAX} lines: {long:#?}");
}

#[test]
fn lines_have_at_most_100_columns() {
    let mut wide = Vec::new();
    for path in files_below(&root(), &[".rs"]) {
        let text = read(&path);
        for (at, (line, tokens)) in text.lines().zip(lines(&text)).enumerate() {
            let is_table_row = tokens.comment.trim_start_matches(['/', '!', ' ']).starts_with('|');
            let may_be_wider = tokens.has_string || is_table_row;
            if line.chars().count() > COLUMNS_MAX && !may_be_wider {
                wide.push(format!("{}:{}", shown(&path), at + 1));
            }
        }
    }
    assert!(wide.is_empty(), "over {COLUMNS_MAX} columns: {wide:#?}");
}

#[test]
fn file_names_describe_the_content() {
    for path in files_below(&root(), &[".rs"]) {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(
            !FORBIDDEN.contains(&name.as_str()),
            "{} does not describe the content",
            shown(&path)
        );
    }
}

#[test]
fn modules_open_with_a_description() {
    for path in files_below(&root(), &[".rs"]) {
        let text = read(&path);
        // Test files are described by the names of their tests.
        if shown(&path).split('/').any(|part| part == "tests" || part == "tests.rs") {
            continue;
        }
        let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
        let opens = first.is_some_and(|line| line.starts_with("//!") || line.starts_with("// "));
        assert!(opens, "{} does not open with a description", shown(&path));
    }
}

#[test]
fn top_level_has_known_entries_only() {
    let expected = [
        "CHANGELOG.md",
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
fn no_file_names_a_registry_host() {
    // Cargo.lock names the default registry by its identifier; other files name none.
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
