//! `valkeep run` as a process of its own, and what the system says of it.

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) struct Controller(Child);

impl Controller {
    pub(crate) fn start(endpoint: &str, store: &str, resync: Duration) -> Result<Self> {
        let program = std::env::current_exe()?.with_file_name("valkeep");
        let process = Command::new(&program)
            .args([
                "run",
                "--store",
                store,
                "--resync",
                &format!("{}s", resync.as_secs()),
                "--dns-grace",
                "0s",
                // What one pass costs is the question here, not how soon AWS would let the next one begin.
                "--rate-share",
                "100",
                "--log",
                "error",
            ])
            .envs([
                ("AWS_ENDPOINT_URL", endpoint),
                ("AWS_REGION", "eu-west-1"),
                ("AWS_ACCESS_KEY_ID", "bench"),
                ("AWS_SECRET_ACCESS_KEY", "bench"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("{} does not start; build the whole workspace", program.display()))?;
        Ok(Self(process))
    }

    pub(crate) fn alive(&mut self) -> Result<()> {
        match self.0.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("valkeep ended with {status}"),
        }
    }

    /// User and system time so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        // The name may hold spaces and ends with the last parenthesis; utime and stime are the 12th and 13th after it.
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .context("a stat line")?
            .split_whitespace()
            .collect();
        let ticks: u64 =
            fields.get(11).context("utime")?.parse::<u64>()? + fields.get(12).context("stime")?.parse::<u64>()?;
        let per_second = u64::try_from(sysconf(SysconfVar::CLK_TCK)?.context("clock ticks")?)?;
        Ok(Duration::from_millis(ticks * 1000 / per_second))
    }

    /// The most memory that was ever resident.
    pub(crate) fn resident_mb(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .context("VmHWM")?;
        Ok(line.split_whitespace().next().context("a number")?.parse::<u64>()? / 1024)
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.0.id())?), Signal::SIGTERM)?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
