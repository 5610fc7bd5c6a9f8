//! `valkeep run`: the service.

use crate::cli::RunArgs;
use crate::error::CommandError;
use crate::exit::Exit;

/// Runs.
pub(crate) async fn run(args: RunArgs) -> Result<Exit, CommandError> {
    let _ = args;
    Err(CommandError::bug("not built"))
}
