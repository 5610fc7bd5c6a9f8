//! File systems and access points that exist: taken by their ids, used as they are, changed only where the document says so.

use crate::world::*;
use serde_json::json;
use std::collections::BTreeSet;
use valkeep_core::desired::{AccessPointField, FileSystemField, PerformanceMode, Throughput};
use valkeep_core::identity::{TAG_MOVED_FROM, TAG_OWNER, TAG_SETTINGS_BY, TAG_USED_BY};
use valkeep_core::ids::{AccessPointId, FileSystemId, MountTargetId, VpcId};
use valkeep_core::observed::{AccessPoint, FileSystem, IngressRule, LifeCycle, MountTarget, SecurityGroup};
use valkeep_core::{Desired, Fact, HoldKind, HoldReason, Identity, Observed, Plan, Resource, Step, Tags};

const FS: &str = "fs-0aaaabbbbccccdddd";
pub(crate) const POINT: &str = "fsap-0aaaabbbbccccdddd";
const THEIR_GROUP: &str = "sg-0aaaabbbbccccdddd";

fn fs(text: &str) -> FileSystemId {
    FileSystemId::parse(text).expect("an id")
}

fn point_id(text: &str) -> AccessPointId {
    AccessPointId::parse(text).expect("an id")
}

/// A document that takes the file system.
fn on_theirs(said: &[FileSystemField]) -> Desired {
    let mut desired = desired();
    desired.file_system.taken = Some(fs(FS));
    desired.file_system.said = said.iter().copied().collect();
    desired
}

/// A document that takes the access point.
fn through_theirs(said: &[AccessPointField]) -> Desired {
    let mut desired = desired();
    desired.access_point.taken = Some(point_id(POINT));
    desired.access_point.said = said.iter().copied().collect();
    desired
}

fn their_point(path: &str) -> AccessPoint {
    AccessPoint {
        id: point_id(POINT),
        arn: format!("arn:aws:elasticfilesystem:eu-west-1:123456789012:access-point/{POINT}"),
        file_system: fs(FS),
        state: LifeCycle::Available,
        path: path.into(),
        uid: Some(999),
        gid: Some(998),
        permissions: None,
        owner_uid: None,
        owner_gid: None,
        tags: Tags::from([("team".to_owned(), "storage".to_owned())]),
    }
}

fn nfs_from(source: &str) -> IngressRule {
    IngressRule {
        protocol: "tcp".into(),
        from_port: Some(2049),
        to_port: Some(2049),
        source: source.into(),
        description: Some("theirs".into()),
    }
}

fn their_target(zone: u8, groups: &[&str]) -> MountTarget {
    let subnets = ["subnet-0aaaaaaaaaaaaaaa1", "subnet-0bbbbbbbbbbbbbbb2"];
    MountTarget {
        id: MountTargetId::parse(&format!("fsmt-0000aaa{zone}")).expect("an id"),
        subnet: subnet(subnets[usize::from(zone) - 1]),
        zone_id: format!("euw1-az{zone}"),
        vpc: Some(desired().network.vpc),
        state: LifeCycle::Available,
        ip: None,
        interface: None,
        groups: Fact::Present(groups.iter().map(|group| sg(group)).collect()),
        attached_at: Some(at("2026-01-01T00:00:00Z")),
    }
}

/// A file system of others: elastic, not encrypted, without lifecycle and backups, with a mount target in the first zone
/// that lets the tasks in.
pub(crate) fn theirs() -> Observed {
    let mut world = fresh();
    world.file_system = Fact::Present(FileSystem {
        id: fs(FS),
        arn: format!("arn:aws:elasticfilesystem:eu-west-1:123456789012:file-system/{FS}"),
        state: LifeCycle::Available,
        encrypted: false,
        kms_key: None,
        performance: PerformanceMode::MaxIo,
        throughput: Throughput::Elastic,
        tags: Tags::from([("team".to_owned(), "storage".to_owned())]),
        desired_kms_key: None,
        one_zone: None,
        is_replica: false,
    });
    world.file_system_policy = Fact::Absent;
    world.mount_targets = Fact::Present(vec![their_target(1, &[THEIR_GROUP])]);
    world.target_groups = Fact::Present(vec![SecurityGroup {
        id: sg(THEIR_GROUP),
        tags: Tags::new(),
        ingress: vec![nfs_from("sg-0123456789abcdef0"), nfs_from(TASK_GROUP)],
    }]);
    world.access_point = Fact::Absent;
    world.other_access_points = Fact::Present(Vec::new());
    world
}

