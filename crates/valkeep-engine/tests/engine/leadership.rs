//! Two engines, one lease: one works, the other waits; whatever happens to either, never both.

use crate::bench::{self, MINUTE, SECOND, document, pass};
use crate::cloud::{Cloud, Fault, TestClock};
use crate::lease::MemoryLease;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use valkeep_core::access::Secret;
use valkeep_core::ports::{Secrets, World};
use valkeep_core::{Desired, Done, Doubt, Failure, Observed, Scope, SecretReference, Step};
use valkeep_engine::{
    CancellationToken, Candidate, Engine, Finished, Leadership, Report, Settings, Snapshot, Standing,
};
use valkeep_store::DocumentStore;

/// What the others promise to be back within, after a leader is gone.
const SOON: Duration = Duration::from_secs(20);

/// Who did what, and when. A call that is still under way has no end.
#[derive(Debug, Clone)]
struct Touch {
    who: &'static str,
    acts: bool,
    from: Instant,
    to: Option<Instant>,
}

/// The cloud, with a log of who touches it.
struct Seen {
    cloud: Arc<Cloud>,
    who: &'static str,
    log: Arc<Mutex<Vec<Touch>>>,
}

/// Notes the end of a call also when it is dropped.
struct Noted<'a>(&'a Seen, usize);

impl Seen {
    fn note(&self, acts: bool) -> Noted<'_> {
        let mut log = self.log.lock().expect("no panic inside");
        log.push(Touch {
            who: self.who,
            acts,
            from: Instant::now(),
            to: None,
        });
        Noted(self, log.len() - 1)
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.0.log.lock().expect("no panic inside")[self.1].to = Some(Instant::now());
    }
}

impl World for Seen {
    async fn observe(&self, desired: &Desired) -> Observed {
        let _noted = self.note(false);
        self.cloud.observe(desired).await
    }

    async fn act(&self, desired: &Desired, step: &Step) -> Result<Done, Failure> {
        let _noted = self.note(true);
        self.cloud.act(desired, step).await
    }
}

impl Secrets for Seen {
    async fn secret(&self, desired: &Desired, reference: &SecretReference) -> Result<Secret, Doubt> {
        self.cloud.secret(desired, reference).await
    }
}

/// Two seats before one world.
struct Pair {
    bench: bench::World,
    lease: MemoryLease,
    log: Arc<Mutex<Vec<Touch>>>,
}

struct Replica {
    who: &'static str,
    lease: MemoryLease,
    snapshots: watch::Receiver<Snapshot>,
    stop: CancellationToken,
    task: JoinHandle<Report>,
}

impl Pair {
    fn new() -> Self {
        let bench = bench::World::new();
        bench.cloud.state().call_time = SECOND / 10;
        Self {
            bench,
            lease: MemoryLease::new(),
            log: Arc::default(),
        }
    }

    fn engine(&self, who: &'static str, lease: &MemoryLease) -> Engine<Seen, Cloud, TestClock> {
        let world = Seen {
            cloud: Arc::clone(&self.bench.cloud),
            who,
            log: Arc::clone(&self.log),
        };
        let store = Arc::clone(&self.bench.stores[0]) as Arc<dyn DocumentStore>;
        let me = Candidate {
            id: who.to_owned(),
            host: format!("host-of-{who}"),
        };
        Engine::new(
            Settings {
                resync: MINUTE,
                ..self.bench.settings.clone()
            },
            vec![store],
            Arc::new(world),
            Arc::clone(&self.bench.cloud),
            Arc::clone(&self.bench.cloud.clock),
            Scope {
                partition: "aws".to_owned(),
                account: "123456789012".to_owned(),
                region: "eu-west-1".to_owned(),
                installation: "default".to_owned(),
                dns_grace_s: 0,
                limits: valkeep_core::Limits::default(),
            },
        )
        .sharing(Arc::new(lease.clone()), me)
    }

    fn start(&self, who: &'static str) -> Replica {
        let lease = self.lease.another();
        let engine = self.engine(who, &lease);
        let stop = CancellationToken::new();
        Replica {
            who,
            lease,
            snapshots: engine.snapshots(),
            task: tokio::spawn(engine.run(stop.clone())),
            stop,
        }
    }

    async fn once(&self, who: &'static str, timeout: Option<Duration>) -> Finished {
        let lease = self.lease.another();
        self.engine(who, &lease).once(timeout, CancellationToken::new()).await
    }

