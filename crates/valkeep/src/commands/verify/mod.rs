//! `valkeep verify`: the drill. Keys go in, the server is replaced with care, the keys are read back.
//!
//! The replacement is `valkeep run`'s: this command only asks for it on the document, watches as a client would, and counts.

mod beforehand;
mod canaries;
mod client;
mod door;

use crate::cli::VerifyArgs;
use crate::commands::wait::{self, Version, Waited, Waiting};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::input;
use crate::output::verify::{self as view, After, Before, Report};
use crate::output::{Out, talk};
use crate::stores::{self, Found};
use crate::values::{TextOrJson, Want};
use crate::{settings, signals, world};
use beforehand::{Request, Serving, to_be_verified};
use canaries::{Canaries, Found as Read};
use client::{Client, Servers};
use door::Door;
use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use valkeep_core::ports::Clock;
use valkeep_core::{Desired, Failure, Timestamp};
use valkeep_document::RESTART;
use valkeep_store::StoreError;
use valkeep_valkey::Session;

/// Keys expire this long after the drill should be over, should nobody be there to delete them.
const EXPIRE_AFTER: Duration = Duration::from_mins(10);
/// For connecting and for each answer about the keys.
const PATIENCE: Duration = Duration::from_secs(5);
/// A server that is Ready for valkeep is found by this command's own looks, two seconds apart, in a few of them.
const FOUND_WITHIN: Duration = Duration::from_secs(30);

/// What the drill works on.
struct Drill<'a> {
    args: &'a VerifyArgs,
    door: &'a Door<'a>,
    desired: &'a Desired,
    found: Found,
    canaries: Canaries,
    /// What the document is to be.
    request: Request,
    /// Who serves before.
    before: Serving,
    /// When it began.
    at: Timestamp,
}

/// How the replacement ended.
enum Ended {
    /// Another server serves, and the document is Ready.
    Replaced,
    /// Not in time, or not without a person.
    NotReplaced(Waited),
    /// A signal came.
    Interrupted,
}

/// Runs the drill.
pub(crate) async fn verify(args: VerifyArgs) -> Result<Exit, CommandError> {
    let opened = stores::open(&args.stores).await?;
    let Some(found) = stores::find(&opened, &args.name).await? else {
        return Err(
            CommandError::user(format!("there is no document `{}` in the store", args.name))
                .hint("`valkeep status` lists all"),
        );
    };
    let document = valkeep_document::read(&found.place(), &found.body).map_err(input::invalid)?;
    to_be_verified(&document)?;
    beforehand::ready(&found).await?;
    let limits = settings::limits(&args.limits)?;
    let aws = world::aws().await;
    let scope = world::scope(&aws, &args.scope, &limits).await?;
    let desired = document
        .desired(&scope, found.entry.generation)
        .map_err(input::invalid)?;
    let at = world::SystemClock.now();
    beforehand::in_window(&desired, at)?;
    let door = Door::new(&aws, &desired);
    let before = beforehand::serving(&desired, &door.observe().await)?;
    let canaries = Canaries::new(args.keys, args.timeout + EXPIRE_AFTER);
    let request = Request::new(&found, format!("verify {}", canaries.run()))?;
    if !args.yes && !agreed(&found, &desired, &before)? {
        talk("nothing was done");
        return Ok(Exit::Error);
    }
    let drill = Drill {
        canaries,
        request,
        args: &args,
        door: &door,
        desired: &desired,
        found,
        before,
        at,
    };
    drill.run().await
}

