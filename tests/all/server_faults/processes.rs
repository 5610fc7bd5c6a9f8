//! The processes of a server, from outside of its sandbox.

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::Command;
use valkeep_tests::real::Task;

/// The server's own process, or the one that saves for it; by the title that Valkey gives each of them.
pub(super) fn process(task: &Task, title: &str) -> Option<Pid> {
    let entries = std::fs::read_dir("/proc").ok()?;
    entries.flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line);
        (line.contains(title) && line.contains(&task.address)).then(|| Pid::from_raw(pid))
    })
}

pub(super) const SERVER: &str = "valkey-server";
pub(super) const SAVER: &str = "valkey-rdb-bgsave";

pub(super) fn signal(task: &Task, title: &str, signal: Signal) -> Result<()> {
    let pid = process(task, title).with_context(|| format!("no {title}"))?;
    Ok(kill(pid, signal)?)
}

/// How long a file of the server may become, the unsaved ones of its children, too; none is without limit. What a full file
/// system does to a save, without filling one of this machine.
pub(super) fn limit_files(task: &Task, bytes: Option<u32>) -> Result<()> {
    let pid = process(task, SERVER).context("no server")?;
    let soft = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let status = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &format!("--fsize={soft}:")])
        .status()
        .context("prlimit (util-linux) does not start")?;
    ensure!(status.success(), "prlimit: {status}");
    Ok(())
}
