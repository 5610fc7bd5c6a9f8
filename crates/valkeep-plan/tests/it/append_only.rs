//! Between snapshots and the append-only file nothing is lost, wherever it is interrupted.

use crate::world::*;
use valkeep_core::desired::Persistence;
use valkeep_core::identity::{TAG_APPEND_ONLY, TAG_WRITTEN_BY};
use valkeep_core::valkey::{AppendFsync, AppendOnly};
use valkeep_core::{ConditionType, Desired, Fact, HoldReason, Observed, Plan, Window};
use valkeep_plan::{Context, PreviousServer, Rule, append_fsync, assess, critic, forecast};

const REGISTER: &str = "ecs:RegisterTaskDefinition";
const UPDATE: &str = "ecs:UpdateService";
const SAVE: &str = "valkey:BGSAVE";
const SET: &str = "valkey:CONFIG SET";
const TAG: &str = "elasticfilesystem:TagResource";

fn appending() -> Desired {
    let mut desired = desired();
    if let Persistence::Mounted(snapshots) = &mut desired.persistence {
        snapshots.append_only = Some(AppendFsync::Everysec);
    }
    desired
}

/// A world whose server runs with an append-only file, as its document says.
fn appended() -> Observed {
    let mut world = converged();
    converge(&appending(), &mut world);
    assert!(checked(&appending(), &world).is_converged());
    world
}

/// ECS has started the server again, of the definition that the service has.
fn crash(world: &mut Observed) {
    restarted(world);
    let info = server(world);
    info.run_id += "2";
    info.saves_started = 0;
    info.last_save_duration_s = None;
    info.saving = false;
    appends(world);
}

#[test]
fn it_is_switched_on_while_the_server_runs_and_then_the_server_is_replaced() {
    let desired = appending();
    let mut world = converged();
    assert_eq!(act(&desired, &mut world), [REGISTER]);
    assert_eq!(told(&checked(&desired, &world)), [("appendonly", "yes")]);
    assert_eq!(act(&desired, &mut world), [SET]);
    server(&mut world).append_only = Some(AppendOnly {
        rewriting: true,
        last_rewrite_ok: true,
        last_write_ok: true,
    });
    let plan = checked(&desired, &world);
    assert_eq!(calls(&plan), Vec::<&str>::new());
    assert_eq!(in_the_way(&plan), ["Valkey Waiting AppendOnlyBegins"]);
    appends(&mut world);
    assert_eq!(act(&desired, &mut world), [UPDATE]);
    settle(&mut world);
    assert_eq!(act(&desired, &mut world), [TAG], "the directory remembers it");
    assert!(checked(&desired, &world).is_converged());
}

#[test]
fn a_crash_at_any_step_on_the_way_begins_anew() {
    let desired = appending();
    for crash_after in 0..4 {
        let mut world = converged();
        for _ in 0..crash_after {
            act(&desired, &mut world);
            appends(&mut world);
        }
        let was_replaced = world.running_definition.present().is_some_and(|running| {
            let definition = running.definition.as_ref().expect("of our form");
            definition
                .container
                .command
                .windows(2)
                .any(|pair| pair == ["--appendonly", "yes"])
        });
        settle(&mut world);
        crash(&mut world);
        if !was_replaced {
            let plan = checked(&desired, &world);
            assert!(!calls(&plan).contains(&UPDATE), "after {crash_after}: {:?}", plan.steps);
        }
        converge(&desired, &mut world);
        assert!(checked(&desired, &world).is_converged(), "after {crash_after}");
    }
}

#[test]
fn a_file_that_cannot_be_written_keeps_the_server_and_the_way_back_is_open() {
    let desired = appending();
    let mut world = converged();
    act(&desired, &mut world);
    act(&desired, &mut world);
    server(&mut world).append_only = Some(AppendOnly {
        rewriting: false,
        last_rewrite_ok: false,
        last_write_ok: true,
    });
    let plan = checked(&desired, &world);
    assert_eq!(calls(&plan), Vec::<&str>::new());
    assert_eq!(in_the_way(&plan), ["Valkey Stalled AppendOnlyFailed"]);
    let back = self::desired();
    assert_eq!(told(&checked(&back, &world)), [("appendonly", "no")]);
    converge(&back, &mut world);
    assert!(checked(&back, &world).is_converged());
}

