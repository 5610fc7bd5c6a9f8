//! The least IAM policy for valkeep's own role, made from the table of calls and the operator's limits. Knows no client
//! and asks nobody.

use crate::actions::{ACTIONS, If, On};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use valkeep_core::identity::{TAG_GIVEN, TAG_INSTALLATION};
use valkeep_core::limits::{Allowed, Limits, Pattern};
use valkeep_store::{LeaseUrl, StoreUrl};

/// What IAM takes in a managed policy, in characters without white space.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
pub const MANAGED_MAX: usize = 6_144;
/// What IAM takes in all inline policies of a role together.
pub const INLINE_MAX: usize = 10_240;

/// Where and for what a policy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// Twelve digits.
    pub account: String,
    /// Where valkeep runs, and its stores are.
    pub region: String,
    /// The installation's id.
    pub installation: String,
    /// Documents, and their status.
    pub stores: Vec<(StoreUrl, StoreUrl)>,
    /// Where replicas find out who leads, if they do.
    pub lease: Option<LeaseUrl>,
    /// What documents may touch.
    pub limits: Limits,
}

/// The policy: one statement for each kind of resources with its conditions.
pub fn policy(reach: &Reach) -> Value {
    let mut statements: BTreeMap<String, (On, &'static [If], Vec<&'static str>)> = BTreeMap::new();
    for action in ACTIONS {
        for grant in action.grants {
            let (_, _, actions) = statements
                .entry(sid(grant.on, grant.only_if))
                .or_insert_with(|| (grant.on, grant.only_if, Vec::new()));
            actions.push(action.name);
        }
    }
    let statements: Vec<Value> = statements
        .into_iter()
        .filter_map(|(sid, (on, only_if, actions))| {
            let resources = reach.resources(on);
            if resources.is_empty() {
                return None;
            }
            let mut statement =
                json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": one_or_all(resources)});
            let conditions = reach.conditions(on, only_if);
            if !conditions.is_empty() {
                statement["Condition"] = Value::Object(conditions);
            }
            Some(statement)
        })
        .collect();
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// How IAM counts a policy's length: without white space.
pub fn length(policy: &Value) -> usize {
    policy
        .to_string()
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .count()
}

/// Letters only, as IAM asks; equal for equal resources and conditions.
fn sid(on: On, only_if: &[If]) -> String {
    only_if
        .iter()
        .fold(format!("{on:?}"), |sid, condition| format!("{sid}{condition:?}"))
}

fn one_or_all(mut values: Vec<String>) -> Value {
    if values.len() == 1 {
        Value::from(values.remove(0))
    } else {
        Value::from(values)
    }
}

impl Reach {
    fn resources(&self, on: On) -> Vec<String> {
        let Self { partition, account, .. } = self;
        match on {
            On::Everything | On::Global => vec!["*".to_owned()],
            On::SecurityGroups => vec![self.arn("ec2", "security-group/*")],
            On::Vpcs => vec![self.arn("ec2", "vpc/*")],
            On::Interfaces => ["network-interface/*", "security-group/*", "subnet/*"]
                .map(|resource| self.arn("ec2", resource))
                .to_vec(),
            On::Services => self.in_clusters("service"),
            On::Tasks => self.in_clusters("task"),
            On::TaskDefinitions => vec![self.arn("ecs", "task-definition/*:*")],
            On::FileSystems => vec![self.arn("elasticfilesystem", "file-system/*")],
            On::AccessPoints => vec![self.arn("elasticfilesystem", "access-point/*")],
            On::Roles => self.roles(),
            On::AssumedRoles => match self.limits.assume_roles.patterns() {
                Some(patterns) => patterns.iter().map(Pattern::to_string).collect(),
                None => vec![format!("arn:{partition}:iam::*:role/*")],
            },
            On::ServiceLinkedRoles => vec![format!("arn:{partition}:iam::{account}:role/aws-service-role/*")],
            On::LogGroups => vec![self.arn("logs", "log-group:*")],
            On::Registries => vec![self.arn("servicediscovery", "service/*")],
            On::Buckets => self.buckets(),
            On::LeaseBucket => {
                let buckets = self.buckets();
                let lease = self.lease.iter();
                lease
                    .map(|lease| format!("arn:{partition}:s3:::{}", lease.bucket))
                    .filter(|bucket| !buckets.contains(bucket))
                    .collect()
            }
            On::Objects => self.objects(|(documents, _)| documents),
            On::StatusObjects => self.objects(|(_, status)| status),
            On::Lease => self
                .lease
                .iter()
                .filter(|lease| !self.stores.iter().any(|(_, status)| status.holds_lease(lease)))
                .map(|LeaseUrl { bucket, key }| format!("arn:{partition}:s3:::{bucket}/{key}"))
                .collect(),
            On::Paths => self
                .parameters(|(documents, _)| documents)
                .into_iter()
                .map(|path| path.trim_end_matches("/*").to_owned())
                .collect(),
            On::Parameters => self.parameters(|(documents, _)| documents),
            On::SecretParameters => vec![self.arn("ssm", "parameter/*")],
            On::Secrets => vec![self.arn("secretsmanager", "secret:*")],
            On::StatusParameters => self.parameters(|(_, status)| status),
        }
    }

    fn conditions(&self, on: On, only_if: &[If]) -> Map<String, Value> {
        let mut conditions = Map::new();
        let mut add = |operator: &str, key: String, value: Value| {
            conditions
                .entry(operator)
                .or_insert_with(|| json!({}))
                .as_object_mut()
                .expect("every operator holds keys")
                .insert(key, value);
        };
        if on == On::Everything || self.one_region().is_none() && is_regional(on) {
            add(
                "StringLike",
                "aws:RequestedRegion".to_owned(),
                one_or_all(self.regions()),
            );
        }
        for condition in only_if {
            match condition {
                If::Ours => add(
                    "StringEquals",
                    format!("aws:ResourceTag/{TAG_INSTALLATION}"),
                    self.installation.clone().into(),
                ),
                If::Given => add(
                    "StringEquals",
                    format!("aws:ResourceTag/{TAG_GIVEN}"),
                    self.installation.clone().into(),
                ),
                If::MadeOurs => add(
                    "StringEquals",
                    format!("aws:RequestTag/{TAG_INSTALLATION}"),
                    self.installation.clone().into(),
                ),
                If::AtCreation => {
                    let (key, calls) = creations(on);
                    add("StringEquals", key.to_owned(), one_or_all(calls));
                }
                If::InClusters => add("ArnLike", "ecs:cluster".to_owned(), one_or_all(self.clusters())),
                If::ForTasks => add(
                    "StringEquals",
                    "iam:PassedToService".to_owned(),
                    "ecs-tasks.amazonaws.com".into(),
                ),
                If::ForServices => add(
                    "StringEquals",
                    "iam:AWSServiceName".to_owned(),
                    json!([
                        "backup.amazonaws.com",
                        "ecs.amazonaws.com",
                        "elasticfilesystem.amazonaws.com"
                    ]),
                ),
                If::OfDocuments => {
                    let prefixes = self
                        .stores
                        .iter()
                        .filter_map(|(documents, _)| match documents {
                            StoreUrl::S3 { prefix, .. } => Some(format!("{prefix}*")),
                            StoreUrl::Ssm { .. } | StoreUrl::File { .. } => None,
                        })
                        .collect();
                    add("StringLike", "s3:prefix".to_owned(), one_or_all(prefixes));
                }
            }
        }
        conditions
    }

    /// Where documents may be.
    fn regions(&self) -> Vec<String> {
        match self.limits.regions.patterns() {
            Some(patterns) => patterns.iter().map(Pattern::to_string).collect(),
            None => vec![self.region.clone()],
        }
    }

    /// Stands in ARNs; several regions are a condition instead, so that the policy does not grow with each.
    fn one_region(&self) -> Option<String> {
        match self.regions().as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        }
    }

    fn arn(&self, service: &str, resource: &str) -> String {
        let Self { partition, account, .. } = self;
        let region = self.one_region().unwrap_or_else(|| "*".to_owned());
        format!("arn:{partition}:{service}:{region}:{account}:{resource}")
    }

    fn clusters(&self) -> Vec<String> {
        patterns(&self.limits.clusters)
            .into_iter()
            .map(|cluster| self.arn("ecs", &format!("cluster/{cluster}")))
            .collect()
    }

    fn in_clusters(&self, kind: &str) -> Vec<String> {
        patterns(&self.limits.clusters)
            .into_iter()
            .map(|cluster| self.arn("ecs", &format!("{kind}/{cluster}/*")))
            .collect()
    }

    /// A role may have a path that a document does not tell; a star of IAM's takes slashes, too.
    fn roles(&self) -> Vec<String> {
        let Self { partition, account, .. } = self;
        patterns(&self.limits.roles)
            .into_iter()
            .flat_map(|role| {
                let anywhere = (!role.starts_with('*')).then(|| format!("*/{role}"));
                [Some(role.to_owned()), anywhere]
            })
            .flatten()
            .map(|role| format!("arn:{partition}:iam::{account}:role/{role}"))
            .collect()
    }

    fn buckets(&self) -> Vec<String> {
        let mut buckets: Vec<String> = self
            .stores
            .iter()
            .flat_map(|(documents, status)| [documents, status])
            .filter_map(|store| match store {
                StoreUrl::S3 { bucket, .. } => Some(format!("arn:{}:s3:::{bucket}", self.partition)),
                StoreUrl::Ssm { .. } | StoreUrl::File { .. } => None,
            })
            .collect();
        buckets.sort();
        buckets.dedup();
        buckets
    }

    fn objects(&self, of: fn(&(StoreUrl, StoreUrl)) -> &StoreUrl) -> Vec<String> {
        self.stores
            .iter()
            .filter_map(|store| match of(store) {
                StoreUrl::S3 { bucket, prefix } => Some(format!("arn:{}:s3:::{bucket}/{prefix}*", self.partition)),
                StoreUrl::Ssm { .. } | StoreUrl::File { .. } => None,
            })
            .collect()
    }

    /// Stores are where valkeep is, wherever documents may be.
    fn parameters(&self, of: fn(&(StoreUrl, StoreUrl)) -> &StoreUrl) -> Vec<String> {
        let Self {
            partition,
            account,
            region,
            ..
        } = self;
        self.stores
            .iter()
            .filter_map(|store| match of(store) {
                StoreUrl::Ssm { path } => Some(format!("arn:{partition}:ssm:{region}:{account}:parameter{path}*")),
                StoreUrl::S3 { .. } | StoreUrl::File { .. } => None,
            })
            .collect()
    }
}

