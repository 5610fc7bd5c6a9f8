//! Ids and figures of a status, from what was observed and what was known before. Pure.

use crate::memory::START_SLACK_S;
use valkeep_core::identity::TAG_SNAPSHOTS_ENDED;
use valkeep_core::observed::MountTarget;
use valkeep_core::{Desired, Fact, Observed, Timestamp, ValkeyInfo};
use valkeep_document::status::{MountTargetStatus, Resources, StaleDumpStatus, Status, ValkeyStatus, whole_seconds};
use valkeep_plan::append_fsync;

/// What cannot be seen now keeps the id that it was last known by, for that is when a reader needs it; what is proved to
/// be absent has none.
pub(crate) fn resources(desired: &Desired, observed: &Observed, known: Resources) -> Resources {
    // Nothing belongs to a file system that is not there, and nobody looks for it.
    let storage = if observed.file_system.is_absent() {
        Resources::default()
    } else {
        known.clone()
    };
    let file_system = &observed.file_system;
    let access_point = &observed.access_point;
    Resources {
        security_group_id: id(&observed.security_group, known.security_group_id, |group| {
            group.id.to_string()
        }),
        file_system_id: id(file_system, storage.file_system_id, |found| found.id.to_string()),
        file_system_arn: id(file_system, storage.file_system_arn, |found| found.arn.clone()),
        mount_targets: match &observed.mount_targets {
            Fact::Present(targets) => mount_targets(observed, targets),
            Fact::Absent => Vec::new(),
            Fact::Unknown(_) => storage.mount_targets,
        },
        access_point_id: id(access_point, storage.access_point_id, |found| found.id.to_string()),
        access_point_arn: id(access_point, storage.access_point_arn, |found| found.arn.clone()),
        role_policy_name: id(&observed.role_policy, known.role_policy_name, |_| {
            desired.names.role_policy.clone()
        }),
        log_group: id(&observed.log_group, known.log_group, |group| group.name.clone()),
        task_definition_arn: id(&observed.service, known.task_definition_arn, |service| {
            service.task_definition.clone()
        }),
        service_arn: id(&observed.service, known.service_arn, |service| service.arn.clone()),
        task_arn: match &observed.tasks {
            Fact::Present(_) | Fact::Absent => observed.serving_task().map(|task| task.arn.clone()),
            Fact::Unknown(_) => known.task_arn,
        },
    }
}

fn id<T>(fact: &Fact<T>, known: Option<String>, id: impl FnOnce(&T) -> String) -> Option<String> {
    match fact {
        Fact::Present(found) => Some(id(found)),
        Fact::Absent => None,
        Fact::Unknown(_) => known,
    }
}

/// By zone name where the subnets are known, else by zone id; in the order of zones, because AWS has none.
fn mount_targets(observed: &Observed, targets: &[MountTarget]) -> Vec<MountTargetStatus> {
    let zones = observed.subnets.present();
    let mut targets: Vec<MountTargetStatus> = targets
        .iter()
        .map(|target| MountTargetStatus {
            zone: zones
                .and_then(|subnets| subnets.found.iter().find(|subnet| subnet.zone_id == target.zone_id))
                .map_or_else(|| target.zone_id.clone(), |subnet| subnet.zone.clone()),
            id: target.id.to_string(),
            ip: target.ip.map(|ip| ip.to_string()),
        })
        .collect();
    targets.sort_by(|one, two| (&one.zone, &one.id).cmp(&(&two.zone, &two.id)));
    targets
}

/// As it last answered: what it said before is kept while it cannot be asked, for a reader wants the last known figures
/// most when the server is gone. The conditions say that it is.
pub(crate) fn valkey(
    before: Option<&Status>,
    desired: &Desired,
    observed: &Observed,
    load_seconds: Option<u64>,
    now: Timestamp,
) -> Option<ValkeyStatus> {
    let before = before.and_then(|before| before.valkey.as_ref());
    let Some(info) = observed.valkey.present() else {
        return before.cloned();
    };
    let started = started_at(info, now);
    // The same process keeps its start as it was first computed, or else every look would be news.
    let same = before
        .and_then(|before| before.started_at)
        .filter(|before| (before.as_second() - started.as_second()).abs() <= START_SLACK_S);
    let started = same.unwrap_or(started);
    // Before the first save of a process the server gives its start as the time of the last one, and counts saves when
    // they begin. While one runs, the time is the one before.
    let saved = info.saves_started > 0 && info.last_save.as_second() > started.as_second() + START_SLACK_S;
    let load_seconds = load_seconds.or_else(|| same.and(before)?.load_seconds);
    let append_fsync = append_fsync(desired, observed);
    Some(ValkeyStatus {
        version: info.product(),
        keys: info.keys,
        keys_at_risk: append_fsync.as_ref().map_or(info.changes_since_save, |_| 0),
        append_fsync,
        last_snapshot_at: saved.then(|| whole_seconds(info.last_save)),
        last_snapshot_seconds_taken: info.last_save_duration_s,
        last_snapshot_ok: info.last_save_ok,
        keys_loaded_at_start: info.keys_loaded,
        started_at: Some(started),
        load_seconds,
        used_memory_bytes: info.used_memory,
        maxmemory_bytes: info.maxmemory,
    })
}

fn started_at(info: &ValkeyInfo, now: Timestamp) -> Timestamp {
    let uptime = i64::try_from(info.uptime_s).unwrap_or(i64::MAX);
    // A server that claims to run since before time began is not worth a panic.
    Timestamp::from_second(now.as_second().saturating_sub(uptime)).unwrap_or(Timestamp::UNIX_EPOCH)
}

pub(crate) fn stale_dump(observed: &Observed, now: Timestamp) -> Option<StaleDumpStatus> {
    let tags = &observed.access_point.present()?.tags;
    let ended: Timestamp = tags.get(TAG_SNAPSHOTS_ENDED)?.parse().ok()?;
    Some(StaleDumpStatus {
        snapshots_ended_at: whole_seconds(ended),
        age_seconds: u64::try_from(now.as_second() - ended.as_second()).unwrap_or(0),
    })
}
