//! The shape of a document: which fields there are, what they take, and the rules between them with their reasons.
//!
//! One function per type, which takes every field and makes the value. Types, defaults and this walk are compared with a
//! second reader in the tests.

mod access;
mod file_system;
mod network;
mod persistence;
mod rollout;
mod service;
mod valkey;

use super::forms;
use super::nearest::nearest;
use super::report::{Report, Wrong, quote};
use super::tree::{At, Node, join};
use super::walk::Field;
use crate::types::{ApiVersion, Document, Kind, LOOK_NOW, Metadata, Mode, Origin, PERMISSIONS, RESTART, Spec};
use access::References;
use file_system::file_system;
use network::network;
use persistence::persistence;
use rollout::rollout;
use service::{Task, service, task_role};
use std::collections::BTreeMap;
use valkey::valkey;

/// AWS takes 50 tags per resource; valkeep's own and `Name` are at most ten.
const TAGS_MAX: usize = 40;

/// Kubernetes' limit for all annotations together, in bytes.
const ANNOTATIONS_MAX: usize = 256 * 1024;

/// Makes the document, reporting everything that does not fit. None only when something was reported.
pub(super) fn document(file: &str, root: &Node, report: &mut Report) -> Option<Document> {
    let root = Field::root(root);
    let mut map = root.map(report)?;
    let api_version = map
        .require(report, "apiVersion", "write `apiVersion: valkeep.dev/v1alpha1`")
        .and_then(|field| field.choice(report, &[("valkeep.dev/v1alpha1", ApiVersion::V1Alpha1)], &[]));
    let kind = map
        .require(report, "kind", "write `kind: ValkeyPersistence`")
        .and_then(|field| field.choice(report, &[("ValkeyPersistence", Kind::ValkeyPersistence)], &[]));
    if api_version.is_none() && kind.is_none() && map.has("apiVersion") && map.has("kind") {
        // Something else altogether; whatever else could be said of it would be noise.
        return None;
    }
    let metadata = map
        .require(report, "metadata", "write `metadata:` with a `name`")
        .and_then(|field| metadata(&field, report));
    let spec = map
        .require(report, "spec", "start from `manifests/examples/minimal.yaml`")
        .and_then(|field| spec(&field, report));
    map.finish(
        report,
        &[("status", "remove it: valkeep writes the status to a place of its own")],
    );
    let (
        spec,
        Places {
            region,
            assume_role,
            references,
        },
    ) = spec?;
    let position = |at: Option<At>| at.map(|at| (at.line, at.column));
    let document = Document {
        api_version: api_version?,
        kind: kind?,
        metadata: metadata?,
        spec,
        origin: Origin {
            file: file.to_owned(),
            region: position(region),
            assume_role: position(assume_role),
            references: references
                .into_iter()
                .map(|(path, at)| (path, (at.line, at.column)))
                .collect(),
        },
    };
    Some(document.filled())
}

fn metadata(field: &Field<'_>, report: &mut Report) -> Option<Metadata> {
    let mut map = field.map(report)?;
    let name = map
        .require(report, "name", "write a name, like `trigpointing-valkey`")
        .and_then(|field| field.text(report, forms::dns_label));
    let labels = map.take("labels").map_or(Some(BTreeMap::new()), |field| {
        let labels = field.texts(report, forms::label_key, forms::label_value)?;
        reserved(&field, &labels, &[], "labels", report).then_some(labels)
    });
    let annotations = map.take("annotations").map_or(Some(BTreeMap::new()), |field| {
        let annotations = field.texts(report, forms::label_key, forms::any_text)?;
        let known: Vec<&str> = PERMISSIONS
            .iter()
            .map(|(key, _)| *key)
            .chain([LOOK_NOW, RESTART])
            .collect();
        let mut good = reserved(&field, &annotations, &known, "annotations", report);
        let bytes: usize = annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
        if bytes > ANNOTATIONS_MAX {
            field.say(
                report,
                format!("are {bytes} bytes long, at most {ANNOTATIONS_MAX} are taken"),
                "shorten them",
            );
            good = false;
        }
        if let Some(Err(wrong)) = annotations.get(RESTART).map(|value| forms::restart(value)) {
            report.add(field.key_at(RESTART), &join(&field.path, RESTART), wrong);
            good = false;
        }
        for (key, harm) in PERMISSIONS {
            if let (Some(value), Some(name)) = (annotations.get(key), &name)
                && value != name
            {
                report.say(
                    field.key_at(key),
                    &join(&field.path, key),
                    format!(
                        "says {} and the document is called {}; the two must be equal, so that a copied document does \
                         not {harm}",
                        quote(value),
                        quote(name)
                    ),
                    format!("write {}, or remove the annotation", quote(name)),
                );
                good = false;
            }
        }
        good.then_some(annotations)
    });
    map.finish(report, &[("namespace", "remove it: the store is the namespace")]);
    Some(Metadata {
        name: name?,
        labels: labels?,
        annotations: annotations?,
    })
}

