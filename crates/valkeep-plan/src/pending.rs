//! Says whether a new definition may wait for the next replacement, because the server does already what it says: only
//! settings differ that the server takes while it runs, or only what valkeep itself renders.

use crate::overlay;
use valkeep_core::identity::{TAG_HASH, TAG_MEANING};
use valkeep_core::observed::ObservedDefinition;
use valkeep_core::valkey::LIVE_SETTINGS;
use valkeep_core::{RawDefinition, TaskDefinition};

/// How much of a running server another definition changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Only how valkeep writes the same document.
    Writing,
    /// Settings that the server takes while it runs.
    Tuning,
    /// What takes another server.
    Server,
}

/// What becoming `wanted` changes of the server that runs.
pub(crate) fn change(running: &ObservedDefinition, wanted: &ObservedDefinition, container: &str) -> Change {
    if may_wait(running, wanted, container) {
        let live = |definition| words(definition, container).map(|words| live_words(&words));
        if live(running) == live(wanted) {
            Change::Writing
        } else {
            Change::Tuning
        }
    } else {
        Change::Server
    }
}

fn may_wait(running: &ObservedDefinition, wanted: &ObservedDefinition, container: &str) -> bool {
    let meaning = running.tags.get(TAG_MEANING);
    let means_the_same = meaning.is_some() && meaning == wanted.tags.get(TAG_MEANING);
    match (&running.raw, &wanted.raw, &running.definition, &wanted.definition) {
        (Some(is), Some(to), ..) => {
            (means_the_same && only_written_anew(is, to, container)) || differs_live(is, to, container)
        }
        (None, None, Some(is), Some(to)) => {
            let is_as_registered = running.tags.get(TAG_HASH) == Some(&is.hash());
            (means_the_same && is_as_registered)
                || (saves(&is.container.command) == saves(&to.container.command) && own(is, to) == *to)
        }
        _ => false,
    }
}

fn words(definition: &ObservedDefinition, container: &str) -> Option<Vec<String>> {
    match (&definition.raw, &definition.definition) {
        (Some(raw), _) => raw.container(container).map(overlay::words),
        (None, Some(ours)) => Some(ours.container.command.clone()),
        (None, None) => None,
    }
}

/// Whether what lies under two laid-over definitions is the same, and so is what they do with the directory: somebody may have
/// copied the tags of a definition together with it, and changed what is ours.
fn only_written_anew(is: &RawDefinition, to: &RawDefinition, container: &str) -> bool {
    let base = overlay::take_off(is).zip(overlay::take_off(to));
    let Some((is_server, to_server)) = is.container(container).zip(to.container(container)) else {
        return false;
    };
    let (words, to_words) = (overlay::words(is_server), overlay::words(to_server));
    let same_word = |flag| overlay::value_of(&words, flag) == overlay::value_of(&to_words, flag);
    base.is_some_and(|(is, to)| is.same(&to))
        && is.volumes() == to.volumes()
        && is_server["mountPoints"] == to_server["mountPoints"]
        && saves(&words) == saves(&to_words)
        && ["--dir", "--dbfilename", "--appendonly"].into_iter().all(same_word)
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

/// Whether two laid-over definitions differ only in what no restart is needed for.
fn differs_live(is: &RawDefinition, to: &RawDefinition, container: &str) -> bool {
    let bare = |definition: &RawDefinition| {
        let mut bare = definition.clone();
        let words = overlay::forget_rendering(&mut bare, container)?;
        overlay::put_command(&mut bare, container, &without_live(&words));
        Some((bare, saves(&words)))
    };
    let both = bare(is).zip(bare(to));
    both.is_some_and(|((is, saves), (to, will))| saves == will && is.same(&to))
}

/// The words of a command line without the flags that `CONFIG SET` takes, too.
fn without_live(words: &[String]) -> Vec<String> {
    split(words).1
}

fn live_words(words: &[String]) -> Vec<String> {
    split(words).0
}

/// The flags that `CONFIG SET` takes, with their values, and the rest.
fn split(words: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut live, mut rest) = (Vec::new(), Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if is_live(word) {
            live.push(word.clone());
            live.extend(words.next().cloned());
        } else {
            rest.push(word.clone());
        }
    }
    (live, rest)
}

fn is_live(word: &str) -> bool {
    word.strip_prefix("--")
        .is_some_and(|name| LIVE_SETTINGS.contains(&name))
}

/// Snapshots on or off is no matter of tuning: it comes by a restart, with its marks.
fn saves(words: &[String]) -> bool {
    overlay::value_of(words, "--save").is_none_or(|points| !points.is_empty())
}
