//! A world in memory: what a document means, what there is, and what AWS would answer.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use valkeep_core::desired::{
    AccessPointSpec, Created, FileSystemSpec, LogGroupSpec, Mode, Network, Origin, PerformanceMode, Persistence,
    ServerSpec, ServiceSpec, Snapshots, StaleDump, TaskRoleSpec, TaskSpec, Throughput,
};
use valkeep_core::ids::{AccessPointId, FileSystemId, MountTargetId, SecurityGroupId, SubnetId, VpcId};
use valkeep_core::observed::{NamedGroups, Role, Rollout, Subnet, Subnets, Task};
use valkeep_core::task_definition::LaunchType;
use valkeep_core::valkey::{AppendOnly, SavePoints, SaveRule};
use valkeep_core::{
    Desired, Done, Fact, HoldKind, Identity, Limits, Observed, Plan, ServerChange, ServerSettings, Step, Timestamp,
    ValkeyInfo,
};
use valkeep_plan::{critic, fold, imagine, plan};

pub(crate) const NOW: &str = "2026-03-01T12:00:00Z";

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

pub(crate) fn now() -> Timestamp {
    at(NOW)
}

pub(crate) fn sg(text: &str) -> SecurityGroupId {
    SecurityGroupId::parse(text).expect("a group id")
}

pub(crate) fn subnet(text: &str) -> SubnetId {
    SubnetId::parse(text).expect("a subnet id")
}

pub(crate) const TASK_GROUP: &str = "sg-0cccccccccccccccc";
pub(crate) const BASTION: &str = "sg-0dddddddddddddddd";
pub(crate) const NFS_GROUP: &str = "sg-0eeeeeeeeeeeeeeee";

pub(crate) fn desired() -> Desired {
    let identity = Identity {
        account: "123456789012".into(),
        region: "eu-west-1".into(),
        cluster: "cluster".into(),
        service: "cache".into(),
        installation: "default".into(),
    };
    let mut tags = identity.tags();
    tags.insert("team".into(), "platform".into());
    Desired {
        document: "cache".into(),
        generation: 1,
        mode: Mode::Enforce,
        place: valkeep_core::Place {
            region: "eu-west-1".into(),
            role: None,
        },
        partition: "aws".into(),
        names: identity.names(),
        tags,
        identity,
        network: Network {
            vpc: VpcId::parse("vpc-0a1b2c3d4e5f67890").expect("a VPC id"),
            subnets: vec![subnet("subnet-0aaaaaaaaaaaaaaa1"), subnet("subnet-0bbbbbbbbbbbbbbb2")],
            task_groups: vec![sg(TASK_GROUP)],
            maintenance_groups: vec![sg(BASTION)],
        },
        file_system: FileSystemSpec {
            taken: None,
            said: BTreeSet::new(),
            add_security_group: false,
            encrypted: true,
            kms_key: None,
            performance: PerformanceMode::GeneralPurpose,
            throughput: Throughput::Bursting,
            transition_to_ia: Some("AFTER_30_DAYS".into()),
            automatic_backups: true,
            enforce_tls_and_iam: false,
        },
        access_point: AccessPointSpec {
            taken: None,
            said: BTreeSet::new(),
            path: "/valkey-data".into(),
            uid: 1000,
            gid: 1000,
            permissions: "0755".into(),
        },
        task_role: TaskRoleSpec {
            name: "task-role".into(),
            root_access: true,
        },
        server: ServerSpec {
            container: "valkey".into(),
            port: 6379,
            stop_timeout_s: 120,
            maxmemory_bytes: None,
            maxmemory_policy: None,
            access: valkeep_core::access::AccessSpec::default(),
        },
        origin: Origin::Created(Box::new(Created {
            log_group: LogGroupSpec {
                name: "/ecs/cache".into(),
                retention_days: 30,
            },
            task: TaskSpec {
                image: "valkey/valkey:8.0".into(),
                cpu: 256,
                memory_mib: 512,
                launch_type: LaunchType::Fargate,
                execution_role_arn: Some("arn:aws:iam::123456789012:role/execution".into()),
                extra_flags: Vec::new(),
            },
            service: ServiceSpec {
                assign_public_ip: false,
                enable_execute_command: false,
                registry_arn: None,
            },
        })),
        persistence: Persistence::Mounted(snapshots()),
        rollout: valkeep_core::desired::Rollout {
            require_snapshot: true,
            live_only: true,
            window: None,
        },
        dns_grace_s: 90,
        look_now: None,
        restart: None,
        task_count: None,
        load_stale_dump: false,
        deletion: None,
        limits: Limits::default(),
    }
}

/// What the document's own service is made of, to change.
pub(crate) fn made(desired: &mut Desired) -> &mut Created {
    desired.created_mut().expect("the document makes its service")
}

