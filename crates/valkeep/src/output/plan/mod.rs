//! A plan as people and machines read it. The JSON is a promise: fields are added, never changed.

mod diff;
mod steps;
mod text;

pub(crate) use text::text;

use crate::exit::Exit;
use serde::Serialize;
use serde_json::Value;
use valkeep_core::{Desired, Hold, HoldKind, Observed, Resource, Timestamp};
use valkeep_plan::Forecast;

/// The whole way to the document: the first stage is what is done now, each next one follows from the answers to the
/// one before.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlanView {
    document: String,
    account: String,
    region: String,
    cluster: String,
    service: String,
    installation: String,
    mode: &'static str,
    /// The document asks for its deletion.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deletion: bool,
    outcome: Outcome,
    summary: Summary,
    stages: Vec<Stage>,
    /// What is still held when every stage is done, as far as it can be foreseen.
    left: Vec<HoldView>,
}

/// What it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Outcome {
    /// Everything is as the document says.
    Nothing,
    /// Nothing to do now; AWS is still at work.
    Waiting,
    /// There is something to do.
    Changes,
    /// Nothing to do without a person.
    Stalled,
    /// Something could not be looked at, so the plan may be missing a part.
    Unknown,
}

#[derive(Debug, Default, Serialize)]
struct Summary {
    create: usize,
    change: usize,
    remove: usize,
    /// Of those, what is done now.
    now: usize,
    /// Holds of the first stage, notices left out.
    held: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stage {
    steps: Vec<StepView>,
    holds: Vec<HoldView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<Timestamp>,
}

/// One step.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct StepView {
    change: Verb,
    resource: String,
    /// Name or id.
    name: String,
    /// The call in IAM's spelling.
    action: &'static str,
    fields: Vec<Field>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Verb {
    Create,
    Change,
    Remove,
}

/// One value that a step sets; `from` is null where there was none, `to` where it goes.
#[derive(Debug, PartialEq, Serialize)]
struct Field {
    path: String,
    from: Value,
    to: Value,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct HoldView {
    resource: String,
    kind: HoldKind,
    reason: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

impl PlanView {
    /// Puts the planner's forecast in words. `observed` is what was seen, for the values that a step replaces.
    pub(crate) fn new(desired: &Desired, observed: &Observed, forecast: &Forecast) -> Self {
        let Forecast { stages, left } = forecast;
        let running = observed.running_definition.present();
        let views: Vec<Stage> = stages
            .iter()
            .map(|plan| Stage {
                steps: plan.steps.iter().map(|step| steps::view(step, running)).collect(),
                holds: plan.holds.iter().map(hold).collect(),
                retry_at: plan.retry_at,
            })
            .collect();
        let count = |change: Verb| {
            let steps = views.iter().flat_map(|stage| &stage.steps);
            steps.filter(|step| step.change == change).count()
        };
        let first = stages.first().map_or(&[][..], |plan| &plan.holds);
        let summary = Summary {
            create: count(Verb::Create),
            change: count(Verb::Change),
            remove: count(Verb::Remove),
            now: views.first().map_or(0, |stage| stage.steps.len()),
            held: first.iter().filter(|hold| hold.kind != HoldKind::Notice).count(),
        };
        Self {
            document: desired.document.clone(),
            account: desired.identity.account.clone(),
            region: desired.identity.region.clone(),
            cluster: desired.identity.cluster.clone(),
            service: desired.identity.service.clone(),
            installation: desired.identity.installation.clone(),
            mode: desired.mode.as_str(),
            deletion: desired.deletion.is_some(),
            outcome: outcome(&summary, first),
            summary,
            stages: views,
            left: left.iter().map(hold).collect(),
        }
    }

    /// The exit code that goes with it.
    pub(crate) fn exit(&self) -> Exit {
        match self.outcome {
            Outcome::Nothing | Outcome::Waiting => Exit::Ok,
            Outcome::Changes => Exit::Changes,
            Outcome::Stalled => Exit::NotReady,
            Outcome::Unknown => Exit::Error,
        }
    }
}

/// Only what was really looked at decides: later stages are imagined.
fn outcome(summary: &Summary, first: &[Hold]) -> Outcome {
    let Summary {
        create,
        change,
        remove,
        now: _,
        held: _,
    } = summary;
    // A Valkey that cannot be reached from here, as from most laptops, blocks nothing on the AWS side.
    let blind = |hold: &&Hold| hold.kind == HoldKind::Unknown && hold.resource != Resource::Valkey;
    if first.iter().any(|hold| blind(&hold)) {
        Outcome::Unknown
    } else if create + change + remove > 0 {
        Outcome::Changes
    } else if first.iter().any(|hold| hold.kind == HoldKind::Stalled) {
        Outcome::Stalled
    } else if first.iter().any(|hold| hold.kind == HoldKind::Waiting) {
        Outcome::Waiting
    } else {
        Outcome::Nothing
    }
}

fn hold(hold: &Hold) -> HoldView {
    let Hold {
        resource,
        kind,
        reason,
        message,
        hint,
        until,
    } = hold;
    HoldView {
        resource: resource.to_string(),
        kind: *kind,
        reason: reason.to_string(),
        message: message.clone(),
        hint: hint.clone(),
        until: *until,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use valkeep_core::HoldReason;

    fn held(resource: Resource, kind: HoldKind) -> Hold {
        Hold {
            resource,
            kind,
            reason: HoldReason::Dependency,
            message: "the reason".into(),
            hint: None,
            until: None,
        }
    }

    #[test]
    fn a_plan_comes_to_what_was_really_looked_at() {
        let some = Summary {
            create: 1,
            ..Summary::default()
        };
        let none = Summary::default();
        let of = |summary: &Summary, resource, kind| outcome(summary, &[held(resource, kind)]);
        assert_eq!(outcome(&none, &[]), Outcome::Nothing);
        assert_eq!(outcome(&some, &[]), Outcome::Changes);
        assert_eq!(of(&none, Resource::Service, HoldKind::Notice), Outcome::Nothing);
        assert_eq!(of(&none, Resource::Service, HoldKind::Waiting), Outcome::Waiting);
        assert_eq!(of(&none, Resource::Service, HoldKind::Stalled), Outcome::Stalled);
        assert_eq!(of(&some, Resource::Service, HoldKind::Stalled), Outcome::Changes);
        assert_eq!(of(&some, Resource::Service, HoldKind::Unknown), Outcome::Unknown);
        assert_eq!(of(&none, Resource::Valkey, HoldKind::Unknown), Outcome::Nothing);
    }
}
