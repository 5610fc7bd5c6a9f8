//! The table of contents of a pass: what is looked after, in the order in which things need each other.

use crate::draft::{Draft, Input};
use crate::{
    access_point, deletion, file_system, limits, log_group, mount_targets, network, role, server, service,
    task_definition,
};
use valkeep_core::desired::Persistence;
use valkeep_core::{Desired, Observed, Plan, Timestamp};

/// What to do now, what not now and why.
///
/// Guarantees: the steps are independent of each other; a resource that could not be looked at is not changed, and
/// what builds on it waits; a document outside of the operator's limits gets no step at all; equal arguments give equal plans. Never fails.
pub fn plan(desired: &Desired, observed: &Observed, now: Timestamp) -> Plan {
    let input = Input { desired, observed, now };
    let mut draft = Draft::new(&desired.place);
    if limits::hold_outside(input, &mut draft) {
        return draft.finish(now);
    }
    if let Some(asked) = desired.deletion {
        deletion::deletion(input, asked, &mut draft);
        return draft.finish(now);
    }
    network::subnets(input, &mut draft);
    network::named_groups(input, &mut draft);
    match &desired.persistence {
        Persistence::Mounted(_) => {
            network::security_group(input, &mut draft);
            file_system::file_system(input, &mut draft);
            mount_targets::mount_targets(input, &mut draft);
            access_point::access_point(input, &mut draft);
            role::role(input, &mut draft);
            role::policy(input, &mut draft);
        }
        // The file system and what belongs to it are kept as they are; only the mark that snapshots have ended is set.
        Persistence::Disabled => {
            access_point::marks_while_disabled(input, &mut draft);
            role::role(input, &mut draft);
        }
    }
    log_group::log_group(input, &mut draft);
    let definition = task_definition::task_definition(input, &mut draft);
    service::service(input, &definition, &mut draft);
    server::settings(input, &mut draft);
    server::password(input, &mut draft);
    server::clock(input, &mut draft);
    if let Some(until) = service::useless(input, &draft) {
        // Nothing that is made for it would ever be used.
        draft.hold_every_step(until);
    }
    draft.finish(now)
}
