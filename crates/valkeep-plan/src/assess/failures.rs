//! Turns a failed step into a hold with a next step.

use crate::describe_step;
use crate::draft::{allow, later};
use valkeep_core::{Desired, FailureKind, Hold, HoldKind, HoldReason, Step, StepFailure, Timestamp};

/// When a throughput change that EFS refused is tried again: AWS does not say when the 24 hours began.
const COOLDOWN_LOOK_S: i64 = 60 * 60;

/// A failed step of this document as a hold. The next pass tries again in any case; a stalled one slowly.
pub fn hold_for(desired: &Desired, failed: &StepFailure, now: Timestamp) -> Hold {
    let StepFailure { step, failure } = failed;
    let text = describe_step(step);
    let call = &failure.call;
    let again = "nothing: valkeep tries again".to_owned();
    let (kind, reason, hint, until) = match failure.kind {
        _ if matches!(step, Step::ChangeServer { .. }) => told(failure.kind),
        FailureKind::AccessDenied => (
            HoldKind::Stalled,
            HoldReason::AccessDenied,
            format!(
                "{}; just after a change IAM needs a minute",
                allow(&desired.place, call)
            ),
            None,
        ),
        FailureKind::Throttled => (HoldKind::Waiting, HoldReason::Throttled, again, None),
        FailureKind::ServerError => (HoldKind::Waiting, HoldReason::ServerError, again, None),
        FailureKind::NoAnswer => (
            HoldKind::Waiting,
            HoldReason::Unreachable,
            "valkeep looks whether it was done and tries again; if it stays so, check route and DNS to the endpoint"
                .to_owned(),
            None,
        ),
        FailureKind::NotNow if matches!(step, Step::DeleteSecurityGroup { .. }) => (
            HoldKind::Waiting,
            HoldReason::InUse,
            format!(
                "interfaces of deleted mount targets go within minutes, and valkeep tries again; if it stays so, something \
                 else has the group or a rule of another group names it: aws ec2 describe-network-interfaces --filters \
                 Name=group-id,Values={}",
                text.id
            ),
            None,
        ),
        FailureKind::NotNow => (HoldKind::Waiting, HoldReason::Creating, again, None),
        FailureKind::NotFound => (
            HoldKind::Waiting,
            HoldReason::NotFound,
            "check the name or id in the document; what was just made AWS may show later, and valkeep tries again"
                .to_owned(),
            None,
        ),
        FailureKind::NotOurs => (
            HoldKind::Stalled,
            HoldReason::NotOurs,
            "rename or remove what has the name; a file system or an access point can be taken by its id in spec.fileSystem"
                .to_owned(),
            None,
        ),
        FailureKind::Rejected => (
            HoldKind::Stalled,
            HoldReason::Rejected,
            "correct the document as AWS's message says".to_owned(),
            None,
        ),
        FailureKind::SettingsLost => (
            HoldKind::Stalled,
            HoldReason::SettingsWouldBeLost,
            "take the setting out of the base definition, or use a valkeep that knows it; nothing was rolled out"
                .to_owned(),
            None,
        ),
        FailureKind::LimitExceeded => (
            HoldKind::Stalled,
            HoldReason::LimitExceeded,
            "ask AWS for a higher quota, or remove what is not needed".to_owned(),
            None,
        ),
        FailureKind::Cooldown => (
            HoldKind::Waiting,
            HoldReason::ThroughputCooldown,
            "nothing: EFS allows one such change in 24 hours, and valkeep tries again each hour".to_owned(),
            Some(later(now, COOLDOWN_LOOK_S)),
        ),
        FailureKind::Other => (
            HoldKind::Waiting,
            HoldReason::CallFailed,
            "see AWS's message; valkeep tries again".to_owned(),
            None,
        ),
    };
    Hold {
        resource: step.resource(),
        kind,
        reason,
        message: format!(
            "could not {} {} {}: {call}: {}: {}",
            text.verb, text.resource, text.id, failure.code, failure.message
        ),
        hint: Some(hint),
        until,
    }
}

/// A server that did not do what it was told.
fn told(kind: FailureKind) -> (HoldKind, HoldReason, String, Option<Timestamp>) {
    match kind {
        FailureKind::AccessDenied => (
            HoldKind::Stalled,
            HoldReason::AccessDenied,
            "let the user that valkeep connects as run INFO, CONFIG and BGSAVE".to_owned(),
            None,
        ),
        FailureKind::NoAnswer | FailureKind::NotNow => (
            HoldKind::Waiting,
            HoldReason::ServerUnreachable,
            "nothing: valkeep looks again".to_owned(),
            None,
        ),
        FailureKind::Rejected => (
            HoldKind::Stalled,
            HoldReason::Rejected,
            "correct the document as the server's message says".to_owned(),
            None,
        ),
        _ => (
            HoldKind::Waiting,
            HoldReason::CallFailed,
            "see the server's message; valkeep tries again".to_owned(),
            None,
        ),
    }
}
