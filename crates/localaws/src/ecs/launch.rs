//! Making a task, and starting its containers.

use super::definitions::{self, Definition};
use super::mounts;
use super::secret_values;
use super::tasks::{self, Phase, Task};
use crate::clock::later;
use crate::ids;
use crate::state::State;
use crate::tasks::{Child, Container, Health, HealthCheck, Mount, TaskRunner};
use crate::wire::{list, number, strings, text};
use crate::{ec2, iam};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a task is made of.
pub(super) struct Launch<'a> {
    pub(super) cluster: &'a str,
    /// ARN of the task definition.
    pub(super) definition: &'a str,
    pub(super) network: Option<&'a Value>,
    /// ARN of the service.
    pub(super) service: Option<&'a str>,
    pub(super) started_by: Option<String>,
    pub(super) group: String,
    /// Launch type.
    pub(super) on: String,
    pub(super) exec: bool,
    pub(super) registry: Option<String>,
    pub(super) overrides: Value,
    pub(super) tags: BTreeMap<String, String>,
}

/// Whether ECS tasks can have the role by now.
pub(super) fn is_assumable(state: &State, role: &str) -> bool {
    // Not a full evaluation: whoever trusts ECS tasks names them.
    let trusts = |role: &iam::Role| role.trust.to_string().contains("ecs-tasks.amazonaws.com");
    iam::is_usable(state, role) && iam::role(state, role).is_some_and(trusts)
}

/// What ECS says of a role that it cannot assume.
pub(super) fn cannot_assume(role: &str) -> String {
    format!(
        "ECS was unable to assume the role '{role}' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role."
    )
}

/// Makes a task in PROVISIONING; its ARN. The definition exists.
pub(super) fn launch(state: &mut State, launch: Launch<'_>) -> String {
    let definition = definitions::find(state, launch.definition)
        .cloned()
        .expect("a launch names a revision that exists");
    let id = ids::hex(&mut state.rng, 32);
    let arn = state.arn("ecs", &format!("task/{}/{id}", launch.cluster));
    let vpc = launch
        .network
        .and_then(|network| network.get("awsvpcConfiguration"))
        .unwrap_or(&Value::Null);
    let subnets = strings(vpc, "subnets");
    let turn = state.ecs.started;
    state.ecs.started += 1;
    let fate = state.ecs.fates.pop_front().or_else(|| state.ecs.common_fate.clone());
    let containers = {
        let prefix = state.arn("ecs", &format!("container/{}/{id}", launch.cluster));
        let rng = &mut state.rng;
        tasks::containers(&definition, &launch.overrides, || {
            format!("{prefix}/{}", ids::uuid(rng))
        })
    };
    let task = Task {
        arn: arn.clone(),
        id,
        cluster: launch.cluster.to_owned(),
        family: definition.family.clone(),
        cpu: definition.text("cpu").map(str::to_owned),
        memory: definition.text("memory").map(str::to_owned),
        definition: definition.arn,
        group: launch.group,
        service: launch.service.map(str::to_owned),
        started_by: launch.started_by,
        launch_type: launch.on,
        exec: launch.exec,
        subnet: subnets.get(turn % subnets.len().max(1)).cloned(),
        groups: strings(vpc, "securityGroups"),
        phase: Phase::Provisioning,
        due: Some(later(state.now, state.config.delays.task_provisioning)),
        wanted: true,
        created_at: state.now,
        started_at: None,
        stopping_at: None,
        stopped_at: None,
        cause: None,
        trouble: None,
        interface: None,
        attachment: ids::uuid(&mut state.rng),
        containers,
        health: Health::Unknown,
        healthy_at: None,
        registry: launch.registry,
        counted: false,
        fate,
        overrides: launch.overrides,
        tags: launch.tags,
        version: 1,
    };
    if let Some(service) = &task.service {
        state
            .ecs
            .of_service
            .entry(service.clone())
            .or_default()
            .insert(arn.clone());
    }
    state.ecs.tasks.insert(arn.clone(), task);
    arn
}

