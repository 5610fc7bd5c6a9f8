//! Says what a step does, for people: verb, resource, id and what changes from what to what. Colours and layout are
//! the reader's.

use crate::file_system::throughput_text;
use serde_json::Value;
use valkeep_core::observed::ServiceSettings;
use valkeep_core::{RawDefinition, Resource, ServerChange, Step, Tags, TaskDefinition};

/// A step in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepText {
    /// `create`, `change`, `remove`, ...
    pub verb: &'static str,
    /// What it changes.
    pub resource: Resource,
    /// Its id, or its name while it has no id.
    pub id: String,
    /// Field, value now (none where there is none) and new value (none where it goes).
    pub changes: Vec<(String, Option<String>, Option<String>)>,
}

type Changes = Vec<(String, Option<String>, Option<String>)>;

/// A step in words.
pub fn describe_step(step: &Step) -> StepText {
    let (verb, id, changes) = match step {
        Step::CreateSecurityGroup { name, vpc, tags, .. } => {
            ("create", name.clone(), new([("vpc", vpc.to_string())], tags))
        }
        Step::AuthorizeIngress { group, source, .. } => (
            "allow",
            group.to_string(),
            vec![("tcp 2049 from".to_owned(), None, Some(source.to_string()))],
        ),
        Step::RevokeIngress { group, source, .. } => (
            "revoke",
            group.to_string(),
            vec![("tcp 2049 from".to_owned(), Some(source.to_string()), None)],
        ),
        Step::CreateFileSystem {
            token,
            encrypted,
            kms_key,
            performance,
            throughput,
            backups,
            tags,
        } => (
            "create",
            token.clone(),
            new(
                [
                    ("encrypted", encrypted.to_string()),
                    (
                        "kms key",
                        kms_key.clone().unwrap_or_else(|| "AWS's own for EFS".to_owned()),
                    ),
                    ("performance mode", performance.as_str().to_owned()),
                    ("throughput", throughput_text(*throughput)),
                    ("automatic backups", on_off(*backups)),
                ],
                tags,
            ),
        ),
        Step::UpdateThroughput { id, from, to, .. } => (
            "change",
            id.to_string(),
            one("throughput", Some(throughput_text(*from)), Some(throughput_text(*to))),
        ),
        Step::PutLifecycle { id, from, to } => {
            let text = |value: &Option<String>| Some(value.clone().unwrap_or_else(|| "Never".to_owned()));
            ("change", id.to_string(), one("transition to IA", text(from), text(to)))
        }
        Step::PutBackups { id, from, to } => (
            "change",
            id.to_string(),
            one("automatic backups", Some(on_off(*from)), Some(on_off(*to))),
        ),
        Step::PutFileSystemPolicy { id, from, to } => (
            "change",
            id.to_string(),
            one("policy", from.as_ref().map(Value::to_string), Some(to.to_string())),
        ),
        Step::DeleteFileSystemPolicy { id, from } => {
            ("change", id.to_string(), one("policy", Some(from.to_string()), None))
        }
        Step::CreateMountTarget {
            file_system,
            subnet,
            zone_id,
            groups,
        } => (
            "create",
            format!("in {zone_id}"),
            new(
                [
                    ("file system", file_system.to_string()),
                    ("subnet", subnet.to_string()),
                    ("security groups", words(groups)),
                ],
                &Tags::new(),
            ),
        ),
        Step::SetMountTargetGroups { id, from, to } => (
            "change",
            id.to_string(),
            one("security groups", Some(words(from)), Some(words(to))),
        ),
        Step::CreateAccessPoint {
            file_system,
            path,
            uid,
            gid,
            permissions,
            tags,
            ..
        } => (
            "create",
            path.clone(),
            new(
                [
                    ("file system", file_system.to_string()),
                    ("path", path.clone()),
                    ("owner", format!("{uid}:{gid}")),
                    ("permissions", permissions.clone()),
                ],
                tags,
            ),
        ),
        Step::PutRolePolicy { role, policy, from, to } => (
            if from.is_some() { "change" } else { "create" },
            format!("{role}/{policy}"),
            one("policy", from.as_ref().map(Value::to_string), Some(to.to_string())),
        ),
        Step::CreateLogGroup {
            name,
            retention_days,
            tags,
        } => (
            "create",
            name.clone(),
            new([("retention", format!("{retention_days} days"))], tags),
        ),
        Step::PutRetention { name, from, to } => (
            "change",
            name.clone(),
            one(
                "retention",
                Some(from.map_or_else(|| "for ever".to_owned(), |days| format!("{days} days"))),
                Some(format!("{to} days")),
            ),
        ),
        Step::RegisterTaskDefinition { definition, .. } => {
            ("register", definition.family.clone(), definition_fields(definition))
        }
        Step::RegisterRevision { from, definition, .. } => (
            "register",
            definition.text("family").unwrap_or_default().to_owned(),
            revision_fields(from, definition),
        ),
        Step::CreateService {
            name,
            task_definition,
            launch_type,
            settings,
            tags,
            ..
        } => {
            let mut changes = new(
                [
                    ("desired count", "0".to_owned()),
                    ("task definition", task_definition.clone()),
                    ("launch type", launch_type.as_str().to_owned()),
                ],
                tags,
            );
            changes.extend(
                settings_fields(settings)
                    .into_iter()
                    .map(|(field, value)| (field.to_owned(), None, Some(value))),
            );
            ("create", name.clone(), changes)
        }
        Step::UpdateService {
            name,
            from,
            to,
            from_definition,
            to_definition,
            force,
            ..
        } => {
            let mut changes: Changes = settings_fields(from)
                .into_iter()
                .zip(settings_fields(to))
                .filter(|(from, to)| from != to)
                .map(|((field, from), (_, to))| (field.to_owned(), Some(from), Some(to)))
                .collect();
            if from_definition != to_definition {
                changes.extend(one(
                    "task definition",
                    Some(from_definition.clone()),
                    Some(to_definition.clone()),
                ));
            }
            (if *force { "redeploy" } else { "change" }, name.clone(), changes)
        }
        Step::StartService { name, .. } => (
            "start",
            name.clone(),
            one("desired count", Some("0".to_owned()), Some("1".to_owned())),
        ),
        Step::SetDesired { name, from, to, .. } => (
            "scale",
            name.clone(),
            one("desired count", Some(from.to_string()), Some(to.to_string())),
        ),
        Step::ClearStarting { arn } => (
            "untag",
            arn.clone(),
            one(valkeep_core::identity::TAG_STARTING, Some("true".to_owned()), None),
        ),
        Step::StopService { name, from, .. } => (
            "stop",
            name.clone(),
            one("desired count", Some(from.to_string()), Some("0".to_owned())),
        ),
        Step::DeleteService { name, .. } => ("delete", name.clone(), Changes::new()),
        Step::DeleteAccessPoint { id, path, .. } => ("delete", id.to_string(), one("path", Some(path.clone()), None)),
        Step::DeleteMountTarget { id, zone_id, .. } => {
            ("delete", id.to_string(), one("zone", Some(zone_id.clone()), None))
        }
        Step::DeleteFileSystem { id, .. } => (
            "delete",
            id.to_string(),
            one("data", Some("everything on it".to_owned()), None),
        ),
        Step::DeleteRolePolicy { role, policy, from } => (
            "delete",
            format!("{role}/{policy}"),
            one("policy", Some(from.to_string()), None),
        ),
        Step::DeleteSecurityGroup { id, name, .. } => ("delete", id.to_string(), one("name", Some(name.clone()), None)),
        Step::DeregisterTaskDefinition { arn, .. } => (
            "deregister",
            arn.rsplit('/').next().unwrap_or(arn).to_owned(),
            Changes::new(),
        ),
        Step::ChangeServer { address, change, .. } => match change {
            ServerChange::Save => ("save", address.to_string(), Changes::new()),
            ServerChange::Password => (
                "set",
                address.to_string(),
                one("password", None, Some("what the secret is now".to_owned())),
            ),
            ServerChange::Set { name, from, to } => (
                "set",
                address.to_string(),
                one(name, Some(quoted(from)), Some(quoted(to))),
            ),
        },
        Step::Tag { id, set, remove, .. } => {
            let mut changes = tag_fields(set);
            changes.extend(
                remove
                    .iter()
                    .map(|key| (format!("tag {key}"), Some("set".to_owned()), None)),
            );
            ("tag", id.clone(), changes)
        }
    };
    StepText {
        verb,
        resource: step.resource(),
        id,
        changes,
    }
}

