//! Plans the ECS service: made at 0, raised to 1 when everything it needs is there, changed in one call.

use crate::adoption::{self, Next};
use crate::append_only;
use crate::assess::stopped_task;
use crate::data_safety;
use crate::draft::{Draft, Input, hold, later, list};
use crate::file_system;
use crate::hibernation;
use crate::mount_targets::{self, NotUsable};
use crate::overlay;
use crate::render::service_settings;
use crate::replacement;
use crate::rollout;
use crate::task_definition::Target;
use crate::tasks;
use valkeep_core::desired::Created;
use valkeep_core::identity::TAG_STARTING;
use valkeep_core::observed::{Deployment, Rollout, Service, ServiceSettings, ServiceStatus};
use valkeep_core::{Fact, Hold, HoldKind, HoldReason, Resource, Step, Timestamp};

/// The circuit breaker of a one-task service ends a deployment after three failed tasks.
const FAILURES_A_DEPLOYMENT: usize = 3;
/// First delay before a broken deployment is tried again; it doubles with each further one.
const RETRY_FIRST_S: i64 = 60;
/// Longest such delay, as ECS's own.
const RETRY_MOST_S: i64 = 15 * 60;

/// Plans the service.
pub(crate) fn service(input: Input, target: &Target, draft: &mut Draft) {
    let name = &input.desired.identity.service;
    let cluster = &input.desired.identity.cluster;
    match &input.observed.cluster {
        Fact::Present(()) => {}
        Fact::Absent => {
            return draft.stalled(
                Resource::Cluster,
                HoldReason::NotFound,
                format!("the cluster {cluster} is not there"),
                "make the cluster, or correct spec.cluster; valkeep makes no clusters",
            );
        }
        Fact::Unknown(doubt) => return draft.doubt(Resource::Cluster, &format!("the cluster {cluster}"), doubt),
    }
    let found = match &input.observed.service {
        Fact::Unknown(doubt) => return draft.doubt(Resource::Service, &format!("the service {name}"), doubt),
        Fact::Absent => {
            return match input.desired.created() {
                Some(created) => create(input, created, target, draft),
                None => adoption::is_not_there(input, draft),
            };
        }
        Fact::Present(found) => found,
    };
    if let Some(hold) = not_ours(input, found) {
        return draft.hold(hold);
    }
    if found.status == ServiceStatus::Draining {
        return draft.waiting(
            Resource::Service,
            HoldReason::Draining,
            format!("a service named {name} is still draining; another is made when it is gone"),
        );
    }
    existing(input, found, target, draft);
    tasks::say(input, found, draft);
}

/// Why nothing should be made for the service: it is another one's, or cannot be taken over as it is.
pub(crate) fn useless(input: Input, draft: &Draft) -> Option<&'static str> {
    let Some(found) = input.observed.service.present() else {
        let nothing = input.desired.adopted().is_some() && input.observed.service.is_absent();
        return nothing.then_some("until there is a service to take over");
    };
    if not_ours(input, found).is_some() {
        return Some("until the service is valkeep's");
    }
    let new = input.desired.adopted().is_some() && !adoption::is_taken_over(input, &found.tags);
    let obstacle = !adoption::obstacles(input, found).is_empty() || draft.is_stalled_on(Resource::TaskDefinition);
    (new && obstacle).then_some("until the service can be taken over")
}

/// Whether no deployment is under way.
pub(crate) fn is_at_rest(input: Input) -> bool {
    match &input.observed.service {
        Fact::Absent => true,
        Fact::Unknown(_) => false,
        Fact::Present(found) => match found.deployments.as_slice() {
            [] => true,
            [only] => only.rollout != Rollout::InProgress,
            _ => false,
        },
    }
}

fn not_ours(input: Input, found: &Service) -> Option<Hold> {
    let (cluster, name) = (&input.desired.identity.cluster, &input.desired.identity.service);
    let (message, hint) = match input.desired.created() {
        Some(_) if !input.owns(&found.tags) => (
            format!("the service {name} exists in {cluster} and does not carry valkeep's tag"),
            "take spec.service.create out of the document to take the service over, choose another spec.service.name, or correct spec.region",
        ),
        None if adoption::is_anothers(input, &found.tags) => (
            format!("another valkeep or another document looks after the service {name} in {cluster}"),
            "keep one of the two; take the tag valkeep.dev/adopted-by off the service when the other is gone for good",
        ),
        _ => return None,
    };
    Some(Hold {
        hint: Some(hint.to_owned()),
        ..hold(Resource::Service, HoldKind::Stalled, HoldReason::NotOurs, message)
    })
}

