//! What hangs on a file system: lifecycle, automatic backups, protection. Each is a call of its own.

use super::file_systems::{Backup, FileSystem, bad, find, find_available};
use crate::clock::seconds_between;
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{list, required, text};
use serde_json::{Value, json};

const IDLE: [&str; 9] = [
    "AFTER_1_DAY",
    "AFTER_7_DAYS",
    "AFTER_14_DAYS",
    "AFTER_30_DAYS",
    "AFTER_60_DAYS",
    "AFTER_90_DAYS",
    "AFTER_180_DAYS",
    "AFTER_270_DAYS",
    "AFTER_365_DAYS",
];

pub(super) fn describe_lifecycle(state: &State, input: &Value) -> Result<Value, ApiError> {
    let found = find(state, required(input, "FileSystemId")?)?;
    Ok(json!({ "LifecyclePolicies": found.lifecycle }))
}

pub(super) fn put_lifecycle(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let policies = list(input, "LifecyclePolicies").to_vec();
    for policy in &policies {
        // Each object holds exactly one transition.
        let valid = policy.as_object().is_some_and(|policy| policy.len() == 1)
            && (text(policy, "TransitionToIA").is_some_and(|after| IDLE.contains(&after))
                || text(policy, "TransitionToArchive").is_some_and(|after| IDLE.contains(&after))
                || text(policy, "TransitionToPrimaryStorageClass") == Some("AFTER_1_ACCESS"));
        if !valid {
            return Err(bad("One or more LifecyclePolicy objects specified are malformed."));
        }
    }
    let found = change(state, input)?;
    found.lifecycle = Value::Array(policies);
    Ok(json!({ "LifecyclePolicies": found.lifecycle }))
}

pub(super) fn describe_backup(state: &State, input: &Value) -> Result<Value, ApiError> {
    let found = find(state, required(input, "FileSystemId")?)?;
    Ok(json!({ "BackupPolicy": { "Status": status(found.backup, state) } }))
}

pub(super) fn put_backup(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let enabled = match input.get("BackupPolicy").and_then(|policy| text(policy, "Status")) {
        Some("ENABLED") => true,
        Some("DISABLED") => false,
        _ => {
            return Err(ApiError::bad(
                "ValidationException",
                "BackupPolicy.Status must be ENABLED or DISABLED.",
            ));
        }
    };
    let settled_at = state.in_seconds(state.config.delays.backup_policy);
    let found = change(state, input)?;
    if found.backup.enabled != enabled {
        found.backup = Backup { enabled, settled_at };
    }
    let backup = found.backup;
    Ok(json!({ "BackupPolicy": { "Status": status(backup, state) } }))
}

pub(super) fn update_protection(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let protect = match text(input, "ReplicationOverwriteProtection") {
        Some("ENABLED") => true,
        Some("DISABLED") => false,
        _ => return Err(bad("ReplicationOverwriteProtection must be ENABLED or DISABLED.")),
    };
    change(state, input)?.overwrite_protection = protect;
    Ok(json!({ "ReplicationOverwriteProtection": if protect { "ENABLED" } else { "DISABLED" } }))
}

/// The file system, to have one of its sub-resources changed: changes too close to each other collide.
pub(super) fn change<'a>(state: &'a mut State, input: &Value) -> Result<&'a mut FileSystem, ApiError> {
    let (now, apart) = (state.now, state.config.delays.file_system_collision);
    let found = find_available(state, required(input, "FileSystemId")?)?;
    if found
        .settings_changed_at
        .is_some_and(|at| seconds_between(at, now) < apart)
    {
        let words = format!("Another change of the file system '{}' is in progress.", found.id);
        return Err(ApiError::conflict("IncorrectFileSystemLifeCycleState", words));
    }
    found.settings_changed_at = Some(now);
    Ok(found)
}

fn status(backup: Backup, state: &State) -> &'static str {
    match (backup.enabled, backup.settled_at <= state.now) {
        (true, true) => "ENABLED",
        (true, false) => "ENABLING",
        (false, true) => "DISABLED",
        (false, false) => "DISABLING",
    }
}