pub(crate) fn theirs_with_point() -> Observed {
    let mut world = theirs();
    world.access_point = Fact::Present(their_point("/cache"));
    world
}

fn file_system(world: &mut Observed) -> &mut FileSystem {
    world.file_system.present_mut().expect("one")
}

fn stalled(plan: &Plan) -> Vec<String> {
    let stalled = plan.holds.iter().filter(|hold| hold.kind == HoldKind::Stalled);
    stalled
        .map(|hold| format!("{:?} {:?}", hold.resource, hold.reason))
        .collect()
}

fn message(plan: &Plan, reason: HoldReason) -> String {
    plan.holds
        .iter()
        .find(|hold| hold.reason == reason && hold.kind != HoldKind::Waiting)
        .map_or_else(
            || panic!("no {reason}: {:#?}", plan.holds),
            |hold| format!("{} / {}", hold.message, hold.hint.as_deref().unwrap_or_default()),
        )
}

fn other() -> Identity {
    Identity {
        service: "other".into(),
        ..desired().identity
    }
}

#[test]
fn a_taken_file_system_is_used_and_none_of_its_settings_is_touched() {
    let desired = on_theirs(&[]);
    let mut world = theirs();
    let stages = converge(&desired, &mut world);
    let calls: BTreeSet<&str> = stages.iter().flatten().copied().collect();
    for never in [
        "elasticfilesystem:CreateFileSystem",
        "elasticfilesystem:UpdateFileSystem",
        "elasticfilesystem:PutLifecycleConfiguration",
        "elasticfilesystem:PutBackupPolicy",
        "elasticfilesystem:PutFileSystemPolicy",
        "elasticfilesystem:ModifyMountTargetSecurityGroups",
    ] {
        assert!(!calls.contains(never), "{never}");
    }
    let tags = &file_system(&mut world).tags;
    assert_eq!(tags, &Tags::from([("team".to_owned(), "storage".to_owned())]));
    // The zone that has one keeps it as it is; the other one gets ours.
    let targets = world.mount_targets.present().expect("some");
    assert_eq!(targets.len(), 2);
    assert_eq!(targets[0], their_target(1, &[THEIR_GROUP]));
    assert_eq!(targets[1].groups, Fact::Present(vec![sg(NFS_GROUP)]));
    assert_eq!(world.service.present().expect("one").desired, 1);
    let point = world.access_point.present().expect("made");
    assert!(
        desired.identity.owns(&point.tags),
        "what valkeep makes there is valkeep's"
    );
}

#[test]
fn only_what_the_document_says_is_changed_and_only_under_a_mark() {
    let desired = on_theirs(&[FileSystemField::Throughput]);
    let mut world = theirs();
    let plan = checked(&desired, &world);
    let mark = plan.steps.iter().find_map(|step| match step {
        Step::Tag {
            resource: Resource::FileSystem,
            set,
            ..
        } => Some(set),
        _ => None,
    });
    assert_eq!(
        mark.and_then(|set| set.get(TAG_SETTINGS_BY)),
        Some(&desired.identity.user_mark())
    );
    converge(&desired, &mut world);
    let found = file_system(&mut world);
    assert_eq!(found.throughput, Throughput::Bursting);
    assert!(!found.tags.contains_key(TAG_OWNER), "deletion goes by the owner's tag");
    assert_eq!(found.tags["team"], "storage");
}

#[test]
fn two_documents_never_change_one_setting_to_and_fro() {
    let desired = on_theirs(&[FileSystemField::Throughput]);
    for tags in [
        Tags::from([(TAG_SETTINGS_BY.to_owned(), other().user_mark())]),
        other().tags(),
    ] {
        let mut world = theirs();
        file_system(&mut world).tags.extend(tags);
        let plan = checked(&desired, &world);
        assert!(
            !calls(&plan).iter().any(|call| call.ends_with("FileSystem")),
            "{:?}",
            calls(&plan)
        );
        assert!(
            stalled(&plan).contains(&"FileSystem Conflict".to_owned()),
            "{:#?}",
            plan.holds
        );
        let said = message(&plan, HoldReason::Conflict);
        assert!(
            said.contains("throughput elastic where this document says bursting"),
            "{said}"
        );
        assert!(said.contains("cluster/other"), "{said}");
    }
}

#[test]
fn what_cannot_be_changed_is_said_only_if_the_document_says_it() {
    let plan = checked(&on_theirs(&[]), &theirs());
    assert_eq!(stalled(&plan), Vec::<String>::new());
    let plan = checked(
        &on_theirs(&[FileSystemField::Encrypted, FileSystemField::Performance]),
        &theirs(),
    );
    assert_eq!(
        stalled(&plan),
        ["FileSystem ImmutableField", "FileSystem ImmutableField"]
    );
}

