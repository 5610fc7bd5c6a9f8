//! What exists is taken by its id, through the real SDK: what it costs, what a lost reply does to it, and what a document that
//! only observes never does.

use localaws::{Delays, Fault, FaultKind, Service, world};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::sleep;
use valkeep_engine::{CancellationToken, Settings};
use valkeep_tests::scene::{Scene, example};

const NAME: &str = "trigpointing-valkey";
/// The longest back-off, a resync, and the way itself.
const PATIENCE: Duration = Duration::from_mins(30);
/// Calls that one look at a converged document may take.
const READS_MOST: usize = 14;

/// A file system of others with a mount target in each zone that lets the tasks in, and an access point on it.
struct Theirs {
    scene: Scene,
    file_system: String,
    access_point: String,
}

fn theirs() -> Theirs {
    fastrand::seed(7);
    let scene = Scene::new(Delays::zero());
    let made = |service, operation: &str, input: Value, id: &str| {
        let answer = scene.aws.call(service, operation, &input).expect("it can be made");
        answer[id].as_str().unwrap_or_default().to_owned()
    };
    let input = json!({ "GroupName": "storage", "GroupDescription": "theirs", "VpcId": world::VPC });
    let group = made(Service::Ec2, "CreateSecurityGroup", input, "groupId");
    let input = json!({ "GroupId": group, "IpPermissions": [{
        "IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "UserIdGroupPairs": [{ "GroupId": world::TASK_GROUP }],
    }] });
    made(Service::Ec2, "AuthorizeSecurityGroupIngress", input, "");
    let input = json!({ "CreationToken": "theirs", "ThroughputMode": "elastic", "Encrypted": true });
    let file_system = made(Service::Efs, "CreateFileSystem", input, "FileSystemId");
    for (subnet, _) in world::SUBNETS {
        let input = json!({ "FileSystemId": file_system, "SubnetId": subnet, "SecurityGroups": [group] });
        made(Service::Efs, "CreateMountTarget", input, "");
    }
    let input = json!({ "ClientToken": "theirs", "FileSystemId": file_system, "PosixUser": { "Uid": 999, "Gid": 999 },
        "RootDirectory": { "Path": "/cache", "CreationInfo": { "OwnerUid": 999, "OwnerGid": 999, "Permissions": "0750" } } });
    let access_point = made(Service::Efs, "CreateAccessPoint", input, "AccessPointId");
    scene.aws.clear_calls();
    Theirs {
        scene,
        file_system,
        access_point,
    }
}

impl Theirs {
    fn put(&self, spec: &str) {
        let text = example("minimal.yaml");
        let taken = format!(
            "  fileSystem: {{accessPoint: {{id: {}}}{spec}}}\n  network:",
            self.access_point
        );
        self.scene.put("cache.yaml", &text.replace("  network:", &taken));
    }

    /// Calls to everything but the store of documents.
    fn calls(&self) -> Vec<String> {
        let calls = self.scene.aws.calls().into_iter();
        calls
            .filter(|call| call.service != Service::S3)
            .map(|call| call.operation)
            .collect()
    }

    fn changes(&self) -> BTreeSet<String> {
        let reads = ["Describe", "Get", "List"];
        let calls = self.calls().into_iter();
        calls
            .filter(|operation| !reads.iter().any(|read| operation.starts_with(read)))
            .collect()
    }

    /// The file system and what hangs on it, without the marks of valkeep.
    fn left_alone(&self) -> Value {
        let look = |operation: &str| {
            self.scene
                .look(Service::Efs, operation, &json!({ "FileSystemId": self.file_system }))
        };
        let mut points = look("DescribeAccessPoints");
        for point in points["AccessPoints"].as_array_mut().expect("a list") {
            let tags = point["Tags"].as_array_mut().expect("a list");
            tags.retain(|tag| !tag["Key"].as_str().unwrap_or_default().starts_with("valkeep.dev/"));
        }
        json!([look("DescribeFileSystems"), points, look("DescribeMountTargets")])
    }
}

async fn running(scene: &Scene, what: &str, during: impl AsyncFnOnce()) {
    let engine = scene.engine(Settings::default());
    let stop = CancellationToken::new();
    let task = tokio::spawn(engine.run(stop.clone()));
    scene.until_ready(NAME, PATIENCE, what).await;
    during().await;
    stop.cancel();
    task.await.expect("the engine does not panic");
}

#[tokio::test(start_paused = true)]
async fn a_taken_file_system_is_left_as_it_is_and_a_look_at_it_takes_no_more_calls_than_any_other() {
    for spec in [
        "",
        ", throughputMode: elastic, transitionToIA: Never, automaticBackups: false, encrypted: true",
    ] {
        let theirs = theirs();
        let before = theirs.left_alone();
        theirs.put(spec);
        running(&theirs.scene, "taken", async || {
            sleep(Duration::from_mins(15)).await;
            theirs.scene.aws.clear_calls();
            sleep(Duration::from_mins(10)).await;
            let calls = theirs.calls();
            let looks = calls
                .iter()
                .filter(|operation| *operation == "DescribeFileSystems")
                .count();
            assert!(looks > 0, "it was looked at");
            assert!(calls.len() <= looks * READS_MOST, "{looks} looks: {calls:?}");
            assert_eq!(theirs.changes(), BTreeSet::new());
        })
        .await;
        assert_eq!(theirs.left_alone(), before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_on_what_is_taken_changes_nothing_twice() {
    let operations = {
        let theirs = theirs();
        theirs.put("");
        running(&theirs.scene, "no fault", async || {}).await;
        theirs.changes()
    };
    assert!(operations.contains("TagResource"), "{operations:?}");
    assert!(!operations.contains("CreateSecurityGroup"), "{operations:?}");
    for operation in operations {
        let theirs = theirs();
        let before = theirs.left_alone();
        theirs.put("");
        theirs
            .scene
            .aws
            .inject(Fault::on(&operation, FaultKind::LostReply).times(4));
        running(&theirs.scene, &operation, async || {}).await;
        assert_eq!(theirs.left_alone(), before, "{operation}");
        let inventory = theirs.scene.inventory();
        assert_eq!((inventory.access_points, inventory.services), (1, 1), "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_observing_document_sends_no_call_that_changes_anything() {
    let theirs = theirs();
    let text = example("trigpointing-valkey.yaml");
    let observing = text.replace("mode: Enforce", "mode: Observe");
    assert_ne!(text, observing);
    theirs.scene.put("cache.yaml", &observing);
    let engine = theirs.scene.engine(Settings::default());
    let finished = engine.once(Some(PATIENCE), CancellationToken::new()).await;
    assert!(!finished.cut_short);
    assert_eq!(theirs.changes(), BTreeSet::new());
    assert!(theirs.scene.is_true(NAME, "DriftDetected"));
    theirs.scene.aws.clear_calls();
    theirs
        .scene
        .put("cache.yaml", &text.replace("mode: Enforce", "mode: Paused"));
    let engine = theirs.scene.engine(Settings::default());
    engine.once(Some(PATIENCE), CancellationToken::new()).await;
    assert_eq!(theirs.calls(), Vec::<String>::new(), "not even a look");
}
