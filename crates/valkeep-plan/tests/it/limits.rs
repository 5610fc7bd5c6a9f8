//! What the operator does not permit is held whole, and refused a second time by the critic.

use crate::world::*;
use valkeep_core::limits::{Allowed, Kind, Limits, Pattern};
use valkeep_core::place::{AssumedRole, RoleArn};
use valkeep_core::{ConditionStatus, ConditionType, Desired, HoldKind, HoldReason, Observed, Plan, Resource};
use valkeep_plan::{Context, Rule, assess, critic, forecast, is_permitted, plan};

fn only(patterns: &[&str]) -> Allowed {
    Allowed::only(
        patterns
            .iter()
            .map(|text| Pattern::parse(text).expect("a pattern"))
            .collect(),
    )
}

/// Everything that the document of these tests names.
fn just_enough() -> Limits {
    Limits {
        clusters: only(&["cluster"]),
        roles: only(&["task-*", "execution"]),
        assume_roles: only(&["arn:aws:iam::123456789012:role/*"]),
        security_groups: only(&[TASK_GROUP, BASTION]),
        images: only(&["valkey/valkey:*"]),
        regions: only(&["eu-*"]),
    }
}

/// The document of these tests; valkeep takes on a role for it.
fn with(limits: Limits) -> Desired {
    let mut desired = desired();
    desired.place.role = Some(AssumedRole {
        arn: RoleArn::parse("arn:aws:iam::123456789012:role/valkeep").expect("an ARN"),
        external_id: None,
    });
    Desired { limits, ..desired }
}

#[test]
fn a_document_within_the_limits_converges_as_if_there_were_none() {
    assert_eq!(
        converge(&with(just_enough()), &mut fresh()),
        converge(&desired(), &mut fresh())
    );
}

#[test]
fn a_document_outside_is_held_once_for_each_value_and_gets_no_step() {
    let fields = [
        (Kind::Cluster, Resource::Cluster, vec!["spec.cluster"]),
        (
            Kind::Role,
            Resource::Role,
            vec!["spec.taskRole.name", "spec.service.create.executionRoleArn"],
        ),
        (Kind::AssumedRole, Resource::Cluster, vec!["spec.assumeRoleArn"]),
        (
            Kind::SecurityGroup,
            Resource::Network,
            vec![
                "spec.network.taskSecurityGroupIds[0]",
                "spec.network.maintenanceSecurityGroupIds[0]",
            ],
        ),
        (Kind::Image, Resource::TaskDefinition, vec!["spec.service.create.image"]),
        (Kind::Region, Resource::Cluster, vec!["spec.region"]),
    ];
    for (kind, resource, fields) in fields {
        let mut limits = just_enough();
        *limits.of_mut(kind) = only(&["other", "another-*"]);
        let desired = with(limits);
        assert!(!is_permitted(&desired), "{kind}");
        for world in [fresh(), converged()] {
            let plan = checked(&desired, &world);
            assert!(plan.steps.is_empty(), "{kind}");
            assert_eq!(plan.holds.len(), fields.len(), "{kind}");
            assert_eq!(plan.holds[0].resource, resource);
            for (hold, field) in plan.holds.iter().zip(&fields) {
                assert_eq!((hold.kind, hold.reason), (HoldKind::Stalled, HoldReason::NotPermitted));
                assert!(hold.message.starts_with(field), "{}", hold.message);
                assert!(hold.message.contains("permits other and another-*"), "{}", hold.message);
                let hint = hold.hint.as_deref().expect("a next step");
                assert!(hint.contains(kind.flag()) && hint.contains(kind.setting()), "{hint}");
            }
            assert_eq!(plan.retry_at, None);
            let forecast = forecast(&desired, &world, now());
            assert!(!forecast.has_steps() && forecast.left == plan.holds, "{kind}");
        }
    }
}

#[test]
fn nothing_is_said_to_be_as_desired_while_nothing_is_looked_at() {
    let desired = with(Limits {
        images: only(&["registry.example.com/*"]),
        ..Limits::default()
    });
    let world = Observed::nothing();
    let plan = checked(&desired, &world);
    let said = assess(
        &desired,
        &world,
        &plan,
        &[],
        &Context {
            now: now(),
            ..Context::default()
        },
    );
    for condition in &said.conditions {
        let wanted = match condition.type_ {
            ConditionType::DocumentValid | ConditionType::Stalled => ConditionStatus::True,
            ConditionType::Ready
            | ConditionType::Reconciling
            | ConditionType::TaskDefinitionReady
            | ConditionType::DriftDetected
            | ConditionType::RestartPending => ConditionStatus::False,
            _ => ConditionStatus::Unknown,
        };
        assert_eq!(condition.status, wanted, "{condition:?}");
        if wanted == ConditionStatus::Unknown && condition.type_ != ConditionType::WarmStart {
            assert_eq!(condition.reason, "NotPermitted", "{condition:?}");
        }
    }
}

#[test]
fn the_critic_refuses_every_stage_of_a_way_that_leads_outside() {
    let open = desired();
    let mut stages = vec![(fresh(), plan(&open, &fresh(), now()))];
    let mut world = fresh();
    let mut aws = Aws::default();
    for _ in 0..20 {
        let next = plan(&open, &world, now());
        if next.steps.is_empty() {
            settle(&mut world);
        }
        for step in &next.steps {
            valkeep_plan::fold(&mut world, step, &aws.answer(step));
        }
        stages.push((world.clone(), plan(&open, &world, now())));
    }
    let mut refused = 0;
    for kind in Kind::ALL {
        let mut limits = just_enough();
        *limits.of_mut(kind) = only(&["other"]);
        let shut = with(limits);
        let objected: Vec<bool> = stages
            .iter()
            .filter(|(_, plan)| !plan.steps.is_empty())
            .map(|(world, plan)| objects(&shut, world, plan))
            .collect();
        // What has no name of its own is made in a place; a role, a group or an image is named by some steps only.
        match kind {
            Kind::Cluster | Kind::Region | Kind::AssumedRole => {
                assert!(objected.iter().all(|refused| *refused), "{kind}");
            }
            Kind::Role | Kind::SecurityGroup | Kind::Image => assert!(objected.contains(&true), "{kind}"),
        }
        refused += objected.iter().filter(|refused| **refused).count();
        let permitted = with(just_enough());
        assert!(stages.iter().all(|(world, plan)| !objects(&permitted, world, plan)));
    }
    assert!(refused > 10, "{refused}");
}

fn objects(desired: &Desired, world: &Observed, plan: &Plan) -> bool {
    match critic(desired, world, plan) {
        Ok(()) => false,
        Err(objections) => {
            assert!(
                objections.iter().all(|one| one.rule == Rule::WithinLimits),
                "{objections:?}"
            );
            true
        }
    }
}
