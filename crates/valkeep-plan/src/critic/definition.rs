//! The critic's view of a task definition: what it would do to the data.

use super::{Court, Rule, taken};
use valkeep_core::desired::{AccessPointField, StaleDump};
use valkeep_core::identity::{TAG_DATA_FILE, TAG_MOVED_FROM, TAG_SNAPSHOTS_ENDED, TAG_WRITTEN_BY};
use valkeep_core::ids::AccessPointId;
use valkeep_core::{Fact, TaskDefinition};

/// Checks a definition by itself, against the storage that was seen.
pub(super) fn examine_definition(court: &mut Court, definition: &TaskDefinition, running: Option<&TaskDefinition>) {
    let Some(volume) = &definition.volume else { return };
    let observed = court.observed;
    let container = &definition.container;
    let locked = container.entry_point.first().is_some_and(|word| word == "/bin/sh")
        && container
            .entry_point
            .iter()
            .any(|word| word.contains("flock -n") && word.contains("exec \"$@\""));
    if !locked {
        court.object(
            Rule::Locked,
            "a directory is mounted without the lock that keeps a second server out",
        );
    }
    let same = taken::any_file_system(court)
        && observed
            .file_system
            .present()
            .is_some_and(|found| found.id == volume.file_system);
    let access_point = observed.access_point.present().filter(|found| {
        found.id == volume.access_point && found.file_system == volume.file_system && taken::may_mount(court, found)
    });
    let Some(access_point) = access_point.filter(|_| same) else {
        return court.object(
            Rule::SameData,
            "another file system or access point is mounted than was seen",
        );
    };
    let user = access_point
        .uid
        .zip(access_point.gid)
        .map(|(uid, gid)| format!("{uid}:{gid}"));
    if user.is_none() || container.user != user {
        court.object(Rule::SameData, "the server's user is not the access point's");
    }
    let spec = &court.desired.access_point;
    let says_path = spec.taken.is_none() || spec.said.contains(&AccessPointField::Path);
    if says_path && access_point.path != spec.path {
        court.object(Rule::SameData, "the access point's directory is not the document's");
    }
    let file = value_of(definition, "--dbfilename");
    if let Some(used) = access_point.tags.get(TAG_DATA_FILE)
        && file != Some(used.as_str())
    {
        court.object(
            Rule::SameFile,
            format!("the data is in {used}, not in {}", file.unwrap_or("dump.rdb")),
        );
    }
    if value_of(definition, "--appendonly") != Some("no") {
        court.object(
            Rule::NotAppendOnly,
            "a server would start with an append-only file and without its dump",
        );
    }
    if running.is_some_and(|before| before.volume.is_some() && value_of(before, "--appendonly") == Some("yes")) {
        court.object(
            Rule::NotAppendOnly,
            "the running server's append-only file would not be loaded",
        );
    }
    if let Some(written_by) = access_point.tags.get(TAG_WRITTEN_BY)
        && cannot_read(&container.image, written_by)
    {
        court.object(
            Rule::NotOlder,
            format!("{} cannot read what {written_by} wrote", container.image),
        );
    }
}

/// Checks a change from the running definition to another.
pub(super) fn examine_change(court: &mut Court, definition: &TaskDefinition, running: Option<&TaskDefinition>) {
    let observed = court.observed;
    let Some(running) = running else { return };
    let marked = match &observed.access_point {
        Fact::Present(found) => found.tags.contains_key(TAG_SNAPSHOTS_ENDED) || !taken::may_mount(court, found),
        Fact::Absent => true,
        Fact::Unknown(_) => observed.file_system.is_absent(),
    };
    if saves_snapshots(running) && !saves_snapshots(definition) && !marked {
        court.object(
            Rule::MarkedEnd,
            "snapshots end, and the access point does not say since when",
        );
    }
    if let (Some(before), Some(after)) = (&running.volume, &definition.volume)
        && before.access_point != after.access_point
        && !data_follows(court, &before.access_point, before.file_system == after.file_system)
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
            .is_some_and(|snapshots| snapshots.stale_dump == StaleDump::SetAside);
    if !saves_snapshots(running) && saves_snapshots(definition) && runs && live && !decided {
        court.object(Rule::NoStaleLoad, "unsaved live data would be replaced by an old dump");
    }
}

/// Whether the data of the access point that the server runs with is behind the one that was seen.
fn data_follows(court: &Court, before: &AccessPointId, same_file_system: bool) -> bool {
    let Some(now) = court.observed.access_point.present() else {
        return false;
    };
    if now.tags.get(TAG_MOVED_FROM).is_some_and(|from| from == before.as_str()) {
        return true;
    }
    let Some(others) = court.observed.other_access_points.present() else {
        return same_file_system && court.observed.other_access_points.is_absent();
    };
    same_file_system
        && others
            .iter()
            .filter(|other| other.id == *before)
            .all(|other| (&other.path, other.uid, other.gid) == (&now.path, now.uid, now.gid))
}

/// Whether snapshots reach a directory that outlives the task.
pub(super) fn saves_snapshots(definition: &TaskDefinition) -> bool {
    definition.volume.is_some() && value_of(definition, "--save").is_none_or(|points| !points.trim().is_empty())
}

fn value_of<'a>(definition: &'a TaskDefinition, flag: &str) -> Option<&'a str> {
    let command = &definition.container.command;
    // Of a flag that is given twice the server takes the last.
    let at = command.iter().rposition(|word| word == flag)?;
    command.get(at + 1).map(String::as_str)
}

/// Generations of the file format: 1 for Redis up to 7.0, 2 for Redis 7.2 and Valkey up to 8, then two branches.
#[derive(PartialEq)]
enum Format {
    Old,
    Common,
    Redis,
    Valkey,
}

fn cannot_read(image: &str, written_by: &str) -> bool {
    let name = image
        .split('@')
        .next()
        .unwrap_or_default()
        .rsplit('/')
        .next()
        .unwrap_or_default();
    let (Some((product, tag)), Some((writer, version))) = (name.split_once(':'), written_by.split_once(' ')) else {
        return false;
    };
    let (Some(reader), Some(written)) = (format(product, tag), format(writer, version)) else {
        return false;
    };
    match written {
        Format::Old => false,
        Format::Common => reader == Format::Old,
        other => reader != other,
    }
}

fn format(product: &str, version: &str) -> Option<Format> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let major = numbers.next()?.ok()?;
    let minor = numbers.next().and_then(Result::ok);
    if product.contains("valkey") {
        return Some(if major >= 9 { Format::Valkey } else { Format::Common });
    }
    product.contains("redis").then_some(match (major, minor) {
        (8.., _) | (7, None | Some(4..)) => Format::Redis,
        (7, Some(2 | 3)) => Format::Common,
        _ => Format::Old,
    })
}
