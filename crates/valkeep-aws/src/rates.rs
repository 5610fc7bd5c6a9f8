//! How often AWS lets itself be asked, as it documents it; where it does not, what is prudent.
//!
//! AWS counts in token buckets per account, region and group of operations. Groups and figures:
//! - ECS: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html>
//! - EC2, a bucket for each operation; ours always filter: <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>
//! - CloudWatch Logs, a rate for each operation: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>
//! - SSM: <https://docs.aws.amazon.com/general/latest/gr/ssm.html>
//! - Secrets Manager: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>
//!
//! EFS, IAM, Application Auto Scaling and Cloud Map publish nothing. S3 (thousands a second) and STS (600) are not limited here.

/// A bucket of AWS's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bucket {
    /// What shares it, for people and as a key: a group of operations, or one operation.
    pub(crate) name: &'static str,
    /// Calls that may come at once.
    pub(crate) burst: f64,
    /// Calls a second in the long run.
    pub(crate) per_second: f64,
    /// One for all regions of an account.
    pub(crate) global: bool,
}

const fn bucket(name: &'static str, burst: f64, per_second: f64) -> Bucket {
    Bucket {
        name,
        burst,
        per_second,
        global: false,
    }
}

/// The bucket that a call takes from. `service` and `operation` are the SDK's names.
pub(crate) fn of(service: &str, operation: &str) -> Option<Bucket> {
    match service {
        "ECS" => Some(ecs(operation)),
        "EC2" => Some(ec2(operation)),
        // Reports of throttling begin at ten file systems looked at in one go; the figure is ours.
        "EFS" => Some(bucket("EFS", 50.0, 10.0)),
        "IAM" => Some(Bucket {
            global: true,
            ..bucket("IAM", 50.0, 15.0)
        }),
        "CloudWatch Logs" => Some(logs(operation)),
        "Application Auto Scaling" => Some(bucket("Application Auto Scaling", 20.0, 10.0)),
        "ServiceDiscovery" => Some(bucket("Cloud Map", 20.0, 10.0)),
        // 10,000 a second for the account: ours is never the call that is too much.
        "Secrets Manager" => Some(bucket("Secrets Manager", 100.0, 100.0)),
        "SSM" => Some(match operation {
            "PutParameter" => bucket("SSM PutParameter", 10.0, 3.0),
            _ => bucket("SSM parameters", 40.0, 40.0),
        }),
        _ => None,
    }
}

fn ecs(operation: &str) -> Bucket {
    match operation {
        "DescribeServices" | "ListServices" => bucket("ECS service read", 100.0, 20.0),
        "CreateService" | "UpdateService" | "DeleteService" => bucket("ECS service modify", 50.0, 5.0),
        "DescribeTasks" | "ListTasks" => bucket("ECS cluster resource read", 100.0, 20.0),
        "RunTask" | "StopTask" | "ExecuteCommand" => bucket("ECS cluster resource modify", 100.0, 40.0),
        "DescribeTaskDefinition" | "ListTaskDefinitions" | "ListTaskDefinitionFamilies" => {
            bucket("ECS task definition read", 50.0, 20.0)
        }
        "RegisterTaskDefinition" | "DeregisterTaskDefinition" => bucket("ECS task definition modify", 20.0, 1.0),
        "TagResource" | "UntagResource" => bucket("ECS tag modify", 20.0, 10.0),
        "ListTagsForResource" => bucket("ECS tag read", 50.0, 20.0),
        "DescribeServiceRevisions" => bucket("ECS service revisions", 50.0, 20.0),
        "DescribeServiceDeployments" | "ListServiceDeployments" => bucket("ECS service deployments", 50.0, 20.0),
        "DescribeClusters" | "ListClusters" => bucket("ECS cluster read", 50.0, 20.0),
        // The smallest that AWS documents.
        _ => bucket("ECS other", 10.0, 1.0),
    }
}

/// EC2 gives every operation a bucket of its own.
fn ec2(operation: &str) -> Bucket {
    match operation {
        "DescribeSubnets" => bucket("EC2 DescribeSubnets", 100.0, 20.0),
        "DescribeSecurityGroups" => bucket("EC2 DescribeSecurityGroups", 100.0, 20.0),
        "DescribeSecurityGroupRules" => bucket("EC2 DescribeSecurityGroupRules", 100.0, 20.0),
        "DescribeNetworkInterfaces" => bucket("EC2 DescribeNetworkInterfaces", 100.0, 20.0),
        _ if operation.starts_with("Describe") => bucket("EC2 other reads", 100.0, 20.0),
        _ => bucket("EC2 changes", 50.0, 5.0),
    }
}

fn logs(operation: &str) -> Bucket {
    match operation {
        "DescribeLogGroups" => bucket("Logs DescribeLogGroups", 10.0, 10.0),
        "ListTagsForResource" => bucket("Logs ListTagsForResource", 10.0, 10.0),
        _ => bucket("Logs changes", 10.0, 10.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_counts_together_shares_a_bucket() {
        assert_eq!(of("ECS", "ListTasks"), of("ECS", "DescribeTasks"));
        assert_ne!(of("ECS", "UpdateService"), of("ECS", "RegisterTaskDefinition"));
        assert_ne!(of("EC2", "DescribeSubnets"), of("EC2", "DescribeSecurityGroups"));
        assert_eq!(of("EFS", "DescribeFileSystems"), of("EFS", "CreateFileSystem"));
        assert!(of("IAM", "GetRole").is_some_and(|bucket| bucket.global));
        assert_eq!(of("S3", "PutObject"), None);
    }
}
