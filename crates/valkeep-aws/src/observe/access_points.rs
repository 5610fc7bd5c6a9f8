//! Access points: ours, the one that a document takes, and the others beside it.

use super::PAGES_MAX;
use super::efs::{efs_tags, life_cycle};
use crate::clients::Inner;
use crate::convert::{id, some, unexpected};
use crate::error::Named;
use aws_sdk_efs::types::AccessPointDescription;
use valkeep_core::Desired;
use valkeep_core::failure::Failure;
use valkeep_core::ids::{AccessPointId, FileSystemId};
use valkeep_core::observed::{AccessPoint, LifeCycle};

pub(super) const POINTS_CALL: &str = "elasticfilesystem:DescribeAccessPoints";

/// The access point that the document takes, or else ours: the one with our token, or else one with our owner tag. And
/// all access points of the file system.
pub(super) async fn access_points(
    aws: &Inner,
    desired: &Desired,
    file_system: &FileSystemId,
) -> Result<(Option<AccessPoint>, Vec<AccessPoint>), Failure> {
    let mut all = list_access_points(aws, desired, file_system).await?;
    let Some(id) = &desired.access_point.taken else {
        let ours = ours(desired, &mut all);
        return Ok((ours, all.into_iter().map(|(_, point)| point).collect()));
    };
    let mut all: Vec<AccessPoint> = all.into_iter().map(|(_, point)| point).collect();
    let found = if let Some(at) = all.iter().position(|point| point.id == *id) {
        Some(all.swap_remove(at))
    } else {
        // On another file system, or nowhere.
        aws.cache.access_points.forget(id);
        describe_access_point(aws, desired, id).await?
    };
    Ok((found, all))
}

/// Our access point of this file system: the one with our token, or else one with our owner tag.
pub(crate) async fn find_access_point(
    aws: &Inner,
    desired: &Desired,
    file_system: &FileSystemId,
) -> Result<Option<AccessPoint>, Failure> {
    let mut all = list_access_points(aws, desired, file_system).await?;
    Ok(ours(desired, &mut all))
}

/// Takes ours out of all. One that goes away counts least; then the token decides, then the id, so that the choice never
/// flips.
fn ours(desired: &Desired, all: &mut Vec<(bool, AccessPoint)>) -> Option<AccessPoint> {
    let at = all
        .iter()
        .enumerate()
        .filter(|(_, (has_token, point))| *has_token || desired.identity.owns(&point.tags))
        .min_by_key(|(_, (has_token, point))| (point.state == LifeCycle::Deleting, !*has_token, point.id.clone()))
        .map(|(at, _)| at)?;
    Some(all.remove(at).1)
}

/// The access point with this id, on whatever file system it is.
pub(super) async fn describe_access_point(
    aws: &Inner,
    desired: &Desired,
    id: &AccessPointId,
) -> Result<Option<AccessPoint>, Failure> {
    let answer = aws
        .efs
        .describe_access_points()
        .access_point_id(id.as_str())
        .send()
        .await;
    let answer = match answer.named(POINTS_CALL) {
        Err(failure) if failure.code == "AccessPointNotFound" => return Ok(None),
        answer => answer?,
    };
    let Some(found) = answer.access_points().first() else {
        return Ok(None);
    };
    let found = access_point(POINTS_CALL, desired, found)?;
    Ok((found.state != LifeCycle::Deleted).then_some(found))
}

/// All access points of the file system that are not gone, each with whether it has our token.
async fn list_access_points(
    aws: &Inner,
    desired: &Desired,
    file_system: &FileSystemId,
) -> Result<Vec<(bool, AccessPoint)>, Failure> {
    const CALL: &str = POINTS_CALL;
    let token = desired.identity.access_point_token(file_system.as_str());
    let mut all = Vec::new();
    let mut page: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let answer = aws
            .efs
            .describe_access_points()
            .file_system_id(file_system.as_str())
            .max_results(100)
            .set_next_token(page)
            .send()
            .await
            .named(CALL)?;
        for found in answer.access_points() {
            let has_token = found.client_token() == Some(&token);
            let found = access_point(CALL, desired, found)?;
            if found.state != LifeCycle::Deleted {
                all.push((has_token, found));
            }
        }
        page = answer
            .next_token()
            .filter(|token| !token.is_empty())
            .map(ToOwned::to_owned);
        if page.is_none() {
            return Ok(all);
        }
    }
    Err(unexpected(CALL, "the listing does not end"))
}

/// Reads a description.
pub(crate) fn access_point(
    call: &str,
    desired: &Desired,
    found: &AccessPointDescription,
) -> Result<AccessPoint, Failure> {
    let name = some(call, "access point id", found.access_point_id())?;
    let identity = &desired.identity;
    let arn = found.access_point_arn().map_or_else(
        || {
            format!(
                "arn:{}:elasticfilesystem:{}:{}:access-point/{name}",
                desired.partition, identity.region, identity.account
            )
        },
        ToOwned::to_owned,
    );
    // EFS takes 0 to 4294967295, so the model says `long`.
    let number = |value: i64| {
        u32::try_from(value).map_err(|_| unexpected(call, &format!("user or group {value} of access point {name}")))
    };
    let user = found.posix_user();
    let root = found.root_directory();
    let made = root.and_then(|root| root.creation_info());
    Ok(AccessPoint {
        id: id(call, AccessPointId::parse(name))?,
        arn,
        file_system: id(call, FileSystemId::parse(found.file_system_id().unwrap_or_default()))?,
        state: life_cycle(call, some(call, "state", found.life_cycle_state())?)?,
        path: root.and_then(|root| root.path()).unwrap_or("/").to_owned(),
        uid: user.map(|user| number(user.uid())).transpose()?,
        gid: user.map(|user| number(user.gid())).transpose()?,
        permissions: made.map(|made| made.permissions().to_owned()),
        owner_uid: made.map(|made| number(made.owner_uid())).transpose()?,
        owner_gid: made.map(|made| number(made.owner_gid())).transpose()?,
        tags: efs_tags(found.tags()),
    })
}
