//! Whether a task can have its image, its log and its file systems, in the words of AWS where it cannot.
//!
//! The texts are those that Fargate shows; they are derived from the graph of mount targets, security groups,
//! policies and access points as the EFS mount helper would run into them.

use super::definitions::{self, Definition};
use super::tasks::Task;
use crate::efs::{self, MountRequest};
use crate::state::State;
use crate::tasks::{Mount, TaskRunner};
use crate::wire::{boolean, list, text};
use crate::{logs, wire};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Why a task cannot start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Obstacle {
    pub(super) reason: String,
    /// The mount helper tries for a while before it gives up.
    pub(super) slow: bool,
}

/// An EFS volume as a task definition has it.
struct Volume<'a> {
    name: &'a str,
    file_system: &'a str,
    root: &'a str,
    access_point: Option<&'a str>,
    iam: bool,
    tls: bool,
}

impl<'a> Volume<'a> {
    fn read(volume: &'a Value) -> Option<Self> {
        let efs = volume.get("efsVolumeConfiguration")?;
        let authorization = efs.get("authorizationConfig").unwrap_or(&Value::Null);
        Some(Self {
            name: text(volume, "name").unwrap_or_default(),
            file_system: text(efs, "fileSystemId")?,
            root: text(efs, "rootDirectory").unwrap_or("/"),
            access_point: text(authorization, "accessPointId"),
            iam: text(authorization, "iam") == Some("ENABLED"),
            tls: text(efs, "transitEncryption") == Some("ENABLED"),
        })
    }

