//! Talks to the server of a task with `valkey-cli`, as a person would.
#![expect(clippy::print_stdout, reason = "printing is what a demo is for")]

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Writes `count` keys; every one is acknowledged.
pub(crate) fn write(address: &str, stem: &str, count: usize) -> Result<()> {
    println!(
        "$ for n in $(seq 1 {count}); do valkey-cli -h {} SET {stem}:$n value-$n; done",
        host(address)
    );
    let mut commands = String::new();
    for n in 1..=count {
        writeln!(commands, "SET {stem}:{n} value-{n}")?;
    }
    let answers = ask(address, &commands)?;
    let written = answers.lines().filter(|line| *line == "OK").count();
    ensure!(written == count, "{written} of {count} writes were acknowledged");
    Ok(())
}

/// How many of the keys written before have their value.
pub(crate) fn count_written(address: &str, stem: &str, count: usize) -> Result<usize> {
    let mut commands = String::new();
    for n in 1..=count {
        writeln!(commands, "GET {stem}:{n}")?;
    }
    let answers = ask(address, &commands)?;
    Ok(answers
        .lines()
        .zip(1..)
        .filter(|(line, n)| *line == format!("value-{n}"))
        .count())
}

/// `DBSIZE`
pub(crate) fn count(address: &str) -> Result<String> {
    Ok(ask(address, "DBSIZE\n")?.trim().to_owned())
}

/// `CONFIG GET save`
pub(crate) fn save_points(address: &str) -> Result<String> {
    Ok(ask(address, "CONFIG GET save\n")?
        .lines()
        .nth(1)
        .unwrap_or_default()
        .to_owned())
}

/// SIGKILL to the server process behind an address of localaws.
pub(crate) fn kill_server(address: &str) -> Result<()> {
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        // A running server has its address in its title, where others have their arguments.
        let title = String::from_utf8_lossy(line.split(|byte| *byte == 0).next().unwrap_or_default());
        if title.contains("-server") && title.trim_end().ends_with(address) {
            println!("$ kill -9 {pid}");
            kill(Pid::from_raw(pid), Signal::SIGKILL)?;
            return Ok(());
        }
    }
    bail!("no server process listens on {address}")
}

fn ask(address: &str, commands: &str) -> Result<String> {
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

fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}
