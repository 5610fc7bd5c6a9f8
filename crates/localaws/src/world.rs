//! Seeded worlds: what a team has before valkeep comes.

use crate::LocalAws;
use crate::ec2::{self, Cidr};
use crate::{iam, s3};
use serde_json::json;

/// VPC.
pub const VPC: &str = "vpc-0a1b2c3d4e5f67890";
/// Subnets, with their zones.
pub const SUBNETS: [(&str, &str); 2] = [("subnet-0aaaaaaaaaaaaaaa1", "a"), ("subnet-0bbbbbbbbbbbbbbb2", "b")];
/// The group of the tasks.
pub const TASK_GROUP: &str = "sg-0cccccccccccccccc";
/// The group of the bastion.
pub const MAINTENANCE_GROUP: &str = "sg-0dddddddddddddddd";
/// The cluster.
pub const CLUSTER: &str = "trigpointing-cluster";
/// The role of the tasks.
pub const TASK_ROLE: &str = "trigpointing-ecs-task-role";
/// The role with which ECS starts tasks.
pub const EXECUTION_ROLE: &str = "trigpointing-ecs-execution-role";
/// A bucket with versions, for documents.
pub const BUCKET: &str = "valkeep-demo";

/// What the example document `trigpointing-valkey.yaml` expects to be there: a VPC with DNS and two subnets in two
/// zones, the groups of tasks and bastion, a cluster, two roles, and a bucket with versions.
///
/// The subnets lie on loopback, in [`crate::Config::ip_block`], so that the addresses of tasks are real ones.
pub fn trigpointing(aws: &LocalAws) {
    let [first, second] = aws.config().ip_block;
    let block = |third: u8, bits: u8| {
        Cidr::parse(&format!("{first}.{second}.{third}.0/{bits}")).expect("two octets make a block")
    };
    {
        let state = &mut *aws.state();
        ec2::add_vpc(state, VPC, block(0, 16));
        let vpc = state.ec2.vpcs.get_mut(VPC).expect("it was just added");
        (vpc.dns_support, vpc.dns_hostnames) = (true, true);
        for ((subnet, letter), third) in SUBNETS.into_iter().zip([16, 32]) {
            let zone = format!("{}{letter}", state.config.region);
            ec2::add_subnet(state, subnet, VPC, block(third, 20), &zone);
        }
        ec2::add_group(state, TASK_GROUP, VPC, "trigpointing-valkey-tasks", "Valkey tasks");
        ec2::add_group(state, MAINTENANCE_GROUP, VPC, "trigpointing-bastion", "Bastion host");
        for role in [TASK_ROLE, EXECUTION_ROLE] {
            iam::add_role(state, role, iam::trust_of("ecs-tasks.amazonaws.com"));
        }
        s3::ensure_bucket(state, BUCKET);
        let bucket = state.s3.buckets.get_mut(BUCKET).expect("it was just added");
        bucket.versioning = s3::Versioning::Enabled;
    }
    let cluster = aws.call(crate::Service::Ecs, "CreateCluster", &json!({ "clusterName": CLUSTER }));
    cluster.expect("a cluster can be made");
}
