//! When a server that works is stopped on purpose.

use crate::world::*;
use valkeep_core::desired::Persistence;
use valkeep_core::observed::Rollout;
use valkeep_core::valkey::fenced_since;
use valkeep_core::{
    Desired, Doubt, DoubtKind, Fact, HoldReason, Observed, Plan, ServerChange, Step, Timestamp, ValkeyInfo, Window,
};
use valkeep_plan::{Rule, critic};

const REGISTER: &str = "ecs:RegisterTaskDefinition";
const UPDATE: &str = "ecs:UpdateService";
const SAVE: &str = "valkey:BGSAVE";
const SET: &str = "valkey:CONFIG SET";

/// A document that wants another task.
fn larger() -> Desired {
    let mut desired = desired();
    made(&mut desired).task.memory_mib = 1024;
    desired
}

/// A world in which that document's definition is registered, and all that is left is to replace the task.
fn ready(desired: &Desired) -> Observed {
    let mut world = converged();
    assert_eq!(act(desired, &mut world), [REGISTER]);
    world
}

/// A server with something to lose.
fn written(world: &mut Observed) -> &mut ValkeyInfo {
    let info = server(world);
    info.changes_since_save = 7;
    info
}

#[test]
fn writes_are_on_the_directory_before_the_server_stops() {
    let desired = larger();
    let mut world = ready(&desired);
    written(&mut world);
    assert_eq!(act(&desired, &mut world), [SAVE]);
    let plan = checked(&desired, &world);
    assert_eq!(calls(&plan), Vec::<&str>::new(), "while the snapshot is written");
    assert_eq!(in_the_way(&plan), ["Valkey Waiting Snapshotting"]);
    settle(&mut world);
    // What is written meanwhile, the server's own final save takes along.
    written(&mut world);
    assert_eq!(act(&desired, &mut world), [UPDATE]);
}

#[test]
fn a_snapshot_of_long_ago_proves_nothing_about_a_save_now() {
    let desired = larger();
    let mut world = ready(&desired);
    for (last_save, calls_then) in [
        ("2026-03-01T11:59:01Z", UPDATE),
        ("2026-03-01T11:58:59Z", SAVE),
        // By a clock that jumped.
        ("2026-03-01T12:00:01Z", SAVE),
    ] {
        written(&mut world).last_save = at(last_save);
        assert_eq!(calls(&checked(&desired, &world)), [calls_then], "{last_save}");
    }
    // Before its first save a server gives its start as the time of the last one.
    let info = written(&mut world);
    info.last_save = now();
    info.saves_started = 0;
    assert_eq!(calls(&checked(&desired, &world)), [SAVE]);
}

/// What makes a world another one.
type Make = fn(&mut Observed);

#[test]
fn a_server_that_holds_nothing_new_is_stopped_at_once() {
    let desired = larger();
    let kinds: [(&str, Make); 6] = [
        ("all is saved", |_| {}),
        ("empty", |world| {
            let info = server(world);
            (info.keys, info.saves_started, info.last_save_ok) = (0, 0, false);
        }),
        ("still loading", |world| written(world).loading = true),
        ("nothing listens: it crashes, or waits for the lock", |world| {
            world.valkey = Fact::Unknown(Doubt {
                kind: DoubtKind::NotListening,
                call: "valkey:INFO".into(),
                message: "nothing listens".into(),
            });
        }),
        ("no task runs", |world| {
            world.tasks = Fact::Present(vec![stopped("Essential container in task exited", Some(1))]);
            world.valkey = Fact::not_looked("valkey:INFO");
        }),
        ("a task that has not started", |world| {
            let task = &mut world.tasks.present_mut().expect("tasks")[0];
            task.last_status = "PENDING".into();
            world.valkey = Fact::not_looked("valkey:INFO");
        }),
    ];
    for (what, make) in kinds {
        let mut world = ready(&desired);
        make(&mut world);
        assert_eq!(calls(&checked(&desired, &world)), [UPDATE], "{what}");
    }
}

