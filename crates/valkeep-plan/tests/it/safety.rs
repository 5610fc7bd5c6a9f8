//! What would lose or hide data is held, and the ways through work.

use crate::world::*;
use valkeep_core::desired::{Persistence, StaleDump};
use valkeep_core::identity::{TAG_DATA_FILE, TAG_SNAPSHOTS_ENDED};
use valkeep_core::observed::Rollout;
use valkeep_core::{Desired, Fact, HoldKind, HoldReason, Observed, Plan, Step, Timestamp, ValkeyInfo};
use valkeep_plan::fold;

fn stalled(plan: &Plan) -> Vec<HoldReason> {
    plan.holds
        .iter()
        .filter(|hold| hold.kind == HoldKind::Stalled)
        .map(|hold| hold.reason)
        .collect()
}

fn tag(world: &mut Observed, key: &str, value: &str) {
    let tags = &mut world.access_point.present_mut().expect("an access point").tags;
    tags.insert(key.into(), value.into());
}

fn ended(world: &Observed) -> Option<Timestamp> {
    world
        .access_point
        .present()?
        .tags
        .get(TAG_SNAPSHOTS_ENDED)
        .map(|text| at(text))
}

fn set_aside(mut desired: Desired) -> Desired {
    if let Persistence::Mounted(snapshots) = &mut desired.persistence {
        snapshots.stale_dump = StaleDump::SetAside;
    }
    desired
}

/// Does what is planned, without letting time pass.
fn act(desired: &Desired, world: &mut Observed) -> Vec<&'static str> {
    let mut aws = Aws::default();
    let mut done = Vec::new();
    for _ in 0..20 {
        let plan = checked(desired, world);
        if plan.steps.is_empty() {
            return done;
        }
        for step in &plan.steps {
            done.push(step.action());
            let answer = aws.answer(step);
            fold(world, step, &answer);
        }
    }
    panic!("no rest: {done:?}");
}

/// A server that has just started and has saved nothing since.
fn unsaved() -> ValkeyInfo {
    ValkeyInfo {
        saves_started: 0,
        last_save: at("2026-03-01T11:30:05Z"),
        changes_since_save: 7,
        ..info()
    }
}

#[test]
fn another_file_name_is_stalled_and_the_definition_stays() {
    let renamed = with_snapshots(|snapshots| snapshots.filename = "other.rdb".into());
    for unmarked in [false, true] {
        let mut world = converged();
        if unmarked {
            world
                .access_point
                .present_mut()
                .expect("one")
                .tags
                .remove(TAG_DATA_FILE);
        }
        let plan = checked(&renamed, &world);
        assert_eq!(stalled(&plan), [HoldReason::ImmutableField]);
        assert!(!calls(&plan).iter().any(|call| call.starts_with("ecs:")));
        act(&renamed, &mut world);
        assert_eq!(
            world
                .access_point
                .present()
                .and_then(|found| found.tags.get(TAG_DATA_FILE))
                .map(String::as_str),
            Some("dump.rdb")
        );
    }
}

#[test]
fn the_end_of_snapshots_is_marked_before_it_happens() {
    for without in [off(), disabled(), set_aside(off())] {
        let mut world = converged();
        let first = checked(&without, &world);
        assert!(
            first
                .steps
                .iter()
                .any(|step| matches!(step, Step::Tag { set, .. } if set.contains_key(TAG_SNAPSHOTS_ENDED)))
        );
        assert!(
            !first
                .steps
                .iter()
                .any(|step| matches!(step, Step::UpdateService { .. }))
        );
        let done = act(&without, &mut world);
        assert_eq!(done.last(), Some(&"ecs:UpdateService"));
        assert_eq!(ended(&world), Some(now()));
        converge(&without, &mut world);
        assert!(checked(&without, &world).is_converged());
    }
}

#[test]
fn an_access_point_that_cannot_be_seen_keeps_snapshots_from_ending() {
    let mut world = converged();
    world.access_point = Fact::not_looked("elasticfilesystem:DescribeAccessPoints");
    let done = act(&disabled(), &mut world);
    assert_eq!(done, ["ecs:RegisterTaskDefinition"]);
    assert!(
        checked(&disabled(), &world)
            .holds
            .iter()
            .any(|hold| hold.message.contains("snapshots end"))
    );
}

#[test]
fn the_mark_moves_up_to_the_start_of_the_server_that_saves_nothing() {
    let mut world = converged_for(&off());
    tag(&mut world, TAG_SNAPSHOTS_ENDED, "2026-03-01T11:00:00Z");
    world.valkey = Fact::Present(unsaved());
    assert_eq!(act(&off(), &mut world), ["elasticfilesystem:TagResource"]);
    assert_eq!(ended(&world), Some(at("2026-03-01T11:30:05Z")));

    let mut world = converged_for(&disabled());
    assert_eq!(
        act(&disabled(), &mut world),
        Vec::<&str>::new(),
        "no access point was ever made"
    );

    let mut world = converged();
    converge(&disabled(), &mut world);
    tag(&mut world, TAG_SNAPSHOTS_ENDED, "2026-03-01T11:00:00Z");
    assert_eq!(act(&disabled(), &mut world), ["elasticfilesystem:TagResource"]);
    assert_eq!(ended(&world), Some(now()));
}

#[test]
fn the_mark_never_moves_while_a_saving_server_may_still_write() {
    let mut world = converged_for(&off());
    tag(&mut world, TAG_SNAPSHOTS_ENDED, "2026-03-01T11:00:00Z");
    world.valkey = Fact::Present(unsaved());
    let mut stopping = task("arn:old");
    stopping.desired_status = "STOPPED".into();
    world.tasks.present_mut().expect("tasks").push(stopping);
    assert_eq!(act(&off(), &mut world), Vec::<&str>::new());
}

