//! A local AWS with what a team has before valkeep comes, and everything valkeep needs to work on it.

use crate::in_process::{self, Cable};
use crate::valkey::ToldValkey;
use anyhow::{Context, Result};
use localaws::{Config, Delays, Fault, FaultKind, LocalAws, Match, Service, TaskRunner, world};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use valkeep_aws::{Aws, Options};
use valkeep_core::ports::Clock;
use valkeep_core::{Limits, Scope, Timestamp};
use valkeep_engine::{CancellationToken, Candidate, Engine, Report, Settings, Snapshot};
use valkeep_store::{DocumentStore, LeaseUrl, StoreUrl};

/// Where documents are put.
pub const DOCUMENTS: &str = "s3://valkeep-demo/docs/";

/// An AWS in memory whose tasks are simulated, and whose Valkey answers as told.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The AWS.
    pub aws: LocalAws,
    /// What answers at every task's address.
    pub valkey: ToldValkey,
    /// How long a mount target's name is given.
    pub dns_grace_s: u32,
    /// How far documents may reach.
    pub limits: Limits,
}

/// The same time as the local AWS.
#[derive(Debug, Clone)]
pub struct SceneClock(LocalAws);

impl Clock for SceneClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

impl Scene {
    /// The world of the example document.
    pub fn new(delays: Delays) -> Self {
        let aws = LocalAws::new(Config {
            delays,
            ..Config::default()
        });
        world::trigpointing(&aws);
        let valkey = ToldValkey::healthy(aws.now());
        Self {
            aws,
            valkey,
            dns_grace_s: 90,
            limits: Limits::default(),
        }
    }

    /// Clients as a new process would make them. Each has its own retry quota, which the SDK otherwise shares.
    pub fn client(&self) -> Aws {
        self.client_of("AKIDTEST", &Cable::default())
    }

