//! The shape of a document: which fields there are, what they take, and the rules between them with their reasons.
//!
//! One function per type, which takes every field and makes the value. Types, defaults and this walk are compared with a
//! second reader in the tests.

use super::flags;
use super::forms;
use super::report::{Report, Wrong, quote};
use super::tree::{At, Node};
use super::walk::{Field, Map};
use crate::types::{
    AccessPoint, ApiVersion, AppendOnly, Create, Document, FileSystem, Fsync, Kind, LOAD_STALE_DUMP, LaunchType,
    LogGroup, Metadata, Mode, Network, Origin, PerformanceMode, Persistence, Preset, Rollout, SaveRule, Service,
    Snapshots, Spec, StaleDump, TaskRole, ThroughputMode, TransitionToIa, Valkey,
};
use std::collections::BTreeMap;

/// AWS takes 50 tags per resource; valkeep's own and `Name` are at most ten.
const TAGS_MAX: usize = 40;
/// EC2 takes 60 rules per group; five are for the tasks' groups.
const MAINTENANCE_GROUPS_MAX: usize = 50;
/// The most save points; the presets have three.
const RULES_MAX: usize = 16;
/// The most words of `extraFlags`.
const FLAGS_MAX: usize = 64;
/// Kubernetes' limit for all annotations together, in bytes.
const ANNOTATIONS_MAX: usize = 256 * 1024;
/// Valkey keeps seconds and changes of a save point as a C int.
const SAVE_MAX: u32 = 2_147_483_647;

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
    let (spec, region) = spec?;
    let document = Document {
        api_version: api_version?,
        kind: kind?,
        metadata: metadata?,
        spec,
        origin: Origin {
            file: file.to_owned(),
            region: region.map(|at| (at.line, at.column)),
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
        let mut good = reserved(&field, &annotations, &[LOAD_STALE_DUMP], "annotations", report);
        let bytes: usize = annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
        if bytes > ANNOTATIONS_MAX {
            field.say(
                report,
                format!("are {bytes} bytes long, at most {ANNOTATIONS_MAX} are taken"),
                "shorten them",
            );
            good = false;
        }
        if let (Some(value), Some(name)) = (annotations.get(LOAD_STALE_DUMP), &name)
            && value != name
        {
            report.say(
                field.key_at(LOAD_STALE_DUMP),
                &super::tree::join(&field.path, LOAD_STALE_DUMP),
                format!(
                    "says {} and the document is called {}; the two must be equal, so that a copied document does not \
                     carry the permission along",
                    quote(value),
                    quote(name)
                ),
                format!("write {}, or remove the annotation", quote(name)),
            );
            good = false;
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
            let instead = match super::nearest::nearest(key, known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "take another key".to_owned(),
            };
            report.say(
                field.key_at(key),
                &super::tree::join(&field.path, key),
                format!("{what} that begin with `valkeep.dev/` are valkeep's own, and this one is not known"),
                instead,
            );
            good = false;
        }
    }
    good
}

/// The spec, and where its region stands.
fn spec(field: &Field<'_>, report: &mut Report) -> Option<(Spec, Option<At>)> {
    let mut map = field.map(report)?;
    let mode = or_default(map.take("mode"), |field| {
        field.choice(report, &[("Enforce", Mode::Enforce)], &["Observe", "Paused"])
    });
    let region_field = map.take("region");
    let region_at = region_field.as_ref().map(Field::at);
    let region = optional(region_field, |field| field.text(report, forms::region));
    let cluster = map
        .require(report, "cluster", "write the name of the ECS cluster")
        .and_then(|field| field.text(report, forms::ecs_name));
    let mut launch_type = None;
    let service = map
        .require(report, "service", "write `service:` with a `name` and `create`")
        .and_then(|field| service(&field, &mut launch_type, report));
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
    let valkey = or_default(map.take("valkey"), |field| valkey(&field, report));
    let persistence = or_default(map.take("persistence"), |field| persistence(&field, report));
    let rollout = or_default(map.take("rollout"), |field| rollout(&field, launch_type, report));
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
    Some((spec, region_at))
}

