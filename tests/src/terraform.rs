//! What Terraform or a pipeline has made before valkeep comes: a service on a definition of the corpus, and later deploys.

use crate::scene::Scene;
use localaws::{Service, world};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use valkeep_core::RawDefinition;

/// What the corpus calls somebody else's file system and access point.
const FILE_SYSTEM: &str = "fs-0aaaaaaaaaaaaaaaa";
const ACCESS_POINT: &str = "fsap-0aaaaaaaaaaaaaaaa";

/// A definition of `tests/definitions`.
#[derive(Debug, Clone)]
pub struct Definition {
    /// The file's name without its ending.
    pub name: String,
    /// Whose reports it answers, like `hashicorp/terraform#17737`.
    pub answers: Vec<String>,
    /// As it was registered.
    pub registered: RawDefinition,
}

/// Every definition of the corpus, by name.
pub fn corpus() -> Vec<Definition> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("definitions");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let value: Value =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let answers = value["answers"].as_array().expect("`answers` is a list");
            Definition {
                name: file.file_stem().expect("a name").to_string_lossy().into_owned(),
                answers: answers
                    .iter()
                    .filter_map(Value::as_str)
                    .map(ToOwned::to_owned)
                    .collect(),
                registered: RawDefinition::new(value["definition"].clone()).expect("`definition` is an object"),
            }
        })
        .collect()
}

/// The definition of this name.
pub fn definition(name: &str) -> Definition {
    let all = corpus();
    all.into_iter()
        .find(|one| one.name == name)
        .unwrap_or_else(|| panic!("no definition {name} in tests/definitions"))
}

/// A document that takes over a service of the scene's cluster.
pub fn adopting(service: &str, first_transition: &str) -> String {
    let [first, second] = world::SUBNETS.map(|(subnet, _)| subnet);
    format!(
        "apiVersion: valkeep.dev/v1alpha1
kind: ValkeyPersistence
metadata:
  name: {service}
spec:
  cluster: {cluster}
  service:
    name: {service}
  taskRole:
    name: {role}
  network:
    vpcId: {vpc}
    subnetIds: [{first}, {second}]
    taskSecurityGroupIds: [{group}]
  rollout:
    firstTransition: {first_transition}
",
        cluster = world::CLUSTER,
        role = world::TASK_ROLE,
        vpc = world::VPC,
        group = world::TASK_GROUP,
    )
}

impl Scene {
    /// Registers a definition as a pipeline does; its ARN.
    pub fn register(&self, family: &str, definition: &RawDefinition) -> String {
        let mut input = definition.registration();
        input["family"] = json!(family);
        let made = self.look(Service::Ecs, "RegisterTaskDefinition", &input);
        text(&made["taskDefinition"]["taskDefinitionArn"])
    }

    /// The definition with a task role of its own, which is made; one without a role stays without.
    pub fn with_role(&self, definition: &RawDefinition, role: &str) -> RawDefinition {
        let trust = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": { "Service": "ecs-tasks.amazonaws.com" } }] });
        let input = json!({ "RoleName": role, "AssumeRolePolicyDocument": trust.to_string() });
        self.look(Service::Iam, "CreateRole", &input);
        let whole = definition.registration().to_string().replace(world::TASK_ROLE, role);
        RawDefinition::new(serde_json::from_str(&whole).expect("it was JSON")).expect("an object")
    }

    /// A service of Terraform's with one task and ECS's own deployment settings; the ARN of its definition.
    pub async fn terraformed(&self, service: &str, definition: &RawDefinition) -> String {
        let definition = &self.with_what_it_names(service, definition).await;
        let arn = self.register(service, definition);
        let fargate = definition.registration()["requiresCompatibilities"] == json!(["FARGATE"]);
        let input = json!({
            "cluster": world::CLUSTER, "serviceName": service, "taskDefinition": arn, "desiredCount": 1,
            "launchType": if fargate { "FARGATE" } else { "EC2" },
            "networkConfiguration": { "awsvpcConfiguration": {
                "subnets": world::SUBNETS.map(|(subnet, _)| subnet), "securityGroups": [world::TASK_GROUP],
                "assignPublicIp": "DISABLED" } },
            "enableExecuteCommand": true, "propagateTags": "SERVICE",
            "tags": [{ "key": "made-by", "value": "terraform" }],
        });
        self.look(Service::Ecs, "CreateService", &input);
        arn
    }

