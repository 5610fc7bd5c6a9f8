//! Plans that nobody should make, and what the critic says.

use crate::world::*;
use valkeep_core::identity::{TAG_DATA_FILE, TAG_OWNER, TAG_STARTING};
use valkeep_core::observed::{LifeCycle, ObservedDefinition};
use valkeep_core::{Desired, Fact, Observed, Plan, Resource, Step, Tags, TaskDefinition};
use valkeep_plan::{Rule, critic, render, service_settings};

pub(crate) fn rules(desired: &Desired, observed: &Observed, steps: Vec<Step>) -> Vec<Rule> {
    let plan = Plan {
        steps,
        ..Plan::default()
    };
    let objections = critic(desired, observed, &plan).err().unwrap_or_default();
    let mut rules: Vec<Rule> = objections.into_iter().map(|objection| objection.rule).collect();
    rules.dedup();
    rules
}

pub(crate) fn definition(observed: &Observed) -> TaskDefinition {
    observed
        .running_definition
        .present()
        .and_then(|running| running.definition.clone())
        .expect("a definition")
}

pub(crate) fn register(definition: TaskDefinition) -> Step {
    Step::RegisterTaskDefinition {
        definition: Box::new(definition),
        tags: desired().tags,
    }
}

/// Rolls out a definition that is in the family already.
pub(crate) fn roll_out(world: &mut Observed, definition: TaskDefinition) -> Step {
    world.family = Fact::Present(vec![ObservedDefinition {
        arn: "arn:next".into(),
        active: true,
        tags: desired().tags,
        definition: Some(definition),
        raw: None,
    }]);
    let service = world.service.present().expect("a service");
    Step::UpdateService {
        cluster: "cluster".into(),
        name: "cache".into(),
        from: Box::new(service.settings.clone()),
        to: Box::new(service_settings(&desired(), made(&mut desired()))),
        from_definition: service.task_definition.clone(),
        to_definition: "arn:next".into(),
        force: false,
        container: "valkey".into(),
        port: 6379,
    }
}

fn start() -> Step {
    Step::StartService {
        cluster: "cluster".into(),
        name: "cache".into(),
        arn: "arn".into(),
    }
}

fn at_zero() -> Observed {
    let mut world = converged();
    let service = world.service.present_mut().expect("a service");
    service.desired = 0;
    service.running = 0;
    service.tags.insert(TAG_STARTING.into(), "true".into());
    world.tasks = Fact::Present(Vec::new());
    world
}

#[test]
fn a_definition_that_would_harm_the_data_is_refused() {
    type Change = fn(&mut TaskDefinition);
    let cases: &[(Rule, Change)] = &[
        (Rule::SameFile, |definition| {
            replace(definition, "dump.rdb", "other.rdb");
        }),
        (Rule::NotAppendOnly, |definition| {
            let command = &mut definition.container.command;
            let at = command
                .iter()
                .position(|word| word == "--appendonly")
                .expect("the flag");
            command[at + 1] = "yes".into();
        }),
        (Rule::Locked, |definition| {
            definition.container.entry_point = vec!["valkey-server".into()];
        }),
        (Rule::SameData, |definition| {
            let volume = definition.volume.as_mut().expect("a volume");
            volume.file_system = valkeep_core::ids::FileSystemId::parse("fs-0aaaaaaaa").expect("an id");
        }),
        (Rule::SameData, |definition| {
            let volume = definition.volume.as_mut().expect("a volume");
            volume.access_point = valkeep_core::ids::AccessPointId::parse("fsap-0aaaaaaaa").expect("an id");
        }),
        (Rule::SameData, |definition| {
            definition.container.user = Some("0:0".into());
        }),
    ];
    for (rule, change) in cases {
        let mut world = converged();
        let mut harmful = definition(&world);
        change(&mut harmful);
        assert_eq!(rules(&desired(), &world, vec![register(harmful.clone())]), [*rule]);
        let step = roll_out(&mut world, harmful);
        assert_eq!(rules(&desired(), &world, vec![step]), [*rule]);
    }
}

