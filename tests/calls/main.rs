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
    let wrong = differences(&made);
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

fn differences(made: &BTreeSet<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for name in made {
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
    wrong
}

fn made(folder: &Path) -> anyhow::Result<BTreeSet<String>> {
    use anyhow::Context as _;
    std::fs::read_dir(folder)
        .with_context(|| format!("no calls are recorded in {}", folder.display()))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called() -> BTreeSet<String> {
        let called = ACTIONS.iter().filter(|entry| entry.seen == Seen::Called);
        called.map(|entry| entry.name.to_owned()).collect()
    }

    #[test]
    fn a_call_that_is_not_in_the_table_and_an_entry_without_a_call_are_both_told() {
        assert_eq!(differences(&called()), Vec::<String>::new());
        let mut more = called();
        more.extend(["ec2:TerminateInstances".to_owned(), "iam:PassRole".to_owned()]);
        more.remove("ecs:UpdateService");
        let told = differences(&more).join("\n");
        for name in ["ec2:TerminateInstances", "iam:PassRole", "ecs:UpdateService"] {
            assert!(told.contains(name), "{told}");
        }
        assert_eq!(told.lines().count(), 3, "{told}");
    }
}
