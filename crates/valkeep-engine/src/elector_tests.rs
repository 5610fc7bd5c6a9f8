//! The elector, answer by answer, and many of them over a wire that loses, delays and reorders.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// One elector and a clock that the test moves.
struct Bench {
    elector: Elector,
    begin: Instant,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let begin = Instant::now();
        Self {
            elector: elector("me", LeaseTiming::default()),
            begin,
            now: begin,
        }
    }

    fn at(&mut self, seconds: f64) -> &mut Self {
        self.now = self.begin + Duration::from_secs_f64(seconds);
        self
    }

    fn next(&mut self) -> Action {
        self.elector.next(self.now, Timestamp::UNIX_EPOCH)
    }

    #[track_caller]
    fn reads(&mut self, found: Result<Option<StoredLease>, LeaseError>) -> &mut Self {
        assert_eq!(self.next(), Action::Read);
        self.elector.read(found, self.now);
        self
    }

    /// The answer to a write comes at once.
    #[track_caller]
    fn writes(&mut self, expected: &Expect, answer: Result<Written, LeaseError>) -> LeaseRecord {
        let Action::Write(record, expect) = self.next() else {
            panic!("nothing is written");
        };
        assert_eq!(&expect, expected);
        self.elector.wrote(record.clone(), answer, self.now, self.now);
        record
    }

    /// Leads since the beginning with the tag `t1`.
    fn leading() -> Self {
        let mut bench = Self::new();
        bench.reads(Ok(None)).writes(&Expect::Absent, yes("t1"));
        bench
    }

    /// Seconds since the beginning.
    fn leads_until(&self) -> Option<f64> {
        self.elector
            .leads_until()
            .map(|until| (until - self.begin).as_secs_f64())
    }

    #[track_caller]
    fn rests_until(&mut self, seconds: f64) -> &mut Self {
        assert_eq!(self.next(), Action::Rest(self.begin + Duration::from_secs_f64(seconds)));
        self
    }
}

fn elector(id: &str, timing: LeaseTiming) -> Elector {
    let me = Candidate {
        id: id.to_owned(),
        host: format!("host of {id}"),
    };
    Elector::new(me, timing)
}

fn record(holder: &str) -> LeaseRecord {
    LeaseRecord {
        holder: holder.to_owned(),
        host: "somewhere".to_owned(),
        since: Timestamp::UNIX_EPOCH,
        writes: 1,
        duration_ms: 15_000,
        released: false,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "an answer, as the store gives it")]
fn stored(tag: &str, record: LeaseRecord) -> Result<Option<StoredLease>, LeaseError> {
    Ok(Some(StoredLease {
        tag: tag.to_owned(),
        record: Some(record),
    }))
}

#[expect(clippy::unnecessary_wraps, reason = "an answer, as the store gives it")]
fn yes(tag: &str) -> Result<Written, LeaseError> {
    Ok(Written::Yes(tag.to_owned()))
}

fn tag(tag: &str) -> Expect {
    Expect::Tag(tag.to_owned())
}

fn lost<T>() -> Result<T, LeaseError> {
    Err(LeaseError::Failed {
        call: "s3:PutObject".to_owned(),
        url: "s3://docs/lease".parse().expect("good"),
        message: "no answer".to_owned(),
    })
}

#[test]
fn a_lease_that_nobody_holds_is_taken_at_once() {
    let mut bench = Bench::new();
    let record = bench.reads(Ok(None)).writes(&Expect::Absent, yes("t1"));
    assert_eq!((record.holder.as_str(), record.duration_ms), ("me", 15_000));
    assert_eq!(bench.leads_until(), Some(13.0));
    bench.rests_until(5.0);
}

#[test]
fn it_is_renewed_after_a_third_with_other_bytes_and_the_same_since() {
    let mut bench = Bench::leading();
    let first = bench.at(5.0).writes(&tag("t1"), yes("t2"));
    let second = bench.at(10.0).writes(&tag("t2"), yes("t3"));
    assert!(first.writes < second.writes);
    assert_eq!(first.since, second.since);
    assert_eq!(bench.leads_until(), Some(23.0));
}

