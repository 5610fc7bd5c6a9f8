//! Keeps one document: a pass with its status and its next time, and the look at its Valkey between passes.
//!
//! Everything a run needs hangs here; who runs when is the queue's and the engine's matter.

use crate::mandate::{Ended, Mandate};
use crate::memory::{Last, Memory};
use crate::pace::Pace;
use crate::pass::{self, Pass};
use crate::queue::{Nudge, RETRY, Verdict};
use crate::report;
use crate::servers::ask_server;
use crate::settings::Settings;
use crate::snapshot::{DocumentKey, DocumentState, Snapshot, Standing, StoreTrouble};
use crate::table::{Good, Table, View, Work};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use valkeep_core::desired::Mode;
use valkeep_core::ports::{Clock, Secrets, Servers, World};
use valkeep_core::{ConditionType, Desired, DoubtKind, Fact, HoldKind, HoldReason, Scope, Timestamp};
use valkeep_document::status::Status;
use valkeep_plan::{Context, assess, plan};
use valkeep_store::DocumentStore;

/// A time that has come is not worth spinning for.
const DELAY_MIN: Duration = Duration::from_secs(1);
/// Resyncs spread by this part of theirs, so that documents read at one time are not looked at in one burst for ever.
const RESYNC_SPREAD: f64 = 0.1;
/// Each quiet pass makes the next wait longer by this, up to [`Settings::wait_max`].
const WAIT_GROWTH: f64 = 1.5;
/// 1.5 to the 16th is 656: every sensible maximum is reached before.
const WAITS_MAX: u32 = 16;
/// Quiet passes after which a Valkey that does not answer is left to the probe; with the default waits, two minutes.
const UNREACHABLE_PASSES: u32 = 8;
/// ECS notices a task that ended within a second or two; a pass before that would see it running.
const AFTER_LOSS: Duration = Duration::from_secs(2);

/// What every term works with.
pub(crate) struct Parts<W, S, C> {
    pub(crate) settings: Settings,
    pub(crate) scope: Arc<Scope>,
    pub(crate) stores: Vec<Arc<dyn DocumentStore>>,
    pub(crate) world: Arc<W>,
    pub(crate) servers: Arc<S>,
    pub(crate) clock: Arc<C>,
    pub(crate) snapshot: watch::Sender<Snapshot>,
}

impl<W, S, C> Clone for Parts<W, S, C> {
    fn clone(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            scope: Arc::clone(&self.scope),
            stores: self.stores.clone(),
            world: Arc::clone(&self.world),
            servers: Arc::clone(&self.servers),
            clock: Arc::clone(&self.clock),
            snapshot: self.snapshot.clone(),
        }
    }
}

/// See the module. Of one term: what it knows of documents ends with it.
pub(crate) struct Keeper<W, S, C> {
    pub(crate) parts: Parts<W, S, C>,
    pub(crate) mandate: Mandate,
    pub(crate) table: Mutex<Table>,
    pub(crate) nudges: mpsc::Sender<Nudge<DocumentKey>>,
    pub(crate) stop: CancellationToken,
    pub(crate) pace: Mutex<Pace>,
    pub(crate) random: Mutex<fastrand::Rng>,
    /// One lock a document, held over a whole pass: the queue keeps passes of one document apart, this also keeps the
    /// probe out, which asks without waiting ([`tokio::sync::Mutex::try_lock`]).
    pub(crate) slots: Mutex<HashMap<DocumentKey, Arc<tokio::sync::Mutex<Memory>>>>,
}

impl<W: World + Secrets, S: Servers, C: Clock> Keeper<W, S, C> {
    pub(crate) fn new(parts: Parts<W, S, C>, mandate: Mandate, nudges: mpsc::Sender<Nudge<DocumentKey>>) -> Self {
        Self {
            pace: Mutex::default(),
            random: Mutex::new(fastrand::Rng::with_seed(parts.settings.seed)),
            parts,
            mandate,
            table: Mutex::default(),
            nudges,
            stop: CancellationToken::new(),
            slots: Mutex::default(),
        }
    }

    /// One run of one document, as long as there is a mandate.
    pub(crate) async fn run(&self, key: DocumentKey) -> Verdict {
        let run = self.run_mandated(key.clone());
        self.mandate.within(Duration::ZERO, run).await.unwrap_or_else(|Ended| {
            warn!(%key, "the lease ended, and the pass with it; what was in flight may have been done or not");
            RETRY
        })
    }

