//! Who leads: when to take the lease, to renew it, to wait for another holder's to run out. Decides, one answer after the
//! other, with the time as an argument; `election` carries out.
//!
//! What it rests on, and what not:
//!
//! - every write is a compare-and-swap, so of several that write on one look only one gets through;
//! - a holder counts its time from *before* it sent the write that was confirmed, another one from *after* it got the
//!   answer that first showed that write. Each by its own clock that only goes forward; no two clocks are compared;
//! - the holder stops a margin earlier than the others begin, for what is still on its way and for clocks that run at
//!   unequal speed;
//! - only a confirmed write makes a leader. One whose answer was lost is found by its holder's name and written anew.

use crate::settings::LeaseTiming;
use crate::snapshot::Leadership;
use std::time::Duration;
use tokio::time::Instant;
use valkeep_core::Timestamp;
use valkeep_store::{Expect, LeaseError, LeaseRecord, StoredLease, Written};

/// The longest lease that is waited for. A record that claims more is not one of ours.
const DURATION_MAX: Duration = Duration::from_mins(5);

/// Who stands for leading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Of this process and no other one, ever.
    pub id: String,
    /// Where it runs, for people.
    pub host: String,
}

/// What to do about the lease now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Look at it.
    Read,
    /// Take or renew it.
    Write(LeaseRecord, Expect),
    /// Nothing before then.
    Rest(Instant),
}

/// See the module. Decides only.
#[derive(Debug)]
pub(crate) struct Elector {
    me: Candidate,
    timing: LeaseTiming,
    seen: Seen,
    /// The tag of another's lease, and since when we see no other. Kept over failed calls.
    watched: Option<(String, Instant)>,
    leading: Option<Leading>,
    /// Of ours, confirmed or not.
    writes: u64,
    not_before: Option<Instant>,
    /// The last write met another one.
    refused: bool,
}

/// The object, as far as we know.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    /// Not looked yet, or in doubt since a write.
    Unknown,
    Absent,
    Is(StoredLease),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Leading {
    /// Without the margin.
    until: Instant,
    since: Timestamp,
}

impl Elector {
    pub(crate) fn new(me: Candidate, timing: LeaseTiming) -> Self {
        Self {
            me,
            timing: LeaseTiming {
                duration: timing.duration.min(DURATION_MAX),
                ..timing
            },
            seen: Seen::Unknown,
            watched: None,
            leading: None,
            writes: 0,
            not_before: None,
            refused: false,
        }
    }

    /// What to do now. `wall` is only written down.
    pub(crate) fn next(&mut self, now: Instant, wall: Timestamp) -> Action {
        if self.leading.is_some_and(|leading| now >= leading.until) {
            self.leading = None;
        }
        if let Some(at) = self.not_before.filter(|at| *at > now) {
            return Action::Rest(self.leading.map_or(at, |leading| at.min(leading.until)));
        }
        let expect = match &self.seen {
            Seen::Absent => Expect::Absent,
            Seen::Is(stored) if self.may_take(stored, now) => Expect::Tag(stored.tag.clone()),
            Seen::Unknown | Seen::Is(_) => return Action::Read,
        };
        self.writes += 1;
        let record = LeaseRecord {
            holder: self.me.id.clone(),
            host: self.me.host.clone(),
            since: self.leading.map_or(wall, |leading| leading.since),
            writes: self.writes,
            duration_ms: u64::try_from(self.timing.duration.as_millis()).expect("at most five minutes"),
            released: false,
        };
        Action::Write(record, expect)
    }

    /// Takes the answer to [`Action::Read`], which came at `now`.
    pub(crate) fn read(&mut self, answer: Result<Option<StoredLease>, LeaseError>, now: Instant) {
        match answer {
            Ok(None) => {
                // Removed by hand: the next one to look may take it at once.
                self.leading = None;
                self.seen = Seen::Absent;
                self.not_before = None;
            }
            Ok(Some(stored)) => {
                self.not_before = None;
                if !self.is_mine(&stored) {
                    self.leading = None;
                    if self.watched.as_ref().is_none_or(|(tag, _)| *tag != stored.tag) {
                        self.watched = Some((stored.tag.clone(), now));
                    }
                    if !self.may_take(&stored, now) {
                        let free = self.free_at(&stored).unwrap_or(now);
                        self.not_before = Some(free.min(now + self.timing.retry));
                    }
                }
                self.seen = Seen::Is(stored);
            }
            Err(_) => self.not_before = Some(now + self.pause()),
        }
    }