    /// The same with an access key and a cable of its own.
    pub fn client_of(&self, access_key: &str, cable: &Cable) -> Aws {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let partition = format!("scene-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let region = &self.aws.config().region;
        Aws::new(
            &in_process::sdk_config_of(&self.aws, region, access_key, cable),
            Options {
                retry_partition: Some(partition),
                ..Options::default()
            },
        )
    }

    /// The scope of this AWS; asked without the wire, so that faults are free for what a test is about.
    pub fn scope(&self) -> Scope {
        Scope {
            partition: "aws".to_owned(),
            account: self.aws.config().account.clone(),
            region: self.aws.config().region.clone(),
            installation: "default".to_owned(),
            dns_grace_s: self.dns_grace_s,
            limits: self.limits.clone(),
        }
    }

    /// The clock that follows this AWS.
    pub fn clock(&self) -> SceneClock {
        SceneClock(self.aws.clone())
    }

    /// An engine as a new process would make it, alone.
    pub fn engine(&self, settings: Settings) -> Engine<Aws, ToldValkey, SceneClock> {
        self.engine_of(self.client(), settings)
    }

    /// One of several engines that share the lease beside the status. It is called as its access key.
    pub fn replica(&self, access_key: &str, cable: &Cable, settings: Settings) -> Engine<Aws, ToldValkey, SceneClock> {
        let aws = self.client_of(access_key, cable);
        let lease = aws.lease(lease());
        let me = Candidate {
            id: access_key.to_owned(),
            host: "scene".to_owned(),
        };
        self.engine_of(aws, settings).sharing(lease, me)
    }

    fn engine_of(&self, aws: Aws, settings: Settings) -> Engine<Aws, ToldValkey, SceneClock> {
        let store = store(&aws);
        Engine::new(
            settings,
            vec![store],
            Arc::new(aws),
            Arc::new(self.valkey.clone()),
            Arc::new(self.clock()),
            self.scope(),
        )
    }

    /// Puts a document under `docs/`.
    pub fn put(&self, key: &str, text: &str) {
        self.aws
            .put_object(world::BUCKET, &format!("docs/{key}"), text.to_owned());
    }

    /// The status beside the documents.
    pub fn status(&self, name: &str) -> Option<Value> {
        let body = self.aws.object(world::BUCKET, &format!("docs-status/{name}.json"))?;
        Some(serde_json::from_slice(&body).expect("a status is JSON"))
    }

    /// Whether the status says Ready.
    pub fn is_ready(&self, name: &str) -> bool {
        self.is_true(name, "Ready")
    }

    /// Whether a condition of the status is True.
    pub fn is_true(&self, name: &str, condition: &str) -> bool {
        self.condition(name, condition)
            .is_some_and(|condition| condition["status"] == "True")
    }

    /// A condition of the status.
    pub fn condition(&self, name: &str, type_: &str) -> Option<Value> {
        let status = self.status(name)?;
        let mut conditions = status["status"]["conditions"].as_array()?.iter();
        conditions.find(|condition| condition["type"] == type_).cloned()
    }

    /// Waits until the status says Ready, which it must within `bound`; `what` is for the message.
    pub async fn until_ready(&self, name: &str, bound: Duration, what: &str) {
        self.until(name, "Ready", bound, what).await;
    }

    /// Waits until a condition of the status is True, which it must be within `bound`; `what` is for the message.
    pub async fn until(&self, name: &str, condition: &str, bound: Duration, what: &str) {
        let deadline = Instant::now() + bound;
        while !self.is_true(name, condition) {
            assert!(
                Instant::now() < deadline,
                "{what}: not {condition} after {bound:?}: {:#?}",
                self.status(name)
            );
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Starts an engine and kills it at its `nth` call, which meets a fault of this kind and must come within `bound`.
    pub async fn kill_engine_at(&self, nth: usize, kind: &FaultKind, bound: Duration) {
        let mut fault = Fault {
            matches: Match::default(),
            kind: kind.clone(),
        }
        .nth(nth as u64);
        fault.matches.times = Some(1);
        self.aws.inject(fault);
        let engine = tokio::spawn(self.engine(Settings::default()).run(CancellationToken::new()));
        let deadline = Instant::now() + bound;
        while self.aws.call_count() < nth {
            assert!(Instant::now() < deadline, "call {nth} never came");
            sleep(Duration::from_millis(1)).await;
        }
        // Dropping the future is what a kill looks like from here: nothing of it runs any more.
        engine.abort();
        assert!(
            engine.await.is_err_and(|error| error.is_cancelled()),
            "killed at call {nth}"
        );
        self.aws.clear_faults();
    }

    /// Asks this AWS directly, past wire, faults and call log.
    pub fn look(&self, service: Service, operation: &str, input: &Value) -> Value {
        self.aws
            .call(service, operation, input)
            .unwrap_or_else(|error| panic!("{operation} {input}: {error:?}"))
    }

    /// How many there are of everything that valkeep makes.
    pub fn inventory(&self) -> Inventory {
        let count = |service, operation: &str, input: Value, list: &str| {
            self.look(service, operation, &input)[list]
                .as_array()
                .map_or(0, Vec::len)
        };
        let file_systems = self.look(Service::Efs, "DescribeFileSystems", &json!({}))["FileSystems"].clone();
        let ids: Vec<Value> = file_systems
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| one["FileSystemId"].clone())
            .collect();
        let of_each = |operation: &str, list: &str| {
            ids.iter()
                .map(|id| count(Service::Efs, operation, json!({ "FileSystemId": id }), list))
                .sum()
        };
        Inventory {
            file_systems: ids.len(),
            mount_targets: of_each("DescribeMountTargets", "MountTargets"),
            access_points: of_each("DescribeAccessPoints", "AccessPoints"),
            security_groups: count(Service::Ec2, "DescribeSecurityGroups", json!({}), "securityGroupInfo"),
            log_groups: count(Service::Logs, "DescribeLogGroups", json!({}), "logGroups"),
            role_policies: count(
                Service::Iam,
                "ListRolePolicies",
                json!({ "RoleName": world::TASK_ROLE }),
                "PolicyNames",
            ),
            task_definitions: count(Service::Ecs, "ListTaskDefinitions", json!({}), "taskDefinitionArns"),
            services: count(
                Service::Ecs,
                "ListServices",
                json!({ "cluster": world::CLUSTER }),
                "serviceArns",
            ),
            running_tasks: count(
                Service::Ecs,
                "ListTasks",
                json!({ "cluster": world::CLUSTER }),
                "taskArns",
            ),
        }
    }
}

/// An engine at work on a scene.
#[derive(Debug)]
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<Report>,
    snapshots: watch::Receiver<Snapshot>,
}

impl Running {
    /// Starts one with the usual settings.
    pub fn start(scene: &Scene) -> Self {
        let engine = scene.engine(Settings::default());
        let snapshots = engine.snapshots();
        let stop = CancellationToken::new();
        let task = tokio::spawn(engine.run(stop.clone()));
        Self { stop, task, snapshots }
    }

