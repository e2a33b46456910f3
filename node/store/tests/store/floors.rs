//! The floors of the crate: a module imports only from floors below its own.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of each floor, lowest first. A module may also import from its own floor.
const FLOORS: [&[&str]; 7] = [
    &["types", "fs", "hints"],
    &["seal", "space", "vault"],
    &["blobs"],
    &["wal"],
    &["engine"],
    &["store"],
    &["row"],
];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

fn source_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// Test modules may import from any floor.
fn is_test(path: &Path) -> bool {
    path.components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        matches!(name.trim_end_matches(".rs"), "tests" | "testing" | "fuzz" | "traces" | "lib")
    })
}

#[test]
fn store_modules_import_only_from_lower_floors() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&src, &mut files);
    let mut checked = 0;
    for path in files.iter().map(|path| path.strip_prefix(&src).unwrap()) {
        if is_test(path) || path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let module = path.iter().next().unwrap().to_string_lossy();
        let module = module.trim_end_matches(".rs");
        let own = floor(module).unwrap_or_else(|| panic!("{module} has no floor"));
        let text = fs::read_to_string(src.join(path)).unwrap();
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
        for import in text.split("crate::").skip(1) {
            let imported = import.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            let below = floor(imported).is_some_and(|floor| floor <= own);
            assert!(below, "{} imports crate::{imported}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked}");
}
