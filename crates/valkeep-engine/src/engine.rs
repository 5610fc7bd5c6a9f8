//! The engine: sources, queue and probe put together, started and stopped.

use crate::election::{self, Election};
use crate::elector::{Candidate, Elector};
use crate::keeper::{Keeper, Parts, lock};
use crate::mandate::Mandate;
use crate::queue::{Drained, Limits, NUDGES_MAX, Nudge, Queue, QueueStats};
use crate::settings::Settings;
use crate::snapshot::{DocumentKey, DocumentState, LeaseState, Snapshot, StoreState, StoreTrouble};
use crate::source::Source;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use valkeep_core::Scope;
use valkeep_core::ports::{Clock, Secrets, Servers, World};
use valkeep_store::{DocumentStore, LeaseStore, StoreUrl};

/// Valkeys asked at the same time. 1,000 that do not answer for 3 s each then take 24 s, less than the time between two
/// questions.
const PROBES: usize = 128;

/// Keeps every document of its stores true, until it is told to stop.
pub struct Engine<W, S, C> {
    parts: Parts<W, S, C>,
    lease: Option<(Arc<dyn LeaseStore>, Candidate)>,
    queue: watch::Sender<QueueStats>,
}

/// How a run ended. With a lease: its last term.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What became of the work in flight.
    pub drained: Drained,
    /// Counters over the whole run.
    pub queue: QueueStats,
}

/// How [`Engine::once`] ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Every document that is known, in the order of stores and keys.
    pub documents: Vec<Arc<DocumentState>>,
    /// Every store, with its trouble if it could not be listed.
    pub stores: Vec<StoreState>,
    /// The lease and who held it, where there is one.
    pub lease: Option<LeaseState>,
    /// The timeout, a stop or another holder of the lease ended it before every document was ready or stalled.
    pub cut_short: bool,
    /// As of a run.
    pub report: Report,
}

impl<W: World + Secrets, S: Servers, C: Clock> Engine<W, S, C> {
    /// Nothing happens before [`Engine::run`] or [`Engine::once`].
    pub fn new(
        settings: Settings,
        stores: Vec<Arc<dyn DocumentStore>>,
        world: Arc<W>,
        servers: Arc<S>,
        clock: Arc<C>,
        scope: Scope,
    ) -> Self {
        let snapshot = Snapshot {
            stores: unlisted(&stores),
            ..Snapshot::default()
        };
        Self {
            parts: Parts {
                settings,
                scope: Arc::new(scope),
                stores,
                world,
                servers,
                clock,
                snapshot: watch::Sender::new(snapshot),
            },
            lease: None,
            queue: watch::Sender::new(QueueStats::default()),
        }
    }

    /// One of several, of which only the holder of this lease works.
    #[must_use]
    pub fn sharing(mut self, lease: Arc<dyn LeaseStore>, me: Candidate) -> Self {
        self.parts
            .snapshot
            .send_modify(|snapshot| snapshot.lease = Some(election::unknown(lease.url())));
        self.lease = Some((lease, me));
        self
    }

    /// The state of everything, as it changes.
    pub fn snapshots(&self) -> watch::Receiver<Snapshot> {
        self.parts.snapshot.subscribe()
    }

    /// The queue's counters, as they change.
    pub fn queue_stats(&self) -> watch::Receiver<QueueStats> {
        self.queue.subscribe()
    }