#[test]
fn what_is_not_there_is_never_made_instead() {
    let mut world = theirs();
    world.file_system = Fact::Absent;
    world.access_point = Fact::not_looked("elasticfilesystem:DescribeAccessPoints");
    let plan = checked(&on_theirs(&[]), &world);
    assert_eq!(stalled(&plan), ["FileSystem NotFound"]);
    assert_eq!(calls(&plan), ["logs:CreateLogGroup"]);

    let mut world = theirs();
    world.file_system = Fact::not_looked("elasticfilesystem:DescribeFileSystems");
    world.mount_targets = Fact::not_looked("elasticfilesystem:DescribeMountTargets");
    let plan = checked(&through_theirs(&[]), &world);
    assert_eq!(stalled(&plan), ["AccessPoint NotFound"]);
    assert_eq!(calls(&plan), ["logs:CreateLogGroup"]);
    for state in [LifeCycle::Deleting, LifeCycle::Error] {
        let mut world = theirs_with_point();
        world.access_point.present_mut().expect("one").state = state;
        let plan = checked(&through_theirs(&[]), &world);
        assert_eq!(stalled(&plan).len(), 1, "{:#?}", plan.holds);
    }
}

#[test]
fn the_server_runs_as_the_user_of_a_taken_access_point() {
    let desired = through_theirs(&[]);
    let mut world = theirs_with_point();
    converge(&desired, &mut world);
    let running = world.running_definition.present().expect("one");
    let definition = running.definition.as_ref().expect("ours");
    assert_eq!(definition.container.user.as_deref(), Some("999:998"));
    assert_eq!(
        definition.volume.as_ref().expect("mounted").access_point,
        point_id(POINT)
    );
    let point = world.access_point.present().expect("one");
    assert!(!point.tags.contains_key(TAG_OWNER), "deletion goes by the owner's tag");
    assert_eq!(point.tags["team"], "storage");
    assert!(desired.identity.marked(&point.tags, TAG_USED_BY));
    assert_eq!(point.tags["valkeep.dev/data-file"], "dump.rdb");
}

#[test]
fn the_mark_comes_before_anything_is_mounted() {
    let plan = checked(&through_theirs(&[]), &theirs_with_point());
    let calls = calls(&plan);
    assert!(calls.contains(&"elasticfilesystem:TagResource"));
    assert!(!calls.iter().any(|call| call.starts_with("ecs:")), "{calls:?}");
}

#[test]
fn an_access_point_in_use_by_another_service_is_refused() {
    for tags in [
        Tags::from([(TAG_USED_BY.to_owned(), other().user_mark())]),
        other().tags(),
        Identity {
            installation: "blue".into(),
            ..desired().identity
        }
        .tags(),
    ] {
        let mut world = theirs_with_point();
        world.access_point.present_mut().expect("one").tags.extend(tags);
        let plan = checked(&through_theirs(&[]), &world);
        assert_eq!(stalled(&plan), ["AccessPoint Conflict"]);
        let calls = calls(&plan);
        let touched = [
            "TagResource",
            "PutRolePolicy",
            "RegisterTaskDefinition",
            "CreateService",
        ];
        assert!(
            !calls.iter().any(|call| touched.iter().any(|word| call.ends_with(word))),
            "{calls:?}"
        );
    }
}

#[test]
fn a_second_access_point_on_a_directory_is_not_made() {
    let mut world = theirs();
    world.other_access_points = Fact::Present(vec![their_point("/valkey-data")]);
    let plan = checked(&on_theirs(&[]), &world);
    assert_eq!(stalled(&plan), ["AccessPoint Conflict"]);
    assert!(message(&plan, HoldReason::Conflict).contains(&format!("accessPoint.id: {POINT}")));
    let mut elsewhere = theirs();
    elsewhere.other_access_points = Fact::Present(vec![their_point("/other")]);
    assert!(stalled(&checked(&on_theirs(&[]), &elsewhere)).is_empty());
}

#[test]
fn what_the_document_says_of_a_taken_access_point_must_be_so() {
    let plan = checked(
        &through_theirs(&[AccessPointField::Path, AccessPointField::Uid]),
        &theirs_with_point(),
    );
    assert_eq!(
        stalled(&plan),
        ["AccessPoint ImmutableField", "AccessPoint ImmutableField"]
    );
    let mut same = through_theirs(&[AccessPointField::Path]);
    same.access_point.path = "/cache".into();
    assert_eq!(stalled(&checked(&same, &theirs_with_point())), Vec::<String>::new());
}

