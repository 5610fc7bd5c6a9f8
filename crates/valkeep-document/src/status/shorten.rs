//! Makes a status fit where it goes. SSM takes 4 KB.
//!
//! What goes, in this order, one thing at a time and no more than needed:
//!
//! 1. history, oldest first;
//! 2. messages of conditions that are as one wants them, last first;
//! 3. hints of holds, last first;
//! 4. findings beyond the first three, last first;
//! 5. messages of conditions that say the same as `Ready`, last first;
//! 6. messages, hold messages, findings' texts and the phase, cut to 200 characters;
//! 7. findings beyond the first, last first;
//! 8. the same texts, cut to 100 characters; holds, last first; the same texts, cut to 50 characters;
//! 9. messages altogether, last first: `Ready` says longest why it is not, then the last finding and the phase;
//! 10. the stale dump's and the server's figures.
//!
//! Type, status and reason of a condition and the ids of resources stay. Only where these alone are too long, which
//! takes names of several hundred characters, resources go (ARNs first: ids tell the same), then all conditions but
//! `Ready`, `Reconciling` and `Stalled`, and at the very last long texts are cut.

use super::Status;
use valkeep_core::{Condition, ConditionType};

/// The smallest limit that is kept: three conditions and a name fit into it.
const LIMIT_MIN: usize = 2048;

impl Status {
    /// The status as it is written, at most `limit` bytes long (2048 at least), by the order in this module's
    /// description. It says `shortened: true` when anything was left out.
    pub fn shorten(self, limit: usize) -> Vec<u8> {
        let limit = limit.max(LIMIT_MIN);
        let mut status = self;
        let mut body = status.to_json();
        if body.len() <= limit {
            return body;
        }
        status.shortened = true;
        for cut in CUTS {
            body = status.to_json();
            while body.len() > limit && cut(&mut status) {
                body = status.to_json();
            }
            if body.len() <= limit {
                return body;
            }
        }
        body
    }
}

/// Each takes one thing away, or says that there is nothing left of its kind.
const CUTS: &[fn(&mut Status) -> bool] = &[
    |status| {
        let any = !status.history.is_empty();
        status.history.drain(..usize::from(any));
        any
    },
    |status| drop_message(status, is_as_wanted),
    |status| match status.holds.iter_mut().rev().find(|hold| hold.hint.is_some()) {
        Some(hold) => hold.hint.take().is_some(),
        None => false,
    },
    |status| status.findings.len() > 3 && status.findings.pop().is_some(),
    |status| {
        let ready = status
            .condition(ConditionType::Ready)
            .map(|ready| ready.message.clone());
        drop_message(status, |condition| {
            condition.type_ != ConditionType::Ready && Some(&condition.message) == ready.as_ref()
        })
    },
    |status| cut_texts(status, 200),
    |status| status.findings.len() > 1 && status.findings.pop().is_some(),
    |status| cut_texts(status, 100),
    |status| status.holds.pop().is_some(),
    |status| cut_texts(status, 50),
    |status| drop_message(status, |_| true),
    |status| status.findings.pop().is_some(),
    |status| cut(&mut status.phase, 0),
    |status| status.stale_dump.take().is_some(),
    |status| status.valkey.take().is_some(),
    |status| {
        let resources = &mut status.resources;
        [
            &mut resources.task_arn,
            &mut resources.task_definition_arn,
            &mut resources.service_arn,
            &mut resources.access_point_arn,
            &mut resources.file_system_arn,
            &mut resources.log_group,
            &mut resources.role_policy_name,
        ]
        .into_iter()
        .find_map(Option::take)
        .is_some()
    },
    |status| status.resources.mount_targets.pop().is_some(),
    |status| std::mem::take(&mut status.resources) != super::Resources::default(),
    |status| status.assumed_role_arn.take().is_some(),
    |status| {
        status
            .address
            .take()
            .or_else(|| status.region.take())
            .or_else(|| status.account.take())
            .is_some()
    },
    |status| {
        let last = status.conditions.iter().rposition(|condition| {
            !matches!(
                condition.type_,
                ConditionType::Ready | ConditionType::Reconciling | ConditionType::Stalled | ConditionType::Deleted
            )
        });
        last.map(|index| status.conditions.remove(index)).is_some()
    },
    |status| {
        // Nothing that valkeep or AWS writes comes here: all of these are below a few hundred characters.
        let mut cut = plain(&mut status.name, 512);
        cut |= plain(&mut status.observed_revision, 128);
        cut |= plain(&mut status.installation, 64);
        if let Some(revision) = &mut status.last_good_revision {
            cut |= plain(revision, 128);
        }
        for condition in &mut status.conditions {
            cut |= plain(&mut condition.reason, 64);
        }
        cut
    },
];

/// Empties the last message of those conditions.
fn drop_message(status: &mut Status, of: impl Fn(&Condition) -> bool) -> bool {
    let told = |condition: &&mut Condition| !condition.message.is_empty() && of(condition);
    match status.conditions.iter_mut().rev().find(told) {
        Some(condition) => {
            condition.message.clear();
            true
        }
        None => false,
    }
}

/// Nobody needs to be told why.
fn is_as_wanted(condition: &Condition) -> bool {
    condition.status == condition.type_.at_rest()
}

/// Cuts every text for people to at most `limit` characters.
fn cut_texts(status: &mut Status, limit: usize) -> bool {
    let mut any = cut(&mut status.phase, limit);
    for condition in &mut status.conditions {
        any |= cut(&mut condition.message, limit);
    }
    for hold in &mut status.holds {
        any |= cut(&mut hold.message, limit);
    }
    for finding in &mut status.findings {
        any |= cut(&mut finding.problem, limit);
        if let Some(instead) = &mut finding.instead {
            any |= cut(instead, limit);
        }
    }
    any
}

/// Cuts a text to at most `limit` characters, the last of which then is an ellipsis.
fn cut(text: &mut String, limit: usize) -> bool {
    if text.chars().count() <= limit {
        return false;
    }
    *text = text.chars().take(limit.saturating_sub(1)).collect();
    if limit > 0 {
        text.push('…');
    }
    true
}

/// Keeps at most `limit` characters that JSON writes as one byte each.
fn plain(text: &mut String, limit: usize) -> bool {
    if text.len() <= limit && text.bytes().all(is_plain) {
        return false;
    }
    *text = text
        .bytes()
        .filter(|byte| is_plain(*byte))
        .map(char::from)
        .take(limit)
        .collect();
    true
}

fn is_plain(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\'
}