fn service(field: &Field<'_>, launch_type: &mut Option<LaunchType>, report: &mut Report) -> Option<Service> {
    let mut map = field.map(report)?;
    let name = map
        .require(report, "name", "write the name of the ECS service")
        .and_then(|field| field.text(report, forms::ecs_name));
    let container = or(map.take("container"), Service::default_container, |field| {
        field.text(report, forms::ecs_name)
    });
    let port = or(map.take("port"), Service::default_port, |field| {
        let port = field.whole(report, &(1..=u32::from(u16::MAX)))?;
        u16::try_from(port).ok()
    });
    let create = map
        .require(
            report,
            "create",
            "write `create:` with an `image`; adopting a service that exists comes with a later version of valkeep",
        )
        .and_then(|field| create(&field, launch_type, report));
    map.finish(report, &[]);
    Some(Service {
        name: name?,
        container: container?,
        port: port?,
        create: create?,
    })
}

fn create(field: &Field<'_>, launch_type: &mut Option<LaunchType>, report: &mut Report) -> Option<Create> {
    let mut map = field.map(report)?;
    let image = map
        .require(
            report,
            "image",
            "write an image with a version, like `valkey/valkey:8.0`",
        )
        .and_then(|field| field.text(report, forms::image));
    *launch_type = or_default(map.take("launchType"), |field| {
        field.choice(
            report,
            &[("FARGATE", LaunchType::Fargate), ("EC2", LaunchType::Ec2)],
            &[],
        )
    });
    let (cpu, memory_mib) = size(&mut map, field, *launch_type, report);
    let execution_role_field = map.take("executionRoleArn");
    if execution_role_field.is_none() && *launch_type == Some(LaunchType::Fargate) {
        report.say(
            field.at(),
            &super::tree::join(&field.path, "executionRoleArn"),
            "is missing; Fargate needs the role to pull the image and to write the log",
            "write its ARN, like `arn:aws:iam::123456789012:role/my-execution-role`",
        );
    }
    let execution_role_arn = optional(execution_role_field, |field| field.text(report, forms::role_arn));
    let assign_public_ip = or_default(map.take("assignPublicIp"), |field| {
        let assign = field.boolean(report)?;
        if assign && *launch_type == Some(LaunchType::Ec2) {
            field.say(
                report,
                "a task on EC2 cannot have a public address of its own",
                "write `false`",
            );
            return None;
        }
        Some(assign)
    });
    let enable_execute_command = or_default(map.take("enableExecuteCommand"), |field| field.boolean(report));
    let log_group = or_default(map.take("logGroup"), |field| log_group(&field, report));
    let service_registry_arn = optional(map.take("serviceRegistryArn"), |field| {
        field.text(report, forms::registry_arn)
    });
    let extra_flags = or_default(map.take("extraFlags"), |field| extra_flags(&field, report));
    map.finish(report, &[]);
    Some(Create {
        image: image?,
        cpu: cpu?,
        memory_mib: memory_mib?,
        launch_type: (*launch_type)?,
        execution_role_arn: execution_role_arn?,
        assign_public_ip: assign_public_ip?,
        enable_execute_command: enable_execute_command?,
        log_group: log_group?,
        service_registry_arn: service_registry_arn?,
        extra_flags: extra_flags?,
    })
}

/// CPU units and memory; Fargate takes certain pairs.
fn size(
    map: &mut Map<'_>,
    create: &Field<'_>,
    launch_type: Option<LaunchType>,
    report: &mut Report,
) -> (Option<u32>, Option<u32>) {
    let cpu_field = map.take("cpu");
    let memory_field = map.take("memoryMiB");
    let at = memory_field
        .as_ref()
        .or(cpu_field.as_ref())
        .map_or(create.at(), Field::at);
    let path = memory_field
        .as_ref()
        .or(cpu_field.as_ref())
        .map_or_else(|| create.path.clone(), |field| field.path.clone());
    // ECS: 0.125 to 192 vCPU on EC2; a Valkey below 64 MiB has no room for its fork.
    let cpu = or(cpu_field, Create::default_cpu, |field| {
        field.whole(report, &(128..=196_608))
    });
    let memory_mib = or(memory_field, Create::default_memory_mib, |field| {
        field.whole(report, &(64..=25_165_824))
    });
    if let (Some(cpu), Some(memory_mib), Some(LaunchType::Fargate)) = (cpu, memory_mib, launch_type)
        && let Err(wrong) = forms::fargate_pair(cpu, memory_mib)
    {
        report.add(at, &path, wrong);
    }
    (cpu, memory_mib)
}