#[test]
fn an_access_point_without_a_user_or_with_one_that_cannot_write_is_refused() {
    let mut world = theirs_with_point();
    let point = world.access_point.present_mut().expect("one");
    (point.uid, point.gid) = (None, None);
    let plan = checked(&through_theirs(&[]), &world);
    assert_eq!(stalled(&plan), ["AccessPoint ImmutableField"]);
    assert!(message(&plan, HoldReason::ImmutableField).contains("create-access-point"));

    let mut world = theirs_with_point();
    world.access_point.present_mut().expect("one").uid = Some(0);
    let mut desired = through_theirs(&[]);
    desired.task_role.root_access = false;
    assert_eq!(stalled(&checked(&desired, &world)), ["AccessPoint ImmutableField"]);
}

#[test]
fn an_access_point_of_another_file_system_is_refused() {
    let mut desired = through_theirs(&[]);
    desired.file_system.taken = Some(fs(FS));
    let mut world = theirs_with_point();
    world.access_point.present_mut().expect("one").file_system = fs("fs-0123456789abcdef0");
    let plan = checked(&desired, &world);
    assert_eq!(stalled(&plan), ["AccessPoint NotFound"]);
    assert!(!calls(&plan).iter().any(|call| call.starts_with("ecs:")));
}

#[test]
fn mount_targets_that_let_nobody_in_are_left_unless_the_document_asks() {
    let closed = || {
        let mut world = theirs_with_point();
        let targets = [1, 2].map(|zone| their_target(zone, &[THEIR_GROUP]));
        world.mount_targets = Fact::Present(targets.to_vec());
        world.target_groups.present_mut().expect("some")[0].ingress.pop();
        world
    };
    let plan = checked(&through_theirs(&[]), &closed());
    assert_eq!(stalled(&plan), ["MountTarget Foreign", "MountTarget Foreign"]);
    assert!(!calls(&plan).contains(&"ec2:CreateSecurityGroup"), "nothing needs it");

    let mut asking = through_theirs(&[]);
    asking.file_system.add_security_group = true;
    let mut world = closed();
    let stages = converge(&asking, &mut world);
    let added = stages
        .iter()
        .flatten()
        .filter(|call| call.ends_with("ModifyMountTargetSecurityGroups"));
    assert_eq!(added.count(), 2);
    for target in world.mount_targets.present().expect("some") {
        assert_eq!(target.groups, Fact::Present(vec![sg(THEIR_GROUP), sg(NFS_GROUP)]));
    }
    assert_eq!(world.service.present().expect("one").desired, 1);
}

#[test]
fn no_security_group_is_made_where_others_let_the_tasks_in_everywhere() {
    let mut world = theirs_with_point();
    let targets = [1, 2].map(|zone| their_target(zone, &[THEIR_GROUP]));
    world.mount_targets = Fact::Present(targets.to_vec());
    let stages = converge(&through_theirs(&[]), &mut world);
    assert!(
        !stages.iter().flatten().any(|call| call.starts_with("ec2:")),
        "{stages:?}"
    );
    assert_eq!(world.service.present().expect("one").desired, 1);
}

#[test]
fn a_rule_for_addresses_is_believed_and_said() {
    let mut world = theirs_with_point();
    world.target_groups.present_mut().expect("some")[0].ingress = vec![nfs_from("10.0.0.0/16")];
    let plan = checked(&through_theirs(&[]), &world);
    assert!(stalled(&plan).is_empty());
    assert!(message(&plan, HoldReason::Foreign).contains("10.0.0.0/16"));
}

#[test]
fn groups_that_cannot_be_seen_keep_the_service_from_starting_and_change_nothing() {
    let mut world = theirs_with_point();
    world.target_groups = Fact::not_looked("ec2:DescribeSecurityGroups");
    let mut desired = through_theirs(&[]);
    desired.file_system.add_security_group = true;
    converge(&desired, &mut world);
    assert_eq!(world.service.present().map_or(0, |service| service.desired), 0);
    let targets = world.mount_targets.present().expect("some");
    assert_eq!(targets[0], their_target(1, &[THEIR_GROUP]));
}

#[test]
fn mount_targets_in_another_vpc_are_stalled_and_none_is_made_beside_them() {
    let mut world = theirs_with_point();
    world.mount_targets.present_mut().expect("some")[0].vpc = VpcId::parse("vpc-0fffffffffffffff0").ok();
    let plan = checked(&through_theirs(&[]), &world);
    assert_eq!(stalled(&plan), ["MountTarget ImmutableField"]);
    assert!(!calls(&plan).contains(&"elasticfilesystem:CreateMountTarget"));
}