/// Gives the task its network interface. Without a subnet (no awsvpc) it has none. False when there is none to be had.
pub(super) fn attach(state: &mut State, task: &mut Task) -> bool {
    let Some(subnet) = &task.subnet else { return true };
    let groups = if task.groups.is_empty() {
        let vpc = ec2::subnet(state, subnet).map(|subnet| subnet.vpc.clone());
        vpc.and_then(|vpc| ec2::default_group(state, &vpc))
            .into_iter()
            .collect()
    } else {
        task.groups.clone()
    };
    let description = state.arn("ecs", &format!("attachment/{}", task.attachment));
    task.interface = ec2::task_interface(state, subnet, groups, &description).ok();
    task.interface.is_some()
}

/// Starts the task's containers, when tasks are real.
pub(super) fn start_containers(state: &mut State, task: &mut Task) {
    if state.config.tasks != TaskRunner::Processes {
        return;
    }
    let Some(definition) = definitions::find(state, &task.definition).cloned() else {
        return;
    };
    let address = task
        .interface
        .as_ref()
        .map_or(std::net::Ipv4Addr::LOCALHOST, |interface| interface.address);
    let files = state.config.data_dir.join("tasks").join(&task.id);
    let mounted = mounts::mount(state, task, &definition);
    for container in &mut task.containers {
        let (uid, gid) = user(&container.definition, mounted.posix);
        let mounts: Vec<_> = mounted.of_container(&container.definition);
        let environment = list(&container.definition, "environment")
            .iter()
            .filter_map(|variable| {
                let value = variable.get("value").and_then(Value::as_str).unwrap_or_default();
                Some((text(variable, "name")?.to_owned(), value.to_owned()))
            });
        // The image's own working directory is that of its data.
        let work_dir = text(&container.definition, "workingDirectory").map(str::to_owned);
        let work_dir = work_dir.or_else(|| mounts.first().map(|mount| mount.container.clone()));
        let mut mounts = mounts;
        let mut words = definitions::words(&container.definition);
        let mut environment: Vec<_> = environment.collect();
        // Read a moment ago without trouble.
        environment.extend(secret_values::of_container(state, &container.definition).unwrap_or_default());
        let image = text(&container.definition, "image").unwrap_or_default();
        if let Some(program) = state.config.program(image) {
            words = definitions::words_of(program, &container.definition);
            environment.splice(0..0, program.environment.iter().cloned());
            mounts.push(Mount {
                host: program.file.clone(),
                container: program.path.clone(),
                read_only: true,
            });
        }
        container.child = Some(Child::start(Container {
            words,
            environment,
            uid,
            gid,
            address,
            work_dir,
            health: container.check().map(health_check),
            files: files.join(&container.name),
            mounts,
        }));
    }
}

fn health_check(check: &Value) -> HealthCheck {
    let seconds =
        |member, usual| Duration::from_secs(number(check, member).map_or(usual, |n| u64::try_from(n).unwrap_or(usual)));
    let command = strings(check, "command");
    let words = match command.split_first() {
        Some((kind, rest)) if kind == "CMD" => rest.to_vec(),
        Some((kind, rest)) if kind == "CMD-SHELL" => vec!["/bin/sh".to_owned(), "-c".to_owned(), rest.join(" ")],
        _ => vec!["/bin/sh".to_owned(), "-c".to_owned(), command.join(" ")],
    };
    HealthCheck {
        words,
        interval: seconds("interval", 30),
        timeout: seconds("timeout", 5),
        retries: number(check, "retries")
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(3),
        start_period: seconds("startPeriod", 0),
    }
}

/// The container's user: as given, else the one that the access point makes of everyone, else root.
fn user(container: &Value, posix: Option<(u32, u32)>) -> (u32, u32) {
    let given = text(container, "user").and_then(|user| {
        let (uid, gid) = user.split_once(':').unwrap_or((user, user));
        Some((uid.parse().ok()?, gid.parse().ok()?))
    });
    given.or(posix).unwrap_or((0, 0))
}

/// The longest stop timeout of the containers, in seconds.
pub(super) fn stop_timeout_s(task: &Task) -> f64 {
    let longest = task
        .containers
        .iter()
        .map(|container| definitions::stop_timeout_s(&container.definition))
        .max();
    f64::from(i32::try_from(longest.unwrap_or(30)).unwrap_or(i32::MAX))
}

/// The definition that a task runs.
pub(super) fn definition_of(state: &State, task: &Task) -> Option<Definition> {
    definitions::find(state, &task.definition).cloned()
}
