//! Says how far a deletion has come. A document that asks for its deletion is never Ready; what it waits for is `Deleted`.

use super::{Verdict, is_stalled, messages, step_words};
use valkeep_core::{ConditionStatus, Hold, HoldKind, HoldReason, Plan, Step};

/// The reason of every condition while the deletion goes on.
pub(super) const DELETING: &str = "Deleting";
/// The reason of every condition when it is done.
pub(super) const DELETED: &str = "Deleted";

/// How far it is. `holds` are the plan's and those of failed steps.
pub(super) fn stage(plan: &Plan, holds: &[Hold]) -> &'static str {
    let done = plan.steps.is_empty() && holds.iter().all(|hold| hold.kind == HoldKind::Notice);
    if done { DELETED } else { DELETING }
}

/// A part of which nothing else is to be said than `notices`.
pub(super) fn part(plan: &Plan, holds: &[Hold], notices: &[&Hold]) -> Verdict {
    let stage = stage(plan, holds);
    let message = if !notices.is_empty() {
        messages(notices)
    } else if stage == DELETED {
        "nothing of valkeep's is left".to_owned()
    } else if holds.iter().any(is_stalled) {
        "waits until what is stalled is decided".to_owned()
    } else {
        "goes as the document asks, in its turn".to_owned()
    };
    Verdict::new(ConditionStatus::False, stage, message)
}

/// Of the server, when none can be asked.
pub(super) fn server(stage: &str) -> Verdict {
    Verdict::new(
        ConditionStatus::Unknown,
        stage,
        "the document asks for its deletion, and no server runs that could be asked",
    )
}

/// `Deleted`.
pub(super) fn deleted(plan: &Plan, holds: &[Hold]) -> Verdict {
    if stage(plan, holds) == DELETED {
        return Verdict::new(
            ConditionStatus::True,
            DELETED,
            format!(
                "everything that valkeep made is gone, and the document may be removed{}",
                but(holds)
            ),
        );
    }
    Verdict {
        status: ConditionStatus::False,
        ..ready(plan, holds)
    }
}

/// `Ready`, which a document that asks for its deletion never is.
pub(super) fn ready(plan: &Plan, holds: &[Hold]) -> Verdict {
    if stage(plan, holds) == DELETED {
        return Verdict::new(ConditionStatus::False, DELETED, "deleted, as the document asks");
    }
    let reason = holds
        .iter()
        .find(|hold| is_stalled(hold))
        .map_or_else(|| DELETING.to_owned(), |hold| hold.reason.to_string());
    Verdict::new(ConditionStatus::False, reason, telling(plan, holds))
}

/// One sentence for the status.
pub(super) fn phase(plan: &Plan, holds: &[Hold]) -> String {
    if let Some(hold) = holds.iter().find(|hold| is_stalled(hold)) {
        return format!("Stalled: {}", hold.message);
    }
    match stage(plan, holds) {
        DELETED => format!("Deleted: the document may be removed{}", but(holds)),
        _ => format!("Deleting: {}", telling(plan, holds)),
    }
}

/// What it needs a person for, waits for, cannot see or does next, in this order.
fn telling(plan: &Plan, holds: &[Hold]) -> String {
    [HoldKind::Stalled, HoldKind::Waiting, HoldKind::Unknown]
        .into_iter()
        .find_map(|kind| holds.iter().find(|hold| hold.kind == kind))
        .map(|hold| messages(&[hold]))
        .or_else(|| plan.steps.first().map(next))
        .unwrap_or_default()
}

fn next(step: &Step) -> String {
    format!("next: {}", step_words(step))
}

fn but(holds: &[Hold]) -> String {
    let kept: Vec<String> = holds
        .iter()
        .filter(|hold| hold.reason == HoldReason::Kept)
        .map(|hold| hold.message.clone())
        .collect();
    if kept.is_empty() {
        String::new()
    } else {
        format!("; {}", super::bounded(&kept))
    }
}
