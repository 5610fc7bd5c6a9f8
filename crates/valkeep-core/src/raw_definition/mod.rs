//! A task definition as ECS describes it, whole: a key that the SDK's types do not know is there, too.
//!
//! What somebody else maintains is carried in this form and never through types, so that nothing of it can be dropped
//! on the way. Two definitions are compared by what they mean ([`RawDefinition::same`]), with the defaults that ECS
//! fills in and the orders that it does not keep taken out ([`RawDefinition::normal`]).

mod normal;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Members that ECS adds to its answer and does not take in a registration.
const ANSWER_ONLY: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

/// Every member name that this valkeep knows in a task definition, at whatever depth (the model of ECS of 2026-11).
/// A name that is not here is a key that AWS has grown since: on one side only, it is no difference.
const KNOWN: &[&str] = &[
    "accessPointArn",
    "accessPointId",
    "add",
    "appProtocol",
    "authorizationConfig",
    "autoprovision",
    "capabilities",
    "command",
    "condition",
    "configuredAtLaunch",
    "containerDefinitions",
    "containerName",
    "containerPath",
    "containerPort",
    "containerPortRange",
    "cpu",
    "cpuArchitecture",
    "credentialSpecs",
    "credentialsParameter",
    "dependsOn",
    "deviceName",
    "deviceType",
    "devices",
    "disableNetworking",
    "dnsSearchDomains",
    "dnsServers",
    "dockerLabels",
    "dockerSecurityOptions",
    "dockerVolumeConfiguration",
    "domain",
    "driver",
    "driverOpts",
    "drop",
    "efsVolumeConfiguration",
    "enableFaultInjection",
    "enabled",
    "entryPoint",
    "environment",
    "environmentFiles",
    "ephemeralStorage",
    "essential",
    "executionRoleArn",
    "expression",
    "extraHosts",
    "family",
    "fileSystemArn",
    "fileSystemId",
    "firelensConfiguration",
    "fsxWindowsFileServerVolumeConfiguration",
    "hardLimit",
    "healthCheck",
    "host",
    "hostPath",
    "hostPort",
    "hostname",
    "iam",
    "ignoredExitCodes",
    "image",
    "inferenceAccelerators",
    "initProcessEnabled",
    "interactive",
    "interval",
    "ipAddress",
    "ipcMode",
    "labels",
    "links",
    "linuxParameters",
    "logConfiguration",
    "logDriver",
    "maxSwap",
    "memory",
    "memoryReservation",
    "mountOptions",
    "mountPoints",
    "name",
    "namespace",
    "networkMode",
    "operatingSystemFamily",
    "options",
    "permissions",
    "pidMode",
    "placementConstraints",
    "portMappings",
    "privileged",
    "properties",
    "protocol",
    "proxyConfiguration",
    "pseudoTerminal",
    "readOnly",
    "readonlyRootFilesystem",
    "repositoryCredentials",
    "requiresCompatibilities",
    "resourceRequirements",
    "restartAttemptPeriod",
    "restartPolicy",
    "retries",
    "rootDirectory",
    "runtimePlatform",
    "s3filesVolumeConfiguration",
    "scope",
    "secretOptions",
    "secrets",
    "sharedMemorySize",
    "sharingStrategy",
    "size",
    "sizeInGiB",
    "softLimit",
    "sourceContainer",
    "sourcePath",
    "sourceVolume",
    "startPeriod",
    "startTimeout",
    "stopTimeout",
    "swappiness",
    "systemControls",
    "taskRoleArn",
    "timeout",
    "tmpfs",
    "transitEncryption",
    "transitEncryptionPort",
    "type",
    "ulimits",
    "user",
    "value",
    "valueFrom",
    "versionConsistency",
    "volumes",
    "volumesFrom",
    "workingDirectory",
];

/// A task definition, whole. Always a JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawDefinition(Map<String, Value>);

impl RawDefinition {
    /// What `DescribeTaskDefinition` has under `taskDefinition`, or a registration's input without its tags. None where
    /// it is no object.
    pub fn new(value: Value) -> Option<Self> {
        match value {
            Value::Object(mut members) => {
                members.remove("tags");
                Some(Self(members))
            }
            _ => None,
        }
    }

