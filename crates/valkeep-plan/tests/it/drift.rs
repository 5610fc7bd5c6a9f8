//! A converged world in which one thing is different.

use crate::world::*;
use serde_json::json;
use valkeep_core::desired::{PerformanceMode, Throughput};
use valkeep_core::identity::{TAG_DATA_FILE, TAG_HASH, TAG_OWNER, TAG_STARTING, TAG_THROUGHPUT_CHANGED};
use valkeep_core::observed::{Deployment, IngressRule, LifeCycle, Rollout, ServiceStatus};
use valkeep_core::{Desired, Doubt, DoubtKind, Fact, HoldReason, Observed, Tags};

struct Case {
    name: &'static str,
    change: fn(&mut Observed),
    calls: &'static [&'static str],
    holds: &'static [&'static str],
}

fn service(world: &mut Observed) -> &mut valkeep_core::observed::Service {
    world.service.present_mut().expect("a service")
}

fn tags_of_group(world: &mut Observed) -> &mut Tags {
    &mut world.security_group.present_mut().expect("a group").tags
}

const CASES: &[Case] = &[
    Case {
        name: "nothing",
        change: |_| {},
        calls: &[],
        holds: &[],
    },
    Case {
        name: "a removed rule comes back",
        change: |world| {
            world.security_group.present_mut().expect("a group").ingress.pop();
        },
        calls: &["ec2:AuthorizeSecurityGroupIngress"],
        holds: &[],
    },
    Case {
        name: "a foreign rule is left",
        change: |world| {
            world
                .security_group
                .present_mut()
                .expect("a group")
                .ingress
                .push(IngressRule {
                    protocol: "tcp".into(),
                    from_port: Some(2049),
                    to_port: Some(2049),
                    source: "10.0.0.0/8".into(),
                    description: None,
                });
        },
        calls: &[],
        holds: &[],
    },
    Case {
        name: "our rule for a group that the document no longer names goes",
        change: |world| {
            world
                .security_group
                .present_mut()
                .expect("a group")
                .ingress
                .push(IngressRule {
                    protocol: "tcp".into(),
                    from_port: Some(2049),
                    to_port: Some(2049),
                    source: "sg-0ffffffffffffffff".into(),
                    description: Some("valkeep: NFS from sg-0ffffffffffffffff".into()),
                });
        },
        calls: &["ec2:RevokeSecurityGroupIngress"],
        holds: &[],
    },
    Case {
        name: "a user tag removed from the group comes back",
        change: |world| {
            tags_of_group(world).remove("team");
        },
        calls: &["ec2:CreateTags"],
        holds: &[],
    },
    Case {
        name: "a group that lost our tag is not ours",
        change: |world| {
            tags_of_group(world).remove(TAG_OWNER);
        },
        calls: &[],
        holds: &["SecurityGroup Stalled NotOurs"],
    },
    Case {
        name: "a file system that lost our tag is not ours",
        change: |world| {
            world.file_system.present_mut().expect("one").tags.remove(TAG_OWNER);
        },
        calls: &[],
        holds: &["FileSystem Stalled NotOurs"],
    },
    Case {
        name: "an access point that lost our tag is not ours",
        change: |world| {
            world.access_point.present_mut().expect("one").tags.remove(TAG_OWNER);
        },
        calls: &[],
        holds: &["AccessPoint Stalled NotOurs"],
    },
    Case {
        name: "a service that lost our tag is not ours",
        change: |world| {
            service(world).tags.remove(TAG_OWNER);
        },
        calls: &[],
        holds: &["Service Stalled NotOurs"],
    },
    Case {
        name: "lifecycle",
        change: |world| world.lifecycle = Fact::Present(None),
        calls: &["elasticfilesystem:PutLifecycleConfiguration"],
        holds: &[],
    },
    Case {
        name: "backups, one call on the file system at a time",
        change: |world| {
            world.backups = Fact::Present(false);
            world.file_system.present_mut().expect("one").tags.remove("team");
        },
        calls: &["elasticfilesystem:PutBackupPolicy"],
        holds: &[],
    },
    Case {
        name: "throughput",
        change: |world| world.file_system.present_mut().expect("one").throughput = Throughput::Elastic,
        calls: &["elasticfilesystem:UpdateFileSystem"],
        holds: &[],
    },
    Case {
        name: "throughput within 24 hours of the last change",
        change: |world| {
            let found = world.file_system.present_mut().expect("one");
            found.throughput = Throughput::Elastic;
            found
                .tags
                .insert(TAG_THROUGHPUT_CHANGED.into(), "2026-02-28T13:00:00Z".into());
        },
        calls: &[],
        holds: &["FileSystem Waiting ThroughputCooldown"],
    },
    Case {
        name: "what EFS cannot change is stalled, and the rest goes on",
        change: |world| {
            let found = world.file_system.present_mut().expect("one");
            found.performance = PerformanceMode::MaxIo;
            found.encrypted = false;
            world.lifecycle = Fact::Present(None);
        },
        calls: &["elasticfilesystem:PutLifecycleConfiguration"],
        holds: &["FileSystem Stalled ImmutableField", "FileSystem Stalled ImmutableField"],
    },
    Case {
        name: "a file system in error",
        change: |world| world.file_system.present_mut().expect("one").state = LifeCycle::Error,
        calls: &[],
        holds: &["FileSystem Stalled Failed"],
    },
    Case {
        name: "a deleted mount target comes back",
        change: |world| {
            world.mount_targets.present_mut().expect("targets").pop();
        },
        calls: &["elasticfilesystem:CreateMountTarget"],
        holds: &[],
    },
    Case {
        name: "foreign groups on a mount target",
        change: |world| {
            world.mount_targets.present_mut().expect("targets")[0].groups = Fact::Present(vec![sg(TASK_GROUP)]);
        },
        calls: &["elasticfilesystem:ModifyMountTargetSecurityGroups"],
        holds: &[],
    },
    Case {
        name: "a target in another subnet of the zone covers it",
        change: |world| {
            world.mount_targets.present_mut().expect("targets")[0].subnet = subnet("subnet-0123456789abcdef0");
        },
        calls: &[],
        holds: &[],
    },
    Case {
        name: "an access point deleted by hand is made again",
        change: |world| world.access_point = Fact::Absent,
        calls: &["elasticfilesystem:CreateAccessPoint"],
        holds: &["RolePolicy", "TaskDefinition"],
    },
    Case {
        name: "another path is stalled",
        change: |world| world.access_point.present_mut().expect("one").path = "/other".into(),
        calls: &[],
        holds: &["AccessPoint Stalled ImmutableField", "TaskDefinition"],
    },
    Case {
        name: "the data file's mark comes back from what runs",
        change: |world| {
            world
                .access_point
                .present_mut()
                .expect("one")
                .tags
                .remove(TAG_DATA_FILE);
        },
        calls: &["elasticfilesystem:TagResource"],
        holds: &[],
    },
    Case {
        name: "the role's policy was changed",
        change: |world| world.role_policy = Fact::Present(json!({"Statement": []})),
        calls: &["iam:PutRolePolicy"],
        holds: &[],
    },
    Case {
        name: "the role's policy was removed",
        change: |world| world.role_policy = Fact::Absent,
        calls: &["iam:PutRolePolicy"],
        holds: &[],
    },
    Case {
        name: "a missing role",
        change: |world| {
            world.role = Fact::Absent;
            world.role_policy = Fact::not_looked("iam:GetRolePolicy");
        },
        calls: &[],
        holds: &["Role Stalled NotFound", "RolePolicy", "TaskDefinition"],
    },
    Case {
        name: "retention of our log group",
        change: |world| world.log_group.present_mut().expect("one").retention_days = None,
        calls: &["logs:PutRetentionPolicy"],
        holds: &[],
    },
    Case {
        name: "a log group that somebody else made is used as it is",
        change: |world| {
            let group = world.log_group.present_mut().expect("one");
            group.tags.clear();
            group.retention_days = None;
        },
        calls: &[],
        holds: &[],
    },
    Case {
        name: "a log group that went away",
        change: |world| world.log_group = Fact::Absent,
        calls: &["logs:CreateLogGroup"],
        holds: &[],
    },
    Case {
        name: "settings that allow two tasks",
        change: |world| {
            service(world).settings.maximum_percent = Some(200);
            service(world).settings.zone_rebalancing = Some(true);
        },
        calls: &["ecs:UpdateService"],
        holds: &[],
    },
    Case {
        name: "settings that AWS does not say are off",
        change: |world| service(world).settings.zone_rebalancing = None,
        calls: &[],
        holds: &[],
    },
    Case {
        name: "somebody scaled up",
        change: |world| service(world).desired = 3,
        calls: &["ecs:UpdateService"],
        holds: &[],
    },
    Case {
        name: "somebody scaled to nothing, and that stays",
        change: |world| {
            service(world).desired = 0;
            service(world).running = 0;
            world.tasks = Fact::Present(Vec::new());
        },
        calls: &[],
        holds: &[],
    },
    Case {
        name: "a start that was not finished",
        change: |world| {
            service(world).tags.insert(TAG_STARTING.into(), "true".into());
        },
        calls: &["ecs:UntagResource"],
        holds: &[],
    },
    Case {
        name: "no start while a task is stopping",
        change: |world| {
            let service = service(world);
            service.desired = 0;
            service.tags.insert(TAG_STARTING.into(), "true".into());
            world.tasks.present_mut().expect("tasks")[0].desired_status = "STOPPED".into();
        },
        calls: &[],
        holds: &["Task Waiting TasksStopping"],
    },
    Case {
        name: "a user tag removed from the service comes back",
        change: |world| {
            service(world).tags.remove("team");
        },
        calls: &["ecs:TagResource"],
        holds: &[],
    },
    Case {
        name: "a draining service",
        change: |world| service(world).status = ServiceStatus::Draining,
        calls: &[],
        holds: &["Service Waiting Draining"],
    },
    Case {
        name: "a deleted service is made again from the revision that is there",
        change: |world| {
            world.service = Fact::Absent;
            world.running_definition = Fact::Absent;
            world.tasks = Fact::Present(Vec::new());
        },
        calls: &["ecs:CreateService"],
        holds: &[],
    },
    Case {
        name: "a missing cluster",
        change: |world| {
            world.cluster = Fact::Absent;
            world.service = Fact::Absent;
            world.running_definition = Fact::Absent;
        },
        calls: &[],
        holds: &["Cluster Stalled NotFound"],
    },
    Case {
        name: "a definition changed by hand goes back to the revision of before",
        change: |world| {
            let running = world.running_definition.present_mut().expect("one");
            running.arn = "arn:foreign:9".into();
            running.definition = None;
            service(world).task_definition = "arn:foreign:9".into();
        },
        calls: &["ecs:UpdateService"],
        holds: &[],
    },
    Case {
        name: "an inactive revision is registered anew",
        change: |world| {
            world.running_definition.present_mut().expect("one").active = false;
            world.family = Fact::Present(Vec::new());
        },
        calls: &["ecs:RegisterTaskDefinition"],
        holds: &[],
    },
    Case {
        name: "a revision with another content under our hash is not used",
        change: |world| {
            let running = world.running_definition.present_mut().expect("one");
            running.definition.as_mut().expect("content").cpu = 512;
            let family = world.family.present_mut().expect("family");
            family[0].definition.as_mut().expect("content").cpu = 512;
            assert!(family[0].tags.contains_key(TAG_HASH));
        },
        calls: &["ecs:RegisterTaskDefinition"],
        holds: &[],
    },
    Case {
        name: "a deployment that goes on is waited for",
        change: |world| service(world).deployments[0].rollout = Rollout::InProgress,
        calls: &[],
        holds: &["Service Waiting RollingOut"],
    },
    Case {
        name: "a lost task is waited for",
        change: |world| {
            service(world).running = 0;
            world.tasks = Fact::Present(Vec::new());
        },
        calls: &[],
        holds: &["Service Waiting RollingOut"],
    },
    Case {
        name: "subnets that AWS does not know are named, the rest goes on",
        change: |world| {
            let subnets = world.subnets.present_mut().expect("subnets");
            let gone = subnets.found.pop().expect("two");
            subnets.missing.push(gone.id);
            world.lifecycle = Fact::Present(None);
        },
        calls: &["elasticfilesystem:PutLifecycleConfiguration"],
        holds: &["Network Stalled NotFound"],
    },
];

