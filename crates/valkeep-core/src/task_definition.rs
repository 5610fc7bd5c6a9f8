//! The task definition as valkeep renders it, in a form that compares.

use crate::SecretReference;
use crate::access::{LoginSpec, UserSpec};
use crate::ids::{AccessPointId, FileSystemId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What valkeep registers. AWS's filled-in defaults, orders and unknown new keys are not part of it, so they are
/// never drift; two equal values behave equally.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskDefinition {
    /// Family.
    pub family: String,
    /// Role that the task has, and that EFS authorizes.
    pub task_role_arn: String,
    /// Role that pulls the image and writes the log.
    pub execution_role_arn: Option<String>,
    /// CPU units (1024 is one vCPU).
    pub cpu: u32,
    /// MiB.
    pub memory_mib: u32,
    /// Where it runs.
    pub launch_type: LaunchType,
    /// The one container.
    pub container: Container,
    /// The EFS volume; none while persistence is disabled. TLS and IAM are always on.
    pub volume: Option<EfsVolume>,
}

/// The container that runs Valkey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Image with tag or digest.
    pub image: String,
    /// `entryPoint`.
    pub entry_point: Vec<String>,
    /// `command`.
    pub command: Vec<String>,
    /// `uid:gid`, equal to the access point's.
    pub user: Option<String>,
    /// TCP port, container and host (awsvpc).
    pub port: u16,
    /// Environment, sorted.
    pub environment: BTreeMap<String, String>,
    /// Variables that ECS fills in from secrets when it starts the task, sorted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretReference>,
    /// Where the volume is mounted.
    pub mount_path: Option<String>,
    /// CloudWatch log group; the stream prefix is the container's name.
    pub log_group: String,
    /// Region of the log group.
    pub log_region: String,
    /// Seconds from SIGTERM to SIGKILL.
    pub stop_timeout_s: u32,
    /// Container health check.
    pub health_check: HealthCheck,
}

/// A container health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// `CMD-SHELL` and the script.
    pub command: Vec<String>,
    /// Seconds.
    pub interval_s: u32,
    /// Seconds.
    pub timeout_s: u32,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
    /// Seconds after the start in which failures do not count.
    pub start_period_s: u32,
}

/// An EFS volume by access point, with transit encryption and IAM authorization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EfsVolume {
    /// Volume name within the definition.
    pub name: String,
    /// File system.
    pub file_system: FileSystemId,
    /// Access point.
    pub access_point: AccessPointId,
}

/// Where tasks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LaunchType {
    /// AWS Fargate.
    Fargate,
    /// Container instances of the cluster.
    Ec2,
}

impl LaunchType {
    /// As ECS spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            LaunchType::Fargate => "FARGATE",
            LaunchType::Ec2 => "EC2",
        }
    }
}

/// The variable that holds the server's password, until it starts.
pub const ENV_PASSWORD: &str = "VALKEEP_PASSWORD";
/// The variable that holds the name of its ACL user.
pub const ENV_USER: &str = "VALKEEP_USER";

impl Container {
    /// The login that its server was started with, where valkeep rendered one.
    pub fn login(&self) -> Option<LoginSpec> {
        let named = self.environment.get(ENV_USER).cloned().map(UserSpec::Named);
        Some(LoginSpec {
            password: self.secrets.get(ENV_PASSWORD)?.clone(),
            user: named.or_else(|| self.secrets.get(ENV_USER).cloned().map(UserSpec::In)),
        })
    }
}

impl TaskDefinition {
    /// SHA-256 in hexadecimal of the definition, for the hash tag. Equal definitions have equal hashes; field order is
    /// fixed by the types, map order by `BTreeMap`.
    pub fn hash(&self) -> String {
        let text = serde_json::to_vec(self).expect("strings, numbers and sorted maps always serialize");
        Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
