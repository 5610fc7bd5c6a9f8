//! Services that somebody else makes: what is laid over their definitions, and in which order they are taken over.

use crate::world::*;
use serde_json::{Value, json};
use std::path::Path;
use valkeep_core::desired::{Adopted, FirstTransition, Origin};
use valkeep_core::identity::{TAG_ADOPTED, TAG_BASE, TAG_STARTING};
use valkeep_core::limits::{Allowed, Pattern};
use valkeep_core::observed::{
    Deployment, ObservedDefinition, Rollout, ScalingTarget, Service, ServiceKind, ServiceSettings, ServiceStatus,
};
use valkeep_core::task_definition::EfsVolume;
use valkeep_core::{Desired, Fact, HoldReason, Observed, RawDefinition, Step, Tags};
use valkeep_plan::overlay::{Overlay, lay_over, take_off};
use valkeep_plan::{Rule, critic, fold, plan};

pub(crate) const BASE: &str = "arn:aws:ecs:eu-west-1:123456789012:task-definition/cache:7";

/// Every definition of the corpus, with its file's name.
pub(crate) fn corpus() -> Vec<(String, RawDefinition)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/definitions");
    let mut found: Vec<(String, RawDefinition)> = std::fs::read_dir(&folder)
        .expect("the corpus")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("readable");
            let file: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let raw = RawDefinition::new(file["definition"].clone()).expect("an object");
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, raw)
        })
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(found.len() >= 15, "the corpus is there");
    found
}

pub(crate) fn one_of(name: &str) -> RawDefinition {
    let all = corpus();
    all.into_iter()
        .find(|(found, _)| found == name)
        .expect("in the corpus")
        .1
}

pub(crate) fn adopting(first_transition: FirstTransition) -> Desired {
    Desired {
        origin: Origin::Adopted(Adopted { first_transition }),
        task_role: valkeep_core::desired::TaskRoleSpec {
            name: "trigpointing-ecs-task-role".into(),
            root_access: true,
        },
        ..desired()
    }
}

pub(crate) fn disabling() -> Desired {
    Desired {
        persistence: valkeep_core::desired::Persistence::Disabled,
        ..adopting(FirstTransition::Wait)
    }
}

pub(crate) fn observed_revision(arn: &str, raw: RawDefinition, tags: Tags) -> ObservedDefinition {
    ObservedDefinition {
        arn: arn.into(),
        active: true,
        tags,
        definition: None,
        raw: Some(Box::new(raw)),
    }
}

/// A service of Terraform's, running `base` with ECS's own deployment settings.
pub(crate) fn terraformed(base: RawDefinition) -> Observed {
    let service = Service {
        arn: "arn:aws:ecs:eu-west-1:123456789012:service/cluster/cache".into(),
        status: ServiceStatus::Active,
        task_definition: BASE.into(),
        desired: 1,
        running: 1,
        pending: 0,
        tags: Tags::from([("made-by".to_owned(), "terraform".to_owned())]),
        settings: ServiceSettings {
            subnets: desired().network.subnets,
            groups: desired().network.task_groups,
            assign_public_ip: false,
            minimum_healthy_percent: Some(100),
            maximum_percent: Some(200),
            circuit_breaker: false,
            rollback: false,
            zone_rebalancing: Some(true),
            enable_execute_command: true,
            registry_arn: None,
        },
        kind: ServiceKind::default(),
        deployments: vec![Deployment {
            id: "ecs-svc/1".into(),
            primary: true,
            task_definition: BASE.into(),
            rollout: Rollout::Completed,
            reason: None,
            failed_tasks: 0,
            running: 1,
            updated_at: None,
            created_at: None,
        }],
        events: Vec::new(),
    };
    Observed {
        role: Fact::Present(valkeep_core::observed::Role {
            arn: "arn:aws:iam::123456789012:role/trigpointing-ecs-task-role".into(),
        }),
        service: Fact::Present(service),
        running_definition: Fact::Present(observed_revision(BASE, base, Tags::new())),
        base: Fact::Absent,
        scaling: Fact::Absent,
        tasks: Fact::Present(vec![task(BASE)]),
        valkey: Fact::Present(info()),
        ..fresh()
    }
}

pub(crate) fn running(world: &Observed) -> &ObservedDefinition {
    world.running_definition.present().expect("a definition")
}

pub(crate) fn raw(world: &Observed) -> &RawDefinition {
    running(world).raw.as_ref().expect("whole")
}

