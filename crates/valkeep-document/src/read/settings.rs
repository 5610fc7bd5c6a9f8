//! The operator's settings: the same tree and the same walk as for documents, another shape.

use super::report::{Report, Wrong, quote};
use super::walk::Field;
use super::{Node, shape};
use std::collections::BTreeSet;
use valkeep_core::limits::{Allowed, Kind, Limits, Pattern};

/// IAM takes 6,144 characters in a policy; with more patterns than this the generated one could never fit.
const PATTERNS_MAX: usize = 50;

/// Reads the settings, reporting everything that does not fit. None only when something was reported.
pub(super) fn settings(root: &Node, report: &mut Report) -> Option<Limits> {
    let mut map = Field::root(root).map(report)?;
    let limits = shape::or_default(map.take("limits"), |field| limits(&field, report));
    map.finish(report, &[]);
    limits
}

fn limits(field: &Field<'_>, report: &mut Report) -> Option<Limits> {
    let mut map = field.map(report)?;
    let mut limits = Limits::default();
    let mut good = true;
    for kind in Kind::ALL {
        let Some(field) = map.take(kind.setting()) else {
            continue;
        };
        match patterns(kind, &field, report) {
            Some(patterns) => *limits.of_mut(kind) = Allowed::only(patterns),
            None => good = false,
        }
    }
    map.finish(report, &[]);
    good.then_some(limits)
}

fn patterns(kind: Kind, field: &Field<'_>, report: &mut Report) -> Option<Vec<Pattern>> {
    let items = field.list(report)?;
    if items.is_empty() && kind != Kind::AssumedRole {
        // Nothing permitted would be a valkeep that stalls every document: more often a forgotten value. Only to take on no
        // role is what most installations want.
        field.say(
            report,
            "is empty, which would permit nothing",
            "write what documents may name, or leave the field out to permit everything",
        );
        return None;
    }
    if items.len() > PATTERNS_MAX {
        field.say(
            report,
            format!(
                "has {} patterns; more than {PATTERNS_MAX} fit no IAM policy",
                items.len()
            ),
            "write wider patterns",
        );
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut patterns = Vec::new();
    for item in &items {
        let form = if kind == Kind::AssumedRole { role_arn } else { pattern };
        let Some(text) = item.text(report, form) else {
            continue;
        };
        if seen.insert(text.clone()) {
            patterns.extend(Pattern::parse(&text));
        } else {
            item.say(report, format!("{} is there already", quote(&text)), "remove it");
        }
    }
    (patterns.len() == items.len()).then_some(patterns)
}

fn pattern(text: &str) -> Result<(), Wrong> {
    match Pattern::parse(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(Wrong::new(
            format!("{} is no pattern", quote(text)),
            "write letters, digits and `_ + = , . @ - / :`, with `*` for any characters",
        )),
    }
}

fn role_arn(text: &str) -> Result<(), Wrong> {
    pattern(text)?;
    match Pattern::parse_role_arn(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(Wrong::new(
            format!("{} fits no role's ARN", quote(text)),
            "write it like arn:aws:iam::222222222222:role/valkeep-*; only account and name may have a `*`",
        )),
    }
}