fn create(input: Input, created: &Created, target: &Target, draft: &mut Draft) {
    let desired = input.desired;
    let name = &desired.identity.service;
    let mut missing = Vec::new();
    if !input.all_subnets_found() {
        missing.push("its subnets");
    }
    if !input.unusable_task_groups().is_empty() {
        missing.push("its security groups");
    }
    if input.observed.role.present().is_none() {
        missing.push("the task role");
    }
    let Target::Arn(arn) = target else {
        missing.push("the task definition");
        return waits_for(name, missing, draft);
    };
    if !missing.is_empty() {
        return waits_for(name, missing, draft);
    }
    let mut tags = desired.tags.clone();
    tags.insert(TAG_STARTING.to_owned(), "true".to_owned());
    draft.step(Step::CreateService {
        cluster: desired.identity.cluster.clone(),
        name: name.clone(),
        token: token(&desired.identity.owner(), arn),
        task_definition: arn.clone(),
        launch_type: created.task.launch_type,
        container: desired.server.container.clone(),
        port: desired.server.port,
        settings: service_settings(desired, created),
        tags,
    });
}

/// ECS's idempotency token, at most 36 characters. It names the revision, too: one token with another input is refused,
/// and a service that was deleted may come back with another revision.
fn token(owner: &str, task_definition: &str) -> String {
    let owner: String = owner.chars().take(24).collect();
    let revision: String = task_definition
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(11)
        .collect();
    format!("{owner}-{revision}")
}

fn waits_for(name: &str, missing: Vec<&'static str>, draft: &mut Draft) {
    draft.waiting(
        Resource::Service,
        HoldReason::Dependency,
        format!("the service {name} waits for {}", list(missing)),
    );
}

/// At most one call on the service in a plan, the most urgent first.
fn existing(input: Input, found: &Service, target: &Target, draft: &mut Draft) {
    let desired = input.desired;
    let (cluster, name) = (&desired.identity.cluster, &desired.identity.service);
    if desired.adopted().is_some() {
        let obstacles = adoption::obstacles(input, found);
        if !obstacles.is_empty() {
            for obstacle in obstacles {
                draft.hold(obstacle);
            }
            return;
        }
        if let Some(step) = adoption::marks(input, found) {
            return draft.step(step);
        }
    } else if found.desired > 1 {
        return draft.step(Step::SetDesired {
            cluster: cluster.clone(),
            name: name.clone(),
            from: found.desired,
            to: 1,
        });
    }
    let needs = needs(input);
    if runs_without_lock(input, found, target) {
        match adoption::replace_without_lock(input, found, target, needs.are_met(), draft) {
            Next::Step(step) => return draft.step(*step),
            Next::Held => return needs.hold(&format!("the new definition of {name}"), draft),
            Next::Back if desired.hibernates() => return hibernation::stay_asleep(input, found, draft),
            Next::Back => {
                return draft.step(Step::StartService {
                    cluster: cluster.clone(),
                    name: name.clone(),
                    arn: found.arn.clone(),
                });
            }
            Next::Change => {}
        }
    }
    if let Some(step) = change(input, found, target, &needs, draft) {
        return draft.step(step);
    }
    let starting = found.tags.contains_key(TAG_STARTING);
    match (found.desired, starting) {
        (0, true) if !desired.hibernates() => return start(input, found, target, &needs, draft),
        (0, _) => hibernation::stay_asleep(input, found, draft),
        _ if desired.hibernates() => return hibernation::fall_asleep(input, found, draft),
        (_, true) => {
            return draft.step(Step::ClearStarting { arn: found.arn.clone() });
        }
        (_, false) => {
            if let Some(step) = try_again(input, found, &needs, draft) {
                return draft.step(step);
            }
        }
    }
    let set = input.missing_tags(&found.tags);
    if !set.is_empty() && desired.created().is_some() {
        draft.step(Step::Tag {
            resource: Resource::Service,
            id: found.arn.clone(),
            set,
            remove: Vec::new(),
        });
    }
}

/// Whether persistence is to come onto a service whose running definition does not hold the directory's lock.
fn runs_without_lock(input: Input, found: &Service, target: &Target) -> bool {
    let there = matches!(target, Target::Arn(arn) if *arn == found.task_definition);
    let Some(running) = input.observed.running_definition.present() else {
        return false;
    };
    let locked = running
        .raw
        .as_ref()
        .is_some_and(|raw| overlay::is_locked(raw, &input.desired.server.container));
    input.desired.adopted().is_some() && input.desired.snapshots().is_some() && !locked && !there
}