    /// Keeps everything true until `shutdown`. Then nothing new starts, passes in flight end at their next round, and what
    /// does not end within [`Settings::drain_timeout`] is cut off.
    ///
    /// With a lease it works while it leads, and only waits while another one does. Each term begins from nothing: what
    /// another one did meanwhile is not known. When the lease is lost, everything is cut off at once. At the end it is
    /// given up, unless something had to be cut off that may still arrive at AWS.
    pub async fn run(self, shutdown: CancellationToken) -> Report {
        let Self { parts, lease, queue } = self;
        let Some((store, me)) = lease else {
            return term(&parts, Mandate::Alone, &queue, &shutdown).await;
        };
        let (mandate, mut mandates) = watch::channel(None);
        let resign = CancellationToken::new();
        let election = Election::new(
            store,
            Elector::new(me, parts.settings.lease),
            Arc::clone(&parts.clock),
            parts.snapshot.clone(),
            mandate,
        );
        // A set, so that it ends with this future, as everything else here does.
        let mut elections = JoinSet::new();
        elections.spawn(election.run(resign.clone()));
        let mut report = Report::default();
        let mut may_arrive = false;
        loop {
            let given = mandates.wait_for(|given| given.as_ref().is_some_and(|given| !given.is_over()));
            let mandate = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                given = given => match given.map(|given| given.clone()) {
                    Ok(Some(mandate)) => mandate,
                    // The election has ended without being told to, and says below why.
                    Ok(None) | Err(_) => break,
                },
            };
            report = term(&parts, mandate, &queue, &shutdown).await;
            if shutdown.is_cancelled() {
                may_arrive = report.drained.aborted > 0;
                break;
            }
            // Whoever leads now knows better.
            parts.snapshot.send_modify(|snapshot| {
                snapshot.documents.clear();
                snapshot.stores = unlisted(&parts.stores);
            });
        }
        resign.cancel();
        match elections.join_next().await {
            Some(Ok(election)) if !may_arrive => election.release().await,
            Some(Ok(_)) => warn!("calls that were cut off may still arrive, so the lease is not given up but runs out"),
            Some(Err(failed)) => std::panic::resume_unwind(failed.into_panic()),
            None => {}
        }
        report
    }

    /// Runs until every store is listed and every document is ready or stalled, or until the timeout or `shutdown`, or
    /// until another holder of the lease was waited for as long as [`LeaseTiming::patience`] says.
    ///
    /// [`LeaseTiming::patience`]: crate::LeaseTiming::patience
    pub async fn once(self, timeout: Option<Duration>, shutdown: CancellationToken) -> Finished {
        let mut snapshots = self.snapshots();
        let patience = self.parts.settings.lease.patience;
        let stop = shutdown.child_token();
        let settled = {
            let (snapshots, stop) = (snapshots.clone(), stop.clone());
            async move {
                let wait = async {
                    let mut settling = snapshots.clone();
                    tokio::select! {
                        biased;
                        // Fails only when the engine is gone, and then there is nothing to wait for.
                        settled = settling.wait_for(Snapshot::is_settled) => settled.is_ok(),
                        () = not_led(snapshots.clone(), patience) => false,
                    }
                };
                let settled = match timeout {
                    Some(timeout) => tokio::time::timeout(timeout, wait).await.unwrap_or(false),
                    None => wait.await,
                };
                stop.cancel();
                settled
            }
        };
        let run = async {
            let report = self.run(stop.clone()).await;
            // Ended from outside: the wait must end, too.
            stop.cancel();
            report
        };
        let (report, settled) = tokio::join!(run, async {
            tokio::select! {
                biased;
                settled = settled => settled,
                () = shutdown.cancelled() => false,
            }
        });
        let last = snapshots.borrow_and_update();
        Finished {
            documents: last.documents.values().cloned().collect(),
            stores: last.stores.clone(),
            lease: last.lease.clone(),
            cut_short: !settled,
            report,
        }
    }
}

/// Ends when another one has led for so long without a break.
async fn not_led(mut snapshots: watch::Receiver<Snapshot>, patience: Duration) {
    loop {
        // The engine is gone: the other wait says so.
        if snapshots.wait_for(|snapshot| !snapshot.leads()).await.is_err() {
            return std::future::pending().await;
        }
        let led = tokio::time::timeout(patience, snapshots.wait_for(Snapshot::leads)).await;
        if led.is_err() {
            return;
        }
    }
}

/// One term: works from nothing until `shutdown`, or until the mandate ends.
async fn term<W: World + Secrets, S: Servers, C: Clock>(
    parts: &Parts<W, S, C>,
    mandate: Mandate,
    stats: &watch::Sender<QueueStats>,
    shutdown: &CancellationToken,
) -> Report {
    let (sender, nudged) = mpsc::channel(NUDGES_MAX);
    let keeper = Arc::new(Keeper::new(parts.clone(), mandate.clone(), sender));
    let settings = &keeper.parts.settings;
    let mut background = JoinSet::new();
    // The gate opens when every store was listed once or failed to: documents of a store that answers do not wait for
    // one that does not, and two documents that are in each other's way are seen before either is followed.
    let gate = watch::Sender::new(false);
    background.spawn(poll_all(Arc::clone(&keeper), gate.clone()));
    background.spawn(probe_all(Arc::clone(&keeper)));
    let limits = Limits {
        concurrency: settings.concurrency.max(1),
        backoff_base: settings.backoff_base,
        backoff_cap: settings.backoff_cap,
        attempt_timeout: settings.attempt_timeout,
        drain_timeout: settings.drain_timeout,
    };
    // Without the lease runs end by themselves, at once.
    let over = shutdown.child_token();
    let stopper = {
        let (stop, over) = (keeper.stop.clone(), over.clone());
        async move {
            tokio::select! {
                biased;
                () = over.cancelled() => {}
                () = mandate.ended() => over.cancel(),
            }
            stop.cancel();
        }
    };
    background.spawn(stopper);
    let jitter = {
        let keeper = Arc::clone(&keeper);
        move |longest: Duration| longest.mul_f64(lock(&keeper.random).f64())
    };
    let work = {
        let keeper = Arc::clone(&keeper);
        move |key| {
            let keeper = Arc::clone(&keeper);
            async move { keeper.run(key).await }
        }
    };
    let lane = {
        let keeper = Arc::clone(&keeper);
        move |key: &DocumentKey| lock(&keeper.table).lane(key)
    };
    let drained = Queue::new(limits, lane)
        .run(nudged, gate.subscribe(), over, stats.clone(), jitter, work)
        .await;
    background.shutdown().await;
    Report {
        drained,
        queue: stats.borrow().clone(),
    }
}