#[test]
fn one_difference_gives_one_repair_and_then_rest() {
    let desired = desired();
    for case in CASES {
        let mut world = converged();
        (case.change)(&mut world);
        let plan = checked(&desired, &world);
        assert_eq!(calls(&plan), case.calls, "{}: {:#?}", case.name, plan.holds);
        let holds = in_the_way(&plan);
        for hold in case.holds {
            assert!(
                holds.iter().any(|found| found.starts_with(hold)),
                "{}: {hold} in {holds:?}",
                case.name
            );
        }
        if case.holds.is_empty() && case.calls.is_empty() {
            assert_eq!(holds, Vec::<String>::new(), "{}", case.name);
        }
        if case.holds.iter().all(|hold| !hold.contains("Stalled")) {
            converge(&desired, &mut world);
            assert_eq!(calls(&checked(&desired, &world)), Vec::<&str>::new(), "{}", case.name);
        }
    }
}

type Forget = fn(&mut Observed, Doubt);

const FACTS: &[(&str, Forget)] = &[
    ("subnets", |world, doubt| world.subnets = Fact::Unknown(doubt)),
    ("security group", |world, doubt| {
        world.security_group = Fact::Unknown(doubt);
    }),
    ("file system", |world, doubt| world.file_system = Fact::Unknown(doubt)),
    ("lifecycle", |world, doubt| world.lifecycle = Fact::Unknown(doubt)),
    ("backups", |world, doubt| world.backups = Fact::Unknown(doubt)),
    ("mount targets", |world, doubt| {
        world.mount_targets = Fact::Unknown(doubt);
    }),
    ("groups of a target", |world, doubt| {
        world.mount_targets.present_mut().expect("targets")[0].groups = Fact::Unknown(doubt);
    }),
    ("access point", |world, doubt| world.access_point = Fact::Unknown(doubt)),
    ("role", |world, doubt| world.role = Fact::Unknown(doubt)),
    ("role policy", |world, doubt| world.role_policy = Fact::Unknown(doubt)),
    ("log group", |world, doubt| world.log_group = Fact::Unknown(doubt)),
    ("cluster", |world, doubt| world.cluster = Fact::Unknown(doubt)),
    ("service", |world, doubt| world.service = Fact::Unknown(doubt)),
    ("running definition", |world, doubt| {
        world.running_definition = Fact::Unknown(doubt);
    }),
];