pub(crate) fn the_service(world: &Observed) -> &Service {
    world.service.present().expect("a service")
}

#[test]
fn every_definition_takes_persistence_and_gives_it_back_exactly() {
    let volume = EfsVolume {
        name: "valkeep-data".into(),
        file_system: valkeep_core::ids::FileSystemId::parse("fs-0123456789abcdef0").expect("an id"),
        access_point: valkeep_core::ids::AccessPointId::parse("fsap-0123456789abcdef0").expect("an id"),
    };
    let snapshots = snapshots();
    let server = desired().server;
    let overlay = Overlay {
        server: &server,
        snapshots: &snapshots,
        volume: &volume,
        path: "/valkey-data",
        user: "1000:1000",
        role_arn: "arn:aws:iam::123456789012:role/trigpointing-ecs-task-role",
        stale_before: None,
        restart: None,
    };
    for (name, base) in corpus() {
        let laid = lay_over(&base, &overlay).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert!(!laid.same(&base), "{name}");
        let back = take_off(&laid).unwrap_or_else(|| panic!("{name} has its label"));
        assert_eq!(back.differences(&base), Vec::<String>::new(), "{name}");
        assert_eq!(base.lost_in(&back), Vec::<String>::new(), "{name}");
        let again = lay_over(&back, &overlay).expect("it did before");
        assert_eq!(again.differences(&laid), Vec::<String>::new(), "{name}");
        let server = laid.container("valkey").expect("is there");
        assert_eq!(
            server["image"],
            base.container("valkey").expect("is there")["image"],
            "{name}"
        );
    }
}

#[test]
fn disabling_persistence_returns_to_the_base_exactly() {
    for (name, base) in corpus() {
        let mut world = terraformed(base.clone());
        let before = the_service(&world).settings.clone();
        converge(&adopting(FirstTransition::AcceptLoss), &mut world);
        world.base = Fact::Present(observed_revision(BASE, base, Tags::new()));
        converge(&disabling(), &mut world);
        let service = the_service(&world);
        assert_eq!(service.task_definition, BASE, "{name}");
        assert_eq!(service.settings, before, "{name}");
        assert_eq!(service.desired, 1, "{name}");
    }
}

#[test]
fn a_deploy_from_a_copy_of_ours_is_taken_as_it_is_and_its_base_is_the_copys() {
    let document = adopting(FirstTransition::Wait);
    let mut world = terraformed(one_of("sidecars"));
    converge(&adopting(FirstTransition::AcceptLoss), &mut world);
    // A pipeline takes what runs, puts a new image in and deploys it, without tags.
    let mut copy = raw(&world).registration();
    copy["containerDefinitions"][0]["image"] = json!("valkey/valkey:8.1");
    let arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/cache:9";
    deploy(&mut world, arn, RawDefinition::new(copy).expect("an object"));
    assert_eq!(calls(&checked(&document, &world)), Vec::<&str>::new());
    // Disabled again, the new image stays.
    converge(&disabling(), &mut world);
    let server = raw(&world).container("valkey").expect("is there");
    assert_eq!(server["image"], "valkey/valkey:8.1");
    assert_eq!(server["entryPoint"], Value::Null);
    assert_eq!(raw(&world).volumes().len(), 0);
}

#[test]
fn a_revision_that_was_deregistered_is_registered_anew() {
    let document = adopting(FirstTransition::AcceptLoss);
    let mut world = terraformed(one_of("seed"));
    converge(&document, &mut world);
    let running = world.running_definition.present_mut().expect("a definition");
    running.active = false;
    world.family = Fact::Present(Vec::new());
    assert_eq!(calls(&checked(&document, &world)), ["ecs:RegisterTaskDefinition"]);
}

#[test]
fn a_deploy_without_persistence_is_the_new_base() {
    let document = adopting(FirstTransition::AcceptLoss);
    let mut world = terraformed(one_of("seed"));
    converge(&document, &mut world);
    let mut next = one_of("seed").registration();
    next["containerDefinitions"][0]["image"] = json!("valkey/valkey:8.1");
    let arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/cache:12";
    deploy(&mut world, arn, RawDefinition::new(next).expect("an object"));
    let calls = converge(&document, &mut world);
    let registered = calls
        .iter()
        .flatten()
        .filter(|call| **call == "ecs:RegisterTaskDefinition");
    assert_eq!(registered.count(), 1);
    let updated = calls.iter().flatten().filter(|call| **call == "ecs:UpdateService");
    assert_eq!(updated.count(), 1);
    assert_eq!(running(&world).tags.get(TAG_BASE).map(String::as_str), Some("12"));
    let server = raw(&world).container("valkey").expect("is there");
    assert_eq!(server["image"], "valkey/valkey:8.1");
    // Without the document's word the live cache of that deploy is not given up.
    deploy(&mut world, arn, one_of("seed"));
    let plan = checked(&adopting(FirstTransition::Wait), &world);
    assert!(plan.holds.iter().any(|hold| hold.reason == HoldReason::FirstTransition));
}

