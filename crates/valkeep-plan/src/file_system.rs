//! Plans the file system, its settings and its policy. Never a replacement: what AWS cannot change is stalled.

use crate::draft::{Draft, Input, later};
use crate::policy;
use crate::storage;
use valkeep_core::desired::Throughput;
use valkeep_core::identity::{TAG_POLICY, TAG_THROUGHPUT_CHANGED};
use valkeep_core::observed::{FileSystem, LifeCycle};
use valkeep_core::{Fact, HoldReason, Resource, Step, Tags, Timestamp};

/// EFS allows a change of the mode, or less provisioned throughput, once in 24 hours.
const THROUGHPUT_COOLDOWN_S: i64 = 24 * 60 * 60;

/// Plans the file system.
pub(crate) fn file_system(input: Input, draft: &mut Draft) {
    let desired = input.desired;
    let spec = &desired.file_system;
    let token = &desired.names.creation_token;
    let found = match &input.observed.file_system {
        Fact::Unknown(doubt) => {
            return draft.doubt(
                Resource::FileSystem,
                &format!("the file system with the token {token}"),
                doubt,
            );
        }
        Fact::Absent => {
            return draft.step(Step::CreateFileSystem {
                token: token.clone(),
                encrypted: spec.encrypted,
                kms_key: spec.kms_key.clone(),
                performance: spec.performance,
                throughput: spec.throughput,
                backups: spec.automatic_backups,
                tags: desired.tags.clone(),
            });
        }
        Fact::Present(found) => found,
    };
    if !input.owns(&found.tags) {
        return draft.stalled(
            Resource::FileSystem,
            HoldReason::NotOurs,
            format!(
                "{} has the creation token {token} and does not carry valkeep's tag",
                found.id
            ),
            "if valkeep made it, put its tag valkeep.dev/owner back; taking over other file systems comes later",
        );
    }
    match found.state {
        LifeCycle::Creating => {
            return draft.waiting(
                Resource::FileSystem,
                HoldReason::Creating,
                format!("{} is being made", found.id),
            );
        }
        LifeCycle::Deleting | LifeCycle::Deleted => {
            return draft.waiting(
                Resource::FileSystem,
                HoldReason::Creating,
                format!("{} is being deleted; another is made when it is gone", found.id),
            );
        }
        LifeCycle::Error => {
            return draft.stalled(
                Resource::FileSystem,
                HoldReason::Failed,
                format!("{} is in the state error", found.id),
                "ask AWS Support, or restore a backup; valkeep never replaces a file system",
            );
        }
        LifeCycle::Updating => {
            draft.waiting(
                Resource::FileSystem,
                HoldReason::Creating,
                format!("{} is being changed", found.id),
            );
        }
        LifeCycle::Available => {}
    }
    immutable(input, found, draft);
    if found.state == LifeCycle::Available {
        // EFS refuses one of these while another is at work, so there is one at a time; the tags go last.
        let step = throughput(input, found, draft)
            .or_else(|| lifecycle(input, found, draft))
            .or_else(|| backups(input, found, draft))
            .or_else(|| file_system_policy(input, found, draft))
            .or_else(|| tags(input, found));
        if let Some(step) = step {
            draft.step(step);
        }
    }
    if !spec.enforce_tls_and_iam {
        draft.notice_with_hint(
            Resource::FileSystem,
            HoldReason::Warning,
            format!("any client that reaches a mount target of {} has full access", found.id),
            "set spec.fileSystem.enforceTlsAndIam: true; maintenance clients then need TLS and IAM, too",
        );
    }
}

fn immutable(input: Input, found: &FileSystem, draft: &mut Draft) {
    let spec = &input.desired.file_system;
    let mut differs = |field: &str, is: String, wanted: String| {
        draft.stalled(
            Resource::FileSystem,
            HoldReason::ImmutableField,
            format!(
                "{} has {field} {is} where the document says {wanted}, and EFS cannot change that",
                found.id
            ),
            format!("set spec.fileSystem.{field} back; moving the data to another file system comes later"),
        );
    };
    if found.encrypted != spec.encrypted {
        differs("encrypted", found.encrypted.to_string(), spec.encrypted.to_string());
    }
    if found.performance != spec.performance {
        differs(
            "performanceMode",
            found.performance.as_str().to_owned(),
            spec.performance.as_str().to_owned(),
        );
    }
    let (Some(key), true, true) = (&spec.kms_key, spec.encrypted, found.encrypted) else {
        return; // Without a key in the document AWS's own is as good as any.
    };
    match &found.desired_kms_key {
        Some(wanted) if found.kms_key.as_ref() != Some(wanted) => {
            let is = found.kms_key.clone().unwrap_or_else(|| "no key".to_owned());
            differs("kmsKeyId", is, format!("{key} ({wanted})"));
        }
        Some(_) => {}
        None => draft.notice(
            Resource::FileSystem,
            HoldReason::Warning,
            format!(
                "the KMS key {key} could not be resolved, so it is not compared with that of {}",
                found.id
            ),
        ),
    }
}

