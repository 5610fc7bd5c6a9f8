//! Tasks that cannot start, and the texts that say why.

use super::World;
use crate::Service;
use crate::world::{SUBNETS, TASK_GROUP, TASK_ROLE, VPC};
use serde_json::{Value, json};

/// Starts the service in its first zone and gives the first failed task's reason.
async fn reason(world: &World) -> String {
    reason_of(world, world.definition()).await
}

async fn reason_of(world: &World, definition: Value) -> String {
    world.register(definition);
    let mut input = world.service_input();
    input["networkConfiguration"]["awsvpcConfiguration"]["subnets"] = json!([SUBNETS[0].0]);
    world.call("CreateService", input);
    world
        .until("a task has failed", |world| {
            !world.tasks().is_empty() && world.tasks()[0]["lastStatus"] == "STOPPED"
        })
        .await;
    let task = world.tasks()[0].clone();
    assert_eq!(task["stopCode"], "TaskFailedToStart");
    assert_eq!(task.get("startedAt"), None);
    task["stoppedReason"].as_str().unwrap().to_owned()
}

fn efs(stderr: &str, code: i32) -> String {
    format!(
        "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: {stderr} : unsuccessful EFS utils command execution; code: {code}"
    )
}

fn unresolved(world: &World) -> String {
    efs(
        &format!(
            "Failed to resolve \"{}.efs.eu-west-1.amazonaws.com\" - check that your file system ID is correct, and ensure that the VPC has an EFS mount target for this file system ID. See https://docs.aws.amazon.com/console/efs/mount-dns-name for more detail. Attempting to lookup mount target ip address using botocore. Failed to import necessary dependency botocore, please install botocore first.",
            world.file_system
        ),
        1,
    )
}

fn delete_mount_target(world: &World) {
    let targets = world.other(
        Service::Efs,
        "DescribeMountTargets",
        json!({ "FileSystemId": world.file_system }),
    );
    let here = targets["MountTargets"]
        .as_array()
        .unwrap()
        .iter()
        .find(|target| target["SubnetId"] == SUBNETS[0].0)
        .unwrap();
    world.other(
        Service::Efs,
        "DeleteMountTarget",
        json!({ "MountTargetId": here["MountTargetId"] }),
    );
}

#[tokio::test(start_paused = true)]
async fn no_mount_target_in_the_zone_does_not_resolve() {
    let world = World::new().await;
    delete_mount_target(&world);
    world.pass(5.0).await;
    assert_eq!(reason(&world).await, unresolved(&world));
}

#[tokio::test(start_paused = true)]
async fn a_mount_target_that_is_too_young_does_not_resolve_yet() {
    let world = World::new().await;
    delete_mount_target(&world);
    world.pass(5.0).await;
    let again =
        json!({ "FileSystemId": world.file_system, "SubnetId": SUBNETS[0].0, "SecurityGroups": [world.mount_group] });
    world.other(Service::Efs, "CreateMountTarget", again);
    assert_eq!(reason(&world).await, unresolved(&world));
    world.until_completed().await;
}

#[tokio::test(start_paused = true)]
async fn a_vpc_without_dns_host_names_does_not_resolve() {
    let world = World::new().await;
    let off = json!({ "VpcId": VPC, "EnableDnsHostnames": { "Value": false } });
    world.other(Service::Ec2, "ModifyVpcAttribute", off);
    assert_eq!(reason(&world).await, unresolved(&world));
}

#[tokio::test(start_paused = true)]
async fn a_missing_security_group_rule_times_out_and_its_return_heals() {
    let world = World::new().await;
    let rule = json!({ "IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "Groups": [{ "GroupId": TASK_GROUP }] });
    let rule = json!({ "GroupId": world.mount_group, "IpPermissions": [rule] });
    world.other(Service::Ec2, "RevokeSecurityGroupIngress", rule.clone());
    let stderr = "Mount attempt 1/3 failed due to timeout after 15 sec, wait 0 sec before next attempt. Mount attempt 2/3 failed due to timeout after 15 sec, wait 0 sec before next attempt. b'mount.nfs4: Connection timed out'";
    assert_eq!(reason(&world).await, efs(stderr, 32));
    world.other(Service::Ec2, "AuthorizeSecurityGroupIngress", rule);
    world.until_completed().await;
}

#[tokio::test(start_paused = true)]
async fn a_role_without_the_policy_is_denied() {
    let world = World::new().await;
    world.other(
        Service::Iam,
        "DeleteRolePolicy",
        json!({ "RoleName": TASK_ROLE, "PolicyName": "efs" }),
    );
    world.pass(5.0).await;
    let stderr = "b'mount.nfs4: access denied by server while mounting 127.0.0.1:/'";
    assert_eq!(reason(&world).await, efs(stderr, 32));
}

#[tokio::test(start_paused = true)]
async fn a_missing_access_point_is_denied() {
    let world = World::new().await;
    world.other(
        Service::Efs,
        "DeleteAccessPoint",
        json!({ "AccessPointId": world.access_point }),
    );
    world.pass(5.0).await;
    let stderr = "b'mount.nfs4: access denied by server while mounting 127.0.0.1:/'";
    assert_eq!(reason(&world).await, efs(stderr, 32));
}

#[tokio::test(start_paused = true)]
async fn a_root_directory_that_is_not_there_is_not_found() {
    let world = World::new().await;
    let mut definition = world.definition();
    definition["volumes"][0]["efsVolumeConfiguration"] =
        json!({ "fileSystemId": world.file_system, "rootDirectory": "/nowhere", "transitEncryption": "ENABLED" });
    let stderr = "b'mount.nfs4: mounting 127.0.0.1:/nowhere failed, reason given by server: No such file or directory'";
    assert_eq!(reason_of(&world, definition).await, efs(stderr, 32));
}

#[tokio::test(start_paused = true)]
async fn a_missing_log_group_is_named() {
    let world = World::new().await;
    world.other(
        Service::Logs,
        "DeleteLogGroup",
        json!({ "logGroupName": "/ecs/valkey" }),
    );
    let reason = reason(&world).await;
    assert!(
        reason.starts_with("ResourceInitializationError: failed to validate logger args: "),
        "{reason}"
    );
    assert!(reason.contains("The specified log group does not exist."), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_image_cannot_be_pulled() {
    let world = World::new().await;
    let mut definition = world.definition();
    definition["containerDefinitions"][0]["image"] = json!("example.com/other:1");
    assert!(
        reason_of(&world, definition)
            .await
            .starts_with("CannotPullContainerError: ")
    );
}

#[tokio::test(start_paused = true)]
async fn a_role_that_cannot_be_assumed_starts_nothing_and_is_an_event() {
    let world = World::new().await;
    let mut definition = world.definition();
    definition["taskRoleArn"] = json!("arn:aws:iam::123456789012:role/other");
    world.register(definition);
    world.call("CreateService", world.service_input());
    world.pass(1.0).await;
    assert_eq!(world.tasks().len(), 0);
    assert_eq!(
        world.events()[0],
        "(service valkey) failed to launch a task with (error ECS was unable to assume the role 'arn:aws:iam::123456789012:role/other' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role.)."
    );
}
