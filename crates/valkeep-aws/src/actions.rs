//! The table of calls: every IAM action that any call of valkeep needs, on what, under which conditions, and why.
//!
//! A new call is one entry here. `valkeep iam-policy` is generated from it ([`crate::policy`]), and after all suites the
//! calls that valkeep made are compared with it, both ways. Resource types and condition keys are those of the Service
//! Authorization Reference: <https://docs.aws.amazon.com/service-authorization/latest/reference/>.

/// One IAM action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    /// In IAM's spelling: `ecs:UpdateService`.
    pub name: &'static str,
    /// Whether valkeep makes the call itself.
    pub seen: Seen,
    /// What it is for, and why it is not narrower where it could be.
    pub why: &'static str,
    /// On what it is granted. Each is a statement of its own.
    pub grants: &'static [Grant],
}

/// How an action comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// valkeep makes the call.
    Called,
    /// AWS checks it in the course of this call of valkeep's; no call of its own is seen.
    Implied(&'static str),
}

/// Resources and conditions of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The resources.
    pub on: On,
    /// All of these must hold.
    pub only_if: &'static [If],
}

/// Kinds of resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// `*` in the regions of the settings: AWS knows no resource for the action, or the call names none.
    Everything,
    /// `*` everywhere.
    Global,
    /// EC2 security groups.
    SecurityGroups,
    /// EC2 VPCs.
    Vpcs,
    /// EC2 network interfaces, subnets and security groups.
    Interfaces,
    /// ECS services in the permitted clusters.
    Services,
    /// ECS tasks in the permitted clusters.
    Tasks,
    /// ECS task definitions.
    TaskDefinitions,
    /// EFS file systems.
    FileSystems,
    /// EFS access points.
    AccessPoints,
    /// The permitted roles.
    Roles,
    /// The permitted roles of other accounts.
    AssumedRoles,
    /// Roles that AWS's services make for themselves.
    ServiceLinkedRoles,
    /// CloudWatch log groups.
    LogGroups,
    /// Cloud Map services.
    Registries,
    /// The buckets of the stores.
    Buckets,
    /// Documents in S3.
    Objects,
    /// Status in S3.
    StatusObjects,
    /// The lease, where it does not lie among the status.
    Lease,
    /// Its bucket, where that is none of the stores'.
    LeaseBucket,
    /// The paths of documents in SSM.
    Paths,
    /// Documents in SSM.
    Parameters,
    /// SSM parameters that are secrets of a document.
    SecretParameters,
    /// Secrets in Secrets Manager.
    Secrets,
    /// Status in SSM.
    StatusParameters,
}

/// Conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum If {
    /// The resource carries this installation's tag.
    Ours,
    /// Its owner gave the resource to this installation, by the tag `valkeep.dev/given-to`: what documents take by id.
    Given,
    /// The request gives the resource this installation's tag.
    MadeOurs,
    /// The tags are given while something is made.
    AtCreation,
    /// The call is about a permitted cluster.
    InClusters,
    /// The role is handed to tasks of ECS.
    ForTasks,
    /// The role is one of ECS's, EFS's or AWS Backup's own.
    ForServices,
    /// Of one document.
    OfDocuments,
}

const fn on(on: On) -> Grant {
    Grant { on, only_if: &[] }
}

const fn on_if(on: On, only_if: &'static [If]) -> Grant {
    Grant { on, only_if }
}

const fn called(name: &'static str, why: &'static str, grants: &'static [Grant]) -> Action {
    Action {
        name,
        seen: Seen::Called,
        why,
        grants,
    }
}

const fn implied(by: &'static str, name: &'static str, why: &'static str, grants: &'static [Grant]) -> Action {
    Action {
        name,
        seen: Seen::Implied(by),
        why,
        grants,
    }
}

