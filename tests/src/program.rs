//! The programs of this workspace, as a test starts them.

use crate::scene::DOCUMENTS;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Stdio;
use tokio::process::{Child, Command};

/// Where a program of this build is: beside another one, and tests lie in a folder beside it.
pub fn path(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let folders = here.ancestors().skip(1).take(2);
    folders
        .map(|folder| folder.join(name))
        .find(|path| path.exists())
        .with_context(|| format!("{name} is not built; build the whole workspace"))
}

/// The shipped program with the AWS at `endpoint`, and with nothing of the environment of whoever runs the tests. Ends when
/// it is dropped.
pub fn valkeep(endpoint: &str, access_key: &str) -> Result<Command> {
    let mut command = Command::new(path("valkeep")?);
    command
        .env_clear()
        .envs([
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", access_key),
            ("AWS_SECRET_ACCESS_KEY", "tests"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Ok(command)
}

/// `valkeep run` on the scene's documents, with waits as short as it takes.
pub fn valkeep_run(endpoint: &str, access_key: &str, more: &[&str]) -> Result<Child> {
    valkeep(endpoint, access_key)?
        .args(["run", "--store", DOCUMENTS, "--poll", "1s", "--dns-grace", "2s"])
        .args(["--log", "error"])
        .args(more)
        .spawn()
        .context("valkeep does not start")
}
