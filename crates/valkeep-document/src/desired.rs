//! From a document to what it means: presets become save points, names are derived, tags are put together.
//!
//! A document that came from `read` has forms that fit; one made otherwise is refused here with findings without position.

use crate::access::access;
use crate::types::{
    AccessPoint, Create, DELETE, DELETE_WITHOUT_BACKUP, Document, FileSystem, FirstTransition, Fsync, LOAD_STALE_DUMP,
    LOOK_NOW, LaunchType, MaintenanceWindow, MaxmemoryPolicy, Mode, Network, PerformanceMode, Persistence, Preset,
    RESTART, SaveRule, Service, Snapshots, Spec, StaleDump, ThroughputMode, TransitionToIa,
};
use crate::{Finding, Findings};
use std::collections::BTreeSet;
use valkeep_core::access::AccessSpec;
use valkeep_core::desired::{
    AccessPointField, AccessPointSpec, Adopted, Created, Deletion, FileSystemField, FileSystemSpec, LogGroupSpec,
    Origin, Rollout, ServerSpec, ServiceSpec, TaskRoleSpec, TaskSpec, Throughput,
};
use valkeep_core::ids::{AccessPointId, FileSystemId, IdError, SecurityGroupId, SubnetId, VpcId};
use valkeep_core::valkey::SavePoints;
use valkeep_core::{
    AssumedRole, Desired, Identity, Place, RoleArn, Scope, SecretReference, Tags, Window, desired, task_definition,
    units, valkey,
};

/// Save points of the presets, as (seconds, changes).
const BALANCED: &[(u32, u32)] = &[(900, 1), (300, 10), (60, 10_000)];
const FREQUENT: &[(u32, u32)] = &[(300, 1), (60, 10), (10, 10_000)];
const INFREQUENT: &[(u32, u32)] = &[(3600, 1), (900, 10), (300, 10_000)];

impl Document {
    /// What this document means in `scope`, with every default filled in and every name derived. `generation` is the
    /// store's number of this version.
    pub fn desired(&self, scope: &Scope, generation: i64) -> Result<Desired, Findings> {
        let Document { metadata, spec, .. } = self;
        let mut refused = Refused {
            document: self,
            findings: Vec::new(),
        };
        let place = refused.place(scope);
        let network = refused.network(&spec.network);
        let throughput = refused.throughput(&spec.file_system);
        let save = refused.save_points(&spec.persistence.snapshots);
        let append_only = refused.append_only(&spec.persistence);
        let taken = refused.taken(&spec.file_system);
        let maxmemory_bytes = spec
            .valkey
            .maxmemory
            .as_deref()
            .and_then(|text| refused.maxmemory(text));
        let access = refused.access(scope);
        let window = spec.rollout.maintenance_window.as_ref();
        let window = window.and_then(|window| refused.window(window));
        let (
            Some(place),
            Some(network),
            Some(throughput),
            Some(save),
            Some((file_system_id, access_point_id)),
            Some(access),
        ) = (place, network, throughput, save, taken, access)
        else {
            return Err(Findings(refused.findings));
        };
        if !refused.findings.is_empty() {
            return Err(Findings(refused.findings));
        }

        let identity = Identity {
            account: place
                .role
                .as_ref()
                .map_or(scope.account.as_str(), |role| role.arn.account())
                .to_owned(),
            region: place.region.clone(),
            cluster: spec.cluster.clone(),
            service: spec.service.name.clone(),
            installation: scope.installation.clone(),
        };
        Ok(Desired {
            document: metadata.name.clone(),
            generation,
            mode: match spec.mode {
                Mode::Enforce => desired::Mode::Enforce,
                Mode::Observe => desired::Mode::Observe,
                Mode::Paused => desired::Mode::Paused,
            },
            place,
            partition: scope.partition.clone(),
            names: identity.names(),
            tags: tags(&spec.tags, &identity),
            identity,
            network,
            file_system: file_system(&spec.file_system, file_system_id, throughput),
            access_point: access_point(&spec.file_system.access_point, access_point_id),
            task_role: TaskRoleSpec {
                name: spec.task_role.name.clone(),
                root_access: spec.task_role.root_access,
            },
            server: ServerSpec {
                container: spec.service.container.clone(),
                port: spec.service.port,
                stop_timeout_s: spec.rollout.stop_timeout_seconds,
                maxmemory_bytes,
                maxmemory_policy: spec.valkey.maxmemory_policy.map(MaxmemoryPolicy::as_valkey),
                access,
            },
            origin: origin(spec),
            persistence: persistence(&spec.persistence, &spec.file_system.mount_path, save, append_only),
            rollout: Rollout {
                require_snapshot: spec.rollout.require_snapshot,
                live_only: spec.rollout.live_only,
                window,
            },
            task_count: spec.service.desired_count,
            dns_grace_s: scope.dns_grace_s,
            look_now: metadata.annotations.get(LOOK_NOW).cloned(),
            restart: metadata.annotations.get(RESTART).cloned(),
            load_stale_dump: self.permits(LOAD_STALE_DUMP),
            deletion: self.asks_for_deletion().then(|| Deletion {
                without_backup: self.permits(DELETE_WITHOUT_BACKUP),
            }),
            limits: scope.limits.clone(),
        })
    }

