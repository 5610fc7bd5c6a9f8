//! The invariants of ARCHITECTURE.md that the compiler does not hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Which of our crates may depend on which. A new arrow needs a decision record.
const ARROWS: &[(&str, &[&str])] = &[
    ("valkeep-core", &[]),
    ("valkeep-document", &["valkeep-core"]),
    ("valkeep-plan", &["valkeep-core"]),
    ("valkeep-store", &[]),
    ("valkeep-aws", &["valkeep-core", "valkeep-store"]),
    ("valkeep-valkey", &["valkeep-core"]),
    (
        "valkeep-engine",
        &["valkeep-core", "valkeep-document", "valkeep-plan", "valkeep-store"],
    ),
    (
        "valkeep",
        &[
            "valkeep-aws",
            "valkeep-core",
            "valkeep-document",
            "valkeep-engine",
            "valkeep-plan",
            "valkeep-store",
            "valkeep-valkey",
        ],
    ),
    ("localaws", &[]),
];

/// What no pure crate may name, not even for its tests' sake.
const IMPURE: &[&str] = &["tokio", "aws-", "fastrand", "rand", "hyper", "async-"];

#[test]
fn arrows_between_our_crates_go_one_way() {
    for (name, allowed) in ARROWS {
        let ours: BTreeSet<String> = dependencies(name)
            .into_iter()
            .filter(|dependency| dependency.starts_with("valkeep") || dependency == "localaws")
            .collect();
        let allowed: BTreeSet<String> = allowed.iter().map(ToString::to_string).collect();
        assert!(
            ours.is_subset(&allowed),
            "{name} depends on {:?}",
            ours.difference(&allowed)
        );
    }
    let known: BTreeSet<String> = ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let found: BTreeSet<String> = folders(&repository().join("crates"));
    assert_eq!(known, found, "every crate stands in the table of arrows");
}

#[test]
fn the_pure_crates_can_name_no_runtime_no_sdk_and_no_chance() {
    for name in ["valkeep-core", "valkeep-plan", "valkeep-document"] {
        for dependency in dependencies(name) {
            assert!(
                !IMPURE.iter().any(|word| dependency.starts_with(word)),
                "{name} depends on {dependency}"
            );
        }
    }
}

#[test]
fn only_one_crate_names_the_sdk() {
    for name in folders(&repository().join("crates")) {
        let names_it = dependencies(&name)
            .iter()
            .any(|dependency| dependency.starts_with("aws-sdk-"));
        assert_eq!(names_it, name == "valkeep-aws", "{name}");
    }
}

#[test]
fn every_test_file_is_compiled() {
    for package in packages() {
        for entry in source_files(&package.join("tests")).chain(source_files(&package.join("all"))) {
            let stem = entry
                .file_stem()
                .expect("a file has a stem")
                .to_string_lossy()
                .into_owned();
            if matches!(stem.as_str(), "main" | "mod") {
                continue;
            }
            let folder = entry.parent().expect("a file lies in a folder");
            let wired = source_files(folder)
                .chain(source_files(folder.parent().expect("a folder lies in a folder")))
                .any(|other| {
                    other != entry
                        && std::fs::read_to_string(&other).is_ok_and(|text| text.contains(&format!("mod {stem};")))
                });
            // Cargo itself finds what lies directly in tests/ of a package with automatic tests.
            let automatic = folder.file_name().is_some_and(|name| name == "tests") && folder.parent() == Some(&package);
            assert!(wired || automatic, "{} is never compiled", entry.display());
        }
    }
}

#[test]
fn no_library_prints() {
    for name in folders(&repository().join("crates")) {
        if matches!(name.as_str(), "valkeep" | "localaws") {
            continue;
        }
        for file in walk(&repository().join("crates").join(&name).join("src")) {
            let text = std::fs::read_to_string(&file).expect("a source file is text");
            for word in ["println!(", "eprintln!(", "print!(", "eprint!("] {
                assert!(!text.contains(word), "{} has {word}", file.display());
            }
        }
    }
}

#[test]
fn only_the_planner_of_deletions_makes_steps_that_delete_storage() {
    let source = repository().join("crates/valkeep-plan/src");
    for step in ["DeleteFileSystem {", "DeleteMountTarget {", "DeleteAccessPoint {"] {
        let makers: Vec<PathBuf> = walk(&source)
            .into_iter()
            .filter(|file| {
                let text = std::fs::read_to_string(file).expect("a source file is text");
                text.contains(&format!("draft.step(Step::{step}"))
            })
            .collect();
        assert_eq!(makers, [source.join("deletion.rs")], "{step}");
    }
    let table = std::fs::read_to_string(source.join("plan.rs")).expect("a source file is text");
    assert_eq!(table.matches("deletion::deletion(").count(), 1);
    assert!(table.contains("if let Some(asked) = desired.deletion {\n        deletion::deletion("));
}

#[test]
fn every_decision_is_numbered_once() {
    let mut seen = BTreeMap::new();
    for file in std::fs::read_dir(repository().join("docs/decisions")).expect("the folder exists") {
        let name = file.expect("readable").file_name().to_string_lossy().into_owned();
        let number = name.split('-').next().unwrap_or_default().to_owned();
        assert!(
            number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()),
            "{name}"
        );
        assert_eq!(seen.insert(number, name.clone()), None, "{name}");
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the repository")
        .to_path_buf()
}

fn packages() -> Vec<PathBuf> {
    let crates = repository().join("crates");
    folders(&crates)
        .into_iter()
        .map(|name| crates.join(name))
        .chain([repository().join("tests")])
        .collect()
}

/// The names under `[dependencies]`; Cargo.toml of this workspace has one name a line.
fn dependencies(name: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(repository().join("crates").join(name).join("Cargo.toml")).expect("a manifest");
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
        } else if inside && let Some((name, _)) = line.split_once(['.', '=', ' ']) {
            names.insert(name.trim().to_owned());
        }
    }
    assert!(
        !text.contains("[dependencies."),
        "{name}: one dependency a line, so that this test can read it"
    );
    names
}

fn folders(path: &Path) -> BTreeSet<String> {
    std::fs::read_dir(path)
        .expect("the folder exists")
        .map(|entry| entry.expect("readable"))
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn source_files(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
}

fn walk(path: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)
        .expect("the folder exists")
        .filter_map(Result::ok)
    {
        if entry.path().is_dir() {
            files.extend(walk(&entry.path()));
        } else if entry.path().extension().is_some_and(|ending| ending == "rs") {
            files.push(entry.path());
        }
    }
    files
}
