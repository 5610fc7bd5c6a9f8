//! Security groups, subnets, interfaces.

use crate::client::{Client, instant, pass, slow, text, texts};
use localaws::world::{MAINTENANCE_GROUP, SUBNETS, TASK_GROUP, VPC};

async fn group(aws: &Client, name: &str) -> String {
    let form = format!(
        "GroupName={name}&GroupDescription=NFS&VpcId={VPC}&TagSpecification.1.ResourceType=security-group&TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.1.Value=b"
    );
    let made = aws.query("ec2", "CreateSecurityGroup", &form).await;
    assert_eq!(made.status, 200, "{}", made.body);
    text(&made.body, "groupId").to_owned()
}

fn nfs_from(group: &str, source: &str) -> String {
    format!(
        "GroupId={group}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=2049&IpPermissions.1.ToPort=2049&IpPermissions.1.Groups.1.GroupId={source}&IpPermissions.1.Groups.1.Description=tasks"
    )
}

#[tokio::test]
async fn a_new_group_lets_everything_out_and_nothing_in() {
    let aws = instant();
    let id = group(&aws, "nfs").await;
    let found = aws
        .query("ec2", "DescribeSecurityGroups", &format!("GroupId.1={id}"))
        .await
        .body;
    assert!(found.contains("<ipPermissions></ipPermissions>"), "{found}");
    assert_eq!(texts(&found, "cidrIp"), ["0.0.0.0/0"]);
    assert_eq!((text(&found, "key"), text(&found, "value")), ("a", "b"));
}

#[tokio::test]
async fn a_group_name_is_taken_once_a_vpc_whatever_its_case() {
    let aws = instant();
    group(&aws, "nfs").await;
    let again = aws
        .query(
            "ec2",
            "CreateSecurityGroup",
            &format!("GroupName=NFS&GroupDescription=x&VpcId={VPC}"),
        )
        .await;
    assert_eq!(
        (again.status, text(&again.body, "Code")),
        (400, "InvalidGroup.Duplicate")
    );
    let elsewhere = aws
        .query(
            "ec2",
            "CreateSecurityGroup",
            "GroupName=NFS&GroupDescription=x&VpcId=vpc-0",
        )
        .await;
    assert_eq!(text(&elsewhere.body, "Code"), "InvalidVpcID.NotFound");
}