    /// Whether the document asks for the deletion of what valkeep made for it.
    pub fn asks_for_deletion(&self) -> bool {
        self.permits(DELETE)
    }

    /// Whether the annotation is there and meant for this document.
    fn permits(&self, annotation: &str) -> bool {
        self.metadata.annotations.get(annotation) == Some(&self.metadata.name)
    }

    /// Fills in what derives from other fields of the document: the log group's name, and the settings of a file system
    /// and an access point that valkeep makes. `read` has done it.
    #[must_use]
    pub fn filled(mut self) -> Self {
        self.spec.file_system.fill();
        let name = default_log_group(&self.spec.service.name);
        if let Some(create) = &mut self.spec.service.create {
            create.log_group.name.get_or_insert(name);
        }
        self
    }
}

/// What makes a document have no meaning.
struct Refused<'a> {
    document: &'a Document,
    findings: Vec<Finding>,
}

impl Refused<'_> {
    fn refuse(&mut self, path: &str, problem: String, instead: Option<String>) {
        self.findings.push(Finding {
            file: self.document.origin.file.clone(),
            line: 0,
            column: 0,
            path: path.to_owned(),
            problem,
            instead,
        });
    }

    fn refuse_at(&mut self, at: Option<(usize, usize)>, path: &str, problem: String, instead: String) {
        self.refuse(path, problem, Some(instead));
        if let (Some((line, column)), Some(finding)) = (at, self.findings.last_mut()) {
            (finding.line, finding.column) = (line, column);
        }
    }

    /// Region and role. Another region or account is fine; another partition is an AWS of its own, with accounts of its own.
    fn place(&mut self, scope: &Scope) -> Option<Place> {
        let Document { spec, origin, .. } = self.document;
        let region = spec.region.as_ref().unwrap_or(&scope.region).clone();
        let home = &scope.partition;
        if region != scope.region && partition(&region) != partition(&scope.region) {
            self.refuse_at(
                origin.region,
                "spec.region",
                format!("{region} is in another partition of AWS than {home}, where this valkeep runs"),
                format!("run a valkeep in {region} on this store"),
            );
            return None;
        }
        let Some(arn) = &spec.assume_role_arn else {
            if spec.external_id.is_some() {
                self.refuse(
                    "spec.externalId",
                    "belongs to `assumeRoleArn`, and only there".to_owned(),
                    None,
                );
            }
            return Some(Place { region, role: None });
        };
        let arn = RoleArn::parse(arn)
            .map_err(|error| self.refuse("spec.assumeRoleArn", error.to_string(), None))
            .ok()?;
        if arn.partition() != home {
            self.refuse_at(
                origin.assume_role,
                "spec.assumeRoleArn",
                format!(
                    "the role is in the partition {}, and this valkeep runs in {home}",
                    arn.partition()
                ),
                format!("name a role like `arn:{home}:iam::{}:role/valkeep`", scope.account),
            );
            return None;
        }
        let external_id = spec.external_id.clone();
        Some(Place {
            region,
            role: Some(AssumedRole { arn, external_id }),
        })
    }

    /// Login and TLS. A secret may be another account's, which its owner then lets in; it is read in the document's region.
    fn access(&mut self, scope: &Scope) -> Option<AccessSpec> {
        let Document { spec, origin, .. } = self.document;
        let valkey = &spec.valkey;
        let region = spec.region.as_ref().unwrap_or(&scope.region);
        let access = match access(valkey.credentials_from.as_ref(), valkey.tls.as_ref()) {
            Ok(access) => access,
            Err((path, problem)) => {
                self.refuse(path, problem, None);
                return None;
            }
        };
        let password = access.login.as_ref().map(|login| &login.password);
        let ca = access.tls.as_ref().and_then(|tls| tls.ca.as_ref());
        for (path, reference) in [
            ("spec.valkey.credentialsFrom", password),
            ("spec.valkey.tls.caFrom", ca),
        ] {
            if let Some(there) = reference
                .and_then(SecretReference::region)
                .filter(|there| there != region)
            {
                self.refuse_at(
                    origin.references.get(path).copied(),
                    path,
                    format!("is in {there}, and the document's resources are in {region}, where valkeep reads it"),
                    format!("replicate it to {region} and name that one"),
                );
            }
        }
        if access.tls.is_some() && spec.service.create.is_some() {
            let problem = "is for services that exist, which have their certificates already";
            self.refuse("spec.valkey.tls", problem.to_owned(), None);
        }
        Some(access)
    }

    fn id<T>(&mut self, path: &str, id: Result<T, IdError>) -> Option<T> {
        id.map_err(|error| self.refuse(path, error.to_string(), None)).ok()
    }

    fn network(&mut self, network: &Network) -> Option<desired::Network> {
        let vpc = self.id("spec.network.vpcId", VpcId::parse(&network.vpc_id));
        let subnets = self.ids("spec.network.subnetIds", &network.subnet_ids, SubnetId::parse);
        let task_groups = self.ids(
            "spec.network.taskSecurityGroupIds",
            &network.task_security_group_ids,
            SecurityGroupId::parse,
        );
        let maintenance_groups = self.ids(
            "spec.network.maintenanceSecurityGroupIds",
            &network.maintenance_security_group_ids,
            SecurityGroupId::parse,
        );
        for (path, empty) in [
            ("spec.network.subnetIds", subnets.is_empty()),
            ("spec.network.taskSecurityGroupIds", task_groups.is_empty()),
        ] {
            if empty {
                self.refuse(path, "is empty".to_owned(), Some("give at least one".to_owned()));
            }
        }
        Some(desired::Network {
            vpc: vpc?,
            subnets,
            task_groups,
            maintenance_groups,
        })
    }

    fn ids<T>(&mut self, path: &str, ids: &[String], parse: fn(&str) -> Result<T, IdError>) -> Vec<T> {
        ids.iter()
            .enumerate()
            .filter_map(|(index, id)| self.id(&format!("{path}[{index}]"), parse(id)))
            .collect()
    }

    fn taken(&mut self, file_system: &FileSystem) -> Option<(Option<FileSystemId>, Option<AccessPointId>)> {
        let id = file_system.id.as_deref();
        let id = id.map(|id| self.id("spec.fileSystem.id", FileSystemId::parse(id)));
        let point = file_system.access_point.id.as_deref();
        let point = point.map(|id| self.id("spec.fileSystem.accessPoint.id", AccessPointId::parse(id)));
        let exists = file_system.exists();
        for (path, wrong) in [
            (
                "spec.fileSystem.enforceTlsAndIam",
                exists && file_system.enforce_tls_and_iam,
            ),
            (
                "spec.fileSystem.addSecurityGroup",
                !exists && file_system.add_security_group,
            ),
        ] {
            if wrong {
                let which = if exists { "that valkeep makes" } else { "that exists" };
                self.refuse(path, format!("is only for a file system {which}"), None);
            }
        }
        // The outer None is one that is not there, the inner one that is no id.
        Some((
            id.map_or(Some(None), |id| id.map(Some))?,
            point.map_or(Some(None), |id| id.map(Some))?,
        ))
    }

    fn throughput(&mut self, file_system: &FileSystem) -> Option<Throughput> {
        match (
            file_system.throughput_mode.unwrap_or_default(),
            file_system.provisioned_mibps,
        ) {
            (ThroughputMode::Bursting, None) => Some(Throughput::Bursting),
            (ThroughputMode::Elastic, None) => Some(Throughput::Elastic),
            (ThroughputMode::Provisioned, Some(mibps)) => Some(Throughput::Provisioned(mibps)),
            (ThroughputMode::Provisioned, None) | (ThroughputMode::Bursting | ThroughputMode::Elastic, Some(_)) => {
                self.refuse(
                    "spec.fileSystem.provisionedMibps",
                    "belongs to `throughputMode: provisioned`, and only there".to_owned(),
                    None,
                );
                None
            }
        }
    }

    fn save_points(&mut self, snapshots: &Snapshots) -> Option<SavePoints> {
        let table = match (snapshots.preset, &snapshots.rules) {
            (Preset::Balanced, None) => BALANCED,
            (Preset::Frequent, None) => FREQUENT,
            (Preset::Infrequent, None) => INFREQUENT,
            (Preset::Off, None) => &[],
            (Preset::Custom, Some(rules)) if !rules.is_empty() => {
                return Some(SavePoints(rules.iter().copied().map(save_rule).collect()));
            }
            (Preset::Balanced | Preset::Frequent | Preset::Infrequent | Preset::Custom | Preset::Off, _) => {
                self.refuse(
                    "spec.persistence.snapshots.rules",
                    "belongs to `preset: Custom`, and only there".to_owned(),
                    None,
                );
                return None;
            }
        };
        Some(SavePoints(
            table
                .iter()
                .map(|&(seconds, changes)| save_rule(SaveRule { seconds, changes }))
                .collect(),
        ))
    }

    fn append_only(&mut self, persistence: &Persistence) -> Option<valkey::AppendFsync> {
        if !persistence.append_only.enabled {
            return None;
        }
        if persistence.snapshots.preset == Preset::Off {
            self.refuse(
                "spec.persistence.appendOnly.enabled",
                "going back from the append-only file takes snapshots, and preset `Off` writes none".to_owned(),
                Some("write another preset, like `Infrequent`".to_owned()),
            );
        }
        Some(match persistence.append_only.fsync {
            Fsync::Everysec => valkey::AppendFsync::Everysec,
            Fsync::Always => valkey::AppendFsync::Always,
            Fsync::No => valkey::AppendFsync::No,
        })
    }

    fn maxmemory(&mut self, text: &str) -> Option<u64> {
        let bytes = units::bytes(text);
        if bytes.is_none() {
            let problem = format!("`{text}` is no amount of memory");
            self.refuse("spec.valkey.maxmemory", problem, None);
        }
        bytes
    }

    fn window(&mut self, window: &MaintenanceWindow) -> Option<Window> {
        Window::parse(&window.cron, window.duration_minutes, &window.timezone)
            .map_err(|error| self.refuse("spec.rollout.maintenanceWindow", error.to_string(), None))
            .ok()
    }
}

