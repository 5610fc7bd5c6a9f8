//! A document that asks for its deletion: what goes, in which order, and what never does.

use crate::world::*;
use valkeep_core::desired::Deletion;
use valkeep_core::identity::{TAG_DATA_FILE, TAG_OWNER, TAG_POLICY, TAG_SNAPSHOTS_ENDED, TAG_STARTING, TAG_WRITTEN_BY};
use valkeep_core::ids::AccessPointId;
use valkeep_core::observed::{LifeCycle, ObservedDefinition, ServiceStatus};
use valkeep_core::{
    ConditionStatus, ConditionType, Desired, Doubt, DoubtKind, Fact, Failure, FailureKind, HoldReason, Observed, Plan,
    Step, StepFailure,
};
use valkeep_plan::{Context, Rule, assess, critic, fold, forecast, hold_for, imagine, plan};

/// What becomes of a part of the world.
type Spoil = fn(&mut Observed);

fn without_backup(desired: Desired) -> Desired {
    Desired {
        deletion: Some(Deletion { without_backup: true }),
        ..desired
    }
}

fn doomed() -> Desired {
    without_backup(desired())
}

fn asked_only() -> Desired {
    Desired {
        deletion: Some(Deletion { without_backup: false }),
        ..desired()
    }
}

fn doubt<T>() -> Fact<T> {
    Fact::Unknown(Doubt {
        kind: DoubtKind::AccessDenied,
        call: "some:Call".into(),
        message: "no".into(),
    })
}

/// Without a service and its tasks: what is left is storage and the rest.
fn without_service() -> Observed {
    let mut world = converged();
    world.service = Fact::Absent;
    world.running_definition = Fact::Absent;
    world.tasks = Fact::Present(Vec::new());
    world
}

fn stolen(tags: &mut valkeep_core::Tags) {
    tags.remove(TAG_OWNER);
}

fn reasons(plan: &Plan) -> Vec<HoldReason> {
    plan.holds.iter().map(|hold| hold.reason).collect()
}

fn deletes_storage(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| {
        matches!(
            step,
            Step::DeleteAccessPoint { .. } | Step::DeleteMountTarget { .. } | Step::DeleteFileSystem { .. }
        )
    })
}

const REST: [&str; 3] = [
    "iam:DeleteRolePolicy",
    "ec2:DeleteSecurityGroup",
    "ecs:DeregisterTaskDefinition",
];

#[test]
fn everything_goes_in_the_order_in_which_it_was_needed() {
    let mut world = converged();
    let stages = converge(&doomed(), &mut world);
    let expected: Vec<Vec<&str>> = vec![
        vec!["ecs:UpdateService"],
        vec!["ecs:DeleteService"],
        vec!["elasticfilesystem:TagResource"],
        vec!["elasticfilesystem:DeleteAccessPoint"],
        vec!["elasticfilesystem:DeleteMountTarget"; 2],
        vec!["elasticfilesystem:DeleteFileSystem"],
        REST.to_vec(),
    ];
    assert_eq!(stages, expected);
    let rest = checked(&doomed(), &world);
    assert!(rest.is_converged(), "{rest:#?}");
    assert_eq!(reasons(&rest), [HoldReason::Kept], "the log group");
    for absent in [
        world.service.is_absent(),
        world.file_system.is_absent(),
        world.security_group.is_absent(),
        world.role_policy.is_absent(),
    ] {
        assert!(absent);
    }
    assert!(world.log_group.present().is_some());
}

#[test]
fn a_policy_that_valkeep_put_goes_before_the_access_point() {
    let mut enforced = desired();
    enforced.file_system.enforce_tls_and_iam = true;
    let mut world = converged_for(&enforced);
    let stages = converge(&without_backup(enforced), &mut world);
    assert_eq!(stages[2], ["elasticfilesystem:DeleteFileSystemPolicy"]);
    assert_eq!(stages[4], ["elasticfilesystem:DeleteAccessPoint"]);
}

#[test]
fn a_document_with_persistence_disabled_is_deleted_with_the_storage_of_before() {
    let mut world = converged();
    converge(&disabled(), &mut world);
    let stages = converge(&without_backup(disabled()), &mut world);
    assert!(
        stages.concat().contains(&"elasticfilesystem:DeleteFileSystem"),
        "{stages:?}"
    );
}

