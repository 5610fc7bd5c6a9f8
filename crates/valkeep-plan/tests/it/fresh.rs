//! From nothing to a running service, and the same once more.

use crate::world::*;
use valkeep_core::observed::LifeCycle;
use valkeep_core::{Fact, HoldReason, Observed, Step, Timestamp};
use valkeep_plan::{Forecast, critic, fold, forecast, imagine};

#[test]
fn a_fresh_document_goes_the_whole_way_and_comes_to_rest() {
    let mut world = fresh();
    let stages = converge(&desired(), &mut world);
    assert_eq!(
        stages,
        vec![
            vec![
                "ec2:CreateSecurityGroup",
                "elasticfilesystem:CreateFileSystem",
                "logs:CreateLogGroup"
            ],
            vec!["ec2:AuthorizeSecurityGroupIngress", "ec2:AuthorizeSecurityGroupIngress"],
            vec![
                "elasticfilesystem:PutLifecycleConfiguration",
                "elasticfilesystem:CreateMountTarget",
                "elasticfilesystem:CreateMountTarget",
                "elasticfilesystem:CreateAccessPoint"
            ],
            vec!["iam:PutRolePolicy", "ecs:RegisterTaskDefinition"],
            vec!["ecs:CreateService"],
            vec!["ecs:UpdateService"],
        ]
    );
    let plan = checked(&desired(), &world);
    assert!(plan.is_converged(), "{:?}", in_the_way(&plan));
    assert_eq!(world.service.present().map(|service| service.desired), Some(1));
}

#[test]
fn a_forecast_of_a_fresh_document_shows_the_whole_way_with_unknown_ids() {
    let Forecast { stages, left } = forecast(&desired(), &fresh(), now());
    let steps: Vec<&Step> = stages.iter().flat_map(|stage| &stage.steps).collect();
    assert_eq!(steps.len(), 13, "{steps:#?}");
    assert!(matches!(steps.last(), Some(Step::StartService { .. })));
    assert!(
        steps
            .iter()
            .any(|step| matches!(step, Step::CreateAccessPoint { file_system, .. } if !file_system.is_known()))
    );
    assert!(
        left.iter().all(|hold| hold.kind == valkeep_core::HoldKind::Notice),
        "{left:#?}"
    );
}

#[test]
fn every_stage_of_a_forecast_passes_the_critic() {
    for desired in [desired(), off(), disabled(), enforced()] {
        let mut world = fresh();
        for stage in forecast(&desired, &fresh(), now()).stages {
            // The forecast settles the world between stages as this does.
            critic(&desired, &world, &stage).expect("no objection");
            for step in &stage.steps {
                fold(&mut world, step, &imagine(step));
            }
            settle(&mut world);
        }
        assert!(checked(&desired, &world).is_converged());
    }
}

fn enforced() -> valkeep_core::Desired {
    let mut desired = desired();
    desired.file_system.enforce_tls_and_iam = true;
    desired
}

#[test]
fn the_policy_comes_after_the_access_point_and_the_role() {
    let mut world = fresh();
    let stages = converge(&enforced(), &mut world);
    let put = stages
        .iter()
        .position(|stage| stage.contains(&"elasticfilesystem:PutFileSystemPolicy"))
        .expect("a policy is put");
    let role = stages
        .iter()
        .position(|stage| stage.contains(&"iam:PutRolePolicy"))
        .expect("a role policy");
    assert!(put > role);
    let stages = converge(&desired(), &mut world);
    assert_eq!(stages, vec![vec!["elasticfilesystem:DeleteFileSystemPolicy"]]);
    assert!(checked(&desired(), &world).is_converged());
}

#[test]
fn nothing_is_planned_on_nothing_seen() {
    let plan = checked(&desired(), &Observed::nothing());
    assert_eq!(calls(&plan), Vec::<&str>::new());
    assert!(!plan.is_converged());
}

#[test]
fn the_service_waits_for_the_dns_names_of_its_mount_targets() {
    let mut world = fresh();
    converge(&desired(), &mut world);
    let attached: Timestamp = at("2026-03-01T11:59:30Z");
    for target in world.mount_targets.present_mut().into_iter().flatten() {
        target.attached_at = Some(attached);
    }
    let service = world.service.present_mut().expect("a service");
    service.desired = 0;
    service.running = 0;
    service
        .tags
        .insert(valkeep_core::identity::TAG_STARTING.into(), "true".into());
    world.tasks = Fact::Present(Vec::new());
    let plan = checked(&desired(), &world);
    assert_eq!(calls(&plan), Vec::<&str>::new());
    let grace = plan
        .holds
        .iter()
        .find(|hold| hold.reason == HoldReason::DnsGrace)
        .expect("a hold");
    assert_eq!(grace.until, Some(at("2026-03-01T12:01:00Z")));
    assert_eq!(plan.retry_at, grace.until);
    let plan = checked_at(&desired(), &world, at("2026-03-01T12:01:00Z"));
    assert_eq!(calls(&plan), ["ecs:UpdateService"]);
}

#[test]
fn a_mount_target_that_is_being_made_is_waited_for() {
    let mut world = converged();
    world.mount_targets.present_mut().expect("targets")[0].state = LifeCycle::Creating;
    let plan = checked(&desired(), &world);
    assert_eq!(in_the_way(&plan), ["MountTarget Waiting Creating"]);
    assert!(plan.retry_at.is_some());
}

#[test]
fn equal_worlds_give_equal_plans() {
    assert_eq!(checked(&desired(), &fresh()), checked(&desired(), &fresh()));
    assert_eq!(checked(&off(), &converged()), checked(&off(), &converged()));
}

#[test]
fn there_and_back_again_ends_where_it_began() {
    let mut frequent = with_snapshots(|snapshots| snapshots.save.0.truncate(1));
    made(&mut frequent).task.memory_mib = 1024;
    frequent.file_system.transition_to_ia = None;
    frequent.network.maintenance_groups.clear();
    let start = converged();
    let mut world = start.clone();
    assert!(!converge(&frequent, &mut world).is_empty());
    assert!(checked(&frequent, &world).is_converged());
    let back = converge(&desired(), &mut world);
    // The revision of before is found again by its hash.
    assert!(
        !back.iter().flatten().any(|call| *call == "ecs:RegisterTaskDefinition"),
        "{back:?}"
    );
    assert!(checked(&desired(), &world).is_converged());
    assert_eq!(
        world.service.present().map(|service| &service.task_definition),
        start.service.present().map(|service| &service.task_definition)
    );
}
