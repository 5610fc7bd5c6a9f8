//! `valkeep import`: the document of a service that runs today, with what is unusual about it as comments.

use crate::cli::ImportArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{Out, talk};
use crate::world;
use serde_json::Value;
use std::fmt::Write as _;
use valkeep_aws::Survey;
use valkeep_core::{Limits, RawDefinition};
use valkeep_plan::overlay::{Started, carries_overlay, started, take_off};

/// Writes the document.
pub(crate) async fn import(args: ImportArgs) -> Result<Exit, CommandError> {
    let aws = world::aws().await;
    let scope = world::scope(&aws, &args.scope, &Limits::default()).await?;
    let ImportArgs { cluster, service, .. } = &args;
    let Some(survey) = aws.survey(cluster, service).await? else {
        return Err(
            CommandError::user(format!("there is no service {service} in {cluster}"))
                .hint(format!("`aws ecs list-services --cluster {cluster}` lists them")),
        );
    };
    let text = document(&scope.region, cluster, service, &survey)?;
    // What is written must be a document, or the command has failed.
    valkeep_document::read("imported", text.as_bytes()).map_err(crate::input::invalid)?;
    Out::stdout().text(&text)?;
    talk(&format!(
        "the document of {cluster}/{service}; `valkeep plan` with it shows what persistence adds"
    ));
    Ok(Exit::Ok)
}

fn document(region: &str, cluster: &str, service: &str, survey: &Survey) -> Result<String, CommandError> {
    let definition = if carries_overlay(&survey.definition) {
        take_off(&survey.definition).unwrap_or_else(|| survey.definition.clone())
    } else {
        survey.definition.clone()
    };
    let Some(vpc) = &survey.vpc else {
        return Err(CommandError::user(format!("the service {service} has no subnets"))
            .hint("valkeep mounts by security group, so the service's network mode must be awsvpc"));
    };
    let (container, server) = the_server(&definition, service)?;
    let mut text = format!(
        "# What {cluster}/{service} is today, on {}.\n",
        short(&survey.service.task_definition)
    );
    for remark in remarks(survey, &definition, &container, &server) {
        writeln!(text, "# - {remark}").expect("a text takes more text");
    }
    let list = |items: Vec<String>| items.join(", ");
    let subnets = list(
        survey
            .service
            .settings
            .subnets
            .iter()
            .map(ToString::to_string)
            .collect(),
    );
    let groups = list(survey.service.settings.groups.iter().map(ToString::to_string).collect());
    write!(
        text,
        "apiVersion: valkeep.dev/v1alpha1
kind: ValkeyPersistence
metadata:
  name: {}
spec:
  region: {region}
  cluster: {cluster}
  service:
    name: {service}
    container: {container}
    port: {}
  taskRole:
{}  network:
    vpcId: {vpc}
    subnetIds: [{subnets}]
    taskSecurityGroupIds: [{groups}]
{}{}  rollout:
    # The cache is not persisted today, so the first replacement would lose it. AcceptLoss accepts that once.
    firstTransition: Wait
",
        label(service),
        server.port.unwrap_or(6379),
        task_role(&definition, service),
        file_system(&definition, &container, &server),
        snapshots(&server),
    )
    .expect("a text takes more text");
    Ok(text)
}

/// The one container that runs Valkey.
fn the_server(definition: &RawDefinition, service: &str) -> Result<(String, Started), CommandError> {
    let mut servers = definition
        .containers()
        .iter()
        .filter_map(|container| Some((container["name"].as_str()?.to_owned(), started(container).ok()?)));
    match (servers.next(), servers.next()) {
        (Some(server), None) => Ok(server),
        (Some((one, _)), Some((other, _))) => Err(CommandError::user(format!(
            "the containers {one} and {other} of {service} both run a Valkey"
        ))
        .hint("one document is for one Valkey: give the other a service of its own")),
        (None, _) => {
            let reasons: Vec<String> = definition
                .containers()
                .iter()
                .filter_map(|container| {
                    let refusal = started(container).err()?;
                    Some(format!("{}: {refusal}", container["name"].as_str()?))
                })
                .collect();
            Err(CommandError::user(format!(
                "no container of {service} is known to run Valkey: {}",
                reasons.join("; ")
            ))
            .hint("let entryPoint and command start valkey-server directly, or by one simple command of `sh -c`"))
        }
    }
}

