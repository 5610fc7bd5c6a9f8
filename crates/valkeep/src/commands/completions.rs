//! `valkeep completions`: for bash, zsh, fish, elvish and PowerShell.

use crate::cli::{Cli, CompletionsArgs};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::Out;
use clap::CommandFactory;

/// Prints the completions script.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<Exit, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "valkeep", &mut script);
    Out::stdout().text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
