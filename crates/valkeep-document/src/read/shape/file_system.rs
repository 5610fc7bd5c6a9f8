//! `spec.fileSystem`: EFS's own rules between its settings.

use super::super::forms;
use super::super::report::Report;
use super::super::tree::join;
use super::super::walk::{Field, Map};
use super::{optional, or, or_default};
use crate::types::{AccessPoint, FileSystem, PerformanceMode, ThroughputMode, TransitionToIa};

pub(super) fn file_system(field: &Field<'_>, root_access: Option<bool>, report: &mut Report) -> Option<FileSystem> {
    let default = FileSystem::default();
    let mut map = field.map(report)?;
    map.later(report, "id", "taking a file system that exists", "remove it");
    let encrypted = or(
        map.take("encrypted"),
        || default.encrypted,
        |field| field.boolean(report),
    );
    let kms_key_id = optional(map.take("kmsKeyId"), |field| {
        let key = field.text(report, forms::kms_key)?;
        if encrypted == Some(false) {
            field.say(
                report,
                "is the key for the encryption at rest, and `encrypted` is false",
                "write `encrypted: true`, or remove the key",
            );
            return None;
        }
        Some(key)
    });
    let throughput_mode = or_default(map.take("throughputMode"), |field| {
        field.choice(
            report,
            &[
                ("bursting", ThroughputMode::Bursting),
                ("elastic", ThroughputMode::Elastic),
                ("provisioned", ThroughputMode::Provisioned),
            ],
            &[],
        )
    });
    let performance_mode = or_default(map.take("performanceMode"), |field| {
        let modes = [
            ("generalPurpose", PerformanceMode::GeneralPurpose),
            ("maxIO", PerformanceMode::MaxIo),
        ];
        let mode = field.choice(report, &modes, &[])?;
        if mode == PerformanceMode::MaxIo && throughput_mode == Some(ThroughputMode::Elastic) {
            field.say(
                report,
                "EFS has no `maxIO` with elastic throughput",
                "write `generalPurpose`, or another `throughputMode`",
            );
            return None;
        }
        Some(mode)
    });
    let provisioned_mibps = provisioned(&mut map, field, throughput_mode, report);
    let transition_to_ia = or_default(map.take("transitionToIA"), |field| {
        field.choice(report, TRANSITIONS, &[])
    });
    let automatic_backups = or(
        map.take("automaticBackups"),
        || default.automatic_backups,
        |field| field.boolean(report),
    );
    let enforce_tls_and_iam = or(
        map.take("enforceTlsAndIam"),
        || default.enforce_tls_and_iam,
        |field| field.boolean(report),
    );
    let access_point = or_default(map.take("accessPoint"), |field| {
        access_point(&field, root_access, report)
    });
    let mount_path = or(
        map.take("mountPath"),
        || default.mount_path.clone(),
        |field| field.text(report, forms::mount_path),
    );
    map.finish(report, &[]);
    Some(FileSystem {
        encrypted: encrypted?,
        kms_key_id: kms_key_id?,
        performance_mode: performance_mode?,
        throughput_mode: throughput_mode?,
        provisioned_mibps: provisioned_mibps?,
        transition_to_ia: transition_to_ia?,
        automatic_backups: automatic_backups?,
        enforce_tls_and_iam: enforce_tls_and_iam?,
        access_point: access_point?,
        mount_path: mount_path?,
    })
}

const TRANSITIONS: &[(&str, TransitionToIa)] = &[
    ("AFTER_1_DAY", TransitionToIa::After1Day),
    ("AFTER_7_DAYS", TransitionToIa::After7Days),
    ("AFTER_14_DAYS", TransitionToIa::After14Days),
    ("AFTER_30_DAYS", TransitionToIa::After30Days),
    ("AFTER_60_DAYS", TransitionToIa::After60Days),
    ("AFTER_90_DAYS", TransitionToIa::After90Days),
    ("AFTER_180_DAYS", TransitionToIa::After180Days),
    ("AFTER_270_DAYS", TransitionToIa::After270Days),
    ("AFTER_365_DAYS", TransitionToIa::After365Days),
    ("Never", TransitionToIa::Never),
];

/// `provisionedMibps` is there exactly with `throughputMode: provisioned`. The outer None is that it does not fit.
#[expect(clippy::option_option, reason = "absent and unfit differ")]
fn provisioned(
    map: &mut Map<'_>,
    file_system: &Field<'_>,
    mode: Option<ThroughputMode>,
    report: &mut Report,
) -> Option<Option<f64>> {
    match (map.take("provisionedMibps"), mode) {
        (None, Some(ThroughputMode::Provisioned)) => {
            report.say(
                file_system.key_at("throughputMode"),
                &join(&file_system.path, "provisionedMibps"),
                "is missing; with `throughputMode: provisioned` EFS must be told how much",
                "write `provisionedMibps:` and MiB/s, 1 to 3414",
            );
            None
        }
        (None, _) => Some(None),
        (Some(field), mode) => {
            let mibps = field.number(report, &(1.0..=3414.0))?;
            if matches!(mode, Some(ThroughputMode::Bursting | ThroughputMode::Elastic)) {
                field.say(
                    report,
                    "has a meaning only with `throughputMode: provisioned`",
                    "remove it, or write `throughputMode: provisioned`",
                );
                return None;
            }
            Some(Some(mibps))
        }
    }
}

fn access_point(field: &Field<'_>, root_access: Option<bool>, report: &mut Report) -> Option<AccessPoint> {
    let default = AccessPoint::default();
    let mut map = field.map(report)?;
    map.later(report, "id", "taking an access point that exists", "remove it");
    let path = or(
        map.take("path"),
        || default.path.clone(),
        |field| field.text(report, forms::access_point_path),
    );
    let uid = or(
        map.take("uid"),
        || default.uid,
        |field| {
            let uid = field.whole(report, &(0..=u32::MAX))?;
            if uid == 0 && root_access == Some(false) {
                field.say(
                    report,
                    "without `taskRole.rootAccess` EFS takes uid 0 for nobody, who could not write to the directory",
                    "write another uid, like 1000, or `rootAccess: true`",
                );
                return None;
            }
            Some(uid)
        },
    );
    let gid = or(
        map.take("gid"),
        || default.gid,
        |field| field.whole(report, &(0..=u32::MAX)),
    );
    let permissions = or(
        map.take("permissions"),
        || default.permissions.clone(),
        |field| field.text(report, forms::permissions),
    );
    map.finish(report, &[]);
    Some(AccessPoint {
        path: path?,
        uid: uid?,
        gid: gid?,
        permissions: permissions?,
    })
}
