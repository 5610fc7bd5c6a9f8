//! Writers that find the server by name, as an application does, and know every write that was acknowledged.

use crate::resp::{Answer, Client};
use anyhow::{Context, Result, ensure};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// For connecting and for each answer; a server that saves answers nobody, and ends afterwards.
const BOUND: Duration = Duration::from_secs(2);
/// Between attempts while there is no server.
const RETRY: Duration = Duration::from_millis(10);
/// Writes of one writer: at 200 a second, more than 15 minutes.
const WRITES_MAX: u64 = 200_000;

/// Finds the server's addresses by its name; none while it has none.
pub type Resolve = Arc<dyn Fn() -> Vec<SocketAddr> + Send + Sync>;

/// What is written, how often, and by how many.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// So many writers.
    pub writers: u64,
    /// What each of them rests after a write.
    pub rest: Duration,
    /// Of values, and of the choice between several addresses.
    pub seed: u64,
}

/// Writers at work.
#[derive(Debug)]
pub struct Writers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<Write>>>,
    load: Load,
}

/// An acknowledged write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    /// Its writer.
    pub writer: u64,
    /// Its number; those that were not acknowledged have one, too.
    pub number: u64,
    /// When the acknowledgement came.
    pub at: Instant,
}

/// All that was acknowledged.
#[derive(Debug)]
pub struct Written {
    seed: u64,
    began: Instant,
    ended: Instant,
    /// Of each writer, oldest first.
    writes: Vec<Vec<Write>>,
}

impl Writers {
    /// Starts them.
    pub fn start(load: Load, resolve: &Resolve) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..load.writers).map(|writer| {
            let (stop, resolve) = (Arc::clone(&stop), Arc::clone(resolve));
            std::thread::spawn(move || work(load, writer, &resolve, &stop))
        });
        let threads = threads.collect();
        Self { stop, threads, load }
    }

    /// Stops them; what they know.
    pub fn stop(self) -> Result<Written> {
        self.stop.store(true, Ordering::SeqCst);
        let ended = Instant::now();
        let mut writes = Vec::new();
        for thread in self.threads {
            writes.push(thread.join().ok().context("a writer does not panic")?);
        }
        let first = writes.iter().filter_map(|of| of.first()).map(|write| write.at).min();
        let began = first.context("nothing was acknowledged")?;
        let seed = self.load.seed;
        let full = writes.iter().flatten().any(|write| write.number + 1 == WRITES_MAX);
        ensure!(!full, "a writer came to the end of its numbers");
        Ok(Written {
            seed,
            began,
            ended,
            writes,
        })
    }
}

impl Written {
    /// How many writes were acknowledged.
    pub fn count(&self) -> usize {
        self.writes.iter().map(Vec::len).sum()
    }

    /// How many of them were acknowledged after this.
    pub fn count_since(&self, at: Instant) -> usize {
        self.writes.iter().flatten().filter(|write| write.at > at).count()
    }

    /// Those whose key does not have its value in the server at this address.
    pub fn lost(&self, address: SocketAddr) -> Result<Vec<Write>> {
        let mut client = Client::connect(address, Duration::from_secs(30))?;
        let all: Vec<Write> = self.writes.iter().flatten().copied().collect();
        let asked: Vec<Vec<String>> = all
            .iter()
            .map(|write| vec!["GET".to_owned(), key(self.seed, write.writer, write.number)])
            .collect();
        let answers = client.ask_all(&asked)?;
        let is_lost =
            |(write, answer): &(Write, Answer)| *answer != Answer::Text(value(self.seed, write.writer, write.number));
        let lost = all.into_iter().zip(answers).filter(is_lost);
        Ok(lost.map(|(write, _)| write).collect())
    }

    /// The longest time that any writer was without an acknowledgement, of those that touch `from..until`.
    pub fn longest_gap(&self, from: Instant, until: Instant) -> Duration {
        let of_one = |writes: &Vec<Write>| {
            let times = writes.iter().map(|write| write.at);
            let times: Vec<Instant> = [self.began].into_iter().chain(times).chain([self.ended]).collect();
            let pairs = times.windows(2).filter(|pair| pair[1] >= from && pair[0] <= until);
            pairs.map(|pair| pair[1].saturating_duration_since(pair[0])).max()
        };
        self.writes.iter().filter_map(of_one).max().unwrap_or_default()
    }
}

fn work(load: Load, writer: u64, resolve: &Resolve, stop: &AtomicBool) -> Vec<Write> {
    let mut rng = fastrand::Rng::with_seed(load.seed ^ writer);
    let mut done = Vec::new();
    let mut connection = None;
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) && number < WRITES_MAX {
        if connection.is_none() {
            let addresses = resolve();
            connection = rng
                .choice(&addresses)
                .and_then(|address| Client::connect(*address, BOUND).ok());
        }
        let Some(client) = &mut connection else {
            std::thread::sleep(RETRY);
            continue;
        };
        let (key, value) = (key(load.seed, writer, number), value(load.seed, writer, number));
        match client.ask(&["SET", &key, &value]) {
            Ok(Answer::Text(_)) => {
                let at = Instant::now();
                done.push(Write { writer, number, at });
                std::thread::sleep(load.rest);
            }
            // It loads: the same connection will do.
            Ok(Answer::Error(_) | Answer::Nothing) => std::thread::sleep(RETRY),
            Err(_) => connection = None,
        }
        // A write without an acknowledgement may be there or not: its key is never used again.
        number += 1;
    }
    done
}

fn key(seed: u64, writer: u64, number: u64) -> String {
    format!("write:{seed}:{writer}:{number}")
}

/// Nobody else's, and of differing length.
fn value(seed: u64, writer: u64, number: u64) -> String {
    let mut rng = fastrand::Rng::with_seed(seed ^ (writer << 40) ^ (number << 8));
    let length = rng.usize(8..200);
    std::iter::repeat_with(|| rng.alphanumeric()).take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_the_worst_of_any_writer_and_lasts_until_the_end() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let of = |writer, times: &[u64]| {
            let times = times.iter().enumerate();
            times
                .map(|(number, ms)| Write {
                    writer,
                    number: number as u64,
                    at: at(*ms),
                })
                .collect()
        };
        let written = Written {
            seed: 0,
            began,
            ended: at(1000),
            writes: vec![of(0, &[0, 100, 500, 600, 900]), of(1, &[10, 400, 700])],
        };
        assert_eq!(written.longest_gap(at(0), at(300)), Duration::from_millis(400));
        assert_eq!(written.longest_gap(at(0), at(90)), Duration::from_millis(390));
        assert_eq!(written.longest_gap(at(550), at(2000)), Duration::from_millis(300));
        assert_eq!((written.count(), written.count_since(at(600))), (8, 2));
    }
}