#[test]
fn a_server_that_cannot_be_asked_stays_and_everything_else_goes_on() {
    let mut desired = larger();
    let mut world = ready(&desired);
    world.valkey = Fact::Unknown(Doubt {
        kind: DoubtKind::Unreachable,
        call: "valkey:INFO".into(),
        message: "no connection within 3 s".into(),
    });
    world.lifecycle = Fact::Present(None);
    let plan = checked(&desired, &world);
    assert_eq!(calls(&plan), ["elasticfilesystem:PutLifecycleConfiguration"]);
    assert_eq!(in_the_way(&plan), ["Valkey Stalled ServerUnreachable"]);
    desired.rollout.require_snapshot = false;
    assert!(calls(&checked(&desired, &world)).contains(&UPDATE), "the way out");
}

#[test]
fn a_snapshot_that_fails_keeps_the_server_and_is_tried_again() {
    let mut desired = larger();
    let mut world = ready(&desired);
    written(&mut world).last_save_ok = false;
    let plan = checked(&desired, &world);
    assert_eq!(calls(&plan), [SAVE]);
    assert_eq!(in_the_way(&plan), ["Valkey Stalled SnapshotFailed"]);
    let failed = plan.holds.iter().find(|hold| hold.reason == HoldReason::SnapshotFailed);
    let hint = failed.and_then(|hold| hold.hint.as_deref()).expect("a way out");
    assert!(hint.contains("requireSnapshot: false"), "{hint}");
    let cured = self::desired();
    assert!(
        checked(&cured, &world).is_converged(),
        "a changed document is a cure, too"
    );
    desired.rollout.require_snapshot = false;
    assert_eq!(calls(&checked(&desired, &world)), [UPDATE]);
}

#[test]
fn a_final_save_that_would_be_cut_off_is_not_needed() {
    let desired = larger();
    let mut world = ready(&desired);
    written(&mut world).last_save_duration_s = Some(100);
    server(&mut world).last_save = now();
    let plan = checked(&desired, &world);
    assert_eq!(told(&plan).len(), 1, "writes are refused first: {:?}", plan.steps);
    assert_eq!(in_the_way(&plan), ["Valkey Waiting StopBudgetTooSmall"]);
    assert_eq!(act(&desired, &mut world), [SET]);
    let fenced = fenced_since(world.server_settings.present().expect("settings"));
    assert_eq!(fenced, Some(now()));
    assert_eq!(act(&desired, &mut world), [SAVE], "then everything is saved");
    let plan = checked(&desired, &world);
    assert_eq!(told(&plan), [], "the fence stays while the snapshot is written");
    assert_eq!(in_the_way(&plan), ["Valkey Waiting StopBudgetTooSmall"]);
    settle(&mut world);
    assert_eq!(told(&checked(&desired, &world)), [("save", "")], "then nothing more");
    assert_eq!(act(&desired, &mut world), [SET]);
    assert_eq!(act(&desired, &mut world), [UPDATE]);
}

#[test]
fn keys_that_expire_behind_the_fence_do_not_ask_for_snapshots_for_ever() {
    let desired = larger();
    let mut world = ready(&desired);
    written(&mut world).last_save_duration_s = Some(100);
    server(&mut world).last_save = now();
    assert_eq!(act(&desired, &mut world), [SET]);
    let later = |seconds: i64| Timestamp::from_second(now().as_second() + seconds).expect("a time");
    let info = server(&mut world);
    (info.time, info.last_save) = (later(105), later(105));
    assert_eq!(
        calls(&checked(&desired, &world)),
        [SAVE],
        "it may have been begun before the fence was up"
    );
    let info = server(&mut world);
    (info.time, info.last_save) = (later(230), later(230));
    assert_eq!(told(&checked(&desired, &world)), [("save", "")]);
}

#[test]
fn the_fence_is_up_until_all_is_saved_unless_saving_fails() {
    let desired = larger();
    let mut world = ready(&desired);
    written(&mut world).last_save_duration_s = Some(100);
    server(&mut world).last_save = now();
    assert_eq!(act(&desired, &mut world), [SET]);
    // Keys expired, and the snapshot is not fresh any more.
    server(&mut world).last_save = at("2026-03-01T11:58:00Z");
    assert_eq!(calls(&checked(&desired, &world)), [SAVE]);
    server(&mut world).last_save_ok = false;
    let plan = checked(&desired, &world);
    assert!(
        told(&plan).contains(&("min-replicas-to-write", "0")),
        "{:?}",
        plan.steps
    );
    assert_eq!(in_the_way(&plan), ["Valkey Stalled SnapshotFailed"]);
}

