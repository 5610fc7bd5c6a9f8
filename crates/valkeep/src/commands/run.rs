//! `valkeep run`: the service, and one round of it for pipelines.

use crate::cli::{RunArgs, ScopeArgs};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::status::{self as view, Row};
use crate::output::{Out, talk};
use crate::world::SystemClock;
use crate::{replicas, settings, signals, stores, world};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};
use valkeep_aws::{Aws, Options};
use valkeep_core::{ConditionType, FailureKind, Limits, Scope, Timestamp};
use valkeep_engine::{CancellationToken, DocumentState, Engine, Finished, Leadership, LeaseState, Settings, Standing};

/// Keeps every document true until it is told to stop, or until all are at rest.
pub(crate) async fn run(args: RunArgs) -> Result<Exit, CommandError> {
    // The command line is judged before anything is asked for.
    let lease = replicas::lease(&args.replicas, &stores::places(&args.stores)?)?;
    let limits = settings::limits(&args.limits)?;
    let shutdown = signals::shutdown()?;
    let aws = world::aws_at(args.rate_share).await;
    let scope = if args.once {
        world::scope(&aws, &args.scope, &limits).await?
    } else {
        match patient_scope(&aws, &args.scope, &limits, &shutdown).await? {
            Some(scope) => scope,
            None => return Ok(Exit::Ok),
        }
    };
    let stores = stores::open_with(&args.stores, Some(aws.clone())).await?;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        account = scope.account,
        region = scope.region,
        installation = scope.installation,
        stores = %stores.iter().map(|store| store.url().to_string()).collect::<Vec<_>>().join(" "),
        lease = lease.as_ref().map_or("none: this is the only replica".to_owned(), ToString::to_string),
        "valkeep starts"
    );
    if let Some(open) = settings::open(&limits) {
        warn!(
            not_limited = open,
            "documents may name any of these, as far as valkeep's own permissions go; --settings limits them"
        );
    }
    if args.once {
        // A service waits for a store that is away; here it would be waited for without end.
        for store in &stores {
            store.list().await?;
        }
    }
    let lease = lease.map(|lease| aws.lease(lease));
    let engine = Engine::new(
        settings(&args),
        stores,
        Arc::new(aws),
        Arc::new(world::servers()),
        Arc::new(SystemClock),
        scope,
    );
    let engine = match lease {
        Some(lease) => engine.sharing(lease, replicas::candidate()),
        None => engine,
    };
    if args.once {
        let finished = engine.once(args.timeout, shutdown).await;
        return tell(&finished);
    }
    let drained = engine.run(shutdown).await.drained;
    info!(
        finished = drained.finished,
        aborted = drained.aborted,
        dropped = drained.dropped,
        took_ms = drained.took.as_millis(),
        "valkeep ends"
    );
    Ok(Exit::Ok)
}

fn settings(args: &RunArgs) -> Settings {
    let usual = Settings::default();
    Settings {
        // The usual spacing is for the usual share.
        idle_spacing: usual.idle_spacing.mul_f64(Options::default().share / args.rate_share),
        poll: args.poll,
        resync: args.resync,
        probe: args.probe_interval,
        concurrency: args.concurrency.get(),
        // Jitter of many installations must not fall together.
        seed: RandomState::new().hash_one(std::process::id()),
        ..usual
    }
}

/// First and longest wait for AWS to say who we are.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// A service that starts while AWS is away waits for it; what would not heal by itself ends it. None when it was
/// told to stop meanwhile.
async fn patient_scope(
    aws: &Aws,
    args: &ScopeArgs,
    limits: &Limits,
    shutdown: &CancellationToken,
) -> Result<Option<Scope>, CommandError> {
    let mut wait = PATIENCE.0;
    loop {
        let failure = match world::look_up_scope(aws, args, limits).await? {
            Ok(scope) => return Ok(Some(scope)),
            Err(failure) => failure,
        };
        if !matches!(
            failure.kind,
            FailureKind::NoAnswer | FailureKind::Throttled | FailureKind::ServerError
        ) {
            return Err(world::no_scope(failure));
        }
        warn!(error = %failure, again_in_s = wait.as_secs(), "AWS cannot be asked which account this is");
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(PATIENCE.1),
        }
    }
}

/// The last word of `--once`.
fn tell(finished: &Finished) -> Result<Exit, CommandError> {
    let Finished {
        documents,
        stores,
        lease,
        cut_short,
        report: _,
    } = finished;
    if *cut_short && let Some(lease) = lease {
        never_led(lease)?;
    }
    let rows: Vec<Row> = documents.iter().map(|document| row(document)).collect();
    let mut out = Out::stdout();
    let table = view::table(&rows.iter().collect::<Vec<_>>(), Timestamp::now(), true, &out);
    out.text(&table)?;
    for store in stores {
        if let Some(trouble) = &store.trouble {
            talk(&format!("{} cannot be listed: {}", store.url, trouble.message));
        }
    }
    for document in documents {
        if let Some(why) = &document.unwritten {
            talk(&format!("the status of {} could not be written: {why}", document.name));
        }
    }
    let good = documents
        .iter()
        .filter(|document| document.standing == Standing::Ready)
        .count();
    let deleted = documents
        .iter()
        .filter(|document| document.standing == Standing::Ready && document.status.is(ConditionType::Deleted))
        .count();
    let ready = good - deleted;
    let ended = if *cut_short {
        "ended before all were at rest: "
    } else {
        ""
    };
    let also = if deleted > 0 {
        format!(", {deleted} deleted")
    } else {
        String::new()
    };
    talk(&format!("{ended}{ready} of {} documents ready{also}", documents.len()));
    Ok(if good == documents.len() && !cut_short {
        Exit::Ok
    } else {
        Exit::NotReady
    })
}

/// An end without ever having led says nothing of any document.
fn never_led(lease: &LeaseState) -> Result<(), CommandError> {
    let url = &lease.url;
    if lease.leadership.leads() {
        return Ok(());
    }
    if let Some(trouble) = &lease.trouble {
        return Err(CommandError::outside(trouble.message.clone()).while_(format!("the lease {url} cannot be used")));
    }
    Err(match &lease.leadership {
        Leadership::Following { holder, host } => CommandError::outside(format!(
            "another valkeep holds the lease {url}: {holder} on {host}; nothing was done"
        ))
        .hint("`valkeep wait NAME` waits for what that one does")
        .hint("if it is not meant to work on these stores, stop it, or give each its own --lease"),
        Leadership::Leading { .. } | Leadership::Unknown => {
            CommandError::outside(format!("ended before the lease {url} could be taken; nothing was done"))
        }
    })
}

fn row(document: &DocumentState) -> Row {
    Row {
        name: document.name.clone(),
        place: Some(format!("{}{}", document.store, document.key)),
        revision: Some(document.revision.clone()),
        status: Some((*document.status).clone()),
    }
}