fn replace(definition: &mut TaskDefinition, from: &str, to: &str) {
    for word in definition.container.command.iter_mut().filter(|word| *word == from) {
        *word = to.into();
    }
}

#[test]
fn snapshots_do_not_end_without_a_mark() {
    let mut world = converged();
    let role = "arn:aws:iam::123456789012:role/task-role";
    let step = roll_out(&mut world, render(&disabled(), made(&mut disabled()), role, None, None));
    assert_eq!(rules(&disabled(), &world, vec![step]), [Rule::MarkedEnd]);
}

#[test]
fn live_data_is_not_replaced_by_an_old_dump() {
    let mut world = converged();
    let saving = definition(&world);
    let off = off();
    converge(&off, &mut world);
    world.valkey = Fact::Present(valkeep_core::ValkeyInfo {
        changes_since_save: 3,
        ..info()
    });
    let step = roll_out(&mut world, saving);
    assert_eq!(rules(&desired(), &world, vec![step]), [Rule::NoStaleLoad]);
}

#[test]
fn a_definition_that_nobody_has_seen_is_not_rolled_out() {
    let mut world = converged();
    let next = definition(&world);
    let step = roll_out(&mut world, next);
    world.family = Fact::Present(Vec::new());
    assert_eq!(rules(&desired(), &world, vec![step]), [Rule::SameData]);
}

#[test]
fn two_tasks_are_never_allowed() {
    type Change = fn(&mut valkeep_core::observed::ServiceSettings);
    let changes: [Change; 3] = [
        |to| to.maximum_percent = Some(200),
        |to| to.minimum_healthy_percent = None,
        |to| to.zone_rebalancing = Some(true),
    ];
    for change in changes {
        let mut world = converged();
        let same = definition(&world);
        let Step::UpdateService {
            cluster,
            name,
            from,
            mut to,
            from_definition,
            to_definition,
            force,
            container,
            port,
        } = roll_out(&mut world, same)
        else {
            unreachable!("it is an update")
        };
        change(&mut to);
        let step = Step::UpdateService {
            cluster,
            name,
            from,
            to,
            from_definition,
            to_definition,
            force,
            container,
            port,
        };
        assert_eq!(rules(&desired(), &world, vec![step]), [Rule::OneWriter]);
    }
    let scale = Step::SetDesired {
        cluster: "cluster".into(),
        name: "cache".into(),
        from: 1,
        to: 2,
    };
    assert_eq!(rules(&desired(), &converged(), vec![scale]), [Rule::OneWriter]);
}

#[test]
fn a_service_starts_only_when_nothing_of_it_runs_and_every_zone_can_mount() {
    assert_eq!(rules(&desired(), &at_zero(), vec![start()]), []);
    let mut world = at_zero();
    world.tasks = Fact::Present(vec![task("arn")]);
    assert_eq!(rules(&desired(), &world, vec![start()]), [Rule::OneWriter]);
    let mut world = at_zero();
    world.tasks = Fact::not_looked("ecs:ListTasks");
    assert_eq!(rules(&desired(), &world, vec![start()]), [Rule::OneWriter]);
    let mut world = at_zero();
    world.service.present_mut().expect("one").tags.remove(TAG_STARTING);
    assert_eq!(rules(&desired(), &world, vec![start()]), [Rule::OneWriter]);
    let mut world = at_zero();
    world.mount_targets.present_mut().expect("targets")[1].state = LifeCycle::Creating;
    assert_eq!(rules(&desired(), &world, vec![start()]), [Rule::MountFirst]);
}

#[test]
fn a_service_is_made_with_the_mark_that_its_count_is_ours() {
    let mut world = fresh();
    converge(&desired(), &mut world);
    world.service = Fact::Absent;
    let plan = checked(&desired(), &world);
    let Some(Step::CreateService { tags, .. }) = plan.steps.first() else {
        panic!("{plan:#?}")
    };
    assert!(tags.contains_key(TAG_STARTING));
    let mut step = plan.steps[0].clone();
    if let Step::CreateService { tags, .. } = &mut step {
        tags.remove(TAG_STARTING);
    }
    assert_eq!(rules(&desired(), &world, vec![step]), [Rule::Tagged]);
}

