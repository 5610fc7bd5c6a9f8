//! Who may do what with a file system through a mount.

use super::policy::with_names;
use crate::iam;
use crate::iam::policy::{Question, Verdict, identity_verdict, resource_verdict};
use crate::state::State;
use std::collections::BTreeMap;

/// A client at the door.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MountRequest<'a> {
    pub(crate) file_system: &'a str,
    pub(crate) access_point: Option<&'a str>,
    /// ARN of the task role when the volume says `iam: ENABLED`; none is an anonymous client.
    pub(crate) role: Option<&'a str>,
    /// Encrypted in transit.
    pub(crate) tls: bool,
}

/// Whether the client may do `elasticfilesystem:<action>` (`ClientMount`, `ClientWrite`, `ClientRootAccess`).
///
/// Without a file-system policy everyone may everything, with one the usual rules of one account hold: somebody
/// allows it, the role or the file system, and nobody denies it. A client that does present a role is held to them
/// even where there is no policy, as field reports have it for access points with IAM.
pub(crate) fn may(state: &State, request: MountRequest<'_>, action: &str) -> bool {
    let MountRequest {
        file_system,
        access_point,
        role,
        tls,
    } = request;
    let Some(found) = state.efs.file_systems.get(file_system) else {
        return false;
    };
    let mut context = BTreeMap::from([
        ("aws:securetransport".to_owned(), tls.to_string()),
        ("elasticfilesystem:accessedviamounttarget".to_owned(), "true".to_owned()),
    ]);
    if let Some(id) = access_point {
        let arn = state.arn("elasticfilesystem", &format!("access-point/{id}"));
        context.insert("elasticfilesystem:accesspointarn".to_owned(), arn);
    }
    let arn = state.arn("elasticfilesystem", &format!("file-system/{file_system}"));
    let action = format!("elasticfilesystem:{action}");
    let question = Question {
        principal: role,
        action: &action,
        resource: &arn,
        context,
    };
    if role.is_none() && found.policy.is_none() {
        return true;
    }
    let policy = found.policy.as_ref().map(|policy| with_names(state, policy));
    let own = role
        .map(|role| iam::effective_policies(state, role))
        .unwrap_or_default();
    let verdicts = own
        .iter()
        .map(|document| identity_verdict(document, &question))
        .chain(policy.iter().map(|document| resource_verdict(document, &question)));
    verdicts.max() == Some(Verdict::Allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Delays};
    use crate::world::{MAINTENANCE_GROUP, SUBNETS, TASK_GROUP, TASK_ROLE, trigpointing};
    use crate::{LocalAws, Service, efs};
    use serde_json::{Value, json};
    use std::net::Ipv4Addr;
    use std::time::Duration;

    const ROLE: &str = "arn:aws:iam::123456789012:role/trigpointing-ecs-task-role";

    struct Scene {
        aws: LocalAws,
        file_system: String,
        access_point: String,
    }

    fn scene(delays: Delays) -> Scene {
        let aws = LocalAws::new(Config {
            delays,
            ..Config::default()
        });
        trigpointing(&aws);
        let made = |operation, input: Value, id| {
            let answer = aws.call(Service::Efs, operation, &input).unwrap();
            answer[id].as_str().unwrap().to_owned()
        };
        let file_system = made("CreateFileSystem", json!({ "CreationToken": "t" }), "FileSystemId");
        let input = json!({ "ClientToken": "p", "FileSystemId": file_system });
        let access_point = made("CreateAccessPoint", input, "AccessPointId");
        let input =
            json!({ "FileSystemId": file_system, "SubnetId": SUBNETS[0].0, "SecurityGroups": [MAINTENANCE_GROUP] });
        made("CreateMountTarget", input, "MountTargetId");
        Scene {
            aws,
            file_system,
            access_point,
        }
    }

    fn instant_file_systems() -> Delays {
        Delays {
            iam_propagation: 10.0,
            dns: 90.0,
            ..Delays::zero()
        }
    }

    impl Scene {
        fn may(&self, role: Option<&str>, through: &str) -> bool {
            let request = MountRequest {
                file_system: &self.file_system,
                access_point: Some(through),
                role,
                tls: true,
            };
            may(&self.aws.state(), request, "ClientMount")
        }

        fn allow(&self, access_point: &str) {
            let arn = self
                .aws
                .state()
                .arn("elasticfilesystem", &format!("access-point/{access_point}"));
            let document = json!({ "Version": "2012-10-17", "Statement": {
                "Effect": "Allow", "Action": "elasticfilesystem:Client*", "Resource": "*",
                "Condition": { "StringEquals": { "elasticfilesystem:AccessPointArn": arn } },
            } });
            let input = json!({ "RoleName": TASK_ROLE, "PolicyName": "p", "PolicyDocument": document.to_string() });
            self.aws.call(Service::Iam, "PutRolePolicy", &input).unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_may_mount_through_its_access_point_once_the_policy_has_propagated() {
        let scene = scene(instant_file_systems());
        assert!(!scene.may(Some(ROLE), &scene.access_point));
        scene.allow(&scene.access_point);
        assert!(!scene.may(Some(ROLE), &scene.access_point));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(scene.may(Some(ROLE), &scene.access_point));
        assert!(!scene.may(Some(ROLE), "fsap-0123456789abcdef0"));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_kept_out_without_a_policy_and_anonymous_clients_are_with_one() {
        let scene = scene(instant_file_systems());
        assert!(scene.may(None, &scene.access_point));
        let policy = json!({ "Statement": [{ "Effect": "Allow", "Principal": { "AWS": ROLE }, "Action": "elasticfilesystem:*" }] });
        let input = json!({ "FileSystemId": scene.file_system, "Policy": policy.to_string() });
        scene.aws.call(Service::Efs, "PutFileSystemPolicy", &input).unwrap();
        assert!(!scene.may(None, &scene.access_point));
        assert!(
            scene.may(Some(ROLE), &scene.access_point),
            "the file system allows what no role policy does"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_made_again_is_another_for_the_file_system_policy() {
        let scene = scene(Delays::zero());
        let policy = json!({ "Statement": [{ "Effect": "Allow", "Principal": { "AWS": ROLE }, "Action": "elasticfilesystem:*" }] });
        let input = json!({ "FileSystemId": scene.file_system, "Policy": policy.to_string() });
        scene.aws.call(Service::Efs, "PutFileSystemPolicy", &input).unwrap();
        assert!(scene.may(Some(ROLE), &scene.access_point));
        let role = json!({ "RoleName": TASK_ROLE, "AssumeRolePolicyDocument": "{}" });
        scene.aws.call(Service::Iam, "DeleteRole", &role).unwrap();
        scene.aws.call(Service::Iam, "CreateRole", &role).unwrap();
        assert!(!scene.may(Some(ROLE), &scene.access_point));
        let asked = json!({ "FileSystemId": scene.file_system });
        let found = scene
            .aws
            .call(Service::Efs, "DescribeFileSystemPolicy", &asked)
            .unwrap();
        assert!(found["Policy"].as_str().unwrap().contains("AROA"), "{found}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_mount_target_is_found_by_name_when_old_enough_and_reached_when_a_rule_lets_in() {
        let scene = scene(instant_file_systems());
        let look = || {
            let state = scene.aws.state();
            let target = efs::mount_target_in_zone(&state, &scene.file_system, "eu-west-1a").unwrap();
            let groups = [TASK_GROUP.to_owned()];
            let open = efs::nfs_open(&state, &groups, Ipv4Addr::new(127, 77, 16, 200), target);
            (efs::name_resolves(&state, target), open)
        };
        assert_eq!(look(), (false, false));
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(look(), (true, false));
        let rule = json!({ "GroupId": MAINTENANCE_GROUP, "IpPermissions": [{
            "IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "UserIdGroupPairs": [{ "GroupId": TASK_GROUP }],
        }] });
        scene
            .aws
            .call(Service::Ec2, "AuthorizeSecurityGroupIngress", &rule)
            .unwrap();
        assert_eq!(look(), (true, true));
        assert!(efs::mount_target_in_zone(&scene.aws.state(), &scene.file_system, "eu-west-1b").is_none());
    }
}