    /// As ECS takes it in a registration: without what only its answers have. Keys that nobody here knows stay.
    #[must_use]
    pub fn registration(&self) -> Value {
        let mut members = self.0.clone();
        members.retain(|name, _| !ANSWER_ONLY.contains(&name.as_str()));
        Value::Object(members)
    }

    /// A member that is text.
    pub fn text(&self, member: &str) -> Option<&str> {
        self.0
            .get(member)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    }

    /// A member.
    pub fn get(&self, member: &str) -> Option<&Value> {
        self.0.get(member)
    }

    /// The members, for whoever builds one definition from another.
    pub fn members_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }

    /// The containers, in order.
    pub fn containers(&self) -> &[Value] {
        list(self.0.get("containerDefinitions"))
    }

    /// The container of this name.
    pub fn container(&self, name: &str) -> Option<&Value> {
        self.containers().iter().find(|container| container["name"] == name)
    }

    /// The volumes, in order.
    pub fn volumes(&self) -> &[Value] {
        list(self.0.get("volumes"))
    }

    /// What it means, for comparing: without answers-only members, filled-in defaults, nulls and empty lists, with sets
    /// in one order. Idempotent.
    #[must_use]
    pub fn normal(&self) -> Value {
        normal::definition(&self.registration())
    }

    /// Where two definitions differ in meaning: paths like `containerDefinitions[valkey].image`. A key that this valkeep
    /// does not know and that only one of the two has is no difference: AWS grows defaults.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        compare(&self.normal(), &other.normal(), "", false, &mut found);
        found
    }

    /// Whether two definitions mean the same.
    pub fn same(&self, other: &Self) -> bool {
        self.differences(other).is_empty()
    }

    /// What of this definition is missing in `answer`, which ECS gave for it: paths of keys that were dropped, known ones
    /// or not.
    pub fn lost_in(&self, answer: &Self) -> Vec<String> {
        let mut found = Vec::new();
        lost(&self.normal(), &answer.normal(), "", &mut found);
        found
    }
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn compare(one: &Value, other: &Value, path: &str, free: bool, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for name in names {
                let path = join(path, name);
                match (one.get(name), other.get(name)) {
                    (Some(one), Some(other)) => compare(one, other, &path, normal::is_free(name), found),
                    _ if free || KNOWN.contains(&name.as_str()) => found.push(path),
                    _ => {}
                }
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                compare(one, other, &element(path, index, one), false, found);
            }
        }
        _ if one == other => {}
        _ => found.push(path.to_owned()),
    }
}

