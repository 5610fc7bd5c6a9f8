//! Refuses what must never happen, whatever the planner thinks. Shares no code with the planner: it reads document,
//! observation and plan with eyes of its own, so that one mistake has to be made twice to do harm.

mod adoption;
mod definition;
mod deletion;
mod image;
mod limits;
mod server;
mod service;
mod taken;

use definition::{Seen, examine_definition};
use deletion::{examine_deletion, nothing_is_made};
use service::examine_service;
use std::collections::BTreeMap;
use std::fmt;
use valkeep_core::desired::Persistence;
use valkeep_core::identity::{TAG_ADOPTED, TAG_DATA_FILE, TAG_OWNER, TAG_PREFIX, TAG_SNAPSHOTS_ENDED, TAG_STARTING};
use valkeep_core::observed::LifeCycle;
use valkeep_core::{Desired, Fact, Observed, Plan, Resource, ServerChange, Step, Tags};

/// Why a plan must not be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// The rule that it breaks, for machines and tests.
    pub rule: Rule,
    /// What is wrong, for people.
    pub message: String,
}

/// What must never happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Two steps of one plan on one resource.
    OneStepAResource,
    /// Something is changed that does not carry our tag, or that nobody has seen.
    OnlyOurs,
    /// Something is made although it is not proved to be absent.
    CreateOnAbsence,
    /// What is made would not carry our tag.
    Tagged,
    /// Two servers on one directory.
    OneWriter,
    /// A server is started that could not mount its data.
    MountFirst,
    /// A setting of somebody else's definition or service would be changed.
    LeftAlone,
    /// A mounted directory without its lock.
    Locked,
    /// Another file system or access point than the one that was seen.
    SameData,
    /// Another file name than the data has.
    SameFile,
    /// An image that cannot read the files.
    NotOlder,
    /// RDB and append-only do not change by restart, but by what the running server writes.
    NotAppendOnly,
    /// Snapshots end without a mark that says since when.
    MarkedEnd,
    /// Newer live data would be replaced by an old dump.
    NoStaleLoad,
    /// Access is taken away from somebody who may need it.
    AccessKept,
    /// Something is deleted that the document does not ask to delete, or made while it asks for deletion.
    AskedFor,
    /// Something is deleted that may be in use.
    NotInUse,
    /// Data is deleted without a backup and without a waiver.
    DataKept,
    /// A server is stopped whose writes are not proved to be on the directory, or would not be by its end.
    SnapshotFirst,
    /// A server is told something that is not valkeep's to tell, or another server than was seen.
    ServerTold,
    /// Something is touched that the operator does not permit.
    WithinLimits,
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, message } = self;
        write!(f, "{rule:?}: {message}")
    }
}

/// What the critic reads, and what it has found.
pub(crate) struct Court<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    objections: Vec<Objection>,
}

/// Checks every step of a plan against what was observed. A plan with objections must not be carried out, not even
/// in part.
pub fn critic(desired: &Desired, observed: &Observed, plan: &Plan) -> Result<(), Vec<Objection>> {
    let mut court = Court {
        desired,
        observed,
        objections: Vec::new(),
    };
    one_step_a_resource(&mut court, &plan.steps);
    for step in &plan.steps {
        limits::examine_limits(&mut court, step);
        examine(&mut court, step);
    }
    if court.objections.is_empty() {
        Ok(())
    } else {
        Err(court.objections)
    }
}

impl Court<'_> {
    pub(crate) fn object(&mut self, rule: Rule, message: impl Into<String>) {
        self.objections.push(Objection {
            rule,
            message: message.into(),
        });
    }

    fn require(&mut self, good: bool, rule: Rule, message: &str) {
        if !good {
            self.object(rule, message);
        }
    }

    fn ours(&self, tags: &Tags) -> bool {
        tags.get(TAG_OWNER)
            .is_some_and(|owner| *owner == self.desired.identity.owner())
    }
}