pub(crate) fn snapshots() -> Snapshots {
    Snapshots {
        save: SavePoints(
            [(900, 1), (300, 10), (60, 10000)]
                .map(|(seconds, changes)| SaveRule { seconds, changes })
                .to_vec(),
        ),
        filename: "dump.rdb".into(),
        compression: true,
        stop_writes_on_error: false,
        mount_path: "/data".into(),
        stale_dump: StaleDump::Load,
        append_only: None,
    }
}

/// The document with other snapshot settings.
pub(crate) fn with_snapshots(change: impl FnOnce(&mut Snapshots)) -> Desired {
    let mut snapshots = snapshots();
    change(&mut snapshots);
    Desired {
        persistence: Persistence::Mounted(snapshots),
        ..desired()
    }
}

pub(crate) fn off() -> Desired {
    with_snapshots(|snapshots| snapshots.save = SavePoints::default())
}

pub(crate) fn disabled() -> Desired {
    Desired {
        persistence: Persistence::Disabled,
        ..desired()
    }
}

/// Cluster, role, subnets and nothing of ours.
pub(crate) fn fresh() -> Observed {
    Observed {
        subnets: Fact::Present(Subnets {
            found: vec![
                zone("subnet-0aaaaaaaaaaaaaaa1", "a", "1"),
                zone("subnet-0bbbbbbbbbbbbbbb2", "b", "2"),
            ],
            missing: Vec::new(),
        }),
        security_group: Fact::Absent,
        named_groups: Fact::Present(NamedGroups {
            found: vec![
                (sg(TASK_GROUP), desired().network.vpc),
                (sg(BASTION), desired().network.vpc),
            ],
            missing: Vec::new(),
        }),
        target_groups: Fact::Absent,
        file_system: Fact::Absent,
        role: Fact::Present(Role {
            arn: "arn:aws:iam::123456789012:role/task-role".into(),
        }),
        role_policy: Fact::Absent,
        log_group: Fact::Absent,
        service: Fact::Absent,
        cluster: Fact::Present(()),
        running_definition: Fact::Absent,
        family: Fact::Present(Vec::new()),
        other_access_points: Fact::Present(Vec::new()),
        tasks: Fact::Absent,
        ..Observed::nothing()
    }
}

pub(crate) fn zone(id: &str, zone: &str, number: &str) -> Subnet {
    Subnet {
        id: subnet(id),
        vpc: desired().network.vpc,
        zone_id: format!("euw1-az{number}"),
        zone: format!("eu-west-1{zone}"),
    }
}

/// AWS: gives ids, and lets time pass between two looks.
#[derive(Default)]
pub(crate) struct Aws {
    targets: u32,
}

impl Aws {
    pub(crate) fn answer(&mut self, step: &Step) -> Done {
        match imagine(step) {
            Done::SecurityGroup(_) => Done::SecurityGroup(sg(NFS_GROUP)),
            Done::FileSystem(mut made) => {
                made.id = FileSystemId::parse("fs-0123456789abcdef0").expect("an id");
                made.arn = "arn:aws:elasticfilesystem:eu-west-1:123456789012:file-system/fs-0123456789abcdef0".into();
                made.state = valkeep_core::observed::LifeCycle::Creating;
                Done::FileSystem(made)
            }
            Done::MountTarget(mut made) => {
                self.targets += 1;
                made.id = MountTargetId::parse(&format!("fsmt-0000000{}", self.targets)).expect("an id");
                made.state = valkeep_core::observed::LifeCycle::Creating;
                made.attached_at = Some(at("2026-03-01T11:00:00Z"));
                Done::MountTarget(made)
            }
            Done::AccessPoint(mut made) => {
                made.id = AccessPointId::parse("fsap-0123456789abcdef0").expect("an id");
                made.arn =
                    "arn:aws:elasticfilesystem:eu-west-1:123456789012:access-point/fsap-0123456789abcdef0".into();
                Done::AccessPoint(made)
            }
            Done::TaskDefinition(_) => {
                // A revision a content: unique however many worlds there are.
                Done::TaskDefinition(match step {
                    Step::RegisterTaskDefinition { definition, .. } => format!(
                        "arn:aws:ecs:eu-west-1:123456789012:task-definition/f:{}",
                        &definition.hash()[..8]
                    ),
                    Step::RegisterRevision { definition, .. } => {
                        let mut hash = std::hash::DefaultHasher::new();
                        definition.normal().to_string().hash(&mut hash);
                        format!(
                            "arn:aws:ecs:eu-west-1:123456789012:task-definition/cache:{}",
                            hash.finish() % 1_000_000
                        )
                    }
                    _ => unreachable!("only a registration is answered so"),
                })
            }
            Done::Service(mut made) => {
                made.arn = "arn:aws:ecs:eu-west-1:123456789012:service/cluster/cache".into();
                Done::Service(made)
            }
            other => other,
        }
    }
}

