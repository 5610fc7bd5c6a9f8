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
    let id = optional(map.take("id"), |field| field.text(report, forms::file_system_id));
    let encrypted = optional(map.take("encrypted"), |field| field.boolean(report));
    let kms_key_id = optional(map.take("kmsKeyId"), |field| {
        let key = field.text(report, forms::kms_key)?;
        if encrypted == Some(Some(false)) {
            field.say(
                report,
                "is the key for the encryption at rest, and `encrypted` is false",
                "write `encrypted: true`, or remove the key",
            );
            return None;
        }
        Some(key)
    });
    let throughput_mode = optional(map.take("throughputMode"), |field| {
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
    let performance_mode = optional(map.take("performanceMode"), |field| {
        let modes = [
            ("generalPurpose", PerformanceMode::GeneralPurpose),
            ("maxIO", PerformanceMode::MaxIo),
        ];
        let mode = field.choice(report, &modes, &[])?;
        if mode == PerformanceMode::MaxIo && throughput_mode == Some(Some(ThroughputMode::Elastic)) {
            field.say(
                report,
                "EFS has no `maxIO` with elastic throughput",
                "write `generalPurpose`, or another `throughputMode`",
            );
            return None;
        }
        Some(mode)
    });
    let mode = throughput_mode.map(Option::unwrap_or_default);
    let provisioned_mibps = provisioned(&mut map, field, mode, report);
    let transition_to_ia = optional(map.take("transitionToIA"), |field| {
        field.choice(report, TRANSITIONS, &[])
    });
    let automatic_backups = optional(map.take("automaticBackups"), |field| field.boolean(report));
    let access_point = or_default(map.take("accessPoint"), |field| {
        access_point(&field, root_access, report)
    });
    let exists = map.has("id") || access_point.as_ref().is_some_and(|point| point.id.is_some());
    let enforce_tls_and_iam = or(
        map.take("enforceTlsAndIam"),
        || default.enforce_tls_and_iam,
        |field| {
            let wanted = field.boolean(report)?;
            if wanted && exists {
                field.say(
                    report,
                    "valkeep sets a file-system policy only on file systems that it makes: on one that exists it could cut \
                     off other clients",
                    "remove it, and set the policy where the file system is kept",
                );
                return None;
            }
            Some(wanted)
        },
    );
    let add_security_group = or(
        map.take("addSecurityGroup"),
        || default.add_security_group,
        |field| {
            let wanted = field.boolean(report)?;
            if wanted && !exists {
                field.say(
                    report,
                    "is about mount targets that others made, and this file system is made by valkeep",
                    "remove it, or name the file system that exists with `id`",
                );
                return None;
            }
            Some(wanted)
        },
    );
    let mount_path = or(
        map.take("mountPath"),
        || default.mount_path.clone(),
        |field| field.text(report, forms::mount_path),
    );
    map.finish(report, &[]);
    Some(FileSystem {
        id: id?,
        encrypted: encrypted?,
        kms_key_id: kms_key_id?,
        performance_mode: performance_mode?,
        throughput_mode: throughput_mode?,
        provisioned_mibps: provisioned_mibps?,
        transition_to_ia: transition_to_ia?,
        automatic_backups: automatic_backups?,
        enforce_tls_and_iam: enforce_tls_and_iam?,
        add_security_group: add_security_group?,
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
    let mut map = field.map(report)?;
    let id = optional(map.take("id"), |field| field.text(report, forms::access_point_id));
    let path = optional(map.take("path"), |field| field.text(report, forms::access_point_path));
    let uid = optional(map.take("uid"), |field| {
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
    });
    let gid = optional(map.take("gid"), |field| field.whole(report, &(0..=u32::MAX)));
    let permissions = optional(map.take("permissions"), |field| field.text(report, forms::permissions));
    map.finish(report, &[]);
    Some(AccessPoint {
        id: id?,
        path: path?,
        uid: uid?,
        gid: gid?,
        permissions: permissions?,
    })
}
