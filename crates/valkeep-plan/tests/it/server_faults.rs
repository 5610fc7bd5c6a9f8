//! What is said of a server that hangs, is killed, or goes by another clock.

use crate::world::*;
use valkeep_core::observed::{Rollout, Task};
use valkeep_core::{Condition, ConditionType, Desired, Fact, Hold, HoldReason, Observed, Plan, ValkeyInfo};
use valkeep_plan::{Context, assess};

const UPDATE: &str = "ecs:UpdateService";

/// A document that wants another task, and a world in which all that is left is to replace it.
fn waiting() -> (Desired, Observed) {
    let mut desired = desired();
    made(&mut desired).task.memory_mib = 1024;
    let mut world = converged();
    assert_eq!(act(&desired, &mut world), ["ecs:RegisterTaskDefinition"]);
    server(&mut world).changes_since_save = 7;
    (desired, world)
}

fn condition(desired: &Desired, world: &Observed, type_: ConditionType) -> Condition {
    let plan = checked(desired, world);
    let context = Context {
        now: now(),
        ..Context::default()
    };
    let conditions = assess(desired, world, &plan, &[], &context).conditions;
    let mut found = conditions.into_iter().filter(|condition| condition.type_ == type_);
    found.next().expect("every condition is written")
}

fn held(plan: &Plan, reason: HoldReason) -> &Hold {
    let mut holds = plan.holds.iter();
    holds.find(|hold| hold.reason == reason).expect("it is held")
}

fn saves_for(info: &mut ValkeyInfo, last: Option<u64>, so_far: u64) {
    (info.saving, info.saving_for_s, info.last_save_duration_s) = (true, Some(so_far), last);
}

#[test]
fn a_snapshot_that_does_not_end_is_told_with_a_way_out() {
    let (mut desired, mut world) = waiting();
    // By the last one, and by 3000 MiB of memory at 50 MiB/s where there was none.
    for (last, most) in [(Some(0), 20), (Some(10), 50), (None, 200)] {
        server(&mut world).used_memory = 3000 << 20;
        saves_for(server(&mut world), last, most);
        assert_eq!(in_the_way(&checked(&desired, &world)), ["Valkey Waiting Snapshotting"]);
        saves_for(server(&mut world), last, most + 1);
        let plan = checked(&desired, &world);
        assert_eq!(calls(&plan), Vec::<&str>::new());
        assert_eq!(in_the_way(&plan), ["Valkey Stalled SnapshotHangs"]);
        let hold = held(&plan, HoldReason::SnapshotHangs);
        assert!(
            hold.message.contains(&format!("for more than {most} s")),
            "{}",
            hold.message
        );
        let hint = hold.hint.as_deref().expect("a way out");
        assert!(
            hint.contains("BurstCreditBalance") && hint.contains("requireSnapshot: false"),
            "{hint}"
        );
    }
    let health = condition(&desired, &world, ConditionType::PersistenceHealthy);
    assert_eq!(health.reason, "SaveHangs");
    assert!(
        health.message.contains("7 changes are not saved (hint: "),
        "{}",
        health.message
    );
    desired.rollout.require_snapshot = false;
    assert_eq!(calls(&checked(&desired, &world)), [UPDATE]);
}

#[test]
fn a_snapshot_that_failed_is_told_while_another_one_is_tried() {
    let (desired, mut world) = waiting();
    server(&mut world).last_save_ok = false;
    saves_for(server(&mut world), Some(0), 1);
    assert_eq!(
        in_the_way(&checked(&desired, &world)),
        ["Valkey Stalled SnapshotFailed"]
    );
}

#[test]
fn a_snapshot_is_overdue_by_the_servers_own_clock() {
    let desired = desired();
    let mut world = converged();
    let info = server(&mut world);
    info.changes_since_save = 1;
    // Its clock is an hour ahead of valkeep's, by which the last snapshot is still to come.
    info.time = at("2026-03-01T13:00:00Z");
    info.last_save = at("2026-03-01T12:01:00Z");
    let health = condition(&desired, &world, ConditionType::PersistenceHealthy);
    assert_eq!(health.reason, "SaveOverdue");
    server(&mut world).last_save = at("2026-03-01T12:59:00Z");
    let health = condition(&desired, &world, ConditionType::PersistenceHealthy);
    assert_eq!(health.reason, "Saving");
}

