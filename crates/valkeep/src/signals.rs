//! SIGTERM and SIGINT: the first drains or cleans up; of a service the second ends at once.

use crate::error::CommandError;
use crate::output::talk;
use tokio::signal::unix::{Signal, SignalKind, signal};
use valkeep_engine::CancellationToken;

/// A token that the first signal cancels. From then on the next signal ends the process.
pub(crate) fn shutdown() -> Result<CancellationToken, CommandError> {
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let first = token.clone();
    tokio::spawn(async move {
        next(&mut terminate, &mut interrupt).await;
        tracing::info!("asked to stop; passes in flight end first, another signal ends at once");
        first.cancel();
        let number = next(&mut terminate, &mut interrupt).await;
        talk("stopped at once: passes in flight were cut off; the next start looks again and goes on");
        // As a shell tells the end by a signal.
        std::process::exit(128 + number);
    });
    Ok(token)
}

/// Ends with the first signal, for a command that has to clean up. From the call on no signal ends the process.
pub(crate) fn first() -> Result<impl Future<Output = ()>, CommandError> {
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(async move {
        next(&mut terminate, &mut interrupt).await;
    })
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> i32 {
    tokio::select! {
        _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
        _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
    }
}

fn listen(kind: SignalKind) -> Result<Signal, CommandError> {
    signal(kind).map_err(|error| CommandError::outside(error).while_("cannot listen for signals"))
}