#[test]
fn a_one_zone_file_system_serves_its_zone_only() {
    let mut world = theirs_with_point();
    file_system(&mut world).one_zone = Some("eu-west-1a".into());
    let plan = checked(&through_theirs(&[]), &world);
    assert_eq!(stalled(&plan), ["MountTarget ImmutableField"]);
    assert!(!calls(&plan).contains(&"elasticfilesystem:CreateMountTarget"));
    let mut desired = through_theirs(&[]);
    desired.network.subnets.pop();
    world.subnets.present_mut().expect("some").found.pop();
    converge(&desired, &mut world);
    assert_eq!(world.service.present().expect("one").desired, 1);
}

#[test]
fn the_destination_of_a_replication_is_read_only() {
    let mut world = theirs_with_point();
    file_system(&mut world).is_replica = true;
    let plan = checked(&through_theirs(&[]), &world);
    assert_eq!(stalled(&plan), ["FileSystem ReadOnly"]);
    converge(&through_theirs(&[]), &mut world);
    assert_eq!(world.service.present().map_or(0, |service| service.desired), 0);
}

#[test]
fn a_policy_of_others_is_left_and_one_that_keeps_the_tasks_out_is_said_before_they_start() {
    let mut world = theirs_with_point();
    world.file_system_policy = Fact::Present(json!({"Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["elasticfilesystem:ClientRootAccess", "elasticfilesystem:ClientWrite"],
         "Condition": {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}}}]}));
    let mut open = world.clone();
    converge(&through_theirs(&[]), &mut open);
    assert_eq!(open.service.present().expect("one").desired, 1);
    assert_eq!(open.file_system_policy, world.file_system_policy);

    world.file_system_policy = Fact::Present(json!({"Statement": [
        {"Sid": "OnlyBackup", "Effect": "Deny", "NotPrincipal": {"AWS": "arn:aws:iam::123456789012:role/backup"}, "Action": "*"}]}));
    let before = world.file_system_policy.clone();
    let plan = checked(&through_theirs(&[]), &world);
    assert_eq!(stalled(&plan), ["FileSystem AccessDenied"]);
    assert!(message(&plan, HoldReason::AccessDenied).contains("OnlyBackup"));
    converge(&through_theirs(&[]), &mut world);
    assert_eq!(world.file_system_policy, before);
    assert_eq!(world.service.present().map_or(0, |service| service.desired), 0);
}

#[test]
fn a_running_server_never_moves_to_another_directory_by_itself() {
    let mut world = converged();
    let made = world.access_point.present().expect("made").clone();
    let own = world.file_system.present().expect("made").id.clone();
    let mut desired = through_theirs(&[]);
    let mut point = their_point("/valkey-data");
    point.file_system = own;
    point.tags.insert(TAG_USED_BY.to_owned(), desired.identity.user_mark());
    (point.uid, point.gid) = (made.uid, made.gid);
    world.access_point = Fact::Present(point);
    world.other_access_points = Fact::Present(vec![made.clone()]);
    // The same directory through another access point is the same data.
    let mut same = world.clone();
    converge(&desired, &mut same);
    let running = |world: &Observed| {
        let definition = world
            .running_definition
            .present()
            .and_then(|one| one.definition.clone());
        definition.and_then(|one| one.volume).expect("mounted").access_point
    };
    assert_eq!(running(&same), point_id(POINT));

    world.access_point.present_mut().expect("one").path = "/new".into();
    let plan = checked(&desired, &world);
    assert_eq!(stalled(&plan), ["TaskDefinition WouldHideData"]);
    assert!(message(&plan, HoldReason::WouldHideData).contains("Key=valkeep.dev/moved-from"));
    let mut waiting = world.clone();
    converge(&desired, &mut waiting);
    assert_eq!(running(&waiting), made.id);

    let tags = &mut world.access_point.present_mut().expect("one").tags;
    tags.insert(TAG_MOVED_FROM.to_owned(), made.id.to_string());
    desired.generation += 1;
    converge(&desired, &mut world);
    assert_eq!(running(&world), point_id(POINT));
}

#[test]
fn a_file_system_that_valkeep_made_may_be_named_by_its_id() {
    let mut world = converged();
    let mut desired = desired();
    desired.file_system.taken = world.file_system.present().map(|found| found.id.clone());
    assert_eq!(calls(&checked(&desired, &world)), Vec::<&str>::new());
    file_system(&mut world).throughput = Throughput::Elastic;
    assert_eq!(
        calls(&checked(&desired, &world)),
        Vec::<&str>::new(),
        "the document does not say it any more"
    );
}
