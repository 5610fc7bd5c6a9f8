//! The NFS security group and its rules.

use crate::clients::Inner;
use crate::convert::{gone_or_done, id, not_now, not_ours, some};
use crate::error::Named;
use crate::observe::find_security_group;
use aws_sdk_ec2::types::{IpPermission, ResourceType, Tag, TagSpecification, UserIdGroupPair};
use valkeep_core::ids::{SecurityGroupId, VpcId};
use valkeep_core::{Desired, Done, Failure, Tags};

/// NFS.
const NFS_PORT: i32 = 2049;

fn pairs(tags: &Tags) -> Vec<Tag> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect()
}

pub(super) async fn create_security_group(
    aws: &Inner,
    desired: &Desired,
    name: &str,
    description: &str,
    vpc: &VpcId,
    tags: &Tags,
) -> Result<Done, Failure> {
    const CALL: &str = "ec2:CreateSecurityGroup";
    let specification = TagSpecification::builder()
        .resource_type(ResourceType::SecurityGroup)
        .set_tags(Some(pairs(tags)))
        .build();
    let made = aws
        .once
        .ec2
        .create_security_group()
        .group_name(name)
        .description(description)
        .vpc_id(vpc.as_str())
        .tag_specifications(specification)
        .send()
        .await
        .named(CALL);
    match made {
        Ok(answer) => {
            let made = some(CALL, "group id", answer.group_id())?;
            Ok(Done::SecurityGroup(id(CALL, SecurityGroupId::parse(made))?))
        }
        // EC2 takes no token: the next try after a lost answer ends here, too.
        Err(failure) if failure.code == "InvalidGroup.Duplicate" => match find_security_group(aws, name, vpc).await? {
            Some(found) if desired.identity.owns(&found.tags) => Ok(Done::SecurityGroup(found.id)),
            Some(found) => Err(not_ours(CALL, &format!("security group {name} ({})", found.id))),
            None => Err(not_now(
                CALL,
                format!("security group {name} exists, and EC2 does not show it yet"),
            )),
        },
        Err(failure) => Err(failure),
    }
}

fn nfs_from(source: &SecurityGroupId, description: &str) -> IpPermission {
    IpPermission::builder()
        .ip_protocol("tcp")
        .from_port(NFS_PORT)
        .to_port(NFS_PORT)
        .user_id_group_pairs(
            UserIdGroupPair::builder()
                .group_id(source.as_str())
                .description(description)
                .build(),
        )
        .build()
}

pub(super) async fn authorize(
    aws: &Inner,
    group: &SecurityGroupId,
    source: &SecurityGroupId,
    description: &str,
) -> Result<Done, Failure> {
    let made = aws
        .once
        .ec2
        .authorize_security_group_ingress()
        .group_id(group.as_str())
        .ip_permissions(nfs_from(source, description))
        .send()
        .await
        .named("ec2:AuthorizeSecurityGroupIngress");
    match made {
        Err(failure) if failure.code == "InvalidPermission.Duplicate" => Ok(Done::Changed),
        made => made.map(|_| Done::Changed),
    }
}

pub(super) async fn revoke(
    aws: &Inner,
    group: &SecurityGroupId,
    source: &SecurityGroupId,
    description: &str,
) -> Result<Done, Failure> {
    let gone = aws
        .once
        .ec2
        .revoke_security_group_ingress()
        .group_id(group.as_str())
        .ip_permissions(nfs_from(source, description))
        .send()
        .await
        .named("ec2:RevokeSecurityGroupIngress");
    match gone {
        Err(failure) if failure.code == "InvalidPermission.NotFound" => Ok(Done::Changed),
        gone => gone.map(|_| Done::Changed),
    }
}

/// A group that an interface has or another group's rule names is refused with `DependencyViolation`; the next pass tries
/// again.
pub(super) async fn delete_security_group(aws: &Inner, id: &SecurityGroupId) -> Result<Done, Failure> {
    let gone = aws
        .once
        .ec2
        .delete_security_group()
        .group_id(id.as_str())
        .send()
        .await
        .named("ec2:DeleteSecurityGroup");
    gone_or_done(gone)
}

pub(super) async fn tag(aws: &Inner, id: &str, set: &Tags) -> Result<(), Failure> {
    aws.once
        .ec2
        .create_tags()
        .resources(id)
        .set_tags(Some(pairs(set)))
        .send()
        .await
        .named("ec2:CreateTags")
        .map(|_| ())
}
