//! Deletion beside a service that somebody else makes: it stays, and nothing goes that it may use.

use crate::adoption::{BASE, adopting, disabling, observed_revision, one_of, terraformed};
use crate::world::*;
use serde_json::json;
use valkeep_core::desired::{Deletion, FirstTransition};
use valkeep_core::identity::{TAG_ADOPTED, TAG_SETTINGS, TAG_STARTING};
use valkeep_core::observed::{Deployment, Rollout, Service};
use valkeep_core::{Desired, Doubt, DoubtKind, Fact, HoldReason, Observed, Plan, RawDefinition, Resource, Step, Tags};
use valkeep_plan::{Rule, critic, plan};

fn doomed(desired: Desired) -> Desired {
    Desired {
        deletion: Some(Deletion { without_backup: true }),
        ..desired
    }
}

fn doubt<T>() -> Fact<T> {
    Fact::Unknown(Doubt {
        kind: DoubtKind::AccessDenied,
        call: "some:Call".into(),
        message: "no".into(),
    })
}

/// Taken over: the service runs the overlay.
fn taken_over() -> Observed {
    let mut world = terraformed(one_of("seed"));
    converge(&adopting(FirstTransition::AcceptLoss), &mut world);
    world
}

/// Given back: the service runs its base, and everything of valkeep's is still there.
fn given_back() -> Observed {
    let mut world = taken_over();
    world.base = Fact::Present(observed_revision(BASE, one_of("seed"), Tags::new()));
    converge(&disabling(), &mut world);
    world.base = Fact::Absent;
    world
}

fn service(world: &mut Observed) -> &mut Service {
    world.service.present_mut().expect("a service")
}

fn reasons(plan: &Plan) -> Vec<HoldReason> {
    plan.holds.iter().map(|hold| hold.reason).collect()
}

#[test]
fn a_service_on_the_directory_holds_everything_and_says_what_to_do() {
    let world = taken_over();
    for desired in [adopting(FirstTransition::AcceptLoss), disabling()] {
        let held = checked(&doomed(desired), &world);
        assert!(held.steps.is_empty() && held.is_stalled());
        assert_eq!(reasons(&held), [HoldReason::InUse]);
        let hint = held.holds[0].hint.as_deref().expect("a next step");
        assert!(hint.contains("spec.persistence.enabled: false"), "{hint}");
    }
}

#[test]
fn what_valkeep_made_goes_and_the_service_stays_as_it_is() {
    let mut world = given_back();
    let before = service(&mut world).clone();
    assert!(before.tags.contains_key(TAG_ADOPTED) && before.task_definition == BASE);
    let stages = converge(&doomed(disabling()), &mut world);
    let expected: Vec<Vec<&str>> = vec![
        vec!["elasticfilesystem:TagResource"],
        vec!["elasticfilesystem:DeleteAccessPoint"],
        vec!["elasticfilesystem:DeleteMountTarget"; 2],
        vec!["elasticfilesystem:DeleteFileSystem"],
        vec![
            "iam:DeleteRolePolicy",
            "ec2:DeleteSecurityGroup",
            "ecs:DeregisterTaskDefinition",
        ],
        vec!["ecs:TagResource"],
    ];
    assert_eq!(stages, expected);
    assert!(checked(&doomed(disabling()), &world).is_converged());
    let mut after = before;
    after.tags.remove(TAG_ADOPTED);
    assert_eq!(*service(&mut world), after, "only our tags have gone");
    assert!(world.file_system.is_absent() && world.role_policy.is_absent() && world.security_group.is_absent());
}

#[test]
fn without_the_waiver_the_file_system_stays_here_too() {
    let asked = Desired {
        deletion: Some(Deletion { without_backup: false }),
        ..disabling()
    };
    let held = checked(&asked, &given_back());
    assert!(held.steps.is_empty());
    assert_eq!(reasons(&held), [HoldReason::BackupRequired]);
}

/// What becomes of a part of the world.
type Spoil = fn(&mut Observed);

