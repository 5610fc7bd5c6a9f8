"""Asks an AWS what valkeep relies on, and prints one outcome a case as JSON.

Runs against localaws and against moto with the same client (boto3), so that neither is only what we believe it to be.
Outcomes hold no ids and no times: they must be comparable.

usage: cases.py ENDPOINT
"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = sys.argv[1]
REGION = "eu-west-1"
CASES = []


def client(service):
    return boto3.client(
        service,
        endpoint_url=ENDPOINT,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}, inject_host_prefix=False),
    )


ec2, ecs, efs, iam, logs, s3, ssm, sts = map(
    client, ["ec2", "ecs", "efs", "iam", "logs", "s3", "ssm", "sts"]
)


def case(function):
    CASES.append(function)
    return function


def code(call, **arguments):
    """The error code of a call, or `ok`."""
    try:
        call(**arguments)
        return "ok"
    except ClientError as error:
        return f"{error.response['Error']['Code']} {error.response['ResponseMetadata']['HTTPStatusCode']}"


def network(cidr):
    vpc = ec2.create_vpc(CidrBlock=f"{cidr}.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"{cidr}.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"]["SubnetId"]
        for n, zone in enumerate("ab")
    ]
    return vpc, subnets


def group(vpc, name):
    return ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]


def nfs(source, description="NFS"):
    return [
        {
            "IpProtocol": "tcp",
            "FromPort": 2049,
            "ToPort": 2049,
            "UserIdGroupPairs": [{"GroupId": source, "Description": description}],
        }
    ]


# --- S3 ---


@case
def s3_put_if_none_match_takes_one_writer():
    s3.create_bucket(Bucket="conf-a", CreateBucketConfiguration={"LocationConstraint": REGION})
    put = lambda: code(s3.put_object, Bucket="conf-a", Key="k", Body=b"1", IfNoneMatch="*")
    return [put(), put()]


@case
def s3_put_if_match_needs_the_current_etag():
    s3.create_bucket(Bucket="conf-b", CreateBucketConfiguration={"LocationConstraint": REGION})
    first = s3.put_object(Bucket="conf-b", Key="k", Body=b"1")["ETag"]
    second = code(s3.put_object, Bucket="conf-b", Key="k", Body=b"2", IfMatch=first)
    return [second, code(s3.put_object, Bucket="conf-b", Key="k", Body=b"3", IfMatch=first)]


@case
def s3_etag_is_quoted_and_the_same_for_the_same_bytes():
    s3.create_bucket(Bucket="conf-c", CreateBucketConfiguration={"LocationConstraint": REGION})
    etag = s3.put_object(Bucket="conf-c", Key="k", Body=b"same")["ETag"]
    listed = s3.list_objects_v2(Bucket="conf-c")["Contents"][0]["ETag"]
    return [etag, listed]


@case
def s3_versions_come_newest_first():
    s3.create_bucket(Bucket="conf-d", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="conf-d", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2", b"3"):
        s3.put_object(Bucket="conf-d", Key="k", Body=body)
    versions = s3.list_object_versions(Bucket="conf-d", Prefix="k")["Versions"]
    bodies = [s3.get_object(Bucket="conf-d", Key="k", VersionId=v["VersionId"])["Body"].read().decode() for v in versions]
    return [bodies, [v["IsLatest"] for v in versions]]


@case
def s3_a_deleted_key_of_a_versioned_bucket_is_gone_from_lists_and_keeps_its_versions():
    s3.delete_object(Bucket="conf-d", Key="k")
    return [
        s3.list_objects_v2(Bucket="conf-d")["KeyCount"],
        len(s3.list_object_versions(Bucket="conf-d", Prefix="k")["Versions"]),
        code(s3.get_object, Bucket="conf-d", Key="k"),
    ]


@case
def s3_missing_things_have_their_codes():
    return [code(s3.get_object, Bucket="conf-a", Key="none"), code(s3.list_objects_v2, Bucket="conf-none")]


@case
def s3_lists_only_the_prefix():
    for key in ("docs/a.yaml", "docs/b.yaml", "docs-status/a.json"):
        s3.put_object(Bucket="conf-a", Key=key, Body=b"x")
    return [o["Key"] for o in s3.list_objects_v2(Bucket="conf-a", Prefix="docs/")["Contents"]]


# --- SSM ---


@case
def ssm_versions_grow_with_each_put():
    put = lambda body: ssm.put_parameter(Name="/conf/a", Value=body, Type="String", Overwrite=True)["Version"]
    return [put("1"), put("2"), put("2")]


@case
def ssm_put_without_overwrite_takes_one_writer():
    return code(ssm.put_parameter, Name="/conf/a", Value="3", Type="String")


@case
def ssm_history_and_versions():
    history = ssm.get_parameter_history(Name="/conf/a")["Parameters"]
    return [[(p["Version"], p["Value"]) for p in history], ssm.get_parameter(Name="/conf/a:1")["Parameter"]["Value"]]


@case
def ssm_missing_parameter():
    return code(ssm.get_parameter, Name="/conf/none")


@case
def ssm_path_pages():
    for n in range(12):
        ssm.put_parameter(Name=f"/conf-path/{n:02}", Value="x", Type="String", Overwrite=True)
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path="/conf-path/", Recursive=True)
    return sorted(p["Name"] for page in pages for p in page["Parameters"])


@case
def ssm_four_kilobytes_are_the_limit():
    return code(ssm.put_parameter, Name="/conf/large", Value="x" * 4097, Type="String")


# --- EC2 ---


@case
def ec2_group_names_are_unique_in_a_vpc():
    vpc, _ = network("10.1")
    group(vpc, "twice")
    return code(ec2.create_security_group, GroupName="twice", Description="twice", VpcId=vpc)


@case
def ec2_a_rule_cannot_be_added_twice():
    vpc, _ = network("10.2")
    target, source = group(vpc, "target"), group(vpc, "source")
    add = lambda: code(ec2.authorize_security_group_ingress, GroupId=target, IpPermissions=nfs(source))
    first, second = add(), add()
    revoke = lambda: code(ec2.revoke_security_group_ingress, GroupId=target, IpPermissions=nfs(source))
    return [first, second, revoke(), revoke()]


@case
def ec2_unknown_source_group():
    vpc, _ = network("10.3")
    return code(ec2.authorize_security_group_ingress, GroupId=group(vpc, "g"), IpPermissions=nfs("sg-0123456789abcdef0"))


@case
def ec2_groups_are_found_by_name_and_vpc():
    vpc, _ = network("10.4")
    group(vpc, "found")
    filters = [{"Name": "group-name", "Values": ["found"]}, {"Name": "vpc-id", "Values": [vpc]}]
    found = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    return [len(found), found[0]["IpPermissions"], len(found[0]["IpPermissionsEgress"])]


@case
def ec2_missing_subnets():
    return [
        code(ec2.describe_subnets, SubnetIds=["subnet-0123456789abcdef0"]),
        len(ec2.describe_subnets(Filters=[{"Name": "subnet-id", "Values": ["subnet-0123456789abcdef0"]}])["Subnets"]),
    ]


# --- EFS ---


def file_system(token, **arguments):
    created = efs.create_file_system(CreationToken=token, **arguments)
    return created["FileSystemId"]


@case
def efs_defaults():
    created = efs.create_file_system(CreationToken="defaults")
    return [created["PerformanceMode"], created.get("ThroughputMode"), created["Encrypted"], created["NumberOfMountTargets"]]


@case
def efs_a_creation_token_is_taken_once():
    return code(efs.create_file_system, CreationToken="defaults")


@case
def efs_finds_by_token():
    by = lambda token: len(efs.describe_file_systems(CreationToken=token)["FileSystems"])
    return [by("defaults"), by("none")]


@case
def efs_unknown_file_system():
    return [
        code(efs.describe_file_systems, FileSystemId="fs-0123456789abcdef0"),
        code(efs.describe_lifecycle_configuration, FileSystemId="fs-0123456789abcdef0"),
        code(efs.describe_file_system_policy, FileSystemId=file_system("no-policy")),
    ]


@case
def efs_lifecycle_round_trip():
    fs = file_system("lifecycle")
    before = efs.describe_lifecycle_configuration(FileSystemId=fs)["LifecyclePolicies"]
    efs.put_lifecycle_configuration(FileSystemId=fs, LifecyclePolicies=[{"TransitionToIA": "AFTER_30_DAYS"}])
    return [before, efs.describe_lifecycle_configuration(FileSystemId=fs)["LifecyclePolicies"]]


@case
def efs_automatic_backups_round_trip():
    fs = file_system("backups", Backup=True)
    return efs.describe_backup_policy(FileSystemId=fs)["BackupPolicy"]["Status"] in ("ENABLED", "ENABLING")


@case
def efs_backups_can_be_switched():
    fs = file_system("backups-switched")
    return code(efs.put_backup_policy, FileSystemId=fs, BackupPolicy={"Status": "ENABLED"})


@case
def efs_throughput_can_be_changed():
    return code(efs.update_file_system, FileSystemId=file_system("throughput"), ThroughputMode="elastic")


@case
def efs_one_mount_target_a_zone():
    vpc, (a, b) = network("10.5")
    fs, sg = file_system("targets"), group(vpc, "nfs")
    make = lambda subnet: code(efs.create_mount_target, FileSystemId=fs, SubnetId=subnet, SecurityGroups=[sg])
    outcomes = [make(a), make(b), make(a)]
    targets = efs.describe_mount_targets(FileSystemId=fs)["MountTargets"]
    groups = [efs.describe_mount_target_security_groups(MountTargetId=t["MountTargetId"])["SecurityGroups"] == [sg] for t in targets]
    interfaces = ec2.describe_network_interfaces(NetworkInterfaceIds=[t["NetworkInterfaceId"] for t in targets])["NetworkInterfaces"]
    return [outcomes, len(targets), groups, [[g["GroupId"] == sg for g in i["Groups"]] for i in interfaces]]


@case
def efs_mount_target_errors():
    vpc, (a, _) = network("10.6")
    fs = file_system("target-errors")
    return [
        code(efs.create_mount_target, FileSystemId=fs, SubnetId="subnet-0123456789abcdef0"),
        code(efs.create_mount_target, FileSystemId="fs-0123456789abcdef0", SubnetId=a),
        code(efs.create_mount_target, FileSystemId=fs, SubnetId=a, SecurityGroups=["sg-0123456789abcdef0"]),
    ]


@case
def efs_access_point_round_trip():
    fs = file_system("points")
    made = efs.create_access_point(
        ClientToken="point",
        FileSystemId=fs,
        PosixUser={"Uid": 1000, "Gid": 1000},
        RootDirectory={"Path": "/valkey-data", "CreationInfo": {"OwnerUid": 1000, "OwnerGid": 1000, "Permissions": "0755"}},
        Tags=[{"Key": "a", "Value": "b"}],
    )
    found = efs.describe_access_points(FileSystemId=fs)["AccessPoints"]
    return [made["PosixUser"], made["RootDirectory"], found[0]["Tags"], found[0]["AccessPointId"] == made["AccessPointId"]]


@case
def efs_an_access_point_token_is_taken_once():
    fs = efs.describe_file_systems(CreationToken="points")["FileSystems"][0]["FileSystemId"]
    return code(efs.create_access_point, ClientToken="point", FileSystemId=fs)


@case
def efs_tags_can_be_set_and_removed():
    fs = file_system("tags", Tags=[{"Key": "a", "Value": "1"}])
    efs.tag_resource(ResourceId=fs, Tags=[{"Key": "b", "Value": "2"}])
    efs.untag_resource(ResourceId=fs, TagKeys=["a"])
    return efs.describe_file_systems(FileSystemId=fs)["FileSystems"][0]["Tags"]


# --- IAM, STS, Logs ---


TRUST = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["elasticfilesystem:ClientMount"], "Resource": "*"}]}


@case
def iam_inline_policies():
    iam.create_role(RoleName="conf", AssumeRolePolicyDocument=TRUST)
    missing = code(iam.get_role_policy, RoleName="conf", PolicyName="p")
    iam.put_role_policy(RoleName="conf", PolicyName="p", PolicyDocument=json.dumps(POLICY))
    same = iam.get_role_policy(RoleName="conf", PolicyName="p")["PolicyDocument"] == POLICY
    return [missing, same, code(iam.get_role, RoleName="none"), code(iam.put_role_policy, RoleName="none", PolicyName="p", PolicyDocument=json.dumps(POLICY))]


@case
def iam_broken_policies_are_refused():
    return code(iam.put_role_policy, RoleName="conf", PolicyName="q", PolicyDocument="{")


@case
def sts_names_the_caller():
    identity = sts.get_caller_identity()
    return [len(identity["Account"]), identity["Arn"].split(":")[:3]]


@case
def logs_groups():
    make = lambda: code(logs.create_log_group, logGroupName="/conf/a")
    made = [make(), make()]
    before = logs.describe_log_groups(logGroupNamePrefix="/conf/a")["logGroups"][0].get("retentionInDays")
    logs.put_retention_policy(logGroupName="/conf/a", retentionInDays=30)
    return [made, before, logs.describe_log_groups(logGroupNamePrefix="/conf/a")["logGroups"][0]["retentionInDays"]]


# --- ECS ---


DEFINITION = {
    "family": "conf",
    "networkMode": "awsvpc",
    "requiresCompatibilities": ["FARGATE"],
    "cpu": "256",
    "memory": "512",
    "volumes": [
        {
            "name": "data",
            "efsVolumeConfiguration": {
                "fileSystemId": "fs-0123456789abcdef0",
                "transitEncryption": "ENABLED",
                "authorizationConfig": {"accessPointId": "fsap-0123456789abcdef0", "iam": "ENABLED"},
            },
        }
    ],
    "containerDefinitions": [
        {
            "name": "valkey",
            "image": "valkey/valkey:8.0",
            "memory": 512,
            "entryPoint": ["/bin/sh", "-c", "true"],
            "command": ["/data"],
            "mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}],
            "stopTimeout": 120,
            "user": "1000:1000",
        }
    ],
}


@case
def ecs_registering_twice_makes_two_revisions():
    ecs.create_cluster(clusterName="conf")
    revisions = [ecs.register_task_definition(**DEFINITION)["taskDefinition"]["revision"] for _ in range(2)]
    return revisions


@case
def ecs_a_definition_comes_back_as_it_was():
    made = ecs.describe_task_definition(taskDefinition="conf:1")["taskDefinition"]
    container = made["containerDefinitions"][0]
    volume = made["volumes"][0]["efsVolumeConfiguration"]
    return [container["entryPoint"], container["command"], container["user"], container["stopTimeout"], volume]


@case
def ecs_tags_of_definitions_are_told_when_asked():
    made = ecs.register_task_definition(**{**DEFINITION, "family": "tagged"}, tags=[{"key": "a", "value": "b"}])
    arn = made["taskDefinition"]["taskDefinitionArn"]
    return ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"])["tags"]


@case
def ecs_efs_rules_are_checked_at_registration():
    broken = json.loads(json.dumps(DEFINITION))
    broken["volumes"][0]["efsVolumeConfiguration"]["transitEncryption"] = "DISABLED"
    return code(ecs.register_task_definition, **broken)


@case
def ecs_unknown_things():
    missing = ecs.describe_services(cluster="conf", services=["none"])["failures"]
    return [
        [f["reason"] for f in missing],
        code(ecs.describe_services, cluster="none", services=["none"]),
        code(ecs.describe_task_definition, taskDefinition="none"),
        code(ecs.update_service, cluster="conf", service="none", desiredCount=0),
    ]


@case
def ecs_a_service_at_zero():
    vpc, subnets = network("10.7")
    ecs.create_service(
        cluster="conf",
        serviceName="zero",
        taskDefinition="conf:1",
        desiredCount=0,
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": {"subnets": subnets, "securityGroups": [group(vpc, "task")], "assignPublicIp": "DISABLED"}},
        deploymentConfiguration={"minimumHealthyPercent": 0, "maximumPercent": 100},
        tags=[{"key": "a", "value": "b"}],
    )
    service = ecs.describe_services(cluster="conf", services=["zero"], include=["TAGS"])["services"][0]
    return [service["status"], service["desiredCount"], service["runningCount"], service["tags"], service["taskDefinition"].endswith("conf:1")]


@case
def ecs_a_service_keeps_its_deployment_settings():
    service = ecs.describe_services(cluster="conf", services=["zero"])["services"][0]
    settings = service.get("deploymentConfiguration", {})
    return [settings.get("minimumHealthyPercent"), settings.get("maximumPercent")]


@case
def ecs_service_tags():
    arn = ecs.describe_services(cluster="conf", services=["zero"])["services"][0]["serviceArn"]
    ecs.tag_resource(resourceArn=arn, tags=[{"key": "c", "value": "d"}])
    ecs.untag_resource(resourceArn=arn, tagKeys=["a"])
    return ecs.describe_services(cluster="conf", services=["zero"], include=["TAGS"])["services"][0]["tags"]


def main():
    outcomes = {}
    for function in CASES:
        try:
            outcomes[function.__name__] = function()
        except Exception as error:  # what a case could not even ask is an outcome, too
            outcomes[function.__name__] = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
    json.dump(outcomes, sys.stdout, indent=1, sort_keys=True)


main()