/// What was being deleted is gone.
fn gone(world: &mut Observed) {
    use valkeep_core::observed::LifeCycle::{Deleted, Deleting};
    use valkeep_core::observed::ServiceStatus;
    let going = |state| matches!(state, Deleting | Deleted);
    if let Some(targets) = world.mount_targets.present_mut() {
        targets.retain(|target| !going(target.state));
    }
    if let Some(points) = world.other_access_points.present_mut() {
        points.retain(|point| !going(point.state));
    }
    if world.access_point.present().is_some_and(|point| going(point.state)) {
        world.access_point = Fact::Absent;
    }
    if world.file_system.present().is_some_and(|found| going(found.state)) {
        world.file_system = Fact::Absent;
    }
    if world
        .service
        .present()
        .is_some_and(|service| service.status == ServiceStatus::Draining)
    {
        world.service = Fact::Absent;
        world.running_definition = Fact::Absent;
        world.tasks = Fact::Present(Vec::new());
    }
}

/// Lets everything under way arrive: resources are available or gone, the service runs one task of its definition, a
/// snapshot is written.
pub(crate) fn settle(world: &mut Observed) {
    use valkeep_core::observed::LifeCycle::Available;
    gone(world);
    if let Some(info) = world.valkey.present_mut().filter(|info| info.saving) {
        info.saving = false;
        info.saves_started += 1;
        info.last_save = info.time;
        info.last_save_ok = true;
        info.changes_since_save = 0;
    }
    if let Some(found) = world.file_system.present_mut() {
        found.state = Available;
    }
    for target in world.mount_targets.present_mut().into_iter().flatten() {
        target.state = Available;
    }
    let Some(service) = world.service.present_mut() else {
        return;
    };
    service.deployments.retain(|deployment| deployment.primary);
    for primary in &mut service.deployments {
        primary.rollout = Rollout::Completed;
    }
    service.running = service.desired;
    let same = world
        .tasks
        .present()
        .is_some_and(|tasks| tasks.iter().any(|task| task.task_definition == service.task_definition));
    if !same || service.desired == 0 {
        world.tasks = Fact::Present(if service.desired == 0 {
            Vec::new()
        } else {
            vec![task(&service.task_definition)]
        });
        restarted(world);
    }
    appends(world);
}

/// What the server is told about its append-only file is done.
pub(crate) fn appends(world: &mut Observed) {
    let settings = world.server_settings.present();
    let appends = settings.is_some_and(|settings| settings.get("appendonly").is_some_and(|value| value == "yes"));
    if let Some(info) = world.valkey.present_mut() {
        info.append_only = appends.then_some(AppendOnly {
            rewriting: false,
            last_rewrite_ok: true,
            last_write_ok: true,
        });
    }
}

/// Changes the definition that the service runs into another revision, and leaves its tags as they are.
pub(crate) fn rewrite(world: &mut Observed, change: impl FnOnce(&mut valkeep_core::observed::ObservedDefinition)) {
    let running = world.running_definition.present_mut().expect("a definition");
    running.arn = running.arn.rsplit_once(':').expect("a revision").0.to_owned() + ":1";
    change(running);
    let older = running.clone();
    let service = world.service.present_mut().expect("a service");
    service.task_definition.clone_from(&older.arn);
    service.deployments[0].task_definition.clone_from(&older.arn);
    world.tasks.present_mut().expect("tasks")[0]
        .task_definition
        .clone_from(&older.arn);
    world.family = Fact::Present(vec![older]);
}

/// Another server is set as its definition says.
pub(crate) fn restarted(world: &mut Observed) {
    let running = world.running_definition.present();
    let Some(definition) = running.and_then(|running| running.definition.as_ref()) else {
        return;
    };
    let words = &definition.container.command;
    if let Some(found) = world.server_settings.present_mut() {
        *found = settings();
        for pair in words.windows(2) {
            if let Some(value) = pair[0].strip_prefix("--").and_then(|name| found.get_mut(name)) {
                value.clone_from(&pair[1]);
            }
        }
    }
}

pub(crate) fn task(definition: &str) -> Task {
    Task {
        arn: "arn:aws:ecs:eu-west-1:123456789012:task/cluster/1".into(),
        last_status: "RUNNING".into(),
        desired_status: "RUNNING".into(),
        task_definition: definition.into(),
        ip: Some("10.0.3.7".parse().expect("an address")),
        health: Some("HEALTHY".into()),
        started_at: Some(at("2026-03-01T11:30:00Z")),
        stopping_at: None,
        stopped_at: None,
        stop_code: None,
        stopped_reason: None,
        exit_code: None,
        container_reason: None,
    }
}

