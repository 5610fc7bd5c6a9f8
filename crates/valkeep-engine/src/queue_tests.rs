//! The queue on a paused clock: times are exact, and nothing here waits for real.

use super::*;
use std::collections::VecDeque;
use std::sync::Mutex;
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);

/// What the runs did, and what they are to do.
#[derive(Default)]
struct Log {
    /// Key and milliseconds since the start of the test.
    starts: Vec<(String, u64)>,
    running: Vec<String>,
    running_max: usize,
    overlaps: usize,
    /// Scripted behaviour by key, first one first; `Done` in no time when there is none.
    script: HashMap<String, VecDeque<Act>>,
}

#[derive(Clone, Copy)]
enum Act {
    /// Takes this long, then says so.
    Take(Duration, Verdict),
    Panic,
    Hang,
}

struct Bench {
    nudges: mpsc::Sender<Nudge<String>>,
    gate: watch::Sender<bool>,
    stop: CancellationToken,
    stats: watch::Receiver<QueueStats>,
    log: Arc<Mutex<Log>>,
    queue: JoinHandle<Drained>,
}

fn limits(concurrency: usize) -> Limits {
    Limits {
        concurrency,
        backoff_base: SECOND,
        backoff_cap: 10 * SECOND,
        attempt_timeout: 60 * SECOND,
        drain_timeout: 25 * SECOND,
    }
}

/// With the whole back-off each time, so that times can be told.
fn bench(limits: Limits) -> Bench {
    bench_with(limits, |longest| longest)
}

fn bench_with(limits: Limits, jitter: impl FnMut(Duration) -> Duration + Send + 'static) -> Bench {
    let (nudges, receiver) = mpsc::channel(NUDGES_MAX);
    let (gate, gated) = watch::channel(true);
    let (publish, stats) = watch::channel(QueueStats::default());
    let stop = CancellationToken::new();
    let log = Arc::new(Mutex::new(Log::default()));
    let begin = Instant::now();
    let work = {
        let log = Arc::clone(&log);
        move |key: String| {
            let log = Arc::clone(&log);
            async move {
                let act = {
                    let mut log = log.lock().expect("no panic inside");
                    let at = u64::try_from(begin.elapsed().as_millis()).expect("small");
                    log.starts.push((key.clone(), at));
                    log.overlaps += usize::from(log.running.contains(&key));
                    log.running.push(key.clone());
                    log.running_max = log.running_max.max(log.running.len());
                    log.script.get_mut(&key).and_then(VecDeque::pop_front)
                };
                let leave = Leave(&log, &key);
                let verdict = match act {
                    None => Verdict::Done,
                    Some(Act::Take(time, verdict)) => {
                        tokio::time::sleep(time).await;
                        verdict
                    }
                    Some(Act::Panic) => panic!("scripted"),
                    Some(Act::Hang) => std::future::pending().await,
                };
                drop(leave);
                verdict
            }
        }
    };
    let queue = tokio::spawn(Queue::new(limits, |key: &String| lane(key)).run(
        receiver,
        gated,
        stop.clone(),
        publish,
        jitter,
        work,
    ));
    Bench {
        nudges,
        gate,
        stop,
        stats,
        log,
        queue,
    }
}

/// `lane/key`, or one lane for all without.
fn lane(key: &str) -> Arc<str> {
    Arc::from(key.split_once('/').map_or("", |(lane, _)| lane))
}

struct Leave<'a>(&'a Mutex<Log>, &'a str);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut log = self.0.lock().expect("no panic inside");
        let at = log.running.iter().position(|key| key == self.1).expect("was running");
        log.running.remove(at);
    }
}

impl Bench {
    fn script(&self, key: &str, acts: impl IntoIterator<Item = Act>) {
        let mut log = self.log.lock().expect("no panic inside");
        log.script.insert(key.to_owned(), acts.into_iter().collect());
    }

    async fn now(&self, key: &str) {
        self.nudges
            .send(Nudge::Now(key.to_owned()))
            .await
            .expect("the queue runs");
    }

    async fn after(&self, key: &str, delay: Duration) {
        let nudge = Nudge::After(key.to_owned(), delay);
        self.nudges.send(nudge).await.expect("the queue runs");
    }