#[tokio::test(start_paused = true)]
async fn a_new_group_may_not_be_found_at_once() {
    let aws = slow();
    let id = group(&aws, "nfs").await;
    let early = aws
        .query("ec2", "DescribeSecurityGroups", &format!("GroupId.1={id}"))
        .await;
    assert_eq!(text(&early.body, "Code"), "InvalidGroup.NotFound");
    let early = aws
        .query("ec2", "AuthorizeSecurityGroupIngress", &nfs_from(&id, TASK_GROUP))
        .await;
    assert_eq!(text(&early.body, "Code"), "InvalidGroup.NotFound");
    let taken = aws
        .query(
            "ec2",
            "CreateSecurityGroup",
            &format!("GroupName=nfs&GroupDescription=x&VpcId={VPC}"),
        )
        .await;
    assert_eq!(text(&taken.body, "Code"), "InvalidGroup.Duplicate");
    pass(1.0).await;
    assert_eq!(
        aws.query("ec2", "DescribeSecurityGroups", &format!("GroupId.1={id}"))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn groups_are_found_by_name_vpc_and_tag() {
    let aws = instant();
    let id = group(&aws, "nfs").await;
    for filter in [
        format!("Filter.1.Name=group-name&Filter.1.Value.1=nfs&Filter.2.Name=vpc-id&Filter.2.Value.1={VPC}"),
        "Filter.1.Name=tag:a&Filter.1.Value.1=b".to_owned(),
        "Filter.1.Name=group-name&Filter.1.Value.1=n*".to_owned(),
    ] {
        let found = aws.query("ec2", "DescribeSecurityGroups", &filter).await.body;
        assert_eq!(texts(&found, "groupName"), ["nfs"], "{filter}");
        assert!(found.contains(&id));
    }
    let none = aws
        .query(
            "ec2",
            "DescribeSecurityGroups",
            "Filter.1.Name=tag:a&Filter.1.Value.1=c",
        )
        .await;
    assert!(none.status == 200 && none.body.contains("<securityGroupInfo></securityGroupInfo>"));
    let missing = aws
        .query("ec2", "DescribeSecurityGroups", "GroupId.1=sg-0123456789abcdef0")
        .await;
    assert_eq!(
        (missing.status, text(&missing.body, "Code")),
        (400, "InvalidGroup.NotFound")
    );
}

#[tokio::test]
async fn a_rule_is_added_once_and_revoked_once() {
    let aws = instant();
    let id = group(&aws, "nfs").await;
    let rule = nfs_from(&id, TASK_GROUP);
    assert_eq!(
        aws.query("ec2", "AuthorizeSecurityGroupIngress", &rule).await.status,
        200
    );
    let again = aws.query("ec2", "AuthorizeSecurityGroupIngress", &rule).await;
    assert_eq!(text(&again.body, "Code"), "InvalidPermission.Duplicate");
    let found = aws
        .query("ec2", "DescribeSecurityGroups", &format!("GroupId.1={id}"))
        .await
        .body;
    assert_eq!(
        (
            text(&found, "fromPort"),
            text(&found, "description"),
            text(&found, "userId")
        ),
        ("2049", "tasks", "123456789012")
    );
    assert_eq!(aws.query("ec2", "RevokeSecurityGroupIngress", &rule).await.status, 200);
    let gone = aws.query("ec2", "RevokeSecurityGroupIngress", &rule).await;
    assert_eq!(text(&gone.body, "Code"), "InvalidPermission.NotFound");
}

#[tokio::test]
async fn a_call_with_one_bad_rule_adds_none() {
    let aws = instant();
    let id = group(&aws, "nfs").await;
    aws.query("ec2", "AuthorizeSecurityGroupIngress", &nfs_from(&id, TASK_GROUP))
        .await;
    let both = format!(
        "{}&IpPermissions.1.Groups.2.GroupId={MAINTENANCE_GROUP}",
        nfs_from(&id, TASK_GROUP)
    );
    assert_eq!(
        text(
            &aws.query("ec2", "AuthorizeSecurityGroupIngress", &both).await.body,
            "Code"
        ),
        "InvalidPermission.Duplicate"
    );
    let unknown = nfs_from(&id, "sg-0123456789abcdef0");
    assert_eq!(
        text(
            &aws.query("ec2", "AuthorizeSecurityGroupIngress", &unknown).await.body,
            "Code"
        ),
        "InvalidGroup.NotFound"
    );
    let found = aws
        .query("ec2", "DescribeSecurityGroups", &format!("GroupId.1={id}"))
        .await
        .body;
    assert!(!found.contains(MAINTENANCE_GROUP));
}

#[tokio::test]
async fn the_host_bits_of_a_block_are_cleared() {
    let aws = instant();
    let id = group(&aws, "nfs").await;
    let form = format!(
        "GroupId={id}&IpPermissions.1.IpProtocol=TCP&IpPermissions.1.FromPort=2049&IpPermissions.1.ToPort=2049&IpPermissions.1.IpRanges.1.CidrIp=10.1.2.3/16"
    );
    assert_eq!(
        aws.query("ec2", "AuthorizeSecurityGroupIngress", &form).await.status,
        200
    );
    let found = aws
        .query(
            "ec2",
            "DescribeSecurityGroupRules",
            &format!("Filter.1.Name=group-id&Filter.1.Value.1={id}"),
        )
        .await
        .body;
    assert!(texts(&found, "cidrIpv4").contains(&"10.1.0.0/16"), "{found}");
    assert!(texts(&found, "ipProtocol").contains(&"tcp"));
}

#[tokio::test]
async fn a_group_that_another_names_cannot_be_deleted() {
    let aws = instant();
    let id = group(&aws, "nfs").await;
    aws.query("ec2", "AuthorizeSecurityGroupIngress", &nfs_from(&id, TASK_GROUP))
        .await;
    let refused = aws
        .query("ec2", "DeleteSecurityGroup", &format!("GroupId={TASK_GROUP}"))
        .await;
    assert_eq!(text(&refused.body, "Code"), "DependencyViolation");
    assert_eq!(
        aws.query("ec2", "DeleteSecurityGroup", &format!("GroupId={id}"))
            .await
            .status,
        200
    );
    assert_eq!(
        aws.query("ec2", "DeleteSecurityGroup", &format!("GroupId={TASK_GROUP}"))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn subnets_tell_their_zone_and_unknown_ones_are_an_error() {
    let aws = instant();
    let ids = format!("SubnetId.1={}&SubnetId.2={}", SUBNETS[0].0, SUBNETS[1].0);
    let found = aws.query("ec2", "DescribeSubnets", &ids).await.body;
    assert_eq!(texts(&found, "availabilityZone"), ["eu-west-1a", "eu-west-1b"]);
    assert_eq!(texts(&found, "availabilityZoneId"), ["euw1-az1", "euw1-az2"]);
    let missing = aws
        .query("ec2", "DescribeSubnets", "SubnetId.1=subnet-0123456789abcdef0")
        .await;
    assert_eq!(
        (missing.status, text(&missing.body, "Code")),
        (400, "InvalidSubnetID.NotFound")
    );
    let filtered = aws
        .query(
            "ec2",
            "DescribeSubnets",
            "Filter.1.Name=subnet-id&Filter.1.Value.1=subnet-0",
        )
        .await;
    assert_eq!(filtered.status, 200);
}

#[tokio::test]
async fn tags_are_added_and_removed_by_key_or_by_key_and_value() {
    let aws = instant();
    let add = format!("ResourceId.1={TASK_GROUP}&Tag.1.Key=a&Tag.1.Value=1&Tag.2.Key=b&Tag.2.Value=2");
    assert_eq!(aws.query("ec2", "CreateTags", &add).await.status, 200);
    let other = format!("ResourceId.1={TASK_GROUP}&Tag.1.Key=a&Tag.1.Value=other&Tag.2.Key=b");
    aws.query("ec2", "DeleteTags", &other).await;
    let found = aws
        .query(
            "ec2",
            "DescribeTags",
            &format!("Filter.1.Name=resource-id&Filter.1.Value.1={TASK_GROUP}"),
        )
        .await
        .body;
    assert_eq!(texts(&found, "key"), ["a"]);
}

#[tokio::test]
async fn dns_attributes_of_the_vpc_can_be_asked_for() {
    let aws = instant();
    let asked = aws
        .query(
            "ec2",
            "DescribeVpcAttribute",
            &format!("VpcId={VPC}&Attribute=enableDnsHostnames"),
        )
        .await
        .body;
    assert_eq!(text(&asked, "value"), "true");
}