fn unlisted(stores: &[Arc<dyn DocumentStore>]) -> Vec<StoreState> {
    stores
        .iter()
        .map(|store| StoreState {
            url: store.url().clone(),
            listed_at: None,
            documents: 0,
            trouble: None,
        })
        .collect()
}

/// Polls every store at its own pace, so that a slow one delays no other.
async fn poll_all<W: World + Secrets, S: Servers, C: Clock>(keeper: Arc<Keeper<W, S, C>>, gate: watch::Sender<bool>) {
    let urls: Arc<[StoreUrl]> = keeper.parts.stores.iter().map(|store| store.url().clone()).collect();
    let sources: Vec<Arc<Source>> = keeper
        .parts
        .stores
        .iter()
        .enumerate()
        .map(|(index, store)| {
            Arc::new(Source {
                index,
                store: Arc::clone(store),
                scope: Arc::clone(&keeper.parts.scope),
            })
        })
        .collect();
    futures_util::future::join_all(sources.iter().map(|source| poll(&keeper, source, &urls))).await;
    gate.send_replace(true);
    futures_util::future::join_all(sources.iter().map(|source| async {
        let mut ticks = tokio::time::interval(keeper.parts.settings.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once, and that poll has been made.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            poll(&keeper, source, &urls).await;
        }
    }))
    .await;
}

/// One poll of one store.
async fn poll<W: World + Secrets, S: Servers, C: Clock>(
    keeper: &Arc<Keeper<W, S, C>>,
    source: &Arc<Source>,
    urls: &Arc<[StoreUrl]>,
) {
    // In a task of its own: a panic is one failed poll of one store.
    let polled = {
        let (keeper, source) = (Arc::clone(keeper), Arc::clone(source));
        tokio::spawn(async move { source.poll(&keeper.table).await }).await
    };
    let polled = match polled {
        Ok(Ok(polled)) => Ok(polled),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => {
            error!(store = %source.store.url(), error = %panic, "polling panicked: a bug of valkeep");
            Err("polling it ended in a bug of valkeep; its log says more".to_owned())
        }
    };
    match polled {
        Ok(polled) => {
            let documents = polled.present.len();
            let changes = lock(&keeper.table).update(source.index, urls, &polled.present, polled.read);
            for (key, name) in &changes.gone {
                keeper.forget(key, name);
            }
            for key in &changes.nudge {
                keeper.announce(key);
            }
            tell_store(keeper, source, Ok(documents));
            let gone = changes.gone.into_iter().map(|(key, _)| key);
            for key in changes.nudge.into_iter().chain(gone) {
                // Waits while the queue is full. It ends only with the engine.
                keeper.nudges.send(Nudge::Now(key)).await.ok();
            }
        }
        Err(message) => tell_store(keeper, source, Err(message)),
    }
}

/// Says once when a store cannot be listed, and once when it can again; everything else goes into the snapshot.
fn tell_store<W: World + Secrets, S: Servers, C: Clock>(
    keeper: &Keeper<W, S, C>,
    source: &Source,
    listed: Result<usize, String>,
) {
    let now = keeper.parts.clock.now();
    keeper.parts.snapshot.send_modify(|snapshot| {
        let Some(state) = snapshot.stores.get_mut(source.index) else {
            return;
        };
        match listed {
            Ok(documents) => {
                if let Some(trouble) = state.trouble.take() {
                    info!(store = %state.url, since = %trouble.since, documents, "the store can be listed again");
                } else if state.listed_at.is_none() {
                    info!(store = %state.url, documents, "store listed");
                }
                state.listed_at = Some(now);
                state.documents = documents;
            }
            Err(message) => {
                let since = if let Some(trouble) = state.trouble.take() {
                    trouble.since
                } else {
                    warn!(
                        store = %state.url,
                        message,
                        "the store cannot be listed; everything known from it stays in force"
                    );
                    now
                };
                state.trouble = Some(StoreTrouble { since, message });
            }
        }
    });
}

/// Asks every serving Valkey, again and again.
async fn probe_all<W: World + Secrets, S: Servers, C: Clock>(keeper: Arc<Keeper<W, S, C>>) {
    let mut ticks = tokio::time::interval(keeper.parts.settings.probe);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let keys: Vec<DocumentKey> = lock(&keeper.slots).keys().cloned().collect();
        let mut asked = JoinSet::new();
        for key in keys {
            while asked.len() >= PROBES {
                told(asked.join_next().await);
            }
            let keeper = Arc::clone(&keeper);
            asked.spawn(async move { keeper.ask(key).await });
        }
        while !asked.is_empty() {
            told(asked.join_next().await);
        }
    }
}

/// A panic is one lost look at one Valkey.
fn told(ended: Option<Result<(), tokio::task::JoinError>>) {
    if let Some(Err(panic)) = ended {
        error!(error = %panic, "asking Valkey panicked: a bug of valkeep");
    }
}
