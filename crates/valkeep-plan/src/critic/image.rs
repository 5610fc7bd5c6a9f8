//! The critic's view of an image: whether it could read what is on the directory.

use super::definition::Seen;
use super::{Court, Rule};
use valkeep_core::identity::TAG_WRITTEN_BY;
use valkeep_core::observed::AccessPoint;

/// Checks the image of a definition against what is known to have written the files.
pub(super) fn examine_image(court: &mut Court, definition: &Seen, running: Option<&Seen>, access_point: &AccessPoint) {
    let serving = running.filter(|running| serves(court, running));
    let asked = court.observed.valkey.present().filter(|_| serving.is_some());
    if serving.is_some_and(|running| running.image == definition.image) {
        return; // It reads them as we speak.
    }
    let starts_empty = definition.variable("VALKEEP_DUMP").is_some()
        && serving.is_some_and(|running| running.variable("VALKEEP_SAVES") == Some("no"))
        && asked.is_some_and(|info| info.saves_started == 0 && info.append_only.is_none());
    let writes = serving.is_some_and(|running| {
        running.saves_snapshots() || asked.is_some_and(|info| info.saves_started > 0 || info.append_only.is_some())
    });
    let written_by = match (asked.filter(|_| writes), access_point.tags.get(TAG_WRITTEN_BY)) {
        (Some(info), _) => info.product(),
        (None, Some(mark)) => mark.clone(),
        (None, None) => return,
    };
    let tries =
        definition.value_of("--rdb-version-check") == Some("relaxed") || definition.says("--rdb-version-check relaxed");
    if !starts_empty && cannot_read(&definition.image, &written_by, tries) {
        let image = &definition.image;
        court.object(Rule::NotOlder, format!("{image} cannot read what {written_by} wrote"));
    }
}

/// Whether the server that answers was started by the running definition and has read its directory.
fn serves(court: &Court, running: &Seen) -> bool {
    let observed = court.observed;
    let of = observed.serving_task().map(|task| task.task_definition.as_str());
    running.mounts()
        && observed.valkey.present().is_some_and(|info| !info.loading)
        && observed
            .running_definition
            .present()
            .is_some_and(|found| Some(found.arn.as_str()) == of)
}

/// Generations of the file format: before the lines parted, Redis's own, Valkey's own.
enum Generation {
    Common(u8),
    Redis(u8),
    Valkey(u8),
}

fn cannot_read(image: &str, written_by: &str, tries: bool) -> bool {
    use Generation::{Common, Redis, Valkey};
    let name = image.split('@').next().and_then(|image| image.rsplit('/').next());
    let (Some((product, tag)), Some((writer, version))) =
        (name.and_then(|name| name.split_once(':')), written_by.split_once(' '))
    else {
        return false;
    };
    let (Some(reader), Some(written)) = (generation(product, tag), generation(writer, version)) else {
        return false;
    };
    let tries = tries && !is_before_8_1(tag);
    match (reader, written) {
        (Common(own), Common(found)) | (Redis(own), Redis(found)) => own < found,
        (Valkey(own), Valkey(found)) => own < found && !tries,
        (Redis(_) | Valkey(_), Common(_)) => false,
        (Common(_), Redis(_)) | (Redis(_), Valkey(_)) => true,
        (Valkey(_), Redis(_)) => !tries,
        // Only Valkey can be told to try.
        (Common(_), Valkey(_)) => !(tries && product.contains("valkey")),
    }
}

fn numbers(version: &str) -> Option<(u32, Option<u32>)> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    Some((parts.next()?.ok()?, parts.next().and_then(Result::ok)))
}

fn is_before_8_1(version: &str) -> bool {
    matches!(numbers(version), Some((..8, _) | (8, Some(0))))
}

fn generation(product: &str, version: &str) -> Option<Generation> {
    use Generation::{Common, Redis, Valkey};
    let (major, minor) = numbers(version)?;
    if product.contains("valkey") {
        return match (major, minor) {
            (..7, _) | (7, Some(..2)) => None,
            (7 | 8, _) => Some(Common(11)),
            (9, Some(0 | 1)) => Some(Valkey(80)),
            (9.., _) => Some(Valkey(81)),
        };
    }
    product.contains("redis").then_some(())?;
    match (major, minor) {
        (..3, _) | (3, Some(..2)) => None,
        (3, _) => Some(Common(7)),
        (4, _) => Some(Common(8)),
        (5 | 6, _) => Some(Common(9)),
        (7, Some(0 | 1)) => Some(Common(10)),
        (7, Some(2 | 3)) => Some(Common(11)),
        (7, _) | (8, Some(..6)) => Some(Redis(12)),
        (8, Some(6 | 7)) => Some(Redis(13)),
        (8, Some(8 | 9)) => Some(Redis(14)),
        (8.., _) => Some(Redis(15)),
    }
}
