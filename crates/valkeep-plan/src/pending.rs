//! Says whether a new definition may wait for the next replacement, because the server does already what it says: only
//! settings differ that the server takes while it runs, or only what valkeep itself renders.

use crate::overlay;
use valkeep_core::observed::ObservedDefinition;
use valkeep_core::valkey::LIVE_SETTINGS;
use valkeep_core::{RawDefinition, TaskDefinition};

/// Whether a running server need not be replaced for the other definition.
pub(crate) fn may_wait(running: &ObservedDefinition, wanted: &ObservedDefinition, container: &str) -> bool {
    match (&running.raw, &wanted.raw, &running.definition, &wanted.definition) {
        (Some(running), Some(wanted), ..) => foreign(running, container)
            .zip(foreign(wanted, container))
            .is_some_and(|((is, saves), (to, will))| saves == will && is.same(&to)),
        (None, None, Some(running), Some(wanted)) => {
            saves(&running.container.command) == saves(&wanted.container.command) && own(running, wanted) == *wanted
        }
        _ => false,
    }
}

/// A definition of our own, with everything from the wanted one that no restart is needed for.
fn own(running: &TaskDefinition, wanted: &TaskDefinition) -> TaskDefinition {
    let mut own = running.clone();
    own.container.entry_point.clone_from(&wanted.container.entry_point);
    own.container.health_check.clone_from(&wanted.container.health_check);
    if without_live(&own.container.command) == without_live(&wanted.container.command) {
        own.container.command.clone_from(&wanted.container.command);
    }
    own
}

/// A definition that was laid over another, without what no restart is needed for; and whether it writes snapshots.
fn foreign(definition: &RawDefinition, container: &str) -> Option<(RawDefinition, bool)> {
    let mut bare = definition.clone();
    let words = overlay::forget_rendering(&mut bare, container)?;
    overlay::put_command(&mut bare, container, &without_live(&words));
    Some((bare, saves(&words)))
}

/// The words of a command line without the flags that `CONFIG SET` takes, too.
fn without_live(words: &[String]) -> Vec<String> {
    let mut rest = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if is_live(word) {
            words.next(); // Its value.
        } else {
            rest.push(word.clone());
        }
    }
    rest
}

fn is_live(word: &str) -> bool {
    word.strip_prefix("--")
        .is_some_and(|name| LIVE_SETTINGS.contains(&name))
}

/// Snapshots on or off is no matter of tuning: it comes by a restart, with its marks. Of a flag that is given twice the
/// server takes the last.
fn saves(words: &[String]) -> bool {
    let at = words.iter().rposition(|word| word == "--save");
    at.and_then(|at| words.get(at + 1))
        .is_none_or(|points| !points.is_empty())
}
