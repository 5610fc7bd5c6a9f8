//! How a document's state is said.

use crate::world::*;
use valkeep_core::desired::Mode;
use valkeep_core::identity::TAG_SNAPSHOTS_ENDED;
use valkeep_core::observed::{LifeCycle, Task};
use valkeep_core::{Condition, ConditionType, Desired, Doubt, DoubtKind, Fact, Observed, StepFailure, ValkeyInfo};
use valkeep_plan::{Assessment, Context, PreviousServer, assess, explain_task, plan};

fn said(desired: &Desired, world: &Observed) -> Assessment {
    let plan = checked(desired, world);
    assess(
        desired,
        world,
        &plan,
        &[],
        &Context {
            now: now(),
            ..Context::default()
        },
    )
}

fn get(assessment: &Assessment, type_: ConditionType) -> &Condition {
    assessment
        .conditions
        .iter()
        .find(|condition| condition.type_ == type_)
        .expect("every condition is written")
}

fn text(assessment: &Assessment, type_: ConditionType) -> String {
    let condition = get(assessment, type_);
    format!("{:?} {}", condition.status, condition.reason)
}

use ConditionType::{
    AccessPointReady, DriftDetected, FileSystemReady, MountTargetsReady, PersistenceHealthy, Ready, Reconciling,
    ServiceStable, Stalled, TaskDefinitionReady, WarmStart,
};

#[test]
fn a_converged_world_is_ready() {
    let assessment = said(&desired(), &converged());
    for condition in &assessment.conditions {
        assert_eq!(condition.status, condition.type_.at_rest(), "{condition:?}");
        assert_eq!(condition.observed_generation, 1);
    }
    assert_eq!(assessment.phase, "Ready: valkey 8.0.1 serves 42 keys of cache");
}

#[test]
fn a_fresh_world_is_reconciling() {
    let assessment = said(&desired(), &fresh());
    assert_eq!(text(&assessment, Ready), "False Changing");
    assert_eq!(text(&assessment, Reconciling), "True Changing");
    assert_eq!(text(&assessment, Stalled), "False NotStalled");
    assert_eq!(text(&assessment, MountTargetsReady), "False Dependency");
    assert_eq!(text(&assessment, PersistenceHealthy), "Unknown NotRunning");
}

#[test]
fn a_wait_names_what_is_waited_for() {
    let mut world = converged();
    world.mount_targets.present_mut().expect("targets")[1].state = LifeCycle::Creating;
    let assessment = said(&desired(), &world);
    assert_eq!(text(&assessment, MountTargetsReady), "False Creating");
    assert_eq!(text(&assessment, Ready), "False Creating");
    assert!(assessment.phase.contains("eu-west-1b"), "{}", assessment.phase);
}

#[test]
fn what_cannot_be_seen_is_unknown() {
    let mut world = converged();
    world.access_point = Fact::Unknown(Doubt {
        kind: DoubtKind::AccessDenied,
        call: "elasticfilesystem:DescribeAccessPoints".into(),
        message: "not authorized".into(),
    });
    let assessment = said(&desired(), &world);
    assert_eq!(text(&assessment, AccessPointReady), "Unknown AccessDenied");
    assert!(
        get(&assessment, AccessPointReady)
            .message
            .contains("allow elasticfilesystem:DescribeAccessPoints")
    );
    assert_eq!(text(&assessment, FileSystemReady), "True AsDesired");
}

#[test]
fn a_denied_call_of_an_assumed_role_names_that_role_and_its_trust() {
    let arn = "arn:aws:iam::210987654321:role/valkeep";
    let mut desired = desired();
    desired.place.role = Some(valkeep_core::AssumedRole {
        arn: valkeep_core::RoleArn::parse(arn).expect("a role"),
        external_id: Some("blue".into()),
    });
    for (call, hint) in [
        (
            "elasticfilesystem:DescribeAccessPoints",
            format!("allow elasticfilesystem:DescribeAccessPoints to the role that valkeep assumes, {arn}"),
        ),
        (
            "sts:AssumeRole",
            format!(
                "allow sts:AssumeRole on {arn} to the role that valkeep runs as, and let the trust policy of {arn} name \
                 that role with the external id `blue` (sts:ExternalId)"
            ),
        ),
    ] {
        let mut world = converged();
        world.access_point = Fact::Unknown(Doubt {
            kind: DoubtKind::AccessDenied,
            call: call.into(),
            message: "not authorized".into(),
        });
        let hints: Vec<Option<String>> = plan(&desired, &world, now())
            .holds
            .into_iter()
            .map(|hold| hold.hint)
            .collect();
        assert!(hints.contains(&Some(hint)), "{hints:?}");
    }
}