#[test]
fn the_holder_counts_from_before_it_sent() {
    let mut bench = Bench::new();
    bench.reads(Ok(None));
    let Action::Write(record, _) = bench.next() else {
        panic!("it takes it")
    };
    let sent = bench.now;
    bench.at(2.5);
    bench.elector.wrote(record, yes("t1"), sent, bench.now);
    assert_eq!(bench.leads_until(), Some(13.0));
}

#[test]
fn an_answer_that_comes_too_late_makes_no_leader_and_the_lease_is_written_anew() {
    let mut bench = Bench::new();
    bench.reads(Ok(None));
    let Action::Write(record, _) = bench.next() else {
        panic!("it takes it")
    };
    let sent = bench.now;
    bench.at(13.0);
    bench.elector.wrote(record, yes("t1"), sent, bench.now);
    assert_eq!(bench.leads_until(), None);
    bench.writes(&tag("t1"), yes("t2"));
    assert_eq!(bench.leads_until(), Some(26.0));
}

#[test]
fn who_waits_takes_over_after_the_whole_duration_without_a_write_counted_from_the_answer() {
    let mut bench = Bench::new();
    bench.at(1.0).reads(stored("a1", record("other")));
    for second in [3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0] {
        bench
            .rests_until(second)
            .at(second)
            .reads(stored("a1", record("other")));
    }
    bench.rests_until(16.0).at(15.9).rests_until(16.0);
    bench.at(16.0).writes(&tag("a1"), yes("t1"));
    assert_eq!(bench.leads_until(), Some(29.0));
}

#[test]
fn a_write_of_the_holder_begins_the_wait_anew() {
    let mut bench = Bench::new();
    bench.reads(stored("a1", record("other")));
    bench.at(14.0).reads(stored("a2", record("other")));
    bench.at(15.0).rests_until(16.0);
    bench.at(28.9).reads(stored("a2", record("other")));
    bench.rests_until(29.0).at(29.0).writes(&tag("a2"), yes("t1"));
}

#[test]
fn looks_that_fail_neither_shorten_the_wait_nor_begin_it_anew() {
    let mut bench = Bench::new();
    bench.reads(stored("a1", record("other")));
    bench.at(2.0).reads(lost());
    bench.at(8.0).reads(lost());
    bench.at(14.0).reads(lost());
    bench.rests_until(16.0).at(16.0).writes(&tag("a1"), yes("t1"));
}

#[test]
fn the_holders_own_duration_is_waited_for_within_bounds() {
    for (claimed, waited) in [(30_000, 30.0), (u64::MAX, 300.0)] {
        let other = LeaseRecord {
            duration_ms: claimed,
            ..record("other")
        };
        let mut bench = Bench::new();
        bench.reads(stored("a1", other.clone()));
        bench.at(waited - 0.1).reads(stored("a1", other));
        bench.rests_until(waited).at(waited).writes(&tag("a1"), yes("t1"));
    }
}

#[test]
fn a_lease_that_was_given_up_is_taken_at_once() {
    let given_up = LeaseRecord {
        released: true,
        ..record("other")
    };
    let mut bench = Bench::new();
    bench.reads(stored("a1", given_up)).writes(&tag("a1"), yes("t1"));
    assert_eq!(bench.leads_until(), Some(13.0));
}

#[test]
fn what_is_no_record_is_waited_for_like_one() {
    let nonsense = StoredLease {
        tag: "a1".to_owned(),
        record: None,
    };
    let mut bench = Bench::new();
    bench.reads(Ok(Some(nonsense.clone())));
    bench.at(14.0).reads(Ok(Some(nonsense)));
    bench.rests_until(15.0).at(15.0).writes(&tag("a1"), yes("t1"));
}

#[test]
fn a_renewal_whose_answer_was_lost_is_found_to_be_ours_and_written_anew() {
    let mut bench = Bench::leading();
    let unanswered = bench.at(5.0).writes(&tag("t1"), lost());
    assert_eq!(bench.leads_until(), Some(13.0), "what was confirmed still counts");
    bench.rests_until(6.0).at(6.0).reads(stored("t2", unanswered));
    assert_eq!(bench.leads_until(), Some(13.0), "what was not confirmed does not");
    bench.writes(&tag("t2"), yes("t3"));
    assert_eq!(bench.leads_until(), Some(19.0));
}

