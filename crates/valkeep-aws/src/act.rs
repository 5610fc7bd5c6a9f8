//! Does one step. Decides nothing: the step names the new value, and acting only makes it so.
//!
//! Every step is idempotent, and every call that changes something goes out once ([`crate::clients::Once`]): after a lost
//! answer the next pass looks. What it looked at may be older than the change, so "it exists already" often is our own
//! doing; it counts as success once the resource is seen to carry our tag or token.

mod ec2;
mod ecs;
mod efs;
mod iam;
mod logs;

use crate::clients::Inner;
use crate::observe::forget_network;
use valkeep_core::desired::Mode;
use valkeep_core::failure::FailureKind;
use valkeep_core::{Desired, Done, Failure, Step};

/// Does `step` for `desired`.
pub(crate) async fn act(aws: &Inner, desired: &Desired, step: &Step) -> Result<Done, Failure> {
    let done = dispatch(aws, desired, step).await;
    if let Err(failure) = &done {
        let names_network = matches!(
            step,
            Step::CreateMountTarget { .. }
                | Step::AuthorizeIngress { .. }
                | Step::CreateService { .. }
                | Step::UpdateService { .. }
        );
        if names_network && matches!(failure.kind, FailureKind::NotFound | FailureKind::Rejected) {
            forget_network(aws, desired);
        }
    }
    done
}

/// A document that is not enforced changes nothing, whoever asks.
fn refuse_unless_enforced(desired: &Desired, step: &Step) -> Result<(), Failure> {
    match desired.mode {
        Mode::Enforce => Ok(()),
        mode @ (Mode::Observe | Mode::Paused) => Err(Failure {
            call: step.action().to_owned(),
            kind: FailureKind::Rejected,
            code: "NotEnforced".to_owned(),
            message: format!(
                "the mode of the document is {}, and nothing was sent to AWS",
                mode.as_str()
            ),
        }),
    }
}

async fn dispatch(aws: &Inner, desired: &Desired, step: &Step) -> Result<Done, Failure> {
    refuse_unless_enforced(desired, step)?;
    match step {
        Step::CreateSecurityGroup {
            name,
            description,
            vpc,
            tags,
        } => ec2::create_security_group(aws, desired, name, description, vpc, tags).await,
        Step::AuthorizeIngress {
            group,
            source,
            description,
        } => ec2::authorize(aws, group, source, description).await,
        Step::RevokeIngress {
            group,
            source,
            description,
        } => ec2::revoke(aws, group, source, description).await,

        Step::CreateFileSystem {
            token,
            encrypted,
            kms_key,
            performance,
            throughput,
            backups,
            tags,
        } => {
            let request = aws
                .once
                .efs
                .create_file_system()
                .creation_token(token)
                .encrypted(*encrypted)
                .set_kms_key_id(kms_key.clone())
                .performance_mode(efs::performance(*performance))
                .throughput_mode(efs::throughput(*throughput))
                .set_provisioned_throughput_in_mibps(throughput.mibps())
                .backup(*backups);
            efs::create_file_system(aws, desired, request, token, tags).await
        }
        Step::UpdateThroughput {
            id,
            from: _,
            to,
            changed_at,
        } => efs::update_throughput(aws, id, *to, *changed_at).await,
        Step::PutLifecycle { id, from: _, to } => efs::put_lifecycle(aws, id, to.as_deref()).await,
        Step::PutBackups { id, from: _, to } => efs::put_backups(aws, id, *to).await,
        Step::PutFileSystemPolicy { id, from: _, to } => efs::put_policy(aws, id, to).await,
        Step::DeleteFileSystemPolicy { id, from: _ } => efs::delete_policy(aws, id).await,
        Step::CreateMountTarget {
            file_system,
            subnet,
            zone_id,
            groups,
        } => efs::create_mount_target(aws, file_system, subnet, zone_id, groups).await,
        Step::SetMountTargetGroups { id, from: _, to } => efs::set_groups(aws, id, to).await,
        Step::CreateAccessPoint {
            token,
            file_system,
            path,
            uid,
            gid,
            permissions,
            tags,
        } => {
            let request = aws
                .once
                .efs
                .create_access_point()
                .client_token(token)
                .file_system_id(file_system.as_str());
            let request = efs::directory(request, path, *uid, *gid, permissions)?;
            efs::create_access_point(aws, desired, request, file_system, tags).await
        }

        Step::PutRolePolicy {
            role,
            policy,
            from: _,
            to,
        } => iam::put_role_policy(aws, role, policy, to).await,

        Step::CreateLogGroup {
            name,
            retention_days,
            tags,
        } => logs::create(aws, desired, name, *retention_days, tags).await,
        Step::PutRetention { name, from: _, to } => logs::put_retention(aws, name, *to).await,

        Step::RegisterTaskDefinition { definition, tags } => ecs::register(aws, desired, definition, tags).await,
        Step::RegisterRevision {
            from: _,
            definition,
            tags,
        } => ecs::register_revision(aws, definition, tags).await,
        Step::CreateService { .. } => ecs::create_service(aws, desired, step).await,
        Step::UpdateService { .. } => ecs::update_service(aws, step).await,
        Step::StartService { cluster, name, arn } => ecs::start_service(aws, desired, cluster, name, arn).await,
        Step::SetDesired {
            cluster,
            name,
            from: _,
            to,
        } => ecs::set_desired(aws, cluster, name, *to).await,
        Step::ClearStarting { arn } => ecs::clear_starting(aws, arn).await,

        Step::StopService {
            cluster,
            name,
            arn,
            from: _,
        } => ecs::stop_service(aws, cluster, name, arn).await,
        Step::DeleteService { cluster, name, .. } => ecs::delete_service(aws, cluster, name).await,
        Step::DeregisterTaskDefinition { arn, .. } => ecs::deregister(aws, arn).await,
        Step::ChangeServer { change, .. } => Err(Failure {
            call: change.command().to_owned(),
            kind: FailureKind::Rejected,
            code: "NotAws".to_owned(),
            message: "AWS was given what is for a server".to_owned(),
        }),
        Step::DeleteAccessPoint { id, .. } => efs::delete_access_point(aws, id).await,
        Step::DeleteMountTarget { id, .. } => efs::delete_mount_target(aws, id).await,
        Step::DeleteFileSystem { id, .. } => efs::delete_file_system(aws, desired, id).await,
        Step::DeleteRolePolicy { role, policy, .. } => iam::delete_role_policy(aws, role, policy).await,
        Step::DeleteSecurityGroup { id, .. } => ec2::delete_security_group(aws, id).await,

        Step::Tag {
            resource,
            id,
            set,
            remove,
        } => tag(aws, desired, *resource, id, set, remove).await,
    }
}