/// The user's tags, a name for the console, and ours.
fn tags(user: &Tags, identity: &Identity) -> Tags {
    let mut tags = Tags::from([("Name".to_owned(), identity.service.clone())]);
    tags.extend(user.clone());
    tags.extend(identity.tags());
    tags
}

fn file_system(spec: &FileSystem, taken: Option<FileSystemId>, throughput: Throughput) -> FileSystemSpec {
    let said = [
        (FileSystemField::Encrypted, spec.encrypted.is_some()),
        (FileSystemField::KmsKey, spec.kms_key_id.is_some()),
        (FileSystemField::Performance, spec.performance_mode.is_some()),
        (FileSystemField::Throughput, spec.throughput_mode.is_some()),
        (FileSystemField::TransitionToIa, spec.transition_to_ia.is_some()),
        (FileSystemField::AutomaticBackups, spec.automatic_backups.is_some()),
    ];
    FileSystemSpec {
        taken,
        said: said_of(said),
        add_security_group: spec.add_security_group,
        encrypted: spec.encrypted.unwrap_or(FileSystem::ENCRYPTED),
        kms_key: spec.kms_key_id.clone(),
        performance: match spec.performance_mode.unwrap_or_default() {
            PerformanceMode::GeneralPurpose => desired::PerformanceMode::GeneralPurpose,
            PerformanceMode::MaxIo => desired::PerformanceMode::MaxIo,
        },
        throughput,
        transition_to_ia: spec.transition_to_ia.unwrap_or_default().as_efs().map(str::to_owned),
        automatic_backups: spec.automatic_backups.unwrap_or(FileSystem::AUTOMATIC_BACKUPS),
        enforce_tls_and_iam: spec.enforce_tls_and_iam,
    }
}