impl Drill<'_> {
    /// Whatever comes of it, the keys are deleted.
    async fn run(&self) -> Result<Exit, CommandError> {
        let interrupted = signals::first()?;
        let (serving, servers) = watch::channel(Servers::new(&self.before));
        let mut client = Client::new(self.door, self.before.address, &self.canaries, serving);
        let result = self.replaced(&mut client, servers.clone(), interrupted).await;
        let result = match result {
            Ok(Ended::Replaced) => self.compared(&client, &servers).await.map(Some),
            Ok(Ended::NotReplaced(waited)) => {
                self.explain(waited);
                Ok(None)
            }
            Ok(Ended::Interrupted) => Err(CommandError::user("interrupted").hint(self.asked_for())),
            Err(error) => Err(error),
        };
        let address = client.address().await;
        self.clean(address).await;
        let Some(report) = result? else {
            return Ok(Exit::NotReady);
        };
        let mut out = Out::stdout();
        match self.args.output {
            TextOrJson::Text => {
                let text = view::text(&report, &out);
                out.text(&text)?;
            }
            TextOrJson::Json => out.json(&report)?,
        }
        Ok(if report.is_warm() { Exit::Ok } else { Exit::Error })
    }

    /// Writes the canaries, asks for the replacement, and writes on until it is over.
    async fn replaced(
        &self,
        client: &mut Client<'_>,
        servers: watch::Receiver<Servers>,
        interrupted: impl Future<Output = ()>,
    ) -> Result<Ended, CommandError> {
        let work = async {
            self.canaries.write(&mut self.open(self.before.address).await?).await?;
            let version = self.ask_for_restart().await?;
            self.settled(version, servers).await
        };
        tokio::select! {
            ended = work => ended,
            never = client.write_on() => never,
            () = interrupted => Ok(Ended::Interrupted),
        }
    }

    /// A connection for the keys.
    async fn open(&self, address: SocketAddr) -> Result<Session, Failure> {
        self.door.open(address, PATIENCE).await
    }

    /// Gives the annotation a new value, unless the document was changed meanwhile.
    async fn ask_for_restart(&self) -> Result<Version, CommandError> {
        let Request { value, body } = &self.request;
        let found = &self.found;
        let entry = match found.store.put(&found.entry.stem, body, Some(&found.entry)).await {
            Ok(entry) => entry,
            Err(error @ StoreError::Changed { .. }) => {
                return Err(CommandError::from(error).hint("nothing was asked for; run the drill again"));
            }
            Err(error) => return Err(error.into()),
        };
        talk(&format!("{}: {RESTART} is now \"{value}\"", self.found.place()));
        Ok(Version {
            revision: entry.revision,
            generation: Some(entry.generation),
        })
    }

    /// Waits until the document is Ready and another server serves.
    async fn settled(&self, version: Version, mut servers: watch::Receiver<Servers>) -> Result<Ended, CommandError> {
        let waiting = Waiting {
            name: &self.args.name,
            version,
            wants: &[Want::READY],
            timeout: self.args.timeout,
            poll: self.args.poll,
            through_stalls: false,
        };
        match wait::follow(&*self.found.store, &waiting).await? {
            Waited::AsWanted => {}
            waited => return Ok(Ended::NotReplaced(waited)),
        }
        let another = servers.wait_for(|servers| servers.now.run_id != self.before.run_id);
        match timeout(FOUND_WITHIN, another).await {
            Ok(_) => Ok(Ended::Replaced),
            Err(_) => Err(CommandError::outside(format!(
                "{} is Ready, and no other server than the one before took a write within {} s",
                self.args.name,
                FOUND_WITHIN.as_secs()
            ))
            .hint(
                "is the `valkeep run` of this store older than this command, or does it work in another installation?",
            )),
        }
    }

    /// Reads everything back, over a connection of its own.
    async fn compared(&self, client: &Client<'_>, servers: &watch::Receiver<Servers>) -> Result<Report, CommandError> {
        let servers = servers.borrow().clone();
        let mut session = self.open(servers.now.address).await?;
        let Read { back, lost } = self.canaries.read(&mut session).await?;
        let info = session.info().await?;
        let keys_at_stop = servers.before.as_ref().map_or(self.before.keys, |before| before.keys);
        // The canaries and the key that was written on, which this server took.
        let own = u64::from(back) + 1;
        Ok(Report {
            document: self.args.name.clone(),
            service: format!("{}/{}", self.desired.identity.cluster, self.desired.identity.service),
            took_seconds: Timestamp::now().duration_since(self.at).as_secs(),
            before: Before {
                address: self.before.address.to_string(),
                run_id: self.before.run_id.clone(),
                keys: self.before.keys,
                keys_at_stop,
            },
            after: After {
                address: servers.now.address.to_string(),
                run_id: info.run_id,
                keys: info.keys.saturating_sub(own),
                keys_loaded: info.keys_loaded,
                append_only: info.append_only.is_some(),
                keys_expired_at_load: info.keys_expired_at_load,
            },
            canaries: view::Canaries {
                written: self.args.keys,
                back,
                lost,
            },
            writes: client.writes(),
        })
    }

    fn explain(&self, waited: Waited) {
        let why = match waited {
            Waited::Late { seen: false } => {
                "nobody has looked at the document since; does `valkeep run` run on this store?"
            }
            Waited::Late { seen: true } => "the replacement did not end in time; its phases are above",
            Waited::Stalled | Waited::AsWanted => "the replacement needs a person: see `valkeep status`",
        };
        talk(&format!("{}: not verified: {why}", self.args.name));
        talk(&format!("hint: {}", self.asked_for()));
    }

    /// What is left behind when it does not end well.
    fn asked_for(&self) -> String {
        format!(
            "the document may still ask for the restart; to take that back, remove the annotation {RESTART} from {}",
            self.found.place()
        )
    }

    async fn clean(&self, address: Option<SocketAddr>) {
        let cleaned = async {
            let Some(address) = address else {
                return Err(CommandError::outside("no task runs"));
            };
            self.canaries.delete(&mut self.open(address).await?).await?;
            Ok(())
        };
        if let Err(error) = cleaned.await {
            talk(&format!(
                "the keys {}* could not be deleted ({error}); they expire by themselves within {} min",
                self.canaries.prefix(),
                (self.args.timeout + EXPIRE_AFTER).as_secs().div_ceil(60)
            ));
        }
    }
}

/// Asks the person at the terminal.
fn agreed(found: &Found, desired: &Desired, serving: &Serving) -> Result<bool, CommandError> {
    let Serving { address, keys, .. } = serving;
    let identity = &desired.identity;
    talk(&format!(
        "This replaces the server of {}/{} once: {keys} keys at {address}. Until the next one has loaded them, nobody can \
         read or write.",
        identity.cluster, identity.service
    ));
    talk(&format!(
        "It does so by the annotation {RESTART} on {}; a pipeline that puts the document back restarts nothing.",
        found.place()
    ));
    let mut stderr = io::stderr().lock();
    // If stderr is closed, nobody answers either.
    let _ = write!(stderr, "Go on? [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| CommandError::user(error).while_("cannot read the answer"))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// How long the drill has gone on, for whoever counts.
fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