#[test]
fn the_fence_stays_while_a_new_pass_registers_what_was_registered_before() {
    let desired = larger();
    let mut world = ready(&desired);
    written(&mut world).last_save_duration_s = Some(100);
    server(&mut world).last_save = now();
    assert_eq!(act(&desired, &mut world), [SET]);
    world.family = converged().family;
    assert_eq!(calls(&checked(&desired, &world)), [REGISTER]);
}

#[test]
fn a_replacement_that_is_not_wanted_any_more_lets_clients_write_again_and_saves_again() {
    let wanted = larger();
    let mut world = ready(&wanted);
    written(&mut world).last_save_duration_s = Some(100);
    server(&mut world).last_save = now();
    act(&wanted, &mut world);
    act(&wanted, &mut world);
    settle(&mut world);
    act(&wanted, &mut world);
    let back = desired();
    let plan = checked(&back, &world);
    assert_eq!(
        told(&plan),
        [("save", "900 1 300 10 60 10000")],
        "what is saved comes first"
    );
    act(&back, &mut world);
    assert_eq!(told(&checked(&back, &world)), [("min-replicas-to-write", "0")]);
    act(&back, &mut world);
    assert!(checked(&back, &world).is_converged());
}

#[test]
fn a_large_server_that_has_never_saved_is_measured_first() {
    let desired = larger();
    let mut world = ready(&desired);
    let info = server(&mut world);
    (info.saves_started, info.last_save_duration_s) = (0, None);
    assert_eq!(
        calls(&checked(&desired, &world)),
        [UPDATE],
        "a small one, loaded and not changed"
    );
    server(&mut world).used_memory = 8 << 30;
    assert_eq!(calls(&checked(&desired, &world)), [SAVE]);
}

#[test]
fn one_replacement_at_a_time() {
    let desired = larger();
    let mut world = ready(&desired);
    world.service.present_mut().expect("a service").deployments[0].rollout = Rollout::InProgress;
    let plan = checked(&desired, &world);
    assert_eq!(calls(&plan), Vec::<&str>::new());
    assert!(in_the_way(&plan).contains(&"Service Waiting RollingOut".to_owned()));
    // One that only crashes is no reason to wait.
    world.valkey = Fact::Unknown(Doubt {
        kind: DoubtKind::NotListening,
        call: "valkey:INFO".into(),
        message: "nothing listens".into(),
    });
    assert_eq!(calls(&checked(&desired, &world)), [UPDATE]);
}

#[test]
fn outside_the_window_a_server_that_works_stays_and_what_was_begun_is_ended() {
    let mut desired = larger();
    desired.rollout.window = Some(Window::parse("0 2 * * *", 120, "UTC").expect("a window"));
    let mut world = ready(&desired);
    let plan = checked(&desired, &world);
    assert_eq!(calls(&plan), Vec::<&str>::new());
    assert_eq!(in_the_way(&plan), ["Service Waiting OutsideWindow"]);
    assert_eq!(plan.retry_at, Some(at("2026-03-02T02:00:00Z")));
    assert_eq!(
        calls(&checked_at(&desired, &world, at("2026-03-02T02:00:00Z"))),
        [UPDATE]
    );
    written(&mut world).last_save_duration_s = Some(100);
    server(&mut world).last_save = now();
    let settings = world.server_settings.present_mut().expect("settings");
    settings.insert("min-replicas-to-write".into(), valkeep_core::valkey::fence(now()));
    assert_eq!(
        calls(&checked(&desired, &world)),
        [SAVE],
        "clients are kept out already"
    );
    server(&mut world).loading = true;
    assert_eq!(
        calls(&checked(&desired, &world)),
        [UPDATE],
        "nothing works that a window could protect"
    );
}