#[test]
fn a_renewal_that_never_arrived_is_sent_again() {
    let mut bench = Bench::leading();
    bench.at(5.0).writes(&tag("t1"), lost());
    bench.at(6.0).reads(stored("t1", record("me")));
    bench.writes(&tag("t1"), yes("t2"));
    assert_eq!(bench.leads_until(), Some(19.0));
}

#[test]
fn taking_it_with_a_lost_answer_makes_no_leader_before_it_is_confirmed() {
    let mut bench = Bench::new();
    let unanswered = bench.reads(Ok(None)).writes(&Expect::Absent, lost());
    assert_eq!(bench.leads_until(), None);
    bench
        .at(2.0)
        .reads(stored("t1", unanswered))
        .writes(&tag("t1"), yes("t2"));
    assert_eq!(bench.leads_until(), Some(15.0));
}

#[test]
fn a_holder_that_cannot_renew_stops_before_anybody_else_may_begin() {
    let mut bench = Bench::leading();
    bench.at(5.0).writes(&tag("t1"), lost());
    for second in [6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0] {
        bench.at(second).reads(lost());
        assert_eq!(bench.leads_until(), Some(13.0));
    }
    // The rest ends with the term, though the next try would be later.
    bench.at(12.5).rests_until(13.0).at(13.0);
    bench.next();
    assert_eq!(bench.leads_until(), None);
}

#[test]
fn calls_of_a_holder_end_with_its_term() {
    let mut bench = Bench::leading();
    bench.at(12.0);
    assert_eq!(bench.elector.answer_by(bench.now), bench.begin + 13 * SECOND);
    bench.at(5.0);
    assert_eq!(bench.elector.answer_by(bench.now), bench.begin + 8 * SECOND);
}

#[test]
fn a_holder_that_sees_another_ones_record_stops_at_once_and_waits() {
    let mut bench = Bench::leading();
    bench.at(5.0).writes(&tag("t1"), Ok(Written::Conflict));
    bench.reads(stored("a1", record("other")));
    assert_eq!(bench.leads_until(), None);
    bench.rests_until(7.0);
    assert_eq!(
        bench.elector.leadership(),
        Leadership::Following {
            holder: "other".to_owned(),
            host: "somewhere".to_owned()
        }
    );
}

#[test]
fn a_holder_whose_lease_was_removed_by_hand_stops_and_takes_it_anew() {
    let mut bench = Bench::leading();
    bench.at(5.0).writes(&tag("t1"), Ok(Written::Conflict));
    bench.reads(Ok(None));
    assert_eq!(bench.leads_until(), None);
    bench.writes(&Expect::Absent, yes("t2"));
    assert_eq!(bench.leads_until(), Some(18.0));
}

#[test]
fn who_is_refused_looks_at_once_and_when_it_is_refused_again_takes_its_time() {
    let given_up = LeaseRecord {
        released: true,
        ..record("other")
    };
    let mut bench = Bench::new();
    bench.reads(stored("a1", given_up.clone()));
    bench.writes(&tag("a1"), Ok(Written::Conflict));
    bench.reads(stored("a1", given_up));
    bench.writes(&tag("a1"), Ok(Written::Conflict));
    bench.rests_until(2.0);
}

#[test]
fn only_what_is_ours_is_given_up_and_only_in_its_place() {
    let mut bench = Bench::leading();
    let (record, expect) = bench.elector.release().expect("it is ours");
    assert!(record.released && expect == tag("t1"));
    assert_eq!(bench.leads_until(), None);
    let mut follower = Bench::new();
    follower.reads(stored("a1", self::record("other")));
    assert_eq!(follower.elector.release(), None);
}

/// Many electors and one object. The wire delays, loses requests, loses answers, and delivers writes long after they
/// were given up; processes stop for a while; clocks run at unequal speed. The oracle knows the true time and nothing
/// of how an elector works.
struct Sim {
    random: fastrand::Rng,
    base: Instant,
    /// Seconds, true.
    now: f64,
    nodes: Vec<Node>,
    object: Option<StoredLease>,
    tags: u64,
    /// Writes on their way: when they arrive, whose, and the number of the call.
    writes: Vec<(f64, usize, u64, LeaseRecord, Expect)>,
    /// Terms begun.
    terms: u64,
    chaos: bool,
}

