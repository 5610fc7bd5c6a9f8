//! Logging: one line per decision to stderr, as text or JSON. Never a secret.

use crate::cli::LogArgs;
use crate::error::CommandError;
use crate::output;
use crate::values::LogFormat;
use std::io;
use tracing::Level;
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// What a service says: its own decisions, and trouble of everything below.
const SERVICE: &str = "warn,valkeep=info";
/// What a command says: only trouble; its talk is its output.
const COMMAND: &str = "warn";

/// Starts logging. `service` is a command that runs on and tells its decisions.
pub(crate) fn start(args: &LogArgs, service: bool) -> Result<(), CommandError> {
    let filter = match args.log.as_deref() {
        Some(filter) if !filter.is_empty() => EnvFilter::try_new(filter).map_err(|error| {
            CommandError::usage(error)
                .while_(format!("`{filter}` is not a log filter"))
                .hint("write a level or target=level pairs, like `warn,valkeep=debug`")
        })?,
        _ => EnvFilter::new(if service { SERVICE } else { COMMAND }),
    };
    // Below info, the SDK and the HTTP client may write headers and bodies, and so a session token or a document's
    // neighbours. No filter opens that.
    let guarded = filter.and(filter_fn(|event| {
        *event.level() <= Level::INFO || event.target().starts_with("valkeep")
    }));
    let layer = fmt::layer().with_writer(io::stderr);
    let layer = match args.log_format {
        LogFormat::Text => layer.with_ansi(output::colour(&io::stderr())).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_ansi(false).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(guarded)).init();
    Ok(())
}