    fn request(&self, role: Option<&'a str>) -> MountRequest<'a> {
        MountRequest {
            file_system: self.file_system,
            access_point: self.access_point,
            role: role.filter(|_| self.iam),
            tls: self.tls,
        }
    }

    /// The directory of the file system that becomes the root of the mount.
    fn directory(&self, state: &State) -> String {
        let point = self.access_point.and_then(|id| efs::access_point(state, id));
        point.map_or(self.root, |point| &point.path).to_owned()
    }
}

/// The first thing that keeps the task from starting.
pub(super) fn obstacle(state: &mut State, task: &Task) -> Option<Obstacle> {
    let quick = |reason: String| Some(Obstacle { reason, slow: false });
    let Some(definition) = super::launch::definition_of(state, task) else {
        return quick("The task definition does not exist.".to_owned());
    };
    for container in &task.containers {
        let image = text(&container.definition, "image").unwrap_or_default();
        // There is no registry; these are what the machine can run, or what simulated tasks have beside them.
        let simulated = matches!(state.config.tasks, TaskRunner::Simulated);
        let known = ["valkey", "redis"].iter().any(|known| image.contains(known));
        let beside = simulated && image.contains("fluent-bit");
        if !(known || beside || state.config.program(image).is_some()) {
            return quick(format!(
                "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref {image}: {image}: not found"
            ));
        }
    }
    for container in &task.containers {
        let Some((group, _)) = definitions::log_stream(&container.definition, &task.id) else {
            continue;
        };
        let options = &container.definition["logConfiguration"]["options"];
        if boolean(options, "awslogs-create-group") == Some(true) && !logs::group_exists(state, &group) {
            // Refused or not, the next look says whether the group is there.
            let _ = logs::call(state, "CreateLogGroup", &json!({ "logGroupName": group }));
        }
        if !logs::group_exists(state, &group) {
            return quick(
                "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. : exit status 1".to_owned(),
            );
        }
    }
    let role = definition.text("taskRoleArn");
    let mut volumes = definition.volumes().iter().filter_map(Volume::read);
    volumes.find_map(|volume| mount_failure(state, task, &volume, role)).map(|(stderr, code)| Obstacle {
        reason: format!(
            "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: {stderr} : unsuccessful EFS utils command execution; code: {code}"
        ),
        slow: true,
    })
}

/// What the mount helper prints, and its exit code, when the mount fails.
fn mount_failure(state: &State, task: &Task, volume: &Volume<'_>, role: Option<&str>) -> Option<(String, i32)> {
    let id = volume.file_system;
    let zone = task
        .interface
        .as_ref()
        .map(|interface| interface.zone.as_str())
        .unwrap_or_default();
    let usable = efs::file_system(state, id).is_some_and(|found| found.life.is_usable());
    let target = efs::mount_target_in_zone(state, id, zone).filter(|_| usable);
    let Some(target) = target.filter(|target| efs::name_resolves(state, target)) else {
        let name = format!("{id}.efs.{}.amazonaws.com", state.config.region);
        let stderr = format!(
            "Failed to resolve \"{name}\" - check that your file system ID is correct, and ensure that the VPC has an EFS mount target for this file system ID. See https://docs.aws.amazon.com/console/efs/mount-dns-name for more detail. Attempting to lookup mount target ip address using botocore. Failed to import necessary dependency botocore, please install botocore first."
        );
        return Some((stderr, 1));
    };
    let reached = task
        .interface
        .as_ref()
        .is_some_and(|interface| efs::nfs_open(state, &interface.groups, interface.address, target));
    if !reached {
        let stderr = "Mount attempt 1/3 failed due to timeout after 15 sec, wait 0 sec before next attempt. Mount attempt 2/3 failed due to timeout after 15 sec, wait 0 sec before next attempt. b'mount.nfs4: Connection timed out'";
        return Some((stderr.to_owned(), 32));
    }
    let denied = || {
        Some((
            format!(
                "b'mount.nfs4: access denied by server while mounting 127.0.0.1:{}'",
                volume.root
            ),
            32,
        ))
    };
    if volume.iam && role.is_none() || !efs::may(state, volume.request(role), "ClientMount") {
        return denied();
    }
    if let Some(point) = volume.access_point {
        let point = efs::access_point(state, point).filter(|point| point.file_system == id && point.life.is_usable());
        return match point {
            Some(point) if point.creation.is_some() || has_directory(state, id, &point.path) => None,
            _ => denied(),
        };
    }
    if has_directory(state, id, volume.root) {
        return None;
    }
    let server = if volume.tls {
        "127.0.0.1".to_owned()
    } else {
        format!("{id}.efs.{}.amazonaws.com", state.config.region)
    };
    let root = volume.root;
    let stderr =
        format!("b'mount.nfs4: mounting {server}:{root} failed, reason given by server: No such file or directory'");
    Some((stderr, 32))
}

fn has_directory(state: &State, file_system: &str, path: &str) -> bool {
    path == "/"
        || state
            .ecs
            .directories
            .contains(&(file_system.to_owned(), path.to_owned()))
        || state.config.tasks == TaskRunner::Processes && host_directory(state, file_system, path).is_dir()
}

/// Where a directory of a file system lies on this machine.
fn host_directory(state: &State, file_system: &str, path: &str) -> PathBuf {
    state
        .config
        .data_dir
        .join("efs")
        .join(file_system)
        .join(path.trim_start_matches('/'))
}

/// A task's volumes, mounted.
#[derive(Debug, Default)]
pub(super) struct Mounted {
    /// By volume name: the host's directory, and whether writing is not allowed.
    volumes: Vec<(String, PathBuf, bool)>,
    /// The user that an access point makes of everyone.
    pub(super) posix: Option<(u32, u32)>,
}

impl Mounted {
    /// The mounts of one container.
    pub(super) fn of_container(&self, container: &Value) -> Vec<Mount> {
        let points = list(container, "mountPoints").iter();
        points
            .filter_map(|point| {
                let source = text(point, "sourceVolume")?;
                let (_, host, read_only) = self.volumes.iter().find(|(name, ..)| name == source)?;
                Some(Mount {
                    host: host.clone(),
                    container: text(point, "containerPath")?.to_owned(),
                    read_only: *read_only || boolean(point, "readOnly") == Some(true),
                })
            })
            .collect()
    }
}

/// Mounts the task's volumes: the directory of an access point is made if it is not there.
pub(super) fn mount(state: &mut State, task: &Task, definition: &Definition) -> Mounted {
    let mut mounted = Mounted::default();
    let role = definition.text("taskRoleArn");
    for volume in definition.volumes() {
        let Some(efs_volume) = Volume::read(volume) else {
            // A volume of the task alone.
            let name = wire::text(volume, "name").unwrap_or_default();
            let host = state
                .config
                .data_dir
                .join("tasks")
                .join(&task.id)
                .join("volumes")
                .join(name);
            make(&host, None);
            mounted.volumes.push((name.to_owned(), host, false));
            continue;
        };
        let path = efs_volume.directory(state);
        let host = host_directory(state, efs_volume.file_system, &path);
        let point = efs_volume.access_point.and_then(|id| efs::access_point(state, id));
        if let Some(user) = point.and_then(|point| point.posix_user.as_ref()) {
            mounted.posix = Some((user.uid, user.gid));
        }
        let mode = point
            .and_then(|point| point.creation.as_ref())
            .and_then(|creation| u32::from_str_radix(&creation.permissions, 8).ok());
        let read_only = !efs::may(state, efs_volume.request(role), "ClientWrite");
        if state.config.tasks == TaskRunner::Processes {
            make(&host, mode);
        }
        mounted.volumes.push((efs_volume.name.to_owned(), host, read_only));
        state.ecs.directories.insert((efs_volume.file_system.to_owned(), path));
    }
    mounted
}

/// Makes a directory; one that exists keeps its mode, as on EFS.
fn make(directory: &Path, mode: Option<u32>) {
    if directory.is_dir() {
        return;
    }
    let done = fs::create_dir_all(directory).and_then(|()| match mode {
        Some(mode) => fs::set_permissions(directory, fs::Permissions::from_mode(mode)),
        None => Ok(()),
    });
    if let Err(error) = done {
        tracing::error!(directory = %directory.display(), %error, "cannot make a file system's directory");
    }
}
