//! The command reference, `docs/commands.md`: the help of every command, so that it cannot say anything else.

use crate::cli::Cli;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::Out;
use clap::{Command, CommandFactory};
use std::fmt::Write;

const HEAD: &str = "\
# Commands

<!-- Generated from the command line's own help: `make generate` writes it anew. -->
";

/// Prints the reference.
pub(crate) fn reference() -> Result<Exit, CommandError> {
    Out::stdout().text(&markdown())?;
    Ok(Exit::Ok)
}

fn markdown() -> String {
    // A fixed width, because help is wrapped to the terminal's; and no values of this environment.
    let mut root = Cli::command()
        .term_width(110)
        .mut_args(|arg| arg.hide_env_values(true))
        .mut_subcommands(|command| command.mut_args(|arg| arg.hide_env_values(true)));
    root.build();
    let mut text = HEAD.to_owned();
    section(&mut text, &mut root, "valkeep");
    for command in root.get_subcommands_mut() {
        if !command.is_hide_set() && command.get_name() != "help" {
            let title = format!("valkeep {}", command.get_name());
            section(&mut text, command, &title);
        }
    }
    text
}

fn section(text: &mut String, command: &mut Command, title: &str) {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    write!(text, "\n## {title}\n\n```text\n{}\n```\n", lines.join("\n").trim_end())
        .expect("writing to a String never fails");
}
