//! Types commands as a person would, in a folder, with localaws's variables set.
#![expect(clippy::print_stdout, reason = "printing is what a demo is for")]

use crate::local_aws::{LocalAwsProcess, end, program};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often a wait looks. A wait is on a state, with a bound; this only says how fine.
const LOOK: Duration = Duration::from_millis(200);

/// A working folder and an environment.
pub(crate) struct Shell {
    valkeep: PathBuf,
    folder: PathBuf,
    variables: Vec<(String, String)>,
}

/// The task that serves now.
pub(crate) struct Serving {
    /// Task ARN.
    pub(crate) task: String,
    /// `host:port`
    pub(crate) address: String,
}

impl Shell {
    pub(crate) fn new(aws: &LocalAwsProcess, folder: &Path) -> Self {
        let mut variables: Vec<_> = aws
            .sdk_variables()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        variables.push(("VALKEEP_STORE".to_owned(), crate::STORE.to_owned()));
        Self {
            valkeep: program("valkeep").expect("built beside this one"),
            folder: folder.to_path_buf(),
            variables,
        }
    }

    /// Runs `valkeep` and shows its output; it must succeed.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<()> {
        self.run_expecting(0, arguments)
    }

    /// Runs `valkeep`, which must end with this exit code.
    pub(crate) fn run_expecting(&self, code: i32, arguments: &[&str]) -> Result<()> {
        println!("$ valkeep {}", arguments.join(" "));
        std::io::stdout().flush()?;
        let status = self.command(arguments).status()?;
        ensure!(
            status.code() == Some(code),
            "valkeep {} ended with {status}, expected {code}",
            arguments.join(" ")
        );
        println!();
        Ok(())
    }

    /// Starts `valkeep run` with its log in a file.
    pub(crate) fn controller(&self, store: &str, log: &Path) -> Result<Controller> {
        println!("$ valkeep run --store {store} --poll 1s --probe-interval 2s --dns-grace 10s &");
        let log = std::fs::File::create(log)?;
        let process = self
            .command(&[
                "run",
                "--store",
                store,
                "--poll",
                "1s",
                "--probe-interval",
                "2s",
                "--dns-grace",
                "10s",
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Controller(process))
    }

    /// The status as JSON.
    pub(crate) fn status(&self, name: &str) -> Result<Value> {
        let output = self
            .command(&["status", name, "--output", "json"])
            .stderr(Stdio::inherit())
            .output()?;
        ensure!(output.status.success(), "valkeep status ended with {}", output.status);
        serde_json::from_slice(&output.stdout).context("the status is JSON")
    }

    /// The task that serves now.
    pub(crate) fn serving(&self, name: &str) -> Result<Serving> {
        let status = self.status(name)?;
        serving(&status).with_context(|| format!("no task serves: {status}"))
    }

    /// Waits until another task than `old` serves and the document is Ready.
    pub(crate) fn wait_for_another_task(&self, name: &str, old: &str, bound: Duration) -> Result<Serving> {
        self.wait(name, bound, "another task serves", |status| {
            serving(status).filter(|serving| serving.task != old && is_ready(status))
        })
    }

    /// Waits until the status says that at least so many changes are at risk.
    pub(crate) fn wait_for_keys_at_risk(&self, name: &str, least: u64) -> Result<u64> {
        self.wait(name, Duration::from_secs(30), "the keys at risk are seen", |status| {
            status
                .pointer("/status/valkey/keysAtRisk")
                .and_then(Value::as_u64)
                .filter(|keys| *keys >= least)
        })
    }

    fn wait<T>(&self, name: &str, bound: Duration, what: &str, look: impl Fn(&Value) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + bound;
        loop {
            let status = self.status(name)?;
            if let Some(found) = look(&status) {
                return Ok(found);
            }
            ensure!(
                Instant::now() < deadline,
                "waited {} s until {what}: {status:#}",
                bound.as_secs()
            );
            std::thread::sleep(LOOK);
        }
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn endpoint(&self) -> &str {
        self.variables
            .iter()
            .find(|(name, _)| name == "AWS_ENDPOINT_URL")
            .map_or("", |(_, value)| value)
    }

    /// What to type in another terminal.
    pub(crate) fn exports(&self) -> String {
        self.variables
            .iter()
            .map(|(name, value)| format!("  export {name}={value}\n"))
            .collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.valkeep);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A running `valkeep run`.
pub(crate) struct Controller(Child);

impl Controller {
    /// SIGTERM, and waits.
    pub(crate) fn stop(mut self) -> Result<()> {
        end(&mut self.0, "valkeep run")
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serving(status: &Value) -> Option<Serving> {
    let text = |pointer: &str| status.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    Some(Serving {
        task: text("/status/resources/taskArn")?,
        address: text("/status/address")?,
    })
}

fn is_ready(status: &Value) -> bool {
    status
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .is_some_and(|conditions| {
            conditions
                .iter()
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        })
}