/// By name.
pub const ACTIONS: &[Action] = &[
    called(
        "application-autoscaling:DescribeScalableTargets",
        "whether others scale a service; AWS knows no resource for it",
        &[on(On::Everything)],
    ),
    called(
        "ec2:AuthorizeSecurityGroupIngress",
        "lets clients reach NFS; IAM does not see which group a rule names",
        &[on_if(On::SecurityGroups, &[If::Ours])],
    ),
    implied(
        "elasticfilesystem:CreateMountTarget",
        "ec2:CreateNetworkInterface",
        "EFS makes a mount target's interface in the caller's name; it has no tag yet",
        &[on(On::Interfaces)],
    ),
    called(
        "ec2:CreateSecurityGroup",
        "the group of the mount targets; documents choose the VPC",
        &[on_if(On::SecurityGroups, &[If::MadeOurs]), on(On::Vpcs)],
    ),
    called(
        "ec2:CreateTags",
        "a new group is tagged as it is made, and changed tags are put back",
        &[
            on_if(On::SecurityGroups, &[If::AtCreation]),
            on_if(On::SecurityGroups, &[If::Ours]),
        ],
    ),
    implied(
        "elasticfilesystem:DeleteMountTarget",
        "ec2:DeleteNetworkInterface",
        "EFS removes a mount target's interface in the caller's name; the interface carries no tag of ours",
        &[on(On::Interfaces)],
    ),
    called(
        "ec2:DeleteSecurityGroup",
        "a document asks for the deletion of what valkeep made",
        &[on_if(On::SecurityGroups, &[If::Ours])],
    ),
    implied(
        "elasticfilesystem:ModifyMountTargetSecurityGroups",
        "ec2:DescribeNetworkInterfaceAttribute",
        "EFS looks in the caller's name; AWS knows no resource for it",
        &[on(On::Everything)],
    ),
    called(
        "ec2:DescribeNetworkInterfaces",
        "since when a mount target is attached; AWS knows no resource for it",
        &[on(On::Everything)],
    ),
    called(
        "ec2:DescribeSecurityGroups",
        "AWS knows no resource for it",
        &[on(On::Everything)],
    ),
    called(
        "ec2:DescribeSubnets",
        "the zones of the subnets; AWS knows no resource for it",
        &[on(On::Everything)],
    ),
    implied(
        "elasticfilesystem:ModifyMountTargetSecurityGroups",
        "ec2:ModifyNetworkInterfaceAttribute",
        "EFS changes a mount target's interface in the caller's name; the interface carries no tag of ours",
        &[on(On::Interfaces)],
    ),
    called(
        "ec2:RevokeSecurityGroupIngress",
        "rules of ours that no document asks for any more",
        &[on_if(On::SecurityGroups, &[If::Ours])],
    ),
    called("ecs:CreateService", "", &[on_if(On::Services, &[If::MadeOurs])]),
    called(
        "ecs:DeleteService",
        "a document asks for the deletion of what valkeep made",
        &[on_if(On::Services, &[If::Ours])],
    ),
    called(
        "ecs:DeregisterTaskDefinition",
        "a document asks for the deletion of what valkeep made; AWS knows no resource for it",
        &[on(On::Everything)],
    ),
    called("ecs:DescribeServices", "", &[on(On::Services)]),
    called(
        "ecs:DescribeTaskDefinition",
        "AWS knows no resource for it",
        &[on(On::Everything)],
    ),
    called("ecs:DescribeTasks", "", &[on(On::Tasks)]),
    called(
        "ecs:ListTaskDefinitions",
        "AWS knows no resource for it",
        &[on(On::Everything)],
    ),
    called(
        "ecs:ListTasks",
        "its only resource is a container instance, and the call is by service, family or cluster",
        &[on_if(On::Everything, &[If::InClusters])],
    ),
    called(
        "ecs:RegisterTaskDefinition",
        "revisions of families that others maintain, too; without our tag where persistence is taken off again. Which roles are \
         handed over is limited by iam:PassRole",
        &[on(On::TaskDefinitions)],
    ),
    called(
        "ecs:TagResource",
        "task definitions are tagged as they are made; marks are put on services, also on those that others made",
        &[on(On::Services), on_if(On::TaskDefinitions, &[If::AtCreation])],
    ),
    called("ecs:UntagResource", "marks that are over", &[on(On::Services)]),
    called(
        "ecs:UpdateService",
        "the permitted clusters are the limit: a service that others made does not carry our tag",
        &[on(On::Services)],
    ),
    called(
        "elasticfilesystem:CreateAccessPoint",
        "",
        &[
            on_if(On::FileSystems, &[If::Ours]),
            on_if(On::FileSystems, &[If::Given]),
        ],
    ),
    called(
        "elasticfilesystem:CreateFileSystem",
        "AWS knows no resource for it",
        &[on_if(On::Everything, &[If::MadeOurs])],
    ),
    called(
        "elasticfilesystem:CreateMountTarget",
        "",
        &[
            on_if(On::FileSystems, &[If::Ours]),
            on_if(On::FileSystems, &[If::Given]),
        ],
    ),
    called(
        "elasticfilesystem:DeleteAccessPoint",
        "a document asks for the deletion of what valkeep made",
        &[on_if(On::AccessPoints, &[If::Ours])],
    ),
    called(
        "elasticfilesystem:DeleteFileSystem",
        "a document asks for the deletion of what valkeep made, and its data may go",
        &[on_if(On::FileSystems, &[If::Ours])],
    ),
    called(
        "elasticfilesystem:DeleteFileSystemPolicy",
        "a policy that valkeep put",
        &[on_if(On::FileSystems, &[If::Ours])],
    ),
    called(
        "elasticfilesystem:DeleteMountTarget",
        "a document asks for the deletion of what valkeep made",
        &[on_if(On::FileSystems, &[If::Ours])],
    ),
    called(
        "elasticfilesystem:DescribeAccessPoints",
        "those of one file system",
        &[on(On::FileSystems), on(On::AccessPoints)],
    ),
    called("elasticfilesystem:DescribeBackupPolicy", "", &[on(On::FileSystems)]),
    called("elasticfilesystem:DescribeFileSystemPolicy", "", &[on(On::FileSystems)]),
    called(
        "elasticfilesystem:DescribeFileSystems",
        "a file system is looked for by its token before its id is known",
        &[on(On::Everything)],
    ),
    called(
        "elasticfilesystem:DescribeLifecycleConfiguration",
        "",
        &[on(On::FileSystems)],
    ),
    called(
        "elasticfilesystem:DescribeMountTargetSecurityGroups",
        "",
        &[on(On::FileSystems)],
    ),
    called("elasticfilesystem:DescribeMountTargets", "", &[on(On::FileSystems)]),
    called(
        "elasticfilesystem:ModifyMountTargetSecurityGroups",
        "",
        &[
            on_if(On::FileSystems, &[If::Ours]),
            on_if(On::FileSystems, &[If::Given]),
        ],
    ),
    called(
        "elasticfilesystem:PutBackupPolicy",
        "",
        &[
            on_if(On::FileSystems, &[If::Ours]),
            on_if(On::FileSystems, &[If::Given]),
        ],
    ),
    called(
        "elasticfilesystem:PutFileSystemPolicy",
        "",
        &[on_if(On::FileSystems, &[If::Ours])],
    ),
    called(
        "elasticfilesystem:PutLifecycleConfiguration",
        "",
        &[
            on_if(On::FileSystems, &[If::Ours]),
            on_if(On::FileSystems, &[If::Given]),
        ],
    ),
    called(
        "elasticfilesystem:TagResource",
        "what is made is tagged as it is made, and marks are put on what is ours",
        &[
            on_if(On::FileSystems, &[If::AtCreation]),
            on_if(On::AccessPoints, &[If::AtCreation]),
            on_if(On::FileSystems, &[If::Ours]),
            on_if(On::AccessPoints, &[If::Ours]),
            on_if(On::FileSystems, &[If::Given]),
            on_if(On::AccessPoints, &[If::Given]),
        ],
    ),
    called(
        "elasticfilesystem:UntagResource",
        "marks that are over",
        &[
            on_if(On::FileSystems, &[If::Ours]),
            on_if(On::AccessPoints, &[If::Ours]),
            on_if(On::FileSystems, &[If::Given]),
            on_if(On::AccessPoints, &[If::Given]),
        ],
    ),
    called(
        "elasticfilesystem:UpdateFileSystem",
        "throughput",
        &[
            on_if(On::FileSystems, &[If::Ours]),
            on_if(On::FileSystems, &[If::Given]),
        ],
    ),
    implied(
        "elasticfilesystem:CreateFileSystem",
        "iam:CreateServiceLinkedRole",
        "once in an account: the first service, the first file system and the first backup make their own role",
        &[on_if(On::ServiceLinkedRoles, &[If::ForServices])],
    ),
    called(
        "iam:DeleteRolePolicy",
        "a document asks for the deletion of what valkeep made; IAM knows no condition on the name of an inline policy",
        &[on(On::Roles)],
    ),
    called("iam:GetRole", "the task role's ARN", &[on(On::Roles)]),
    called("iam:GetRolePolicy", "", &[on(On::Roles)]),
    implied(
        "ecs:RegisterTaskDefinition",
        "iam:PassRole",
        "a task definition hands task role and execution role to ECS",
        &[on_if(On::Roles, &[If::ForTasks])],
    ),
    called(
        "iam:PutRolePolicy",
        "valkeep's own inline policy on task roles; IAM knows no condition on the name or the content of an inline policy",
        &[on(On::Roles)],
    ),
    called(
        "logs:CreateLogGroup",
        "documents choose the name",
        &[on_if(On::LogGroups, &[If::MadeOurs])],
    ),
    called(
        "logs:DescribeLogGroups",
        "AWS knows no resource for it",
        &[on(On::Everything)],
    ),
    called("logs:ListTagsForResource", "", &[on(On::LogGroups)]),
    called("logs:PutRetentionPolicy", "", &[on_if(On::LogGroups, &[If::Ours])]),
    called(
        "logs:TagResource",
        "a new group is tagged as it is made; CloudWatch Logs cannot tell that from tagging one that is there",
        &[on_if(On::LogGroups, &[If::MadeOurs]), on_if(On::LogGroups, &[If::Ours])],
    ),
    called(
        "s3:GetObject",
        "",
        &[on(On::Objects), on(On::StatusObjects), on(On::Lease)],
    ),
    called(
        "s3:GetObjectVersion",
        "the last good version of a document",
        &[on(On::Objects)],
    ),
    called(
        "s3:ListBucket",
        "the names of all objects: with a condition on the prefix, a status or lease that is not there yet would read as denied",
        &[on(On::Buckets), on(On::LeaseBucket)],
    ),
    called("s3:ListBucketVersions", "", &[on_if(On::Buckets, &[If::OfDocuments])]),
    called(
        "s3:PutObject",
        "status and lease; documents are written by people and pipelines, with rights of their own",
        &[on(On::StatusObjects), on(On::Lease)],
    ),
    called(
        "secretsmanager:GetSecretValue",
        "passwords of servers; a document can name any secret, so its owner's tag says which are for valkeep",
        &[on_if(On::Secrets, &[If::Given])],
    ),
    called("servicediscovery:GetService", "", &[on(On::Registries)]),
    called(
        "ssm:GetParameter",
        "passwords of servers, besides documents and status; their owner's tag says which are for valkeep",
        &[
            on(On::Parameters),
            on_if(On::SecretParameters, &[If::Given]),
            on(On::StatusParameters),
        ],
    ),
    called(
        "ssm:GetParameterHistory",
        "the last good version of a document",
        &[on(On::Parameters)],
    ),
    called("ssm:GetParametersByPath", "", &[on(On::Paths), on(On::Parameters)]),
    called(
        "ssm:PutParameter",
        "status; documents are written by people and pipelines, with rights of their own",
        &[on(On::StatusParameters)],
    ),
    called(
        "sts:AssumeRole",
        "documents in other accounts; the roles' own trust policies are a limit, too",
        &[on(On::AssumedRoles)],
    ),
    called(
        "sts:GetCallerIdentity",
        "needs no permission; named so that the table is whole",
        &[on(On::Global)],
    ),
];