#[test]
fn what_is_stalled_says_so_and_does_not_look_like_progress() {
    let renamed = with_snapshots(|snapshots| snapshots.filename = "other.rdb".into());
    let assessment = said(&renamed, &converged());
    assert_eq!(text(&assessment, TaskDefinitionReady), "False ImmutableField");
    assert_eq!(text(&assessment, Stalled), "True ImmutableField");
    assert_eq!(text(&assessment, Reconciling), "False AtRest");
    assert_eq!(text(&assessment, Ready), "False ImmutableField");
    assert!(assessment.phase.starts_with("Stalled: "), "{}", assessment.phase);
}

#[test]
fn a_server_that_is_not_reached_leaves_everything_else_as_it_is() {
    let mut world = converged();
    world.valkey = Fact::Unknown(Doubt {
        kind: DoubtKind::Unreachable,
        call: "valkey:INFO".into(),
        // As the probe words it.
        message: "no connection to 10.0.3.7:6379 within 2 s".into(),
    });
    let assessment = said(&desired(), &world);
    assert_eq!(text(&assessment, PersistenceHealthy), "Unknown Unreachable");
    assert_eq!(text(&assessment, Ready), "Unknown Unreachable");
    assert_eq!(text(&assessment, ServiceStable), "True Stable");
    let message = &get(&assessment, PersistenceHealthy).message;
    assert!(
        message.contains("10.0.3.7:6379") && message.contains(TASK_GROUP),
        "{message}"
    );
}

#[test]
fn a_server_that_does_not_save_yet_is_not_healthy_under_a_document_that_promises_it() {
    let world = converged_for(&off());
    assert_eq!(text(&said(&desired(), &world), PersistenceHealthy), "False NotSaving");
}

#[test]
fn snapshots_that_do_not_come_are_not_healthy() {
    let cases: Vec<(ValkeyInfo, &str)> = vec![
        (info(), "True Saving"),
        (
            ValkeyInfo {
                last_save_ok: false,
                ..info()
            },
            "False SaveFailing",
        ),
        (
            ValkeyInfo {
                changes_since_save: 1,
                last_save: at("2026-03-01T11:29:00Z"),
                ..info()
            },
            "False SaveOverdue",
        ),
        (
            ValkeyInfo {
                changes_since_save: 1,
                last_save: at("2026-03-01T11:31:00Z"),
                ..info()
            },
            "True Saving",
        ),
        (
            ValkeyInfo {
                changes_since_save: 0,
                last_save: at("2026-02-01T11:31:00Z"),
                ..info()
            },
            "True Saving",
        ),
        (
            ValkeyInfo {
                last_save_duration_s: Some(121),
                ..info()
            },
            "False StopBudgetTooSmall",
        ),
        (
            ValkeyInfo {
                loading: true,
                loading_percent: Some(10),
                ..info()
            },
            "Unknown Loading",
        ),
    ];
    let mut world = converged();
    for (info, expected) in cases {
        world.valkey = Fact::Present(info);
        assert_eq!(text(&said(&desired(), &world), PersistenceHealthy), expected);
    }
}

#[test]
fn snapshots_that_are_off_say_what_a_restart_costs_and_how_old_the_dump_is() {
    let mut world = converged_for(&off());
    let tags = &mut world.access_point.present_mut().expect("one").tags;
    tags.insert(TAG_SNAPSHOTS_ENDED.into(), "2026-03-01T09:00:00Z".into());
    let assessment = said(&off(), &world);
    assert_eq!(text(&assessment, PersistenceHealthy), "True SnapshotsOff");
    let message = &get(&assessment, PersistenceHealthy).message;
    assert!(message.contains("42 keys") && message.contains("3 h ago"), "{message}");
    assert_eq!(text(&assessment, Ready), "True AsDesired");
}

