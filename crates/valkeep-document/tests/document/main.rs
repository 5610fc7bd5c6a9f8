//! The document from outside: fixtures found by lying in a folder, hostile input, generated files, status.
//!
//! `UPDATE_GOLDEN=1 cargo test -p valkeep-document` rewrites what is generated.

#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

mod desired;
mod fixtures;
mod generated;
mod hostile;
mod properties;
mod settings;
mod status;

use std::path::PathBuf;

/// A path below `manifests/`.
fn manifests(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../manifests")
        .join(name)
}

/// All files of a folder below `manifests/` with one of these endings, by name.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(manifests(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .and_then(|ending| ending.to_str())
                .is_some_and(|ending| endings.contains(&ending))
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no file in {folder}");
    files
}

/// Name of a file without its folder.
fn name(path: &std::path::Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Compares with a file that is checked in, or writes it when `UPDATE_GOLDEN` is set.
fn golden(path: &std::path::Path, now: &str) -> Result<(), String> {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, now).unwrap();
        return Ok(());
    }
    let before = std::fs::read_to_string(path).unwrap_or_default();
    if before == now {
        return Ok(());
    }
    let line = before.lines().zip(now.lines()).position(|(before, now)| before != now);
    let line = line.unwrap_or_else(|| before.lines().count().min(now.lines().count()));
    Err(format!(
        "{} differs in line {}:\n  checked in: {}\n  now:        {}\nregenerate with UPDATE_GOLDEN=1 cargo test -p \
         valkeep-document and review the difference",
        path.display(),
        line + 1,
        before.lines().nth(line).unwrap_or("(end)"),
        now.lines().nth(line).unwrap_or("(end)"),
    ))
}
