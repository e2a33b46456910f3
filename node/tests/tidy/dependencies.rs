//! The dependencies between the crates: web, mail and federation depend on core and not on each
//! other, web and mail also on listen; only node links everything.

use std::collections::{BTreeMap, BTreeSet};

use crate::{metadata, read, root};

/// The folder of each crate.
const FOLDERS: [&str; 11] = [
    "node",
    "node/core",
    "node/dns",
    "node/heap",
    "node/listen",
    "node/mime",
    "node/proto",
    "node/store",
    "web",
    "mail",
    "federation",
];

#[test]
fn protocol_crates_do_not_depend_on_each_other() {
    let metadata = metadata();
    let mut crates: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        if !name.starts_with("freehold") {
            continue;
        }
        let used = package["dependencies"].as_array().expect("dependencies").iter();
        let used = used
            .filter(|d| d["kind"].as_str() != Some("dev"))
            .filter_map(|d| d["name"].as_str())
            .filter(|n| n.starts_with("freehold") && *n != name)
            .map(str::to_owned);
        crates.insert(name.to_owned(), used.collect());
    }
    let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
    let expected = BTreeMap::from([
        ("freehold-dns".to_owned(), set(&[])),
        ("freehold-heap".to_owned(), set(&[])),
        ("freehold-mime".to_owned(), set(&[])),
        ("freehold-proto".to_owned(), set(&[])),
        ("freehold-listen".to_owned(), set(&["freehold-proto"])),
        ("freehold-store".to_owned(), set(&["freehold-proto"])),
        ("freehold-core".to_owned(), set(&["freehold-mime", "freehold-proto", "freehold-store"])),
        ("freehold-web".to_owned(), set(&["freehold-core", "freehold-listen", "freehold-mime"])),
        ("freehold-mail".to_owned(), set(&["freehold-core", "freehold-listen", "freehold-mime"])),
        ("freehold-federation".to_owned(), set(&["freehold-core"])),
        (
            "freehold".to_owned(),
            set(&[
                "freehold-core",
                "freehold-dns",
                "freehold-heap",
                "freehold-listen",
                "freehold-web",
                "freehold-mail",
                "freehold-federation",
            ]),
        ),
    ]);
    assert_eq!(crates, expected);
}

#[test]
fn protocol_packages_stay_in_their_crate() {
    // The only crates that may depend on a package.
    let homes: [(&str, &[&str]); 11] = [
        ("libp2p", &["federation"]),
        ("axum", &["web"]),
        ("askama", &["web"]),
        ("ammonia", &["web"]),
        ("lettre", &["mail"]),
        ("smtp-proto", &["mail"]),
        ("sled", &["node/store"]),
        ("redb", &["node/store"]),
        ("clap", &["node"]),
        ("anyhow", &["node"]),
        // A stranger's message can crash it; it is an oracle of the tests of `node/mime`.
        ("mail-parser", &[]),
    ];
    for (package, allowed) in homes {
        for folder in FOLDERS {
            let manifest: toml::Table =
                read(&root().join(folder).join("Cargo.toml")).parse().expect("a manifest");
            let named = manifest.get("dependencies").is_some_and(|d| d.get(package).is_some());
            assert!(
                !named || allowed.contains(&folder),
                "{folder} may not depend on {package}; it belongs to {allowed:?}"
            );
        }
    }
}

#[test]
fn dependencies_are_listed_once_for_the_workspace() {
    for folder in FOLDERS {
        let manifest: toml::Table =
            read(&root().join(folder).join("Cargo.toml")).parse().expect("a manifest");
        for section in ["dependencies", "dev-dependencies"] {
            let Some(table) = manifest.get(section).and_then(|s| s.as_table()) else { continue };
            for (name, value) in table {
                let inherited = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                assert!(inherited, "{folder}: {name} must be taken from [workspace.dependencies]");
            }
        }
    }
}
