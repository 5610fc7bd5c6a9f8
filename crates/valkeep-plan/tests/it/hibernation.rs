//! The service at desired count 0: by the document, by somebody else, and back.

use crate::world::*;
use valkeep_core::desired::Persistence;
use valkeep_core::identity::TAG_STARTING;
use valkeep_core::valkey::{AppendFsync, SavePoints};
use valkeep_core::{Desired, Doubt, DoubtKind, Fact, HoldReason, Observed, Plan, Step, Tags, Window};
use valkeep_plan::{Rule, critic};

const REGISTER: &str = "ecs:RegisterTaskDefinition";
const UPDATE: &str = "ecs:UpdateService";
const TAG: &str = "ecs:TagResource";
const SET: &str = "valkey:CONFIG SET";
const MARK: &str = "elasticfilesystem:TagResource";
const SAVE: &str = "valkey:BGSAVE";

/// The document, with a desired count of its own.
fn counting(count: u32) -> Desired {
    Desired {
        task_count: Some(count),
        ..desired()
    }
}

/// A world at rest whose server has something to lose.
fn written() -> Observed {
    let mut world = converged();
    server(&mut world).changes_since_save = 7;
    world
}

/// Every task has stopped, and nobody answers any more.
fn stop(world: &mut Observed) {
    settle(world);
    world.valkey = Fact::not_looked("valkey:INFO");
    world.server_settings = Fact::not_looked("valkey:CONFIG GET");
}

/// The service sleeps, as its document says.
fn asleep() -> Observed {
    let mut world = converged();
    assert_eq!(act(&counting(0), &mut world), [UPDATE]);
    stop(&mut world);
    world
}

fn count(world: &Observed) -> u32 {
    world.service.present().expect("a service").desired
}

fn is_stopped(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| matches!(step, Step::StopService { .. }))
}

#[test]
fn everything_is_on_the_directory_before_the_service_sleeps() {
    let desired = counting(0);
    let mut world = written();
    assert_eq!(act(&desired, &mut world), [SAVE]);
    assert_eq!(in_the_way(&checked(&desired, &world)), ["Valkey Waiting Snapshotting"]);
    settle(&mut world);
    let plan = checked(&desired, &world);
    assert!(is_stopped(&plan), "{plan:?}");
    assert_eq!(act(&desired, &mut world), [UPDATE]);
    assert_eq!(count(&world), 0);
    stop(&mut world);
    let plan = checked(&desired, &world);
    assert!(plan.is_converged());
    let told = plan.holds.iter().find(|hold| hold.reason == HoldReason::Hibernated);
    let told = told.expect("a notice");
    assert!(told.message.contains("as the document says"), "{}", told.message);
    assert!(
        told.hint.as_ref().is_some_and(|hint| hint.contains("desiredCount: 1")),
        "{told:?}"
    );
}

#[test]
fn it_wakes_when_the_document_says_so_or_says_nothing_more() {
    for desired in [counting(1), desired()] {
        let mut world = asleep();
        // While one still runs, another would be a second writer.
        world.tasks = Fact::Present(vec![task("f:1")]);
        assert_eq!(in_the_way(&checked(&desired, &world)), ["Task Waiting TasksStopping"]);
        stop(&mut world);
        assert_eq!(act(&desired, &mut world), [UPDATE]);
        assert_eq!(count(&world), 1);
        assert!(
            !world
                .service
                .present()
                .expect("a service")
                .tags
                .contains_key(TAG_STARTING)
        );
    }
}

#[test]
fn a_change_of_mind_before_the_stop_leaves_the_server_alone() {
    let mut world = written();
    // Killed between the mark and the count.
    let marked = world.service.present_mut().expect("a service");
    marked.tags.insert(TAG_STARTING.into(), "true".into());
    let plan = checked(&desired(), &world);
    assert!(
        matches!(plan.steps.as_slice(), [Step::ClearStarting { .. }]),
        "{plan:?}"
    );
    assert_eq!(calls(&checked(&counting(0), &world)), [SAVE], "and else it goes on");
}

#[test]
fn a_zero_of_somebody_else_stays_unless_the_document_says_one() {
    let mut world = converged();
    world.service.present_mut().expect("a service").desired = 0;
    stop(&mut world);
    for desired in [desired(), counting(0)] {
        assert!(checked(&desired, &world).is_converged());
    }
    assert_eq!(
        converge(&counting(1), &mut world).concat(),
        [TAG, UPDATE],
        "marked, then started"
    );
    assert_eq!(count(&world), 1);
}

#[test]
fn what_cannot_be_saved_keeps_the_service_awake_with_a_way_out() {
    let mut desired = counting(0);
    let mut world = written();
    server(&mut world).last_save_ok = false;
    let plan = checked(&desired, &world);
    assert_eq!(calls(&plan), [SAVE]);
    assert_eq!(in_the_way(&plan), ["Valkey Stalled SnapshotFailed"]);
    world.valkey = Fact::Unknown(Doubt {
        kind: DoubtKind::Unreachable,
        call: "valkey:INFO".into(),
        message: "no connection within 3 s".into(),
    });
    let plan = checked(&desired, &world);
    assert_eq!(in_the_way(&plan), ["Valkey Stalled ServerUnreachable"]);
    assert!(!is_stopped(&plan));
    desired.rollout.require_snapshot = false;
    assert!(is_stopped(&checked(&desired, &world)));
}

