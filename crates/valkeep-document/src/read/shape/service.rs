//! `spec.service` and `spec.taskRole`: what runs, and as whom.

use super::super::flags;
use super::super::forms;
use super::super::report::Report;
use super::super::tree::join;
use super::super::walk::{Field, Map};
use super::{optional, or, or_default};
use crate::types::{Create, LaunchType, LogGroup, RETENTION_DAYS, Service, TaskRole};

/// The most words of `extraFlags`.
const FLAGS_MAX: usize = 64;

/// What other parts of the document must know of `create`, even where something else in it does not fit.
#[derive(Default)]
pub(super) struct Task {
    /// The block is there.
    pub(super) created: bool,
    pub(super) launch_type: Option<LaunchType>,
    pub(super) memory_mib: Option<u32>,
    pub(super) has_execution_role: bool,
}

pub(super) fn service(field: &Field<'_>, task: &mut Task, report: &mut Report) -> Option<Service> {
    let mut map = field.map(report)?;
    let name = map
        .require(report, "name", "write the name of the ECS service")
        .and_then(|field| field.text(report, forms::ecs_name));
    let container = or(map.take("container"), Service::default_container, |field| {
        field.text(report, forms::ecs_name)
    });
    let port = or(map.take("port"), Service::default_port, |field| {
        let port = field.whole(report, &(1..=u32::from(u16::MAX)))?;
        u16::try_from(port).ok()
    });
    let desired_count = optional(map.take("desiredCount"), |field| field.whole(report, &(0..=1)));
    let create_field = map.take("create");
    task.created = create_field.is_some();
    let create = optional(create_field, |field| create(&field, task, report));
    map.finish(report, &[]);
    Some(Service {
        name: name?,
        container: container?,
        port: port?,
        desired_count: desired_count?,
        create: create?,
    })
}

fn create(field: &Field<'_>, task: &mut Task, report: &mut Report) -> Option<Create> {
    let mut map = field.map(report)?;
    let image = map
        .require(
            report,
            "image",
            "write an image with a version, like `valkey/valkey:8.0`",
        )
        .and_then(|field| field.text(report, forms::image));
    let launch_type = or_default(map.take("launchType"), |field| {
        field.choice(
            report,
            &[("FARGATE", LaunchType::Fargate), ("EC2", LaunchType::Ec2)],
            &[],
        )
    });
    let (cpu, memory_mib) = size(&mut map, field, launch_type, report);
    (task.launch_type, task.memory_mib) = (launch_type, memory_mib);
    let execution_role_field = map.take("executionRoleArn");
    task.has_execution_role = execution_role_field.is_some();
    if execution_role_field.is_none() && launch_type == Some(LaunchType::Fargate) {
        report.say(
            field.at(),
            &join(&field.path, "executionRoleArn"),
            "is missing; Fargate needs the role to pull the image and to write the log",
            "write its ARN, like `arn:aws:iam::123456789012:role/my-execution-role`",
        );
    }
    let execution_role_arn = optional(execution_role_field, |field| field.text(report, forms::role_arn));
    let assign_public_ip = or_default(map.take("assignPublicIp"), |field| {
        let assign = field.boolean(report)?;
        if assign && launch_type == Some(LaunchType::Ec2) {
            field.say(
                report,
                "a task on EC2 cannot have a public address of its own",
                "write `false`",
            );
            return None;
        }
        Some(assign)
    });
    let enable_execute_command = or_default(map.take("enableExecuteCommand"), |field| field.boolean(report));
    let log_group = or_default(map.take("logGroup"), |field| log_group(&field, report));
    let service_registry_arn = optional(map.take("serviceRegistryArn"), |field| {
        field.text(report, forms::registry_arn)
    });
    let extra_flags = or_default(map.take("extraFlags"), |field| extra_flags(&field, report));
    map.finish(report, &[]);
    Some(Create {
        image: image?,
        cpu: cpu?,
        memory_mib: memory_mib?,
        launch_type: launch_type?,
        execution_role_arn: execution_role_arn?,
        assign_public_ip: assign_public_ip?,
        enable_execute_command: enable_execute_command?,
        log_group: log_group?,
        service_registry_arn: service_registry_arn?,
        extra_flags: extra_flags?,
    })
}

/// CPU units and memory; Fargate takes certain pairs.
fn size(
    map: &mut Map<'_>,
    create: &Field<'_>,
    launch_type: Option<LaunchType>,
    report: &mut Report,
) -> (Option<u32>, Option<u32>) {
    let cpu_field = map.take("cpu");
    let memory_field = map.take("memoryMiB");
    let at = memory_field
        .as_ref()
        .or(cpu_field.as_ref())
        .map_or(create.at(), Field::at);
    let path = memory_field
        .as_ref()
        .or(cpu_field.as_ref())
        .map_or_else(|| create.path.clone(), |field| field.path.clone());
    // ECS: 0.125 to 192 vCPU on EC2; a Valkey below 64 MiB has no room for its fork.
    let cpu = or(cpu_field, Create::default_cpu, |field| {
        field.whole(report, &(128..=196_608))
    });
    let memory_mib = or(memory_field, Create::default_memory_mib, |field| {
        field.whole(report, &(64..=25_165_824))
    });
    if let (Some(cpu), Some(memory_mib), Some(LaunchType::Fargate)) = (cpu, memory_mib, launch_type)
        && let Err(wrong) = forms::fargate_pair(cpu, memory_mib)
    {
        report.add(at, &path, wrong);
    }
    (cpu, memory_mib)
}

fn log_group(field: &Field<'_>, report: &mut Report) -> Option<LogGroup> {
    let mut map = field.map(report)?;
    let name = optional(map.take("name"), |field| field.text(report, forms::log_group));
    let retention_days = or(map.take("retentionDays"), LogGroup::default_retention_days, |field| {
        let days = field.whole(report, &(1..=3653))?;
        if !RETENTION_DAYS.contains(&days) {
            let above = RETENTION_DAYS
                .iter()
                .find(|allowed| **allowed > days)
                .copied()
                .unwrap_or(3653);
            field.say(
                report,
                format!("CloudWatch Logs does not take {days} days"),
                format!("write {above}, the next longer one that it takes"),
            );
            return None;
        }
        Some(days)
    });
    map.finish(report, &[]);
    Some(LogGroup {
        name: name?,
        retention_days: retention_days?,
    })
}

fn extra_flags(field: &Field<'_>, report: &mut Report) -> Option<Vec<String>> {
    let words = field.list(report)?;
    if words.len() > FLAGS_MAX {
        field.say(
            report,
            format!("has {} words, at most {FLAGS_MAX} are taken", words.len()),
            "build the settings into the image",
        );
        return None;
    }
    let mut flags = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let form: forms::Form = if index == 0 {
            |text| flags::word(text, true)
        } else {
            |text| flags::word(text, false)
        };
        flags.push(word.text(report, form));
    }
    flags.into_iter().collect()
}

pub(super) fn task_role(field: &Field<'_>, root_access: &mut Option<bool>, report: &mut Report) -> Option<TaskRole> {
    let mut map = field.map(report)?;
    let name = map
        .require(report, "name", "write the name of the tasks' role")
        .and_then(|field| field.text(report, forms::role_name));
    *root_access = or(map.take("rootAccess"), || true, |field| field.boolean(report));
    map.finish(report, &[("arn", "write the role's `name`")]);
    Some(TaskRole {
        name: name?,
        root_access: (*root_access)?,
    })
}
