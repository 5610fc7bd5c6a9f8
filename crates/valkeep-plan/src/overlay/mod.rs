//! Lays the document's persistence over a task definition that somebody else maintains, and takes it off again.
//!
//! Owned in the definition, and nothing else: one volume and its mount, the server's entry point and command, its user
//! where that was root, the stop timeout where it was shorter, the health check's patience, the task role where there
//! was none, and the variables and the label that start with valkeep's name. The label holds what stood there before,
//! so that a copy of the definition that some pipeline made can be taken apart, too.

mod command;
mod health;

use crate::render::{LOCK_NAME, LOCK_SCRIPT, environment, mounted_flags};
pub(crate) use command::value_of;
use command::{Command, texts};
use serde_json::{Map, Value, json};
use valkeep_core::desired::{ServerSpec, Snapshots};
use valkeep_core::identity::{LABEL_BASE, OVERLAY_VOLUME};
use valkeep_core::ids::{AccessPointId, FileSystemId};
use valkeep_core::task_definition::EfsVolume;
use valkeep_core::{HoldReason, RawDefinition, Timestamp};

/// All environment variables of ours start with this.
const ENV_PREFIX: &str = "VALKEEP_";
/// What ECS takes for a stop timeout that is left out.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html>
pub(crate) const STOP_TIMEOUT_S: u64 = 30;

/// What is laid over a definition.
#[derive(Debug, Clone, Copy)]
pub struct Overlay<'a> {
    /// The container that runs Valkey, its port, the shortest time from SIGTERM to SIGKILL, its memory.
    pub server: &'a ServerSpec,
    /// Snapshot settings and the directory.
    pub snapshots: &'a Snapshots,
    /// The file system and access point behind the directory.
    pub volume: &'a EfsVolume,
    /// The access point's directory on the file system.
    pub path: &'a str,
    /// `uid:gid` of the access point.
    pub user: &'a str,
    /// The task role that may mount it.
    pub role_arn: &'a str,
    /// Older dumps are set aside before the server starts.
    pub stale_before: Option<Timestamp>,
    /// The mark of the last restart that was asked for.
    pub restart: Option<&'a str>,
}

/// Why a definition cannot be worked on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// For machines.
    pub reason: HoldReason,
    /// For people: what is in the way.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Refusal {
    fn new(reason: HoldReason, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            hint: hint.into(),
        }
    }

    pub(crate) fn command(why: &str) -> Self {
        Self::new(
            HoldReason::CommandNotUnderstood,
            format!("how the server is started is not understood: {why}"),
            "let entryPoint and command of the definition start valkey-server directly, as in [\"valkey-server\", \"--maxmemory\", \"100mb\"], or by one simple command of `sh -c`",
        )
    }
}

/// The base with persistence on it.
///
/// Guarantees: every member that is not owned is in the result as it is in `base`, keys that nobody here knows
/// included; laying it over its own result's base gives the same again.
pub fn lay_over(base: &RawDefinition, overlay: &Overlay) -> Result<RawDefinition, Refusal> {
    fits(base)?;
    let server = the_server(base, &overlay.server.container)?;
    let command = Command::of(server)?;
    settings_fit(&command, overlay)?;
    let mut originals = Map::new();
    let mut laid = RawDefinition::new(base.registration()).expect("a registration is an object");
    let role = role(base, overlay)?;
    if base.text("taskRoleArn").is_none() {
        originals.insert("taskRoleArn".to_owned(), Value::Null);
    }
    laid.members_mut().insert("taskRoleArn".to_owned(), json!(role));
    add_volume(&mut laid, overlay)?;
    let mount = mount(base, server, overlay)?;
    let container = container_mut(&mut laid, &overlay.server.container).expect("it was there a moment ago");
    put_mount(container, mount, overlay, &mut originals);
    let extra_flags = has_variable(server, "VALKEY_EXTRA_FLAGS");
    let lock = ["/bin/sh", "-c", LOCK_SCRIPT, LOCK_NAME].map(str::to_owned);
    let entry_point: Vec<String> = command.init().iter().cloned().chain(lock).collect();
    let line: Vec<String> = std::iter::once(overlay.snapshots.mount_path.clone())
        .chain(command.with(flags(overlay), extra_flags))
        .collect();
    replace(container, "entryPoint", json!(entry_point), &mut originals);
    replace(container, "command", json!(line), &mut originals);
    if is_root(server["user"].as_str()) {
        replace(container, "user", json!(overlay.user), &mut originals);
    }
    let given = server["stopTimeout"].as_u64();
    if given.unwrap_or(STOP_TIMEOUT_S) < u64::from(overlay.server.stop_timeout_s) {
        replace(
            container,
            "stopTimeout",
            json!(overlay.server.stop_timeout_s),
            &mut originals,
        );
    }
    if let Some(check) = health::bearing(&server["healthCheck"], &command.program, overlay.server.port) {
        replace(container, "healthCheck", check, &mut originals);
    }
    put_environment(container, overlay)?;
    let labels = container.entry("dockerLabels").or_insert_with(|| json!({}));
    if !labels.is_object() {
        *labels = json!({});
    }
    labels[LABEL_BASE] = json!(Value::Object(originals).to_string());
    Ok(laid)
}