/// What a starting task needs and what is not there yet.
struct Needs {
    missing: Vec<String>,
    dns: Option<Timestamp>,
}

impl Needs {
    fn are_met(&self) -> bool {
        self.missing.is_empty() && self.dns.is_none()
    }

    /// Says what is missing; `what` waits.
    fn hold(&self, what: &str, draft: &mut Draft) {
        if !self.missing.is_empty() {
            draft.waiting(
                Resource::Service,
                HoldReason::Dependency,
                format!("{what} waits for {}", list(&self.missing)),
            );
        } else if let Some(until) = self.dns {
            draft.waiting_until(
                Resource::MountTarget,
                HoldReason::DnsGrace,
                format!("{what} waits until {until}, when the mount targets' DNS names have had their time"),
                until,
            );
        }
    }
}

fn needs(input: Input) -> Needs {
    let mut missing = Vec::new();
    let mut dns = None;
    if input.desired.snapshots().is_some() {
        if file_system::keeps_tasks_out(input) {
            missing.push("a file-system policy that lets it in".to_owned());
        }
        if !input.role_policy_in_place() {
            missing.push("the role's policy".to_owned());
        }
        match mount_targets::usable(input) {
            Ok(()) => {}
            Err(NotUsable::Missing(what)) => missing.push(what),
            Err(NotUsable::Until(until)) => dns = Some(until),
        }
    } else if !input.all_subnets_found() {
        missing.push("the subnets".to_owned());
    }
    if input.observed.role.present().is_none() {
        missing.push("the task role".to_owned());
    }
    if input.desired.created().is_some() && input.observed.log_group.present().is_none() {
        missing.push("the log group".to_owned());
    }
    Needs { missing, dns }
}

/// Settings and definition in one call. What starts a new task waits for what a task needs; the rest does not.
fn change(input: Input, found: &Service, target: &Target, needs: &Needs, draft: &mut Draft) -> Option<Step> {
    let desired = input.desired;
    let name = &desired.identity.service;
    let is = normal(&found.settings);
    let mut to = match desired.created() {
        Some(created) => service_settings(desired, created),
        None => normal(&adoption::settings(input, found)),
    };
    let mut definition = match target {
        Target::Arn(arn) => arn.clone(),
        // The new revision comes in the next round, and everything goes with it: two calls may be two deployments.
        Target::Registering => return None,
        Target::NotYet => found.task_definition.clone(),
    };
    let another = definition != found.task_definition;
    let moved = network(&to) != network(&is);
    if (another || moved) && !restarts_now(input, found, (!moved).then_some(&*definition), needs, draft) {
        definition.clone_from(&found.task_definition);
        to.subnets.clone_from(&is.subnets);
        to.groups.clone_from(&is.groups);
        to.assign_public_ip = is.assign_public_ip;
        to.registry_arn.clone_from(&is.registry_arn);
    }
    if !input.all_subnets_found() {
        to.subnets.clone_from(&is.subnets);
    }
    if !input.unusable_task_groups().is_empty() {
        to.groups.clone_from(&is.groups);
    }
    (to != is || definition != found.task_definition).then(|| Step::UpdateService {
        cluster: desired.identity.cluster.clone(),
        name: name.clone(),
        from: Box::new(found.settings.clone()),
        to: Box::new(to),
        from_definition: found.task_definition.clone(),
        to_definition: definition,
        force: false,
        container: desired.server.container.clone(),
        port: desired.server.port,
    })
}

/// Whether the task may be replaced now; the draft says why not. `definition` is the new one, where nothing else restarts
/// the task.
fn restarts_now(input: Input, found: &Service, definition: Option<&str>, needs: &Needs, draft: &mut Draft) -> bool {
    let name = &input.desired.identity.service;
    let what = format!("the change of {name}");
    if data_safety::lacks_end_mark(input) {
        draft.waiting(
            Resource::Service,
            HoldReason::Dependency,
            format!("{what} waits until the access point says that snapshots end"),
        );
        return false;
    }
    if hibernation::comes_first(input, found) {
        return false;
    }
    // At desired count 0 nothing starts, so nothing is in danger yet.
    if found.desired == 0 && found.running == 0 {
        return append_only::may_follow(input, &what, draft);
    }
    // A task that starts while something is missing fails, and the one that works now would be gone.
    if !needs.are_met() {
        needs.hold(&what, draft);
        return false;
    }
    if definition.is_some_and(|definition| rollout::may_wait(input, definition, draft)) {
        return false;
    }
    append_only::may_follow(input, &what, draft) && replacement::may_stop(input, found, &what, draft)
}