pub(crate) fn stopped(reason: &str, exit_code: Option<i32>) -> Task {
    Task {
        last_status: "STOPPED".into(),
        desired_status: "STOPPED".into(),
        stopped_at: Some(at("2026-03-01T11:59:00Z")),
        stop_code: Some(
            if exit_code.is_some() {
                "EssentialContainerExited"
            } else {
                "TaskFailedToStart"
            }
            .into(),
        ),
        stopped_reason: Some(reason.into()),
        exit_code,
        ..task("arn:aws:ecs:eu-west-1:123456789012:task-definition/f:1")
    }
}

pub(crate) fn info() -> ValkeyInfo {
    ValkeyInfo {
        server: "valkey".into(),
        version: "8.0.1".into(),
        run_id: "r1".into(),
        uptime_s: 1800,
        time: now(),
        role: "master".into(),
        loading: false,
        loading_percent: None,
        keys: 42,
        used_memory: 1_000_000,
        maxmemory: 0,
        changes_since_save: 0,
        last_save: at("2026-03-01T11:45:00Z"),
        saves_started: 1,
        last_save_ok: true,
        saving: false,
        saving_for_s: None,
        last_save_duration_s: Some(1),
        keys_loaded: 42,
        keys_expired_at_load: 0,
        append_only: None,
    }
}

/// The settings of a server that was started as a document of this module says.
pub(crate) fn settings() -> ServerSettings {
    [
        ("save", "900 1 300 10 60 10000"),
        ("rdbcompression", "yes"),
        ("stop-writes-on-bgsave-error", "no"),
        ("maxmemory", "0"),
        ("maxmemory-policy", "noeviction"),
        ("appendfsync", "everysec"),
        ("appendonly", "no"),
        ("min-replicas-to-write", "0"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// A plan that has passed the critic.
pub(crate) fn checked(desired: &Desired, observed: &Observed) -> Plan {
    checked_at(desired, observed, now())
}

pub(crate) fn checked_at(desired: &Desired, observed: &Observed, now: Timestamp) -> Plan {
    let plan = plan(desired, observed, now);
    if let Err(objections) = critic(desired, observed, &plan) {
        panic!("the critic objects to {:#?}: {objections:#?}", plan.steps);
    }
    plan
}

/// Plans, acts, and looks again until nothing is left to do; what was done, as the calls of each stage.
pub(crate) fn converge(desired: &Desired, world: &mut Observed) -> Vec<Vec<&'static str>> {
    let mut aws = Aws::default();
    let mut stages = Vec::new();
    for _ in 0..30 {
        let plan = checked(desired, world);
        if plan.steps.is_empty() {
            let before = world.clone();
            settle(world);
            if *world == before {
                return stages;
            }
            continue;
        }
        stages.push(plan.steps.iter().map(Step::action).collect());
        for step in &plan.steps {
            let done = aws.answer(step);
            fold(world, step, &done);
        }
    }
    panic!("no rest after 30 stages: {stages:#?}");
}

/// The server that answers.
pub(crate) fn server(world: &mut Observed) -> &mut ValkeyInfo {
    world.valkey.present_mut().expect("a server")
}

/// One round of what is planned, without letting time pass.
pub(crate) fn act(desired: &Desired, world: &mut Observed) -> Vec<&'static str> {
    let plan = checked(desired, world);
    for step in &plan.steps {
        fold(world, step, &Aws::default().answer(step));
    }
    calls(&plan)
}

/// Settings that a plan changes, and to what.
pub(crate) fn told(plan: &Plan) -> Vec<(&str, &str)> {
    let changes = plan.steps.iter().filter_map(|step| match step {
        Step::ChangeServer {
            change: ServerChange::Set { name, to, .. },
            ..
        } => Some((name.as_str(), to.as_str())),
        _ => None,
    });
    changes.collect()
}

/// A world in which the document is true.
pub(crate) fn converged_for(desired: &Desired) -> Observed {
    let mut world = fresh();
    converge(desired, &mut world);
    world.valkey = Fact::Present(info());
    world.server_settings = Fact::Present(settings());
    converge(desired, &mut world);
    world
}

pub(crate) fn converged() -> Observed {
    converged_for(&desired())
}

/// Holds that say that something is not as it should be.
pub(crate) fn in_the_way(plan: &Plan) -> Vec<String> {
    plan.holds
        .iter()
        .filter(|hold| hold.kind != HoldKind::Notice)
        .map(|hold| format!("{:?} {:?} {:?}", hold.resource, hold.kind, hold.reason))
        .collect()
}

/// The calls of a plan.
pub(crate) fn calls(plan: &Plan) -> Vec<&'static str> {
    plan.steps.iter().map(Step::action).collect()
}
