//! A service with one directory, made by hand: what rows use that are about the lock alone, or about doing without.

use super::{dump::Dump, name, quick};
use crate::real::{self, Task};
use crate::resp::{Answer, Client};
use crate::writers::Resolve;
use anyhow::{Context, Result, ensure};
use localaws::{AddressBlock, Config, Knobs, LocalAws, Service, TaskRunner, world};
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use valkeep_plan::LOCK_SCRIPT;

const NAME: &str = "cache";
pub(super) const LOGS: &str = "/ecs/cache";
const LOOK: Duration = Duration::from_millis(20);
/// A server that cannot exit is killed after it.
const STOP_TIMEOUT_S: u32 = 5;
/// Beyond every start, stop and save here.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// How the service is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup {
    /// Whether servers take the lock.
    pub(super) lock: bool,
    /// Minimum and maximum percent; ECS's own 100 and 200 when left out.
    pub(super) percents: Option<(u32, u32)>,
    /// Save points as Valkey takes them.
    pub(super) save: &'static str,
    /// Microseconds that a save takes for each key, in place of a file system that is not a local disk.
    pub(super) save_delay_us: u32,
}

/// A service at work. ECS starts its next task while the old one is still stopping.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) aws: LocalAws,
    pub(super) dump: Dump,
    folder: TempDir,
    _block: AddressBlock,
}

impl Ground {
    /// Makes it, and a way to find it by name.
    pub(super) async fn start(setup: Setup) -> Result<(Self, Resolve)> {
        let folder = tempfile::tempdir()?;
        let block = AddressBlock::reserve().context("no block of loopback addresses is free")?;
        let aws = LocalAws::new(Config {
            ip_block: block.octets(),
            tasks: TaskRunner::Processes,
            delays: quick(),
            knobs: Knobs {
                overlap_stopping: true,
                ..Knobs::default()
            },
            data_dir: folder.path().to_owned(),
            ..Config::default()
        });
        world::trigpointing(&aws);
        let (registry, resolve) = name::make(&aws).await?;
        let (file_system, access_point) = directory(&aws).await?;
        let definition = definition(setup, &file_system, &access_point);
        let call = |operation: &str, input: &Value| aws.call(Service::Ecs, operation, input);
        call("RegisterTaskDefinition", &definition)?;
        let mut service = json!({
            "cluster": world::CLUSTER, "serviceName": NAME, "taskDefinition": NAME, "desiredCount": 1,
            "launchType": "FARGATE", "serviceRegistries": [{ "registryArn": registry }],
            "networkConfiguration": { "awsvpcConfiguration": {
                "subnets": [world::SUBNETS[0].0], "securityGroups": [world::TASK_GROUP] } },
        });
        if let Some((minimum, maximum)) = setup.percents {
            service["deploymentConfiguration"] = json!({ "minimumHealthyPercent": minimum, "maximumPercent": maximum });
        }
        call("CreateService", &service)?;
        let dump = Dump(
            folder
                .path()
                .join("efs")
                .join(&file_system)
                .join("valkey-data/dump.rdb"),
        );
        Ok((
            Self {
                aws,
                dump,
                folder,
                _block: block,
            },
            resolve,
        ))
    }

    /// The only running task that none of these is, once it answers; none where it does not come.
    pub(super) async fn next(&self, than: &[&Task]) -> Option<Task> {
        let is_next = |task: &Task| than.iter().all(|old| old.arn != task.arn);
        real::serving(&self.aws, NAME, SOON, is_next).await.ok()
    }

    /// Every task that runs for ECS.
    pub(super) fn running(&self) -> Result<Vec<Task>> {
        real::running(&self.aws, NAME)
    }

    /// Waits until a task that none of these is runs for ECS, whether it serves or waits.
    pub(super) async fn runs(&self, than: &[&Task]) -> Result<Task> {
        let deadline = Instant::now() + SOON;
        loop {
            let running = self.running()?;
            if let Some(task) = running
                .into_iter()
                .find(|task| than.iter().all(|old| old.arn != task.arn))
            {
                return Ok(task);
            }
            ensure!(Instant::now() < deadline, "no other task");
            sleep(LOOK).await;
        }
    }