    /// The definition with its log groups and secrets made, and a file system of somebody else's in place of the corpus's.
    async fn with_what_it_names(&self, service: &str, definition: &RawDefinition) -> RawDefinition {
        for container in definition.containers() {
            if let Some(group) = container["logConfiguration"]["options"]["awslogs-group"].as_str() {
                // Another service of the scene may have made it.
                self.aws
                    .call(Service::Logs, "CreateLogGroup", &json!({ "logGroupName": group }))
                    .ok();
            }
            let secrets = container["secrets"].as_array().into_iter().flatten();
            secrets.for_each(|secret| self.keep(secret["valueFrom"].as_str().unwrap_or_default()));
        }
        let whole = definition.registration().to_string();
        if !whole.contains(FILE_SYSTEM) {
            return definition.clone();
        }
        let made = self.look(Service::Efs, "CreateFileSystem", &json!({ "CreationToken": service }));
        let id = text(&made["FileSystemId"]);
        let rule = json!({ "IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "UserIdGroupPairs": [{ "GroupId": world::TASK_GROUP }] });
        let ingress = json!({ "GroupId": world::TASK_GROUP, "IpPermissions": [rule] });
        // Another service of the scene may have opened it.
        self.aws
            .call(Service::Ec2, "AuthorizeSecurityGroupIngress", &ingress)
            .ok();
        tokio::time::advance(Duration::from_mins(1)).await;
        for (subnet, _) in world::SUBNETS {
            let input = json!({ "FileSystemId": id, "SubnetId": subnet, "SecurityGroups": [world::TASK_GROUP] });
            self.look(Service::Efs, "CreateMountTarget", &input);
        }
        let input = json!({ "FileSystemId": id, "ClientToken": service });
        let access_point = text(&self.look(Service::Efs, "CreateAccessPoint", &input)["AccessPointId"]);
        let task_role = definition
            .text("taskRoleArn")
            .and_then(|arn| arn.rsplit('/').next())
            .unwrap_or(world::TASK_ROLE);
        let policy = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "elasticfilesystem:Client*", "Resource": "*" }] });
        let input = json!({
            "RoleName": task_role, "PolicyName": "terraform-shared", "PolicyDocument": policy.to_string() });
        self.look(Service::Iam, "PutRolePolicy", &input);
        let whole = whole.replace(FILE_SYSTEM, &id).replace(ACCESS_POINT, &access_point);
        RawDefinition::new(serde_json::from_str(&whole).expect("it was JSON")).expect("an object")
    }

    /// Makes a secret, if it is not there.
    fn keep(&self, reference: &str) {
        let (service, call, input) = match reference.rsplit_once([':', '/']) {
            Some((before, name)) if before.ends_with(":secret") => (
                Service::Secrets,
                "CreateSecret",
                json!({ "Name": name, "SecretString": "hunter2" }),
            ),
            Some((_, name)) => {
                let name = format!("/{name}");
                (
                    Service::Ssm,
                    "PutParameter",
                    json!({ "Name": name, "Value": "hunter2", "Type": "SecureString" }),
                )
            }
            None => return,
        };
        self.aws.call(service, call, &input).ok();
    }

    /// What a pipeline does: a new revision, and the service on it. Its ARN.
    pub fn deploy(&self, service: &str, definition: &RawDefinition) -> String {
        let arn = self.register(service, definition);
        let input = json!({ "cluster": world::CLUSTER, "service": service, "taskDefinition": arn });
        self.look(Service::Ecs, "UpdateService", &input);
        arn
    }

    /// What ECS says of a service.
    pub fn service(&self, service: &str) -> Value {
        let input = json!({ "cluster": world::CLUSTER, "services": [service], "include": ["TAGS"] });
        self.look(Service::Ecs, "DescribeServices", &input)["services"][0].clone()
    }

    /// What ECS says of a revision.
    pub fn described(&self, arn: &str) -> RawDefinition {
        let input = json!({ "taskDefinition": arn });
        let answer = self.look(Service::Ecs, "DescribeTaskDefinition", &input);
        RawDefinition::new(answer["taskDefinition"].clone()).expect("an object")
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
