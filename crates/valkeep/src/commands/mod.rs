//! One file a command. Each reads what it needs, asks the libraries, and hands views to `output`.

mod apply;
mod completions;
mod iam_policy;
mod import;
mod mutate;
mod plan;
mod reference;
mod render;
mod run;
mod schema;
mod status;
mod validate;
mod verify;
mod wait;

use crate::cli::Command;
use crate::error::CommandError;
use crate::exit::Exit;
use std::future::Future;

/// Runs one command.
pub(crate) fn dispatch(command: Command) -> Result<Exit, CommandError> {
    match command {
        Command::Run(args) => block_on(run::run(args)),
        Command::Validate(args) => validate::validate(&args),
        Command::Render(args) => render::render(&args),
        Command::Plan(args) => block_on(plan::plan(args)),
        Command::Apply(args) => block_on(apply::apply(args)),
        Command::Status(args) => block_on(status::status(args)),
        Command::Wait(args) => block_on(wait::wait(args)),
        Command::Verify(args) => block_on(verify::verify(args)),
        Command::Import(args) => block_on(import::import(args)),
        Command::Mutate(args) => mutate::mutate(&args),
        Command::IamPolicy(args) => block_on(iam_policy::iam_policy(args)),
        Command::Schema(args) => schema::schema(&args),
        Command::Completions(args) => completions::completions(&args),
        Command::Reference => reference::reference(),
    }
}

fn block_on(command: impl Future<Output = Result<Exit, CommandError>>) -> Result<Exit, CommandError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::outside(error).while_("cannot start the runtime"))?
        .block_on(command)
}
