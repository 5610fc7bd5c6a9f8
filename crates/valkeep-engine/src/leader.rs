//! Who leads: takes the lease, renews it, waits for another holder's to run out.
//!
//! [`Elector`] decides, one answer after the other, with the time as an argument; [`Election`] carries out and tells.
//! What it rests on, and what not:
//!
//! - every write is a compare-and-swap, so of several that write on one look only one gets through;
//! - a holder counts its time from *before* it sent the write that was confirmed, another one from *after* it got the
//!   answer that first showed that write. Each by its own clock that only goes forward; no two clocks are compared;
//! - the holder stops a margin earlier than the others begin, for what is still on its way and for clocks that run at
//!   unequal speed;
//! - only a confirmed write makes a leader. One whose answer was lost is found by its holder's name and written anew.

use crate::mandate::{Mandate, Term};
use crate::settings::LeaseTiming;
use crate::snapshot::{Leadership, LeaseState, Snapshot, StoreTrouble};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};
use valkeep_core::Timestamp;
use valkeep_core::ports::Clock;
use valkeep_store::{Expect, LeaseError, LeaseRecord, LeaseStore, LeaseUrl, StoredLease, Written};

/// The longest lease that is waited for. A record that claims more is not one of ours.
const DURATION_MAX: Duration = Duration::from_mins(5);
/// To give a lease up: one write, and if that meets an earlier one of ours, a look and a second write.
const RELEASES: usize = 2;

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
            Seen::Unknown => return Action::Read,
            Seen::Absent => Expect::Absent,
            Seen::Is(stored) if self.may_take(stored, now) => Expect::Tag(stored.tag.clone()),
            Seen::Is(_) => return Action::Read,
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

/// Carries out what an elector decides, and tells who leads.
pub(crate) struct Election<C> {
    store: Arc<dyn LeaseStore>,
    elector: Elector,
    clock: Arc<C>,
    snapshot: watch::Sender<Snapshot>,
    /// The mandate of the present term.
    mandate: watch::Sender<Option<Mandate>>,
    term: Option<(watch::Sender<Instant>, CancellationToken)>,
    /// The last write failed, so looking well is no news.
    unwritten: bool,
}

impl<C: Clock> Election<C> {
    pub(crate) fn new(
        store: Arc<dyn LeaseStore>,
        elector: Elector,
        clock: Arc<C>,
        snapshot: watch::Sender<Snapshot>,
        mandate: watch::Sender<Option<Mandate>>,
    ) -> Self {
        Self {
            store,
            elector,
            clock,
            snapshot,
            mandate,
            term: None,
            unwritten: false,
        }
    }

    /// Stands until `resign`. The lease is then still held, unless it is released.
    pub(crate) async fn run(mut self, resign: CancellationToken) -> Self {
        loop {
            let action = self.elector.next(Instant::now(), self.clock.now());
            self.tell();
            let store = Arc::clone(&self.store);
            let sent = Instant::now();
            let by = self.elector.answer_by(sent);
            match action {
                Action::Rest(at) => {
                    let over = self.term.as_ref().map(|(_, over)| over.clone());
                    tokio::select! {
                        biased;
                        () = resign.cancelled() => break,
                        () = ended_early(over) => {}
                        () = sleep_until(at) => {}
                    }
                }
                Action::Read => {
                    let answer = tokio::select! {
                        biased;
                        () = resign.cancelled() => break,
                        answer = timeout_at(by, store.read()) => in_time("s3:GetObject", store.url(), answer),
                    };
                    let failed = answer.as_ref().err().cloned();
                    self.elector.read(answer, Instant::now());
                    self.unwritten &= !matches!(self.elector.leadership(), Leadership::Following { .. });
                    if failed.is_some() || !self.unwritten {
                        self.trouble(failed.as_ref());
                    }
                }
                Action::Write(record, expect) => {
                    debug!(lease = %store.url(), writes = record.writes, "writing the lease");
                    let answer = tokio::select! {
                        biased;
                        () = resign.cancelled() => {
                            self.elector.doubt();
                            break;
                        }
                        answer = timeout_at(by, store.write(&record, &expect)) => in_time("s3:PutObject", store.url(), answer),
                    };
                    self.unwritten = answer.is_err();
                    self.trouble(answer.as_ref().err());
                    self.elector.wrote(record, answer, sent, Instant::now());
                }
            }
        }
        self.end();
        self
    }