/// Somebody else rolls out a revision.
pub(crate) fn deploy(world: &mut Observed, arn: &str, raw: RawDefinition) {
    world.running_definition = Fact::Present(observed_revision(arn, raw, Tags::new()));
    world.base = Fact::Absent;
    let service = world.service.present_mut().expect("a service");
    service.task_definition = arn.into();
    service.deployments[0].task_definition = arn.into();
    world.tasks = Fact::Present(vec![task(arn)]);
}

pub(crate) type Change = fn(&mut Observed);

#[test]
fn what_cannot_be_taken_over_is_stalled_with_a_next_step_and_nothing_is_made() {
    let document = adopting(FirstTransition::AcceptLoss);
    let cases: [(HoldReason, Change); 13] = [
        (HoldReason::UnsupportedScheduling, |world| {
            kind(world).scheduling = "DAEMON".into();
        }),
        (HoldReason::UnsupportedController, |world| {
            kind(world).controller = "CODE_DEPLOY".into();
        }),
        (HoldReason::UnsupportedStrategy, |world| {
            kind(world).strategy = "BLUE_GREEN".into();
        }),
        (HoldReason::MoreThanOneTask, |world| service(world).desired = 2),
        (HoldReason::Autoscaled, |world| {
            world.scaling = Fact::Present(ScalingTarget { min: 1, max: 4 });
        }),
        (HoldReason::OtherNetwork, |world| {
            service(world).settings.subnets.push(subnet("subnet-0fffffffffffffff9"));
        }),
        (HoldReason::OtherNetwork, |world| {
            service(world).settings.groups = vec![sg("sg-0999999999999999a")];
        }),
        (HoldReason::UnsupportedNetworkMode, |world| {
            edit(world, |task| task["networkMode"] = json!("bridge"));
        }),
        (HoldReason::AmbiguousContainer, |world| {
            edit(world, |task| task["containerDefinitions"][0]["name"] = json!("cache"));
        }),
        (HoldReason::AmbiguousContainer, |world| {
            edit(world, |task| {
                let mut second = task["containerDefinitions"][0].clone();
                second["name"] = json!("second");
                task["containerDefinitions"]
                    .as_array_mut()
                    .expect("a list")
                    .push(second);
            });
        }),
        (HoldReason::CommandNotUnderstood, |world| {
            edit(world, |task| {
                task["containerDefinitions"][0]["image"] = json!("bitnami/valkey:8.0");
            });
        }),
        (HoldReason::OtherRole, |world| {
            edit(world, |task| {
                task["taskRoleArn"] = json!("arn:aws:iam::123456789012:role/another");
            });
        }),
        (HoldReason::WouldHideData, |world| {
            edit(world, |task| {
                task["volumes"] =
                    json!([{"name": "old", "efsVolumeConfiguration": {"fileSystemId": "fs-0fffffffffffffff1"}}]);
                task["containerDefinitions"][0]["mountPoints"] =
                    json!([{"sourceVolume": "old", "containerPath": "/data/"}]);
            });
        }),
    ];
    for (reason, change) in cases {
        let mut world = terraformed(one_of("seed"));
        change(&mut world);
        let plan = checked(&document, &world);
        let held = plan.holds.iter().find(|hold| hold.reason == reason);
        let held = held.unwrap_or_else(|| panic!("{reason:?} in {:#?}", plan.holds));
        assert!(held.hint.is_some(), "{reason:?}");
        assert_eq!(calls(&plan), Vec::<&str>::new(), "{reason:?}");
    }
}

pub(crate) fn service(world: &mut Observed) -> &mut Service {
    world.service.present_mut().expect("a service")
}

fn kind(world: &mut Observed) -> &mut ServiceKind {
    &mut service(world).kind
}

fn edit(world: &mut Observed, change: impl FnOnce(&mut Value)) {
    let mut text = raw(world).registration();
    change(&mut text);
    let changed = RawDefinition::new(text).expect("an object");
    world.running_definition = Fact::Present(observed_revision(BASE, changed, Tags::new()));
}

