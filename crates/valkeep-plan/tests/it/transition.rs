//! Replacing a server that does not hold the directory's lock: in which order, and whether its cache may be lost.

use crate::adoption::*;
use crate::world::*;
use serde_json::{Value, json};
use valkeep_core::desired::FirstTransition;
use valkeep_core::identity::{TAG_BASE, TAG_STARTING};
use valkeep_core::{Desired, Fact, HoldReason, Observed, RawDefinition, Step, Tags};
use valkeep_plan::{Rule, critic, fold, plan};

/// The seed's definition with one more volume.
fn with_volume(volume: &Value) -> RawDefinition {
    let mut text = one_of("seed").registration();
    text["volumes"] = json!([volume]);
    RawDefinition::new(text).expect("an object")
}

/// A server that may write anywhere on its host, and so to the directory.
fn reaching() -> RawDefinition {
    with_volume(&json!({"name": "host", "host": {"sourcePath": "/mnt"}}))
}

/// Takes the service over; the calls on ECS.
fn taken_over(world: &mut Observed) -> Vec<&'static str> {
    let calls = converge(&adopting(FirstTransition::AcceptLoss), world);
    let service = the_service(world);
    assert_eq!((service.desired, service.settings.maximum_percent), (1, Some(100)));
    assert!(!service.tags.contains_key(TAG_STARTING));
    assert_ne!(service.task_definition, BASE);
    let calls = calls.into_iter().flatten();
    calls.filter(|call| call.starts_with("ecs:")).collect()
}

/// The calls of [`taken_over`] where the server may write to the directory.
const STRICT: [&str; 6] = [
    "ecs:TagResource",            // taken over, with what it was like
    "ecs:RegisterTaskDefinition", // the base with persistence on it
    "ecs:TagResource",            // desired count 0 will be ours
    "ecs:UpdateService",          // 0
    "ecs:UpdateService",          // the new definition and the settings
    "ecs:UpdateService",          // 1
];
/// The same where it cannot.
const DIRECT: [&str; 3] = ["ecs:TagResource", "ecs:RegisterTaskDefinition", "ecs:UpdateService"];

#[test]
fn a_running_server_is_taken_over_in_the_strict_order() {
    let mut world = terraformed(reaching());
    assert_eq!(taken_over(&mut world), STRICT);
    assert!(
        the_service(&world).settings.enable_execute_command,
        "what is not ours stays"
    );
    assert_eq!(running(&world).tags.get(TAG_BASE).map(String::as_str), Some("7"));
}

#[test]
fn a_server_that_cannot_reach_the_directory_gives_way_in_one_call() {
    for (name, base) in corpus() {
        let mut world = terraformed(base);
        assert_eq!(taken_over(&mut world), DIRECT, "{name}");
        let service = the_service(&world);
        assert!(service.settings.enable_execute_command, "what is not ours stays");
        assert_eq!(running(&world).tags.get(TAG_BASE).map(String::as_str), Some("7"));
    }
}

#[test]
fn a_cache_that_is_given_up_may_hold_changes() {
    let mut world = terraformed(one_of("seed"));
    world.valkey.present_mut().expect("answers").changes_since_save = 7;
    assert_eq!(taken_over(&mut world), DIRECT);
}

/// The file system that [`Aws`] makes.
const OURS: &str = "fs-0123456789abcdef0";

#[test]
fn what_a_server_mounts_decides_whether_it_can_be_a_second_writer() {
    let efs = |id: &str| json!({"name": "shared", "efsVolumeConfiguration": {"fileSystemId": id}});
    let with_host = |mut volume: Value, host: Value| {
        volume["host"] = host;
        with_volume(&volume)
    };
    let container = |member: &str, value: Value| {
        let mut text = one_of("seed").registration();
        text["containerDefinitions"][0][member] = value;
        RawDefinition::new(text).expect("an object")
    };
    let cases = [
        (&DIRECT[..], with_volume(&json!({"name": "scratch"}))),
        (&DIRECT, with_host(efs("fs-0fffffffffffffff1"), json!({}))),
        (&STRICT, reaching()),
        (&STRICT, with_volume(&efs(OURS))),
        (&STRICT, with_volume(&efs("the-shared-one"))),
        (
            &STRICT,
            with_host(efs("fs-0fffffffffffffff1"), json!({"sourcePath": "/mnt"})),
        ),
        (
            &STRICT,
            with_volume(&json!({"name": "nfs", "dockerVolumeConfiguration": {"driver": "local"}})),
        ),
        (
            &STRICT,
            with_volume(&json!({"name": "new", "quantumVolumeConfiguration": {}, "configuredAtLaunch": true})),
        ),
        (&STRICT, container("privileged", json!(true))),
        (
            &STRICT,
            container("linuxParameters", json!({"capabilities": {"add": ["SYS_ADMIN"]}})),
        ),
    ];
    for (expected, base) in cases {
        let volumes = base.volumes().to_vec();
        let mut world = terraformed(base);
        assert_eq!(taken_over(&mut world), expected, "{volumes:?}");
    }
}