    async fn run_mandated(&self, key: DocumentKey) -> Verdict {
        let Some(view) = lock(&self.table).view(&key) else {
            lock(&self.slots).remove(&key);
            return Verdict::Done;
        };
        let slot = Arc::clone(lock(&self.slots).entry(key.clone()).or_default());
        let mut memory = slot.lock().await;
        match &view.work {
            Work::Converge(good) if good.desired.mode == Mode::Paused => {
                self.pause(&key, &view, good, &mut memory).await
            }
            // What the store says now may be that the deletion is taken back.
            Work::Converge(good) if good.desired.deletion.is_some() && self.trouble(&key).is_some() => {
                self.hold(&key, &view, &mut memory).await;
                Verdict::After(self.parts.settings.wait_max)
            }
            Work::Converge(good) => self.converge(&key, &view, good, &mut memory).await,
            Work::Conflict(message) => {
                warn!(%key, document = view.name, generation = view.entry.generation, reason = message, "conflict; nothing is done");
                self.hold(&key, &view, &mut memory).await
            }
            Work::Nothing | Work::Spare => self.hold(&key, &view, &mut memory).await,
        }
    }

    /// Nothing may be done: the status says why, and a slow look follows. What ends it nudges.
    async fn hold(&self, key: &DocumentKey, view: &View, memory: &mut Memory) -> Verdict {
        memory.last = None;
        let now = self.parts.clock.now();
        let store = &*self.parts.stores[key.store];
        let name = view.status_name.as_deref();
        let trouble = self.trouble(key);
        let status = memory
            .file
            .write(store, &self.mandate, name, |before| {
                report::held(before, view, &self.parts.scope.installation, trouble.as_ref(), now)
            })
            .await;
        self.publish(key, view, status, memory);
        Verdict::After(self.resync())
    }

    /// The document asks to be left alone: not even a look. Only a change of the document ends it, and that nudges; the slow
    /// run keeps the status there if somebody removed it.
    async fn pause(&self, key: &DocumentKey, view: &View, good: &Good, memory: &mut Memory) -> Verdict {
        memory.last = None;
        let now = self.parts.clock.now();
        let store = &*self.parts.stores[key.store];
        let status = memory
            .file
            .write(store, &self.mandate, view.status_name.as_deref(), |before| {
                report::paused(before, view, good, now)
            })
            .await;
        self.publish(key, view, status, memory);
        Verdict::After(self.resync())
    }

    async fn converge(&self, key: &DocumentKey, view: &View, good: &Good, memory: &mut Memory) -> Verdict {
        let desired = &good.desired;
        // AWS first: a status store that hangs must not hold it up.
        let pass = pass::pass(
            &*self.parts.world,
            &*self.parts.servers,
            &*self.parts.clock,
            &self.mandate,
            &self.stop,
            || lock(&self.table).view(key).is_some_and(|now| now.is_as(view)),
            &memory.keyring,
            desired,
        )
        .await;
        let mut written = None;
        if memory.last.is_none() {
            // After a restart the status alone knows whether this revision was Ready, and which server was seen last.
            let store = &*self.parts.stores[key.store];
            let status = memory.file.remembered(store, view.status_name.as_deref()).await;
            written = status.and_then(|status| status.valkey.clone());
            let was_ready = status.filter(|status| status.is(ConditionType::Ready));
            let revision = was_ready.map(|status| status.observed_revision.clone());
            memory.converged = memory.converged.take().or(revision);
        }
        if let Some(info) = pass.observed.valkey.present() {
            memory.servers.saw(info, written.as_ref(), self.parts.clock.now());
        }
        note_drift(good, &pass, memory);
        memory.count_quiet(&pass);
        let last = Last {
            view: view.clone(),
            good: good.clone(),
            pass,
        };
        let status = self.tell(key, &last, memory).await;
        if status.is(ConditionType::Ready) {
            memory.converged = Some(good.revision.clone());
        }
        let pass = &last.pass;
        let verdict = self.next(desired, pass, memory.quiet);
        info!(
            %key,
            document = desired.document,
            generation = desired.generation,
            reason = status.phase,
            done = pass.done.len(),
            failed = pass.failures.len(),
            holds = pass.plan.holds.len(),
            next = ?verdict,
            "pass"
        );
        memory.last = Some(last);
        verdict
    }

    /// Builds the status of a pass and writes it if a reader could notice.
    async fn tell(&self, key: &DocumentKey, last: &Last, memory: &mut Memory) -> Arc<Status> {
        let Last { view, good, pass } = last;
        let now = self.parts.clock.now();
        let context = Context {
            now,
            previous: memory.servers.previous(),
            drift: memory.drift.clone(),
        };
        let assessment = assess(&good.desired, &pass.observed, &pass.plan, &pass.failures, &context);
        let trouble = self.trouble(key);
        memory.told_trouble = trouble.is_some();
        let info = pass.observed.valkey.present();
        let server = report::Server {
            load_seconds: info.and_then(|info| memory.servers.load_seconds(info)),
            compared: context.previous.is_some(),
        };
        let build = |before: Option<&Status>| {
            let mut status = report::converging(before, view, good, pass, &assessment, server, now);
            report::place(&mut status, &good.desired, &self.parts.scope);
            if let Some(trouble) = &trouble {
                report::doubt(before, &mut status, view, trouble, now);
            }
            status
        };
        let status = memory
            .file
            .write(
                &*self.parts.stores[key.store],
                &self.mandate,
                view.status_name.as_deref(),
                build,
            )
            .await;
        self.publish(key, view, Arc::clone(&status), memory);
        status
    }

