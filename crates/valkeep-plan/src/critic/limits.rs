//! Refuses steps outside of what the operator permits. Reads the patterns with an eye of its own.

use super::{Court, Rule};
use valkeep_core::limits::Kind;
use valkeep_core::{RawDefinition, Step, TaskDefinition};

/// Objects to everything that a step would touch and the operator does not permit. Steps that name nothing of their own
/// are judged by the place they are in.
pub(super) fn examine_limits(court: &mut Court, step: &Step) {
    let identity = &court.desired.identity;
    within(court, Kind::Region, &identity.region);
    within(court, Kind::Cluster, &identity.cluster);
    if let Some(role) = &court.desired.place.role {
        within(court, Kind::AssumedRole, role.arn.as_str());
    }
    match step {
        Step::AuthorizeIngress { source, .. } => within(court, Kind::SecurityGroup, source.as_str()),
        Step::PutRolePolicy { role, .. } | Step::DeleteRolePolicy { role, .. } => within(court, Kind::Role, role),
        Step::RegisterTaskDefinition { definition, .. } => own(court, definition),
        Step::RegisterRevision { definition, .. } => whole(court, definition),
        Step::CreateService {
            cluster,
            settings,
            task_definition,
            ..
        } => {
            within(court, Kind::Cluster, cluster);
            groups(court, settings);
            runs(court, task_definition);
        }
        Step::UpdateService {
            cluster,
            to,
            to_definition,
            ..
        } => {
            within(court, Kind::Cluster, cluster);
            groups(court, to);
            runs(court, to_definition);
        }
        Step::StartService { cluster, .. }
        | Step::StopService { cluster, .. }
        | Step::DeleteService { cluster, .. }
        | Step::SetDesired { cluster, .. } => within(court, Kind::Cluster, cluster),
        // On what carries our own tag, which was only ever put within limits. Taking access or a policy away, and the
        // tags of ours, name nobody else's things.
        Step::CreateSecurityGroup { .. }
        | Step::RevokeIngress { .. }
        | Step::CreateFileSystem { .. }
        | Step::UpdateThroughput { .. }
        | Step::PutLifecycle { .. }
        | Step::PutBackups { .. }
        | Step::PutFileSystemPolicy { .. }
        | Step::DeleteFileSystemPolicy { .. }
        | Step::CreateMountTarget { .. }
        | Step::SetMountTargetGroups { .. }
        | Step::CreateAccessPoint { .. }
        | Step::CreateLogGroup { .. }
        | Step::PutRetention { .. }
        | Step::ClearStarting { .. }
        | Step::ChangeServer { .. }
        | Step::DeleteAccessPoint { .. }
        | Step::DeleteMountTarget { .. }
        | Step::DeleteFileSystem { .. }
        | Step::DeleteSecurityGroup { .. }
        | Step::DeregisterTaskDefinition { .. }
        | Step::Tag { .. } => {}
    }
}

fn groups(court: &mut Court, settings: &valkeep_core::observed::ServiceSettings) {
    for group in &settings.groups {
        within(court, Kind::SecurityGroup, group.as_str());
    }
}

/// A revision that a service is to run: what it holds counts, wherever it comes from.
fn runs(court: &mut Court, arn: &str) {
    let observed = court.observed;
    let family = observed.family.present().map(Vec::as_slice).unwrap_or_default();
    let found = family
        .iter()
        .chain(observed.running_definition.present())
        .chain(observed.base.present())
        .find(|found| found.arn == arn);
    match found.map(|found| (&found.raw, &found.definition)) {
        Some((Some(raw), _)) => whole(court, raw),
        Some((None, Some(definition))) => own(court, definition),
        // What nobody has seen is refused for other reasons.
        Some((None, None)) | None => {}
    }
}

fn own(court: &mut Court, definition: &TaskDefinition) {
    within(court, Kind::Image, &definition.container.image);
    for role in std::iter::once(&definition.task_role_arn).chain(&definition.execution_role_arn) {
        role_within(court, role);
    }
}

fn whole(court: &mut Court, definition: &RawDefinition) {
    let name = court.desired.server.container.clone();
    let image = definition
        .container(&name)
        .and_then(|container| container["image"].as_str());
    if let Some(image) = image {
        within(court, Kind::Image, image);
    }
    for role in ["taskRoleArn", "executionRoleArn"] {
        if let Some(role) = definition.text(role) {
            role_within(court, role);
        }
    }
}

fn role_within(court: &mut Court, role: &str) {
    let (_, name) = role.rsplit_once('/').unwrap_or(("", role));
    within(court, Kind::Role, name);
}

fn within(court: &mut Court, kind: Kind, value: &str) {
    let Some(patterns) = court.desired.limits.of(kind).patterns() else {
        return;
    };
    if !patterns
        .iter()
        .any(|pattern| covers(pattern.as_str().as_bytes(), value.as_bytes()))
    {
        court.object(
            Rule::WithinLimits,
            format!("the {kind} {value} is outside of what the operator permits"),
        );
    }
}

/// Letter by letter; after a mismatch the last star takes one letter more. At most the product of the two lengths.
fn covers(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(letter) if *letter == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((place, taken)) = star else {
                    return false;
                };
                star = Some((place, taken + 1));
                at = place + 1;
                seen = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|sign| *sign == b'*')
}

#[cfg(test)]
mod tests {
    use super::covers;
    use proptest::prelude::*;
    use valkeep_core::limits::Pattern;

    proptest! {
        #[test]
        fn both_readers_of_a_pattern_agree(pattern in "[ab*]{1,8}", text in "[ab]{0,10}") {
            let fits = Pattern::parse(&pattern).expect("a pattern").fits(&text);
            prop_assert_eq!(covers(pattern.as_bytes(), text.as_bytes()), fits);
        }
    }
}