    /// `update-service --force-new-deployment`
    pub(super) fn roll(&self) {
        self.update(&json!({ "forceNewDeployment": true }));
    }

    /// Registers the definition with these words at the end of the command, and deploys it.
    pub(super) fn deploy(&self, words: &[&str]) -> Result<()> {
        let call = |operation: &str, input: &Value| self.aws.call(Service::Ecs, operation, input);
        let mut definition =
            call("DescribeTaskDefinition", &json!({ "taskDefinition": NAME }))?["taskDefinition"].take();
        let command = &mut definition["containerDefinitions"][0]["command"];
        command
            .as_array_mut()
            .context("a command")?
            .extend(words.iter().map(|word| json!(word)));
        call("RegisterTaskDefinition", &definition)?;
        self.update(&json!({ "taskDefinition": NAME }));
        Ok(())
    }

    /// Sets the desired count.
    pub(super) fn scale(&self, count: u32) {
        self.update(&json!({ "desiredCount": count }));
    }

    fn update(&self, change: &Value) {
        let mut input = change.clone();
        (input["cluster"], input["service"]) = (json!(world::CLUSTER), json!(NAME));
        self.aws
            .call(Service::Ecs, "UpdateService", &input)
            .expect("the service is there");
    }

    /// Waits until so many tasks are left, the lost ones among them; those that cannot exit are killed on the way.
    pub(super) async fn until_left(&self, count: usize) -> Result<()> {
        let deadline = Instant::now() + SOON + Duration::from_secs(u64::from(STOP_TIMEOUT_S));
        let soft = Instant::now() + Duration::from_secs(u64::from(STOP_TIMEOUT_S));
        while self.left()? > count {
            if Instant::now() > soft {
                self.aws.kill_lost();
            }
            ensure!(Instant::now() < deadline, "{} tasks are left", self.left()?);
            sleep(LOOK).await;
        }
        Ok(())
    }

    fn left(&self) -> Result<usize> {
        let list = |status: &str| {
            let input = json!({ "cluster": world::CLUSTER, "serviceName": NAME, "desiredStatus": status });
            self.aws.call(Service::Ecs, "ListTasks", &input)
        };
        let mut arns = Vec::new();
        for status in ["RUNNING", "STOPPED"] {
            arns.extend(list(status)?["taskArns"].as_array().cloned().unwrap_or_default());
        }
        let mut left = self.aws.lost_left();
        for arns in arns.chunks(100) {
            let input = json!({ "cluster": world::CLUSTER, "tasks": arns });
            let found = self.aws.call(Service::Ecs, "DescribeTasks", &input)?;
            let tasks = found["tasks"].as_array().into_iter().flatten();
            left += tasks.filter(|task| task["lastStatus"] != "STOPPED").count();
        }
        Ok(left)
    }

    /// Ends it without anybody's final save.
    pub(super) async fn end(self) -> Result<()> {
        for task in self.running()? {
            self.aws.kill_task(&task.arn);
        }
        self.aws.kill_lost();
        self.aws.shutdown().await;
        Ok(self.folder.close()?)
    }
}

/// Writes so many keys of a stem, of sizes as told, that do not compress; all are acknowledged.
pub(super) fn fill(
    task: &Task,
    stem: &str,
    count: usize,
    seed: u64,
    size: impl Fn(&mut fastrand::Rng) -> usize,
) -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut value = || -> String {
        let size = size(&mut rng);
        std::iter::repeat_with(|| rng.alphanumeric()).take(size).collect()
    };
    let commands: Vec<Vec<String>> = (0..count)
        .map(|n| vec!["SET".to_owned(), format!("{stem}:{n}"), value()])
        .collect();
    let answers = Client::connect(task.address.parse()?, SOON)?.ask_all(&commands)?;
    let refused = answers.iter().find(|answer| **answer != Answer::Text("OK".to_owned()));
    ensure!(refused.is_none(), "a write was refused: {refused:?}");
    Ok(())
}

/// How many keys of a stem are not there.
pub(super) fn missing(task: &Task, stem: &str, count: usize) -> Result<usize> {
    let commands: Vec<Vec<String>> = (0..count)
        .map(|n| vec!["EXISTS".to_owned(), format!("{stem}:{n}")])
        .collect();
    let answers = Client::connect(task.address.parse()?, SOON)?.ask_all(&commands)?;
    Ok(answers
        .iter()
        .filter(|answer| **answer != Answer::Text("1".to_owned()))
        .count())
}