#[test]
fn without_the_waiver_nothing_at_all_is_touched() {
    let world = converged();
    let held = checked(&asked_only(), &world);
    assert!(held.steps.is_empty() && held.is_stalled());
    let hint = held.holds[0].hint.clone().expect("is there");
    assert!(hint.contains("valkeep.dev/delete-without-backup: cache"), "{hint}");
    assert_eq!(reasons(&held), [HoldReason::BackupRequired]);

    let blind = Observed {
        file_system: doubt(),
        ..world.clone()
    };
    assert!(checked(&asked_only(), &blind).steps.is_empty());

    // A waiver that is taken back half-way ends it there.
    let half = checked(&asked_only(), &without_service());
    assert!(half.steps.is_empty() && half.is_stalled());
}

#[test]
fn where_no_data_would_go_no_waiver_is_needed() {
    let mut world = converged();
    stolen(&mut world.file_system.present_mut().expect("is there").tags);
    stolen(&mut world.security_group.present_mut().expect("is there").tags);
    let stages = converge(&asked_only(), &mut world);
    let calls = stages.concat();
    assert!(calls.contains(&"elasticfilesystem:DeleteAccessPoint") && calls.contains(&"ecs:DeleteService"));
    assert!(
        !calls.contains(&"elasticfilesystem:DeleteMountTarget")
            && !calls.contains(&"elasticfilesystem:DeleteFileSystem")
    );
    assert!(world.file_system.present().is_some() && world.mount_targets.present().expect("is there").len() == 2);
    let mut nothing = fresh();
    assert!(converge(&asked_only(), &mut nothing).is_empty());
}

#[test]
fn the_service_is_stopped_with_a_mark_and_deleted_when_every_task_has_stopped() {
    let mut world = converged();
    let first = checked(&doomed(), &world);
    let [stop @ Step::StopService { from: 1, .. }] = &first.steps[..] else {
        panic!("{:#?}", first.steps)
    };
    fold(&mut world, stop, &imagine(stop));
    let service = world.service.present_mut().expect("is there");
    assert!(service.desired == 0 && service.tags.contains_key(TAG_STARTING));
    service.running = 0;
    // The server still saves.
    for task in world.tasks.present_mut().expect("is there") {
        task.desired_status = "STOPPED".into();
        task.last_status = "STOPPING".into();
    }
    let waiting = checked(&doomed(), &world);
    assert!(waiting.steps.is_empty());
    assert!(reasons(&waiting).contains(&HoldReason::TasksStopping));
    world.tasks.present_mut().expect("is there")[0].last_status = "STOPPED".into();
    assert_eq!(calls(&checked(&doomed(), &world)), ["ecs:DeleteService"]);
}

#[test]
fn a_service_that_drains_or_a_task_that_is_left_holds_the_storage() {
    let mut world = converged();
    world.service.present_mut().expect("is there").status = ServiceStatus::Draining;
    assert!(in_the_way(&checked(&doomed(), &world)).concat().contains("Draining"));
    assert!(checked(&doomed(), &world).steps.is_empty());

    // Somebody has deleted the service by force, and its last task still writes.
    let mut world = without_service();
    let mut last = task("arn");
    last.last_status = "STOPPING".into();
    world.tasks = Fact::Present(vec![last]);
    let held = checked(&doomed(), &world);
    assert!(held.steps.is_empty() && reasons(&held).contains(&HoldReason::TasksStopping));
}

#[test]
fn what_cannot_be_seen_holds_what_may_need_it() {
    let blind: [(&str, Spoil); 9] = [
        ("service", |world| world.service = doubt()),
        ("tasks", |world| world.tasks = doubt()),
        ("file system", |world| world.file_system = doubt()),
        ("access point", |world| world.access_point = doubt()),
        ("other access points under a policy", |world| {
            let tags = &mut world.file_system.present_mut().expect("is there").tags;
            tags.insert(TAG_POLICY.into(), "managed".into());
            world.file_system_policy = Fact::Present(serde_json::json!({}));
            world.other_access_points = doubt();
        }),
        ("other access points", |world| world.other_access_points = doubt()),
        ("mount targets", |world| {
            world.access_point = Fact::Absent;
            world.mount_targets = doubt();
        }),
        ("policy", |world| {
            let tags = &mut world.file_system.present_mut().expect("is there").tags;
            tags.insert(TAG_POLICY.into(), "managed".into());
            world.file_system_policy = doubt();
        }),
        ("not looked", |world| {
            world.other_access_points = Fact::not_looked("some:Call");
        }),
    ];
    for (what, spoil) in blind {
        let mut world = without_service();
        spoil(&mut world);
        let held = checked(&doomed(), &world);
        assert!(
            !deletes_storage(&held) && held.steps.is_empty(),
            "{what}: {:#?}",
            held.steps
        );
        assert!(
            in_the_way(&held).concat().contains("Unknown"),
            "{what}: {:#?}",
            held.holds
        );
    }
    // What stands by itself does not wait for what cannot be seen beside it.
    let mut world = without_service();
    world.file_system = Fact::Absent;
    world.role_policy = doubt();
    assert_eq!(calls(&checked(&doomed(), &world)), REST[1..].to_vec());
}

