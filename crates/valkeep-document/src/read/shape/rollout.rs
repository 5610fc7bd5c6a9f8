//! `spec.rollout`: how a task is replaced, and when.

use super::super::forms;
use super::super::report::Report;
use super::super::walk::Field;
use super::service::Task;
use super::{optional, or, or_default};
use crate::types::{FirstTransition, LaunchType, MaintenanceWindow, Rollout};
use valkeep_core::window::DURATION_MINUTES;

pub(super) fn rollout(field: &Field<'_>, task: &Task, report: &mut Report) -> Option<Rollout> {
    let default = Rollout::default();
    let mut map = field.map(report)?;
    let stop_timeout_seconds = or(
        map.take("stopTimeoutSeconds"),
        || default.stop_timeout_seconds,
        |field| {
            let seconds = field.whole(report, &(1..=86_400))?;
            if seconds > 120 && task.launch_type == Some(LaunchType::Fargate) {
                field.say(
                    report,
                    format!("Fargate kills a task 120 seconds after it was told to stop, and {seconds} are asked for"),
                    "write at most 120, or `launchType: EC2`",
                );
                return None;
            }
            Some(seconds)
        },
    );
    let first_transition = or_default(map.take("firstTransition"), |field| {
        let choice = field.choice(
            report,
            &[
                ("Wait", FirstTransition::Wait),
                ("AcceptLoss", FirstTransition::AcceptLoss),
            ],
            &[],
        )?;
        if task.created && choice == FirstTransition::AcceptLoss {
            field.say(
                report,
                "is for services that exist; this document makes its own, which persists from its first start",
                "remove it, or remove `service.create`",
            );
            return None;
        }
        Some(choice)
    });
    let require_snapshot = or(
        map.take("requireSnapshot"),
        || default.require_snapshot,
        |field| field.boolean(report),
    );
    let live_only = or(
        map.take("liveOnly"),
        || default.live_only,
        |field| field.boolean(report),
    );
    let maintenance_window = optional(map.take("maintenanceWindow"), |field| {
        maintenance_window(&field, report)
    });
    map.finish(report, &[]);
    Some(Rollout {
        stop_timeout_seconds: stop_timeout_seconds?,
        first_transition: first_transition?,
        require_snapshot: require_snapshot?,
        live_only: live_only?,
        maintenance_window: maintenance_window?,
    })
}

fn maintenance_window(field: &Field<'_>, report: &mut Report) -> Option<MaintenanceWindow> {
    let mut map = field.map(report)?;
    let cron = map
        .require(report, "cron", "write when it opens, like `0 2 * * SUN`")
        .and_then(|field| field.text(report, forms::cron));
    let duration_minutes = map
        .require(report, "durationMinutes", "write how long it is open, like 120")
        .and_then(|field| field.whole(report, &DURATION_MINUTES));
    let timezone = or(map.take("timezone"), MaintenanceWindow::default_timezone, |field| {
        field.text(report, forms::time_zone_name)
    });
    map.finish(report, &[("timeZone", "did you mean `timezone`?")]);
    Some(MaintenanceWindow {
        cron: cron?,
        duration_minutes: duration_minutes?,
        timezone: timezone?,
    })
}
