//! The shipped program against a local AWS over TCP whose tasks are real Valkeys. What is typed and answered is printed, as a
//! person would see it.
#![expect(clippy::print_stdout, reason = "a walk that a person wants to follow")]

use crate::program;
use crate::scene::{self, DOCUMENTS, Scene, Server};
use crate::valkey::ToldValkey;
use anyhow::{Context, Result, ensure};
use localaws::{AddressBlock, Call, Config, Delays, Knobs, LocalAws, Service, TaskRunner, world};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};
use valkeep_core::Limits;

/// The access key of `valkeep run`, which tells its calls from those of people.
const CONTROLLER: &str = "CONTROLLER";
const LOG: &str = "valkeep.log";
/// How often a wait looks. A wait is on a state, with a bound; this only says how fine.
const LOOK: Duration = Duration::from_millis(200);

/// A folder to work in, and an AWS to work on.
#[derive(Debug)]
pub struct Real {
    /// The AWS. Its told Valkey is not asked: the tasks' own answer.
    pub scene: Scene,
    server: Server,
    folder: TempDir,
    _block: AddressBlock,
}

/// A task that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// ARN.
    pub arn: String,
    /// ARN of its definition.
    pub definition: String,
    /// `host:port`
    pub address: String,
}

impl Real {
    /// The world of the example document, which takes seconds for what AWS takes minutes for.
    pub async fn start() -> Result<Self> {
        let delays = Delays {
            mount_target: 3.0,
            file_system: 2.0,
            dns: 1.0,
            ..Delays::default()
        };
        Self::with(delays, Knobs::default()).await
    }

    /// The same with delays and knobs of one's own.
    pub async fn with(delays: Delays, knobs: Knobs) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let block = AddressBlock::reserve().context("no block of loopback addresses is free")?;
        let aws = LocalAws::new(Config {
            ip_block: block.octets(),
            tasks: TaskRunner::Processes,
            delays,
            knobs,
            data_dir: folder.path().join("aws"),
            epoch: jiff::Timestamp::now(),
            ..Config::default()
        });
        std::fs::create_dir(folder.path().join("aws"))?;
        world::trigpointing(&aws);
        let scene = Scene {
            valkey: ToldValkey::healthy(aws.now()),
            dns_grace_s: 2,
            limits: Limits::default(),
            aws,
        };
        let server = scene::serve(&scene.aws).await?;
        Ok(Self {
            scene,
            server,
            folder,
            _block: block,
        })
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.folder.path().join(name), text)?)
    }

    /// Runs `valkeep` in the folder; what it printed. It must end with this exit code.
    pub async fn valkeep(&self, code: i32, arguments: &[&str]) -> Result<String> {
        println!("$ valkeep {}", arguments.join(" "));
        let printed = self.quiet(code, arguments).await?;
        println!("{printed}");
        Ok(printed)
    }

    /// The same without showing it.
    pub async fn quiet(&self, code: i32, arguments: &[&str]) -> Result<String> {
        let (printed, _) = self.ended(code, arguments, self.begin(arguments)?).await?;
        Ok(printed)
    }

    /// Starts `valkeep` in the folder.
    pub fn begin(&self, arguments: &[&str]) -> Result<Child> {
        let mut command = self.command("PERSON", arguments)?;
        Ok(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
    }

    /// What one that was started has printed and said, once it has ended, which must be with this exit code.
    pub async fn ended(&self, code: i32, arguments: &[&str], started: Child) -> Result<(String, String)> {
        let output = started.wait_with_output().await?;
        let printed = String::from_utf8(output.stdout)?;
        let said = String::from_utf8(output.stderr)?;
        ensure!(
            output.status.code() == Some(code),
            "valkeep {} ended with {}, expected {code}\n{printed}{said}\n{}",
            arguments.join(" "),
            output.status,
            self.log()
        );
        Ok((printed, said))
    }

    /// `valkeep status`, shown as people see it; what machines see.
    pub async fn status(&self, name: &str) -> Result<Value> {
        self.valkeep(0, &["status", name]).await?;
        let printed = self.quiet(0, &["status", name, "--output", "json"]).await?;
        serde_json::from_str(&printed).context("the status is JSON")
    }

    /// Starts `valkeep run`; it ends with what is returned.
    pub fn controller(&self) -> Result<Controller> {
        println!("$ valkeep run --store {DOCUMENTS} &\n");
        self.quiet_controller()
    }

    /// The same without showing it.
    pub fn quiet_controller(&self) -> Result<Controller> {
        self.run(&[])
    }

    /// The same without a lease: the next one after a kill begins at once.
    pub fn lone_controller(&self) -> Result<Controller> {
        self.run(&["--single-replica"])
    }

    fn run(&self, more: &[&str]) -> Result<Controller> {
        let log = std::fs::File::create(self.folder.path().join(LOG))?;
        let arguments = ["run", "--poll", "500ms", "--probe-interval", "1s", "--dns-grace", "2s"];
        let mut command = self.command(CONTROLLER, &[&arguments, more].concat())?;
        Ok(Controller(command.stdout(log.try_clone()?).stderr(log).spawn()?))
    }

    /// What `valkeep run` has logged until now.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }

    /// The operations by which `valkeep run` has changed anything since the calls were last cleared; its own documents,
    /// status and lease left out.
    pub fn changes(&self) -> Vec<String> {
        let is_change = |call: &Call| call.mutating && call.access_key == CONTROLLER && call.service != Service::S3;
        let calls = self.scene.aws.calls().into_iter().filter(is_change);
        calls.map(|call| call.operation).collect()
    }

    /// How many of the changes are of this operation.
    pub fn count(&self, operation: &str) -> usize {
        self.changes().iter().filter(|change| *change == operation).count()
    }

    /// Forgets the calls until now.
    pub fn clear_calls(&self) {
        self.scene.aws.clear_calls();
    }

    /// Waits until the last deployment of a service has ended well.
    pub async fn until_steady(&self, service: &str, bound: Duration) -> Result<()> {
        let deadline = Instant::now() + bound;
        loop {
            let found = self.scene.service(service);
            let deployments = found["deployments"].as_array().context("deployments")?;
            if let [only] = deployments.as_slice()
                && only["rolloutState"] == "COMPLETED"
                && found["runningCount"] == found["desiredCount"]
            {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "not steady within {bound:?}: {found:#}");
            sleep(LOOK).await;
        }
    }

    /// The only task of a service, once it runs, answers and `is` what is waited for.
    pub async fn task(&self, service: &str, bound: Duration, is: impl Fn(&Task) -> bool) -> Result<Task> {
        serving(&self.scene.aws, service, bound, is).await
    }

    /// Where an access point's directory lies on this machine; there is one file system.
    pub fn directory(&self, path: &str) -> Result<PathBuf> {
        let found = self.scene.look(Service::Efs, "DescribeFileSystems", &json!({}));
        let id = found["FileSystems"][0]["FileSystemId"]
            .as_str()
            .context("a file system")?;
        let data = &self.scene.aws.config().data_dir;
        Ok(data.join("efs").join(id).join(path.trim_start_matches('/')))
    }

    /// ECS `StopTask`, as a person would ask for it.
    pub fn stop_task(&self, task: &Task) {
        println!("$ aws ecs stop-task --cluster {} --task {}\n", world::CLUSTER, task.arn);
        let input = json!({ "cluster": world::CLUSTER, "task": task.arn, "reason": "to see it come back" });
        self.scene.look(Service::Ecs, "StopTask", &input);
    }

    /// `update-service --force-new-deployment`
    pub fn force_new_deployment(&self, service: &str) {
        println!(
            "$ aws ecs update-service --cluster {} --service {service} --force-new-deployment\n",
            world::CLUSTER
        );
        let input = json!({ "cluster": world::CLUSTER, "service": service, "forceNewDeployment": true });
        self.scene.look(Service::Ecs, "UpdateService", &input);
    }

    /// Ends the tasks, and waits for that.
    pub async fn stop(self) {
        self.scene.aws.shutdown().await;
    }

    fn command(&self, access_key: &str, arguments: &[&str]) -> Result<Command> {
        let mut command = program::valkeep(&self.server.endpoint, access_key)?;
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("VALKEEP_STORE", DOCUMENTS);
        Ok(command)
    }
}