#[test]
fn clocks_that_differ_are_told_and_nothing_waits_for_them() {
    let (desired, mut world) = waiting();
    for (time, words) in [
        ("2026-03-01T11:00:00Z", Some("60 min ahead of the server's")),
        ("2026-03-01T11:51:00Z", None),
        ("2026-03-02T12:00:00Z", Some("1440 min behind the server's")),
    ] {
        let info = server(&mut world);
        info.time = at(time);
        info.last_save = info.time;
        let plan = checked(&desired, &world);
        assert_eq!(calls(&plan), [UPDATE], "the snapshot is fresh by the server's clock");
        let warning = plan
            .holds
            .iter()
            .find(|hold| hold.message.contains("valkeep's clock is"));
        match words {
            Some(words) => {
                let warning = warning.expect("it is told");
                assert!(warning.message.contains(words), "{}", warning.message);
                assert!(warning.hint.is_some());
            }
            None => assert!(warning.is_none(), "as far apart as a pass may be long"),
        }
    }
}

/// The old task of a service that is being replaced.
fn old(world: &Observed) -> Task {
    let running = world.tasks.present().expect("tasks")[0].clone();
    Task {
        arn: "arn:aws:ecs:eu-west-1:123456789012:task/cluster/0".into(),
        desired_status: "STOPPED".into(),
        stopping_at: Some(at("2026-03-01T11:58:00.5Z")),
        stop_code: Some("ServiceSchedulerInitiated".into()),
        stopped_reason: Some("Scaling activity initiated by deployment ecs-svc/1".into()),
        ..running
    }
}

#[test]
fn a_task_that_does_not_end_is_told_with_what_becomes_of_it() {
    let desired = desired();
    let mut world = converged();
    let ending = Task {
        last_status: "STOPPING".into(),
        ..old(&world)
    };
    let service = world.service.present_mut().expect("a service");
    (service.running, service.deployments[0].rollout) = (0, Rollout::InProgress);
    world.tasks = Fact::Present(vec![ending]);
    world.valkey = Fact::not_looked("valkey:INFO");
    let stable = condition(&desired, &world, ConditionType::ServiceStable);
    assert_eq!(stable.reason, "RollingOut");
    for words in [
        "its task 0 was told at 2026-03-01T11:58:00Z to end",
        "(hint: ",
        "kills it after the stop timeout",
    ] {
        assert!(stable.message.contains(words), "{}", stable.message);
    }
}

#[test]
fn writes_stay_kept_out_while_the_snapshot_is_written_and_are_let_in_where_it_does_not_come() {
    let (desired, mut world) = waiting();
    let settings = world.server_settings.present_mut().expect("settings");
    settings.insert("min-replicas-to-write".into(), valkeep_core::valkey::fence(now()));
    saves_for(server(&mut world), Some(100), 10);
    assert_eq!(calls(&checked(&desired, &world)), Vec::<&str>::new());
    saves_for(server(&mut world), Some(100), 1000);
    assert_eq!(calls(&checked(&desired, &world)), ["valkey:CONFIG SET"], "it hangs");
    saves_for(server(&mut world), Some(100), 10);
    server(&mut world).last_save_ok = false;
    assert_eq!(calls(&checked(&desired, &world)), ["valkey:CONFIG SET"], "it failed");
}

#[test]
fn names_that_were_given_in_the_future_are_not_waited_for() {
    let (desired, mut world) = waiting();
    for (attached, calls_then) in [
        ("2026-03-01T12:00:01Z", [].as_slice()),
        // A clock that is a day behind would wait as long.
        ("2026-03-02T12:00:00Z", &["valkey:BGSAVE"]),
    ] {
        for target in world.mount_targets.present_mut().expect("targets") {
            target.attached_at = Some(at(attached));
        }
        assert_eq!(calls(&checked(&desired, &world)), calls_then, "{attached}");
    }
}

/// The counts of a service and its tasks are read apart.
#[test]
fn a_task_that_is_counted_and_gone_is_looked_for_again_soon() {
    let desired = desired();
    let mut world = converged();
    world.tasks = Fact::Present(Vec::new());
    world.valkey = Fact::not_looked("valkey:INFO");
    let plan = checked(&desired, &world);
    assert_eq!(in_the_way(&plan), ["Service Waiting RollingOut"]);
    assert!(
        plan.retry_at
            .is_some_and(|at| at <= now() + jiff::SignedDuration::from_mins(1))
    );
}