#[test]
fn a_start_is_warm_when_what_was_there_is_there_again() {
    let world = converged();
    let plan = checked(&desired(), &world);
    for (keys, run_id, expected) in [
        (42, "r0", "True Warm"),
        (50, "r0", "False LoadedLess"),
        (50, "r1", "True Warm"),
    ] {
        let context = Context {
            now: now(),
            previous: Some(PreviousServer {
                run_id: run_id.into(),
                keys,
            }),
            drift: Vec::new(),
        };
        let assessment = assess(&desired(), &world, &plan, &[], &context);
        assert_eq!(text(&assessment, WarmStart), expected);
        assert_eq!(text(&assessment, Ready), "True AsDesired", "it is told, not enforced");
    }
}

#[test]
fn a_failed_step_is_said_where_it_belongs() {
    use valkeep_core::{Failure, FailureKind};
    let mut world = converged();
    world.lifecycle = Fact::Present(None);
    let plan = checked(&desired(), &world);
    let failed = StepFailure {
        step: plan.steps[0].clone(),
        failure: Failure {
            call: "elasticfilesystem:PutLifecycleConfiguration".into(),
            kind: FailureKind::AccessDenied,
            code: "AccessDeniedException".into(),
            message: "no".into(),
        },
    };
    let context = Context {
        now: now(),
        drift: plan.steps.clone(),
        ..Context::default()
    };
    let assessment = assess(&desired(), &world, &plan, &[failed], &context);
    assert_eq!(text(&assessment, FileSystemReady), "False AccessDenied");
    assert_eq!(text(&assessment, Stalled), "True AccessDenied");
    assert_eq!(text(&assessment, DriftDetected), "True Repaired");
}

#[test]
fn a_hibernated_service_is_at_rest_and_not_ready() {
    let mut world = converged();
    let service = world.service.present_mut().expect("one");
    service.desired = 0;
    service.running = 0;
    world.tasks = Fact::Present(Vec::new());
    world.valkey = Fact::not_looked("valkey:INFO");
    let assessment = said(&desired(), &world);
    assert_eq!(text(&assessment, Ready), "False Hibernated");
    assert_eq!(text(&assessment, Reconciling), "False AtRest");
    assert_eq!(text(&assessment, Stalled), "False NotStalled");
    assert!(assessment.phase.starts_with("Hibernated: "), "{}", assessment.phase);
    // Where the document says it, it is as it should be, so nobody waits for more.
    let desired = valkeep_core::Desired {
        task_count: Some(0),
        ..desired()
    };
    let assessment = said(&desired, &world);
    assert_eq!(text(&assessment, Ready), "True Hibernated");
    assert_eq!(text(&assessment, ServiceStable), "True Hibernated");
    assert_eq!(text(&assessment, PersistenceHealthy), "Unknown NotRunning");
    assert!(assessment.phase.starts_with("Hibernated: "), "{}", assessment.phase);
    world.service.present_mut().expect("one").running = 1;
    assert_eq!(text(&said(&desired, &world), Ready), "False TasksStopping");
}

#[test]
fn a_task_that_failed_before_this_deployment_is_none_of_its_troubles() {
    use valkeep_core::observed::Rollout::InProgress;
    let mut world = converged();
    world.tasks = Fact::Present(vec![stopped("Essential container in task exited", Some(137))]);
    world.valkey = Fact::not_looked("valkey:INFO");
    let deployment = &mut world.service.present_mut().expect("one").deployments[0];
    deployment.rollout = InProgress;
    for (began, expected) in [
        ("2026-03-01T11:58:00Z", "False TaskFailing"),
        ("2026-03-01T11:59:30Z", "False RollingOut"),
    ] {
        world.service.present_mut().expect("one").deployments[0].created_at = Some(at(began));
        assert_eq!(text(&said(&desired(), &world), ServiceStable), expected, "{began}");
    }
}

