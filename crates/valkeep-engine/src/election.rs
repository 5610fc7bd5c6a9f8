//! Carries out what an elector decides: calls on the lease, the mandate of each term, and who leads in log and snapshot.

use crate::elector::{Action, Elector};
use crate::mandate::{Mandate, Term};
use crate::snapshot::{Leadership, LeaseState, Snapshot, StoreTrouble};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};
use valkeep_core::ports::Clock;
use valkeep_store::{LeaseError, LeaseStore, LeaseUrl, Written};

/// To give a lease up: one write, and if that meets an earlier one of ours, a look and a second write.
const RELEASES: usize = 2;

/// See the module.
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
        let deadline = self.elector.answer_by(Instant::now());
        for _ in 0..RELEASES {
            if self.elector.is_in_doubt()
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
