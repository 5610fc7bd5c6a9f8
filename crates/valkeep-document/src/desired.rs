//! From a document to what it means: presets become save points, names are derived, tags are put together.
//!
//! A document that came from `read` has forms that fit; one made otherwise is refused here with findings without position.

use crate::types::{
    Create, Document, FileSystem, FirstTransition, LOAD_STALE_DUMP, LaunchType, Network, PerformanceMode, Persistence,
    Preset, SaveRule, Service, Snapshots, Spec, StaleDump, ThroughputMode, TransitionToIa,
};
use crate::{Finding, Findings};
use valkeep_core::desired::{
    AccessPointSpec, Adopted, Created, FileSystemSpec, LogGroupSpec, Origin, ServerSpec, ServiceSpec, TaskRoleSpec,
    TaskSpec, Throughput,
};
use valkeep_core::ids::{IdError, SecurityGroupId, SubnetId, VpcId};
use valkeep_core::valkey::SavePoints;
use valkeep_core::{Desired, Identity, Scope, Tags, desired, task_definition};

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
        if let Some(region) = &spec.region
            && *region != scope.region
        {
            let (line, column) = self.origin.region.unwrap_or_default();
            refused.findings.push(Finding {
                file: self.origin.file.clone(),
                line,
                column,
                path: "spec.region".to_owned(),
                problem: format!(
                    "the document is for {region}, and this valkeep works in {}; one valkeep serves one region",
                    scope.region
                ),
                instead: Some(format!(
                    "run a valkeep in {region} on this store, or write `region: {}`",
                    scope.region
                )),
            });
        }
        let network = refused.network(&spec.network);
        let throughput = refused.throughput(&spec.file_system);
        let save = refused.save_points(&spec.persistence.snapshots);
        let (Some(network), Some(throughput), Some(save)) = (network, throughput, save) else {
            return Err(Findings(refused.findings));
        };
        if !refused.findings.is_empty() {
            return Err(Findings(refused.findings));
        }

        let identity = Identity {
            account: scope.account.clone(),
            region: scope.region.clone(),
            cluster: spec.cluster.clone(),
            service: spec.service.name.clone(),
            installation: scope.installation.clone(),
        };
        Ok(Desired {
            document: metadata.name.clone(),
            generation,
            partition: scope.partition.clone(),
            names: identity.names(),
            tags: tags(&spec.tags, &identity),
            identity,
            network,
            file_system: file_system(&spec.file_system, throughput),
            access_point: AccessPointSpec {
                path: spec.file_system.access_point.path.clone(),
                uid: spec.file_system.access_point.uid,
                gid: spec.file_system.access_point.gid,
                permissions: spec.file_system.access_point.permissions.clone(),
            },
            task_role: TaskRoleSpec {
                name: spec.task_role.name.clone(),
                root_access: spec.task_role.root_access,
            },
            server: ServerSpec {
                container: spec.service.container.clone(),
                port: spec.service.port,
                stop_timeout_s: spec.rollout.stop_timeout_seconds,
            },
            origin: origin(spec),
            persistence: persistence(&spec.persistence, &spec.file_system.mount_path, save),
            dns_grace_s: scope.dns_grace_s,
            load_stale_dump: metadata.annotations.get(LOAD_STALE_DUMP) == Some(&metadata.name),
            limits: scope.limits.clone(),
        })
    }

    /// Fills in what derives from other fields of the document: the log group's name. `read` has done it.
    #[must_use]
    pub fn filled(mut self) -> Self {
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

    fn throughput(&mut self, file_system: &FileSystem) -> Option<Throughput> {
        match (file_system.throughput_mode, file_system.provisioned_mibps) {
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
}

/// The user's tags, a name for the console, and ours.
fn tags(user: &Tags, identity: &Identity) -> Tags {
    let mut tags = Tags::from([("Name".to_owned(), identity.service.clone())]);
    tags.extend(user.clone());
    tags.extend(identity.tags());
    tags
}

fn file_system(spec: &FileSystem, throughput: Throughput) -> FileSystemSpec {
    FileSystemSpec {
        encrypted: spec.encrypted,
        kms_key: spec.kms_key_id.clone(),
        performance: match spec.performance_mode {
            PerformanceMode::GeneralPurpose => desired::PerformanceMode::GeneralPurpose,
            PerformanceMode::MaxIo => desired::PerformanceMode::MaxIo,
        },
        throughput,
        transition_to_ia: spec.transition_to_ia.as_efs().map(str::to_owned),
        automatic_backups: spec.automatic_backups,
        enforce_tls_and_iam: spec.enforce_tls_and_iam,
    }
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

fn persistence(spec: &Persistence, mount_path: &str, save: SavePoints) -> desired::Persistence {
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
    })
}

fn save_rule(rule: SaveRule) -> valkeep_core::valkey::SaveRule {
    valkeep_core::valkey::SaveRule {
        seconds: rule.seconds,
        changes: rule.changes,
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
