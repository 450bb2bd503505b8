//! The crates form a star: everybody may know the vocabulary, only the binary knows everybody.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each crate of the workspace may import of the others. Whoever is not listed may import nothing at all.
const MAY_IMPORT: [(&str, &[&str]); 15] = [
    ("drdrill-core", &[]),
    ("drdrill-clock", &[]),
    ("drdrill-process", &["core"]),
    ("drdrill-histories", &["core"]),
    ("drdrill-lab", &[]),
    ("drdrill-containers", &["core"]),
    ("drdrill-engine", &["core", "clock", "process"]),
    ("drdrill-environments", &["core", "clock", "process"]),
    ("drdrill-machinery", &["core", "clock", "process"]),
    ("drdrill-measure", &["core", "clock", "process", "histories"]),
    ("drdrill-notify", &["core", "clock", "process"]),
    ("drdrill-backup", &["core", "clock", "process"]),
    ("drdrill-faults", &["core", "clock", "process"]),
    ("drdrill-reports", &["core", "clock", "process"]),
    (
        "drdrill",
        &[
            "core",
            "clock",
            "process",
            "histories",
            "lab",
            "containers",
            "engine",
            "environments",
            "machinery",
            "measure",
            "notify",
            "backup",
            "faults",
            "reports",
        ],
    ),
];

/// What each crate imports of the others, without what only its tests need.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |package: &Value| package["name"].as_str().unwrap().to_owned();
    let ours: BTreeSet<String> = packages.iter().map(name).collect();
    let imports_of = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        let needed = all.filter(|dependency| dependency["kind"] != "dev").map(name);
        needed.filter(|dependency| ours.contains(dependency)).collect()
    };
    packages.iter().map(|package| (name(package), imports_of(package))).collect()
}

#[test]
fn no_crate_imports_sideways() {
    let table: BTreeMap<&str, BTreeSet<String>> = MAY_IMPORT
        .into_iter()
        .map(|(name, may)| (name, may.iter().map(|one| format!("drdrill-{one}")).collect()))
        .collect();
    for (name, imports) in imports() {
        let may = table.get(name.as_str()).unwrap_or_else(|| {
            panic!(
                "{name} is not in the table: say what it may import, and draw it in ARCHITECTURE.md"
            )
        });
        let sideways: Vec<_> = imports.difference(may).collect();
        assert!(sideways.is_empty(), "{name} may not import {sideways:?}");
    }
}

#[test]
fn the_table_speaks_of_crates_that_exist() {
    let known = imports();
    for (name, _) in MAY_IMPORT {
        assert!(known.contains_key(name), "there is no crate {name} any more");
    }
    // Every part is wired to something; one that nobody imports would be dead.
    for name in known.keys().filter(|name| *name != "drdrill") {
        assert!(known.values().any(|imports| imports.contains(name)), "nobody imports {name}");
    }
}