/// What a reader should know before persistence comes.
fn remarks(survey: &Survey, definition: &RawDefinition, container: &str, server: &Started) -> Vec<String> {
    let service = &survey.service;
    let mut remarks = Vec::new();
    let others: Vec<&str> = definition
        .containers()
        .iter()
        .filter_map(|one| one["name"].as_str())
        .filter(|name| *name != container)
        .collect();
    if !others.is_empty() {
        remarks.push(format!(
            "beside the server run {}; they pass through untouched",
            others.join(", ")
        ));
    }
    if service.desired != 1 {
        remarks.push(format!(
            "its desired count is {}; one directory has one writer",
            service.desired
        ));
    }
    if let Some(target) = survey.scaling {
        remarks.push(format!(
            "Application Auto Scaling may set {} to {} tasks; valkeep takes it over only without",
            target.min, target.max
        ));
    }
    let kind = &service.kind;
    for (is, usual) in [
        (&kind.scheduling, "REPLICA"),
        (&kind.controller, "ECS"),
        (&kind.strategy, "ROLLING"),
    ] {
        if is != usual {
            remarks.push(format!("it is {is} where valkeep takes over {usual}"));
        }
    }
    if let Some(percent) = service.settings.maximum_percent.filter(|percent| *percent > 100) {
        remarks.push(format!(
            "its tasks may overlap ({} to {percent} percent); valkeep sets 0 to 100, so a deployment stops before it starts",
            service.settings.minimum_healthy_percent.unwrap_or(100)
        ));
    }
    if server.append_only {
        remarks.push("it keeps an append-only file, which valkeep cannot take over yet".to_owned());
    }
    if definition
        .get("runtimePlatform")
        .is_some_and(|platform| platform["cpuArchitecture"] == "ARM64")
    {
        remarks.push("it runs on ARM64, and goes on doing so".to_owned());
    }
    remarks
}

fn task_role(definition: &RawDefinition, service: &str) -> String {
    match definition.text("taskRoleArn") {
        Some(arn) => format!("    name: {}\n", short(arn)),
        None => format!(
            "    # The definition has none. Make one that ecs-tasks.amazonaws.com may assume, and name it here.\n    name: {service}-task\n"
        ),
    }
}

/// Where the server's directory lies on EFS already.
fn file_system(definition: &RawDefinition, container: &str, server: &Started) -> String {
    let directory = server.directory.as_deref().unwrap_or("/data");
    let path = |mount: &Value| {
        mount["containerPath"]
            .as_str()
            .map(|path| path.trim_end_matches('/').to_owned())
    };
    let volume = definition
        .container(container)
        .and_then(|found| found["mountPoints"].as_array())
        .into_iter()
        .flatten()
        .find(|mount| path(mount).as_deref() == Some(directory.trim_end_matches('/')))
        .and_then(|mount| {
            definition
                .volumes()
                .iter()
                .find(|volume| volume["name"] == mount["sourceVolume"])
        });
    let mount_path = if directory == "/data" {
        String::new()
    } else {
        format!("    mountPath: {directory}\n")
    };
    let Some(efs) = volume
        .map(|volume| &volume["efsVolumeConfiguration"])
        .filter(|efs| efs.is_object())
    else {
        return if mount_path.is_empty() {
            String::new()
        } else {
            format!("  fileSystem:\n{mount_path}")
        };
    };
    let id = efs["fileSystemId"].as_str().unwrap_or_default();
    match efs["authorizationConfig"]["accessPointId"].as_str() {
        Some(access_point) => format!(
            "  # The directory lies on EFS already, and stays where it is.\n  fileSystem:\n    id: {id}\n    accessPoint: {{id: {access_point}}}\n{mount_path}"
        ),
        None => format!(
            "  # The directory lies on EFS already, without an access point: its owner must be as the files are.\n  fileSystem:\n    id: {id}\n    accessPoint: {{path: {}}}\n{mount_path}",
            efs["rootDirectory"].as_str().unwrap_or("/")
        ),
    }
}

fn snapshots(server: &Started) -> String {
    let mut text = String::from("  persistence:\n    snapshots:\n");
    match &server.save {
        Some(rules) if !rules.is_empty() => {
            let rules: Vec<String> = rules
                .iter()
                .map(|(seconds, changes)| format!("{{seconds: {seconds}, changes: {changes}}}"))
                .collect();
            writeln!(text, "      preset: Custom\n      rules: [{}]", rules.join(", "))
                .expect("a text takes more text");
        }
        Some(_) => text.push_str("      # Snapshots are off today.\n      preset: Balanced\n"),
        None => text.push_str("      preset: Balanced\n"),
    }
    if let Some(name) = &server.file_name {
        writeln!(text, "      filename: {name}").expect("a text takes more text");
    }
    text
}

/// What follows the last slash of an ARN.
fn short(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// A DNS label out of a service's name.
fn label(service: &str) -> String {
    let label: String = service
        .chars()
        .map(|letter| {
            if letter == '_' {
                '-'
            } else {
                letter.to_ascii_lowercase()
            }
        })
        .take(63)
        .collect();
    label.trim_matches('-').to_owned()
}