#[test]
fn a_service_that_is_not_ours_is_left_and_so_is_what_it_may_be_using() {
    let mut world = converged();
    stolen(&mut world.service.present_mut().expect("is there").tags);
    let held = checked(&doomed(), &world);
    assert!(held.steps.is_empty() && held.is_stalled() && reasons(&held).contains(&HoldReason::NotOurs));

    world.file_system = Fact::Absent;
    let stages = converge(&doomed(), &mut world);
    assert_eq!(stages, [REST.to_vec()]);
    assert!(world.service.present().is_some());
    assert!(checked(&doomed(), &world).is_converged());
}

#[test]
fn an_access_point_of_somebody_else_holds_the_file_system() {
    let mut world = without_service();
    let mut other = world.access_point.present().expect("is there").clone();
    other.id = AccessPointId::parse("fsap-0fffffffffffffff0").expect("is there");
    stolen(&mut other.tags);
    world.other_access_points = Fact::Present(vec![other.clone()]);
    let held = checked(&doomed(), &world);
    assert!(held.steps.is_empty() && reasons(&held).contains(&HoldReason::InUse));
    assert!(
        held.holds
            .iter()
            .any(|hold| hold.message.contains("fsap-0fffffffffffffff0 (/valkey-data)"))
    );
    let mut serving = converged();
    serving.other_access_points = Fact::Present(vec![other.clone()]);
    assert!(checked(&doomed(), &serving).steps.is_empty(), "not even the service");
    // One that goes is nobody's way any more.
    other.state = LifeCycle::Deleting;
    world.other_access_points = Fact::Present(vec![other]);
    assert!(!checked(&doomed(), &world).steps.is_empty());
}

#[test]
fn every_access_point_of_ours_goes() {
    let mut world = without_service();
    let mut other = world.access_point.present().expect("is there").clone();
    other.id = AccessPointId::parse("fsap-0fffffffffffffff0").expect("is there");
    other.path = "/older".into();
    world.other_access_points = Fact::Present(vec![other]);
    let stages = converge(&doomed(), &mut world);
    assert_eq!(stages[1], ["elasticfilesystem:DeleteAccessPoint"; 2]);
}

#[test]
fn a_file_system_that_changes_is_waited_for() {
    for state in [LifeCycle::Creating, LifeCycle::Updating] {
        let mut world = without_service();
        world.file_system.present_mut().expect("is there").state = state;
        assert!(checked(&doomed(), &world).steps.is_empty());
    }
    let mut world = without_service();
    world.file_system.present_mut().expect("is there").state = LifeCycle::Error;
    assert!(!checked(&doomed(), &world).steps.is_empty());
}

#[test]
fn hundreds_of_revisions_go_ten_at_a_time_and_those_of_others_stay() {
    let mut world = fresh();
    let tags = desired().tags;
    world.family = Fact::Present(
        (0..100)
            .map(|number| ObservedDefinition {
                arn: format!("arn:aws:ecs:eu-west-1:123456789012:task-definition/f:{number}"),
                active: true,
                tags: if number == 50 {
                    valkeep_core::Tags::new()
                } else {
                    tags.clone()
                },
                raw: None,
                definition: None,
            })
            .collect(),
    );
    assert_eq!(checked(&doomed(), &world).steps.len(), 10);
    assert!(forecast(&doomed(), &world, now()).left.is_empty());
    let stages = converge(&doomed(), &mut world);
    assert_eq!(stages.concat().len(), 99);
    assert_eq!(world.family.present().expect("is there").len(), 1);
}

#[test]
fn the_forecast_shows_the_whole_deletion() {
    let shown = forecast(&doomed(), &converged(), now());
    let stages: Vec<Vec<&str>> = shown.stages.iter().map(calls).collect();
    let world = &mut converged();
    assert_eq!(stages, converge(&doomed(), world));
    assert!(shown.left.iter().all(|hold| hold.reason == HoldReason::Kept));
}

