//! `spec.persistence`: presets, rules, and what may not be switched on by a restart.

use super::super::forms;
use super::super::report::Report;
use super::super::tree::join;
use super::super::walk::Field;
use super::{or, or_default};
use crate::types::{AppendOnly, Fsync, Persistence, Preset, SaveRule, Snapshots, StaleDump};

/// The most save points; the presets have three.
const RULES_MAX: usize = 16;

/// Valkey keeps seconds and changes of a save point as a C int.
const SAVE_MAX: u32 = 2_147_483_647;

pub(super) fn persistence(field: &Field<'_>, report: &mut Report) -> Option<Persistence> {
    let default = Persistence::default();
    let mut map = field.map(report)?;
    let enabled = or(map.take("enabled"), || default.enabled, |field| field.boolean(report));
    let stale_dump = or_default(map.take("staleDump"), |field| {
        field.choice(
            report,
            &[("Load", StaleDump::Load), ("SetAside", StaleDump::SetAside)],
            &[],
        )
    });
    let snapshots = or_default(map.take("snapshots"), |field| snapshots(&field, report));
    let preset = snapshots.as_ref().map(|snapshots| snapshots.preset);
    let append_only = or_default(map.take("appendOnly"), |field| {
        append_only(&field, enabled, preset, report)
    });
    map.finish(report, &[]);
    Some(Persistence {
        enabled: enabled?,
        stale_dump: stale_dump?,
        snapshots: snapshots?,
        append_only: append_only?,
    })
}

fn snapshots(field: &Field<'_>, report: &mut Report) -> Option<Snapshots> {
    let default = Snapshots::default();
    let mut map = field.map(report)?;
    let preset = or_default(map.take("preset"), |field| {
        field.choice(
            report,
            &[
                ("Balanced", Preset::Balanced),
                ("Frequent", Preset::Frequent),
                ("Infrequent", Preset::Infrequent),
                ("Custom", Preset::Custom),
                ("Off", Preset::Off),
            ],
            &[],
        )
    });
    let rules = match (map.take("rules"), preset) {
        (None, Some(Preset::Custom)) => {
            report.say(
                field.key_at("preset"),
                &join(&field.path, "rules"),
                "is missing; `preset: Custom` takes its save points from there",
                "write `rules: [{seconds: 900, changes: 1}]`, or another preset",
            );
            None
        }
        (None, _) => Some(None),
        (Some(field), preset) => {
            let rules = save_rules(&field, report);
            match preset {
                Some(Preset::Balanced | Preset::Frequent | Preset::Infrequent | Preset::Off) => {
                    field.say(
                        report,
                        "would have no effect: only `preset: Custom` takes rules, the other presets bring their own",
                        "write `preset: Custom`, or remove the rules",
                    );
                    None
                }
                Some(Preset::Custom) | None => rules.map(Some),
            }
        }
    };
    let filename = or(
        map.take("filename"),
        || default.filename.clone(),
        |field| field.text(report, forms::rdb_filename),
    );
    let compression = or(
        map.take("compression"),
        || default.compression,
        |field| field.boolean(report),
    );
    let stop_writes_on_error = or(
        map.take("stopWritesOnError"),
        || default.stop_writes_on_error,
        |field| field.boolean(report),
    );
    map.finish(report, &[]);
    Some(Snapshots {
        preset: preset?,
        rules: rules?,
        filename: filename?,
        compression: compression?,
        stop_writes_on_error: stop_writes_on_error?,
    })
}

fn save_rules(field: &Field<'_>, report: &mut Report) -> Option<Vec<SaveRule>> {
    let items = field.list(report)?;
    if items.is_empty() {
        field.say(
            report,
            "is empty; no rule at all would mean no snapshots",
            "write a rule, like `{seconds: 900, changes: 1}`, or `preset: Off`",
        );
        return None;
    }
    if items.len() > RULES_MAX {
        field.say(
            report,
            format!("has {} rules, at most {RULES_MAX} are taken", items.len()),
            "keep those that matter",
        );
        return None;
    }
    let rules: Vec<Option<SaveRule>> = items.iter().map(|item| save_rule(item, report)).collect();
    rules.into_iter().collect()
}

fn save_rule(field: &Field<'_>, report: &mut Report) -> Option<SaveRule> {
    let mut map = field.map(report)?;
    let seconds = map
        .require(report, "seconds", "write a number of seconds, at least 1")
        .and_then(|field| at_least_one(&field, "Valkey refuses to start with 0 seconds", report));
    let changes = map
        .require(report, "changes", "write a number of changed keys, at least 1")
        .and_then(|field| at_least_one(&field, "with 0 changes Valkey would save without end", report));
    map.finish(report, &[]);
    Some(SaveRule {
        seconds: seconds?,
        changes: changes?,
    })
}

fn at_least_one(field: &Field<'_>, why: &str, report: &mut Report) -> Option<u32> {
    if field.is_zero() {
        field.say(report, why, "write at least 1");
        return None;
    }
    field.whole(report, &(1..=SAVE_MAX))
}

fn append_only(
    field: &Field<'_>,
    persistence: Option<bool>,
    preset: Option<Preset>,
    report: &mut Report,
) -> Option<AppendOnly> {
    let mut map = field.map(report)?;
    let enabled = or_default(map.take("enabled"), |field| {
        let enabled = field.boolean(report)?;
        if enabled && persistence == Some(false) {
            field.say(
                report,
                "the append-only file lies in the directory, which `persistence.enabled: false` takes away",
                "write `false`, or `persistence.enabled: true`",
            );
            return None;
        }
        if enabled && preset == Some(Preset::Off) {
            field.say(
                report,
                "going back from the append-only file takes snapshots, and `persistence.snapshots.preset: Off` writes none",
                "write another preset, like `Infrequent`",
            );
            return None;
        }
        Some(enabled)
    });
    let fsync = or_default(map.take("fsync"), |field| {
        let choices = [
            ("everysec", Fsync::Everysec),
            ("always", Fsync::Always),
            ("no", Fsync::No),
        ];
        field.choice(report, &choices, &[])
    });
    map.finish(report, &[]);
    Some(AppendOnly {
        enabled: enabled?,
        fsync: fsync?,
    })
}