    /// Leads and has everything Ready.
    async fn converged(&self, who: &'static str) -> Replica {
        let mut replica = self.start(who);
        replica.ready().await;
        replica
    }

    fn touches(&self, who: &str) -> Vec<Touch> {
        let log = self.log.lock().expect("no panic inside");
        log.iter().filter(|touch| touch.who == who).cloned().collect()
    }

    /// Something to do at every resync: somebody changes it by hand again and again.
    fn meddle(&self) -> JoinHandle<()> {
        let cloud = Arc::clone(&self.bench.cloud);
        tokio::spawn(async move {
            loop {
                pass(7 * SECOND).await;
                cloud.by_hand("a", |observed| {
                    if let Some(group) = observed.log_group.present_mut() {
                        group.retention_days = Some(1);
                    }
                });
            }
        })
    }

    /// No call that changes anything is under way at both at once, and none of one lies between two of the other without
    /// the lease having gone to and fro.
    fn never_both(&self) {
        let log = self.log.lock().expect("no panic inside");
        for one in log.iter().filter(|touch| touch.acts) {
            for other in log.iter().filter(|touch| touch.acts && touch.who != one.who) {
                let ended = |touch: &Touch| touch.to.expect("it ended, or was dropped");
                assert!(
                    ended(one) < other.from || ended(other) < one.from,
                    "{one:?} and {other:?} at once"
                );
            }
        }
    }
}

impl Replica {
    async fn until(&mut self, what: &str, bound: Duration, level: impl FnMut(&Snapshot) -> bool) -> Duration {
        let begin = Instant::now();
        let reached = tokio::time::timeout(bound, self.snapshots.wait_for(level))
            .await
            .is_ok();
        assert!(reached, "{}: {what}: {:#?}", self.who, self.snapshots.borrow());
        begin.elapsed()
    }

    async fn leads(&mut self, bound: Duration) -> Duration {
        self.until("it leads", bound, Snapshot::leads).await
    }

    async fn follows(&mut self) {
        self.until("it follows", SOON, |snapshot| {
            matches!(leadership(snapshot), Leadership::Following { .. })
        })
        .await;
    }

    async fn ready(&mut self) {
        self.until("all is Ready", 5 * MINUTE, |snapshot| {
            !snapshot.documents.is_empty() && bench::all(snapshot, Standing::Ready)
        })
        .await;
    }

    async fn stop(self) -> Report {
        self.stop.cancel();
        self.task.await.expect("the engine does not panic")
    }

    /// As `kill -9` does.
    async fn kill(self) {
        self.task.abort();
        self.task.await.expect_err("aborted");
    }
}

fn leadership(snapshot: &Snapshot) -> &Leadership {
    &snapshot.lease.as_ref().expect("there is a lease").leadership
}

