//! A test bench: stores, a cloud and an engine on a paused clock.

use crate::cloud::{Cloud, TestClock};
use crate::store::MemoryStore;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use valkeep_core::{Condition, ConditionStatus, ConditionType, Scope};
use valkeep_document::status::Status;
use valkeep_engine::{
    CancellationToken, DocumentState, Engine, Finished, QueueStats, Report, Settings, Snapshot, Standing,
};
use valkeep_store::DocumentStore;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_mins(1);
/// Longer than anything here may take, in the time of the test.
const PATIENCE: Duration = Duration::from_hours(2);

/// Stores and a cloud that outlive engines.
pub(crate) struct World {
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) stores: Vec<Arc<MemoryStore>>,
    pub(crate) settings: Settings,
    pub(crate) dns_grace_s: u32,
}

/// An engine at work.
pub(crate) struct Running {
    pub(crate) snapshots: watch::Receiver<Snapshot>,
    pub(crate) queue: watch::Receiver<QueueStats>,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<Report>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_stores(&["s3://docs/one/"])
    }

    pub(crate) fn with_stores(urls: &[&str]) -> Self {
        Self {
            cloud: Arc::new(Cloud::new(Arc::new(TestClock::start()))),
            stores: urls.iter().map(|url| Arc::new(MemoryStore::new(url))).collect(),
            settings: Settings::default(),
            dns_grace_s: 30,
        }
    }

    pub(crate) fn store(&self) -> &MemoryStore {
        &self.stores[0]
    }

    pub(crate) fn engine(&self) -> Engine<Cloud, Cloud, TestClock> {
        let stores = self
            .stores
            .iter()
            .map(|store| Arc::clone(store) as Arc<dyn DocumentStore>);
        Engine::new(
            self.settings.clone(),
            stores.collect(),
            Arc::clone(&self.cloud),
            Arc::clone(&self.cloud),
            Arc::clone(&self.cloud.clock),
            Scope {
                partition: "aws".to_owned(),
                account: "123456789012".to_owned(),
                region: "eu-west-1".to_owned(),
                installation: "default".to_owned(),
                dns_grace_s: self.dns_grace_s,
                limits: valkeep_core::Limits::default(),
            },
        )
    }

    pub(crate) fn start(&self) -> Running {
        let engine = self.engine();
        let stop = CancellationToken::new();
        Running {
            snapshots: engine.snapshots(),
            queue: engine.queue_stats(),
            task: tokio::spawn(engine.run(stop.clone())),
            stop,
        }
    }

    pub(crate) async fn once(&self, timeout: Option<Duration>) -> Finished {
        self.engine().once(timeout, CancellationToken::new()).await
    }

    /// Starts, waits until everything is Ready, and leaves it running.
    pub(crate) async fn converged(&self) -> Running {
        let mut running = self.start();
        running
            .until(|snapshot| !snapshot.documents.is_empty() && all(snapshot, Standing::Ready))
            .await;
        running
    }

    pub(crate) fn status(&self, name: &str) -> Status {
        self.store().status(name).expect("a status is there")
    }
}

pub(crate) fn all(snapshot: &Snapshot, standing: Standing) -> bool {
    snapshot
        .documents
        .values()
        .all(|document| document.standing == standing)
}

impl Running {
    /// Waits for a level, never for a change.
    pub(crate) async fn until(&mut self, level: impl FnMut(&Snapshot) -> bool) {
        let reached = tokio::time::timeout(PATIENCE, self.snapshots.wait_for(level))
            .await
            .map(|level| level.is_ok());
        let ended = match reached {
            Ok(true) => return,
            Ok(false) => "the engine ended",
            Err(_) => "two hours passed",
        };
        panic!("{ended}; last seen: {:#?}", self.snapshots.borrow());
    }

    pub(crate) async fn until_document(&mut self, name: &str, mut level: impl FnMut(&DocumentState) -> bool) {
        self.until(|snapshot| {
            snapshot
                .documents
                .values()
                .any(|document| document.name == name && level(document))
        })
        .await;
    }

    pub(crate) fn document(&self, name: &str) -> Arc<DocumentState> {
        let snapshot = self.snapshots.borrow();
        let found = snapshot.documents.values().find(|document| document.name == name);
        Arc::clone(found.expect("it is known"))
    }

    pub(crate) async fn stop(self) -> Report {
        self.stop.cancel();
        self.task.await.expect("the engine does not panic")
    }

    /// As `kill -9` does: nothing is finished, nothing is written.
    pub(crate) async fn kill(self) {
        self.task.abort();
        self.task.await.expect_err("aborted");
    }
}

pub(crate) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

pub(crate) fn condition(status: &Status, type_: ConditionType) -> Condition {
    status
        .condition(type_)
        .unwrap_or_else(|| panic!("{type_:?} is not in {status:#?}"))
        .clone()
}

/// Status, then reason.
#[track_caller]
pub(crate) fn check(status: &Status, type_: ConditionType, expected: ConditionStatus, reason: &str) {
    let found = condition(status, type_);
    assert_eq!(
        (found.status, found.reason.as_str()),
        (expected, reason),
        "{type_:?}: {}",
        found.message
    );
}

/// A good document.
pub(crate) fn document(name: &str, service: &str) -> String {
    document_with(name, service, "")
}

/// A good document with more in its `spec`.
pub(crate) fn document_with(name: &str, service: &str, more: &str) -> String {
    format!(
        "apiVersion: valkeep.dev/v1alpha1
kind: ValkeyPersistence
metadata:
  name: {name}
spec:
  cluster: caches
  service:
    name: {service}
    create:
      image: valkey/valkey:8.0
      executionRoleArn: arn:aws:iam::123456789012:role/execution
  taskRole:
    name: task
  network:
    vpcId: vpc-0a1b2c3d4e5f67890
    subnetIds: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
    taskSecurityGroupIds: [sg-0cccccccccccccccc]
{more}"
    )
}