const DOUBTFUL: [(&str, Spoil); 10] = [
    ("unknown definition", |world| world.running_definition = doubt()),
    ("unreadable definition", |world| {
        world.running_definition.present_mut().expect("one").raw = None;
    }),
    ("unknown tasks", |world| world.tasks = doubt()),
    ("a task of a definition that nobody has read", |world| {
        let tasks = world.tasks.present_mut().expect("tasks");
        tasks.push(task("arn:aws:ecs:eu-west-1:123456789012:task-definition/cache:8"));
    }),
    ("a task that is counted and not seen", |world| {
        world.service.present_mut().expect("one").pending = 1;
    }),
    ("an older deployment", |world| {
        world.service.present_mut().expect("one").deployments.push(Deployment {
            id: "ecs-svc/0".into(),
            primary: false,
            task_definition: "arn:aws:ecs:eu-west-1:123456789012:task-definition/cache:8".into(),
            rollout: Rollout::InProgress,
            reason: None,
            failed_tasks: 0,
            running: 0,
            updated_at: None,
            created_at: None,
        });
    }),
    ("a sidecar on our file system", |world| {
        let id = world.file_system.present().expect("one").id.to_string();
        let running = world.running_definition.present_mut().expect("one");
        let mut raw = running.raw.as_ref().expect("whole").registration();
        raw["volumes"] = json!([{"name": "theirs", "efsVolumeConfiguration": {"fileSystemId": id}}]);
        running.raw = RawDefinition::new(raw).map(Box::new);
    }),
    ("valkeep left it at 0", |world| {
        let service = world.service.present_mut().expect("one");
        service.tags.insert(TAG_STARTING.into(), "true".into());
    }),
    ("unknown access points", |world| world.other_access_points = doubt()),
    ("unknown file system", |world| world.file_system = doubt()),
];

#[test]
fn nothing_goes_while_a_use_is_possible() {
    for (what, spoil) in DOUBTFUL {
        let mut world = given_back();
        spoil(&mut world);
        let held = checked(&doomed(disabling()), &world);
        assert!(held.steps.is_empty(), "{what}: {:#?}", held.steps);
        assert!(!in_the_way(&held).is_empty(), "{what}");
    }
}

#[test]
fn the_critic_sees_the_same_by_itself() {
    let deleting = plan(&doomed(disabling()), &given_back(), now());
    let storage = Plan {
        steps: vec![Step::DeleteFileSystem {
            id: given_back().file_system.present().expect("one").id.clone(),
            owner: desired().identity.owner(),
        }],
        ..Plan::default()
    };
    let mut unmounted = given_back();
    unmounted.mount_targets = Fact::Present(Vec::new());
    assert_eq!(critic(&doomed(disabling()), &unmounted, &storage), Ok(()));
    for (what, spoil) in DOUBTFUL {
        let mut world = unmounted.clone();
        spoil(&mut world);
        let objections = critic(&doomed(disabling()), &world, &storage).expect_err(what);
        assert!(
            objections.iter().any(|one| one.rule == Rule::NotInUse),
            "{what}: {objections:?}"
        );
    }
    assert!(!deleting.steps.is_empty());
    let unmark = Plan {
        steps: vec![Step::Tag {
            resource: Resource::Service,
            id: service(&mut given_back()).arn.clone(),
            set: Tags::new(),
            remove: vec![TAG_ADOPTED.into()],
        }],
        ..Plan::default()
    };
    let early = critic(&doomed(disabling()), &given_back(), &unmark).expect_err("storage is there");
    assert_eq!(early[0].rule, Rule::NotInUse);
}

#[test]
fn deployment_settings_are_given_back_before_anything_goes() {
    let mut world = given_back();
    let tags = &mut service(&mut world).tags;
    tags.insert(
        TAG_SETTINGS.into(),
        "min=50 max=200 breaker=false rollback=false rebalancing=true".into(),
    );
    let held = checked(&doomed(disabling()), &world);
    assert!(held.steps.is_empty() && held.is_stalled());
}

#[test]
fn a_revision_of_ours_that_the_service_runs_stays() {
    let mut world = given_back();
    let mut running = world.running_definition.present().expect("one").clone();
    running.tags = desired().tags;
    world.family = Fact::Present(vec![running]);
    let stages = converge(&doomed(disabling()), &mut world);
    assert!(!stages.concat().contains(&"ecs:DeregisterTaskDefinition"), "{stages:?}");
}