/// What is under an overlay: the definition as its maintainer would have written it. None where it carries no label that
/// says what stood there before.
pub fn take_off(laid: &RawDefinition) -> Option<RawDefinition> {
    let name = laid.containers().iter().find(|found| carries_lock(found))?["name"].as_str()?;
    let originals: Map<String, Value> =
        serde_json::from_str(laid.container(name)?["dockerLabels"][LABEL_BASE].as_str()?).ok()?;
    let mut base = RawDefinition::new(laid.registration())?;
    if originals.get("taskRoleArn") == Some(&Value::Null) {
        base.members_mut().remove("taskRoleArn");
    }
    if let Some(Value::Array(volumes)) = base.members_mut().get_mut("volumes") {
        volumes.retain(|volume| volume["name"] != OVERLAY_VOLUME);
    }
    let container = container_mut(&mut base, name)?;
    for (member, value) in &originals {
        match (member.as_str(), value) {
            ("taskRoleArn" | "mountPoint", _) => {}
            (member, Value::Null) => {
                container.remove(member);
            }
            (member, value) => {
                container.insert(member.to_owned(), value.clone());
            }
        }
    }
    if let Some(Value::Array(mounts)) = container.get_mut("mountPoints") {
        match originals.get("mountPoint") {
            Some(before) => {
                for mount in mounts
                    .iter_mut()
                    .filter(|mount| mount["sourceVolume"] == OVERLAY_VOLUME)
                {
                    *mount = before.clone();
                }
            }
            None => mounts.retain(|mount| mount["sourceVolume"] != OVERLAY_VOLUME),
        }
    }
    if let Some(Value::Array(environment)) = container.get_mut("environment") {
        environment.retain(|pair| !pair["name"].as_str().is_some_and(|name| name.starts_with(ENV_PREFIX)));
    }
    if let Some(Value::Object(labels)) = container.get_mut("dockerLabels") {
        labels.remove(LABEL_BASE);
    }
    Some(base)
}

/// What can be read of how a container starts its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// `--port`
    pub port: Option<u16>,
    /// `--dir`
    pub directory: Option<String>,
    /// `--dbfilename`
    pub file_name: Option<String>,
    /// `--appendonly yes`
    pub append_only: bool,
    /// `--save`, as (seconds, changes): empty is off, none is what the server takes by itself.
    pub save: Option<Vec<(u32, u32)>>,
}

/// How a container starts its server, or why that is not understood.
pub fn started(container: &Value) -> Result<Started, Refusal> {
    let command = Command::of(container)?;
    let text = |flag| command.value_of(flag).map(ToOwned::to_owned);
    let save = command.value_of("--save").map(|points| {
        let numbers: Vec<u32> = points.split_whitespace().map_while(|word| word.parse().ok()).collect();
        numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
    });
    Ok(Started {
        port: command.value_of("--port").and_then(|port| port.parse().ok()),
        directory: text("--dir"),
        file_name: text("--dbfilename"),
        append_only: command.value_of("--appendonly") == Some("yes"),
        save,
    })
}

/// Whether any container of a definition starts under the directory's lock.
pub fn carries_overlay(definition: &RawDefinition) -> bool {
    definition.containers().iter().any(carries_lock)
}

/// Whether a container's server starts under the directory's lock.
pub(crate) fn carries_lock(container: &Value) -> bool {
    texts(&container["entryPoint"]).iter().any(|word| word == LOCK_NAME)
}

/// Whether the Valkey container of a definition starts under the directory's lock.
pub(crate) fn is_locked(definition: &RawDefinition, container: &str) -> bool {
    definition.container(container).is_some_and(carries_lock)
}