fn log_group(field: &Field<'_>, report: &mut Report) -> Option<LogGroup> {
    let mut map = field.map(report)?;
    let name = optional(map.take("name"), |field| field.text(report, forms::log_group));
    let retention_days = or(map.take("retentionDays"), LogGroup::default_retention_days, |field| {
        let days = field.whole(report, &(1..=3653))?;
        if !forms::RETENTION_DAYS.contains(&days) {
            let above = forms::RETENTION_DAYS
                .iter()
                .find(|allowed| **allowed > days)
                .copied()
                .unwrap_or(3653);
            field.say(
                report,
                format!("CloudWatch Logs does not take {days} days"),
                format!("write {above}, the next longer one that it takes"),
            );
            return None;
        }
        Some(days)
    });
    map.finish(report, &[]);
    Some(LogGroup {
        name: name?,
        retention_days: retention_days?,
    })
}

fn extra_flags(field: &Field<'_>, report: &mut Report) -> Option<Vec<String>> {
    let words = field.list(report)?;
    if words.len() > FLAGS_MAX {
        field.say(
            report,
            format!("has {} words, at most {FLAGS_MAX} are taken", words.len()),
            "build the settings into the image",
        );
        return None;
    }
    let mut flags = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let form: forms::Form = if index == 0 {
            |text| flags::word(text, true)
        } else {
            |text| flags::word(text, false)
        };
        flags.push(word.text(report, form));
    }
    flags.into_iter().collect()
}

fn task_role(field: &Field<'_>, root_access: &mut Option<bool>, report: &mut Report) -> Option<TaskRole> {
    let mut map = field.map(report)?;
    let name = map
        .require(report, "name", "write the name of the tasks' role")
        .and_then(|field| field.text(report, forms::role_name));
    *root_access = or(map.take("rootAccess"), || true, |field| field.boolean(report));
    map.finish(report, &[("arn", "write the role's `name`")]);
    Some(TaskRole {
        name: name?,
        root_access: (*root_access)?,
    })
}

fn network(field: &Field<'_>, report: &mut Report) -> Option<Network> {
    let mut map = field.map(report)?;
    let vpc_id = map
        .require(report, "vpcId", "write the VPC's id")
        .and_then(|field| field.text(report, forms::vpc_id));
    let subnet_ids = map
        .require(report, "subnetIds", "write the subnets' ids as a list")
        .and_then(|field| {
            ids(
                &field,
                forms::subnet_id,
                1,
                16,
                "a service takes 1 to 16 subnets",
                report,
            )
        });
    let task_security_group_ids = map
        .require(
            report,
            "taskSecurityGroupIds",
            "write the tasks' security groups as a list",
        )
        .and_then(|field| {
            let why = "a network interface takes 1 to 5 security groups";
            ids(&field, forms::security_group_id, 1, 5, why, report)
        });
    let maintenance_security_group_ids = or_default(map.take("maintenanceSecurityGroupIds"), |field| {
        let why = "a security group takes 60 rules";
        ids(&field, forms::security_group_id, 0, MAINTENANCE_GROUPS_MAX, why, report)
    });
    map.finish(report, &[]);
    Some(Network {
        vpc_id: vpc_id?,
        subnet_ids: subnet_ids?,
        task_security_group_ids: task_security_group_ids?,
        maintenance_security_group_ids: maintenance_security_group_ids?,
    })
}

/// A list of ids, each once.
fn ids(
    field: &Field<'_>,
    form: forms::Form,
    min: usize,
    max: usize,
    why: &str,
    report: &mut Report,
) -> Option<Vec<String>> {
    let items = field.list(report)?;
    if items.len() < min {
        field.say(report, format!("is empty; {why}"), "write at least one");
        return None;
    }
    if items.len() > max {
        field.say(
            report,
            format!("has {} entries; {why}", items.len()),
            format!("keep at most {max}"),
        );
        return None;
    }
    let mut ids: Vec<String> = Vec::new();
    let mut good = true;
    for item in &items {
        match item.text(report, form) {
            Some(id) if ids.contains(&id) => {
                item.say(report, format!("{} is there already", quote(&id)), "remove it");
                good = false;
            }
            Some(id) => ids.push(id),
            None => good = false,
        }
    }
    good.then_some(ids)
}