/// Writes and removes tags through the service that the resource belongs to.
async fn tag(
    aws: &Inner,
    desired: &Desired,
    resource: valkeep_core::Resource,
    id: &str,
    set: &valkeep_core::Tags,
    remove: &[String],
) -> Result<Done, Failure> {
    use valkeep_core::Resource;
    match resource {
        // They carry no marks that would ever go, so valkeep needs no right to take tags away there.
        Resource::SecurityGroup | Resource::LogGroup if !remove.is_empty() => {
            return Err(Failure {
                call: "tagging".to_owned(),
                kind: FailureKind::Rejected,
                code: "NotPlanned".to_owned(),
                message: format!("valkeep takes no tags off a {resource}: {}", remove.join(", ")),
            });
        }
        Resource::SecurityGroup => ec2::tag(aws, id, set).await?,
        Resource::Service | Resource::TaskDefinition => ecs::tag(aws, id, set, remove).await?,
        Resource::LogGroup => logs::tag(aws, desired, id, set).await?,
        // What is left has tags only in EFS: the file system and the access point.
        _ => efs::tag(aws, id, set, remove).await?,
    }
    Ok(Done::Changed)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Calls that change something go out once; reading ones may be repeated by the SDK.
    #[test]
    fn every_call_that_changes_something_goes_through_a_client_that_never_tries_again() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/act");
        let files = fs::read_dir(folder).expect("a folder of this crate");
        let mut paths: Vec<_> = files.map(|entry| entry.expect("an entry").path()).collect();
        paths.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/act.rs"));
        let reading = ["describe", "list", "get", "discover", "simulate"];
        let mut seen = 0;
        for path in paths {
            let text = fs::read_to_string(&path).expect("a readable source");
            let text: String = text
                .split("#[cfg(test)]")
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .collect();
            for client in ["ec2", "ecs", "efs", "iam", "logs", "registry", "s3", "ssm"] {
                for (at, found) in text.match_indices(&format!(".{client}.")) {
                    let call: String = text[at + found.len()..].chars().take(40).collect();
                    if !reading.iter().any(|verb| call.starts_with(verb)) {
                        seen += 1;
                        assert!(
                            text[..at].strip_suffix(".once").is_some(),
                            "{}: .{client}.{call}",
                            path.display()
                        );
                    }
                }
            }
            assert!(!text.contains("send_with(&aws.e"), "{}", path.display());
        }
        assert!(seen > 15, "{seen}");
    }
}
