//! The dump as a file: whether Valkey's own checker takes it.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A dump in a data directory.
#[derive(Debug, Clone)]
pub(super) struct Dump(pub(super) PathBuf);

impl Dump {
    /// Whether it is there and cannot be loaded.
    pub(super) fn is_corrupt(&self) -> Result<bool> {
        if !self.0.exists() {
            return Ok(false);
        }
        let mut check = Command::new("valkey-check-rdb");
        check
            .arg(&self.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let ended = check
            .status()
            .context("valkey-check-rdb does not start; it comes with Valkey")?;
        Ok(!ended.success())
    }

    /// Takes it away, as a person would who wants the service back.
    pub(super) fn remove(&self) -> Result<()> {
        Ok(std::fs::remove_file(&self.0)?)
    }

    /// Unfinished ones beside it.
    pub(super) fn unfinished(&self) -> Result<usize> {
        let directory = self.0.parent().unwrap_or(Path::new("."));
        let names = std::fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name()));
        let names: Vec<_> = names.collect::<Result<_>>()?;
        Ok(names
            .iter()
            .filter(|name| name.to_string_lossy().starts_with("temp-"))
            .count())
    }
}