#[test]
fn a_return_waits_while_the_server_holds_what_it_does_not_save() {
    for without in [off(), disabled()] {
        for valkey in [Fact::Present(unsaved()), Fact::not_looked("valkey:INFO")] {
            let mut world = converged();
            converge(&without, &mut world);
            world.valkey = valkey;
            act(&without, &mut world);
            let plan = checked(&desired(), &world);
            assert_eq!(stalled(&plan), [HoldReason::StaleDump], "{without:?}");
            assert!(!calls(&plan).contains(&"ecs:UpdateService"));
            let hint = plan
                .holds
                .iter()
                .find_map(|hold| hold.hint.clone().filter(|_| hold.reason == HoldReason::StaleDump));
            let hint = hint.expect("a hint");
            assert!(hint.contains("SetAside") && hint.contains("load-stale-dump: cache"));
            assert_eq!(hint.contains("BGSAVE"), without == off());
        }
    }
}

#[test]
fn a_return_goes_on_when_the_server_has_saved_by_itself() {
    let mut world = converged();
    converge(&off(), &mut world);
    world.valkey = Fact::Present(ValkeyInfo {
        last_save: at("2026-03-01T12:00:30Z"),
        ..info()
    });
    let done = act(&desired(), &mut world);
    assert!(done.contains(&"ecs:UpdateService"), "{done:?}");
    // And when the saving server has written a snapshot, the mark goes.
    settle(&mut world);
    world.valkey = Fact::Present(ValkeyInfo {
        last_save: at("2026-03-01T12:10:00Z"),
        ..info()
    });
    act(&desired(), &mut world);
    assert_eq!(ended(&world), None);
    assert!(checked(&desired(), &world).is_converged());
}

#[test]
fn a_return_goes_on_when_the_document_says_which_to_keep() {
    let load = Desired {
        load_stale_dump: true,
        ..desired()
    };
    for back in [load, set_aside(desired())] {
        for without in [off(), disabled()] {
            let mut world = converged();
            converge(&without, &mut world);
            world.valkey = Fact::Present(unsaved());
            let done = act(&back, &mut world);
            assert!(done.contains(&"ecs:UpdateService"), "{done:?}");
            let before = world
                .running_definition
                .present()
                .and_then(|running| running.definition.as_ref())
                .and_then(|definition| {
                    definition
                        .container
                        .environment
                        .get("VALKEEP_SET_ASIDE_BEFORE")
                        .cloned()
                });
            assert_eq!(before.is_some(), !back.load_stale_dump);
            // The mark stands in the definition now, and nothing moves it: it never rolls the service again.
            for saved in ["2026-03-01T12:10:00Z", "2026-03-01T13:10:00Z"] {
                settle(&mut world);
                world.valkey = Fact::Present(ValkeyInfo {
                    last_save: at(saved),
                    ..info()
                });
                assert!(!act(&back, &mut world).contains(&"ecs:UpdateService"));
            }
            assert!(checked(&back, &world).is_converged());
        }
    }
}

#[test]
fn a_restart_under_off_never_changes_the_definition_by_itself() {
    let desired = set_aside(off());
    let mut world = converged();
    converge(&desired, &mut world);
    for start in ["2026-03-01T12:10:00Z", "2026-03-01T13:10:00Z"] {
        world.tasks.present_mut().expect("tasks")[0].started_at = Some(at(start));
        world.valkey = Fact::Present(ValkeyInfo {
            last_save: at(start),
            ..unsaved()
        });
        assert_eq!(act(&desired, &mut world), Vec::<&str>::new());
    }
}

#[test]
fn nothing_is_lost_by_a_return_where_no_server_runs() {
    let mut world = converged();
    converge(&off(), &mut world);
    world.valkey = Fact::not_looked("valkey:INFO");
    let service = world.service.present_mut().expect("a service");
    service.desired = 0;
    service.running = 0;
    world.tasks = Fact::Present(Vec::new());
    assert_eq!(stalled(&checked(&desired(), &world)), []);
}

#[test]
fn disabled_persistence_leaves_the_storage_as_it_is() {
    let mut world = converged();
    converge(&disabled(), &mut world);
    world.lifecycle = Fact::Present(None);
    world.mount_targets = Fact::Present(Vec::new());
    world.security_group = Fact::Absent;
    world.role_policy = Fact::Absent;
    let plan = checked(&disabled(), &world);
    assert!(plan.is_converged(), "{plan:#?}");
    let definition = world
        .running_definition
        .present()
        .and_then(|running| running.definition.clone());
    let definition = definition.expect("content");
    assert_eq!(definition.volume, None);
    assert_eq!(definition.container.entry_point, ["valkey-server"]);
    assert_eq!(definition.container.command[..2], ["--save", ""]);
    assert_eq!(definition.container.user.as_deref(), Some("1000:1000"));
}

#[test]
fn an_unfinished_rollout_does_not_look_like_a_running_one() {
    let mut world = converged_for(&off());
    tag(&mut world, TAG_SNAPSHOTS_ENDED, "2026-03-01T11:00:00Z");
    world.valkey = Fact::Present(unsaved());
    world.service.present_mut().expect("one").deployments[0].rollout = Rollout::InProgress;
    assert_eq!(act(&off(), &mut world), Vec::<&str>::new());
}