struct Node {
    elector: Elector,
    rate: f64,
    /// When it goes on.
    wakes: f64,
    waits: Option<Waiting>,
    calls: u64,
    led: bool,
}

struct Waiting {
    call: u64,
    sent: Instant,
    /// What arrives when the node wakes, if anything does.
    answer: Option<Reply>,
    write: Option<LeaseRecord>,
}

enum Reply {
    Found(Option<StoredLease>),
    Wrote(Written),
}

impl Sim {
    fn new(seed: u64, timing: LeaseTiming, skew: f64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let nodes = (0..3)
            .map(|n| Node {
                elector: elector(&format!("n{n}"), timing),
                rate: 1.0 + skew * (2.0 * random.f64() - 1.0),
                wakes: random.f64() * 3.0,
                waits: None,
                calls: 0,
                led: false,
            })
            .collect();
        Self {
            random,
            base: Instant::now(),
            now: 0.0,
            nodes,
            object: None,
            tags: 0,
            writes: Vec::new(),
            terms: 0,
            chaos: true,
        }
    }

    fn own(&self, node: usize) -> Instant {
        self.base + Duration::from_secs_f64(self.now * self.nodes[node].rate)
    }

    fn true_of(&self, node: usize, own: Instant) -> f64 {
        (own - self.base).as_secs_f64() / self.nodes[node].rate
    }

    fn leaders(&self) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|node| {
                let until = self.nodes[*node].elector.leads_until();
                until.is_some_and(|until| self.own(*node) < until)
            })
            .collect()
    }

    fn chance(&mut self, of: f64) -> bool {
        self.chaos && self.random.f64() < of
    }

    /// Until then, or until two lead at once.
    fn run(&mut self, until: f64) -> Result<(), String> {
        loop {
            let node =
                (0..self.nodes.len()).min_by(|one, two| self.nodes[*one].wakes.total_cmp(&self.nodes[*two].wakes));
            let node = node.expect("there are nodes");
            let write = (0..self.writes.len()).min_by(|one, two| self.writes[*one].0.total_cmp(&self.writes[*two].0));
            let write_at = write.map_or(f64::INFINITY, |write| self.writes[write].0);
            let next = self.nodes[node].wakes.min(write_at);
            if next >= until {
                self.now = until;
                return Ok(());
            }
            self.now = next;
            match write {
                Some(write) if write_at <= self.nodes[node].wakes => self.arrive(write),
                _ => self.wake(node),
            }
            let leaders = self.leaders();
            if leaders.len() > 1 {
                return Err(format!("{leaders:?} lead at {:.3}", self.now));
            }
        }
    }

    /// A write reaches the object.
    fn arrive(&mut self, index: usize) {
        let (_, node, call, record, expect) = self.writes.remove(index);
        let fits = match (&expect, &self.object) {
            (Expect::Absent, None) => true,
            (Expect::Tag(tag), Some(object)) => *tag == object.tag,
            (Expect::Absent, Some(_)) | (Expect::Tag(_), None) => false,
        };
        let written = if fits {
            self.tags += 1;
            let tag = self.tags.to_string();
            self.object = Some(StoredLease {
                tag: tag.clone(),
                record: Some(record),
            });
            Written::Yes(tag)
        } else {
            Written::Conflict
        };
        let lost = self.chance(0.15);
        let delay = self.delay();
        let now = self.now;
        // The node waits for this very call, and the answer comes before it gives up.
        let node = &mut self.nodes[node];
        if let Some(waiting) = node.waits.as_mut().filter(|waiting| waiting.call == call)
            && !lost
            && now + delay < node.wakes
        {
            waiting.answer = Some(Reply::Wrote(written));
            node.wakes = now + delay;
        }
    }

    fn delay(&mut self) -> f64 {
        let slow = self.chance(0.1);
        self.random.f64() * if slow { 3.0 } else { 0.2 }
    }

    fn wake(&mut self, index: usize) {
        // A process that stops for a while, in the middle of anything.
        if self.chance(0.02) {
            let pause = self.random.f64() * 40.0;
            self.nodes[index].wakes = self.now + pause;
            return;
        }
        let now = self.own(index);
        if let Some(waiting) = self.nodes[index].waits.take() {
            let elector = &mut self.nodes[index].elector;
            match (waiting.write, waiting.answer) {
                (None, Some(Reply::Found(found))) => elector.read(Ok(found), now),
                (None, _) => elector.read(lost(), now),
                (Some(record), Some(Reply::Wrote(written))) => elector.wrote(record, Ok(written), waiting.sent, now),
                (Some(record), _) => elector.wrote(record, lost(), waiting.sent, now),
            }
        }
        let action = self.nodes[index].elector.next(now, Timestamp::UNIX_EPOCH);
        let leads = self.nodes[index].elector.leads_until().is_some();
        self.terms += u64::from(leads && !self.nodes[index].led);
        self.nodes[index].led = leads;
        self.nodes[index].calls += 1;
        let call = self.nodes[index].calls;
        let by = self.nodes[index].elector.answer_by(now);
        let gives_up = self.true_of(index, by);
        match action {
            Action::Rest(at) => self.nodes[index].wakes = self.true_of(index, at).max(self.now + 0.001),
            Action::Read => {
                // Looked at when the request arrives; the answer takes its own time.
                let (there, back) = (self.delay(), self.delay());
                let failed = self.chance(0.15) || self.now + there + back >= gives_up;
                let answer = (!failed).then(|| Reply::Found(self.object.clone()));
                self.nodes[index].wakes = if failed { gives_up } else { self.now + there + back };
                self.nodes[index].waits = Some(Waiting {
                    call,
                    sent: now,
                    answer,
                    write: None,
                });
            }
            Action::Write(record, expect) => {
                let late = self.chance(0.1);
                let there = if late { self.random.f64() * 30.0 } else { self.delay() };
                if !self.chance(0.1) {
                    self.writes
                        .push((self.now + there, index, call, record.clone(), expect));
                }
                self.nodes[index].wakes = gives_up;
                self.nodes[index].waits = Some(Waiting {
                    call,
                    sent: now,
                    answer: None,
                    write: Some(record),
                });
            }
        }
    }
}