fn one(field: &str, from: Option<String>, to: Option<String>) -> Changes {
    vec![(field.to_owned(), from, to)]
}

fn new<const N: usize>(fields: [(&str, String); N], tags: &Tags) -> Changes {
    fields
        .into_iter()
        .map(|(field, value)| (field.to_owned(), None, Some(value)))
        .chain(tag_fields(tags))
        .collect()
}

fn tag_fields(tags: &Tags) -> Changes {
    tags.iter()
        .map(|(key, value)| (format!("tag {key}"), None, Some(value.clone())))
        .collect()
}

fn on_off(value: bool) -> String {
    if value { "on" } else { "off" }.to_owned()
}

fn words<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn settings_fields(settings: &ServiceSettings) -> Vec<(&'static str, String)> {
    let ServiceSettings {
        subnets,
        groups,
        assign_public_ip,
        minimum_healthy_percent,
        maximum_percent,
        circuit_breaker,
        rollback,
        zone_rebalancing,
        enable_execute_command,
        registry_arn,
    } = settings;
    let percent = |value: &Option<u32>| value.map_or_else(|| "default".to_owned(), |value| value.to_string());
    vec![
        ("subnets", words(subnets)),
        ("security groups", words(groups)),
        ("public address", on_off(*assign_public_ip)),
        ("minimum healthy percent", percent(minimum_healthy_percent)),
        ("maximum percent", percent(maximum_percent)),
        ("circuit breaker", on_off(*circuit_breaker)),
        ("rollback", on_off(*rollback)),
        ("zone rebalancing", on_off(zone_rebalancing.unwrap_or(false))),
        ("ECS Exec", on_off(*enable_execute_command)),
        (
            "Cloud Map service",
            registry_arn.clone().unwrap_or_else(|| "none".to_owned()),
        ),
    ]
}