    /// Why the store of a document cannot be listed, if it cannot.
    fn trouble(&self, key: &DocumentKey) -> Option<StoreTrouble> {
        self.parts.snapshot.borrow().stores.get(key.store)?.trouble.clone()
    }

    /// When to look again.
    fn next(&self, desired: &Desired, pass: &Pass, quiet: u32) -> Verdict {
        let (account, mode) = (&desired.identity.account, desired.mode);
        let holds = &pass.plan.holds;
        let any = |kind: HoldKind| holds.iter().any(|hold| hold.kind == kind);
        let failed = !pass.failures.is_empty() || pass.refused || any(HoldKind::Unknown);
        // What only waits for something that needs a person, that failed or cannot be seen does not move by itself.
        let waiting = holds
            .iter()
            .any(|hold| hold.kind == HoldKind::Waiting && hold.reason != HoldReason::Dependency)
            || (any(HoldKind::Waiting) && !any(HoldKind::Stalled) && !failed && mode == Mode::Enforce);
        // A server that was just started answers soon; one that cannot be reached at all is the probe's matter.
        let server = &pass.observed.valkey;
        let loading = server.present().is_some_and(|info| info.loading);
        let silent = matches!(server, Fact::Unknown(doubt) if doubt.kind != DoubtKind::NotLooked);
        let rest = self.resync();
        let mut delay = rest;
        if waiting || loading || (silent && quiet < UNREACHABLE_PASSES) {
            let grown = self
                .parts
                .settings
                .wait
                .mul_f64(WAIT_GROWTH.powi(quiet.min(WAITS_MAX).cast_signed()));
            delay = delay.min(grown.min(self.parts.settings.wait_max));
        }
        // The planner gives waits without a known end a time, too; those are looked at as above, ever more slowly.
        let known_end = holds.iter().filter_map(|hold| hold.until).min();
        if let Some(at) = known_end.or(pass.plan.retry_at.filter(|_| !waiting)) {
            delay = delay.min(until(self.parts.clock.now(), at));
        }
        if failed {
            return Verdict::Retry { within: delay };
        }
        if !pass.plan.steps.is_empty() && mode == Mode::Enforce {
            // Cut short by the stop, or AWS does not show yet what was just done.
            delay = delay.min(self.parts.settings.wait);
        }
        if delay < rest {
            return Verdict::After(delay);
        }
        let now = Instant::now();
        let at = lock(&self.pace).take(account, now + rest, self.parts.settings.idle_spacing);
        Verdict::After(at - now)
    }

    fn resync(&self) -> Duration {
        let draw = lock(&self.random).f64();
        self.parts
            .settings
            .resync
            .mul_f64(1.0 + RESYNC_SPREAD * (2.0 * draw - 1.0))
    }

    /// The state that everyone sees. A version that is not the current one any more is still being worked on.
    fn publish(&self, key: &DocumentKey, view: &View, status: Arc<Status>, memory: &Memory) {
        let Some(current) = lock(&self.table).view(key) else {
            return;
        };
        let is_current = current.is_as(view);
        let state = DocumentState {
            name: view.name.clone(),
            store: self.parts.stores[key.store].url().clone(),
            key: Arc::clone(&key.key),
            revision: view.entry.revision.clone(),
            generation: view.entry.generation,
            standing: if is_current {
                Standing::of(&status)
            } else {
                Standing::Working
            },
            status,
            unwritten: memory.file.unwritten().map(str::to_owned),
        };
        self.parts.snapshot.send_modify(|snapshot| {
            snapshot.documents.insert(key.clone(), Arc::new(state));
        });
    }

    /// Asks the Valkey of one document, apart from its passes: no call to AWS but for
    /// a password that is not known or was refused. Skipped while a pass is under way, which
    /// asks by itself. A status that could not be written is tried again by the way.
    pub(crate) async fn ask(&self, key: DocumentKey) {
        let Some(view) = lock(&self.table).view(&key) else {
            return;
        };
        let Some(slot) = lock(&self.slots).get(&key).cloned() else {
            return;
        };
        let Ok(mut memory) = slot.try_lock() else { return };
        match (memory.last.take(), &view.work) {
            // What was found for another version says nothing of this one, whose pass is on its way.
            (Some(mut last), Work::Converge(_)) if last.view.is_as(&view) => {
                let asked = self.ask_server(&key, &mut last, &mut memory).await;
                let news = asked || memory.told_trouble != self.trouble(&key).is_some();
                if news || memory.file.unwritten().is_some() {
                    self.tell(&key, &last, &mut memory).await;
                }
                memory.last = Some(last);
            }
            (last, Work::Converge(_)) => memory.last = last,
            (_, Work::Conflict(_) | Work::Nothing | Work::Spare) => {
                if memory.file.unwritten().is_some() {
                    self.hold(&key, &view, &mut memory).await;
                }
            }
        }
    }