    /// Takes the answer to [`Action::Write`], which was sent at `sent`.
    pub(crate) fn wrote(
        &mut self,
        record: LeaseRecord,
        answer: Result<Written, LeaseError>,
        sent: Instant,
        now: Instant,
    ) {
        let met_another = matches!(answer, Ok(Written::Conflict));
        match answer {
            Ok(Written::Yes(tag)) => {
                let until = sent + self.timing.duration.saturating_sub(self.timing.margin);
                // An answer that came too late makes no leader; the lease is ours and written again at once.
                self.leading = (now < until).then_some(Leading {
                    until,
                    since: record.since,
                });
                self.not_before = self.leading.map(|_| sent + self.timing.renew);
                self.watched = None;
                self.seen = Seen::Is(StoredLease {
                    tag,
                    record: Some(record),
                });
            }
            Ok(Written::Conflict) => {
                self.seen = Seen::Unknown;
                self.not_before = self.refused.then(|| now + self.pause());
            }
            Err(_) => {
                self.seen = Seen::Unknown;
                self.not_before = Some(now + self.pause());
            }
        }
        self.refused = met_another;
    }

    /// Whether it must be looked at before anything can be said.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.seen == Seen::Unknown
    }

    /// A call was given up without its answer.
    pub(crate) fn doubt(&mut self) {
        self.seen = Seen::Unknown;
        self.not_before = None;
    }

    /// Until when we may change things, if we lead.
    pub(crate) fn leads_until(&self) -> Option<Instant> {
        self.leading.map(|leading| leading.until)
    }

    /// The last moment for the answer to a call that is sent now.
    pub(crate) fn answer_by(&self, now: Instant) -> Instant {
        let at = now + self.timing.call;
        self.leading.map_or(at, |leading| at.min(leading.until))
    }

    /// What to write so that the next one need not wait; none if the lease is not ours, as far as we know.
    pub(crate) fn release(&mut self) -> Option<(LeaseRecord, Expect)> {
        let Seen::Is(StoredLease {
            tag,
            record: Some(record),
        }) = &self.seen
        else {
            return None;
        };
        if record.holder != self.me.id || record.released {
            return None;
        }
        self.leading = None;
        self.writes += 1;
        let record = LeaseRecord {
            released: true,
            writes: self.writes,
            ..record.clone()
        };
        Some((record, Expect::Tag(tag.clone())))
    }

    /// Who leads, for people.
    pub(crate) fn leadership(&self) -> Leadership {
        match (&self.leading, &self.seen) {
            (Some(leading), _) => Leadership::Leading { since: leading.since },
            (None, Seen::Is(stored)) if !self.is_mine(stored) && !is_released(stored) => match &stored.record {
                Some(record) => Leadership::Following {
                    holder: record.holder.clone(),
                    host: record.host.clone(),
                },
                None => Leadership::Following {
                    holder: "something that is no lease".to_owned(),
                    host: "unknown".to_owned(),
                },
            },
            (None, _) => Leadership::Unknown,
        }
    }

    fn is_mine(&self, stored: &StoredLease) -> bool {
        stored.record.as_ref().is_some_and(|record| record.holder == self.me.id)
    }

    fn may_take(&self, stored: &StoredLease, now: Instant) -> bool {
        self.is_mine(stored) || is_released(stored) || self.free_at(stored).is_some_and(|free| now >= free)
    }

    /// When another's lease has run out, if it is not written any more.
    fn free_at(&self, stored: &StoredLease) -> Option<Instant> {
        let (tag, since) = self.watched.as_ref()?;
        let duration = match &stored.record {
            Some(record) => record.duration().min(DURATION_MAX),
            None => self.timing.duration,
        };
        (*tag == stored.tag).then(|| *since + duration)
    }

    /// Between two tries that fail. A leader has less time to lose.
    fn pause(&self) -> Duration {
        if self.leading.is_some() {
            self.timing.retry / 2
        } else {
            self.timing.retry
        }
    }
}

fn is_released(stored: &StoredLease) -> bool {
    stored.record.as_ref().is_some_and(|record| record.released)
}

#[cfg(test)]
#[path = "elector_tests.rs"]
mod tests;