#[test]
fn a_restart_that_is_asked_for_is_one_careful_replacement() {
    let mut desired = desired();
    desired.restart = Some("2026-03-01".into());
    let mut world = converged();
    written(&mut world);
    let stages = converge(&desired, &mut world);
    assert_eq!(stages, vec![vec![REGISTER], vec![SAVE], vec![UPDATE]]);
    assert!(checked(&desired, &world).is_converged(), "once");
    desired.restart = None;
    assert!(
        checked(&desired, &world).is_converged(),
        "taking the annotation away is no restart"
    );
    desired.restart = Some("2026-03-02".into());
    assert_eq!(converge(&desired, &mut world).concat(), [REGISTER, UPDATE]);
}

#[test]
fn what_promises_nothing_needs_no_snapshot() {
    let mut off = desired();
    if let Persistence::Mounted(snapshots) = &mut off.persistence {
        snapshots.save = valkeep_core::valkey::SavePoints::default();
    }
    let mut world = converged_for(&off);
    let settings = world.server_settings.present_mut().expect("settings");
    settings.insert("save".into(), String::new());
    written(&mut world);
    made(&mut off).task.memory_mib = 1024;
    assert_eq!(converge(&off, &mut world).concat(), [REGISTER, UPDATE]);
}

#[test]
fn the_critic_refuses_a_stop_without_proof() {
    let desired = larger();
    let mut world = ready(&desired);
    let plan = checked(&desired, &world);
    assert_eq!(calls(&plan), [UPDATE]);
    let kinds: [Make; 4] = [
        |world| written(world).last_save = at("2026-03-01T11:00:00Z"),
        |world| server(world).last_save_ok = false,
        |world| written(world).saving = true,
        |world| {
            world.valkey = Fact::Unknown(Doubt {
                kind: DoubtKind::Unreachable,
                call: "valkey:INFO".into(),
                message: "no answer".into(),
            });
        },
    ];
    for make in kinds {
        let mut world = world.clone();
        make(&mut world);
        let objections = critic(&desired, &world, &plan).expect_err("it must not");
        assert!(objections.iter().all(|objection| objection.rule == Rule::SnapshotFirst));
    }
    server(&mut world).last_save_duration_s = Some(121);
    assert!(
        critic(&desired, &world, &plan).is_err(),
        "the final save would be cut off"
    );
}

#[test]
fn the_critic_refuses_what_is_not_for_this_server() {
    let world = converged();
    let refused = |desired: &Desired, run_id: &str, address: &str, name: &str, to: &str| {
        let step = Step::ChangeServer {
            address: address.parse().expect("an address"),
            run_id: run_id.into(),
            change: ServerChange::Set {
                name: name.into(),
                from: String::new(),
                to: to.into(),
            },
        };
        let plan = Plan {
            steps: vec![step],
            ..Plan::default()
        };
        critic(desired, &world, &plan).is_err()
    };
    let desired = desired();
    let here = "10.0.3.7:6379";
    assert!(!refused(&desired, "r1", here, "save", "60 1"));
    assert!(refused(&desired, "r2", here, "save", "60 1"), "another process");
    assert!(
        refused(&desired, "r1", "10.0.3.8:6379", "save", "60 1"),
        "another address"
    );
    assert!(refused(&desired, "r1", here, "dir", "/tmp"), "no setting of ours");
    assert!(refused(&desired, "r1", here, "save", ""), "it promises snapshots");
}

#[test]
fn holds_name_the_reasons() {
    // The words are a promise: dashboards and pipelines match them.
    let reasons = [
        HoldReason::Snapshotting,
        HoldReason::SnapshotFailed,
        HoldReason::StopBudgetTooSmall,
        HoldReason::ServerUnreachable,
        HoldReason::OutsideWindow,
        HoldReason::RestartPending,
    ];
    let words = reasons.map(|reason| reason.to_string());
    assert_eq!(
        words,
        [
            "Snapshotting",
            "SnapshotFailed",
            "StopBudgetTooSmall",
            "ServerUnreachable",
            "OutsideWindow",
            "RestartPending"
        ]
    );
}
