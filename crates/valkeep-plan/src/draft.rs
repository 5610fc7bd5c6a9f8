//! The plan while it is being made, and the wording of holds. Decides nothing by itself.

use jiff::SignedDuration;
use valkeep_core::ids::SubnetId;
use valkeep_core::{
    AssumedRole, Desired, Doubt, DoubtKind, Fact, Hold, HoldKind, HoldReason, Observed, Place, Plan, Resource, Step,
    Timestamp,
};

/// What the planner reads.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) desired: &'a Desired,
    pub(crate) observed: &'a Observed,
    pub(crate) now: Timestamp,
}

/// How soon a wait without a known end is looked at again: EFS and ECS states last seconds to minutes, and one look
/// is about a dozen reads.
const LOOK_AGAIN_S: i64 = 5;
/// How soon at the latest, when the wait has lasted long.
const LOOK_AGAIN_MOST_S: i64 = 60;

/// The call that fails where a role cannot be assumed.
const ASSUME_ROLE: &str = "sts:AssumeRole";

/// Steps and holds, gathered.
pub(crate) struct Draft<'a> {
    /// Whose permissions are the matter where one is lacking.
    place: &'a Place,
    steps: Vec<Step>,
    holds: Vec<Hold>,
    /// Since when the service's wait lasts.
    since: Option<Timestamp>,
    /// The server is being prepared to stop without a final save.
    keeps_writes_out: bool,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(place: &'a Place) -> Self {
        Self {
            place,
            steps: Vec::new(),
            holds: Vec::new(),
            since: None,
            keeps_writes_out: false,
        }
    }

    /// Since when something is under way: a tenth of that age later it is looked at again.
    pub(crate) fn under_way_since(&mut self, since: Option<Timestamp>) {
        self.since = since;
    }

    /// The server is being prepared to stop: what that has set stays set.
    pub(crate) fn keep_writes_out(&mut self) {
        self.keeps_writes_out = true;
    }

    /// Whether the server is being prepared to stop, or its service is changed now.
    pub(crate) fn is_stopping(&self) -> bool {
        self.keeps_writes_out || self.steps.iter().any(|step| step.resource() == Resource::Service)
    }

    /// Whether a definition is found or made first, for which the server is prepared to stop afterwards.
    pub(crate) fn is_registering(&self) -> bool {
        self.steps
            .iter()
            .any(|step| step.resource() == Resource::TaskDefinition)
    }

    pub(crate) fn step(&mut self, step: Step) {
        self.steps.push(step);
    }

    pub(crate) fn hold(&mut self, hold: Hold) {
        if !self.holds.contains(&hold) {
            self.holds.push(hold);
        }
    }

    pub(crate) fn waiting(&mut self, resource: Resource, reason: HoldReason, message: impl Into<String>) {
        self.hold(hold(resource, HoldKind::Waiting, reason, message));
    }

    pub(crate) fn waiting_until(
        &mut self,
        resource: Resource,
        reason: HoldReason,
        message: impl Into<String>,
        until: Timestamp,
    ) {
        let mut held = hold(resource, HoldKind::Waiting, reason, message);
        held.until = Some(until);
        self.hold(held);
    }

    pub(crate) fn stalled(
        &mut self,
        resource: Resource,
        reason: HoldReason,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let mut held = hold(resource, HoldKind::Stalled, reason, message);
        held.hint = Some(hint.into());
        self.hold(held);
    }

    pub(crate) fn notice(&mut self, resource: Resource, reason: HoldReason, message: impl Into<String>) {
        self.hold(hold(resource, HoldKind::Notice, reason, message));
    }

    pub(crate) fn notice_with_hint(
        &mut self,
        resource: Resource,
        reason: HoldReason,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let mut held = hold(resource, HoldKind::Notice, reason, message);
        held.hint = Some(hint.into());
        self.hold(held);
    }

    /// A hold for an unknown fact; `what` is like `the file system`.
    pub(crate) fn doubt(&mut self, resource: Resource, what: &str, doubt: &Doubt) {
        self.hold(doubt_hold(self.place, resource, what, doubt));
    }

    /// Turns every step into a hold: each resource is said once to wait.
    pub(crate) fn hold_every_step(&mut self, until: &str) {
        let mut waiting: Vec<Resource> = Vec::new();
        for step in std::mem::take(&mut self.steps) {
            let resource = step.resource();
            if !waiting.contains(&resource) {
                waiting.push(resource);
                self.waiting(
                    resource,
                    HoldReason::Dependency,
                    format!("the {resource} waits {until}"),
                );
            }
        }
    }

    /// Whether there is nothing to do and nothing to wait for.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.steps.is_empty() && self.holds.iter().all(|hold| hold.kind == HoldKind::Notice)
    }

    /// Whether anything held so far needs a person.
    pub(crate) fn is_stalled(&self) -> bool {
        self.holds.iter().any(|hold| hold.kind == HoldKind::Stalled)
    }

    /// Whether a resource is held until a person acts.
    pub(crate) fn is_stalled_on(&self, resource: Resource) -> bool {
        self.holds
            .iter()
            .any(|hold| hold.kind == HoldKind::Stalled && hold.resource == resource)
    }

    /// The finished plan.
    pub(crate) fn finish(self, now: Timestamp) -> Plan {
        let Self {
            place: _,
            steps,
            holds,
            since,
            keeps_writes_out: _,
        } = self;
        let age_s = since.map_or(0, |since| now.as_second() - since.as_second());
        let rollout_s = (age_s / 10).clamp(LOOK_AGAIN_S, LOOK_AGAIN_MOST_S);
        let retry_at = holds
            .iter()
            .filter_map(|hold| match (hold.until, hold.kind, hold.reason) {
                (Some(until), _, _) => Some(until),
                // What it waits for has a hold of its own, with its own end.
                (None, HoldKind::Waiting, HoldReason::Dependency) => None,
                (None, HoldKind::Waiting, HoldReason::RollingOut | HoldReason::TaskFailing) => {
                    Some(later(now, rollout_s))
                }
                (None, HoldKind::Waiting, _) => Some(later(now, LOOK_AGAIN_S)),
                (None, _, _) => None,
            })
            .min();
        Plan { steps, holds, retry_at }
    }
}