    /// Gives the lease up, so that the next one need not wait. Only when nothing of ours is on its way any more.
    pub(crate) async fn release(mut self) {
        let url = self.store.url().clone();
        let deadline = Instant::now() + self.elector.timing.call;
        for _ in 0..RELEASES {
            if self.elector.seen == Seen::Unknown
                && let Ok(Ok(found)) = timeout_at(deadline, self.store.read()).await
            {
                self.elector.read(Ok(found), Instant::now());
            }
            let Some((record, expect)) = self.elector.release() else {
                break;
            };
            match timeout_at(deadline, self.store.write(&record, &expect)).await {
                Ok(Ok(Written::Yes(_))) => {
                    info!(lease = %url, "the lease is given up");
                    return;
                }
                Ok(Ok(Written::Conflict)) => self.elector.doubt(),
                Ok(Err(failed)) => {
                    warn!(lease = %url, error = %failed, "the lease could not be given up; it runs out by itself");
                    return;
                }
                Err(_) => {
                    warn!(lease = %url, "giving up the lease was not answered; it runs out by itself");
                    return;
                }
            }
        }
        debug!(lease = %url, "the lease is not ours to give up");
    }

    /// Brings the mandate and the snapshot up to what the elector knows, and says what changed.
    fn tell(&mut self) {
        match (self.elector.leads_until(), &self.term) {
            // Somebody saw the end of the term before its renewal came: what was cut off starts anew in another term.
            (Some(until), Some((_, over))) if over.is_cancelled() => {
                self.end();
                self.begin(until);
            }
            (Some(until), Some((renew, _))) => {
                renew.send_replace(until);
            }
            (Some(until), None) => self.begin(until),
            (None, Some(_)) => {
                self.end();
                warn!(lease = %self.store.url(), "the lease is lost; nothing is changed any more");
            }
            (None, None) => {}
        }
        let now = self.elector.leadership();
        let url = self.store.url();
        self.snapshot.send_if_modified(|snapshot| {
            let Some(lease) = &mut snapshot.lease else { return false };
            // In doubt about a lease that was followed: it is told when something else is known.
            if lease.leadership == now || (now == Leadership::Unknown && !lease.leadership.leads()) {
                return false;
            }
            match &now {
                Leadership::Leading { since } => info!(lease = %url, %since, "this valkeep leads"),
                Leadership::Following { holder, host } => {
                    info!(lease = %url, holder, host, "another valkeep leads; this one waits for its lease");
                }
                Leadership::Unknown => {}
            }
            lease.leadership = now;
            true
        });
    }

    fn begin(&mut self, until: Instant) {
        let (renew, until) = watch::channel(until);
        let over = CancellationToken::new();
        self.term = Some((renew, over.clone()));
        self.mandate.send_replace(Some(Mandate::Leased(Term { until, over })));
    }

    fn end(&mut self) {
        if let Some((_, over)) = self.term.take() {
            over.cancel();
        }
        self.mandate.send_replace(None);
    }

    /// Says once when the lease cannot be used, and once when it can again.
    fn trouble(&self, met: Option<&LeaseError>) {
        let now = self.clock.now();
        let url = self.store.url();
        self.snapshot.send_if_modified(|snapshot| {
            let Some(lease) = &mut snapshot.lease else { return false };
            match (met, &lease.trouble) {
                (None, None) => false,
                (None, Some(trouble)) => {
                    info!(lease = %url, since = %trouble.since, "the lease can be used again");
                    lease.trouble = None;
                    true
                }
                (Some(failed), before) => {
                    let message = match failed.hint() {
                        Some(hint) => format!("{failed}; hint: {hint}"),
                        None => failed.to_string(),
                    };
                    match before {
                        Some(before) if before.message == message => return false,
                        _ if failed.hint().is_some() => {
                            error!(lease = %url, message, "the lease cannot be used; only who holds it changes anything");
                        }
                        _ => warn!(lease = %url, message, "the lease cannot be used; it is tried again"),
                    }
                    lease.trouble = Some(StoreTrouble {
                        since: before.as_ref().map_or(now, |before| before.since),
                        message,
                    });
                    true
                }
            }
        });
    }
}

/// As nobody has looked at it yet.
pub(crate) fn unknown(url: &LeaseUrl) -> LeaseState {
    LeaseState {
        url: url.clone(),
        leadership: Leadership::Unknown,
        trouble: None,
    }
}

async fn ended_early(over: Option<CancellationToken>) {
    match over {
        Some(over) => over.cancelled().await,
        None => std::future::pending().await,
    }
}

fn in_time<T>(
    call: &str,
    url: &LeaseUrl,
    answer: Result<Result<T, LeaseError>, tokio::time::error::Elapsed>,
) -> Result<T, LeaseError> {
    answer.unwrap_or_else(|_| {
        Err(LeaseError::Failed {
            call: call.to_owned(),
            url: url.clone(),
            message: "no answer in time".to_owned(),
        })
    })
}

#[cfg(test)]
#[path = "leader_tests.rs"]
mod tests;
