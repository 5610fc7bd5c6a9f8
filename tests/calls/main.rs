//! Compares the table of calls with the calls that valkeep made while all tests ran, both ways.
//!
//! usage: calls DIR, where DIR is what LOCALAWS_RECORD was. Only what valkeep's own clients called is looked at: they
//! name the application in their User-Agent, and no test's own client does.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use valkeep_aws::actions::{ACTIONS, Seen, action};

/// What valkeep's clients call themselves.
const APPLICATION: &str = "valkeep";

fn main() -> anyhow::Result<ExitCode> {
    let folder = std::env::args_os()
        .nth(1)
        .ok_or_else(|| anyhow::anyhow!("usage: calls DIR"))?;
    let made = made(&Path::new(&folder).join(APPLICATION))?;
    let mut wrong = Vec::new();
    for name in &made {
        match action(name).map(|action| action.seen) {
            Some(Seen::Called) => {}
            Some(Seen::Implied(by)) => wrong.push(format!("{name} was called, and the table says {by} implies it")),
            None => wrong.push(format!("{name} was called and is not in the table of calls")),
        }
    }
    for entry in ACTIONS {
        if entry.seen == Seen::Called && !made.contains(entry.name) {
            wrong.push(format!("{} is in the table of calls and was never called", entry.name));
        }
    }
    if wrong.is_empty() {
        let implied = ACTIONS.len() - made.len();
        eprintln!(
            "calls: all {} entries of the table were called, {implied} more are implied, and nothing else was called",
            made.len()
        );
        return Ok(ExitCode::SUCCESS);
    }
    for line in wrong {
        eprintln!("calls: {line}");
    }
    eprintln!("calls: the table is crates/valkeep-aws/src/actions.rs");
    Ok(ExitCode::FAILURE)
}

fn made(folder: &Path) -> anyhow::Result<BTreeSet<String>> {
    use anyhow::Context as _;
    std::fs::read_dir(folder)
        .with_context(|| format!("no calls are recorded in {}", folder.display()))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}