#[test]
fn a_stopped_task_says_its_likely_cause() {
    let mount = |text: &str| {
        stopped(
            &format!(
                "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: {text} : unsuccessful EFS utils command execution; code: 32"
            ),
            None,
        )
    };
    let with_container = |reason: &str| Task {
        container_reason: Some(reason.into()),
        ..stopped("Essential container in task exited", Some(137))
    };
    for (task, reason) in [
        (
            mount(
                "Failed to resolve \"fs-0123.efs.eu-west-1.amazonaws.com\" - check that your file system ID is correct",
            ),
            "MountNameNotResolved",
        ),
        (mount("b'mount.nfs4: Connection timed out'"), "MountTimedOut"),
        (mount("mount.nfs4: Connection reset by peer"), "MountReset"),
        (
            mount("b'mount.nfs4: access denied by server while mounting 127.0.0.1:/'"),
            "MountAccessDenied",
        ),
        (
            mount("mounting 127.0.0.1:/x failed, reason given by server: No such file or directory"),
            "MountPathMissing",
        ),
        (mount("something new"), "MountFailed"),
        (stopped("CannotPullContainerError: not found", None), "ImageNotPulled"),
        (
            stopped(
                "ResourceInitializationError: failed to validate logger args: no such group",
                None,
            ),
            "LogDriverFailed",
        ),
        (
            with_container("OutOfMemoryError: Container killed due to memory usage"),
            "OutOfMemory",
        ),
        (stopped("Essential container in task exited", Some(137)), "Killed"),
        (
            stopped("Essential container in task exited", Some(1)),
            "ServerRefusedToStart",
        ),
        (
            stopped("Essential container in task exited", Some(74)),
            "DirectoryNotWritable",
        ),
        (
            stopped("Essential container in task exited", Some(69)),
            "NoFlockInImage",
        ),
        (
            stopped("Task failed container health checks", Some(143)),
            "HealthCheckFailed",
        ),
    ] {
        let explained = explain_task(&task);
        assert_eq!(explained.reason, reason, "{task:?}");
        assert!(explained.message.contains("ECS says: ") && !explained.next_step.is_empty());
    }
}

#[test]
fn a_failing_task_is_explained_in_the_conditions() {
    let mut world = converged();
    world.service.present_mut().expect("one").running = 0;
    world.tasks = Fact::Present(vec![stopped("b'mount.nfs4: Connection timed out'", None)]);
    world.valkey = Fact::not_looked("valkey:INFO");
    let assessment = said(&desired(), &world);
    assert_eq!(text(&assessment, ServiceStable), "False TaskFailing");
    let message = &get(&assessment, ServiceStable).message;
    assert!(message.contains("2049") && message.contains("hint: "), "{message}");
}

#[test]
fn under_observation_differences_are_told_and_marks_are_none() {
    let mut observing = desired();
    observing.mode = Mode::Observe;
    let mut world = converged();
    let marks = &mut world.access_point.present_mut().expect("one").tags;
    marks.remove("valkeep.dev/written-by");
    let assessment = said(&observing, &world);
    assert_eq!(text(&assessment, Ready), "True AsDesired");
    assert_eq!(text(&assessment, DriftDetected), "False NoDrift");
    assert_eq!(text(&assessment, Reconciling), "False Observing");
    assert!(assessment.phase.starts_with("Observing: Ready"), "{}", assessment.phase);

    world.lifecycle = Fact::Present(None);
    world.access_point.present_mut().expect("one").path = "/other".into();
    let assessment = said(&observing, &world);
    assert_eq!(text(&assessment, Ready), "False Differs");
    assert_eq!(text(&assessment, Stalled), "True ImmutableField");
    assert_eq!(text(&assessment, DriftDetected), "True Observed");
    let drift = &get(&assessment, DriftDetected).message;
    assert!(drift.ends_with("(transition to IA: Never -> AFTER_30_DAYS)"), "{drift}");
    assert!(
        assessment.phase.starts_with("Observing: would change file system"),
        "{}",
        assessment.phase
    );
}