/// Everything is there but the new definition on the service.
fn before_the_replacement(document: &Desired, base: RawDefinition) -> Observed {
    let mut world = terraformed(base);
    let mut aws = Aws::default();
    for _ in 0..20 {
        let plan = checked(document, &world);
        if plan.steps.iter().any(replaces) {
            return world;
        }
        for step in &plan.steps {
            fold(&mut world, step, &aws.answer(step));
        }
        settle(&mut world);
    }
    panic!("it is not replaced");
}

fn replaces(step: &Step) -> bool {
    matches!(step, Step::UpdateService { from_definition, to_definition, .. } if from_definition != to_definition)
}

#[test]
fn a_task_that_nobody_has_read_may_write_so_the_order_is_strict() {
    const OTHER: &str = "arn:aws:ecs:eu-west-1:123456789012:task-definition/cache:3";
    let document = adopting(FirstTransition::AcceptLoss);
    let before = before_the_replacement(&document, one_of("seed"));
    let direct = plan(&document, &before, now());
    let changes: [Change; 5] = [
        |world| world.tasks.present_mut().expect("tasks").push(task(OTHER)),
        |world| {
            let mut stopping = task(OTHER);
            stopping.desired_status = "STOPPED".into();
            stopping.last_status = "DEPROVISIONING".into();
            world.tasks.present_mut().expect("tasks").push(stopping);
        },
        |world| service(world).pending = 1,
        |world| {
            let mut older = service(world).deployments[0].clone();
            (older.primary, older.task_definition) = (false, OTHER.into());
            service(world).deployments.push(older);
        },
        |world| {
            let mut unread = observed_revision(OTHER, reaching(), Tags::new());
            unread.raw = None;
            world.family.present_mut().expect("a family").push(unread);
            world.tasks.present_mut().expect("tasks").push(task(OTHER));
        },
    ];
    for change in changes {
        let mut world = before.clone();
        change(&mut world);
        let strict = checked(&document, &world);
        let [Step::Tag { set, .. }] = &strict.steps[..] else {
            panic!("{:#?}", strict.steps);
        };
        assert!(set.contains_key(TAG_STARTING));
        let objections = critic(&document, &world, &direct).expect_err("a second writer");
        assert_eq!(objections.len(), 1);
        assert_eq!(objections[0].rule, Rule::OneWriter);
    }
    // A server that holds the lock, ours or a copy of it, and a revision that was read.
    let mut world = before.clone();
    let laid = world.family.present().expect("a family")[0].arn.clone();
    let harmless = observed_revision(OTHER, one_of("nothing-written"), Tags::new());
    world.family.present_mut().expect("a family").push(harmless);
    world
        .tasks
        .present_mut()
        .expect("tasks")
        .extend([task(&laid), task(OTHER)]);
    assert!(checked(&document, &world).steps.iter().any(replaces));
    // Nobody knows what runs.
    world.tasks = Fact::not_looked("ecs:ListTasks");
    assert!(checked(&document, &world).steps.is_empty());
    assert!(critic(&document, &world, &direct).is_err());
}

#[test]
fn a_server_that_cannot_reach_the_directory_keeps_its_cache_all_the_same() {
    let accepting = adopting(FirstTransition::AcceptLoss);
    let waiting = adopting(FirstTransition::Wait);
    let before = before_the_replacement(&accepting, one_of("seed"));
    let direct = plan(&accepting, &before, now());
    let held = checked(&waiting, &before);
    assert!(held.steps.is_empty());
    assert!(held.holds.iter().any(|hold| hold.reason == HoldReason::FirstTransition));
    let objections = critic(&waiting, &before, &direct).expect_err("the cache would be lost");
    assert!(
        objections.iter().all(|one| one.rule == Rule::NoStaleLoad),
        "{objections:?}"
    );
}

