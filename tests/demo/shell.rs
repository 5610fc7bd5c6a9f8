//! Types commands as a person would, in a folder, with localaws's variables set.
#![expect(clippy::print_stdout, reason = "printing is what a demo is for")]

use crate::local_aws::{LocalAwsProcess, end, program};
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fmt::Write as _;
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

    /// Writes `count` keys; every one is acknowledged.
    pub(crate) fn write_keys(&self, address: &str, stem: &str, count: usize) -> Result<()> {
        println!(
            "$ for n in $(seq 1 {count}); do valkey-cli -h {} SET {stem}:$n value-$n; done",
            host(address)
        );
        let mut commands = String::new();
        for n in 1..=count {
            writeln!(commands, "SET {stem}:{n} value-{n}")?;
        }
        let answers = self.valkey(address, &commands)?;
        let written = answers.lines().filter(|line| *line == "OK").count();
        ensure!(written == count, "{written} of {count} writes were acknowledged");
        Ok(())
    }

    /// How many of the keys written before have their value.
    pub(crate) fn count_written(&self, address: &str, stem: &str, count: usize) -> Result<usize> {
        let mut commands = String::new();
        for n in 1..=count {
            writeln!(commands, "GET {stem}:{n}")?;
        }
        let answers = self.valkey(address, &commands)?;
        Ok(answers
            .lines()
            .zip(1..)
            .filter(|(line, n)| *line == format!("value-{n}"))
            .count())
    }

    /// `DBSIZE`
    pub(crate) fn count_keys(&self, address: &str) -> Result<String> {
        Ok(self.valkey(address, "DBSIZE\n")?.trim().to_owned())
    }

    /// `CONFIG GET save`
    pub(crate) fn save_points(&self, address: &str) -> Result<String> {
        Ok(self
            .valkey(address, "CONFIG GET save\n")?
            .lines()
            .nth(1)
            .unwrap_or_default()
            .to_owned())
    }

    /// SIGKILL to the server process behind an address of localaws.
    pub(crate) fn kill_server(&self, address: &str) -> Result<()> {
        let host = host(address);
        for entry in std::fs::read_dir("/proc")? {
            let entry = entry?;
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            let Ok(line) = std::fs::read(entry.path().join("cmdline")) else {
                continue;
            };
            let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
            let bound = words.windows(2).any(|pair| pair[0] == "--bind" && pair[1] == host);
            // A running server writes its address into its title instead of its arguments.
            let titled = words
                .first()
                .is_some_and(|title| title.contains("-server") && title.contains(address));
            if (bound || titled) && !line.starts_with(b"bwrap") && !words[0].ends_with("/bwrap") {
                println!("$ kill -9 {pid}");
                kill(Pid::from_raw(pid), Signal::SIGKILL)?;
                return Ok(());
            }
        }
        bail!("no server process listens on {address}")
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

    fn valkey(&self, address: &str, commands: &str) -> Result<String> {
        let (host, port) = address.rsplit_once(':').context("an address has a port")?;
        let mut client = Command::new("valkey-cli")
            .args(["-h", host, "-p", port])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("valkey-cli does not start")?;
        let mut input = client.stdin.take().context("stdin is piped")?;
        // Answers may fill the pipe while commands are still written: write from a thread of its own.
        let commands = commands.to_owned();
        let writer = std::thread::spawn(move || input.write_all(commands.as_bytes()));
        let output = client.wait_with_output()?;
        writer.join().expect("writing does not panic")?;
        ensure!(output.status.success(), "valkey-cli ended with {}", output.status);
        Ok(String::from_utf8(output.stdout)?)
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

fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}
