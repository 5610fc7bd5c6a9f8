//! Traps that others fell into: EFS and its mounts, security groups, policies, throttling. Each fixture is a converged
//! world with one thing that tripped another tool, and what valkeep makes of it: nothing, or the right thing.
//!
//! The references are `repository#number` of the reports that a fixture answers.

use crate::world::*;
use serde_json::{Value, json};
use std::path::Path;
use valkeep_core::identity::TAG_STARTING;
use valkeep_core::observed::{IngressRule, LifeCycle, MountTarget};
use valkeep_core::{Desired, Fact, Observed, Step};

struct Trap {
    answers: &'static [&'static str],
    says: &'static str,
    document: fn(&mut Desired),
    world: fn(&mut Observed),
    calls: &'static [&'static str],
    holds: &'static [&'static str],
}

const NOTHING: fn(&mut Desired) = |_| {};

fn targets(world: &mut Observed) -> &mut Vec<MountTarget> {
    world.mount_targets.present_mut().expect("targets")
}

fn rules(world: &mut Observed) -> &mut Vec<IngressRule> {
    &mut world.security_group.present_mut().expect("a group").ingress
}

/// The service as valkeep leaves it before its first start.
fn before_the_start(world: &mut Observed) {
    let service = world.service.present_mut().expect("a service");
    (service.desired, service.running) = (0, 0);
    service.tags.insert(TAG_STARTING.into(), "true".into());
    world.tasks = Fact::Present(Vec::new());
    world.valkey = Fact::not_looked("valkey:INFO");
}

/// The same policy, as AWS or another tool may write it.
fn respelled(policy: &Value) -> Value {
    let statements = policy["Statement"].as_array().expect("a list");
    let statements: Vec<Value> = statements
        .iter()
        .rev()
        .map(|statement| {
            let mut statement = statement.clone();
            let fields = statement.as_object_mut().expect("a statement");
            fields.insert("Sid".into(), json!("1"));
            if let Some(actions) = fields["Action"].as_array().cloned() {
                let reversed: Vec<Value> = actions.into_iter().rev().collect();
                fields.insert("Action".into(), json!(reversed));
            }
            let resource = fields["Resource"].clone();
            fields.insert("Resource".into(), json!([resource]));
            for keys in fields["Condition"].as_object_mut().expect("conditions").values_mut() {
                for value in keys.as_object_mut().expect("keys").values_mut() {
                    *value = json!([value.clone()]);
                }
            }
            statement
        })
        .collect();
    json!({"Id": "rewritten", "Statement": statements, "Version": "2008-10-17"})
}

