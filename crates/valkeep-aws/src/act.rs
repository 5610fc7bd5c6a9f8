//! Does one step. Decides nothing: the step names the new value, and acting only makes it so.
//!
//! Every step is idempotent. The SDK repeats a call whose answer was lost, so "it exists already" often is our own
//! doing; it counts as success once the resource is seen to carry our tag or token.

mod ec2;
mod ecs;
mod efs;
mod iam;
mod logs;

use crate::clients::Inner;
use crate::observe::forget_subnets;
use valkeep_core::failure::FailureKind;
use valkeep_core::{Desired, Done, Failure, Step};

/// Does `step` for `desired`.
pub(crate) async fn act(aws: &Inner, desired: &Desired, step: &Step) -> Result<Done, Failure> {
    let done = dispatch(aws, desired, step).await;
    if let Err(failure) = &done {
        let names_subnets = matches!(
            step,
            Step::CreateMountTarget { .. } | Step::CreateService { .. } | Step::UpdateService { .. }
        );
        if names_subnets && matches!(failure.kind, FailureKind::NotFound | FailureKind::Rejected) {
            forget_subnets(aws, desired);
        }
    }
    done
}

async fn dispatch(aws: &Inner, desired: &Desired, step: &Step) -> Result<Done, Failure> {
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