    /// Puts a fresh answer into the last pass. False when there is nobody to ask.
    async fn ask_server(&self, key: &DocumentKey, last: &mut Last, memory: &mut Memory) -> bool {
        let Last { good, pass, .. } = last;
        let desired = &good.desired;
        if pass.refused || pass.observed.server_address(desired.server.port).is_none() {
            return false;
        }
        let stale = pass.observed.valkey.clone();
        ask_server(
            &*self.parts.world,
            &*self.parts.servers,
            &memory.keyring,
            desired,
            &mut pass.observed,
        )
        .await;
        let mut nudge = match (&stale, &pass.observed.valkey) {
            (Fact::Present(old), Fact::Present(new)) if old.run_id != new.run_id => {
                info!(%key, document = desired.document, "another Valkey process answers; looking again");
                Some(Nudge::Now(key.clone()))
            }
            (Fact::Present(_), Fact::Unknown(doubt)) => {
                warn!(
                    %key,
                    document = desired.document,
                    reason = doubt.message,
                    "Valkey does not answer any more; looking again"
                );
                Some(Nudge::After(key.clone(), AFTER_LOSS))
            }
            _ => None,
        };
        if let Some(info) = pass.observed.valkey.present() {
            memory.servers.saw(info, None, self.parts.clock.now());
        }
        // What the answer makes possible, like a tag with the server's version, is a pass's to do.
        let fresh = plan(desired, &pass.observed, self.parts.clock.now());
        if pass.plan.steps.is_empty() && !fresh.steps.is_empty() {
            nudge = nudge.or_else(|| Some(Nudge::Now(key.clone())));
        }
        pass.plan = fresh;
        if let Some(nudge) = nudge {
            // A full channel means that passes are under way anyway; a lost nudge costs latency only.
            self.nudges.try_send(nudge).ok();
        }
        true
    }

    /// A document that was listed and not looked at yet, or that changed: whoever waits for it must not see the old end.
    pub(crate) fn announce(&self, key: &DocumentKey) {
        let Some(view) = lock(&self.table).view(key) else {
            return;
        };
        let before = self.parts.snapshot.borrow().documents.get(key).cloned();
        let status = before.as_ref().map_or_else(
            || Arc::new(Status::new(view.status_name.as_ref().unwrap_or(&view.name))),
            |before| Arc::clone(&before.status),
        );
        let state = DocumentState {
            name: view.name.clone(),
            store: self.parts.stores[key.store].url().clone(),
            key: Arc::clone(&key.key),
            revision: view.entry.revision.clone(),
            generation: view.entry.generation,
            standing: Standing::Working,
            status,
            unwritten: before.and_then(|before| before.unwritten.clone()),
        };
        self.parts.snapshot.send_modify(|snapshot| {
            snapshot.documents.insert(key.clone(), Arc::new(state));
        });
    }

    /// The document was removed. What it made stays: absence in a store is never a wish to delete.
    pub(crate) fn forget(&self, key: &DocumentKey, name: &str) {
        warn!(%key, document = name, "the document is gone; everything that it made is kept as it is and no longer looked after");
        lock(&self.slots).remove(key);
        self.parts.snapshot.send_modify(|snapshot| {
            snapshot.documents.remove(key);
        });
    }
}

/// What a pass wanted to change although this very revision had been converged: somebody else changed it.
fn note_drift(good: &Good, pass: &Pass, memory: &mut Memory) {
    let desired = &good.desired;
    let was_converged = memory.converged.as_ref() == Some(&good.revision);
    if !was_converged {
        // Going back to an older content has its old `ETag` again, and is no drift either.
        memory.converged = None;
    }
    if was_converged && !pass.first_wanted.is_empty() && desired.mode == Mode::Enforce {
        warn!(
            document = desired.document,
            generation = desired.generation,
            changes = pass.first_wanted.iter().map(pass::words).collect::<Vec<_>>().join("; "),
            "drift: it was as the document says, and somebody changed it"
        );
        memory.drift.clone_from(&pass.first_wanted);
    } else if pass.plan.is_converged() || !was_converged {
        memory.drift.clear();
    }
}

fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now))
        .unwrap_or(Duration::ZERO)
        .max(DELAY_MIN)
}

/// A panic while one of these was held left nothing half done: they guard single inserts and lookups.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