/// A file system that the tasks can mount; its id and that of an access point.
async fn directory(aws: &LocalAws) -> Result<(String, String)> {
    let call = |service, operation: &str, input: Value| aws.call(service, operation, &input);
    let id = |made: &Value, member: &str| made[member].as_str().map(str::to_owned).context("an id");
    let group = json!({ "GroupName": "nfs", "GroupDescription": "nfs", "VpcId": world::VPC });
    let group = id(&call(Service::Ec2, "CreateSecurityGroup", group)?, "groupId")?;
    let rule =
        json!({ "IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "Groups": [{ "GroupId": world::TASK_GROUP }] });
    let ingress = json!({ "GroupId": group, "IpPermissions": [rule] });
    call(Service::Ec2, "AuthorizeSecurityGroupIngress", ingress)?;
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Resource": "*", "Action": "elasticfilesystem:Client*" }] });
    let policy = json!({ "RoleName": world::TASK_ROLE, "PolicyName": "efs", "PolicyDocument": policy.to_string() });
    call(Service::Iam, "PutRolePolicy", policy)?;
    call(Service::Logs, "CreateLogGroup", json!({ "logGroupName": LOGS }))?;
    let made = call(Service::Efs, "CreateFileSystem", json!({ "CreationToken": NAME }))?;
    let file_system = id(&made, "FileSystemId")?;
    let delays = aws.config().delays;
    sleep(Duration::from_secs_f64(delays.file_system + 0.1)).await;
    let target = json!({ "FileSystemId": file_system, "SubnetId": world::SUBNETS[0].0, "SecurityGroups": [group] });
    call(Service::Efs, "CreateMountTarget", target)?;
    let point = json!({
        "ClientToken": NAME, "FileSystemId": file_system, "PosixUser": { "Uid": 1000, "Gid": 1000 },
        "RootDirectory": { "Path": "/valkey-data", "CreationInfo": {
            "OwnerUid": 1000, "OwnerGid": 1000, "Permissions": "0755" } },
    });
    let access_point = id(&call(Service::Efs, "CreateAccessPoint", point)?, "AccessPointId")?;
    let wait = delays.mount_target + delays.access_point + delays.dns + delays.iam_propagation;
    sleep(Duration::from_secs_f64(wait + 0.2)).await;
    Ok((file_system, access_point))
}

fn definition(setup: Setup, file_system: &str, access_point: &str) -> Value {
    let delay = setup.save_delay_us.to_string();
    let server = [
        "valkey-server",
        "--dir",
        "/data",
        "--save",
        setup.save,
        "--rdb-key-save-delay",
        &delay,
    ];
    let (entry_point, command) = if setup.lock {
        let lock = ["/bin/sh", "-c", LOCK_SCRIPT, "valkeep-lock"]
            .map(str::to_owned)
            .to_vec();
        (lock, ["/data"].into_iter().chain(server).collect())
    } else {
        (Vec::new(), server.to_vec())
    };
    let role = |name| format!("arn:aws:iam::123456789012:role/{name}");
    json!({
        "family": NAME, "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
        "taskRoleArn": role(world::TASK_ROLE), "executionRoleArn": role(world::EXECUTION_ROLE),
        "containerDefinitions": [{
            "name": "valkey", "image": "valkey/valkey:8.0", "entryPoint": entry_point, "command": command,
            "user": "1000:1000", "stopTimeout": STOP_TIMEOUT_S, "portMappings": [{ "containerPort": 6379 }],
            "mountPoints": [{ "sourceVolume": "data", "containerPath": "/data" }],
            "logConfiguration": { "logDriver": "awslogs", "options": {
                "awslogs-group": LOGS, "awslogs-region": "eu-west-1", "awslogs-stream-prefix": NAME } },
        }],
        "volumes": [{ "name": "data", "efsVolumeConfiguration": {
            "fileSystemId": file_system, "transitEncryption": "ENABLED",
            "authorizationConfig": { "accessPointId": access_point, "iam": "ENABLED" },
        } }],
    })
}
