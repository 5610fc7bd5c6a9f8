//! How long saves take, by what the server says of the last one and of its memory. Decides nothing.

use valkeep_core::ValkeyInfo;

/// A final save is given twice the time of the last snapshot: the same data, on a file system that may be slower then.
const BUDGET_FACTOR: u64 = 2;
/// And this much beside, for the process to end and because the snapshot's time is told in whole seconds.
const BUDGET_MARGIN_S: u64 = 3;
/// A snapshot that takes so many times what is expected is worth a look by a person.
const HANGS_FACTOR: u64 = 3;
/// And this much beside: a small one on a file system that stalls for a moment is none.
const HANGS_MARGIN_S: u64 = 20;
/// Half of the 100 MiB/s that EFS lets every file system burst to.
/// <https://docs.aws.amazon.com/efs/latest/ug/performance.html>
const SLOW_BYTES_A_SECOND: u64 = 50 * 1024 * 1024;

/// Seconds that a final save may take; a careful guess where this process has not saved yet.
pub(crate) fn final_save_s(info: &ValkeyInfo) -> u64 {
    let expected_s = match info.last_save_duration_s {
        Some(took_s) => took_s * BUDGET_FACTOR,
        None => by_memory_s(info),
    };
    expected_s + BUDGET_MARGIN_S
}

/// What is said of a snapshot under way that takes far longer than it should. The same words at every look, so that a status
/// is not written for each.
pub(crate) fn hangs(info: &ValkeyInfo) -> Option<String> {
    let (expected_s, beside) = match info.last_save_duration_s {
        Some(took_s) => (took_s, format!("the last one took {took_s} s")),
        None => (
            by_memory_s(info),
            format!("{} MiB are to be written", info.used_memory / 1024 / 1024),
        ),
    };
    let most_s = expected_s * HANGS_FACTOR + HANGS_MARGIN_S;
    let is_over = info.saving && info.saving_for_s.is_some_and(|so_far_s| so_far_s > most_s);
    is_over.then(|| format!("a snapshot has been under way for more than {most_s} s, and {beside}"))
}

/// What to do about a snapshot that does not end.
pub(crate) const HANGS_HINT: &str = "see the file system's throughput (CloudWatch: BurstCreditBalance, PercentIOLimit) and the \
                                     container's log; elastic throughput ends a wait for burst credits. valkeep goes on by itself \
                                     when the snapshot has ended";

fn by_memory_s(info: &ValkeyInfo) -> u64 {
    info.used_memory / SLOW_BYTES_A_SECOND
}