/// Keys that begin with `valkeep.dev/` are ours: only known ones may be there.
fn reserved(
    field: &Field<'_>,
    texts: &BTreeMap<String, String>,
    known: &[&str],
    what: &str,
    report: &mut Report,
) -> bool {
    let mut good = true;
    for key in texts.keys() {
        if key.starts_with(valkeep_core::identity::TAG_PREFIX) && !known.contains(&key.as_str()) {
            let instead = match nearest(key, known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "take another key".to_owned(),
            };
            report.say(
                field.key_at(key),
                &join(&field.path, key),
                format!("{what} that begin with `valkeep.dev/` are valkeep's own, and this one is not known"),
                instead,
            );
            good = false;
        }
    }
    good
}

/// Where stands what can only be judged once it is known where valkeep runs.
struct Places {
    region: Option<At>,
    assume_role: Option<At>,
    references: References,
}

fn spec(field: &Field<'_>, report: &mut Report) -> Option<(Spec, Places)> {
    let mut map = field.map(report)?;
    let mode = or_default(map.take("mode"), |field| {
        let modes = [
            ("Enforce", Mode::Enforce),
            ("Observe", Mode::Observe),
            ("Paused", Mode::Paused),
        ];
        field.choice(report, &modes, &[])
    });
    let region_field = map.take("region");
    let region_at = region_field.as_ref().map(Field::at);
    let region = optional(region_field, |field| field.text(report, forms::region));
    let role_field = map.take("assumeRoleArn");
    let role_at = role_field.as_ref().map(Field::at);
    let assume_role_arn = optional(role_field, |field| field.text(report, forms::assumed_role_arn));
    let external_id = optional(map.take("externalId"), |field| {
        let id = field.text(report, forms::external_id)?;
        if role_at.is_none() {
            field.say(
                report,
                "is for the role that valkeep assumes, and the document names none",
                "write `assumeRoleArn`, or remove this",
            );
            return None;
        }
        Some(id)
    });
    let cluster = map
        .require(report, "cluster", "write the name of the ECS cluster")
        .and_then(|field| field.text(report, forms::ecs_name));
    let mut task = Task::default();
    let service = map
        .require(report, "service", "write `service:` with a `name`")
        .and_then(|field| service(&field, &mut task, report));
    let task_role_field = map.require(
        report,
        "taskRole",
        "write `taskRole:` with the `name` of the tasks' role",
    );
    let mut root_access = Some(true);
    let task_role = task_role_field.and_then(|field| task_role(&field, &mut root_access, report));
    let network = map
        .require(
            report,
            "network",
            "write `network:` with `vpcId`, `subnetIds` and `taskSecurityGroupIds`",
        )
        .and_then(|field| network(&field, report));
    let file_system = or_default(map.take("fileSystem"), |field| file_system(&field, root_access, report));
    let mut references = References::new();
    let valkey = or_default(map.take("valkey"), |field| {
        valkey(&field, &task, &mut references, report)
    });
    let persistence = or_default(map.take("persistence"), |field| persistence(&field, report));
    let rollout = or_default(map.take("rollout"), |field| rollout(&field, &task, report));
    let tags = or_default(map.take("tags"), |field| {
        let tags = field.texts(report, forms::tag_key, forms::tag_value)?;
        if tags.len() > TAGS_MAX {
            let problem = format!(
                "has {} tags; AWS takes 50 on a resource, and valkeep needs up to 10 of them",
                tags.len()
            );
            field.say(report, problem, format!("keep at most {TAGS_MAX}"));
            return None;
        }
        Some(tags)
    });
    map.finish(report, &[]);
    let spec = Spec {
        mode: mode?,
        region: region?,
        assume_role_arn: assume_role_arn?,
        external_id: external_id?,
        cluster: cluster?,
        service: service?,
        task_role: task_role?,
        network: network?,
        file_system: file_system?,
        valkey: valkey?,
        persistence: persistence?,
        rollout: rollout?,
        tags: tags?,
    };
    let places = Places {
        region: region_at,
        assume_role: role_at,
        references,
    };
    Some((spec, places))
}

/// A field that may be left out, with its default. None when it is there and does not fit.
fn or<'n, T>(
    field: Option<Field<'n>>,
    default: impl FnOnce() -> T,
    read: impl FnOnce(Field<'n>) -> Option<T>,
) -> Option<T> {
    match field {
        Some(field) => read(field),
        None => Some(default()),
    }
}

pub(super) fn or_default<'n, T: Default>(
    field: Option<Field<'n>>,
    read: impl FnOnce(Field<'n>) -> Option<T>,
) -> Option<T> {
    or(field, T::default, read)
}

/// A field that has no default. The outer None is that it does not fit.
#[expect(clippy::option_option, reason = "absent and unfit differ")]
fn optional<'n, T>(field: Option<Field<'n>>, read: impl FnOnce(Field<'n>) -> Option<T>) -> Option<Option<T>> {
    or(field, || None, |field| read(field).map(Some))
}

/// A document that has no findings and could not be made would be a bug; it is told as a finding, never as a panic.
pub(super) fn bug() -> Wrong {
    Wrong::new(
        "the document could not be understood, and valkeep has no finding for it: this is a bug of valkeep",
        "report it with the document",
    )
}