/// What stands in ARNs; everything where nothing is limited.
fn patterns(allowed: &Allowed) -> Vec<&str> {
    match allowed.patterns() {
        Some(patterns) => patterns.iter().map(Pattern::as_str).collect(),
        None => vec!["*"],
    }
}

/// Whether its ARNs name the region of a document.
fn is_regional(on: On) -> bool {
    match on {
        On::Everything
        | On::SecurityGroups
        | On::Vpcs
        | On::Interfaces
        | On::Services
        | On::Tasks
        | On::TaskDefinitions
        | On::FileSystems
        | On::AccessPoints
        | On::LogGroups
        | On::Registries
        | On::SecretParameters
        | On::Secrets => true,
        On::Global
        | On::Roles
        | On::AssumedRoles
        | On::ServiceLinkedRoles
        | On::Buckets
        | On::Objects
        | On::StatusObjects
        | On::Lease
        | On::LeaseBucket
        | On::Paths
        | On::Parameters
        | On::StatusParameters => false,
    }
}

/// The key by which a service tells in which call tags are given, and those calls.
fn creations(on: On) -> (&'static str, Vec<String>) {
    let (key, calls): (_, &[&str]) = match on {
        On::SecurityGroups => ("ec2:CreateAction", &["CreateSecurityGroup"]),
        On::Services => ("ecs:CreateAction", &["CreateService"]),
        On::TaskDefinitions => ("ecs:CreateAction", &["RegisterTaskDefinition"]),
        On::AccessPoints => ("elasticfilesystem:CreateAction", &["CreateAccessPoint"]),
        _ => ("elasticfilesystem:CreateAction", &["CreateFileSystem"]),
    };
    (key, calls.iter().map(ToString::to_string).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(patterns: &[&str]) -> Allowed {
        Allowed::only(
            patterns
                .iter()
                .map(|text| Pattern::parse(text).expect("a pattern"))
                .collect(),
        )
    }

    fn reach(store: &str, limits: Limits) -> Reach {
        let documents: StoreUrl = store.parse().expect("a store");
        let status = documents.default_status().expect("a place beside it");
        Reach {
            partition: "aws".to_owned(),
            account: "123456789012".to_owned(),
            region: "eu-west-1".to_owned(),
            installation: "default".to_owned(),
            stores: vec![(documents, status)],
            lease: None,
            limits,
        }
    }

    /// The statements that allow an action, as (resources, conditions).
    fn allowing(policy: &Value, action: &str) -> Vec<(Vec<String>, Value)> {
        let texts = |value: &Value| match value {
            Value::Array(all) => all.iter().map(|one| one.as_str().expect("text").to_owned()).collect(),
            one => vec![one.as_str().expect("text").to_owned()],
        };
        let statements = policy["Statement"].as_array().expect("statements");
        statements
            .iter()
            .filter(|statement| texts(&statement["Action"]).iter().any(|one| one == action))
            .map(|statement| (texts(&statement["Resource"]), statement["Condition"].clone()))
            .collect()
    }

    #[test]
    fn roles_are_passed_to_tasks_of_ecs_only_and_changed_within_the_limits_only() {
        let policy = policy(&reach(
            "s3://bucket/docs/",
            Limits {
                roles: only(&["cache-*"]),
                ..Limits::default()
            },
        ));
        let roles = vec![
            "arn:aws:iam::123456789012:role/cache-*".to_owned(),
            "arn:aws:iam::123456789012:role/*/cache-*".to_owned(),
        ];
        let passed = json!({"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}});
        assert_eq!(allowing(&policy, "iam:PassRole"), [(roles.clone(), passed)]);
        assert_eq!(allowing(&policy, "iam:PutRolePolicy"), [(roles, Value::Null)]);
    }

    #[test]
    fn only_permitted_roles_are_taken_on() {
        let assumed = |assume_roles| {
            let limits = Limits {
                assume_roles,
                ..Limits::default()
            };
            let granted = allowing(&policy(&reach("s3://bucket/docs/", limits)), "sts:AssumeRole");
            granted.into_iter().flat_map(|(roles, _)| roles).collect::<Vec<_>>()
        };
        let of_teams = "arn:aws:iam::222222222222:role/valkeep-*";
        assert_eq!(assumed(only(&[of_teams])), [of_teams]);
        assert_eq!(assumed(only(&[])), Vec::<String>::new());
        assert_eq!(assumed(Allowed::default()), ["arn:aws:iam::*:role/*"]);
    }

    #[test]
    fn services_and_tasks_are_those_of_the_permitted_clusters() {
        let policy = policy(&reach(
            "s3://bucket/docs/",
            Limits {
                clusters: only(&["one", "two-*"]),
                ..Limits::default()
            },
        ));
        let arns = |kind: &str, end: &str| {
            ["one", "two-*"]
                .map(|cluster| format!("arn:aws:ecs:eu-west-1:123456789012:{kind}/{cluster}{end}"))
                .to_vec()
        };
        assert_eq!(allowing(&policy, "ecs:UpdateService")[0].0, arns("service", "/*"));
        assert_eq!(allowing(&policy, "ecs:DescribeTasks")[0].0, arns("task", "/*"));
        let (resources, condition) = allowing(&policy, "ecs:ListTasks").remove(0);
        assert_eq!(resources, ["*"]);
        assert_eq!(condition["ArnLike"]["ecs:cluster"], json!(arns("cluster", "")));
    }

    #[test]
    fn storage_is_changed_only_where_it_is_this_installations_or_was_given_to_it() {
        let policy = policy(&reach("s3://bucket/docs/", Limits::default()));
        let ours = json!({"StringEquals": {"aws:ResourceTag/valkeep.dev/installation": "default"}});
        let given = json!({"StringEquals": {"aws:ResourceTag/valkeep.dev/given-to": "default"}});
        for action in ACTIONS.iter().filter(|action| {
            let (service, call) = action.name.split_once(':').expect("service and call");
            service == "elasticfilesystem"
                && !call.starts_with("Describe")
                && !matches!(call, "CreateFileSystem" | "TagResource")
        }) {
            for (_, condition) in allowing(&policy, action.name) {
                // What documents take by id is never deleted, and its policy is its owner's.
                let may_be_given = !action.name.contains("Delete") && !action.name.ends_with("PutFileSystemPolicy");
                assert!(
                    condition == ours || (may_be_given && condition == given),
                    "{}: {condition}",
                    action.name
                );
            }
        }
    }

    #[test]
    fn stores_are_the_ones_that_were_given_and_nothing_else() {
        let in_s3 = policy(&reach("s3://bucket/docs/", Limits::default()));
        assert_eq!(
            allowing(&in_s3, "s3:PutObject"),
            [(vec!["arn:aws:s3:::bucket/docs-status/*".to_owned()], Value::Null)]
        );
        assert_eq!(
            allowing(&in_s3, "s3:GetObjectVersion")[0].0,
            ["arn:aws:s3:::bucket/docs/*"]
        );
        assert_eq!(allowing(&in_s3, "s3:ListBucket")[0].0, ["arn:aws:s3:::bucket"]);
        assert!(allowing(&in_s3, "ssm:GetParametersByPath").is_empty());
        let in_ssm = policy(&reach("ssm:/valkeep/docs/", Limits::default()));
        let parameter = |path: &str| vec![format!("arn:aws:ssm:eu-west-1:123456789012:parameter{path}")];
        let listed: Vec<_> = allowing(&in_ssm, "ssm:GetParametersByPath")
            .into_iter()
            .map(|(on, _)| on)
            .collect();
        assert_eq!(listed, [parameter("/valkeep/docs/*"), parameter("/valkeep/docs")]);
        assert_eq!(
            allowing(&in_ssm, "ssm:PutParameter")[0].0,
            parameter("/valkeep/docs-status/*")
        );
        assert!(allowing(&in_ssm, "s3:GetObject").is_empty());
    }

    #[test]
    fn a_lease_is_one_object_more_unless_it_lies_among_the_status() {
        let of = |store: &str, lease: &str| {
            let mut reach = reach(store, Limits::default());
            reach.lease = Some(lease.parse().expect("a lease"));
            policy(&reach)
        };
        let resources = |policy: &Value, action| -> Vec<Vec<String>> {
            allowing(policy, action).into_iter().map(|(on, _)| on).collect()
        };
        let elsewhere = of("ssm:/valkeep/docs/", "s3://leases/valkeep");
        for action in ["s3:GetObject", "s3:PutObject"] {
            assert_eq!(
                resources(&elsewhere, action),
                [["arn:aws:s3:::leases/valkeep"]],
                "{action}"
            );
        }
        // Without it a lease that is not there yet would read as denied.
        assert_eq!(resources(&elsewhere, "s3:ListBucket"), [["arn:aws:s3:::leases"]]);
        assert!(resources(&elsewhere, "s3:ListBucketVersions").is_empty());
        let beside = policy(&reach("s3://bucket/docs/", Limits::default()));
        assert_eq!(of("s3://bucket/docs/", "s3://bucket/docs-status/.lease"), beside);
        let both = of("s3://bucket/docs/", "s3://leases/valkeep");
        assert_eq!(
            resources(&both, "s3:ListBucket"),
            [["arn:aws:s3:::bucket"], ["arn:aws:s3:::leases"]]
        );
    }

    #[test]
    fn a_secret_is_read_only_where_its_owner_gave_it_to_this_installation() {
        let policy = policy(&reach("s3://bucket/docs/", Limits::default()));
        let given = json!({"StringEquals": {"aws:ResourceTag/valkeep.dev/given-to": "default"}});
        for (action, resource) in [
            (
                "secretsmanager:GetSecretValue",
                "secretsmanager:eu-west-1:123456789012:secret:*",
            ),
            ("ssm:GetParameter", "ssm:eu-west-1:123456789012:parameter/*"),
        ] {
            let granted = allowing(&policy, action);
            assert_eq!(
                granted,
                [(vec![format!("arn:aws:{resource}")], given.clone())],
                "{action}"
            );
        }
    }

    #[test]
    fn several_regions_are_a_condition_on_everything_that_is_in_one() {
        let policy = policy(&reach(
            "s3://bucket/docs/",
            Limits {
                regions: only(&["eu-west-1", "eu-central-*"]),
                ..Limits::default()
            },
        ));
        for statement in policy["Statement"].as_array().expect("statements") {
            let text = statement["Resource"].to_string();
            let regional = text == "\"*\"" && statement["Sid"] != "Global" || text.contains(":*:123456789012:");
            assert_eq!(
                regional,
                statement["Condition"]["StringLike"]["aws:RequestedRegion"] == json!(["eu-west-1", "eu-central-*"]),
                "{statement}"
            );
        }
    }

    #[test]
    fn every_action_is_granted_and_the_whole_fits_into_a_roles_inline_policies() {
        let mut reach = reach(
            "s3://a-bucket-with-a-long-name-as-people-have-them/docs/",
            Limits {
                clusters: only(&["trigpointing-cluster"]),
                roles: only(&["trigpointing-ecs-*"]),
                ..Limits::default()
            },
        );
        let documents: StoreUrl = "ssm:/valkeep/docs/".parse().expect("a store");
        let status = documents.default_status().expect("a place");
        reach.stores.push((documents, status));
        let policy = policy(&reach);
        for action in ACTIONS {
            assert!(!allowing(&policy, action.name).is_empty(), "{}", action.name);
        }
        assert!(length(&policy) <= INLINE_MAX, "{}", length(&policy));
    }
}
