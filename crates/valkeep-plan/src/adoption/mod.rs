//! Plans for a service that somebody else makes: what it must be, which of its settings are ours, and whose it is.
//!
//! Ours are the persistence in its definition ([`target`]), the deployment settings that keep two servers apart, and two
//! tags. Everything else is left as it is found.

mod letting_go;
mod reach;
mod target;
mod transition;

pub(crate) use letting_go::{is_unused, unmark};
pub(crate) use target::target;
pub(crate) use transition::{Next, replace_without_lock};

use crate::draft::{Draft, Input, hold, list};
use valkeep_core::desired::Persistence;
use valkeep_core::identity::{TAG_ADOPTED, TAG_SETTINGS};
use valkeep_core::observed::{Service, ServiceKind, ServiceSettings};
use valkeep_core::{Fact, Hold, HoldKind, HoldReason, Resource, Step, Tags};

/// Whether another identity looks after the service already.
pub(crate) fn is_anothers(input: Input, tags: &Tags) -> bool {
    let owner = input.desired.identity.owner();
    tags.get(TAG_ADOPTED).is_some_and(|adopted| *adopted != owner)
        || tags
            .get(valkeep_core::identity::TAG_OWNER)
            .is_some_and(|made| *made != owner)
}

/// Whether this identity has taken the service over.
pub(crate) fn is_taken_over(input: Input, tags: &Tags) -> bool {
    tags.get(TAG_ADOPTED)
        .is_some_and(|adopted| *adopted == input.desired.identity.owner())
}

/// What stands in the way of taking the service over, each with a next step; empty when nothing does.
pub(crate) fn obstacles(input: Input, found: &Service) -> Vec<Hold> {
    let mut obstacles = Vec::new();
    let mut obstacle = |reason, message: String, hint: String| {
        obstacles.push(Hold {
            hint: Some(hint),
            ..hold(Resource::Service, HoldKind::Stalled, reason, message)
        });
    };
    let (cluster, name) = (&input.desired.identity.cluster, &input.desired.identity.service);
    let ServiceKind {
        scheduling,
        controller,
        strategy,
    } = &found.kind;
    if scheduling != "REPLICA" {
        obstacle(
            HoldReason::UnsupportedScheduling,
            format!("the service {name} is scheduled as {scheduling}: one server on each container instance"),
            "make a service with the scheduling strategy REPLICA; ECS cannot change it on this one".to_owned(),
        );
    }
    if controller != "ECS" {
        obstacle(
            HoldReason::UnsupportedController,
            format!("the service {name} is deployed by {controller}, which would run two copies at once"),
            "give it the deployment controller ECS (UpdateService takes deploymentController)".to_owned(),
        );
    }
    if strategy != "ROLLING" {
        obstacle(
            HoldReason::UnsupportedStrategy,
            format!("the service {name} is deployed by the strategy {strategy}, which runs two copies at once"),
            "set its deployment strategy to ROLLING".to_owned(),
        );
    }
    if found.desired > 1 {
        obstacle(
            HoldReason::MoreThanOneTask,
            format!(
                "the service {name} is meant to run {} tasks, and one directory has one writer",
                found.desired
            ),
            format!(
                "aws ecs update-service --cluster {cluster} --service {name} --desired-count 1, or give each cache a service of its own"
            ),
        );
    }
    if let Fact::Present(target) = &input.observed.scaling {
        obstacle(
            HoldReason::Autoscaled,
            format!(
                "the service {name} is scaled by Application Auto Scaling, {} to {} tasks",
                target.min, target.max
            ),
            format!(
                "aws application-autoscaling deregister-scalable-target --service-namespace ecs --scalable-dimension ecs:service:DesiredCount --resource-id service/{cluster}/{name}"
            ),
        );
    }
    if input.desired.persistence != Persistence::Disabled {
        other_network(input, found, &mut obstacle);
    }
    obstacles
}

/// Mount targets and their rules are made for the document's subnets and groups, so the service must lie in those.
fn other_network(input: Input, found: &Service, obstacle: &mut impl FnMut(HoldReason, String, String)) {
    let name = &input.desired.identity.service;
    let network = &input.desired.network;
    let outside: Vec<_> = found
        .settings
        .subnets
        .iter()
        .filter(|subnet| !network.subnets.contains(subnet))
        .collect();
    if !outside.is_empty() {
        obstacle(
            HoldReason::OtherNetwork,
            format!(
                "the service {name} may start in {}, which the document does not name",
                list(&outside)
            ),
            format!("add {} to spec.network.subnetIds", list(&outside)),
        );
    }
    let clients = input.desired.nfs_clients();
    if !found.settings.groups.iter().any(|group| clients.contains(group)) {
        obstacle(
            HoldReason::OtherNetwork,
            format!(
                "the service {name} has the security groups {}, and the document lets only {} reach the mount targets",
                list(&found.settings.groups),
                list(&clients)
            ),
            "name one of the service's groups in spec.network.taskSecurityGroupIds".to_owned(),
        );
    }
}