/// Whether a container mounts this directory, by our overlay or by its maintainer's own volume.
pub(crate) fn mounts(
    definition: &RawDefinition,
    container: &Value,
    file_system: &FileSystemId,
    access_point: &AccessPointId,
    path: &str,
) -> bool {
    let mounts = container["mountPoints"].as_array().map_or(&[][..], Vec::as_slice);
    definition.volumes().iter().any(|volume| {
        is_the_directory(volume, file_system, access_point, path)
            && mounts.iter().any(|mount| mount["sourceVolume"] == volume["name"])
    })
}

/// Every word that the container is started with, in order, those within a shell's script included.
pub(crate) fn words(container: &Value) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in texts(&container["entryPoint"])
        .into_iter()
        .chain(texts(&container["command"]))
    {
        let script = words
            .last()
            .is_some_and(|before| before.starts_with('-') && before.ends_with('c'));
        match shlex::split(&word) {
            Some(parts) if script && word != LOCK_SCRIPT => words.extend(parts),
            _ => words.push(word),
        }
    }
    words
}

/// Takes away what only says how valkeep starts and watches the server, and gives the server's words.
pub(crate) fn forget_rendering(laid: &mut RawDefinition, container: &str) -> Option<Vec<String>> {
    let container = container_mut(laid, container)?;
    container.remove("entryPoint");
    container.remove("healthCheck");
    Some(texts(container.get("command")?))
}

/// Gives the server other words.
pub(crate) fn put_command(laid: &mut RawDefinition, container: &str, words: &[String]) {
    if let Some(container) = container_mut(laid, container) {
        container.insert("command".to_owned(), json!(words));
    }
}

/// What the definition as a whole must be.
fn fits(base: &RawDefinition) -> Result<(), Refusal> {
    if base.text("networkMode") != Some("awsvpc") {
        return Err(Refusal::new(
            HoldReason::UnsupportedNetworkMode,
            format!(
                "the definition's network mode is {}, and mounting by security group needs awsvpc",
                base.text("networkMode").unwrap_or("the default, bridge")
            ),
            "set networkMode awsvpc in the definition and deploy it",
        ));
    }
    let system = base
        .get("runtimePlatform")
        .and_then(|platform| platform["operatingSystemFamily"].as_str())
        .unwrap_or("LINUX");
    if system != "LINUX" {
        return Err(Refusal::command(&format!("it runs on {system}")));
    }
    Ok(())
}

/// The one container that runs Valkey, by the document's name for it.
fn the_server<'a>(base: &'a RawDefinition, name: &str) -> Result<&'a Value, Refusal> {
    let servers: Vec<&str> = base
        .containers()
        .iter()
        .filter(|container| Command::of(container).is_ok())
        .filter_map(|container| container["name"].as_str())
        .collect();
    let Some(found) = base.container(name) else {
        let names: Vec<&str> = base
            .containers()
            .iter()
            .filter_map(|container| container["name"].as_str())
            .collect();
        return Err(Refusal::new(
            HoldReason::AmbiguousContainer,
            format!("the definition has no container {name}; it has {}", names.join(", ")),
            match servers.as_slice() {
                [server] => format!("set spec.service.container to {server}"),
                _ => "set spec.service.container to the one that runs Valkey".to_owned(),
            },
        ));
    };
    if let Some(other) = servers.iter().find(|other| **other != name) {
        return Err(Refusal::new(
            HoldReason::AmbiguousContainer,
            format!("the containers {name} and {other} both run a Valkey"),
            "give the other one a service of its own; one document is for one Valkey",
        ));
    }
    Ok(found)
}