const TRAPS: &[Trap] = &[
    Trap {
        answers: &[
            "valheim-ecs-fargate-cdk#28",
            "aws-otel-test-framework#1782",
            "Cloud-42/terraform-aws-jenkins#12",
        ],
        says: "a service starts when the mount targets' names had time to resolve",
        document: NOTHING,
        world: |world| {
            before_the_start(world);
            targets(world)[0].attached_at = Some(at("2026-03-01T11:59:00Z"));
        },
        calls: &[],
        holds: &["MountTarget Waiting DnsGrace"],
    },
    Trap {
        answers: &[
            "hardfin tailscale#11",
            "docker/compose-cli#1490",
            "terraform-provider-aws#2525",
        ],
        says: "a service does not start before its mount targets are there",
        document: NOTHING,
        world: |world| {
            before_the_start(world);
            targets(world)[1].state = LifeCycle::Creating;
        },
        calls: &[],
        holds: &["MountTarget Waiting Creating", "Service Waiting Dependency"],
    },
    Trap {
        answers: &["acp-io/terraform-grafana#4", "awsdocs/amazon-efs-user-guide#47"],
        says: "an access point is made with owner and permissions, so that EFS makes the directory",
        document: NOTHING,
        world: |world| world.access_point = Fact::Absent,
        calls: &["elasticfilesystem:CreateAccessPoint"],
        holds: &["RolePolicy Waiting Dependency", "TaskDefinition Waiting Dependency"],
    },
    Trap {
        answers: &["copilot-cli#4431"],
        says: "an edit of what is used at creation only is told and changes nothing",
        document: |desired| desired.access_point.permissions = "0700".into(),
        world: |_| {},
        calls: &[],
        holds: &[],
    },
    Trap {
        answers: &[
            "cloudposse/terraform-aws-efs#100",
            "provider-upjet-aws#1229",
            "bitnami/charts#1514",
            "docker-library/redis#182",
            "redis/redis#7592",
        ],
        says: "another user of the access point is seen, and no server is started that could not write",
        document: NOTHING,
        world: |world| world.access_point.present_mut().expect("one").uid = Some(999),
        calls: &[],
        holds: &[
            "AccessPoint Stalled ImmutableField",
            "TaskDefinition Waiting Dependency",
        ],
    },
    Trap {
        answers: &["aws/aws-cdk#10170", "nexus-oss-on-aws#47", "kube-aws#208"],
        says: "a zone that has a mount target, in whatever subnet, gets no other",
        document: NOTHING,
        world: |world| targets(world)[0].subnet = subnet("subnet-0123456789abcdef0"),
        calls: &[],
        holds: &[],
    },
    Trap {
        answers: &["hashicorp/terraform PR#8205"],
        says: "two subnets of one zone share its one mount target",
        document: |desired| desired.network.subnets.push(subnet("subnet-0ccccccccccccccc3")),
        world: |world| {
            let found = &mut world.subnets.present_mut().expect("some").found;
            found.push(zone("subnet-0ccccccccccccccc3", "b", "2"));
            let settings = &mut world.service.present_mut().expect("one").settings;
            settings.subnets.push(subnet("subnet-0ccccccccccccccc3"));
        },
        calls: &[],
        holds: &[],
    },
    Trap {
        answers: &["aws/aws-cdk#27397"],
        says: "the order of subnets means nothing",
        document: |desired| desired.network.subnets.reverse(),
        world: |world| world.subnets.present_mut().expect("some").found.reverse(),
        calls: &[],
        holds: &[],
    },
    Trap {
        answers: &["ACK community#2496"],
        says: "the address that AWS gives a mount target is no difference",
        document: NOTHING,
        world: |world| targets(world)[0].ip = "10.0.1.2".parse().ok(),
        calls: &[],
        holds: &[],
    },
    Trap {
        answers: &["ACK community#2180", "ACK community#2468"],
        says: "a file system that is still being made is waited for, and what hangs on it goes on by itself",
        document: NOTHING,
        world: |world| {
            world.file_system.present_mut().expect("one").state = LifeCycle::Creating;
            world.access_point = Fact::Absent;
            targets(world).clear();
        },
        calls: &[],
        holds: &[
            "FileSystem Waiting Creating",
            "MountTarget Waiting Dependency",
            "MountTarget Waiting Dependency",
            "AccessPoint Waiting Dependency",
            "RolePolicy Waiting Dependency",
            "TaskDefinition Waiting Dependency",
        ],
    },
    Trap {
        answers: &["ACK community#2182"],
        says: "tags of AWS's own are neither compared nor taken away",
        document: NOTHING,
        world: |world| {
            for tags in [
                &mut world.file_system.present_mut().expect("one").tags,
                &mut world.access_point.present_mut().expect("one").tags,
            ] {
                tags.insert("aws:elasticfilesystem:default-backup".into(), "enabled".into());
                tags.insert("aws:cloudformation:stack-name".into(), "theirs".into());
            }
        },
        calls: &[],
        holds: &[],
    },
    Trap {
        answers: &["hashicorp/terraform#2471"],
        says: "rules come merged and in any order",
        document: NOTHING,
        world: |world| rules(world).reverse(),
        calls: &[],
        holds: &[],
    },
    Trap {
        answers: &[
            "hashicorp/terraform#11011",
            "hashicorp/terraform#8129",
            "terraform-provider-aws#3884",
            "terraform-provider-aws#1525",
            "alchemy#1624",
            "cloudposse/terraform-aws-efs#34",
        ],
        says: "rules that others added stay",
        document: NOTHING,
        world: |world| {
            for (source, description) in [("10.0.0.0/8", None), ("sg-0fffffffffffffff0", Some("theirs"))] {
                rules(world).push(IngressRule {
                    protocol: "tcp".into(),
                    from_port: Some(2049),
                    to_port: Some(2049),
                    source: source.into(),
                    description: description.map(str::to_owned),
                });
            }
        },
        calls: &[],
        holds: &[],
    },
    Trap {
        answers: &[
            "terraform-provider-aws#12450",
            "kubernetes-sigs/cluster-api-provider-aws#5438",
            "ACK community#1783",
        ],
        says: "a rule that is there in other words is there: asking for it again would be InvalidPermission.Duplicate",
        document: NOTHING,
        world: |world| rules(world)[0].description = Some("made by hand".into()),
        calls: &[],
        holds: &[],
    },
    Trap {
        answers: &["ACK community#2142"],
        says: "the order and spelling of a role policy means nothing",
        document: NOTHING,
        world: |world| {
            let policy = world.role_policy.present_mut().expect("one");
            *policy = respelled(policy);
        },
        calls: &[],
        holds: &[],
    },
    Trap {
        answers: &["terraform-provider-aws#22336", "terraform-provider-aws#20665"],
        says: "the form of principals in a file-system policy means nothing",
        document: |desired| desired.file_system.enforce_tls_and_iam = true,
        world: |world| {
            let policy = world.file_system_policy.present_mut().expect("one");
            *policy = respelled(policy);
            for statement in policy["Statement"].as_array_mut().expect("a list") {
                let principal = &mut statement["Principal"];
                *principal = match principal["AWS"].as_str() {
                    Some("*") => json!("*"),
                    _ => json!({"AWS": [principal["AWS"].clone()]}),
                };
            }
        },
        calls: &[],
        holds: &[],
    },
    Trap {
        answers: &["cdkd#1527"],
        says: "a role that was deleted and made anew stands in the policy by its old id: that is put right",
        document: |desired| desired.file_system.enforce_tls_and_iam = true,
        world: |world| {
            let policy = world.file_system_policy.present_mut().expect("one");
            for statement in policy["Statement"].as_array_mut().expect("a list") {
                if statement["Principal"]["AWS"] != "*" {
                    statement["Principal"]["AWS"] = json!("AROAEXAMPLEEXAMPLE123");
                }
            }
        },
        calls: &["elasticfilesystem:PutFileSystemPolicy"],
        holds: &[],
    },
];