#[tokio::test(start_paused = true)]
async fn one_works_and_the_other_looks_at_nothing_but_the_lease() {
    let pair = Pair::new();
    pair.bench.store().write("a.yaml", &document("a", "a"));
    let first = pair.converged("first").await;
    let mut second = pair.start("second");
    second.follows().await;
    pass(30 * MINUTE).await;
    assert!(pair.touches("second").is_empty());
    let snapshot = second.snapshots.borrow().clone();
    assert!(snapshot.documents.is_empty() && snapshot.stores[0].listed_at.is_none());
    assert_eq!(
        *leadership(&snapshot),
        Leadership::Following {
            holder: "first".to_owned(),
            host: "host-of-first".to_owned()
        }
    );
    assert!(first.snapshots.borrow().leads());
    // One look each 2 s, or a little less often.
    let reads = pair.lease.state().reads;
    assert!((800..=910).contains(&reads), "{reads}");
    first.stop().await;
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_killed_leader_is_followed_within_twenty_seconds() {
    for second_later in 0..7 {
        let pair = Pair::new();
        pair.bench.store().write("a.yaml", &document("a", "a"));
        let first = pair.converged("first").await;
        let mut second = pair.start("second");
        second.follows().await;
        // At any moment between two renewals.
        pass(SECOND * second_later).await;
        first.kill().await;
        let took = second.leads(SOON).await;
        assert!(
            took > 10 * SECOND,
            "not before the lease of the first has run out: {took:?}"
        );
        second.ready().await;
        assert!(!pair.touches("second").is_empty());
        pair.never_both();
        second.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_killed_in_the_middle_is_followed_by_one_that_finishes_and_nothing_is_made_twice() {
    let pair = Pair::new();
    pair.bench.store().write("a.yaml", &document("a", "a"));
    let mut first = pair.start("first");
    first.leads(SOON).await;
    let mut second = pair.start("second");
    while pair.bench.cloud.acts() < 4 {
        pass(SECOND / 10).await;
    }
    first.kill().await;
    second.leads(SOON).await;
    second.ready().await;
    for action in [
        "elasticfilesystem:CreateFileSystem",
        "elasticfilesystem:CreateAccessPoint",
        "ecs:RegisterTaskDefinition",
        "ecs:CreateService",
    ] {
        let applied = pair.bench.cloud.state().applied.clone();
        let made = applied.iter().filter(|(_, made)| made == action).count();
        assert_eq!(made, 1, "{action}");
    }
    pair.never_both();
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_stopped_gives_the_lease_up_and_the_next_one_need_not_wait() {
    let pair = Pair::new();
    pair.bench.store().write("a.yaml", &document("a", "a"));
    let first = pair.converged("first").await;
    let mut second = pair.start("second");
    second.follows().await;
    first.stop().await;
    assert_eq!(pair.lease.state().written.last(), Some(&("first".to_owned(), true)));
    let took = second.leads(SOON).await;
    assert!(took <= 3 * SECOND, "{took:?}");
    second.ready().await;
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_follows_gives_nothing_up_when_it_is_stopped() {
    let pair = Pair::new();
    pair.bench.store().write("a.yaml", &document("a", "a"));
    let first = pair.converged("first").await;
    let mut second = pair.start("second");
    second.follows().await;
    second.stop().await;
    pass(MINUTE).await;
    assert_eq!(pair.lease.holder().as_deref(), Some("first"));
    assert!(pair.lease.state().written.iter().all(|(who, _)| who == "first"));
    first.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_not_given_up_while_calls_that_were_cut_off_may_still_arrive() {
    let pair = Pair::new();
    pair.bench.store().write("a.yaml", &document("a", "a"));
    pair.bench
        .cloud
        .fail("a", "elasticfilesystem:CreateFileSystem", [Fault::Hang]);
    let mut first = pair.start("first");
    first.leads(SOON).await;
    pass(3 * SECOND).await;
    let report = first.stop().await;
    assert_eq!(report.drained.aborted, 1);
    assert_eq!(pair.lease.holder().as_deref(), Some("first"));
    // It was held over the whole of draining, and runs out.
    let mut second = pair.start("second");
    let took = second.leads(SOON).await;
    assert!(took >= 15 * SECOND, "{took:?}");
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_from_the_lease_stops_before_the_next_one_begins_and_then_follows() {
    let pair = Pair::new();
    pair.bench.store().write("a.yaml", &document("a", "a"));
    let mut first = pair.converged("first").await;
    let mut second = pair.start("second");
    second.follows().await;
    let meddling = pair.meddle();
    for _ in 0..5 {
        let cut_at = Instant::now();
        first.lease.cut(true);
        second.leads(SOON).await;
        pass(3 * MINUTE).await;
        let last = pair.touches(first.who).last().and_then(|touch| touch.to);
        assert!(last.is_some_and(|last| last - cut_at <= 14 * SECOND), "{last:?}");
        assert!(!first.snapshots.borrow().leads());
        first.lease.cut(false);
        first.follows().await;
        pair.never_both();
        std::mem::swap(&mut first, &mut second);
    }
    assert!(pair.touches("first").iter().filter(|touch| touch.acts).count() > 5);
    meddling.abort();
    first.stop().await;
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_when_the_lease_ends_is_dropped_with_it() {
    let pair = Pair::new();
    pair.bench.store().write("a.yaml", &document("a", "a"));
    pair.bench
        .cloud
        .fail("a", "elasticfilesystem:CreateFileSystem", [Fault::Hang]);
    let mut first = pair.start("first");
    first.leads(SOON).await;
    pass(3 * SECOND).await;
    let cut_at = Instant::now();
    first.lease.cut(true);
    let mut second = pair.start("second");
    second.leads(SOON).await;
    let hung = pair
        .touches("first")
        .into_iter()
        .find(|touch| touch.acts && touch.to.is_some_and(|to| to - touch.from > 5 * SECOND));
    let hung = hung.and_then(|touch| touch.to).expect("it was dropped");
    assert!(hung - cut_at <= 13 * SECOND);
    second.ready().await;
    pair.never_both();
    first.lease.cut(false);
    first.stop().await;
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn lost_answers_cost_neither_the_lease_nor_the_term() {
    let pair = Pair::new();
    pair.bench.store().write("a.yaml", &document("a", "a"));
    let first = pair.converged("first").await;
    let mut second = pair.start("second");
    second.follows().await;
    let mut led = first.snapshots.clone();
    for _ in 0..20 {
        first.lease.lose_answers(1);
        pass(17 * SECOND).await;
        assert!(led.borrow_and_update().leads());
    }
    assert!(pair.lease.state().written.iter().all(|(who, _)| who == "first"));
    assert!(pair.touches("second").is_empty());
    // Taking it, too.
    first.stop().await;
    second.lease.lose_answers(1);
    second.leads(SOON).await;
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_several_that_start_at_once_one_leads() {
    let pair = Pair::new();
    pair.bench.store().write("a.yaml", &document("a", "a"));
    let mut replicas: Vec<Replica> = ["one", "two", "three", "four"].map(|who| pair.start(who)).into();
    pass(MINUTE).await;
    let leaders = replicas.iter().filter(|replica| replica.snapshots.borrow().leads());
    assert_eq!(leaders.count(), 1);
    // And when it goes, one of the others.
    let leader = replicas.iter().position(|replica| replica.snapshots.borrow().leads());
    replicas.remove(leader.expect("one leads")).stop().await;
    pass(MINUTE).await;
    let leaders = replicas.iter().filter(|replica| replica.snapshots.borrow().leads());
    assert_eq!(leaders.count(), 1);
    pair.never_both();
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_may_not_be_used_is_told_with_what_to_do_and_nothing_is_done_until_it_may() {
    let pair = Pair::new();
    pair.bench.store().write("a.yaml", &document("a", "a"));
    let lease = pair.lease.another();
    lease.deny(true);
    let engine = pair.engine("first", &lease);
    let mut snapshots = engine.snapshots();
    let stop = CancellationToken::new();
    let running = tokio::spawn(engine.run(stop.clone()));
    pass(10 * MINUTE).await;
    let state = snapshots.borrow_and_update().lease.clone().expect("there is one");
    let trouble = state.trouble.expect("it is told").message;
    assert!(
        trouble.contains("s3:GetObject") && trouble.contains("hint: allow s3:GetObject and s3:PutObject"),
        "{trouble}"
    );
    assert!(pair.touches("first").is_empty() && pair.bench.store().writes() == 0);
    lease.deny(false);
    snapshots.wait_for(Snapshot::leads).await.expect("it runs");
    assert_eq!(
        snapshots
            .borrow()
            .lease
            .as_ref()
            .and_then(|lease| lease.trouble.clone()),
        None
    );
    stop.cancel();
    running.await.expect("the engine does not panic");
}

#[tokio::test(start_paused = true)]
async fn once_takes_the_lease_works_and_gives_it_up() {
    let pair = Pair::new();
    pair.bench.store().write("a.yaml", &document("a", "a"));
    let finished = pair.once("once", None).await;
    assert!(!finished.cut_short);
    assert_eq!(finished.documents[0].standing, Standing::Ready);
    assert_eq!(pair.lease.holder(), None);
}

#[tokio::test(start_paused = true)]
async fn once_waits_for_another_holder_and_not_for_ever() {
    let pair = Pair::new();
    pair.bench.store().write("a.yaml", &document("a", "a"));
    let first = pair.converged("first").await;
    let begin = Instant::now();
    let finished = pair.once("once", None).await;
    assert!(finished.cut_short && finished.documents.is_empty());
    let lease = finished.lease.expect("there is one");
    assert!(matches!(lease.leadership, Leadership::Following { holder, .. } if holder == "first"));
    assert!(begin.elapsed() < 2 * MINUTE);
    assert!(pair.touches("once").is_empty());
    // One that is killed meanwhile is followed.
    let waiting = pair.once("once", None);
    let killing = async {
        pass(5 * SECOND).await;
        first.kill().await;
    };
    let (finished, ()) = tokio::join!(waiting, killing);
    assert!(!finished.cut_short, "{finished:?}");
}
