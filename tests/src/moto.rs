//! moto, the AWS that nobody here wrote, as a process on a port that the system chose.

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A running moto server; it ends when this is dropped.
#[derive(Debug)]
pub struct Moto {
    /// `http://127.0.0.1:PORT`
    pub endpoint: String,
    _process: Child,
}

/// A program of the Python environment that `make test` sets up.
pub fn python_program(name: &str) -> Result<PathBuf> {
    let venv = std::env::var_os("VALKEEP_TEST_VENV").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.venv"),
        PathBuf::from,
    );
    let program = venv.join("bin").join(name);
    if !program.exists() {
        bail!("{} is not there; `make setup-test` makes it", program.display());
    }
    Ok(program)
}

impl Moto {
    /// Starts moto and waits until it says where it listens, at most 60 s (its first start compiles Python files).
    pub async fn start() -> Result<Self> {
        let mut process = Command::new(python_program("moto_server")?)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("moto_server does not start")?;
        let mut lines = BufReader::new(process.stderr.take().context("stderr is piped")?).lines();
        let endpoint = tokio::time::timeout(Duration::from_mins(1), async {
            while let Some(line) = lines.next_line().await? {
                if let Some(at) = line.find("http://127.0.0.1:") {
                    return Ok(line[at..].trim().to_owned());
                }
            }
            bail!("moto_server ended without saying where it listens")
        })
        .await
        .context("moto_server did not say where it listens within 60 s")??;
        // Somebody must read on, or the pipe fills and moto stops.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self {
            endpoint,
            _process: process,
        })
    }
}
