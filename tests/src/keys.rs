//! Keys in the server of a task, over `valkey-cli`, as a person would write and read them.

use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Writes `count` keys of a stem; every one is acknowledged.
pub fn write(address: &str, stem: &str, count: usize) -> Result<()> {
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
pub fn count_written(address: &str, stem: &str, count: usize) -> Result<usize> {
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
pub fn count(address: &str) -> Result<String> {
    Ok(ask(address, "DBSIZE\n")?.trim().to_owned())
}

/// `CONFIG GET`
pub fn setting(address: &str, name: &str) -> Result<String> {
    Ok(ask(address, &format!("CONFIG GET {name}\n"))?
        .lines()
        .nth(1)
        .unwrap_or_default()
        .to_owned())
}

/// Answers to commands, one a line. The address is `host:port`, or `unix:` and the path of a socket.
pub fn ask(address: &str, commands: &str) -> Result<String> {
    let (host, port) = address.rsplit_once(':').context("an address has a port")?;
    let place = if host == "unix" {
        vec!["-s", port]
    } else {
        vec!["-h", host, "-p", port]
    };
    let mut client = Command::new("valkey-cli")
        .args(place)
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