/// The service's settings as they should be: its own, but for those that keep two servers apart.
pub(crate) fn settings(input: Input, found: &Service) -> ServiceSettings {
    let before = found.settings.clone();
    match input.desired.persistence {
        Persistence::Mounted(_) => ServiceSettings {
            minimum_healthy_percent: Some(0),
            maximum_percent: Some(100),
            circuit_breaker: true,
            rollback: false,
            zone_rebalancing: Some(false),
            ..before
        },
        // What it had before it was taken over; the tag goes when it is so.
        Persistence::Disabled => match found.tags.get(TAG_SETTINGS).and_then(|text| Remembered::read(text)) {
            Some(remembered) => remembered.put_on(before),
            None => before,
        },
    }
}

/// The tags that say whose the service is and what it was like; none where they are there.
pub(crate) fn marks(input: Input, found: &Service) -> Option<Step> {
    let mut set = Tags::new();
    let mut remove = Vec::new();
    if !is_taken_over(input, &found.tags) {
        set.insert(TAG_ADOPTED.to_owned(), input.desired.identity.owner());
    }
    match input.desired.persistence {
        Persistence::Mounted(_) if !found.tags.contains_key(TAG_SETTINGS) => {
            set.insert(TAG_SETTINGS.to_owned(), Remembered::of(&found.settings).write());
        }
        Persistence::Disabled if found.tags.contains_key(TAG_SETTINGS) && settings(input, found) == found.settings => {
            remove.push(TAG_SETTINGS.to_owned());
        }
        Persistence::Mounted(_) | Persistence::Disabled => {}
    }
    (!set.is_empty() || !remove.is_empty()).then(|| Step::Tag {
        resource: Resource::Service,
        id: found.arn.clone(),
        set,
        remove,
    })
}

/// Says that there is nothing to take over.
pub(crate) fn is_not_there(input: Input, draft: &mut Draft) {
    let (cluster, name) = (&input.desired.identity.cluster, &input.desired.identity.service);
    draft.stalled(
        Resource::Service,
        HoldReason::NotFound,
        format!("the service {name} is not there in {cluster}, and the document does not say what to make it of"),
        "make the service, correct spec.service.name or spec.region, or write spec.service.create",
    );
}

/// The deployment settings of a service before it was taken over, as a tag's value.
#[derive(Debug, PartialEq, Eq)]
struct Remembered {
    minimum: Option<u32>,
    maximum: Option<u32>,
    breaker: bool,
    rollback: bool,
    rebalancing: Option<bool>,
}

impl Remembered {
    fn of(settings: &ServiceSettings) -> Self {
        Self {
            minimum: settings.minimum_healthy_percent,
            maximum: settings.maximum_percent,
            breaker: settings.circuit_breaker,
            rollback: settings.rollback,
            rebalancing: settings.zone_rebalancing,
        }
    }

    /// `min=100 max=200 breaker=false rollback=false rebalancing=true`; what AWS did not say is `-`.
    fn write(&self) -> String {
        let Self {
            minimum,
            maximum,
            breaker,
            rollback,
            rebalancing,
        } = self;
        let or = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        format!(
            "min={} max={} breaker={breaker} rollback={rollback} rebalancing={}",
            or(minimum.map(|value| value.to_string())),
            or(maximum.map(|value| value.to_string())),
            or(rebalancing.map(|value| value.to_string())),
        )
    }

    /// None where somebody changed the tag to something else.
    fn read(text: &str) -> Option<Self> {
        let value = |name: &str| {
            text.split(' ')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        let optional = |name: &str| Some(value(name)?).map(|text| (text != "-").then_some(text));
        Some(Self {
            minimum: optional("min")?.map(str::parse).transpose().ok()?,
            maximum: optional("max")?.map(str::parse).transpose().ok()?,
            breaker: value("breaker")?.parse().ok()?,
            rollback: value("rollback")?.parse().ok()?,
            rebalancing: optional("rebalancing")?.map(str::parse).transpose().ok()?,
        })
    }

    fn put_on(self, settings: ServiceSettings) -> ServiceSettings {
        ServiceSettings {
            // ECS's own defaults for what it did not say.
            minimum_healthy_percent: Some(self.minimum.unwrap_or(100)),
            maximum_percent: Some(self.maximum.unwrap_or(200)),
            circuit_breaker: self.breaker,
            rollback: self.rollback,
            zone_rebalancing: Some(self.rebalancing.unwrap_or(false)),
            ..settings
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_being_a_tag() {
        let remembered = Remembered {
            minimum: None,
            maximum: Some(200),
            breaker: true,
            rollback: false,
            rebalancing: Some(true),
        };
        let text = remembered.write();
        assert_eq!(text, "min=- max=200 breaker=true rollback=false rebalancing=true");
        assert_eq!(Remembered::read(&text), Some(remembered));
        assert_eq!(Remembered::read("something else"), None);
    }
}