#[test]
fn two_steps_on_one_resource_are_refused() {
    let world = converged();
    let id = world.file_system.present().expect("one").id.clone();
    let lifecycle = Step::PutLifecycle {
        id: id.clone(),
        from: None,
        to: None,
    };
    let backups = Step::PutBackups {
        id,
        from: true,
        to: false,
    };
    assert_eq!(
        rules(&desired(), &world, vec![lifecycle, backups]),
        [Rule::OneStepAResource]
    );
}

#[test]
fn what_is_not_ours_is_not_touched() {
    let world = converged();
    let all: Vec<Step> = vec![
        Step::PutLifecycle {
            id: world.file_system.present().expect("one").id.clone(),
            from: None,
            to: None,
        },
        Step::AuthorizeIngress {
            group: sg(NFS_GROUP),
            source: sg(TASK_GROUP),
            description: String::new(),
        },
        Step::PutRetention {
            name: "/ecs/cache".into(),
            from: None,
            to: 1,
        },
        Step::ClearStarting { arn: "arn".into() },
        Step::Tag {
            resource: Resource::AccessPoint,
            id: world.access_point.present().expect("one").id.to_string(),
            set: Tags::from([("team".into(), "x".into())]),
            remove: Vec::new(),
        },
    ];
    for step in all {
        assert_eq!(rules(&desired(), &world, vec![step.clone()]), []);
        let mut foreign = world.clone();
        for tags in [
            foreign.file_system.present_mut().map(|found| &mut found.tags),
            foreign.security_group.present_mut().map(|found| &mut found.tags),
            foreign.log_group.present_mut().map(|found| &mut found.tags),
            foreign.service.present_mut().map(|found| &mut found.tags),
            foreign.access_point.present_mut().map(|found| &mut found.tags),
        ]
        .into_iter()
        .flatten()
        {
            tags.insert(TAG_OWNER.into(), "somebody else".into());
        }
        assert_eq!(rules(&desired(), &foreign, vec![step]), [Rule::OnlyOurs]);
    }
}

#[test]
fn what_may_be_there_is_not_made() {
    let plan = checked(&desired(), &fresh());
    let mut world = fresh();
    world.file_system = Fact::not_looked("elasticfilesystem:DescribeFileSystems");
    let create = plan
        .steps
        .into_iter()
        .find(|step| matches!(step, Step::CreateFileSystem { .. }))
        .expect("a file system is made");
    assert_eq!(rules(&desired(), &world, vec![create]), [Rule::CreateOnAbsence]);
}

#[test]
fn access_that_may_be_needed_is_not_taken() {
    let revoke = |source: &str| Step::RevokeIngress {
        group: sg(NFS_GROUP),
        source: sg(source),
        description: format!("valkeep: NFS from {source}"),
    };
    assert_eq!(
        rules(&desired(), &converged(), vec![revoke(BASTION)]),
        [Rule::AccessKept]
    );
    let mut without = desired();
    without.network.task_groups = vec![sg(BASTION)];
    assert_eq!(
        rules(&without, &converged(), vec![revoke(TASK_GROUP)]),
        [Rule::AccessKept],
        "the service still has it"
    );
}

#[test]
fn the_marks_of_the_data_are_not_taken_away() {
    let world = converged();
    let tag = |set: Tags, remove: &[&str]| Step::Tag {
        resource: Resource::AccessPoint,
        id: world.access_point.present().expect("one").id.to_string(),
        set,
        remove: remove.iter().map(|key| (*key).to_owned()).collect(),
    };
    assert_eq!(
        rules(&desired(), &world, vec![tag(Tags::new(), &[TAG_OWNER])]),
        [Rule::OnlyOurs]
    );
    assert_eq!(
        rules(&desired(), &world, vec![tag(Tags::new(), &["team"])]),
        [Rule::OnlyOurs]
    );
    assert_eq!(
        rules(&desired(), &world, vec![tag(Tags::new(), &[TAG_DATA_FILE])]),
        [Rule::SameFile]
    );
}