fn file_system(field: &Field<'_>, root_access: Option<bool>, report: &mut Report) -> Option<FileSystem> {
    let default = FileSystem::default();
    let mut map = field.map(report)?;
    map.later(report, "id", "taking a file system that exists", "remove it");
    let encrypted = or(
        map.take("encrypted"),
        || default.encrypted,
        |field| field.boolean(report),
    );
    let kms_key_id = optional(map.take("kmsKeyId"), |field| {
        let key = field.text(report, forms::kms_key)?;
        if encrypted == Some(false) {
            field.say(
                report,
                "is the key for the encryption at rest, and `encrypted` is false",
                "write `encrypted: true`, or remove the key",
            );
            return None;
        }
        Some(key)
    });
    let throughput_mode = or_default(map.take("throughputMode"), |field| {
        field.choice(
            report,
            &[
                ("bursting", ThroughputMode::Bursting),
                ("elastic", ThroughputMode::Elastic),
                ("provisioned", ThroughputMode::Provisioned),
            ],
            &[],
        )
    });
    let performance_mode = or_default(map.take("performanceMode"), |field| {
        let modes = [
            ("generalPurpose", PerformanceMode::GeneralPurpose),
            ("maxIO", PerformanceMode::MaxIo),
        ];
        let mode = field.choice(report, &modes, &[])?;
        if mode == PerformanceMode::MaxIo && throughput_mode == Some(ThroughputMode::Elastic) {
            field.say(
                report,
                "EFS has no `maxIO` with elastic throughput",
                "write `generalPurpose`, or another `throughputMode`",
            );
            return None;
        }
        Some(mode)
    });
    let provisioned_mibps = provisioned(&mut map, field, throughput_mode, report);
    let transition_to_ia = or_default(map.take("transitionToIA"), |field| {
        field.choice(report, TRANSITIONS, &[])
    });
    let automatic_backups = or(
        map.take("automaticBackups"),
        || default.automatic_backups,
        |field| field.boolean(report),
    );
    let enforce_tls_and_iam = or(
        map.take("enforceTlsAndIam"),
        || default.enforce_tls_and_iam,
        |field| field.boolean(report),
    );
    let access_point = or_default(map.take("accessPoint"), |field| {
        access_point(&field, root_access, report)
    });
    let mount_path = or(
        map.take("mountPath"),
        || default.mount_path.clone(),
        |field| field.text(report, forms::mount_path),
    );
    map.finish(report, &[]);
    Some(FileSystem {
        encrypted: encrypted?,
        kms_key_id: kms_key_id?,
        performance_mode: performance_mode?,
        throughput_mode: throughput_mode?,
        provisioned_mibps: provisioned_mibps?,
        transition_to_ia: transition_to_ia?,
        automatic_backups: automatic_backups?,
        enforce_tls_and_iam: enforce_tls_and_iam?,
        access_point: access_point?,
        mount_path: mount_path?,
    })
}

const TRANSITIONS: &[(&str, TransitionToIa)] = &[
    ("AFTER_1_DAY", TransitionToIa::After1Day),
    ("AFTER_7_DAYS", TransitionToIa::After7Days),
    ("AFTER_14_DAYS", TransitionToIa::After14Days),
    ("AFTER_30_DAYS", TransitionToIa::After30Days),
    ("AFTER_60_DAYS", TransitionToIa::After60Days),
    ("AFTER_90_DAYS", TransitionToIa::After90Days),
    ("AFTER_180_DAYS", TransitionToIa::After180Days),
    ("AFTER_270_DAYS", TransitionToIa::After270Days),
    ("AFTER_365_DAYS", TransitionToIa::After365Days),
    ("Never", TransitionToIa::Never),
];

/// `provisionedMibps` is there exactly with `throughputMode: provisioned`.
fn provisioned(
    map: &mut Map<'_>,
    file_system: &Field<'_>,
    mode: Option<ThroughputMode>,
    report: &mut Report,
) -> Option<Option<f64>> {
    match (map.take("provisionedMibps"), mode) {
        (None, Some(ThroughputMode::Provisioned)) => {
            report.say(
                file_system.key_at("throughputMode"),
                &super::tree::join(&file_system.path, "provisionedMibps"),
                "is missing; with `throughputMode: provisioned` EFS must be told how much",
                "write `provisionedMibps:` and MiB/s, 1 to 3414",
            );
            None
        }
        (None, _) => Some(None),
        (Some(field), mode) => {
            let mibps = field.number(report, &(1.0..=3414.0))?;
            if matches!(mode, Some(ThroughputMode::Bursting | ThroughputMode::Elastic)) {
                field.say(
                    report,
                    "has a meaning only with `throughputMode: provisioned`",
                    "remove it, or write `throughputMode: provisioned`",
                );
                return None;
            }
            Some(Some(mibps))
        }
    }
}

