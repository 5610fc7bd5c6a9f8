//! A client as the service's own are: writes one key again and again, finds the next server when the connection breaks, and
//! counts what it was promised and what it waited for.

use super::beforehand::Serving;
use super::canaries::Canaries;
use super::door::Door;
use super::elapsed_ms;
use crate::output::verify::Writes;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use valkeep_core::{Failure, ValkeyInfo};
use valkeep_valkey::Session;

/// Between two writes: how fine the longest time without one is.
const BEAT: Duration = Duration::from_millis(100);
/// For connecting, and for each answer. A server that is busy for longer is away for its clients.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks at AWS for the task, of 3 calls each.
const LOOK: Duration = Duration::from_secs(2);
/// How often the server is asked how many keys there are. A small one may stop less than a second after the canaries are there.
const COUNT: Duration = Duration::from_millis(200);

/// The servers that took the writes.
#[derive(Debug, Clone)]
pub(super) struct Servers {
    /// The one before the last replacement, as it was last seen.
    pub(super) before: Option<Serving>,
    /// The one that took the last write.
    pub(super) now: Serving,
}

impl Servers {
    pub(super) fn new(first: &Serving) -> Self {
        Self {
            before: None,
            now: first.clone(),
        }
    }

    fn seen(&mut self, serving: Serving) {
        let before = std::mem::replace(&mut self.now, serving);
        if before.run_id != self.now.run_id {
            self.before = Some(before);
        }
    }
}

/// See the module.
pub(super) struct Client<'a> {
    door: &'a Door<'a>,
    canaries: &'a Canaries,
    serving: watch::Sender<Servers>,
    address: Option<SocketAddr>,
    port: u16,
    connection: Option<Connection>,
    /// When AWS may be asked again.
    look_at: Instant,
    /// The last write that was acknowledged: its number, and when.
    last: Option<(u64, Instant)>,
    /// The number of the last write that was tried.
    tried: u64,
    writes: Writes,
}

struct Connection {
    session: Session,
    /// Once the server serves.
    known: Option<ValkeyInfo>,
    count_at: Instant,
}

impl<'a> Client<'a> {
    pub(super) fn new(
        door: &'a Door<'a>,
        address: SocketAddr,
        canaries: &'a Canaries,
        serving: watch::Sender<Servers>,
    ) -> Self {
        Self {
            door,
            canaries,
            serving,
            address: Some(address),
            port: address.port(),
            connection: None,
            look_at: Instant::now() + LOOK,
            last: None,
            tried: 0,
            writes: Writes::default(),
        }
    }

    /// Writes until it is dropped, which may be in the middle of a question.
    pub(super) async fn write_on(&mut self) -> ! {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            if self.connection.is_none() {
                self.connect().await;
            }
            // What goes wrong is an answer: no write.
            if self.beat().await.is_err() {
                self.connection = self.connection.take().filter(|one| one.session.is_usable());
            }
        }
    }

    /// What was counted.
    pub(super) fn writes(&self) -> Writes {
        self.writes.clone()
    }

    /// Where the server is now, if one is.
    pub(super) async fn address(&mut self) -> Option<SocketAddr> {
        if self.connection.is_none() {
            sleep_until(self.look_at).await;
            self.look().await;
        }
        self.address
    }

    async fn connect(&mut self) {
        if Instant::now() >= self.look_at {
            self.look().await;
        }
        let Some(address) = self.address else { return };
        self.connection = self.door.open(address, PATIENCE).await.ok().map(|session| Connection {
            session,
            known: None,
            count_at: Instant::now(),
        });
    }

    /// Asks AWS which task runs. No answer is no news.
    async fn look(&mut self) {
        let found = self.door.tasks().await;
        self.look_at = Instant::now() + LOOK;
        let Ok(tasks) = found else { return };
        let mut running = tasks.iter().filter(|task| task.is_running()).filter_map(|task| task.ip);
        self.address = match (running.next(), running.next()) {
            (Some(ip), None) => Some(SocketAddr::new(ip, self.port)),
            _ => None,
        };
    }

    /// One write.
    async fn beat(&mut self) -> Result<(), Failure> {
        let (
            Some(Connection {
                session,
                known,
                count_at,
            }),
            Some(address),
        ) = (&mut self.connection, self.address)
        else {
            return Ok(());
        };
        if known.is_none() || Instant::now() >= *count_at {
            let info = session.info().await?;
            if info.loading {
                return Ok(());
            }
            if known.is_none() {
                let key = self.canaries.beat();
                let there = session
                    .get(&key)
                    .await?
                    .and_then(|value| value.parse().ok())
                    .unwrap_or(0);
                // A write whose acknowledgement was lost may be there, too.
                let acknowledged = self.last.map_or(0, |(number, _)| number);
                self.writes.lost += acknowledged.saturating_sub(there);
            }
            *known = Some(info);
            *count_at = Instant::now() + COUNT;
        }
        self.tried += 1;
        session
            .set(&self.canaries.beat(), &self.tried.to_string(), self.canaries.expire())
            .await?;
        if let Some((_, at)) = self.last {
            self.writes.longest_gap_ms = self.writes.longest_gap_ms.max(elapsed_ms(at));
        }
        self.last = Some((self.tried, Instant::now()));
        self.writes.acknowledged += 1;
        if let Some(info) = known {
            let serving = Serving {
                address,
                run_id: info.run_id.clone(),
                keys: info.keys,
            };
            self.serving.send_if_modified(|servers| {
                let changed = servers.now != serving;
                servers.seen(serving);
                changed
            });
        }
        Ok(())
    }
}
