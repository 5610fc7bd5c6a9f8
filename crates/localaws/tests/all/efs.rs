//! File systems, mount targets, access points.

use crate::client::{Answer, Client, client, instant, pass, slow, text, texts};
use localaws::world::{SUBNETS, TASK_GROUP, TASK_ROLE};
use localaws::{Config, Knobs};
use serde_json::{Value, json};

const ROLE: &str = "arn:aws:iam::123456789012:role/trigpointing-ecs-task-role";

async fn file_system(aws: &Client, token: &str) -> String {
    let made = aws
        .efs(
            "POST",
            "file-systems",
            json!({ "CreationToken": token, "Encrypted": true }),
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.body["FileSystemId"].as_str().unwrap().to_owned()
}

async fn mount_target(aws: &Client, fs: &str, subnet: usize) -> Answer<Value> {
    let input = json!({ "FileSystemId": fs, "SubnetId": SUBNETS[subnet].0, "SecurityGroups": [TASK_GROUP] });
    aws.efs("POST", "mount-targets", input).await
}

async fn state(aws: &Client, fs: &str) -> Value {
    aws.efs("GET", &format!("file-systems?FileSystemId={fs}"), Value::Null)
        .await
        .body["FileSystems"][0]["LifeCycleState"]
        .clone()
}

fn code(answer: &Answer<Value>) -> (u16, &str) {
    (answer.status, answer.body["ErrorCode"].as_str().unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn a_file_system_is_created_in_its_own_time_and_takes_nothing_before() {
    let aws = slow();
    let fs = file_system(&aws, "t").await;
    assert_eq!(state(&aws, &fs).await, "creating");
    assert_eq!(
        code(&mount_target(&aws, &fs, 0).await),
        (409, "IncorrectFileSystemLifeCycleState")
    );
    let backup = json!({ "BackupPolicy": { "Status": "ENABLED" } });
    let refused = aws
        .efs("PUT", &format!("file-systems/{fs}/backup-policy"), backup)
        .await;
    assert_eq!(code(&refused), (409, "IncorrectFileSystemLifeCycleState"));
    pass(10.0).await;
    assert_eq!(state(&aws, &fs).await, "available");
}

#[tokio::test]
async fn a_creation_token_answers_with_the_file_system_that_has_it() {
    let aws = instant();
    let fs = file_system(&aws, "t").await;
    let response = aws
        .send(
            "elasticfilesystem",
            "POST",
            "/2015-02-01/file-systems",
            &[],
            r#"{"CreationToken":"t"}"#,
        )
        .await;
    assert_eq!(response.status(), 409);
    assert_eq!(response.headers()["x-amzn-errortype"], "FileSystemAlreadyExists");
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(body["FileSystemId"], fs);
    let found = aws.efs("GET", "file-systems?CreationToken=t", Value::Null).await.body;
    assert_eq!(found["FileSystems"][0]["FileSystemId"], fs);
    assert!(
        found["FileSystems"][0]["KmsKeyId"]
            .as_str()
            .unwrap()
            .starts_with("arn:aws:kms:")
    );
    assert!(
        found["FileSystems"][0]["CreationTime"].as_f64().unwrap() < 1e11,
        "seconds, not milliseconds"
    );
}

#[tokio::test(start_paused = true)]
async fn the_throughput_mode_changes_once_a_day_and_grows_at_any_time() {
    let aws = slow();
    let fs = file_system(&aws, "t").await;
    pass(10.0).await;
    let path = format!("file-systems/{fs}");
    let provisioned = |mibps: f64| json!({ "ThroughputMode": "provisioned", "ProvisionedThroughputInMibps": mibps });
    let changed = aws.efs("PUT", &path, provisioned(10.0)).await;
    assert_eq!(
        (changed.status, &changed.body["LifeCycleState"]),
        (202, &json!("updating"))
    );
    pass(60.0).await;
    assert_eq!(aws.efs("PUT", &path, provisioned(20.0)).await.status, 202);
    pass(60.0).await;
    assert_eq!(
        code(&aws.efs("PUT", &path, provisioned(15.0)).await),
        (429, "TooManyRequests")
    );
    assert_eq!(
        code(&aws.efs("PUT", &path, json!({ "ThroughputMode": "elastic" })).await),
        (429, "TooManyRequests")
    );
    pass(24.0 * 3600.0).await;
    assert_eq!(
        aws.efs("PUT", &path, json!({ "ThroughputMode": "elastic" }))
            .await
            .status,
        202
    );
}

#[tokio::test]
async fn provisioned_throughput_needs_its_figure() {
    let aws = instant();
    let refused = aws
        .efs(
            "POST",
            "file-systems",
            json!({ "CreationToken": "t", "ThroughputMode": "provisioned" }),
        )
        .await;
    assert_eq!(code(&refused), (400, "BadRequest"));
    let unencrypted = aws
        .efs("POST", "file-systems", json!({ "CreationToken": "t", "KmsKeyId": "k" }))
        .await;
    assert_eq!(
        unencrypted.body["Message"],
        "The encrypted parameter must be set to true to create an encrypted file system."
    );
}

#[tokio::test(start_paused = true)]
async fn a_mount_target_has_its_interface_at_once_and_is_available_later() {
    let aws = slow();
    let fs = file_system(&aws, "t").await;
    pass(10.0).await;
    let made = mount_target(&aws, &fs, 0).await;
    assert_eq!((made.status, &made.body["LifeCycleState"]), (200, &json!("creating")));
    let id = made.body["MountTargetId"].as_str().unwrap();
    let interface = made.body["NetworkInterfaceId"].as_str().unwrap();
    let seen = aws
        .query(
            "ec2",
            "DescribeNetworkInterfaces",
            &format!("NetworkInterfaceId.1={interface}"),
        )
        .await
        .body;
    assert_eq!(text(&seen, "interfaceType"), "efs");
    assert_eq!(
        text(&seen, "description"),
        format!("Mount target {id} for file system {fs}")
    );
    assert_eq!(text(&seen, "privateIpAddress"), made.body["IpAddress"]);
    assert_eq!(text(&seen, "attachTime"), "2026-11-23T00:00:10.000Z");
    assert_eq!(texts(&seen, "groupId"), [TASK_GROUP]);
    let groups = aws
        .efs("GET", &format!("mount-targets/{id}/security-groups"), Value::Null)
        .await;
    assert_eq!(code(&groups), (409, "IncorrectMountTargetState"));
    pass(90.0).await;
    let groups = aws
        .efs("GET", &format!("mount-targets/{id}/security-groups"), Value::Null)
        .await;
    assert_eq!(groups.body["SecurityGroups"], json!([TASK_GROUP]));
}

#[tokio::test]
async fn there_is_one_mount_target_a_zone() {
    let aws = instant();
    let fs = file_system(&aws, "t").await;
    assert_eq!(mount_target(&aws, &fs, 0).await.status, 200);
    assert_eq!(mount_target(&aws, &fs, 1).await.status, 200);
    assert_eq!(code(&mount_target(&aws, &fs, 0).await), (409, "MountTargetConflict"));
    let all = aws
        .efs("GET", &format!("mount-targets?FileSystemId={fs}"), Value::Null)
        .await
        .body;
    assert_eq!(all["MountTargets"].as_array().unwrap().len(), 2);
    let first = aws
        .efs(
            "GET",
            &format!("mount-targets?FileSystemId={fs}&MaxItems=1"),
            Value::Null,
        )
        .await
        .body;
    let marker = first["NextMarker"].as_str().unwrap();
    let second = aws
        .efs(
            "GET",
            &format!("mount-targets?FileSystemId={fs}&MaxItems=1&Marker={marker}"),
            Value::Null,
        )
        .await
        .body;
    assert_ne!(first["MountTargets"][0], second["MountTargets"][0]);
    assert!(second.get("NextMarker").is_none());
}

#[tokio::test]
async fn a_mount_target_needs_a_subnet_and_groups_that_are_there() {
    let aws = instant();
    let fs = file_system(&aws, "t").await;
    let nowhere = json!({ "FileSystemId": fs, "SubnetId": "subnet-0123456789abcdef0" });
    assert_eq!(
        code(&aws.efs("POST", "mount-targets", nowhere).await),
        (400, "SubnetNotFound")
    );
    let strange = json!({ "FileSystemId": fs, "SubnetId": SUBNETS[0].0, "SecurityGroups": ["sg-0123456789abcdef0"] });
    assert_eq!(
        code(&aws.efs("POST", "mount-targets", strange).await),
        (400, "SecurityGroupNotFound")
    );
    let plain = json!({ "FileSystemId": fs, "SubnetId": SUBNETS[0].0 });
    let id = aws.efs("POST", "mount-targets", plain).await.body["MountTargetId"]
        .as_str()
        .unwrap()
        .to_owned();
    let groups = aws
        .efs("GET", &format!("mount-targets/{id}/security-groups"), Value::Null)
        .await
        .body;
    assert_eq!(
        groups["SecurityGroups"].as_array().unwrap().len(),
        1,
        "the VPC's default group"
    );
    let set = aws
        .efs(
            "PUT",
            &format!("mount-targets/{id}/security-groups"),
            json!({ "SecurityGroups": [TASK_GROUP] }),
        )
        .await;
    assert_eq!(set.status, 204);
    let groups = aws
        .efs("GET", &format!("mount-targets/{id}/security-groups"), Value::Null)
        .await
        .body;
    assert_eq!(groups["SecurityGroups"], json!([TASK_GROUP]));
}

#[tokio::test(start_paused = true)]
async fn a_file_system_goes_only_after_its_mount_targets_and_their_groups_after_these() {
    let aws = slow();
    let fs = file_system(&aws, "t").await;
    pass(10.0).await;
    let id = mount_target(&aws, &fs, 0).await.body["MountTargetId"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        code(&aws.efs("DELETE", &format!("file-systems/{fs}"), Value::Null).await),
        (409, "FileSystemInUse")
    );
    assert_eq!(
        aws.efs("DELETE", &format!("mount-targets/{id}"), Value::Null)
            .await
            .status,
        204
    );
    assert_eq!(
        code(&aws.efs("DELETE", &format!("file-systems/{fs}"), Value::Null).await),
        (409, "FileSystemInUse")
    );
    let refused = aws
        .query("ec2", "DeleteSecurityGroup", &format!("GroupId={TASK_GROUP}"))
        .await;
    assert_eq!(text(&refused.body, "Code"), "DependencyViolation");
    pass(60.0).await;
    let gone = aws
        .efs("GET", &format!("mount-targets?MountTargetId={id}"), Value::Null)
        .await;
    assert_eq!(code(&gone), (404, "MountTargetNotFound"));
    assert_eq!(
        aws.query("ec2", "DeleteSecurityGroup", &format!("GroupId={TASK_GROUP}"))
            .await
            .status,
        200
    );
    assert_eq!(
        aws.efs("DELETE", &format!("file-systems/{fs}"), Value::Null)
            .await
            .status,
        204
    );
    // The token stays taken while the file system is going.
    assert_eq!(
        code(&aws.efs("POST", "file-systems", json!({ "CreationToken": "t" })).await),
        (409, "FileSystemAlreadyExists")
    );
    pass(15.0).await;
    let gone = aws
        .efs("GET", &format!("file-systems?FileSystemId={fs}"), Value::Null)
        .await;
    assert_eq!(code(&gone), (404, "FileSystemNotFound"));
}

fn point(token: &str, fs: &str) -> Value {
    json!({
        "ClientToken": token, "FileSystemId": fs, "PosixUser": { "Uid": 1000, "Gid": 1000 },
        "RootDirectory": {
            "Path": "/valkey-data", "CreationInfo": { "OwnerUid": 1000, "OwnerGid": 1000, "Permissions": "0755" },
        },
    })
}

#[tokio::test]
async fn an_access_point_token_belongs_to_the_account_whatever_the_file_system() {
    let aws = instant();
    let (one, other) = (file_system(&aws, "1").await, file_system(&aws, "2").await);
    let made = aws.efs("POST", "access-points", point("p", &one)).await;
    assert_eq!((made.status, &made.body["LifeCycleState"]), (200, &json!("creating")));
    let again = aws.efs("POST", "access-points", point("p", &other)).await;
    assert_eq!(code(&again), (409, "AccessPointAlreadyExists"));
    assert_eq!(again.body["AccessPointId"], made.body["AccessPointId"]);
    let found = aws
        .efs("GET", &format!("access-points?FileSystemId={one}"), Value::Null)
        .await
        .body;
    assert_eq!(found["AccessPoints"][0]["LifeCycleState"], "available");
    assert_eq!(
        found["AccessPoints"][0]["RootDirectory"]["CreationInfo"]["Permissions"],
        "0755"
    );
}

#[tokio::test]
async fn an_access_point_token_may_also_replay() {
    let aws = client(Config {
        knobs: Knobs {
            replay_access_point: true,
            ..Knobs::default()
        },
        ..instant().aws.config().clone()
    });
    let fs = file_system(&aws, "1").await;
    let made = aws.efs("POST", "access-points", point("p", &fs)).await;
    let again = aws.efs("POST", "access-points", point("p", &fs)).await;
    assert_eq!(
        (again.status, &again.body["AccessPointId"]),
        (200, &made.body["AccessPointId"])
    );
}

#[tokio::test(start_paused = true)]
async fn automatic_backups_show_as_a_tag_of_aws() {
    let aws = slow();
    let fs = file_system(&aws, "t").await;
    pass(10.0).await;
    let path = format!("file-systems/{fs}/backup-policy");
    assert_eq!(
        aws.efs("GET", &path, Value::Null).await.body["BackupPolicy"]["Status"],
        "DISABLED"
    );
    aws.efs("PUT", &path, json!({ "BackupPolicy": { "Status": "ENABLED" } }))
        .await;
    assert_eq!(
        aws.efs("GET", &path, Value::Null).await.body["BackupPolicy"]["Status"],
        "ENABLING"
    );
    pass(5.0).await;
    assert_eq!(
        aws.efs("GET", &path, Value::Null).await.body["BackupPolicy"]["Status"],
        "ENABLED"
    );
    let found = aws
        .efs("GET", &format!("file-systems?FileSystemId={fs}"), Value::Null)
        .await
        .body;
    let tag = json!({ "Key": "aws:elasticfilesystem:default-backup", "Value": "enabled" });
    assert!(found["FileSystems"][0]["Tags"].as_array().unwrap().contains(&tag));
    let reserved = json!({ "Tags": [{ "Key": "aws:x", "Value": "y" }] });
    assert_eq!(
        code(&aws.efs("POST", &format!("resource-tags/{fs}"), reserved).await),
        (400, "BadRequest")
    );
}

#[tokio::test(start_paused = true)]
async fn changes_of_one_file_system_collide_when_close() {
    let aws = slow();
    let fs = file_system(&aws, "t").await;
    pass(10.0).await;
    let lifecycle = json!({ "LifecyclePolicies": [{ "TransitionToIA": "AFTER_30_DAYS" }] });
    let path = format!("file-systems/{fs}/lifecycle-configuration");
    assert_eq!(aws.efs("PUT", &path, lifecycle.clone()).await.status, 200);
    let backup = json!({ "BackupPolicy": { "Status": "ENABLED" } });
    let close = aws
        .efs("PUT", &format!("file-systems/{fs}/backup-policy"), backup.clone())
        .await;
    assert_eq!(code(&close), (409, "IncorrectFileSystemLifeCycleState"));
    pass(1.0).await;
    assert_eq!(
        aws.efs("PUT", &format!("file-systems/{fs}/backup-policy"), backup)
            .await
            .status,
        200
    );
    assert_eq!(aws.efs("GET", &path, Value::Null).await.body, lifecycle);
}

#[tokio::test]
async fn a_lifecycle_object_holds_exactly_one_transition() {
    let aws = instant();
    let fs = file_system(&aws, "t").await;
    let path = format!("file-systems/{fs}/lifecycle-configuration");
    let two =
        json!({ "LifecyclePolicies": [{ "TransitionToIA": "AFTER_30_DAYS", "TransitionToArchive": "AFTER_90_DAYS" }] });
    assert_eq!(code(&aws.efs("PUT", &path, two).await), (400, "BadRequest"));
    assert_eq!(
        aws.efs("PUT", &path, json!({ "LifecyclePolicies": [] })).await.status,
        200
    );
}

#[tokio::test]
async fn a_policy_comes_back_normalised_and_only_with_principals_that_are_there() {
    let aws = instant();
    let fs = file_system(&aws, "t").await;
    let path = format!("file-systems/{fs}/policy");
    assert_eq!(code(&aws.efs("GET", &path, Value::Null).await), (404, "PolicyNotFound"));
    let policy = |role: &str| {
        let policy = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": { "AWS": [role] }, "Action": ["elasticfilesystem:ClientMount"],
        }] });
        json!({ "Policy": policy.to_string() })
    };
    let unknown = aws
        .efs("PUT", &path, policy("arn:aws:iam::123456789012:role/none"))
        .await;
    assert_eq!(code(&unknown), (400, "InvalidPolicyException"));
    assert_eq!(aws.efs("PUT", &path, policy(ROLE)).await.status, 200);
    let found = aws.efs("GET", &path, Value::Null).await.body;
    let found: Value = serde_json::from_str(found["Policy"].as_str().unwrap()).unwrap();
    assert_eq!(found["Statement"][0]["Principal"]["AWS"], ROLE);
    assert_eq!(found["Statement"][0]["Action"], "elasticfilesystem:ClientMount");
    assert!(found["Statement"][0]["Resource"].as_str().unwrap().ends_with(&fs));
    assert_eq!(aws.efs("DELETE", &path, Value::Null).await.status, 200);
    assert_eq!(code(&aws.efs("GET", &path, Value::Null).await), (404, "PolicyNotFound"));
    assert!(ROLE.ends_with(TASK_ROLE));
}

#[tokio::test]
async fn tags_are_set_listed_and_removed() {
    let aws = instant();
    let fs = file_system(&aws, "t").await;
    let path = format!("resource-tags/{fs}");
    aws.efs(
        "POST",
        &path,
        json!({ "Tags": [{ "Key": "a", "Value": "1" }, { "Key": "b", "Value": "2" }] }),
    )
    .await;
    aws.efs("DELETE", &format!("{path}?tagKeys=a"), Value::Null).await;
    assert_eq!(
        aws.efs("GET", &path, Value::Null).await.body["Tags"],
        json!([{ "Key": "b", "Value": "2" }])
    );
}