fn access_point(field: &Field<'_>, root_access: Option<bool>, report: &mut Report) -> Option<AccessPoint> {
    let default = AccessPoint::default();
    let mut map = field.map(report)?;
    map.later(report, "id", "taking an access point that exists", "remove it");
    let path = or(
        map.take("path"),
        || default.path.clone(),
        |field| field.text(report, forms::access_point_path),
    );
    let uid = or(
        map.take("uid"),
        || default.uid,
        |field| {
            let uid = field.whole(report, &(0..=u32::MAX))?;
            if uid == 0 && root_access == Some(false) {
                field.say(
                    report,
                    "without `taskRole.rootAccess` EFS takes uid 0 for nobody, who could not write to the directory",
                    "write another uid, like 1000, or `rootAccess: true`",
                );
                return None;
            }
            Some(uid)
        },
    );
    let gid = or(
        map.take("gid"),
        || default.gid,
        |field| field.whole(report, &(0..=u32::MAX)),
    );
    let permissions = or(
        map.take("permissions"),
        || default.permissions.clone(),
        |field| field.text(report, forms::permissions),
    );
    map.finish(report, &[]);
    Some(AccessPoint {
        path: path?,
        uid: uid?,
        gid: gid?,
        permissions: permissions?,
    })
}

fn valkey(field: &Field<'_>, report: &mut Report) -> Option<Valkey> {
    let mut map = field.map(report)?;
    let live = "setting this, and changing it live,";
    for (name, instead) in [
        ("maxmemory", "use `--maxmemory` in `service.create.extraFlags`"),
        (
            "maxmemoryPolicy",
            "use `--maxmemory-policy` in `service.create.extraFlags`",
        ),
    ] {
        map.later(report, name, live, instead);
    }
    map.later(report, "credentialsFrom", "authentication", "remove it");
    map.later(report, "tls", "TLS", "remove it");
    map.finish(report, &[]);
    Some(Valkey {})
}

fn persistence(field: &Field<'_>, report: &mut Report) -> Option<Persistence> {
    let default = Persistence::default();
    let mut map = field.map(report)?;
    let enabled = or(map.take("enabled"), || default.enabled, |field| field.boolean(report));
    let stale_dump = or_default(map.take("staleDump"), |field| {
        field.choice(
            report,
            &[("Load", StaleDump::Load), ("SetAside", StaleDump::SetAside)],
            &[],
        )
    });
    let snapshots = or_default(map.take("snapshots"), |field| snapshots(&field, report));
    let append_only = or_default(map.take("appendOnly"), |field| append_only(&field, report));
    map.finish(report, &[]);
    Some(Persistence {
        enabled: enabled?,
        stale_dump: stale_dump?,
        snapshots: snapshots?,
        append_only: append_only?,
    })
}

fn snapshots(field: &Field<'_>, report: &mut Report) -> Option<Snapshots> {
    let default = Snapshots::default();
    let mut map = field.map(report)?;
    let preset = or_default(map.take("preset"), |field| {
        field.choice(
            report,
            &[
                ("Balanced", Preset::Balanced),
                ("Frequent", Preset::Frequent),
                ("Infrequent", Preset::Infrequent),
                ("Custom", Preset::Custom),
                ("Off", Preset::Off),
            ],
            &[],
        )
    });
    let rules = match (map.take("rules"), preset) {
        (None, Some(Preset::Custom)) => {
            report.say(
                field.key_at("preset"),
                &super::tree::join(&field.path, "rules"),
                "is missing; `preset: Custom` takes its save points from there",
                "write `rules: [{seconds: 900, changes: 1}]`, or another preset",
            );
            None
        }
        (None, _) => Some(None),
        (Some(field), preset) => {
            let rules = save_rules(&field, report);
            match preset {
                Some(Preset::Balanced | Preset::Frequent | Preset::Infrequent | Preset::Off) => {
                    field.say(
                        report,
                        "would have no effect: only `preset: Custom` takes rules, the other presets bring their own",
                        "write `preset: Custom`, or remove the rules",
                    );
                    None
                }
                Some(Preset::Custom) | None => rules.map(Some),
            }
        }
    };
    let filename = or(
        map.take("filename"),
        || default.filename.clone(),
        |field| field.text(report, forms::rdb_filename),
    );
    let compression = or(
        map.take("compression"),
        || default.compression,
        |field| field.boolean(report),
    );
    let stop_writes_on_error = or(
        map.take("stopWritesOnError"),
        || default.stop_writes_on_error,
        |field| field.boolean(report),
    );
    map.finish(report, &[]);
    Some(Snapshots {
        preset: preset?,
        rules: rules?,
        filename: filename?,
        compression: compression?,
        stop_writes_on_error: stop_writes_on_error?,
    })
}

