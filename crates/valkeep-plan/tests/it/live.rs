//! What the server takes while it runs.

use crate::world::*;
use valkeep_core::desired::Persistence;
use valkeep_core::valkey::{MaxmemoryPolicy, SavePoints, SaveRule};
use valkeep_core::{Desired, Doubt, DoubtKind, Fact, HoldReason, Observed, Window};

const REGISTER: &str = "ecs:RegisterTaskDefinition";
const UPDATE: &str = "ecs:UpdateService";
const SET: &str = "valkey:CONFIG SET";

fn tuned() -> Desired {
    let mut desired = desired();
    if let Persistence::Mounted(snapshots) = &mut desired.persistence {
        snapshots.save = SavePoints(vec![SaveRule {
            seconds: 60,
            changes: 1,
        }]);
        snapshots.compression = false;
        snapshots.stop_writes_on_error = true;
    }
    desired.server.maxmemory_bytes = Some(300 << 20);
    desired.server.maxmemory_policy = Some(MaxmemoryPolicy::AllkeysLru);
    desired
}

fn setting<'a>(world: &'a mut Observed, name: &str) -> &'a mut String {
    let settings = world.server_settings.present_mut().expect("settings");
    settings.get_mut(name).expect("the setting")
}

#[test]
fn tuning_is_set_at_once_and_restarts_nothing() {
    let desired = tuned();
    let mut world = converged();
    let stages = converge(&desired, &mut world);
    assert_eq!(stages.len(), 1, "{stages:?}");
    let calls = stages.concat();
    assert_eq!(calls.iter().filter(|call| **call == SET).count(), 5, "{calls:?}");
    assert_eq!(calls.iter().filter(|call| **call == REGISTER).count(), 1, "{calls:?}");
    assert_eq!(setting(&mut world, "save"), "60 1");
    assert_eq!(setting(&mut world, "rdbcompression"), "no");
    assert_eq!(setting(&mut world, "stop-writes-on-bgsave-error"), "yes");
    assert_eq!(setting(&mut world, "maxmemory"), "314572800");
    assert_eq!(setting(&mut world, "maxmemory-policy"), "allkeys-lru");
    let plan = checked(&desired, &world);
    assert!(plan.is_converged());
    assert!(plan.holds.iter().any(|hold| hold.reason == HoldReason::RestartPending));
}

#[test]
fn the_new_definition_comes_with_the_next_replacement() {
    let mut desired = tuned();
    let mut world = converged();
    converge(&desired, &mut world);
    desired.restart = Some("now".into());
    assert_eq!(converge(&desired, &mut world).concat(), [REGISTER, UPDATE]);
    let plan = checked(&desired, &world);
    assert!(plan.holds.iter().all(|hold| hold.reason != HoldReason::RestartPending));
}

#[test]
fn or_in_the_window() {
    let mut desired = tuned();
    desired.rollout.window = Some(Window::parse("0 2 * * *", 120, "UTC").expect("a window"));
    let mut world = converged();
    converge(&desired, &mut world);
    let plan = checked(&desired, &world);
    let pending = plan.holds.iter().find(|hold| hold.reason == HoldReason::RestartPending);
    let message = &pending.expect("it waits").message;
    assert!(message.contains("2026-03-02T02:00:00Z"), "{message}");
    let open = checked_at(&desired, &world, at("2026-03-02T03:59:59Z"));
    assert_eq!(calls(&open), [UPDATE]);
}

#[test]
fn or_at_once_where_the_document_asks_for_it() {
    let mut desired = tuned();
    desired.rollout.live_only = false;
    let mut world = converged();
    let calls = converge(&desired, &mut world).concat();
    assert!(calls.contains(&UPDATE), "{calls:?}");
}

#[test]
fn what_somebody_changed_by_hand_or_a_restart_undid_is_set_again() {
    let desired = desired();
    let mut world = converged();
    *setting(&mut world, "save") = String::new();
    *setting(&mut world, "rdbcompression") = "no".into();
    assert_eq!(converge(&desired, &mut world).concat(), [SET, SET]);
    *setting(&mut world, "maxmemory") = "1000".into();
    *setting(&mut world, "appendfsync") = "no".into();
    assert!(
        checked(&desired, &world).is_converged(),
        "what the document does not say is left to whoever set it"
    );
}

#[test]
fn a_new_way_to_start_the_server_restarts_no_fleet() {
    let desired = desired();
    let mut world = converged();
    // As an older valkeep rendered it.
    rewrite(&mut world, |running| {
        let definition = running.definition.as_mut().expect("of our form");
        definition.container.entry_point[2] = "exec 9>>$1/.valkeep.lock; flock 9; shift; exec \"$@\"".into();
        definition.container.health_check.interval_s += 1;
    });
    assert_eq!(converge(&desired, &mut world).concat(), [REGISTER]);
    let plan = checked(&desired, &world);
    assert!(plan.is_converged());
    assert!(plan.holds.iter().any(|hold| hold.reason == HoldReason::RestartPending));
}

#[test]
fn settings_are_left_alone_while_the_server_is_being_replaced() {
    let desired = desired();
    let mut world = converged();
    *setting(&mut world, "save") = String::new();
    let service = world.service.present_mut().expect("a service");
    let mut before = service.deployments[0].clone();
    before.primary = false;
    service.deployments.push(before);
    assert_eq!(calls(&checked(&desired, &world)), Vec::<&str>::new());
}

#[test]
fn snapshots_on_or_off_is_no_matter_of_tuning() {
    let mut off = desired();
    if let Persistence::Mounted(snapshots) = &mut off.persistence {
        snapshots.save = SavePoints::default();
    }
    let mut world = converged();
    let calls = converge(&off, &mut world).concat();
    assert!(calls.contains(&UPDATE) && !calls.contains(&SET), "{calls:?}");
}

#[test]
fn settings_that_cannot_be_read_are_said() {
    let mut world = converged();
    world.server_settings = Fact::Unknown(Doubt {
        kind: DoubtKind::Other,
        call: "valkey:CONFIG GET".into(),
        message: "NOPERM".into(),
    });
    let plan = checked(&desired(), &world);
    assert_eq!(in_the_way(&plan), ["Valkey Unknown CallFailed"]);
}