fn access_point(spec: &AccessPoint, taken: Option<AccessPointId>) -> AccessPointSpec {
    let said = [
        (AccessPointField::Path, spec.path.is_some()),
        (AccessPointField::Uid, spec.uid.is_some()),
        (AccessPointField::Gid, spec.gid.is_some()),
        (AccessPointField::Permissions, spec.permissions.is_some()),
    ];
    AccessPointSpec {
        taken,
        said: said_of(said),
        path: spec.path.clone().unwrap_or_else(AccessPoint::default_path),
        uid: spec.uid.unwrap_or(AccessPoint::ID),
        gid: spec.gid.unwrap_or(AccessPoint::ID),
        permissions: spec
            .permissions
            .clone()
            .unwrap_or_else(AccessPoint::default_permissions),
    }
}

/// The fields that a document has.
fn said_of<T: Ord, const N: usize>(fields: [(T, bool); N]) -> BTreeSet<T> {
    fields
        .into_iter()
        .filter_map(|(field, said)| said.then_some(field))
        .collect()
}

fn origin(spec: &Spec) -> Origin {
    match &spec.service.create {
        Some(create) => Origin::Created(Box::new(created(&spec.service, create))),
        None => Origin::Adopted(Adopted {
            first_transition: match spec.rollout.first_transition {
                FirstTransition::Wait => desired::FirstTransition::Wait,
                FirstTransition::AcceptLoss => desired::FirstTransition::AcceptLoss,
            },
        }),
    }
}