fn save_rules(field: &Field<'_>, report: &mut Report) -> Option<Vec<SaveRule>> {
    let items = field.list(report)?;
    if items.is_empty() {
        field.say(
            report,
            "is empty; no rule at all would mean no snapshots",
            "write a rule, like `{seconds: 900, changes: 1}`, or `preset: Off`",
        );
        return None;
    }
    if items.len() > RULES_MAX {
        field.say(
            report,
            format!("has {} rules, at most {RULES_MAX} are taken", items.len()),
            "keep those that matter",
        );
        return None;
    }
    let rules: Vec<Option<SaveRule>> = items.iter().map(|item| save_rule(item, report)).collect();
    rules.into_iter().collect()
}

fn save_rule(field: &Field<'_>, report: &mut Report) -> Option<SaveRule> {
    let mut map = field.map(report)?;
    let seconds = map
        .require(report, "seconds", "write a number of seconds, at least 1")
        .and_then(|field| at_least_one(&field, "Valkey refuses to start with 0 seconds", report));
    let changes = map
        .require(report, "changes", "write a number of changed keys, at least 1")
        .and_then(|field| at_least_one(&field, "with 0 changes Valkey would save without end", report));
    map.finish(report, &[]);
    Some(SaveRule {
        seconds: seconds?,
        changes: changes?,
    })
}

fn at_least_one(field: &Field<'_>, why: &str, report: &mut Report) -> Option<u32> {
    if field.is_zero() {
        field.say(report, why, "write at least 1");
        return None;
    }
    field.whole(report, &(1..=SAVE_MAX))
}

fn append_only(field: &Field<'_>, report: &mut Report) -> Option<AppendOnly> {
    let mut map = field.map(report)?;
    let enabled = or_default(map.take("enabled"), |field| {
        let enabled = field.boolean(report)?;
        if enabled {
            field.say(
                report,
                "the append-only file comes with a later version of valkeep; switching it on by a restart would start \
                 Valkey empty",
                "write `false`, or leave it out",
            );
            return None;
        }
        Some(enabled)
    });
    let fsync = or_default(map.take("fsync"), |field| {
        field.choice(report, &[("everysec", Fsync::Everysec)], &["always", "no"])
    });
    map.finish(report, &[]);
    Some(AppendOnly {
        enabled: enabled?,
        fsync: fsync?,
    })
}

fn rollout(field: &Field<'_>, launch_type: Option<LaunchType>, report: &mut Report) -> Option<Rollout> {
    let default = Rollout::default();
    let mut map = field.map(report)?;
    let stop_timeout_seconds = or(
        map.take("stopTimeoutSeconds"),
        || default.stop_timeout_seconds,
        |field| {
            let seconds = field.whole(report, &(1..=86_400))?;
            if seconds > 120 && launch_type == Some(LaunchType::Fargate) {
                field.say(
                    report,
                    format!("Fargate kills a task 120 seconds after it was told to stop, and {seconds} are asked for"),
                    "write at most 120, or `launchType: EC2`",
                );
                return None;
            }
            Some(seconds)
        },
    );
    map.later(
        report,
        "firstTransition",
        "the careful first transition of a service that has never persisted",
        "remove it",
    );
    map.later(report, "requireSnapshot", "a snapshot before each stop", "remove it");
    map.later(report, "liveOnly", "changing settings of a running server", "remove it");
    map.later(
        report,
        "maintenanceWindow",
        "waiting for a maintenance window",
        "remove it",
    );
    map.finish(report, &[]);
    Some(Rollout {
        stop_timeout_seconds: stop_timeout_seconds?,
    })
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

fn or_default<'n, T: Default>(field: Option<Field<'n>>, read: impl FnOnce(Field<'n>) -> Option<T>) -> Option<T> {
    or(field, T::default, read)
}

/// A field that has no default. The outer None is that it does not fit.
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