/// `from` and some seconds, kept within what a timestamp can hold.
pub(crate) fn later(from: Timestamp, seconds: i64) -> Timestamp {
    from.saturating_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}

/// Without the parts of a second, which nobody reads.
pub(crate) fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).expect("a timestamp's own seconds are within its range")
}

/// A hold without hint and end.
pub(crate) fn hold(resource: Resource, kind: HoldKind, reason: HoldReason, message: impl Into<String>) -> Hold {
    Hold {
        resource,
        kind,
        reason,
        message: message.into(),
        hint: None,
        until: None,
    }
}

/// An unknown fact in words.
pub(crate) fn doubt_hold(place: &Place, resource: Resource, what: &str, doubt: &Doubt) -> Hold {
    let Doubt { kind, call, message } = doubt;
    let (reason, hint) = match kind {
        DoubtKind::AccessDenied => (HoldReason::AccessDenied, allow(place, call)),
        DoubtKind::Throttled => (HoldReason::Throttled, "nothing: valkeep looks again".to_owned()),
        DoubtKind::Unreachable | DoubtKind::NotListening => (
            HoldReason::Unreachable,
            "check that valkeep reaches the endpoint of this service: route, VPC endpoint, DNS".to_owned(),
        ),
        DoubtKind::NotLetIn => (HoldReason::ServerUnreachable, LET_IN.to_owned()),
        DoubtKind::ServerError => (HoldReason::ServerError, "nothing: valkeep looks again".to_owned()),
        DoubtKind::NotLooked => (HoldReason::Dependency, "nothing: valkeep looks again".to_owned()),
        DoubtKind::Other => (HoldReason::CallFailed, format!("see what {call} answered")),
    };
    Hold {
        resource,
        kind: HoldKind::Unknown,
        reason,
        message: format!("cannot tell the state of {what}: {call}: {message}"),
        hint: Some(hint),
        until: None,
    }
}

/// What to do about a server that does not let valkeep in.
pub(crate) const LET_IN: &str =
    "let spec.valkey.credentialsFrom name the server's password; a new one is read by itself";

/// What to do about a denied call.
pub(crate) fn allow(place: &Place, call: &str) -> String {
    let Some(AssumedRole { arn, external_id }) = &place.role else {
        return format!("allow {call} to the role that valkeep runs as");
    };
    if call != ASSUME_ROLE {
        return format!("allow {call} to the role that valkeep assumes, {arn}");
    }
    let condition = match external_id {
        Some(id) => format!(" with the external id `{id}` (sts:ExternalId)"),
        None => " without an external id".to_owned(),
    };
    format!(
        "allow {ASSUME_ROLE} on {arn} to the role that valkeep runs as, and let the trust policy of {arn} name that role\
         {condition}"
    )
}

/// `a, b and c`.
pub(crate) fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

impl<'a> Input<'a> {
    /// Whether tags say that this document's identity made the resource.
    pub(crate) fn owns(self, tags: &valkeep_core::Tags) -> bool {
        self.desired.identity.owns(tags)
    }

    /// Tags that the document wants on what is ours and that are missing or differ.
    pub(crate) fn missing_tags(self, tags: &valkeep_core::Tags) -> valkeep_core::Tags {
        self.desired
            .tags
            .iter()
            .filter(|(key, value)| tags.get(*key) != Some(*value))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Subnets that are there and in the document's VPC, in the document's order.
    pub(crate) fn subnets(self) -> Vec<&'a valkeep_core::observed::Subnet> {
        match &self.observed.subnets {
            Fact::Present(subnets) => subnets
                .found
                .iter()
                .filter(|subnet| subnet.vpc == self.desired.network.vpc)
                .collect(),
            Fact::Absent | Fact::Unknown(_) => Vec::new(),
        }
    }

    /// Whether every desired subnet is there and in the VPC.
    pub(crate) fn all_subnets_found(self) -> bool {
        let found: Vec<&SubnetId> = self.subnets().into_iter().map(|subnet| &subnet.id).collect();
        self.desired.network.subnets.iter().all(|id| found.contains(&id))
    }
}
