//! The critic's view of a task definition: what it would do to the data.

use super::image::examine_image;
use super::{Court, Rule, taken};
use serde_json::Value;
use std::collections::BTreeMap;
use valkeep_core::desired::{AccessPointField, FirstTransition, StaleDump};
use valkeep_core::identity::{TAG_APPEND_ONLY, TAG_DATA_FILE, TAG_MOVED_FROM, TAG_SNAPSHOTS_ENDED, TAG_WRITTEN_BY};
use valkeep_core::observed::{AccessPoint, ObservedDefinition};
use valkeep_core::{Fact, RawDefinition, TaskDefinition};

/// What a definition does to the data, read with the critic's own eyes from either form.
pub(super) struct Seen {
    /// File system and access point that the server's directory lies on.
    directory: Option<(String, String)>,
    locked: bool,
    /// The server's command line, word by word.
    words: Vec<String>,
    user: Option<String>,
    pub(super) image: String,
    variables: BTreeMap<String, String>,
}

impl Seen {
    pub(super) fn of(found: &ObservedDefinition, container: &str) -> Option<Self> {
        match (&found.raw, &found.definition) {
            (Some(raw), _) => Self::raw(raw, container),
            (None, Some(definition)) => Some(Self::ours(definition)),
            (None, None) => None,
        }
    }

    pub(super) fn ours(definition: &TaskDefinition) -> Self {
        let container = &definition.container;
        Self {
            directory: definition
                .volume
                .as_ref()
                .map(|volume| (volume.file_system.to_string(), volume.access_point.to_string())),
            locked: locks(&container.entry_point),
            words: container.command.clone(),
            user: container.user.clone(),
            image: container.image.clone(),
            variables: container.environment.clone(),
        }
    }

    pub(super) fn raw(raw: &RawDefinition, container: &str) -> Option<Self> {
        let found = raw.container(container)?;
        let texts = |member: &str| -> Vec<String> {
            let words = found[member].as_array().into_iter().flatten();
            words.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
        };
        let variables = found["environment"].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let words = texts("command");
        let at = words.iter().rposition(|word| word == "--dir");
        let place = at.and_then(|at| words.get(at + 1)).map_or("/data", String::as_str);
        let mounted = |volume: &&Value| {
            found["mountPoints"].as_array().is_some_and(|mounts| {
                mounts
                    .iter()
                    .any(|mount| mount["sourceVolume"] == volume["name"] && mount["containerPath"] == place)
            })
        };
        let directory = raw.volumes().iter().filter(mounted).find_map(|volume| {
            let efs = &volume["efsVolumeConfiguration"];
            let access_point = efs["authorizationConfig"]["accessPointId"].as_str()?;
            Some((efs["fileSystemId"].as_str()?.to_owned(), access_point.to_owned()))
        });
        Some(Self {
            directory,
            locked: locks(&texts("entryPoint")),
            words,
            user: found["user"].as_str().map(ToOwned::to_owned),
            image: text(&found["image"]),
            variables: variables
                .map(|pair| (text(&pair["name"]), text(&pair["value"])))
                .collect(),
        })
    }

    /// The file system that is mounted.
    pub(super) fn file_system(&self) -> Option<&str> {
        self.directory.as_ref().map(|(file_system, _)| file_system.as_str())
    }

    pub(super) fn is_locked(&self) -> bool {
        self.locked
    }

    /// Whether snapshots reach a directory that outlives the task.
    pub(super) fn saves_snapshots(&self) -> bool {
        self.directory.is_some() && self.value_of("--save").is_none_or(|points| !points.trim().is_empty())
    }

