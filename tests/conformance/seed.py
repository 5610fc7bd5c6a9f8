"""Makes the world of the example document in moto, and prints which of moto's ids stands for which of the example's.

usage: seed.py ENDPOINT
"""

import json
import sys

import boto3

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


def client(service):
    return boto3.client(
        service,
        endpoint_url=sys.argv[1],
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


ec2, ecs, iam, s3 = map(client, ["ec2", "ecs", "iam", "s3"])
vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
ids = {"vpc-0a1b2c3d4e5f67890": vpc}
for n, (example, zone) in enumerate([("subnet-0aaaaaaaaaaaaaaa1", "a"), ("subnet-0bbbbbbbbbbbbbbb2", "b")]):
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-west-1{zone}")
    ids[example] = subnet["Subnet"]["SubnetId"]
for example, name in [("sg-0cccccccccccccccc", "tasks"), ("sg-0dddddddddddddddd", "bastion")]:
    ids[example] = ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
ecs.create_cluster(clusterName="trigpointing-cluster")
for role in ("trigpointing-ecs-task-role", "trigpointing-ecs-execution-role"):
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=TRUST)
s3.create_bucket(Bucket="valkeep-demo", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
s3.put_bucket_versioning(Bucket="valkeep-demo", VersioningConfiguration={"Status": "Enabled"})
json.dump(ids, sys.stdout)