#[test]
fn what_is_unknown_is_not_touched_and_says_why() {
    for (name, forget) in FACTS {
        for kind in [
            DoubtKind::AccessDenied,
            DoubtKind::Throttled,
            DoubtKind::Unreachable,
            DoubtKind::ServerError,
            DoubtKind::Other,
        ] {
            let mut world = converged();
            forget(
                &mut world,
                Doubt {
                    kind,
                    call: "some:Call".into(),
                    message: "words".into(),
                },
            );
            let plan = checked(&desired(), &world);
            assert_eq!(calls(&plan), Vec::<&str>::new(), "{name}");
            let unknown = plan
                .holds
                .iter()
                .find(|hold| hold.kind == valkeep_core::HoldKind::Unknown)
                .unwrap_or_else(|| panic!("{name}: {:#?}", plan.holds));
            if kind == DoubtKind::AccessDenied {
                assert_eq!(unknown.reason, HoldReason::AccessDenied);
                assert!(
                    unknown.hint.as_deref().is_some_and(|hint| hint.contains("some:Call")),
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn one_unknown_fact_does_not_stop_what_is_independent_of_it() {
    let mut world = converged();
    world.role_policy = Fact::not_looked("iam:GetRolePolicy");
    world.lifecycle = Fact::Present(None);
    world.log_group.present_mut().expect("one").retention_days = None;
    world.mount_targets.present_mut().expect("targets").pop();
    assert_eq!(
        calls(&checked(&desired(), &world)),
        [
            "elasticfilesystem:PutLifecycleConfiguration",
            "elasticfilesystem:CreateMountTarget",
            "logs:PutRetentionPolicy"
        ]
    );
}

#[test]
fn more_provisioned_throughput_is_never_held() {
    let mut desired = desired();
    desired.file_system.throughput = Throughput::Provisioned(20.0);
    let mut world = converged();
    let found = world.file_system.present_mut().expect("one");
    found.throughput = Throughput::Provisioned(10.0);
    found.tags.insert(TAG_THROUGHPUT_CHANGED.into(), NOW.into());
    let plan = checked(&desired, &world);
    assert!(matches!(
        plan.steps.as_slice(),
        [valkeep_core::Step::UpdateThroughput { changed_at: None, .. }]
    ));
    desired.file_system.throughput = Throughput::Provisioned(5.0);
    assert!(checked(&desired, &world).steps.is_empty());
}

#[test]
fn for_a_service_that_is_not_ours_nothing_is_made() {
    let mut world = fresh();
    let mut theirs = service(&mut converged()).clone();
    theirs.tags.remove(TAG_OWNER);
    world.service = Fact::Present(theirs);
    let plan = checked(&desired(), &world);
    assert_eq!(calls(&plan), Vec::<&str>::new());
    let held = in_the_way(&plan);
    for what in [
        "Service Stalled NotOurs",
        "FileSystem Waiting Dependency",
        "SecurityGroup Waiting Dependency",
    ] {
        assert!(held.contains(&what.to_owned()), "{held:?}");
    }
}

#[test]
fn a_changed_document_is_rolled_out_in_one_call() {
    let mut desired = desired();
    made(&mut desired).task.memory_mib = 1024;
    made(&mut desired).service.enable_execute_command = true;
    let mut world = converged();
    let stages = converge(&desired, &mut world);
    assert_eq!(
        stages,
        vec![vec!["ecs:RegisterTaskDefinition"], vec!["ecs:UpdateService"]]
    );
    assert!(checked(&desired, &world).is_converged());
}

#[test]
fn a_change_that_restarts_the_task_waits_for_what_a_task_needs() {
    let mut changed = desired();
    made(&mut changed).task.memory_mib = 1024;
    let mut world = converged();
    world.mount_targets.present_mut().expect("targets")[0].state = LifeCycle::Creating;
    let plan = checked(&changed, &world);
    assert_eq!(calls(&plan), ["ecs:RegisterTaskDefinition"]);
    let step = &plan.steps[0];
    valkeep_plan::fold(&mut world, step, &Aws::default().answer(step));
    let plan = checked(&changed, &world);
    assert_eq!(calls(&plan), Vec::<&str>::new());
    assert!(in_the_way(&plan).contains(&"Service Waiting Dependency".to_owned()));
    settle(&mut world);
    assert_eq!(calls(&checked(&changed, &world)), ["ecs:UpdateService"]);
}

#[test]
fn a_new_task_group_is_let_in_before_the_service_has_it_and_the_old_one_goes_last() {
    let mut changed: Desired = desired();
    changed.network.task_groups = vec![sg("sg-0ffffffffffffffff")];
    let mut world = converged();
    assert_eq!(
        converge(&changed, &mut world),
        vec![
            vec!["ec2:AuthorizeSecurityGroupIngress"],
            vec!["ecs:UpdateService"],
            vec!["ec2:RevokeSecurityGroupIngress"],
        ]
    );
    assert!(checked(&changed, &world).is_converged());
}

fn broken(failed: usize) -> Observed {
    let mut world = converged();
    let service = service(&mut world);
    service.running = 0;
    service.deployments = vec![Deployment {
        rollout: Rollout::Failed,
        reason: Some("ECS deployment circuit breaker: tasks failed to start.".into()),
        updated_at: Some(at("2026-03-01T11:58:30Z")),
        ..service.deployments[0].clone()
    }];
    world.tasks = Fact::Present(vec![stopped("CannotPullContainerError: no such tag", None); failed]);
    world
}

#[test]
fn a_broken_deployment_is_tried_again_with_growing_delay() {
    // One broken deployment: a minute, which has passed.
    let plan = checked(&desired(), &broken(3));
    assert!(matches!(
        plan.steps.as_slice(),
        [valkeep_core::Step::UpdateService { force: true, .. }]
    ));
    for (failed, until) in [
        (6, "12:00:30"),
        (9, "12:02:30"),
        (12, "12:06:30"),
        (30, "12:13:30"),
        (300, "12:13:30"),
    ] {
        let plan = checked(&desired(), &broken(failed));
        assert!(plan.steps.is_empty());
        let hold = plan
            .holds
            .iter()
            .find(|hold| hold.reason == HoldReason::CircuitBroken)
            .expect("a hold");
        assert_eq!(hold.until, Some(at(&format!("2026-03-01T{until}Z"))), "{failed}");
        assert!(
            hold.message.contains("circuit breaker") && hold.message.contains("image"),
            "{}",
            hold.message
        );
    }
}

#[test]
fn a_rollout_that_lasts_is_looked_at_less_often() {
    let mut world = converged();
    for (since, again) in [
        ("11:59:55", "12:00:05"),
        ("11:55:00", "12:00:30"),
        ("10:00:00", "12:01:00"),
    ] {
        let primary = &mut service(&mut world).deployments[0];
        primary.rollout = Rollout::InProgress;
        primary.updated_at = Some(at(&format!("2026-03-01T{since}Z")));
        let plan = checked(&desired(), &world);
        assert_eq!(plan.retry_at, Some(at(&format!("2026-03-01T{again}Z"))));
    }
}

#[test]
fn a_service_without_a_deployment_is_not_at_rest() {
    let mut world = converged();
    service(&mut world).deployments.clear();
    assert_eq!(in_the_way(&checked(&desired(), &world)), ["Service Waiting RollingOut"]);
}

#[test]
fn the_token_of_a_service_names_its_revision_and_fits() {
    let token = |definition: &str| {
        let mut world = converged();
        world.service = Fact::Absent;
        world.tasks = Fact::Present(Vec::new());
        let mut running = world.running_definition.present().expect("one").clone();
        running.arn = definition.into();
        world.family = Fact::Present(vec![running]);
        world.running_definition = Fact::Absent;
        match checked(&desired(), &world).steps.remove(0) {
            valkeep_core::Step::CreateService { token, .. } => token,
            other => panic!("{other:?}"),
        }
    };
    let (one, two) = (
        token("arn:aws:ecs:r:1:task-definition/f:7"),
        token("arn:aws:ecs:r:1:task-definition/f:8"),
    );
    assert_ne!(one, two);
    assert!(one.len() <= 36 && one.is_ascii() && one.ends_with("-7"));
}

#[test]
fn nothing_is_registered_for_a_service_of_somebody_else() {
    let mut world = converged();
    service(&mut world).tags.clear();
    world.running_definition.present_mut().expect("one").definition = None;
    world.family = Fact::Present(Vec::new());
    assert_eq!(calls(&checked(&desired(), &world)), Vec::<&str>::new());
}
