//! The valkeep binary: reads the command line, runs one command, prints an error once, and ends with an exit code.

mod cli;
mod commands;
mod error;
mod exit;
mod input;
mod logs;
mod output;
mod replicas;
mod settings;
mod signals;
mod stores;
mod values;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    if let Err(error) = logs::start(&cli.log, cli.command.is_service()) {
        return error.report().into();
    }
    match commands::dispatch(cli.command) {
        Ok(exit) => exit.into(),
        Err(error) => error.report().into(),
    }
}