/// A running `valkeep run`; killed when it is dropped.
#[derive(Debug)]
pub struct Controller(Child);

impl Controller {
    /// SIGTERM, and waits; it must end well.
    pub async fn stop(mut self) -> Result<()> {
        let id = self.0.id().context("it runs")?;
        kill(Pid::from_raw(i32::try_from(id)?), Signal::SIGTERM)?;
        let ended = self.0.wait().await?;
        ensure!(ended.success(), "valkeep run ended with {ended}");
        Ok(())
    }

    /// SIGKILL, and waits.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.0.kill().await?)
    }
}

/// The only task of a service, once it runs, answers and `is` what is waited for.
pub async fn serving(aws: &LocalAws, service: &str, bound: Duration, is: impl Fn(&Task) -> bool) -> Result<Task> {
    let deadline = Instant::now() + bound;
    loop {
        let running = running(aws, service)?;
        if let [task] = running.as_slice()
            && is(task)
            && tokio::net::TcpStream::connect(&task.address).await.is_ok()
            && crate::keys::ask(&task.address, "PING\n").is_ok_and(|answer| answer.trim() == "PONG")
        {
            return Ok(task.clone());
        }
        ensure!(Instant::now() < deadline, "not within {bound:?}, but {running:?}");
        sleep(LOOK).await;
    }
}

/// The running tasks of a service.
pub fn running(aws: &LocalAws, service: &str) -> Result<Vec<Task>> {
    let input = json!({ "cluster": world::CLUSTER, "serviceName": service });
    let listed = aws.call(Service::Ecs, "ListTasks", &input)?["taskArns"].clone();
    if listed == json!([]) {
        return Ok(Vec::new());
    }
    let input = json!({ "cluster": world::CLUSTER, "tasks": listed });
    let found = aws.call(Service::Ecs, "DescribeTasks", &input)?;
    let tasks = found["tasks"].as_array().context("tasks")?;
    let running = tasks.iter().filter(|task| task["lastStatus"] == "RUNNING");
    running
        .map(|task| seen(task).context("a task has an address"))
        .collect()
}

fn seen(task: &Value) -> Option<Task> {
    let details = task["attachments"][0]["details"].as_array()?;
    let ip = details.iter().find(|detail| detail["name"] == "privateIPv4Address")?;
    Some(Task {
        arn: task["taskArn"].as_str()?.to_owned(),
        definition: task["taskDefinitionArn"].as_str()?.to_owned(),
        address: format!("{}:6379", ip["value"].as_str()?),
    })
}