#[test]
fn without_a_server_that_serves_nothing_is_changed_over() {
    let desired = appending();
    let mut world = converged();
    act(&desired, &mut world);
    server(&mut world).loading = true;
    let plan = checked(&desired, &world);
    assert_eq!(calls(&plan), Vec::<&str>::new());
    assert_eq!(in_the_way(&plan), ["Valkey Waiting AppendOnlyByRestart"]);
    world.valkey = Fact::not_looked("valkey:INFO");
    world.tasks = Fact::Present(vec![stopped("OutOfMemoryError", Some(137))]);
    assert_eq!(calls(&checked(&desired, &world)), Vec::<&str>::new());
}

#[test]
fn it_is_switched_off_after_a_snapshot_of_the_same_process() {
    let mut world = appended();
    let desired = desired();
    server(&mut world).saves_started = 0;
    assert_eq!(
        act(&desired, &mut world),
        [SAVE],
        "the dump may be from before the append-only file"
    );
    settle(&mut world);
    assert_eq!(act(&desired, &mut world), [UPDATE]);
    settle(&mut world);
    assert_eq!(act(&desired, &mut world), [TAG]);
    let tags = &world.access_point.present().expect("an access point").tags;
    assert!(!tags.contains_key(TAG_APPEND_ONLY));
    assert!(checked(&desired, &world).is_converged());
}

#[test]
fn when_it_is_flushed_is_a_matter_of_tuning() {
    let mut world = appended();
    let mut desired = appending();
    if let Persistence::Mounted(snapshots) = &mut desired.persistence {
        snapshots.append_only = Some(AppendFsync::Always);
    }
    let calls = converge(&desired, &mut world).concat();
    assert!(calls.contains(&SET) && !calls.contains(&UPDATE), "{calls:?}");
    assert_eq!(
        world.server_settings.present().expect("settings")["appendfsync"],
        "always"
    );
}

#[test]
fn what_somebody_switched_off_by_hand_is_switched_on_again() {
    let mut world = appended();
    let settings = world.server_settings.present_mut().expect("settings");
    settings.insert("appendonly".into(), "no".into());
    appends(&mut world);
    assert_eq!(told(&checked(&appending(), &world)), [("appendonly", "yes")]);
}

#[test]
fn a_fresh_service_starts_with_it() {
    let mut world = fresh();
    converge(&appending(), &mut world);
    let running = world.running_definition.present().expect("a definition");
    let words = &running.definition.as_ref().expect("of our form").container.command;
    assert!(
        words.windows(2).any(|pair| pair == ["--appendonly", "yes"]),
        "{words:?}"
    );
}

#[test]
fn where_nothing_runs_the_directory_says_what_may_start() {
    let reason = |plan: &Plan| {
        let held = plan
            .holds
            .iter()
            .find(|hold| hold.reason == HoldReason::AppendOnlyByRestart);
        held.map(|hold| hold.message.clone())
    };
    let gone = |world: &mut Observed| {
        world.service = Fact::Absent;
        world.running_definition = Fact::Absent;
        world.tasks = Fact::Absent;
        world.valkey = Fact::not_looked("valkey:INFO");
    };
    let mut world = converged();
    let tags = &mut world.access_point.present_mut().expect("an access point").tags;
    tags.insert(TAG_WRITTEN_BY.into(), "valkey 8.0.1".into());
    gone(&mut world);
    let plan = checked(&appending(), &world);
    assert_eq!(calls(&plan), Vec::<&str>::new());
    assert!(reason(&plan).expect("stalled").contains("dump"));
    let mut world = appended();
    gone(&mut world);
    let plan = checked(&desired(), &world);
    assert_eq!(calls(&plan), Vec::<&str>::new());
    assert!(reason(&plan).expect("stalled").contains("append-only file"));
    assert!(calls(&checked(&appending(), &world)).contains(&"ecs:CreateService"));
}