fn one_step_a_resource(court: &mut Court, steps: &[Step]) {
    let mut seen: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for step in steps {
        // Rules of one group are independent of each other as long as they all give access or all take it.
        let (key, rule) = match step {
            Step::AuthorizeIngress { group, .. } | Step::RevokeIngress { group, .. } => (format!("sg {group}"), true),
            Step::CreateSecurityGroup { name, .. } => (format!("sg {name}"), false),
            Step::CreateFileSystem { token, .. } => (format!("fs {token}"), false),
            Step::UpdateThroughput { id, .. }
            | Step::PutLifecycle { id, .. }
            | Step::PutBackups { id, .. }
            | Step::PutFileSystemPolicy { id, .. }
            | Step::DeleteFileSystemPolicy { id, .. }
            | Step::DeleteFileSystem { id, .. } => (format!("fs {id}"), false),
            Step::CreateMountTarget { zone_id, .. } => (format!("zone {zone_id}"), false),
            Step::SetMountTargetGroups { id, .. } | Step::DeleteMountTarget { id, .. } => (format!("mt {id}"), false),
            Step::CreateAccessPoint { .. } => ("ap".to_owned(), false),
            Step::PutRolePolicy { role, policy, .. } | Step::DeleteRolePolicy { role, policy, .. } => {
                (format!("role {role} {policy}"), false)
            }
            Step::CreateLogGroup { name, .. } | Step::PutRetention { name, .. } => (format!("log {name}"), false),
            Step::RegisterTaskDefinition { definition, .. } => (format!("td {}", definition.family), false),
            Step::RegisterRevision { definition, .. } => {
                (format!("td {}", definition.text("family").unwrap_or_default()), false)
            }
            Step::CreateService { .. }
            | Step::UpdateService { .. }
            | Step::StartService { .. }
            | Step::SetDesired { .. }
            | Step::ClearStarting { .. }
            | Step::StopService { .. }
            | Step::DeleteService { .. } => ("service".to_owned(), false),
            Step::DeleteAccessPoint { id, .. } => (format!("ap {id}"), false),
            Step::DeleteSecurityGroup { id, .. } => (format!("sg {id}"), false),
            Step::DeregisterTaskDefinition { arn, .. } => (format!("td {arn}"), false),
            Step::ChangeServer { change, .. } => (
                match change {
                    ServerChange::Save => "snapshot".to_owned(),
                    ServerChange::Password => "password".to_owned(),
                    ServerChange::Set { name, .. } => format!("setting {name}"),
                },
                false,
            ),
            Step::Tag { resource, id, .. } => (
                match resource {
                    Resource::SecurityGroup => format!("sg {id}"),
                    Resource::FileSystem => format!("fs {id}"),
                    Resource::AccessPoint => "ap".to_owned(),
                    Resource::LogGroup => format!("log {id}"),
                    Resource::Service => "service".to_owned(),
                    other => format!("{other} {id}"),
                },
                false,
            ),
        };
        let (rules, others) = seen.entry(key).or_default();
        if rule {
            *rules += 1;
        } else {
            *others += 1;
        }
    }
    for (key, (rules, others)) in seen {
        if others > 1 || (others == 1 && rules > 0) {
            court.object(Rule::OneStepAResource, format!("{} steps on {key}", rules + others));
        }
    }
    let authorizes = steps.iter().any(|step| matches!(step, Step::AuthorizeIngress { .. }));
    let revokes = steps.iter().any(|step| matches!(step, Step::RevokeIngress { .. }));
    court.require(
        !(authorizes && revokes),
        Rule::AccessKept,
        "a rule is revoked before all others are there",
    );
}