/// Whether what the base tells its server goes together with what we tell it.
fn settings_fit(command: &Command, overlay: &Overlay) -> Result<(), Refusal> {
    let refuse = |reason, message: String, hint: &str| Err(Refusal::new(reason, message, hint));
    let has_tls = overlay.server.access.tls.is_some();
    let flag = if has_tls { "--tls-port" } else { "--port" };
    // What a file says of it is not seen.
    if let Some(port) = command.value_of(flag)
        && port != overlay.server.port.to_string()
    {
        return refuse(
            HoldReason::CommandNotUnderstood,
            format!(
                "the server is started with {flag} {port}, and the document says {}",
                overlay.server.port
            ),
            if port == "0" && has_tls {
                "take spec.valkey.tls out of the document, since the server listens without"
            } else if port == "0" {
                "set spec.valkey.tls, since the server listens with TLS only"
            } else {
                "set spec.service.port to the server's port"
            },
        );
    }
    if command.value_of("--appendonly").is_some_and(|on| on == "yes") {
        return refuse(
            HoldReason::AppendOnlyByRestart,
            "the server keeps its data in an append-only file, which a start without it would not load".to_owned(),
            "take --appendonly out of the definition once its data is in a snapshot; spec.persistence.appendOnly switches it on again \
             while the server runs",
        );
    }
    for flag in ["--cluster-enabled", "--replicaof", "--slaveof", "--sentinel"] {
        if command.words.iter().any(|word| word == flag) && command.value_of(flag) != Some("no") {
            return refuse(
                HoldReason::CommandNotUnderstood,
                format!("the server is started with {flag}"),
                "valkeep looks after servers that stand alone",
            );
        }
    }
    Ok(())
}

fn role<'a>(base: &'a RawDefinition, overlay: &'a Overlay) -> Result<&'a str, Refusal> {
    let name = |arn: &str| arn.rsplit('/').next().unwrap_or(arn).to_owned();
    match base.text("taskRoleArn") {
        None => Ok(overlay.role_arn),
        Some(arn) if name(arn) == name(overlay.role_arn) => Ok(arn),
        Some(arn) => Err(Refusal::new(
            HoldReason::OtherRole,
            format!(
                "the definition's task role is {arn}, and the document names {}",
                overlay.role_arn
            ),
            format!(
                "set spec.taskRole.name to {}; valkeep adds the EFS permissions to it",
                name(arn)
            ),
        )),
    }
}

fn add_volume(laid: &mut RawDefinition, overlay: &Overlay) -> Result<(), Refusal> {
    if laid.volumes().iter().any(|volume| volume["name"] == OVERLAY_VOLUME) {
        return Err(Refusal::new(
            HoldReason::NotOurs,
            format!("the definition has a volume {OVERLAY_VOLUME} that valkeep did not make"),
            "give the volume another name in the definition and deploy it",
        ));
    }
    let EfsVolume {
        name: _,
        file_system,
        access_point,
    } = overlay.volume;
    let volumes = laid.members_mut().entry("volumes").or_insert_with(|| json!([]));
    if !volumes.is_array() {
        *volumes = json!([]);
    }
    // An access point forbids a root directory of its own.
    volumes.as_array_mut().expect("made a list above").push(json!({
        "name": OVERLAY_VOLUME,
        "efsVolumeConfiguration": {
            "fileSystemId": file_system.as_str(),
            "transitEncryption": "ENABLED",
            "authorizationConfig": { "accessPointId": access_point.as_str(), "iam": "ENABLED" },
        },
    }));
    Ok(())
}

/// The place among the server's mounts of what is mounted on our path now.
fn mount(base: &RawDefinition, server: &Value, overlay: &Overlay) -> Result<Option<usize>, Refusal> {
    let wanted = overlay.snapshots.mount_path.trim_end_matches('/');
    let mounts = server["mountPoints"].as_array().map_or(&[][..], Vec::as_slice);
    let Some(at) = mounts.iter().position(|mount| {
        mount["containerPath"]
            .as_str()
            .is_some_and(|path| path.trim_end_matches('/') == wanted)
    }) else {
        return Ok(None);
    };
    let name = mounts[at]["sourceVolume"].as_str().unwrap_or_default();
    let volume = base.volumes().iter().find(|volume| volume["name"] == name);
    let Some(volume) = volume else { return Ok(Some(at)) };
    let EfsVolume {
        name: _,
        file_system,
        access_point,
    } = overlay.volume;
    if is_ephemeral(volume) || is_the_directory(volume, file_system, access_point, overlay.path) {
        return Ok(Some(at));
    }
    Err(Refusal::new(
        HoldReason::WouldHideData,
        format!(
            "the definition mounts the volume {name} on {wanted}, which is another place than the document's directory: its data would be hidden"
        ),
        "name its file system and access point in spec.fileSystem, or copy the data and take the mount out of the definition",
    ))
}