#[test]
fn taken_back_half_way_everything_is_made_again() {
    let reference = converged();
    for stages in 1..7 {
        let mut world = converged();
        let mut aws = Aws::default();
        for _ in 0..stages {
            settle(&mut world);
            for step in checked(&doomed(), &world).steps {
                let done = aws.answer(&step);
                fold(&mut world, &step, &done);
            }
        }
        converge(&desired(), &mut world);
        let service = world.service.present().expect("is there");
        assert_eq!((service.desired, service.running), (1, 1), "after {stages} stages");
        assert!(!service.tags.contains_key(TAG_STARTING), "after {stages} stages");
        let known = |world: &Observed| {
            world
                .access_point
                .present()
                .expect("is there")
                .tags
                .get(TAG_WRITTEN_BY)
                .cloned()
        };
        // The file system is the sixth to go; before that the next access point knows what the last one knew.
        if stages < 6 {
            assert_eq!(known(&world), known(&reference), "after {stages} stages");
        }
        world.valkey = Fact::Present(info());
        converge(&desired(), &mut world);
        assert!(checked(&desired(), &world).is_converged());
    }
}

#[test]
fn what_the_old_access_point_knew_is_not_forgotten() {
    let mut world = converged();
    converge(&off(), &mut world);
    let before = world.access_point.present().expect("is there").tags.clone();
    let ended = before.get(TAG_SNAPSHOTS_ENDED).cloned();
    assert!(ended.is_some());
    let off_and_doomed = without_backup(off());
    for _ in 0..6 {
        settle(&mut world);
        let plan = checked(&off_and_doomed, &world);
        if plan
            .steps
            .iter()
            .any(|step| matches!(step, Step::DeleteMountTarget { .. }))
        {
            break;
        }
        for step in plan.steps {
            fold(&mut world, &step, &imagine(&step));
        }
    }
    assert!(world.access_point.is_absent());
    let made = checked(&desired(), &world);
    let Some(Step::CreateAccessPoint { tags, .. }) = made
        .steps
        .iter()
        .find(|step| matches!(step, Step::CreateAccessPoint { .. }))
    else {
        panic!("{:#?}", made.steps)
    };
    for key in [TAG_DATA_FILE, TAG_WRITTEN_BY, TAG_SNAPSHOTS_ENDED] {
        assert_eq!(tags.get(key), before.get(key), "{key}");
    }
}

#[test]
fn a_hibernated_service_that_is_not_deleted_after_all_stays_hibernated() {
    let mut world = converged();
    world.service.present_mut().expect("is there").desired = 0;
    settle(&mut world);
    assert_eq!(calls(&checked(&doomed(), &world)), ["ecs:DeleteService"]);
    let back = checked(&desired(), &world);
    assert!(back.steps.is_empty() && reasons(&back).contains(&HoldReason::Hibernated));
}

#[test]
fn the_status_says_how_far_it_is() {
    let said = |desired: &Desired, world: &Observed, failures: &[StepFailure]| {
        let plan = checked(desired, world);
        let context = Context {
            now: now(),
            ..Context::default()
        };
        let said = assess(desired, world, &plan, failures, &context);
        let of = |type_| {
            let one = said.conditions.iter().find(|one| one.type_ == type_).expect("is there");
            (one.status, one.reason.clone())
        };
        (
            said.phase.clone(),
            of(ConditionType::Ready),
            of(ConditionType::Deleted),
            of(ConditionType::Stalled),
        )
    };
    let no = |reason: &str| (ConditionStatus::False, reason.to_owned());
    let yes = |reason: &str| (ConditionStatus::True, reason.to_owned());

    let (phase, ready, deleted, stalled) = said(&doomed(), &converged(), &[]);
    assert_eq!(phase, "Deleting: next: stop service cache");
    assert_eq!(
        (ready, deleted, stalled),
        (no("Deleting"), no("Deleting"), no("NotStalled"))
    );

    let (phase, ready, deleted, stalled) = said(&asked_only(), &converged(), &[]);
    assert!(phase.starts_with("Stalled: fs-"), "{phase}");
    let reason = "BackupRequired";
    assert_eq!((ready, deleted, stalled), (no(reason), no(reason), yes(reason)));

    let mut end = converged();
    converge(&doomed(), &mut end);
    end.valkey = Fact::not_looked("valkey:INFO");
    let (phase, ready, deleted, stalled) = said(&doomed(), &end, &[]);
    assert_eq!(
        phase,
        "Deleted: the document may be removed; the log group /ecs/cache is kept"
    );
    assert_eq!(
        (ready, deleted, stalled),
        (no("Deleted"), yes("Deleted"), no("NotStalled"))
    );

    let failure = StepFailure {
        step: Step::DeleteSecurityGroup {
            id: sg(NFS_GROUP),
            name: "nfs".into(),
            owner: doomed().identity.owner(),
        },
        failure: Failure {
            call: "ec2:DeleteSecurityGroup".into(),
            kind: FailureKind::NotNow,
            code: "DependencyViolation".into(),
            message: "has a dependent object".into(),
        },
    };
    let held = hold_for(&desired(), &failure, now());
    assert_eq!(held.reason, HoldReason::InUse);
    assert!(held.hint.as_ref().expect("is there").contains(NFS_GROUP), "{held:?}");
    let (phase, _, deleted, _) = said(&doomed(), &end, &[failure]);
    assert!(
        phase.starts_with("Deleting: could not delete security group"),
        "{phase}"
    );
    assert_eq!(deleted, no("Deleting"));

    let converged = converged();
    let plan = checked(&desired(), &converged);
    let said = assess(&desired(), &converged, &plan, &[], &Context::default());
    assert!(said.conditions.iter().all(|one| one.type_ != ConditionType::Deleted));
}

