//! Keys in the server of a task, shown as a person would write them, and its end.
#![expect(clippy::print_stdout, reason = "printing is what a demo is for")]

use anyhow::{Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use valkeep_tests::keys;
pub(crate) use valkeep_tests::keys::{count, count_written, setting};

/// Writes `count` keys; every one is acknowledged.
pub(crate) fn write(address: &str, stem: &str, count: usize) -> Result<()> {
    println!(
        "$ for n in $(seq 1 {count}); do valkey-cli -h {} SET {stem}:$n value-$n; done",
        host(address)
    );
    keys::write(address, stem, count)
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

fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}