    pub(super) fn mounts(&self) -> bool {
        self.directory.is_some()
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    pub(super) fn says(&self, word: &str) -> bool {
        self.words.iter().any(|said| said == word)
    }

    pub(super) fn value_of(&self, flag: &str) -> Option<&str> {
        // Of a flag that is given twice the server takes the last.
        let at = self.words.iter().rposition(|word| word == flag)?;
        self.words.get(at + 1).map(String::as_str)
    }
}

fn locks(entry_point: &[String]) -> bool {
    entry_point.iter().any(|word| word == "/bin/sh")
        && entry_point
            .iter()
            .any(|word| word.contains("flock -n") && word.contains("exec \"$@\""))
}

/// Checks a definition by itself, against the storage that was seen.
pub(super) fn examine_definition(court: &mut Court, definition: &Seen, running: Option<&Seen>) {
    let Some((file_system, access_point)) = &definition.directory else {
        return;
    };
    let observed = court.observed;
    if !definition.locked {
        court.object(
            Rule::Locked,
            "a directory is mounted without the lock that keeps a second server out",
        );
    }
    let same = taken::any_file_system(court)
        && observed
            .file_system
            .present()
            .is_some_and(|found| found.id.as_str() == file_system);
    let access_point = observed.access_point.present().filter(|found| {
        found.id.as_str() == access_point && found.file_system.as_str() == file_system && taken::may_mount(court, found)
    });
    let Some(access_point) = access_point.filter(|_| same) else {
        return court.object(
            Rule::SameData,
            "another file system or access point is mounted than was seen",
        );
    };
    // An adopted server may have a user of its own: behind the access point every client is the access point's.
    let made = court.desired.created().is_some();
    let user = access_point
        .uid
        .zip(access_point.gid)
        .map(|(uid, gid)| format!("{uid}:{gid}"));
    if user.is_none() || made && definition.user != user {
        court.object(Rule::SameData, "the server's user is not the access point's");
    }
    let spec = &court.desired.access_point;
    let says_path = spec.taken.is_none() || spec.said.contains(&AccessPointField::Path);
    if says_path && access_point.path != spec.path {
        court.object(Rule::SameData, "the access point's directory is not the document's");
    }
    let file = definition.value_of("--dbfilename");
    if let Some(used) = access_point.tags.get(TAG_DATA_FILE)
        && file != Some(used.as_str())
    {
        court.object(
            Rule::SameFile,
            format!("the data is in {used}, not in {}", file.unwrap_or("dump.rdb")),
        );
    }
    let wanted = court.desired.appends();
    let said = definition.value_of("--appendonly");
    if said != Some(if wanted { "yes" } else { "no" }) {
        court.object(
            Rule::NotAppendOnly,
            "a server would start with another kind of file than the document says",
        );
    }
    if running.is_none_or(|before| before.directory.is_none())
        && access_point.tags.contains_key(TAG_APPEND_ONLY) != wanted
        && access_point.tags.contains_key(TAG_WRITTEN_BY)
    {
        court.object(
            Rule::NotAppendOnly,
            "a server would start without what is in the other kind of file",
        );
    }
    examine_image(court, definition, running, access_point);
}

/// Checks a change from the running definition to another.
pub(super) fn examine_change(court: &mut Court, definition: &Seen, running: Option<&Seen>) {
    let observed = court.observed;
    let Some(running) = running else { return };
    other_file(court, definition, running);
    let marked = match &observed.access_point {
        Fact::Present(found) => found.tags.contains_key(TAG_SNAPSHOTS_ENDED) || !taken::may_mount(court, found),
        Fact::Absent => true,
        Fact::Unknown(_) => observed.file_system.is_absent(),
    };
    if running.saves_snapshots() && !definition.saves_snapshots() && !marked {
        court.object(
            Rule::MarkedEnd,
            "snapshots end, and the access point does not say since when",
        );
    }
    if let (Some(before), Some(after)) = (&running.directory, &definition.directory)
        && before.1 != after.1
        && !data_follows(court, &before.1, before.0 == after.0)
    {
        court.object(
            Rule::SameData,
            "another directory is mounted than the running server's, and nobody said that the data is there",
        );
    }
    let live = observed
        .valkey
        .present()
        .is_some_and(|info| info.keys > 0 && info.changes_since_save > 0);
    let runs = observed.service.present().is_some_and(|service| service.running > 0);
    let decided = court.desired.load_stale_dump
        || court
            .desired
            .snapshots()
            .is_some_and(|snapshots| snapshots.stale_dump == StaleDump::SetAside)
        || is_given_up(court);
    if !running.saves_snapshots() && definition.saves_snapshots() && runs && live && !decided {
        court.object(Rule::NoStaleLoad, "unsaved live data would be replaced by an old dump");
    }
}

/// Whether the document gives up the cache of a service that runs without persistence. A dump that is older because
/// snapshots were ended is another matter.
fn is_given_up(court: &Court) -> bool {
    let accepted = court
        .desired
        .adopted()
        .is_some_and(|adopted| adopted.first_transition == FirstTransition::AcceptLoss);
    let ended = |point: &AccessPoint| point.tags.contains_key(TAG_SNAPSHOTS_ENDED);
    accepted && court.observed.access_point.present().is_some_and(|point| !ended(point))
}

/// Only what the running server has written itself may another one start with.
fn other_file(court: &mut Court, definition: &Seen, running: &Seen) {
    let appends = |seen: &Seen| seen.value_of("--appendonly") == Some("yes");
    let both = running.directory.is_some() && definition.directory.is_some();
    if !both || appends(running) == appends(definition) {
        return;
    }
    let written = court
        .observed
        .valkey
        .present()
        .is_some_and(|info| match info.append_only {
            Some(file) if appends(definition) => !file.rewriting && file.last_rewrite_ok && file.last_write_ok,
            _ => !appends(definition) && info.saves_started > 0 && info.last_save_ok && !info.saving && !info.loading,
        });
    court.require(
        written,
        Rule::NotAppendOnly,
        "RDB and append-only do not change by restart: the running server has not written the other file",
    );
}

/// Whether the data of the access point that the server runs with is behind the one that was seen.
fn data_follows(court: &Court, before: &str, same_file_system: bool) -> bool {
    let Some(now) = court.observed.access_point.present() else {
        return false;
    };
    if now.tags.get(TAG_MOVED_FROM).is_some_and(|from| from == before) {
        return true;
    }
    let Some(others) = court.observed.other_access_points.present() else {
        return same_file_system && court.observed.other_access_points.is_absent();
    };
    same_file_system
        && others
            .iter()
            .filter(|other| other.id.as_str() == before)
            .all(|other| (&other.path, other.uid, other.gid) == (&now.path, now.uid, now.gid))
}