fn lost(wanted: &Value, answer: &Value, path: &str, found: &mut Vec<String>) {
    match (wanted, answer) {
        (Value::Object(wanted), Value::Object(answer)) => {
            for (name, value) in wanted {
                let path = join(path, name);
                match answer.get(name) {
                    Some(answered) => lost(value, answered, &path, found),
                    None => found.push(path),
                }
            }
        }
        (Value::Array(wanted), Value::Array(answer)) if wanted.len() == answer.len() => {
            for (index, (wanted, answer)) in wanted.iter().zip(answer).enumerate() {
                lost(wanted, answer, &element(path, index, wanted), found);
            }
        }
        _ if wanted == answer => {}
        _ => found.push(path.to_owned()),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// `volumes[data]` where the element has a name, else its place.
fn element(path: &str, index: usize, value: &Value) -> String {
    match value["name"].as_str() {
        Some(name) => format!("{path}[{name}]"),
        None => format!("{path}[{index}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn raw(value: Value) -> RawDefinition {
        RawDefinition::new(value).expect("an object")
    }

    fn registered() -> Value {
        json!({
            "family": "cache", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
            "cpu": ".25 vCPU", "memory": "0.5GB",
            "containerDefinitions": [{
                "name": "valkey", "image": "valkey/valkey:8.0",
                "portMappings": [{"containerPort": 6379}],
                "environment": [{"name": "B", "value": ""}, {"name": "A", "value": "1"}],
                "healthCheck": {"command": ["CMD", "true"]},
                "mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}],
            }],
            "volumes": [{"name": "data", "efsVolumeConfiguration": {
                "fileSystemId": "fs-0123456789abcdef0", "transitEncryption": "ENABLED",
                "authorizationConfig": {"accessPointId": "fsap-0123456789abcdef0"}}}],
        })
    }

    fn described() -> Value {
        json!({
            "taskDefinitionArn": "arn:aws:ecs:eu-west-1:123456789012:task-definition/cache:7", "revision": 7,
            "status": "ACTIVE", "registeredAt": 1.5, "registeredBy": "arn:aws:iam::123456789012:root",
            "requiresAttributes": [{"name": "x"}], "compatibilities": ["EC2", "FARGATE"],
            "family": "cache", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
            "cpu": "256", "memory": "512", "placementConstraints": [], "enableFaultInjection": false,
            "runtimePlatform": {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
            "containerDefinitions": [{
                "name": "valkey", "image": "valkey/valkey:8.0", "cpu": 0, "essential": true,
                "portMappings": [{"containerPort": 6379, "hostPort": 6379, "protocol": "tcp"}],
                "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": ""}],
                "environmentFiles": [], "volumesFrom": [], "ulimits": [], "systemControls": [],
                "linuxParameters": {"capabilities": {"add": [], "drop": []}},
                "healthCheck": {"command": ["CMD", "true"], "interval": 30, "timeout": 5, "retries": 3},
                "mountPoints": [{"sourceVolume": "data", "containerPath": "/data", "readOnly": false}],
            }],
            "volumes": [{"name": "data", "host": {}, "efsVolumeConfiguration": {
                "fileSystemId": "fs-0123456789abcdef0", "rootDirectory": "/", "transitEncryption": "ENABLED",
                "authorizationConfig": {"accessPointId": "fsap-0123456789abcdef0", "iam": "DISABLED"}}}],
        })
    }

    #[test]
    fn what_ecs_fills_in_and_reorders_is_no_difference() {
        assert_eq!(raw(registered()).differences(&raw(described())), Vec::<String>::new());
        assert_eq!(raw(registered()).lost_in(&raw(described())), Vec::<String>::new());
        assert_eq!(raw(registered()).normal(), raw(described()).normal());
    }

    #[test]
    fn a_key_that_aws_has_grown_is_no_difference_and_is_carried_on() {
        let mut grown = described();
        grown["containerDefinitions"][0]["quantumMode"] = json!({"spin": "UP"});
        grown["newTopLevel"] = json!(true);
        let grown = raw(grown);
        assert_eq!(raw(registered()).differences(&grown), Vec::<String>::new());
        assert_eq!(
            grown.registration()["containerDefinitions"][0]["quantumMode"]["spin"],
            "UP"
        );
        assert_eq!(
            grown.lost_in(&raw(described())),
            ["containerDefinitions[valkey].quantumMode", "newTopLevel"]
        );
    }

    #[test]
    fn what_means_something_else_differs_and_is_named() {
        for (pointer, value, path) in [
            (
                "/containerDefinitions/0/image",
                json!("valkey/valkey:8.1"),
                "containerDefinitions[valkey].image",
            ),
            (
                "/containerDefinitions/0/environment/0/value",
                json!("2"),
                "containerDefinitions[valkey].environment[A].value",
            ),
            (
                "/containerDefinitions/0/mountPoints/0/readOnly",
                json!(true),
                "containerDefinitions[valkey].mountPoints[0].readOnly",
            ),
            ("/cpu", json!("512"), "cpu"),
            ("/runtimePlatform/cpuArchitecture", json!("ARM64"), "runtimePlatform"),
        ] {
            let mut other = described();
            *other.pointer_mut(pointer).expect("is there") = value;
            assert_eq!(raw(registered()).differences(&raw(other)), [path], "{pointer}");
        }
    }

    #[test]
    fn labels_and_options_are_the_users_own_keys() {
        let mut one = registered();
        one["containerDefinitions"][0]["dockerLabels"] = json!({"com.example/x": "1"});
        assert_eq!(
            raw(one).differences(&raw(described())),
            ["containerDefinitions[valkey].dockerLabels"]
        );
    }

    #[test]
    fn orders_that_matter_are_kept() {
        let mut one = registered();
        one["containerDefinitions"][0]["command"] = json!(["a", "b"]);
        let mut other = described();
        other["containerDefinitions"][0]["command"] = json!(["b", "a"]);
        assert!(!raw(one).same(&raw(other)));
    }
}
