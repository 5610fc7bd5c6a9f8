//! ECS by its own operations, in a world that has everything a task needs. Under a paused clock with simulated tasks,
//! except in [`processes`].
#![expect(clippy::needless_pass_by_value, clippy::unused_self, reason = "tests read better so")]

mod definitions;
mod processes;
mod rollouts;
mod services;
mod starts;
mod tasks;

use crate::world::{CLUSTER, EXECUTION_ROLE, SUBNETS, TASK_GROUP, TASK_ROLE, VPC, trigpointing};
use crate::{Config, LocalAws, Service};
use serde_json::{Value, json};
use std::time::Duration;

/// An AWS with a file system that tasks can mount.
struct World {
    aws: LocalAws,
    file_system: String,
    access_point: String,
    mount_group: String,
}

impl World {
    /// Everything is there and has been for a while.
    async fn new() -> Self {
        Self::with(Config::default()).await
    }

    async fn with(config: Config) -> Self {
        let aws = LocalAws::new(config);
        trigpointing(&aws);
        let call = |service, operation: &str, input: Value| aws.call(service, operation, &input).unwrap();
        let group = json!({ "GroupName": "nfs", "GroupDescription": "nfs", "VpcId": VPC });
        let mount_group = call(Service::Ec2, "CreateSecurityGroup", group)["groupId"]
            .as_str()
            .unwrap()
            .to_owned();
        let rule =
            json!({ "IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "Groups": [{ "GroupId": TASK_GROUP }] });
        call(
            Service::Ec2,
            "AuthorizeSecurityGroupIngress",
            json!({ "GroupId": mount_group, "IpPermissions": [rule] }),
        );
        let file_system = call(Service::Efs, "CreateFileSystem", json!({ "CreationToken": "fs" }));
        let file_system = file_system["FileSystemId"].as_str().unwrap().to_owned();
        call(
            Service::Logs,
            "CreateLogGroup",
            json!({ "logGroupName": "/ecs/valkey" }),
        );
        let mut world = Self {
            aws,
            file_system,
            access_point: String::new(),
            mount_group,
        };
        world.pass(world.aws.config().delays.file_system).await;
        for (subnet, _) in SUBNETS {
            let groups = [&world.mount_group];
            let target = json!({ "FileSystemId": world.file_system, "SubnetId": subnet, "SecurityGroups": groups });
            world.other(Service::Efs, "CreateMountTarget", target);
        }
        let point = world.other(
            Service::Efs,
            "CreateAccessPoint",
            json!({
                "ClientToken": "ap", "FileSystemId": world.file_system, "PosixUser": { "Uid": 1000, "Gid": 1000 },
                "RootDirectory": { "Path": "/valkey-data", "CreationInfo": {
                    "OwnerUid": 1000, "OwnerGid": 1000, "Permissions": "0755",
                } },
            }),
        );
        point["AccessPointId"]
            .as_str()
            .unwrap()
            .clone_into(&mut world.access_point);
        let policy = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Resource": "*",
            "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"] }] });
        let put = json!({ "RoleName": TASK_ROLE, "PolicyName": "efs", "PolicyDocument": policy.to_string() });
        world.other(Service::Iam, "PutRolePolicy", put);
        let delays = world.aws.config().delays;
        world
            .pass(delays.mount_target + delays.dns + delays.iam_propagation)
            .await;
        world
    }

    fn other(&self, service: Service, operation: &str, input: Value) -> Value {
        self.aws
            .call(service, operation, &input)
            .unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    fn call(&self, operation: &str, input: Value) -> Value {
        self.other(Service::Ecs, operation, input)
    }

    fn refused(&self, operation: &str, input: Value) -> String {
        self.aws.call(Service::Ecs, operation, &input).unwrap_err().to_string()
    }

    /// Time goes by: on the paused clock, or really.
    async fn pass(&self, seconds: f64) {
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }

    fn container(&self) -> Value {
        json!({
            "name": "valkey", "image": "valkey/valkey:8.0", "command": ["valkey-server", "--dir", "/data"],
            "user": "1000:1000", "stopTimeout": 30, "portMappings": [{ "containerPort": 6379 }],
            "mountPoints": [{ "sourceVolume": "data", "containerPath": "/data" }],
            "logConfiguration": { "logDriver": "awslogs", "options": {
                "awslogs-group": "/ecs/valkey", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "valkey",
            } },
        })
    }

    fn definition(&self) -> Value {
        let role = |name| format!("arn:aws:iam::123456789012:role/{name}");
        json!({
            "family": "valkey", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
            "cpu": "256", "memory": "512", "taskRoleArn": role(TASK_ROLE), "executionRoleArn": role(EXECUTION_ROLE),
            "containerDefinitions": [self.container()],
            "volumes": [{ "name": "data", "efsVolumeConfiguration": {
                "fileSystemId": self.file_system, "transitEncryption": "ENABLED",
                "authorizationConfig": { "accessPointId": self.access_point, "iam": "ENABLED" },
            } }],
        })
    }

    /// Registers a definition; its ARN.
    fn register(&self, definition: Value) -> String {
        let answer = self.call("RegisterTaskDefinition", definition);
        answer["taskDefinition"]["taskDefinitionArn"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn service_input(&self) -> Value {
        json!({
            "cluster": CLUSTER, "serviceName": "valkey", "taskDefinition": "valkey", "desiredCount": 1,
            "launchType": "FARGATE", "clientToken": "token",
            "deploymentConfiguration": { "maximumPercent": 100, "minimumHealthyPercent": 0,
                "deploymentCircuitBreaker": { "enable": true, "rollback": false } },
            "networkConfiguration": { "awsvpcConfiguration": {
                "subnets": [SUBNETS[0].0, SUBNETS[1].0], "securityGroups": [TASK_GROUP],
            } },
        })
    }

    /// Registers the definition and creates the service.
    fn start(&self) -> Value {
        self.register(self.definition());
        self.call("CreateService", self.service_input())
    }

    fn update(&self, mut input: Value) -> Value {
        input["cluster"] = json!(CLUSTER);
        input["service"] = json!("valkey");
        self.call("UpdateService", input)["service"].take()
    }

    fn service(&self) -> Value {
        self.call(
            "DescribeServices",
            json!({ "cluster": CLUSTER, "services": ["valkey"] }),
        )["services"][0]
            .take()
    }

    /// All tasks that are described, oldest first.
    fn tasks(&self) -> Vec<Value> {
        let list = |status: &str| {
            let found = self.call("ListTasks", json!({ "cluster": CLUSTER, "desiredStatus": status }));
            found["taskArns"].as_array().unwrap().clone()
        };
        let arns = [list("STOPPED"), list("RUNNING")].concat();
        if arns.is_empty() {
            return Vec::new();
        }
        let mut answer = self.call("DescribeTasks", json!({ "cluster": CLUSTER, "tasks": arns }));
        let mut tasks = answer["tasks"].as_array_mut().map(std::mem::take).unwrap();
        tasks.sort_by(|a, b| a["createdAt"].as_f64().partial_cmp(&b["createdAt"].as_f64()).unwrap());
        tasks
    }

    /// Last and desired status of each task, oldest first.
    fn statuses(&self) -> Vec<(String, String)> {
        let text = |task: &Value, member: &str| task[member].as_str().unwrap().to_owned();
        self.tasks()
            .iter()
            .map(|task| (text(task, "lastStatus"), text(task, "desiredStatus")))
            .collect()
    }

    fn newest(&self) -> Value {
        self.tasks().pop().expect("there is a task")
    }

    fn events(&self) -> Vec<String> {
        let service = self.service();
        let events = service["events"].as_array().unwrap();
        events
            .iter()
            .map(|event| event["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Lets a second go by until it holds.
    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..600 {
            if holds(self) {
                return;
            }
            self.pass(0.25).await;
        }
        panic!("still not: {what}\n{:#?}\n{:#?}", self.service(), self.tasks());
    }

    async fn until_completed(&self) {
        self.until("the deployment is completed", |world| {
            world.service()["deployments"][0]["rolloutState"] == "COMPLETED"
                && world.service()["deployments"].as_array().unwrap().len() == 1
        })
        .await;
    }
}