fn created(service: &Service, create: &Create) -> Created {
    Created {
        log_group: LogGroupSpec {
            name: create
                .log_group
                .name
                .clone()
                .unwrap_or_else(|| default_log_group(&service.name)),
            retention_days: create.log_group.retention_days,
        },
        task: TaskSpec {
            image: create.image.clone(),
            cpu: create.cpu,
            memory_mib: create.memory_mib,
            launch_type: match create.launch_type {
                LaunchType::Fargate => task_definition::LaunchType::Fargate,
                LaunchType::Ec2 => task_definition::LaunchType::Ec2,
            },
            execution_role_arn: create.execution_role_arn.clone(),
            extra_flags: create.extra_flags.clone(),
        },
        service: ServiceSpec {
            assign_public_ip: create.assign_public_ip,
            enable_execute_command: create.enable_execute_command,
            registry_arn: create.service_registry_arn.clone(),
        },
    }
}

fn persistence(
    spec: &Persistence,
    mount_path: &str,
    save: SavePoints,
    append_only: Option<valkey::AppendFsync>,
) -> desired::Persistence {
    if !spec.enabled {
        return desired::Persistence::Disabled;
    }
    desired::Persistence::Mounted(desired::Snapshots {
        save,
        filename: spec.snapshots.filename.clone(),
        compression: spec.snapshots.compression,
        stop_writes_on_error: spec.snapshots.stop_writes_on_error,
        mount_path: mount_path.to_owned(),
        stale_dump: match spec.stale_dump {
            StaleDump::Load => desired::StaleDump::Load,
            StaleDump::SetAside => desired::StaleDump::SetAside,
        },
        append_only,
    })
}