/// What is answered by another test, with its place.
const ELSEWHERE: &[(&[&str], &str, &str)] = &[
    (
        &["aws-samples/aws-cdk-examples#920", "aws/aws-cdk#30753"],
        "crates/valkeep-plan/tests/it/taken.rs",
        "fn a_policy_of_others_is_left_and_one_that_keeps_the_tasks_out_is_said_before_they_start",
    ),
    (
        &["ydamni#3", "aws/efs-utils#271"],
        "crates/valkeep-plan/tests/it/conditions.rs",
        "fn a_stopped_task_says_its_likely_cause",
    ),
    (
        &["root_directory beside an access point"],
        "crates/valkeep-aws/src/definition.rs",
        "fn what_was_registered_reads_back_equal",
    ),
    (
        &[
            "terraform-provider-aws#12450",
            "kubernetes-sigs/aws-efs-csi-driver#1225",
        ],
        "tests/all/faults.rs",
        "fn replies_lost_again_and_again_never_make_anything_twice",
    ),
    (
        &[
            "terraform-aws-ecs#414",
            "pulumi/pulumi-awsx#927",
            "hashicorp/terraform#4375",
            "hashicorp/terraform#2869",
        ],
        "tests/all/faults.rs",
        "fn denied_calls_are_named_and_heal_when_the_permission_comes",
    ),
    (
        &[
            "crossplane-contrib/provider-aws#1592",
            "provider-upjet-aws#2175",
            "kubernetes-sigs/aws-efs-csi-driver#1504",
            "aws/res#99",
        ],
        "tests/all/faults.rs",
        "fn throttled_calls_are_waited_for",
    ),
    (
        &["crossplane/upjet#592", "crossplane-contrib/provider-aws#847"],
        "crates/valkeep-engine/tests/engine/faults.rs",
        "fn what_cannot_be_seen_is_not_changed_and_looked_at_with_back_off",
    ),
    (
        &[
            "rebuy-de/aws-nuke#776",
            "rebuy-de/aws-nuke#407",
            "ansible/ansible#36040",
            "rexray#959",
        ],
        "crates/valkeep-aws/src/observe/efs.rs",
        "async fn add_interfaces",
    ),
];

fn world_of(trap: &Trap) -> (Desired, Observed) {
    let mut desired = desired();
    // What the document says otherwise from the start; what it says later is part of the trap.
    desired.file_system.enforce_tls_and_iam = trap
        .answers
        .iter()
        .any(|reference| ["terraform-provider-aws#22336", "cdkd#1527"].contains(reference));
    let mut world = converged_for(&desired);
    (trap.document)(&mut desired);
    (trap.world)(&mut world);
    (desired, world)
}

#[test]
fn what_tripped_others_is_no_drift_or_the_right_one() {
    for trap in TRAPS {
        let (desired, world) = world_of(trap);
        let plan = checked(&desired, &world);
        assert_eq!(calls(&plan), trap.calls, "{} ({})", trap.says, trap.answers.join(", "));
        assert_eq!(
            in_the_way(&plan),
            trap.holds,
            "{} ({})",
            trap.says,
            trap.answers.join(", ")
        );
    }
}

#[test]
fn what_is_put_right_stays_so() {
    for trap in TRAPS.iter().filter(|trap| !trap.calls.is_empty()) {
        let (desired, mut world) = world_of(trap);
        converge(&desired, &mut world);
        assert!(checked(&desired, &world).steps.is_empty(), "{}", trap.says);
    }
}

#[test]
fn an_access_point_always_says_how_its_directory_is_made() {
    let mut world = converged();
    world.access_point = Fact::Absent;
    let plan = checked(&desired(), &world);
    let made = plan.steps.iter().find_map(|step| match step {
        Step::CreateAccessPoint { permissions, uid, .. } => Some((permissions.as_str(), *uid)),
        _ => None,
    });
    assert_eq!(made, Some(("0755", 1000)));
}

#[test]
fn what_is_answered_elsewhere_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (answers, file, name) in ELSEWHERE {
        assert!(!answers.is_empty());
        let text = std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(
            text.contains(name),
            "{name} is not in {file} any more ({})",
            answers.join(", ")
        );
    }
}