#[test]
fn in_the_window_only_and_at_once_when_it_has_begun() {
    let mut desired = appending();
    desired.rollout.window = Some(Window::parse("0 2 * * *", 120, "UTC").expect("a window"));
    let mut world = converged();
    act(&desired, &mut world);
    let plan = checked(&desired, &world);
    assert_eq!(calls(&plan), Vec::<&str>::new());
    assert_eq!(in_the_way(&plan), ["Service Waiting OutsideWindow"]);
    let settings = world.server_settings.present_mut().expect("settings");
    settings.insert("appendonly".into(), "yes".into());
    appends(&mut world);
    assert_eq!(
        calls(&checked(&desired, &world)),
        [UPDATE],
        "the window ended in the middle"
    );
}

#[test]
fn the_critic_refuses_a_change_over_by_restart() {
    let desired = appending();
    let mut world = converged();
    act(&desired, &mut world);
    act(&desired, &mut world);
    appends(&mut world);
    let plan = checked(&desired, &world);
    assert_eq!(calls(&plan), [UPDATE]);
    let states = [
        None,
        Some(AppendOnly {
            rewriting: true,
            last_rewrite_ok: true,
            last_write_ok: true,
        }),
        Some(AppendOnly {
            rewriting: false,
            last_rewrite_ok: true,
            last_write_ok: false,
        }),
    ];
    for state in states {
        server(&mut world).append_only = state;
        let objections = critic(&desired, &world, &plan).expect_err("it must not");
        assert!(objections.iter().any(|objection| objection.rule == Rule::NotAppendOnly));
    }
}

#[test]
fn the_whole_way_is_foreseen() {
    let foreseen = forecast(&appending(), &converged(), now());
    let calls: Vec<&str> = foreseen.stages.iter().flat_map(calls).collect();
    assert_eq!(calls, [REGISTER, SET, UPDATE]);
}

#[test]
fn a_start_from_the_append_only_file_is_judged_by_the_keys_that_are_there() {
    let mut world = appended();
    // Valkey counts only the base of the file as loaded.
    let info = server(&mut world);
    (info.keys, info.keys_loaded) = (42, 3);
    let desired = appending();
    let plan = checked(&desired, &world);
    for (before, expected) in [(42, "Warm"), (43, "LoadedLess")] {
        let context = Context {
            now: now(),
            previous: Some(PreviousServer {
                run_id: "r0".into(),
                keys: before,
            }),
            drift: Vec::new(),
        };
        let assessment = assess(&desired, &world, &plan, &[], &context);
        let mut conditions = assessment.conditions.iter();
        let warm = conditions.find(|condition| condition.type_ == ConditionType::WarmStart);
        assert_eq!(warm.expect("it is told").reason, expected);
    }
}

#[test]
fn a_kill_is_told_to_lose_what_the_kind_of_file_that_is_loaded_again_does_not_have() {
    let reason = |desired: &Desired, world: &Observed| {
        let assessment = assess(desired, world, &checked(desired, world), &[], &Context::default());
        let mut conditions = assessment.conditions.into_iter();
        let healthy = conditions.find(|condition| condition.type_ == ConditionType::PersistenceHealthy);
        healthy
            .map(|condition| (condition.reason, condition.message))
            .expect("it is told")
    };
    let desired = appending();
    let mut world = appended();
    server(&mut world).changes_since_save = 7;
    assert_eq!(append_fsync(&desired, &world).as_deref(), Some("everysec"));
    let (told, message) = reason(&desired, &world);
    assert_eq!(told, "Appending");
    assert!(message.contains("everysec") && !message.contains('7'), "{message}");
    let file = server(&mut world).append_only.as_mut().expect("it appends");
    file.last_write_ok = false;
    assert_eq!(append_fsync(&desired, &world), None);
    assert_eq!(reason(&desired, &world).0, "AppendFailing");
    // Begun while it runs, and the definition starts from the dump still.
    let mut world = converged();
    server(&mut world).changes_since_save = 7;
    server(&mut world).append_only = Some(AppendOnly {
        rewriting: false,
        last_rewrite_ok: true,
        last_write_ok: true,
    });
    assert_eq!(append_fsync(&desired, &world), None);
    let (told, message) = reason(&self::desired(), &world);
    assert_eq!(told, "Saving");
    assert!(message.contains("7 changes"), "{message}");
}
