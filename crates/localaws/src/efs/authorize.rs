//! Who may do what with a file system through a mount.

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
    let own = role
        .map(|role| iam::effective_policies(state, role))
        .unwrap_or_default();
    let verdicts = own.iter().map(|document| identity_verdict(document, &question)).chain(
        found
            .policy
            .iter()
            .map(|document| resource_verdict(document, &question)),
    );
    verdicts.max() == Some(Verdict::Allowed)
}