#[test]
fn over_a_bad_wire_and_on_unequal_clocks_never_two_lead_at_once_and_soon_one_does() {
    let mut terms = 0;
    for seed in 0..500 {
        let mut sim = Sim::new(seed, LeaseTiming::default(), 0.05);
        sim.run(300.0).unwrap_or_else(|two| panic!("seed {seed}: {two}"));
        sim.chaos = false;
        // What is still on its way arrives, processes that stopped go on, the last lease runs out.
        sim.run(400.0).unwrap_or_else(|two| panic!("seed {seed}: {two}"));
        assert_eq!(sim.leaders().len(), 1, "seed {seed}: nobody leads over a good wire");
        terms += sim.terms;
    }
    assert!(terms > 2_500, "the lease hardly moved: {terms} terms");
}

/// The oracle can see: without the margin, clocks that differ this much let two lead.
#[test]
fn without_the_margin_two_would_lead() {
    let timing = LeaseTiming {
        margin: Duration::ZERO,
        ..LeaseTiming::default()
    };
    let found = (0..500).any(|seed| Sim::new(seed, timing, 0.05).run(300.0).is_err());
    assert!(found);
}

#[test]
fn a_leader_that_is_gone_is_followed_within_twenty_seconds() {
    for seed in 0..500 {
        let mut sim = Sim::new(seed, LeaseTiming::default(), 0.0);
        sim.chaos = false;
        sim.run(60.0).expect("one leads");
        let [leader] = sim.leaders()[..] else {
            panic!("seed {seed}: nobody leads")
        };
        // It never wakes again, whatever is on its way.
        sim.nodes[leader].wakes = f64::INFINITY;
        sim.nodes[leader].elector = elector("gone", LeaseTiming::default());
        sim.run(80.0).expect("one leads");
        assert_eq!(sim.leaders().len(), 1, "seed {seed}");
    }
}