#[test]
fn a_strict_order_that_was_begun_is_ended_as_it_is_found() {
    let document = adopting(FirstTransition::AcceptLoss);
    let before = before_the_replacement(&document, one_of("seed"));
    let mark = |world: &mut Observed| drop(service(world).tags.insert(TAG_STARTING.into(), "true".into()));
    // Marked, and not down yet: it need not go down any more.
    let mut world = before.clone();
    mark(&mut world);
    assert_eq!(calls(&checked(&document, &world)), ["ecs:UntagResource"]);
    assert_eq!(taken_over(&mut world), ["ecs:UntagResource", "ecs:UpdateService"]);
    // Down, and a task still stopping.
    let mut world = before;
    mark(&mut world);
    service(&mut world).desired = 0;
    let waits = checked(&document, &world);
    assert!(waits.steps.is_empty());
    assert!(waits.holds.iter().any(|hold| hold.reason == HoldReason::TasksStopping));
    settle(&mut world);
    assert_eq!(taken_over(&mut world), ["ecs:UpdateService", "ecs:UpdateService"]);
}

#[test]
fn a_cache_that_was_never_persisted_is_not_lost_without_being_asked() {
    let document = adopting(FirstTransition::Wait);
    let mut world = terraformed(one_of("seed"));
    converge(&document, &mut world);
    let plan = checked(&document, &world);
    let held = plan
        .holds
        .iter()
        .find(|hold| hold.reason == HoldReason::FirstTransition);
    assert!(held.expect("it waits").message.contains("42 keys"));
    assert_eq!(the_service(&world).task_definition, BASE);
    assert_eq!(the_service(&world).desired, 1);
}

#[test]
fn an_empty_server_has_nothing_to_lose() {
    let document = adopting(FirstTransition::Wait);
    let mut world = terraformed(one_of("seed"));
    world.valkey.present_mut().expect("answers").keys = 0;
    converge(&document, &mut world);
    assert_ne!(the_service(&world).task_definition, BASE);
}

#[test]
fn a_users_own_desired_0_is_never_undone() {
    let document = adopting(FirstTransition::Wait);
    let mut world = terraformed(one_of("seed"));
    let service = world.service.present_mut().expect("a service");
    (service.desired, service.running) = (0, 0);
    world.tasks = Fact::Present(Vec::new());
    world.valkey = Fact::Absent;
    converge(&document, &mut world);
    let service = the_service(&world);
    assert_ne!(service.task_definition, BASE, "nothing runs, so nothing is lost");
    assert_eq!(service.desired, 0);
}

/// Interrupted anywhere, with time going on or not: the next look ends it, and never with two servers.
#[test]
fn interrupted_after_any_step_it_is_ended() {
    let document = adopting(FirstTransition::AcceptLoss);
    for stop_after in 0..20 {
        for (time_goes_on, base) in [
            (false, reaching()),
            (true, reaching()),
            (false, one_of("sidecars")),
            (true, one_of("sidecars")),
        ] {
            let mut world = terraformed(base);
            let mut aws = Aws::default();
            let mut done = 0;
            'first: for _ in 0..20 {
                for step in checked(&document, &world).steps {
                    if done == stop_after {
                        break 'first;
                    }
                    let answer = aws.answer(&step);
                    fold(&mut world, &step, &answer);
                    done += 1;
                }
                settle(&mut world);
            }
            if time_goes_on {
                settle(&mut world);
            }
            converge(&document, &mut world);
            let service = the_service(&world);
            assert_eq!(service.desired, 1, "after {stop_after}");
            assert_ne!(service.task_definition, BASE, "after {stop_after}");
            assert!(!service.tags.contains_key(TAG_STARTING), "after {stop_after}");
        }
    }
}

/// Taken down for a definition that then cannot be made: the service does not stay down for it.
#[test]
fn a_half_done_0_is_ended_even_when_persistence_cannot_come() {
    let document = adopting(FirstTransition::AcceptLoss);
    let mut world = terraformed(reaching());
    let mut aws = Aws::default();
    while the_service(&world).desired == 1 {
        for step in checked(&document, &world).steps {
            let answer = aws.answer(&step);
            fold(&mut world, &step, &answer);
        }
        if the_service(&world).desired == 1 {
            settle(&mut world);
        }
    }
    let access_point = world.access_point.present_mut().expect("is there");
    access_point.path = "/elsewhere".into();
    converge(&document, &mut world);
    let service = the_service(&world);
    assert_eq!((service.desired, service.task_definition.as_str()), (1, BASE));
    assert!(!service.tags.contains_key(TAG_STARTING));
}