#[test]
fn a_crash_loop_is_put_to_sleep_at_once() {
    let mut world = converged();
    world.tasks = Fact::Present(vec![stopped("Essential container in task exited", Some(1))]);
    world.valkey = Fact::not_looked("valkey:INFO");
    assert!(is_stopped(&checked(&counting(0), &world)));
}

#[test]
fn it_falls_asleep_in_the_window_and_wakes_at_any_time() {
    let mut desired = counting(0);
    desired.rollout.window = Some(Window::parse("0 3 * * *", 60, "UTC").expect("a window"));
    let plan = checked(&desired, &written());
    assert_eq!(calls(&plan), Vec::<&str>::new());
    assert_eq!(in_the_way(&plan), ["Service Waiting OutsideWindow"]);
    desired.task_count = Some(1);
    assert_eq!(calls(&checked(&desired, &asleep())), [UPDATE]);
}

#[test]
fn another_definition_comes_while_it_sleeps_and_starts_with_it() {
    let mut desired = counting(0);
    made(&mut desired).task.memory_mib = 1024;
    let mut world = converged();
    let plan = checked(&desired, &world);
    assert!(is_stopped(&plan), "no server starts to be stopped again: {plan:?}");
    assert_eq!(act(&desired, &mut world), [REGISTER, UPDATE]);
    stop(&mut world);
    assert_eq!(act(&desired, &mut world), [UPDATE]);
    assert_eq!(count(&world), 0);
    stop(&mut world);
    assert!(checked(&desired, &world).is_converged());
}

#[test]
fn a_server_that_does_not_save_yet_learns_it_first() {
    let mut off = desired();
    if let Persistence::Mounted(snapshots) = &mut off.persistence {
        snapshots.save = SavePoints::default();
    }
    let mut world = converged_for(&off);
    let settings = world.server_settings.present_mut().expect("settings");
    settings.insert("save".into(), String::new());
    server(&mut world).changes_since_save = 7;
    let desired = counting(0);
    for _ in 0..5 {
        let plan = checked(&desired, &world);
        assert!(!is_stopped(&plan), "{plan:?}");
        if plan.steps.is_empty() {
            break;
        }
        act(&desired, &mut world);
    }
    let refused = Plan {
        steps: vec![stop_step(&world)],
        ..Plan::default()
    };
    let objections = critic(&desired, &world, &refused).expect_err("a loss");
    assert!(
        objections.iter().any(|objection| objection.rule == Rule::SnapshotFirst),
        "{objections:?}"
    );
    // What promises nothing may be stopped at once.
    off.task_count = Some(0);
    assert!(is_stopped(&checked(&off, &world)));
}

#[test]
fn an_append_only_file_is_begun_by_the_server_that_wakes_and_not_by_waking() {
    let mut desired = counting(0);
    if let Persistence::Mounted(snapshots) = &mut desired.persistence {
        snapshots.append_only = Some(AppendFsync::Everysec);
    }
    let mut world = asleep();
    let before = world.service.present().expect("a service").task_definition.clone();
    assert_eq!(converge(&desired, &mut world).concat(), [REGISTER]);
    desired.task_count = Some(1);
    assert_eq!(act(&desired, &mut world), [UPDATE]);
    assert_eq!(world.service.present().expect("a service").task_definition, before);
    assert_eq!(count(&world), 1);
    world.valkey = Fact::Present(info());
    world.server_settings = Fact::Present(settings());
    settle(&mut world);
    assert_eq!(converge(&desired, &mut world).concat(), [SET, UPDATE, MARK]);
}

#[test]
fn the_critic_lets_nobody_stop_or_start_against_the_document() {
    let world = written();
    let stop = Plan {
        steps: vec![stop_step(&world)],
        ..Plan::default()
    };
    assert!(critic(&desired(), &world, &stop).is_err(), "nobody asked for it");
    let objections = critic(&counting(0), &world, &stop).expect_err("nothing is saved");
    assert_eq!(objections[0].rule, Rule::SnapshotFirst);
    let world = asleep();
    let service = world.service.present().expect("a service");
    let start = Plan {
        steps: vec![Step::StartService {
            cluster: desired().identity.cluster,
            name: desired().identity.service,
            arn: service.arn.clone(),
        }],
        ..Plan::default()
    };
    assert!(critic(&counting(0), &world, &start).is_err());
    assert!(critic(&counting(1), &world, &start).is_ok());
    let mark = Plan {
        steps: vec![Step::Tag {
            resource: valkeep_core::Resource::Service,
            id: service.arn.clone(),
            set: Tags::from([(TAG_STARTING.into(), "true".into())]),
            remove: Vec::new(),
        }],
        ..Plan::default()
    };
    assert!(critic(&desired(), &world, &mark).is_err(), "a 0 of somebody else stays");
}

fn stop_step(world: &Observed) -> Step {
    let service = world.service.present().expect("a service");
    Step::StopService {
        cluster: desired().identity.cluster,
        name: desired().identity.service,
        arn: service.arn.clone(),
        from: service.desired,
    }
}