/// The entry of an action.
pub fn action(name: &str) -> Option<&'static Action> {
    ACTIONS.iter().find(|action| action.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).expect("a folder of this crate") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }

    /// Everything in quotes that is spelled like an IAM action.
    fn named_in(text: &str) -> BTreeSet<String> {
        text.split('"')
            .filter(|part| {
                part.split_once(':').is_some_and(|(service, call)| {
                    !service.is_empty()
                        && service
                            .bytes()
                            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
                        && call.starts_with(|first: char| first.is_ascii_uppercase())
                        && call.bytes().all(|byte| byte.is_ascii_alphanumeric())
                })
            })
            .map(ToOwned::to_owned)
            .collect()
    }

    #[test]
    fn the_table_is_sorted_and_without_repetition() {
        assert!(ACTIONS.is_sorted_by(|one, two| one.name < two.name));
    }

    #[test]
    fn what_is_implied_is_implied_by_a_call_and_everything_is_granted_on_something() {
        for entry in ACTIONS {
            if let Seen::Implied(by) = entry.seen {
                assert!(action(by).is_some_and(|by| by.seen == Seen::Called), "{}", entry.name);
            }
            assert!(!entry.grants.is_empty(), "{}", entry.name);
        }
    }

    #[test]
    fn what_is_granted_on_everything_says_why() {
        for entry in ACTIONS {
            let wide = entry
                .grants
                .iter()
                .any(|grant| matches!(grant.on, On::Everything | On::Global));
            assert!(!wide || !entry.why.is_empty(), "{}", entry.name);
        }
    }

    /// A first look, without running anything: `make test` compares the table with the calls that were really made.
    #[test]
    fn every_call_and_every_step_is_in_the_table() {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = vec![src.join("../../valkeep-core/src/step.rs")];
        sources(&src, &mut files);
        // It names condition keys, which look like actions, and no action of its own.
        for file in files.into_iter().filter(|file| !file.ends_with("policy.rs")) {
            let text = fs::read_to_string(&file).expect("a readable source");
            for name in named_in(&text) {
                assert!(
                    action(&name).is_some(),
                    "{name} of {} is not in the table",
                    file.display()
                );
            }
        }
    }
}