fn save_rule(rule: SaveRule) -> valkeep_core::valkey::SaveRule {
    valkeep_core::valkey::SaveRule {
        seconds: rule.seconds,
        changes: rule.changes,
    }
}

/// Which AWS a region belongs to, by its name's beginning. Those of the intelligence community and of the European
/// sovereign cloud have prefixes of their own, too.
fn partition(region: &str) -> &'static str {
    match region.split_once('-') {
        Some(("cn", _)) => "aws-cn",
        Some(("us", rest)) if rest.starts_with("gov-") => "aws-us-gov",
        Some(("us", rest)) if rest.starts_with("isob-") => "aws-iso-b",
        Some(("us", rest)) if rest.starts_with("isof-") => "aws-iso-f",
        Some(("us", rest)) if rest.starts_with("iso-") => "aws-iso",
        Some(("eu", rest)) if rest.starts_with("isoe-") => "aws-iso-e",
        Some(("eusc", _)) => "aws-eusc",
        _ => "aws",
    }
}

fn default_log_group(service: &str) -> String {
    format!("/ecs/{service}")
}

impl TransitionToIa {
    /// As EFS spells it; never is the absence of the rule.
    fn as_efs(self) -> Option<&'static str> {
        Some(match self {
            TransitionToIa::After1Day => "AFTER_1_DAY",
            TransitionToIa::After7Days => "AFTER_7_DAYS",
            TransitionToIa::After14Days => "AFTER_14_DAYS",
            TransitionToIa::After30Days => "AFTER_30_DAYS",
            TransitionToIa::After60Days => "AFTER_60_DAYS",
            TransitionToIa::After90Days => "AFTER_90_DAYS",
            TransitionToIa::After180Days => "AFTER_180_DAYS",
            TransitionToIa::After270Days => "AFTER_270_DAYS",
            TransitionToIa::After365Days => "AFTER_365_DAYS",
            TransitionToIa::Never => return None,
        })
    }
}

impl MaxmemoryPolicy {
    fn as_valkey(self) -> valkey::MaxmemoryPolicy {
        match self {
            MaxmemoryPolicy::Noeviction => valkey::MaxmemoryPolicy::Noeviction,
            MaxmemoryPolicy::AllkeysLru => valkey::MaxmemoryPolicy::AllkeysLru,
            MaxmemoryPolicy::AllkeysLfu => valkey::MaxmemoryPolicy::AllkeysLfu,
            MaxmemoryPolicy::AllkeysRandom => valkey::MaxmemoryPolicy::AllkeysRandom,
            MaxmemoryPolicy::VolatileLru => valkey::MaxmemoryPolicy::VolatileLru,
            MaxmemoryPolicy::VolatileLfu => valkey::MaxmemoryPolicy::VolatileLfu,
            MaxmemoryPolicy::VolatileRandom => valkey::MaxmemoryPolicy::VolatileRandom,
            MaxmemoryPolicy::VolatileTtl => valkey::MaxmemoryPolicy::VolatileTtl,
        }
    }
}