fn examine(court: &mut Court, step: &Step) {
    let observed = court.observed;
    nothing_is_made(court, step);
    match step {
        Step::CreateSecurityGroup { tags, .. } => {
            made(court, "security group", observed.security_group.is_absent(), tags);
        }
        Step::CreateFileSystem { tags, .. } => {
            storage_is_wanted(court);
            taken::none_is_named(court, "file system");
            made(court, "file system", observed.file_system.is_absent(), tags);
        }
        Step::CreateAccessPoint {
            file_system,
            tags,
            path,
            ..
        } => {
            storage_is_wanted(court);
            made(court, "access point", observed.access_point.is_absent(), tags);
            taken::file_system(court, file_system.as_str());
            taken::directory_is_free(court, path);
        }
        Step::CreateLogGroup { tags, .. } => made(court, "log group", observed.log_group.is_absent(), tags),
        Step::CreateMountTarget {
            file_system, zone_id, ..
        } => {
            storage_is_wanted(court);
            taken::file_system(court, file_system.as_str());
            let free = match &observed.mount_targets {
                Fact::Present(targets) => !targets
                    .iter()
                    .any(|target| target.zone_id == *zone_id && target.state != LifeCycle::Deleted),
                Fact::Absent => true,
                Fact::Unknown(_) => false,
            };
            court.require(
                free,
                Rule::CreateOnAbsence,
                "the zone has a mount target, or nobody knows",
            );
        }
        Step::SetMountTargetGroups { id, from, to } => {
            taken::groups(court, from, to);
            let file_system = taken::any_file_system(court);
            let known = observed
                .mount_targets
                .present()
                .is_some_and(|targets| targets.iter().any(|target| target.id == *id));
            court.require(
                file_system && known,
                Rule::OnlyOurs,
                "a mount target that is not of our file system",
            );
        }
        Step::AuthorizeIngress { group, .. } => our_group(court, group.as_str()),
        Step::RevokeIngress {
            group,
            source,
            description,
        } => {
            our_group(court, group.as_str());
            let asked_for = court.desired.network.task_groups.contains(source)
                || court.desired.network.maintenance_groups.contains(source);
            court.require(
                !asked_for,
                Rule::AccessKept,
                "the document asks for the rule that would go",
            );
            court.require(
                *description == format!("valkeep: NFS from {source}"),
                Rule::OnlyOurs,
                "a rule goes that valkeep did not make",
            );
            let in_use = match &observed.service {
                Fact::Present(service) => service.settings.groups.contains(source),
                Fact::Absent => false,
                Fact::Unknown(_) => true,
            };
            court.require(
                !in_use,
                Rule::AccessKept,
                "the service has the group whose access would go",
            );
        }
        Step::UpdateThroughput { id, .. } | Step::PutLifecycle { id, .. } | Step::PutBackups { id, .. } => {
            taken::file_system(court, id.as_str());
            taken::setting(court, step);
        }
        Step::PutFileSystemPolicy { id, .. } => {
            our_file_system(court, id.as_str());
            let cut_off = match &observed.service {
                Fact::Absent => false,
                Fact::Unknown(_) => true,
                Fact::Present(service) => {
                    service.desired > 0
                        && running(court)
                            .is_none_or(|seen| !seen.is_locked() || seen.file_system() != Some(id.as_str()))
                }
            };
            court.require(!cut_off, Rule::AccessKept, "the running server does not mount with IAM");
        }
        Step::DeleteFileSystemPolicy { id, .. } => {
            our_file_system(court, id.as_str());
            let put_by_us = observed
                .file_system
                .present()
                .is_some_and(|found| found.tags.contains_key(valkeep_core::identity::TAG_POLICY));
            court.require(
                put_by_us,
                Rule::OnlyOurs,
                "a file-system policy goes that valkeep did not put",
            );
        }
        Step::PutRolePolicy { role, policy, .. } => {
            let named = *role == court.desired.task_role.name && *policy == court.desired.names.role_policy;
            court.require(named, Rule::OnlyOurs, "a role or policy that is not this document's");
        }
        Step::PutRetention { .. } => {
            let ours = observed
                .log_group
                .present()
                .is_some_and(|found| court.ours(&found.tags));
            court.require(
                ours,
                Rule::OnlyOurs,
                "the retention of a log group that valkeep did not make",
            );
        }
        Step::RegisterTaskDefinition { definition, tags } => {
            court.require(
                definition.family == court.desired.names.family,
                Rule::OnlyOurs,
                "a revision of another family",
            );
            let ours = court.ours(tags);
            court.require(ours, Rule::Tagged, "a task definition without our tag");
            examine_definition(court, &Seen::ours(definition), running(court).as_ref());
        }
        Step::RegisterRevision { from, definition, tags } => adoption::revision(court, from, definition, tags),
        Step::CreateService { .. }
        | Step::UpdateService { .. }
        | Step::StartService { .. }
        | Step::SetDesired { .. }
        | Step::ClearStarting { .. } => examine_service(court, step),
        Step::StopService { .. } if court.desired.deletion.is_none() => examine_service(court, step),
        Step::StopService { .. }
        | Step::DeleteService { .. }
        | Step::DeleteAccessPoint { .. }
        | Step::DeleteMountTarget { .. }
        | Step::DeleteFileSystem { .. }
        | Step::DeleteRolePolicy { .. }
        | Step::DeleteSecurityGroup { .. }
        | Step::DeregisterTaskDefinition { .. } => examine_deletion(court, step),
        Step::ChangeServer {
            address,
            run_id,
            change,
        } => server::examine_change(court, *address, run_id, change),
        Step::Tag {
            resource,
            id,
            set,
            remove,
        } => tag(court, *resource, id, set, remove),
    }
}

