//! Every IAM action that any call of valkeep needs: what a least-privilege policy must hold, and no more.

/// IAM actions, sorted.
pub const ACTIONS: &[&str] = &[
    "application-autoscaling:DescribeScalableTargets",
    "ec2:AuthorizeSecurityGroupIngress",
    // EFS makes, changes and deletes the interfaces of mount targets in the caller's name.
    "ec2:CreateNetworkInterface",
    "ec2:CreateSecurityGroup",
    "ec2:CreateTags",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteSecurityGroup",
    "ec2:DeleteTags",
    "ec2:DescribeNetworkInterfaceAttribute",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:ModifyNetworkInterfaceAttribute",
    "ec2:RevokeSecurityGroupIngress",
    "ecs:CreateService",
    "ecs:DeleteService",
    "ecs:DeregisterTaskDefinition",
    "ecs:DescribeServices",
    "ecs:DescribeTaskDefinition",
    "ecs:DescribeTasks",
    "ecs:ListTaskDefinitions",
    "ecs:ListTasks",
    "ecs:RegisterTaskDefinition",
    "ecs:TagResource",
    "ecs:UntagResource",
    "ecs:UpdateService",
    "elasticfilesystem:CreateAccessPoint",
    "elasticfilesystem:CreateFileSystem",
    "elasticfilesystem:CreateMountTarget",
    "elasticfilesystem:DeleteAccessPoint",
    "elasticfilesystem:DeleteFileSystem",
    "elasticfilesystem:DeleteFileSystemPolicy",
    "elasticfilesystem:DeleteMountTarget",
    "elasticfilesystem:DescribeAccessPoints",
    "elasticfilesystem:DescribeBackupPolicy",
    "elasticfilesystem:DescribeFileSystemPolicy",
    "elasticfilesystem:DescribeFileSystems",
    "elasticfilesystem:DescribeLifecycleConfiguration",
    "elasticfilesystem:DescribeMountTargetSecurityGroups",
    "elasticfilesystem:DescribeMountTargets",
    "elasticfilesystem:ModifyMountTargetSecurityGroups",
    "elasticfilesystem:PutBackupPolicy",
    "elasticfilesystem:PutFileSystemPolicy",
    "elasticfilesystem:PutLifecycleConfiguration",
    "elasticfilesystem:TagResource",
    "elasticfilesystem:UntagResource",
    "elasticfilesystem:UpdateFileSystem",
    "iam:DeleteRolePolicy",
    "iam:GetRole",
    "iam:GetRolePolicy",
    // RegisterTaskDefinition hands the task role and the execution role to ECS.
    "iam:PassRole",
    "iam:PutRolePolicy",
    "logs:CreateLogGroup",
    "logs:DescribeLogGroups",
    "logs:ListTagsForResource",
    "logs:PutRetentionPolicy",
    "logs:TagResource",
    "logs:UntagResource",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:PutObject",
    "servicediscovery:GetService",
    "ssm:GetParameter",
    "ssm:GetParameterHistory",
    "ssm:GetParametersByPath",
    "ssm:PutParameter",
    // For documents that name a role.
    "sts:AssumeRole",
    "sts:GetCallerIdentity",
];

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
                            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                        && call.starts_with(|first: char| first.is_ascii_uppercase())
                        && call.bytes().all(|byte| byte.is_ascii_alphanumeric())
                })
            })
            .map(ToOwned::to_owned)
            .collect()
    }

    #[test]
    fn the_table_is_sorted_and_without_repetition() {
        assert!(ACTIONS.is_sorted_by(|one, two| one < two));
    }

    #[test]
    fn every_call_and_every_step_is_in_the_table() {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = vec![src.join("../../valkeep-core/src/step.rs")];
        sources(&src, &mut files);
        for file in files {
            let text = fs::read_to_string(&file).expect("a readable source");
            for action in named_in(&text) {
                assert!(
                    ACTIONS.contains(&action.as_str()),
                    "{action} of {} is not in the table",
                    file.display()
                );
            }
        }
    }

    #[test]
    fn nothing_is_in_the_table_that_no_call_needs() {
        // EFS calls these in the caller's name, and ECS checks the right to hand over a role.
        let implied = [
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeNetworkInterfaceAttribute",
            "ec2:ModifyNetworkInterfaceAttribute",
            "iam:PassRole",
        ];
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        sources(&src, &mut files);
        let named: BTreeSet<String> = files
            .iter()
            .filter(|file| !file.ends_with("actions.rs"))
            .flat_map(|file| named_in(&fs::read_to_string(file).expect("a readable source")))
            .collect();
        for action in ACTIONS {
            assert!(
                named.contains(*action) || implied.contains(action),
                "{action} is needed by no call"
            );
        }
    }
}
