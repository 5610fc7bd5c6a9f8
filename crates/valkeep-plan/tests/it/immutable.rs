//! What AWS cannot change: the reason, what would be lost, the way that keeps the data. Each is said, and nothing is done.

use crate::world::*;
use valkeep_core::desired::PerformanceMode;
use valkeep_core::ids::VpcId;
use valkeep_core::{Desired, Hold, HoldKind, HoldReason, Observed};

struct Case {
    name: &'static str,
    document: fn(&mut Desired),
    world: fn(&mut Observed),
    kind: HoldKind,
    /// What would be lost, or that nothing is.
    lost: &'static str,
    /// The way.
    way: &'static str,
}

const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555";

const CASES: &[Case] = &[
    Case {
        name: "access-point path",
        document: |desired| desired.access_point.path = "/elsewhere".into(),
        world: |_| {},
        kind: HoldKind::Stalled,
        lost: "would start without its data",
        way: "aws efs delete-access-point --access-point-id fsap-0123456789abcdef0",
    },
    Case {
        name: "uid",
        document: |desired| desired.access_point.uid = 999,
        world: |_| {},
        kind: HoldKind::Stalled,
        lost: "could not read it",
        way: "chown",
    },
    Case {
        name: "file name",
        document: |desired| *desired = with_snapshots(|snapshots| snapshots.filename = "cache.rdb".into()),
        world: |_| {},
        kind: HoldKind::Stalled,
        lost: "would start without its data",
        way: "mv dump.rdb cache.rdb",
    },
    Case {
        name: "encryption",
        document: |desired| desired.file_system.encrypted = false,
        world: |_| {},
        kind: HoldKind::Stalled,
        lost: "another file system would start empty",
        way: "spec.fileSystem.id",
    },
    Case {
        name: "KMS key",
        document: |desired| desired.file_system.kms_key = Some(KEY.into()),
        world: |world| world.file_system.present_mut().expect("one").desired_kms_key = Some(KEY.into()),
        kind: HoldKind::Stalled,
        lost: "another file system would start empty",
        way: "spec.fileSystem.id",
    },
    Case {
        name: "performance mode",
        document: |desired| desired.file_system.performance = PerformanceMode::MaxIo,
        world: |_| {},
        kind: HoldKind::Stalled,
        lost: "another file system would start empty",
        way: "spec.fileSystem.id",
    },
    Case {
        // The zone is served all the same, so this is said and in the way of nothing.
        name: "subnet within a zone",
        document: |desired| desired.network.subnets[0] = subnet("subnet-0ccccccccccccccc3"),
        world: |world| world.subnets.present_mut().expect("some").found[0].id = subnet("subnet-0ccccccccccccccc3"),
        kind: HoldKind::Notice,
        lost: "nothing is lost",
        way: "aws efs delete-mount-target",
    },
    Case {
        name: "security group of another VPC",
        document: |_| {},
        world: |world| {
            let other = VpcId::parse("vpc-0fffffffffffffff0").expect("an id");
            world.named_groups.present_mut().expect("some").found[0].1 = other;
        },
        kind: HoldKind::Stalled,
        lost: "the data is not touched",
        way: "spec.network.taskSecurityGroupIds",
    },
    Case {
        name: "VPC",
        document: |_| {},
        world: |world| {
            for target in world.mount_targets.present_mut().expect("some") {
                target.vpc = VpcId::parse("vpc-0fffffffffffffff0").ok();
            }
        },
        kind: HoldKind::Stalled,
        lost: "could not reach its data",
        way: "the data stays",
    },
];

#[test]
fn what_cannot_be_changed_says_what_would_be_lost_and_the_way_that_keeps_it() {
    for case in CASES {
        let mut desired = desired();
        (case.document)(&mut desired);
        let mut world = converged();
        (case.world)(&mut world);
        let plan = checked(&desired, &world);
        let about: Vec<&Hold> = plan
            .holds
            .iter()
            .filter(|hold| hold.reason == HoldReason::ImmutableField)
            .collect();
        let [hold] = about.as_slice() else {
            panic!("{}: {:#?}", case.name, plan.holds);
        };
        assert_eq!(hold.kind, case.kind, "{}", case.name);
        let text = format!("{} (hint: {})", hold.message, hold.hint.as_deref().unwrap_or_default());
        assert!(text.contains(case.lost), "{}: {text}", case.name);
        assert!(text.contains(case.way), "{}: {text}", case.name);
    }
}

#[test]
fn the_server_that_runs_is_left_alone_by_what_cannot_be_changed() {
    for case in CASES.iter().filter(|case| case.kind == HoldKind::Stalled) {
        let mut desired = desired();
        (case.document)(&mut desired);
        let mut world = converged();
        let running = world.service.present().expect("one").clone();
        (case.world)(&mut world);
        converge(&desired, &mut world);
        let now = world.service.present().expect("one");
        assert_eq!(now.task_definition, running.task_definition, "{}", case.name);
        assert_eq!(now.settings, running.settings, "{}", case.name);
    }
}