#[test]
fn a_service_that_another_looks_after_is_left_alone() {
    let document = adopting(FirstTransition::AcceptLoss);
    let mut world = terraformed(one_of("seed"));
    service(&mut world).tags.insert(TAG_ADOPTED.into(), "somebody".into());
    let plan = checked(&document, &world);
    assert!(plan.holds.iter().any(|hold| hold.reason == HoldReason::NotOurs));
    assert_eq!(calls(&plan), Vec::<&str>::new());
}

#[test]
fn a_service_that_is_not_there_cannot_be_taken_over() {
    let document = adopting(FirstTransition::AcceptLoss);
    let world = Observed {
        scaling: Fact::Absent,
        base: Fact::Absent,
        ..fresh()
    };
    let plan = checked(&document, &world);
    assert!(plan.holds.iter().any(|hold| hold.reason == HoldReason::NotFound));
    assert_eq!(calls(&plan), Vec::<&str>::new());
}

#[test]
fn the_critic_refuses_what_would_change_somebody_elses_settings_or_lose_a_cache() {
    let document = adopting(FirstTransition::AcceptLoss);
    let mut world = terraformed(one_of("seed"));
    let mut spoiled = Vec::new();
    for _ in 0..20 {
        let now = plan(&document, &world, now());
        for step in &now.steps {
            if let Step::RegisterRevision { from, definition, tags } = step {
                let mut other = definition.registration();
                other["containerDefinitions"][0]["image"] = json!("valkey/valkey:latest");
                spoiled.push((
                    world.clone(),
                    Step::RegisterRevision {
                        from: from.clone(),
                        definition: Box::new(RawDefinition::new(other).expect("an object")),
                        tags: tags.clone(),
                    },
                ));
            }
        }
        let mut aws = Aws::default();
        for step in &now.steps {
            let answer = aws.answer(step);
            fold(&mut world, step, &answer);
        }
        settle(&mut world);
    }
    let (before, step) = spoiled.pop().expect("a registration");
    let judged = |document: &Desired, world: &Observed, step: Step| {
        let plan = valkeep_core::Plan {
            steps: vec![step],
            ..valkeep_core::Plan::default()
        };
        let judged = valkeep_plan::critic(document, world, &plan);
        judged
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(|one| one.rule)
            .collect::<Vec<_>>()
    };
    assert_eq!(judged(&document, &before, step), [valkeep_plan::Rule::LeftAlone]);
    let mark = Step::Tag {
        resource: valkeep_core::Resource::Service,
        id: the_service(&before).arn.clone(),
        set: Tags::from([(TAG_STARTING.to_owned(), "true".to_owned())]),
        remove: Vec::new(),
    };
    assert_eq!(
        judged(&document, &before, mark.clone()),
        Vec::<valkeep_plan::Rule>::new()
    );
    assert_eq!(
        judged(&adopting(FirstTransition::Wait), &before, mark),
        [valkeep_plan::Rule::NoStaleLoad]
    );
}

/// valkeep would hand image and roles over in its own name, whoever chose them.
#[test]
fn an_adopted_service_is_judged_by_what_is_found_on_it() {
    let open = adopting(FirstTransition::AcceptLoss);
    let mut shut = open.clone();
    let other = Pattern::parse("registry.example.com/*").expect("a pattern");
    shut.limits.images = Allowed::only(vec![other]);
    let mut world = terraformed(one_of(&corpus()[0].0));
    assert!(valkeep_plan::is_permitted(&shut), "the document names no image");
    let planned = checked(&shut, &world);
    assert!(planned.steps.is_empty());
    let [hold] = &planned.holds[..] else {
        panic!("{:#?}", planned.holds);
    };
    assert_eq!(hold.reason, HoldReason::NotPermitted);
    assert!(hold.message.starts_with(BASE), "{}", hold.message);

    // The critic sees it in the revision that would be registered.
    let mut aws = Aws::default();
    for _ in 0..20 {
        let next = plan(&open, &world, now());
        let registers = |step: &Step| matches!(step, Step::RegisterRevision { .. });
        if next.steps.iter().any(registers) {
            let objections = critic(&shut, &world, &next).expect_err("an image that is not permitted");
            assert!(
                objections.iter().all(|one| one.rule == Rule::WithinLimits),
                "{objections:?}"
            );
            return;
        }
        for step in &next.steps {
            fold(&mut world, step, &aws.answer(step));
        }
        settle(&mut world);
    }
    panic!("no revision is registered");
}