/// What starts a new deployment when it changes.
fn network(settings: &ServiceSettings) -> impl PartialEq + '_ {
    (
        &settings.subnets,
        &settings.groups,
        settings.assign_public_ip,
        &settings.registry_arn,
    )
}

/// AWS says nothing of a rebalancing that was never set, which means off.
fn normal(settings: &ServiceSettings) -> ServiceSettings {
    let mut normal = settings.clone();
    normal.zone_rebalancing = Some(settings.zone_rebalancing.unwrap_or(false));
    normal.subnets.sort();
    normal.groups.sort();
    normal
}

fn start(input: Input, found: &Service, target: &Target, needs: &Needs, draft: &mut Draft) {
    let name = &input.desired.identity.service;
    let what = format!("the start of {name}");
    if !needs.are_met() {
        return needs.hold(&what, draft);
    }
    let there = matches!(target, Target::Arn(arn) if *arn == found.task_definition);
    if !there && !append_only::changes(input) {
        return draft.waiting(
            Resource::Service,
            HoldReason::Dependency,
            format!("{what} waits for the task definition"),
        );
    }
    let Some(left) = tasks::left(input, found.counted(), draft) else {
        return;
    };
    if left > 0 {
        return draft.waiting(
            Resource::Task,
            HoldReason::TasksStopping,
            format!(
                "{what} waits until {left} task(s) have stopped: two servers on one directory would destroy its data"
            ),
        );
    }
    draft.step(Step::StartService {
        cluster: input.desired.identity.cluster.clone(),
        name: name.clone(),
        arn: found.arn.clone(),
    });
}

/// A deployment that the circuit breaker ended is tried again, with a delay that grows with what ECS remembers.
fn try_again(input: Input, found: &Service, needs: &Needs, draft: &mut Draft) -> Option<Step> {
    let primary = primary(found)?;
    if primary.rollout != Rollout::Failed {
        return None;
    }
    let name = &input.desired.identity.service;
    let reason = primary.reason.clone().unwrap_or_else(|| "no reason given".to_owned());
    let due = primary
        .updated_at
        .or(primary.created_at)
        .map_or(input.now, |at| later(at, retry_delay_s(input, found)));
    if due > input.now || !needs.are_met() {
        needs.hold(&format!("another deployment of {name}"), draft);
        let explained = tasks::newest_failure(input).map(stopped_task::explain);
        let mut held = hold(
            Resource::Service,
            HoldKind::Waiting,
            HoldReason::CircuitBroken,
            match &explained {
                Some(explained) => format!("ECS gave up on {name}: {reason}; {}", explained.message),
                None => format!("ECS gave up on {name}: {reason}"),
            },
        );
        held.hint = explained.map(|explained| explained.next_step);
        held.until = (due > input.now).then_some(due);
        draft.hold(held);
        return None;
    }
    Some(Step::UpdateService {
        cluster: input.desired.identity.cluster.clone(),
        name: name.clone(),
        from: Box::new(found.settings.clone()),
        to: Box::new(normal(&found.settings)),
        from_definition: found.task_definition.clone(),
        to_definition: found.task_definition.clone(),
        force: true,
        container: input.desired.server.container.clone(),
        port: input.desired.server.port,
    })
}

/// 1, 2, 4, 8 and then 15 minutes. ECS remembers stopped tasks for an hour, so the count is of the last hour.
fn retry_delay_s(input: Input, found: &Service) -> i64 {
    let stopped = input.observed.tasks.present().map_or(0, |tasks| {
        tasks.iter().filter(|task| stopped_task::is_failure(task)).count()
    });
    let failed = found
        .deployments
        .iter()
        .filter(|deployment| deployment.rollout == Rollout::Failed)
        .count();
    let broken = (stopped / FAILURES_A_DEPLOYMENT).max(failed).max(1);
    // Ten doublings are far beyond the longest delay.
    let doublings = u32::try_from(broken - 1).unwrap_or(u32::MAX).min(10);
    (RETRY_FIRST_S << doublings).min(RETRY_MOST_S)
}

pub(crate) fn primary(found: &Service) -> Option<&Deployment> {
    found.deployments.iter().find(|deployment| deployment.primary)
}
