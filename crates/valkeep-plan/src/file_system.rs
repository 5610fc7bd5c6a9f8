//! Plans the file system, its settings and its policy. Never a replacement: what AWS cannot change is stalled.

use crate::draft::{Draft, Input, later};
use crate::policy::{self, Entry};
use crate::storage;
use valkeep_core::desired::{FileSystemField, Throughput};
use valkeep_core::identity::{TAG_POLICY, TAG_SETTINGS_BY, TAG_THROUGHPUT_CHANGED};
use valkeep_core::observed::{FileSystem, LifeCycle};
use valkeep_core::{Fact, HoldReason, Resource, Step, Tags, Timestamp};

/// EFS allows a change of the mode, or less provisioned throughput, once in 24 hours.
const THROUGHPUT_COOLDOWN_S: i64 = 24 * 60 * 60;

/// Plans the file system.
pub(crate) fn file_system(input: Input, draft: &mut Draft) {
    let desired = input.desired;
    let spec = &desired.file_system;
    let token = &desired.names.creation_token;
    if let (Some(point), Fact::Absent) = (&desired.access_point.taken, &input.observed.access_point)
        && spec.taken.is_none()
    {
        return draft.waiting(
            Resource::FileSystem,
            HoldReason::Dependency,
            format!("the file system is that of the access point {point}, which is not there"),
        );
    }
    let found = match &input.observed.file_system {
        Fact::Unknown(doubt) => {
            let what = match (&spec.taken, &desired.access_point.taken) {
                (Some(id), _) => format!("the file system {id}"),
                (None, Some(point)) => format!("the file system of {point}"),
                (None, None) => format!("the file system with the token {token}"),
            };
            return draft.doubt(Resource::FileSystem, &what, doubt);
        }
        Fact::Absent if desired.takes_file_system() => {
            let id = spec.taken.as_ref().map_or("that it names", |id| id.as_str());
            return draft.stalled(
                Resource::FileSystem,
                HoldReason::NotFound,
                format!("the file system {id} is not there"),
                "correct spec.fileSystem.id (and see that the region is right), or leave it out: valkeep then makes a file \
                 system of its own",
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
    if desired.takes_file_system() && input.file_system().is_none() {
        return draft.waiting(
            Resource::FileSystem,
            HoldReason::Dependency,
            format!("the file system {} waits until its access point is clear", found.id),
        );
    }
    if input.file_system().is_none() {
        return draft.stalled(
            Resource::FileSystem,
            HoldReason::NotOurs,
            format!(
                "{} has the creation token {token} and does not carry valkeep's tag",
                found.id
            ),
            format!(
                "if valkeep made it, put its tag valkeep.dev/owner back; if not, take it with spec.fileSystem.id: {}",
                found.id
            ),
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
        LifeCycle::Deleting | LifeCycle::Deleted if desired.takes_file_system() => {
            return draft.stalled(
                Resource::FileSystem,
                HoldReason::NotFound,
                format!("the file system {} is being deleted", found.id),
                "name another one in spec.fileSystem.id, for instance one that was restored from a backup",
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
    if found.is_replica {
        return draft.stalled(
            Resource::FileSystem,
            HoldReason::ReadOnly,
            format!(
                "{} is the destination of a replication, and nobody can write to it",
                found.id
            ),
            format!(
                "end the replication (aws efs delete-replication-configuration --source-file-system-id ...), which makes {} \
                 writable, or name another file system",
                found.id
            ),
        );
    }
    immutable(input, found, draft);
    if found.state == LifeCycle::Available {
        // EFS refuses one of these while another is at work, so there is one at a time; the tags go last.
        let setting = throughput(input, found, draft)
            .or_else(|| lifecycle(input, found, draft))
            .or_else(|| backups(input, found, draft));
        let step = if input.owns(&found.tags) {
            setting
                .or_else(|| file_system_policy(input, found, draft))
                .or_else(|| tags(input, found))
        } else {
            setting.and_then(|step| on_another_ones(input, found, step, draft))
        };
        if let Some(step) = step {
            draft.step(step);
        }
    }
    if !input.owns(&found.tags) {
        if let Some(policy) = input.observed.file_system_policy.present() {
            return foreign_policy(input, found, policy, draft);
        }
        if let Fact::Unknown(doubt) = &input.observed.file_system_policy {
            return draft.doubt(Resource::FileSystem, &format!("the policy of {}", found.id), doubt);
        }
    }
    if !spec.enforce_tls_and_iam {
        let hint = if input.owns(&found.tags) {
            "set spec.fileSystem.enforceTlsAndIam: true; maintenance clients then need TLS and IAM, too"
        } else {
            "give it a file-system policy where it is kept; valkeep sets one only on file systems that it makes"
        };
        draft.notice_with_hint(
            Resource::FileSystem,
            HoldReason::Warning,
            format!("any client that reaches a mount target of {} has full access", found.id),
            hint,
        );
    }
}

/// A setting of a file system that valkeep did not make is changed only when nobody else decides on it: two documents
/// that disagree would change it to and fro for ever.
fn on_another_ones(input: Input, found: &FileSystem, step: Step, draft: &mut Draft) -> Option<Step> {
    let identity = &input.desired.identity;
    if let Some(user) = identity.other_user(&found.tags, TAG_SETTINGS_BY) {
        let text = crate::describe_step(&step);
        let fields: Vec<String> = text
            .changes
            .into_iter()
            .map(|(field, from, to)| {
                let word = |value: Option<String>| value.unwrap_or_else(|| "nothing".to_owned());
                format!("{field} {} where this document says {}", word(from), word(to))
            })
            .collect();
        draft.stalled(
            Resource::FileSystem,
            HoldReason::Conflict,
            format!(
                "{} has {}, and {user} decides on its settings",
                found.id,
                fields.join(", ")
            ),
            format!(
                "leave the setting out of this document; if {user} does not use {} any more: aws efs untag-resource \
                 --resource-id {} --tag-keys {TAG_SETTINGS_BY}",
                found.id, found.id
            ),
        );
        return None;
    }
    if identity.marked(&found.tags, TAG_SETTINGS_BY) {
        return Some(step);
    }
    let mark = Tags::from([(TAG_SETTINGS_BY.to_owned(), identity.user_mark())]);
    Some(tag(found, mark, Vec::new()))
}

/// A policy that others put is left as it is. Where it keeps the tasks out, that is said before a task is started.
fn foreign_policy(input: Input, found: &FileSystem, policy: &serde_json::Value, draft: &mut Draft) {
    match entry(input, policy) {
        Entry::Open => {}
        Entry::Denied(statement) => draft.stalled(
            Resource::FileSystem,
            HoldReason::AccessDenied,
            format!(
                "the policy of {} denies the tasks their mount (by {statement}); valkeep did not put it and leaves it",
                found.id
            ),
            "change that statement where the policy is kept: the tasks mount with TLS, with IAM as their task role, through \
             their access point and a mount target",
        ),
        Entry::Doubtful(statement) => draft.notice_with_hint(
            Resource::FileSystem,
            HoldReason::Foreign,
            format!(
                "the policy of {} may deny the tasks their mount: {statement} has a condition that valkeep cannot judge",
                found.id
            ),
            "if tasks fail to mount with `access denied`, look there first",
        ),
    }
}

/// Whether a policy that others put is known to deny the tasks their mount.
pub(crate) fn keeps_tasks_out(input: Input) -> bool {
    let foreign = input.file_system().is_some_and(|found| !input.owns(&found.tags));
    let policy = input.observed.file_system_policy.present().filter(|_| foreign);
    policy.is_some_and(|policy| matches!(entry(input, policy), Entry::Denied(_)))
}

/// Whether a policy that others put on the file system lets the tasks in, as far as can be told.
fn entry(input: Input, policy: &serde_json::Value) -> Entry {
    let access_point = input.access_point().map(|found| found.arn.as_str());
    let role = input.observed.role.present().map(|role| role.arn.as_str());
    policy::entry(policy, role, access_point, &input.desired.identity.account)
}

fn immutable(input: Input, found: &FileSystem, draft: &mut Draft) {
    let spec = &input.desired.file_system;
    let (cluster, service) = (&input.desired.identity.cluster, &input.desired.identity.service);
    let mut differs = |field: &str, is: String, wanted: String| {
        draft.stalled(
            Resource::FileSystem,
            HoldReason::ImmutableField,
            format!(
                "{} has {field} {is} where the document says {wanted}, and EFS cannot change that: another file system would \
                 start empty",
                found.id
            ),
            format!(
                "set spec.fileSystem.{field} back, or move the data: make another file system and name it in \
                 spec.fileSystem.id; aws ecs update-service --cluster {cluster} --service {service} --desired-count 0; when \
                 the task has stopped, mount both and cp -a the files; then do as the status says"
            ),
        );
    };
    let asks = |field| input.desired.asks_for(field);
    if asks(FileSystemField::Encrypted) && found.encrypted != spec.encrypted {
        differs("encrypted", found.encrypted.to_string(), spec.encrypted.to_string());
    }
    if asks(FileSystemField::Performance) && found.performance != spec.performance {
        differs(
            "performanceMode",
            found.performance.as_str().to_owned(),
            spec.performance.as_str().to_owned(),
        );
    }
    let (Some(key), true) = (&spec.kms_key, spec.encrypted) else {
        return; // Without a key in the document AWS's own is as good as any.
    };
    if !found.encrypted {
        if !asks(FileSystemField::Encrypted) {
            differs("kmsKeyId", "no key".to_owned(), key.clone());
        }
        return; // Otherwise said as `encrypted` already.
    }
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
    if from == to || !input.desired.asks_for(FileSystemField::Throughput) {
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
    if !input.desired.asks_for(FileSystemField::TransitionToIa) {
        return None;
    }
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
    if !input.desired.asks_for(FileSystemField::AutomaticBackups) {
        return None;
    }
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