    /// Statuses and troubles of stores and of writing, as whoever only looks would see them.
    pub fn everything_said(&self) -> String {
        format!("{:?}", *self.snapshots.borrow())
    }

    /// Stops it, and waits until it has ended.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("the engine does not panic");
    }
}

/// Counts of what valkeep makes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Inventory {
    pub file_systems: usize,
    pub mount_targets: usize,
    pub access_points: usize,
    pub security_groups: usize,
    pub log_groups: usize,
    pub role_policies: usize,
    pub task_definitions: usize,
    pub services: usize,
    pub running_tasks: usize,
}

/// The lease beside the status of [`DOCUMENTS`], as `valkeep run` chooses it.
pub fn lease() -> LeaseUrl {
    let url: StoreUrl = DOCUMENTS.parse().expect("a good store");
    let status = url.default_status().expect("a prefix has a sibling");
    status.default_lease().expect("S3 has a place for it")
}

/// The store of [`DOCUMENTS`].
pub fn store(aws: &Aws) -> Arc<dyn DocumentStore> {
    let url: StoreUrl = DOCUMENTS.parse().expect("a good store");
    let status = url.default_status().expect("a prefix has a sibling");
    aws.store(url, status)
}

/// The example document of `manifests/examples`.
pub fn example(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../manifests/examples")
        .join(name);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A document that asks for its deletion; `annotations` are the names after `valkeep.dev/`.
pub fn asking_for(annotations: &[&str], document: &str, name: &str) -> String {
    let lines: Vec<String> = annotations
        .iter()
        .map(|annotation| format!("    valkeep.dev/{annotation}: {name}\n"))
        .collect();
    document.replacen(
        "metadata:\n",
        &format!("metadata:\n  annotations:\n{}", lines.concat()),
        1,
    )
}

/// The example document for another service, so that several can live side by side.
pub fn example_for(service: &str) -> String {
    example("trigpointing-valkey.yaml")
        .replace("name: trigpointing-valkey ", &format!("name: {service} "))
        .replace("name: trigpointing-valkey\n", &format!("name: {service}\n"))
        .replace("/ecs/trigpointing-valkey", &format!("/ecs/{service}"))
}

/// An empty AWS in which nothing takes time.
pub fn instant_config() -> Config {
    Config {
        delays: Delays::zero(),
        tasks: TaskRunner::Simulated,
        ..Config::default()
    }
}

/// A local AWS over TCP; it stops answering when this is dropped.
#[derive(Debug)]
pub struct Server {
    /// `http://127.0.0.1:PORT`
    pub endpoint: String,
    _stop: oneshot::Sender<()>,
}

/// Serves on a port that the system chooses.
pub async fn serve(aws: &LocalAws) -> Result<Server> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .context("no port on loopback")?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let aws = aws.clone();
    tokio::spawn(async move {
        localaws::serve(aws, listener, async {
            // A dropped sender is the sign to stop.
            let _ = stopped.await;
        })
        .await
    });
    Ok(Server { endpoint, _stop: stop })
}
