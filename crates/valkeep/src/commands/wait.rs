//! `valkeep wait`: until a document's conditions are as wanted. `apply --wait` waits here, too.

use crate::cli::WaitArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::status::short;
use crate::output::{Out, printable, talk};
use crate::stores;
use crate::values::Want;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};
use valkeep_core::{ConditionStatus, ConditionType, Timestamp};
use valkeep_document::status::Status;
use valkeep_store::{DocumentStore, StoreError};

/// How long a document is stalled before a wait for Ready or Deleted gives up. Some stalls are AWS's own eventual consistency, like
/// a role that was made a moment ago, and are gone with the next pass.
const STALL_PATIENCE: Duration = Duration::from_secs(15);

/// What is waited for.
pub(crate) struct Waiting<'a> {
    /// Name of the document.
    pub(crate) name: &'a str,
    /// Version of the document that a status must have seen.
    pub(crate) version: Version,
    /// All of these.
    pub(crate) wants: &'a [Want],
    /// At most this long.
    pub(crate) timeout: Duration,
    /// How often to look.
    pub(crate) poll: Duration,
    /// Wait on when a person is needed.
    pub(crate) through_stalls: bool,
}

/// A version of a document.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    /// As the store has it.
    pub(crate) revision: String,
    /// Where it is known: then a later one counts, too.
    pub(crate) generation: Option<i64>,
}

impl Version {
    /// Whether a status was written for this version or a later one.
    fn is_seen_by(&self, status: &Status) -> bool {
        // Generations of S3 count seconds, so an equal one may still be an older version.
        status.observed_revision == self.revision
            || self
                .generation
                .is_some_and(|generation| status.observed_generation > generation)
    }
}

/// Waits.
pub(crate) async fn wait(args: WaitArgs) -> Result<Exit, CommandError> {
    let stores = stores::open(&args.stores).await?;
    let Some(found) = stores::find(&stores, &args.name).await? else {
        return Err(
            CommandError::user(format!("there is no document `{}` in the store", args.name))
                .hint("`valkeep status` lists all"),
        );
    };
    let version = match args.revision {
        None => Version {
            revision: found.entry.revision.clone(),
            generation: Some(found.entry.generation),
        },
        Some(revision) => {
            let entry = if found.entry.revision == revision {
                Some(found.entry.clone())
            } else {
                let history = found.store.history(&found.entry).await?;
                history.into_iter().find(|entry| entry.revision == revision)
            };
            Version {
                revision,
                generation: entry.map(|entry| entry.generation),
            }
        }
    };
    let waiting = Waiting {
        name: &args.name,
        version,
        wants: &args.wants,
        timeout: args.timeout,
        poll: args.poll,
        through_stalls: args.through_stalls,
    };
    until(&*found.store, &waiting).await
}

/// Waits until the status is as wanted, and says so on stdout.
pub(crate) async fn until(store: &dyn DocumentStore, waiting: &Waiting<'_>) -> Result<Exit, CommandError> {
    match follow(store, waiting).await? {
        Waited::AsWanted => {
            Out::stdout().line(&format!("{}: {}", waiting.name, list(waiting.wants)))?;
            Ok(Exit::Ok)
        }
        Waited::Stalled | Waited::Late { .. } => Ok(Exit::NotReady),
    }
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The status is as wanted.
    AsWanted,
    /// A person is needed.
    Stalled,
    /// The time is over.
    Late {
        /// Whether anybody has looked at this version.
        seen: bool,
    },
}