fn throughput(input: Input, found: &FileSystem, draft: &mut Draft) -> Option<Step> {
    let (from, to) = (found.throughput, input.desired.file_system.throughput);
    if from == to {
        return None;
    }
    let counts = match (from, to) {
        (Throughput::Provisioned(from), Throughput::Provisioned(to)) => to < from,
        _ => true,
    };
    if counts {
        let last = found
            .tags
            .get(TAG_THROUGHPUT_CHANGED)
            .and_then(|at| at.parse::<Timestamp>().ok());
        if let Some(until) = last
            .map(|at| later(at, THROUGHPUT_COOLDOWN_S))
            .filter(|until| *until > input.now)
        {
            draft.waiting_until(
                Resource::FileSystem,
                HoldReason::ThroughputCooldown,
                format!(
                    "the throughput of {} may change from {} to {} again at {until}: EFS allows one such change in 24 hours",
                    found.id,
                    throughput_text(from),
                    throughput_text(to)
                ),
                until,
            );
            return None;
        }
    }
    Some(Step::UpdateThroughput {
        id: found.id.clone(),
        from,
        to,
        changed_at: counts.then_some(input.now),
    })
}

pub(crate) fn throughput_text(throughput: Throughput) -> String {
    match throughput {
        Throughput::Provisioned(mibps) => format!("provisioned {mibps} MiB/s"),
        other => other.mode().to_owned(),
    }
}

fn lifecycle(input: Input, found: &FileSystem, draft: &mut Draft) -> Option<Step> {
    let to = &input.desired.file_system.transition_to_ia;
    let from = match &input.observed.lifecycle {
        Fact::Present(from) => from.clone(),
        Fact::Absent => None,
        Fact::Unknown(doubt) => {
            draft.doubt(Resource::FileSystem, &format!("the lifecycle of {}", found.id), doubt);
            return None;
        }
    };
    (from != *to).then(|| Step::PutLifecycle {
        id: found.id.clone(),
        from,
        to: to.clone(),
    })
}

fn backups(input: Input, found: &FileSystem, draft: &mut Draft) -> Option<Step> {
    let to = input.desired.file_system.automatic_backups;
    let from = match &input.observed.backups {
        Fact::Present(from) => *from,
        Fact::Absent => false,
        Fact::Unknown(doubt) => {
            draft.doubt(
                Resource::FileSystem,
                &format!("the automatic backups of {}", found.id),
                doubt,
            );
            return None;
        }
    };
    (from != to).then(|| Step::PutBackups {
        id: found.id.clone(),
        from,
        to,
    })
}

fn file_system_policy(input: Input, found: &FileSystem, draft: &mut Draft) -> Option<Step> {
    let tagged = found.tags.contains_key(TAG_POLICY);
    let wanted = input.desired.file_system.enforce_tls_and_iam;
    if !wanted && !tagged {
        return None;
    }
    let from = match &input.observed.file_system_policy {
        Fact::Present(policy) => Some(policy.clone()),
        Fact::Absent => None,
        Fact::Unknown(doubt) => {
            draft.doubt(Resource::FileSystem, &format!("the policy of {}", found.id), doubt);
            return None;
        }
    };
    if !wanted {
        // Without a policy only its mark is left, which `tags` takes away.
        return from.map(|from| Step::DeleteFileSystemPolicy {
            id: found.id.clone(),
            from,
        });
    }
    let (Some(role), Some(access_point), true) = (
        input.observed.role.present(),
        input.usable_access_point(),
        input.role_policy_in_place(),
    ) else {
        draft.waiting(
            Resource::FileSystem,
            HoldReason::Dependency,
            format!(
                "the policy of {} waits for the access point and the role's policy",
                found.id
            ),
        );
        return None;
    };
    if !runs_only_with_our_mount(input, found) {
        draft.waiting(
            Resource::FileSystem,
            HoldReason::Dependency,
            format!(
                "the policy of {} waits until the service mounts it with TLS and IAM",
                found.id
            ),
        );
        return None;
    }
    let to = policy::file_system_policy(input.desired, &role.arn, &found.arn, &access_point.arn);
    match &from {
        Some(from) if policy::same(from, &to) && tagged => None,
        Some(from) if policy::same(from, &to) => Some(tag(
            found,
            Tags::from([(TAG_POLICY.to_owned(), "managed".to_owned())]),
            Vec::new(),
        )),
        _ => Some(Step::PutFileSystemPolicy {
            id: found.id.clone(),
            from,
            to,
        }),
    }
}

/// A policy would cut off a server that mounts without TLS and IAM. Our volumes always have both.
fn runs_only_with_our_mount(input: Input, found: &FileSystem) -> bool {
    match &input.observed.service {
        Fact::Absent => true,
        Fact::Unknown(_) => false,
        Fact::Present(service) if service.desired == 0 && service.running == 0 && service.pending == 0 => true,
        Fact::Present(_) => storage::mounts(input, &found.id),
    }
}

fn tags(input: Input, found: &FileSystem) -> Option<Step> {
    let set = input.missing_tags(&found.tags);
    let left_over = !input.desired.file_system.enforce_tls_and_iam
        && found.tags.contains_key(TAG_POLICY)
        && input.observed.file_system_policy.is_absent();
    let remove = if left_over {
        vec![TAG_POLICY.to_owned()]
    } else {
        Vec::new()
    };
    (!set.is_empty() || left_over).then(|| tag(found, set, remove))
}

fn tag(found: &FileSystem, set: Tags, remove: Vec<String>) -> Step {
    Step::Tag {
        resource: Resource::FileSystem,
        id: found.id.to_string(),
        set,
        remove,
    }
}