#[test]
fn the_critic_refuses_a_deletion_that_nobody_asked_for_or_that_could_do_harm() {
    let owner = doomed().identity.owner();
    let id = converged().file_system.present().expect("is there").id.clone();
    let file_system = Step::DeleteFileSystem {
        id,
        owner: owner.clone(),
    };
    let unmounted = || {
        let mut world = without_service();
        world.mount_targets = Fact::Present(Vec::new());
        world.access_point = Fact::Absent;
        world
    };
    let broken = |desired: &Desired, world: &Observed, step: &Step| -> Vec<Rule> {
        let plan = Plan {
            steps: vec![step.clone()],
            ..Plan::default()
        };
        let objections = critic(desired, world, &plan).err().unwrap_or_default();
        objections.into_iter().map(|objection| objection.rule).collect()
    };
    assert_eq!(broken(&doomed(), &unmounted(), &file_system), []);
    assert!(broken(&desired(), &unmounted(), &file_system).contains(&Rule::AskedFor));
    assert!(broken(&asked_only(), &unmounted(), &file_system).contains(&Rule::DataKept));
    assert!(
        broken(&doomed(), &without_service(), &file_system).contains(&Rule::NotInUse),
        "mount targets"
    );
    assert!(
        broken(&doomed(), &converged(), &file_system).contains(&Rule::NotInUse),
        "service"
    );
    let spoiled: [(&str, Rule, Spoil); 6] = [
        ("not ours", Rule::OnlyOurs, |world| {
            stolen(&mut world.file_system.present_mut().expect("is there").tags);
        }),
        ("unknown service", Rule::NotInUse, |world| world.service = doubt()),
        ("unknown tasks", Rule::NotInUse, |world| world.tasks = doubt()),
        ("a running task", Rule::NotInUse, |world| {
            world.tasks = Fact::Present(vec![task("arn")]);
        }),
        ("unknown mount targets", Rule::NotInUse, |world| {
            world.mount_targets = doubt();
        }),
        ("unknown access points", Rule::NotInUse, |world| {
            world.other_access_points = doubt();
        }),
    ];
    for (what, rule, spoil) in spoiled {
        let mut world = unmounted();
        spoil(&mut world);
        assert!(broken(&doomed(), &world, &file_system).contains(&rule), "{what}");
    }
    let other = Step::DeleteFileSystem {
        id: converged().file_system.present().expect("is there").id.clone(),
        owner: "somebody".into(),
    };
    assert!(broken(&doomed(), &unmounted(), &other).contains(&Rule::OnlyOurs));

    let world = converged();
    let service = world.service.present().expect("is there").arn.clone();
    let delete = Step::DeleteService {
        cluster: "cluster".into(),
        name: "cache".into(),
        arn: service,
        owner,
    };
    assert!(broken(&doomed(), &world, &delete).contains(&Rule::NotInUse));
    let group = Step::DeleteSecurityGroup {
        id: sg(NFS_GROUP),
        name: "nfs".into(),
        owner: doomed().identity.owner(),
    };
    assert!(broken(&doomed(), &world, &group).contains(&Rule::NotInUse));
    assert_eq!(broken(&doomed(), &without_service(), &group), []);

    let made = plan(&desired(), &fresh(), now());
    assert!(broken(&doomed(), &fresh(), &made.steps[0]).contains(&Rule::AskedFor));
}