/// Waits until the status is as wanted, and says on stderr what goes on meanwhile.
pub(crate) async fn follow(store: &dyn DocumentStore, waiting: &Waiting<'_>) -> Result<Waited, CommandError> {
    let started = Instant::now();
    let deadline = started + waiting.timeout;
    let mut said = String::new();
    let mut seen = false;
    let mut stalled_since = None;
    loop {
        let looked = match timeout_at(deadline, look(store, waiting)).await {
            Ok(looked) => looked,
            Err(_) => Err(Trouble::Passing("the store has not answered".to_owned())),
        };
        let news = match &looked {
            Ok(Look::AsWanted) => return Ok(Waited::AsWanted),
            Ok(Look::NotSeen(why)) => (*why).to_owned(),
            Ok(Look::Stalled { why, long }) => {
                let since = *stalled_since.get_or_insert_with(Instant::now);
                if *long || since.elapsed() >= STALL_PATIENCE {
                    talk(&format!("{}: stalled: {}", waiting.name, printable(why)));
                    return Ok(Waited::Stalled);
                }
                seen = true;
                format!("stalled: {why}")
            }
            Ok(Look::Phase(phase)) => {
                stalled_since = None;
                seen = true;
                phase.clone()
            }
            Err(Trouble::Passing(why)) => format!("cannot look: {why}"),
            Err(Trouble::Lasting(_)) => String::new(),
        };
        if let Err(Trouble::Lasting(error)) = looked {
            return Err(error.into());
        }
        if said != news {
            talk(&format!(
                "{:>4} s  {}: {}",
                started.elapsed().as_secs(),
                waiting.name,
                printable(&short(&news))
            ));
            said = news;
        }
        let next = Instant::now() + waiting.poll;
        if next >= deadline {
            talk(&format!(
                "{}: not {} within {} s",
                waiting.name,
                list(waiting.wants),
                waiting.timeout.as_secs()
            ));
            return Ok(Waited::Late { seen });
        }
        sleep_until(next).await;
    }
}

pub(crate) enum Look {
    AsWanted,
    /// Nobody has looked at this version yet.
    NotSeen(&'static str),
    Stalled {
        why: String,
        /// By the status's own times.
        long: bool,
    },
    Phase(String),
}

pub(crate) enum Trouble {
    /// The next look may work.
    Passing(String),
    /// It will not.
    Lasting(StoreError),
}

/// One look at the status.
pub(crate) async fn look(store: &dyn DocumentStore, waiting: &Waiting<'_>) -> Result<Look, Trouble> {
    let stored = store.read_status(waiting.name).await.map_err(|error| match error {
        StoreError::Denied { .. } | StoreError::TooLarge { .. } => Trouble::Lasting(error),
        StoreError::Gone { .. }
        | StoreError::Changed { .. }
        | StoreError::Missing { .. }
        | StoreError::Failed { .. } => Trouble::Passing(error.to_string()),
    })?;
    let Some(stored) = stored else {
        return Ok(Look::NotSeen("no status yet; does `valkeep run` look at this store?"));
    };
    let Some(status) = Status::from_json(&stored.body) else {
        return Err(Trouble::Passing("the status is not one of valkeep's".to_owned()));
    };
    if !waiting.version.is_seen_by(&status) {
        return Ok(Look::NotSeen("this version has not been looked at yet"));
    }
    let as_wanted = |want: &Want| {
        let condition = status.condition(want.type_);
        condition.is_some_and(|condition| condition.status == want.status)
    };
    if waiting.wants.iter().all(as_wanted) {
        return Ok(Look::AsWanted);
    }
    let for_the_end = waiting.wants.contains(&Want::READY) || waiting.wants.contains(&Want::DELETED);
    if for_the_end
        && !waiting.through_stalls
        && let Some(stalled) = status.condition(ConditionType::Stalled)
        && stalled.status == ConditionStatus::True
    {
        let lasts = Timestamp::now().duration_since(stalled.last_transition_time);
        let long = Duration::try_from(lasts).is_ok_and(|lasts| lasts >= STALL_PATIENCE);
        let why = if stalled.message.is_empty() {
            status.phase.clone()
        } else {
            stalled.message.clone()
        };
        return Ok(Look::Stalled { why, long });
    }
    Ok(Look::Phase(status.phase))
}

fn list(wants: &[Want]) -> String {
    let wants: Vec<String> = wants.iter().map(Want::to_string).collect();
    wants.join(" and ")
}
