//! Asking a container whether it is well, again and again, beside it in its namespaces.

use super::HealthCheck;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What is known of a container's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Health {
    /// Not asked yet, or no answer that counts.
    #[default]
    Unknown,
    /// The check succeeds.
    Healthy,
    /// The check failed too often.
    Unhealthy,
    /// The check cannot be run on this machine. ECS has nothing to wait for.
    Unavailable,
}

/// Between two looks at a child that is being waited for.
const LOOK: Duration = Duration::from_millis(20);
/// A container that is not healthy yet is asked this often, so that nobody waits a whole interval for the first
/// success. Failures count by the interval all the same.
const FIRST_INTERVAL: Duration = Duration::from_secs(1);

/// Turns answers into health.
#[derive(Debug)]
pub(super) struct Judge {
    started: Instant,
    failing_since: Option<Instant>,
    pub(super) health: Health,
}

impl Judge {
    pub(super) fn new(started: Instant) -> Self {
        Self {
            started,
            failing_since: None,
            health: Health::Unknown,
        }
    }

    /// Takes one answer of `check`. `retries` failures in a row, an interval apart and after the start period, make
    /// it unhealthy; one success makes it healthy.
    pub(super) fn answered(&mut self, well: bool, check: &HealthCheck, now: Instant) {
        if well {
            (self.failing_since, self.health) = (None, Health::Healthy);
            return;
        }
        if self.health != Health::Healthy && now.duration_since(self.started) < check.start_period {
            return;
        }
        let since = *self.failing_since.get_or_insert(now);
        // The first failure is one of them.
        let span = check.interval * check.retries.saturating_sub(1);
        if now.duration_since(since) >= span {
            self.health = Health::Unhealthy;
        }
    }

    /// When to ask again.
    pub(super) fn pause(&self, check: &HealthCheck) -> Duration {
        if self.health == Health::Healthy {
            check.interval
        } else {
            check.interval.min(FIRST_INTERVAL)
        }
    }
}

/// Runs the check to its end or its timeout, in a process group of its own so that all of it can be ended.
pub(super) fn ask(mut command: Command, timeout: Duration) -> io::Result<bool> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if Instant::now() >= deadline {
            super::child::kill_group(&child);
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_count_after_the_start_period_and_an_interval_apart() {
        let check = HealthCheck {
            words: Vec::new(),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(1),
            retries: 3,
            start_period: Duration::from_secs(10),
        };
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut judge = Judge::new(start);
        for second in 0..20 {
            judge.answered(false, &check, at(second));
            assert_eq!(judge.health, Health::Unknown, "second {second}");
        }
        judge.answered(false, &check, at(20));
        assert_eq!(judge.health, Health::Unhealthy);
        judge.answered(true, &check, at(21));
        assert_eq!(judge.health, Health::Healthy);
    }
}