fn definition_fields(definition: &TaskDefinition) -> Changes {
    let container = &definition.container;
    let flags = container
        .command
        .iter()
        .map(|word| quoted(word))
        .collect::<Vec<_>>()
        .join(" ");
    let mut fields = vec![
        ("image", container.image.clone()),
        (
            "cpu and memory",
            format!("{} / {} MiB", definition.cpu, definition.memory_mib),
        ),
        ("command", flags),
        ("user", container.user.clone().unwrap_or_default()),
        ("stop timeout", format!("{} s", container.stop_timeout_s)),
    ];
    if let Some(volume) = &definition.volume {
        fields.push((
            "volume",
            format!(
                "{} through {} at {}",
                volume.file_system,
                volume.access_point,
                container.mount_path.clone().unwrap_or_default()
            ),
        ));
    }
    fields.extend(
        container
            .environment
            .iter()
            .map(|(key, value)| ("environment", format!("{key}={value}"))),
    );
    fields.extend(
        container
            .secrets
            .iter()
            .map(|(key, reference)| ("secret", format!("{key} from {reference}"))),
    );
    fields
        .into_iter()
        .map(|(field, value)| (field.to_owned(), None, Some(value)))
        .collect()
}

/// What differs from the definition that it was made of is the CLI's to show, which has both; here is what starts.
fn revision_fields(from: &str, definition: &RawDefinition) -> Changes {
    let mut fields = vec![("made of".to_owned(), None, Some(from.to_owned()))];
    for container in definition.containers() {
        let name = container["name"].as_str().unwrap_or_default();
        let words: Vec<String> = container["command"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(quoted)
            .collect();
        fields.push((
            format!("{name}: image"),
            None,
            container["image"].as_str().map(ToOwned::to_owned),
        ));
        if !words.is_empty() {
            fields.push((format!("{name}: command"), None, Some(words.join(" "))));
        }
    }
    fields
}

fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains(' ') {
        format!("\"{word}\"")
    } else {
        word.to_owned()
    }
}