fn made(court: &mut Court, what: &str, absent: bool, tags: &Tags) {
    court.require(
        absent,
        Rule::CreateOnAbsence,
        &format!("a {what} is made that may be there"),
    );
    let ours = court.ours(tags);
    court.require(ours, Rule::Tagged, &format!("a {what} is made without our tag"));
}

fn storage_is_wanted(court: &mut Court) {
    let wanted = court.desired.persistence != Persistence::Disabled;
    court.require(wanted, Rule::OnlyOurs, "storage is made while persistence is disabled");
}

fn our_group(court: &mut Court, id: &str) {
    let ours = court
        .observed
        .security_group
        .present()
        .is_some_and(|group| group.id.as_str() == id && court.ours(&group.tags));
    court.require(ours, Rule::OnlyOurs, "a security group that is not ours");
}

fn our_file_system(court: &mut Court, id: &str) {
    let ours = court
        .observed
        .file_system
        .present()
        .is_some_and(|found| found.id.as_str() == id && court.ours(&found.tags));
    court.require(ours, Rule::OnlyOurs, "a file system that is not ours");
}

fn running(court: &Court) -> Option<Seen> {
    let running = court.observed.running_definition.present()?;
    Seen::of(running, &court.desired.server.container)
}

/// The content behind an ARN, where it was seen.
fn content(court: &Court, arn: &str) -> Option<Seen> {
    let observed = court.observed;
    let family = observed.family.present().map(Vec::as_slice).unwrap_or_default();
    let found = family
        .iter()
        .chain(observed.running_definition.present())
        .chain(observed.base.present())
        .find(|found| found.arn == arn)?;
    Seen::of(found, &court.desired.server.container)
}

fn tag(court: &mut Court, resource: Resource, id: &str, set: &Tags, remove: &[String]) {
    let observed = court.observed;
    let found: Option<(&str, &Tags)> = match resource {
        Resource::SecurityGroup => observed
            .security_group
            .present()
            .map(|found| (found.id.as_str(), &found.tags)),
        Resource::FileSystem => observed
            .file_system
            .present()
            .map(|found| (found.id.as_str(), &found.tags)),
        Resource::AccessPoint => observed
            .access_point
            .present()
            .map(|found| (found.id.as_str(), &found.tags)),
        Resource::LogGroup => observed
            .log_group
            .present()
            .map(|found| (found.name.as_str(), &found.tags)),
        Resource::Service => observed
            .service
            .present()
            .map(|found| (found.arn.as_str(), &found.tags)),
        _ => None,
    };
    let adopted = court.desired.adopted().is_some() && resource == Resource::Service;
    let ours = found.is_some_and(|(is, tags)| {
        is == id
            && if adopted {
                adoption::may_mark(court, tags)
            } else {
                court.ours(tags)
            }
    });
    if !ours && found.is_some_and(|(is, _)| is == id) && taken::resource(court, resource) {
        taken::only_marks(court, resource, set);
    } else {
        court.require(ours, Rule::OnlyOurs, "tags of something that is not ours");
    }
    let owner = set
        .get(TAG_OWNER)
        .is_none_or(|owner| *owner == court.desired.identity.owner());
    court.require(owner, Rule::OnlyOurs, "the owner's tag is changed");
    court.require(
        remove.iter().all(|key| key.starts_with(TAG_PREFIX) && key != TAG_OWNER),
        Rule::OnlyOurs,
        "a tag goes that is not valkeep's, or the owner's",
    );
    if remove.iter().any(|key| key == TAG_ADOPTED) {
        adoption::may_unmark(court);
    }
    if set.contains_key(TAG_STARTING) {
        adoption::marked_to_start(court);
    }
    if resource == Resource::FileSystem {
        // What an access point has said counts there only while there is no access point.
        return;
    }
    court.require(
        !remove.iter().any(|key| key == TAG_DATA_FILE),
        Rule::SameFile,
        "nobody would know any more which file the data is in",
    );
    if remove.iter().any(|key| key == TAG_SNAPSHOTS_ENDED) {
        let saves = running(court).is_some_and(|seen| seen.saves_snapshots());
        court.require(saves, Rule::MarkedEnd, "the mark goes while no snapshots are written");
    }
}