    /// Lets time pass; every timer within it fires at its own time.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn starts(&self) -> Vec<(String, u64)> {
        self.log.lock().expect("no panic inside").starts.clone()
    }

    fn times(&self, key: &str) -> Vec<u64> {
        let starts = self.starts();
        starts
            .into_iter()
            .filter(|(other, _)| other == key)
            .map(|(_, at)| at)
            .collect()
    }

    fn order(&self) -> String {
        self.starts()
            .into_iter()
            .map(|(key, _)| key)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

#[tokio::test(start_paused = true)]
async fn nudges_of_a_waiting_key_coalesce_into_one_run() {
    let bench = bench(limits(1));
    bench.script("a", [Act::Take(SECOND, Verdict::Done)]);
    bench.now("a").await;
    bench.pass(Duration::from_millis(1)).await;
    for _ in 0..5 {
        bench.now("b").await;
    }
    bench.pass(3 * SECOND).await;
    assert_eq!(bench.order(), "a b");
    assert_eq!(bench.stats.borrow().coalesced, 4);
}

#[tokio::test(start_paused = true)]
async fn a_key_never_runs_twice_at_once_and_a_change_while_it_runs_brings_exactly_one_more_run() {
    let bench = bench(limits(3));
    bench.script(
        "a",
        [Act::Take(SECOND, Verdict::Done), Act::Take(SECOND, Verdict::Done)],
    );
    bench.now("a").await;
    bench.pass(SECOND / 2).await;
    for _ in 0..3 {
        bench.now("a").await;
    }
    bench.pass(10 * SECOND).await;
    assert_eq!(bench.times("a"), [0, 1000]);
    assert_eq!(bench.log.lock().expect("whole").overlaps, 0);
    assert_eq!(bench.stats.borrow().coalesced, 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_nudged_while_it_ran_goes_to_the_tail() {
    let bench = bench(limits(1));
    bench.script("a", [Act::Take(SECOND, Verdict::Done)]);
    bench.now("a").await;
    bench.pass(SECOND / 2).await;
    for key in ["b", "a", "c"] {
        bench.now(key).await;
    }
    bench.pass(5 * SECOND).await;
    assert_eq!(bench.order(), "a b c a");
}

#[tokio::test(start_paused = true)]
async fn keys_start_in_the_order_in_which_they_became_ready() {
    let bench = bench(limits(2));
    let keys: Vec<String> = (0..20).map(|number| format!("k{number:02}")).collect();
    bench.gate.send_replace(false);
    for key in &keys {
        bench.now(key).await;
    }
    bench.gate.send_replace(true);
    bench.pass(SECOND).await;
    assert_eq!(bench.order(), keys.join(" "));
}

#[tokio::test(start_paused = true)]
async fn busy_keys_do_not_starve_quiet_ones() {
    let bench = bench(limits(1));
    let again = Act::Take(Duration::from_millis(10), Verdict::After(Duration::ZERO));
    for hot in ["h1", "h2", "h3", "h4"] {
        bench.script(hot, std::iter::repeat_n(again, 100_000));
        bench.now(hot).await;
    }
    bench.pass(SECOND).await;
    for number in 0..200 {
        bench.now(&format!("cold{number}")).await;
    }
    // 200 runs of nothing, and between them at most one round of the four hot ones each: far less than ten seconds.
    bench.pass(10 * SECOND).await;
    let cold = bench.starts().iter().filter(|(key, _)| key.starts_with("cold")).count();
    assert_eq!(cold, 200);
}

#[tokio::test(start_paused = true)]
async fn a_requeue_runs_at_its_time_and_again() {
    let bench = bench(limits(1));
    let later = Act::Take(Duration::ZERO, Verdict::After(Duration::from_millis(150)));
    bench.script("a", [later, later]);
    bench.now("a").await;
    bench.pass(SECOND).await;
    assert_eq!(bench.times("a"), [0, 150, 300]);
}

#[tokio::test(start_paused = true)]
async fn a_nudge_cancels_the_timer_and_runs_at_once() {
    let bench = bench(limits(1));
    bench.script("a", [Act::Take(Duration::ZERO, Verdict::After(60 * SECOND))]);
    bench.now("a").await;
    bench.pass(SECOND).await;
    bench.now("a").await;
    bench.pass(600 * SECOND).await;
    assert_eq!(bench.times("a"), [0, 1000], "the timer of the first run is gone");
}

#[tokio::test(start_paused = true)]
async fn of_several_timers_the_earliest_wins() {
    let bench = bench(limits(1));
    bench.after("a", 5 * SECOND).await;
    bench.after("a", 2 * SECOND).await;
    bench.after("a", 9 * SECOND).await;
    bench.script("b", [Act::Take(SECOND, Verdict::After(60 * SECOND))]);
    bench.pass(20 * SECOND).await;
    assert_eq!(bench.times("a"), [2000]);
    // Set while the key runs: compared with what the run itself asks for.
    bench.now("b").await;
    bench.pass(SECOND / 2).await;
    bench.after("b", 3 * SECOND).await;
    bench.pass(100 * SECOND).await;
    assert_eq!(bench.times("b"), [20_000, 23_500]);
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_exponentially_up_to_the_cap_and_success_resets() {
    let bench = bench(limits(1));
    let fail = Act::Take(Duration::ZERO, RETRY);
    let ok = Act::Take(Duration::ZERO, Verdict::After(5 * SECOND));
    bench.script("a", [fail, fail, fail, fail, fail, fail, ok, fail]);
    bench.now("a").await;
    bench.pass(200 * SECOND).await;
    // 1, 2, 4, 8, then the cap of 10 twice; a success; and from the beginning again.
    let times = bench.times("a");
    assert_eq!(times[..8], [0, 1_000, 3_000, 7_000, 15_000, 25_000, 35_000, 40_000]);
    assert_eq!(times[8..], [41_000]);
    assert_eq!(bench.stats.borrow().failed, 7);
}

#[tokio::test(start_paused = true)]
async fn the_back_off_of_one_key_delays_no_other() {
    let bench = bench(limits(1));
    bench.script("bad", std::iter::repeat_n(Act::Take(Duration::ZERO, RETRY), 50));
    bench.now("bad").await;
    bench.pass(20 * SECOND).await;
    bench.now("good").await;
    bench.pass(Duration::from_millis(1)).await;
    assert_eq!(bench.times("good"), [20_000]);
}

#[tokio::test(start_paused = true)]
async fn the_back_off_does_not_delay_what_the_same_key_has_to_do_earlier() {
    let bench = bench(limits(1));
    let fail = Act::Take(Duration::ZERO, Verdict::Retry { within: 3 * SECOND });
    bench.script("a", [fail, fail, fail, fail, fail]);
    bench.now("a").await;
    bench.pass(60 * SECOND).await;
    assert_eq!(bench.times("a"), [0, 1_000, 3_000, 6_000, 9_000, 12_000]);
}

#[tokio::test(start_paused = true)]
async fn the_jitter_is_full_but_never_spins() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let bench = {
        let asked = Arc::clone(&asked);
        bench_with(limits(1), move |longest| {
            asked.lock().expect("whole").push(longest);
            Duration::ZERO
        })
    };
    let fail = Act::Take(Duration::ZERO, RETRY);
    bench.script("a", [fail, fail]);
    bench.now("a").await;
    bench.pass(10 * SECOND).await;
    assert_eq!(
        *asked.lock().expect("whole"),
        [SECOND, 2 * SECOND],
        "drawn from nothing up to the whole back-off"
    );
    assert_eq!(bench.times("a"), [0, 100, 200], "a tenth of the base at least");
}

#[tokio::test(start_paused = true)]
async fn a_done_key_is_forgotten_until_the_next_nudge() {
    let bench = bench(limits(1));
    bench.now("a").await;
    bench.pass(86_400 * SECOND).await;
    assert_eq!(bench.times("a"), [0]);
    assert_eq!(bench.stats.borrow().delayed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_one_failed_run_of_one_key() {
    let bench = bench(limits(2));
    bench.script("a", [Act::Panic]);
    bench.script("b", [Act::Take(3 * SECOND, Verdict::Done)]);
    bench.now("a").await;
    bench.now("b").await;
    bench.pass(10 * SECOND).await;
    assert_eq!(bench.times("a"), [0, 1000]);
    assert_eq!(bench.times("b"), [0]);
    let stats = bench.stats.borrow().clone();
    assert_eq!((stats.panics, stats.failed, stats.succeeded), (1, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_hanging_run_is_cut_off_and_is_one_failed_run_of_one_key() {
    let bench = bench(limits(2));
    bench.script("a", [Act::Hang]);
    bench.now("a").await;
    bench.now("b").await;
    bench.pass(100 * SECOND).await;
    assert_eq!(bench.times("a"), [0, 61_000]);
    assert_eq!(bench.times("b"), [0]);
    assert_eq!(bench.stats.borrow().timeouts, 1);
}

#[tokio::test(start_paused = true)]
async fn no_more_keys_run_at_once_than_allowed() {
    let bench = bench(limits(3));
    for number in 0..10 {
        let key = format!("k{number}");
        bench.script(&key, [Act::Take(SECOND, Verdict::Done)]);
        bench.now(&key).await;
    }
    bench.pass(SECOND / 2).await;
    assert_eq!(bench.stats.borrow().running, 3);
    assert_eq!(bench.stats.borrow().depth, 7);
    assert!(bench.stats.borrow().oldest_ready.is_some());
    bench.pass(10 * SECOND).await;
    assert_eq!(bench.log.lock().expect("whole").running_max, 3);
    assert_eq!(bench.starts().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_while_the_gate_is_shut() {
    let bench = bench(limits(3));
    bench.gate.send_replace(false);
    bench.now("a").await;
    bench.pass(60 * SECOND).await;
    assert!(bench.starts().is_empty());
    assert_eq!(bench.stats.borrow().depth, 1);
    bench.gate.send_replace(true);
    bench.pass(SECOND).await;
    assert_eq!(bench.times("a"), [60_000]);
}

#[tokio::test(start_paused = true)]
async fn at_a_stop_what_runs_may_finish_and_what_waits_is_dropped() {
    let bench = bench(limits(2));
    for number in 0..6 {
        let key = format!("k{number}");
        bench.script(&key, [Act::Take(3 * SECOND, RETRY)]);
        bench.now(&key).await;
    }
    bench.pass(SECOND).await;
    bench.stop.cancel();
    let drained = bench.queue.await.expect("no panic");
    assert_eq!(
        drained,
        Drained {
            dropped: 4,
            finished: 2,
            aborted: 0,
            took: 2 * SECOND
        }
    );
    tokio::time::sleep(100 * SECOND).await;
    assert_eq!(
        bench.log.lock().expect("whole").starts.len(),
        2,
        "no retry after the end"
    );
}

#[tokio::test(start_paused = true)]
async fn what_does_not_finish_in_time_is_aborted_at_a_stop() {
    let bench = bench(limits(2));
    bench.script("a", [Act::Hang]);
    bench.script("b", [Act::Panic]);
    bench.now("a").await;
    bench.pass(SECOND).await;
    bench.stop.cancel();
    let drained = bench.queue.await.expect("no panic");
    assert_eq!(
        drained,
        Drained {
            dropped: 0,
            finished: 0,
            aborted: 1,
            took: 25 * SECOND
        }
    );
    assert!(
        bench.log.lock().expect("whole").running.is_empty(),
        "the run was really dropped"
    );
}

#[tokio::test(start_paused = true)]
async fn the_queue_ends_when_nobody_can_nudge_and_nothing_is_left() {
    let bench = bench(limits(2));
    bench.script("a", [Act::Take(SECOND, Verdict::After(SECOND))]);
    bench.now("a").await;
    drop(bench.nudges);
    bench.queue.await.expect("no panic");
    assert_eq!(bench.log.lock().expect("whole").starts.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn thousands_of_keys_in_disorder_never_overlap_and_all_run() {
    let bench = bench(limits(8));
    let mut random = fastrand::Rng::with_seed(20_261_123);
    for _ in 0..5_000 {
        let key = format!("k{}", random.u32(0..300));
        let act = match random.u32(0..10) {
            0 => Act::Panic,
            1 | 2 => Act::Take(Duration::from_millis(random.u64(0..50)), RETRY),
            3 => Act::Take(
                Duration::ZERO,
                Verdict::After(Duration::from_millis(random.u64(0..500))),
            ),
            _ => Act::Take(Duration::from_millis(random.u64(0..50)), Verdict::Done),
        };
        bench
            .log
            .lock()
            .expect("whole")
            .script
            .entry(key.clone())
            .or_default()
            .push_back(act);
        if random.bool() {
            bench.now(&key).await;
        } else {
            bench.after(&key, Duration::from_millis(random.u64(0..2_000))).await;
        }
        if random.u32(0..20) == 0 {
            bench.pass(Duration::from_millis(random.u64(0..100))).await;
        }
    }
    drop(bench.nudges);
    bench.queue.await.expect("no panic of the queue itself");
    let log = bench.log.lock().expect("whole");
    assert_eq!(log.overlaps, 0);
    assert!(log.running_max <= 8);
    let keys: std::collections::HashSet<_> = log.starts.iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), 300);
    let stats = bench.stats.borrow();
    assert_eq!(stats.started, stats.succeeded + stats.failed);
    assert_eq!((stats.depth, stats.delayed, stats.running), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lane_in_which_everything_is_slow_does_not_hold_up_another() {
    let bench = bench(limits(8));
    let keys = |lane: &'static str, count: usize| (0..count).map(move |n| format!("{lane}/{n}"));
    for key in keys("quick", 10) {
        let act = Act::Take(SECOND, Verdict::After(10 * SECOND));
        bench.script(&key, [act; 20]);
        bench.now(&key).await;
    }
    for key in keys("slow", 100) {
        let act = Act::Take(30 * SECOND, Verdict::Retry { within: DELAY_MAX });
        bench.script(&key, [act; 20]);
        bench.now(&key).await;
    }
    bench.pass(120 * SECOND).await;
    for key in keys("quick", 10) {
        let times = bench.times(&key);
        // Ten runs of a second in two places take five seconds; all eight places were taken for 30 s without lanes.
        assert!(times.len() >= 7, "{key}: {times:?}");
        assert!(
            times.windows(2).all(|pair| pair[1] - pair[0] <= 16_000),
            "{key}: {times:?}"
        );
    }
    assert!(
        bench.order().matches("slow").count() >= 8,
        "the slow ones are not forgotten"
    );
}
