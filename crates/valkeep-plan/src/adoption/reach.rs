//! Whether a server that does not hold the directory's lock can write to the directory at all. One that provably cannot
//! need not be gone before another starts.

use super::Input;
use crate::overlay;
use serde_json::Value;
use valkeep_core::ids::FileSystemId;
use valkeep_core::observed::Service;
use valkeep_core::{Fact, RawDefinition};

/// Whether everything that runs, or that ECS may still start, takes the lock or cannot reach the directory. What was not
/// read can.
pub(super) fn is_beyond(input: Input, found: &Service) -> bool {
    let (Some(file_system), Fact::Present(tasks)) = (input.file_system(), &input.observed.tasks) else {
        return false;
    };
    let left: Vec<&str> = tasks
        .iter()
        .filter(|task| !task.is_stopped())
        .map(|task| task.task_definition.as_str())
        .collect();
    let deployed = found.deployments.iter().map(|one| one.task_definition.as_str());
    let mut arns = deployed
        .chain([found.task_definition.as_str()])
        .chain(left.iter().copied());
    found.counted() <= left.len()
        && arns.all(|arn| {
            input
                .definition(arn)
                .and_then(|found| found.raw.as_deref())
                .is_some_and(|raw| {
                    overlay::is_locked(raw, &input.desired.server.container) || !reaches(raw, &file_system.id)
                })
        })
}

/// Whether a task of this definition may write to the file system. A kind of volume that nobody here knows may.
fn reaches(definition: &RawDefinition, file_system: &FileSystemId) -> bool {
    let normal = definition.normal();
    let volumes = match &normal["volumes"] {
        Value::Null => &[],
        Value::Array(volumes) => volumes.as_slice(),
        _ => return true,
    };
    volumes.iter().any(|volume| !is_elsewhere(volume, file_system)) || definition.containers().iter().any(may_mount)
}

/// Whether a volume, in its normal form, lives and dies with the task, or is another file system.
fn is_elsewhere(volume: &Value, file_system: &FileSystemId) -> bool {
    volume.as_object().is_some_and(|members| {
        members.iter().all(|(member, value)| match member.as_str() {
            "name" => true,
            "efsVolumeConfiguration" => value["fileSystemId"]
                .as_str()
                .and_then(|id| FileSystemId::parse(id).ok())
                .is_some_and(|id| id != *file_system),
            _ => false,
        })
    })
}

/// Whether a container has the rights to mount what its definition does not name.
fn may_mount(container: &Value) -> bool {
    let added = container["linuxParameters"]["capabilities"]["add"].as_array();
    let may_mount = |right: &Value| matches!(right.as_str(), Some("ALL" | "SYS_ADMIN") | None);
    container["privileged"] == true || added.into_iter().flatten().any(may_mount)
}