/// A volume that ends with its task.
fn is_ephemeral(volume: &Value) -> bool {
    let kinds = [
        "efsVolumeConfiguration",
        "dockerVolumeConfiguration",
        "fsxWindowsFileServerVolumeConfiguration",
        "s3filesVolumeConfiguration",
    ];
    kinds.iter().all(|kind| volume[*kind].is_null())
        && volume["host"]["sourcePath"].as_str().is_none_or(str::is_empty)
        && volume["configuredAtLaunch"] != true
}

/// The same directory of the same file system, by the same access point or by its path.
fn is_the_directory(volume: &Value, file_system: &FileSystemId, access_point: &AccessPointId, path: &str) -> bool {
    let efs = &volume["efsVolumeConfiguration"];
    let root = efs["rootDirectory"].as_str().unwrap_or("/");
    efs["fileSystemId"] == file_system.as_str()
        && match efs["authorizationConfig"]["accessPointId"].as_str() {
            Some(id) => id == access_point.as_str(),
            None => root.trim_end_matches('/') == path.trim_end_matches('/'),
        }
}

fn put_mount(
    container: &mut Map<String, Value>,
    at: Option<usize>,
    overlay: &Overlay,
    originals: &mut Map<String, Value>,
) {
    let ours = json!({
        "sourceVolume": OVERLAY_VOLUME,
        "containerPath": overlay.snapshots.mount_path,
        "readOnly": false,
    });
    let mounts = container.entry("mountPoints").or_insert_with(|| json!([]));
    if !mounts.is_array() {
        *mounts = json!([]);
    }
    let mounts = mounts.as_array_mut().expect("made a list above");
    match at {
        Some(at) => {
            let before = std::mem::replace(&mut mounts[at], ours);
            originals.insert("mountPoint".to_owned(), before);
        }
        None => mounts.push(ours),
    }
}

fn put_environment(container: &mut Map<String, Value>, overlay: &Overlay) -> Result<(), Refusal> {
    let ours = environment(Some(overlay.snapshots), overlay.stale_before, overlay.restart);
    let present = container.entry("environment").or_insert_with(|| json!([]));
    if !present.is_array() {
        *present = json!([]);
    }
    let pairs = present.as_array_mut().expect("made a list above");
    let name = |pair: &Value| pair["name"].as_str().unwrap_or_default().to_owned();
    if let Some(taken) = pairs.iter().map(name).find(|name| name.starts_with(ENV_PREFIX)) {
        return Err(Refusal::new(
            HoldReason::NotOurs,
            format!("the definition sets {taken}, and variables that start with {ENV_PREFIX} are valkeep's"),
            "take it out of the definition and deploy it",
        ));
    }
    pairs.extend(
        ours.into_iter()
            .map(|(name, value)| json!({ "name": name, "value": value })),
    );
    Ok(())
}

/// Puts a value in place of another, and remembers the other; nothing is remembered where both are the same.
fn replace(container: &mut Map<String, Value>, member: &str, value: Value, originals: &mut Map<String, Value>) {
    if container.get(member) == Some(&value) {
        return;
    }
    let before = container.insert(member.to_owned(), value);
    originals.insert(member.to_owned(), before.unwrap_or(Value::Null));
}

fn container_mut<'a>(definition: &'a mut RawDefinition, name: &str) -> Option<&'a mut Map<String, Value>> {
    definition
        .members_mut()
        .get_mut("containerDefinitions")?
        .as_array_mut()?
        .iter_mut()
        .find(|container| container["name"] == name)?
        .as_object_mut()
}

/// Whether a variable may be set in a container: by value, from a secret, or from a file that nobody here can read.
fn has_variable(container: &Value, name: &str) -> bool {
    let among = |member: &str| {
        container[member]
            .as_array()
            .is_some_and(|pairs| pairs.iter().any(|pair| pair["name"] == name))
    };
    let files = container["environmentFiles"]
        .as_array()
        .is_some_and(|files| !files.is_empty());
    among("environment") || among("secrets") || files
}

/// The official images start as root and then change the owner of the directory, which an access point refuses.
fn is_root(user: Option<&str>) -> bool {
    let user = user.unwrap_or_default().split(':').next().unwrap_or_default();
    matches!(user, "" | "0" | "root")
}

/// Ours come last, and of a flag that is given twice the server takes the last; save points would add up, so the first
/// one clears those before it.
fn flags(overlay: &Overlay) -> Vec<String> {
    ["--save", ""]
        .map(str::to_owned)
        .into_iter()
        .chain(mounted_flags(overlay.server, overlay.snapshots))
        .collect()
}
