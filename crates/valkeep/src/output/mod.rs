//! Writing: data to stdout, talk to stderr. Knows terminals, colours and broken pipes; knows no document.

pub(crate) mod findings;
pub(crate) mod plan;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod verify;

use crate::error::CommandError;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, ErrorKind, IsTerminal, Write};

/// Stdout. When the reader has gone (`| head`), what is written is dropped without a word, so that the exit code stays
/// that of the command.
pub(crate) struct Out {
    colour: bool,
    gone: bool,
}

/// What colour means. Each always stands beside a word or a sign that says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be, or new.
    Good,
    /// In between, or changed.
    Fair,
    /// Wrong, or removed.
    Bad,
    /// Beside the point.
    Faint,
    /// A heading.
    Strong,
}

impl Out {
    /// Stdout of this process.
    pub(crate) fn stdout() -> Self {
        Self {
            colour: colour(&io::stdout()),
            gone: false,
        }
    }

    /// Without colours, whatever terminal the tests run on.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self {
            colour: false,
            gone: false,
        }
    }

    /// Writes text as it is.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), CommandError> {
        if self.gone {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(())
            }
            Err(error) => Err(CommandError::outside(error).while_("cannot write to stdout")),
        }
    }

    /// Writes one line.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), CommandError> {
        self.text(&format!("{line}\n"))
    }

    /// Writes JSON for people and machines.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), CommandError> {
        let text = serde_json::to_string_pretty(value).map_err(CommandError::bug)?;
        self.line(&text)
    }

    /// Whether the reader has gone, so that nobody waits for more.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Text in a tone, where stdout shows colours.
    pub(crate) fn paint<'a>(&self, tone: Tone, text: &'a str) -> Cow<'a, str> {
        if !self.colour {
            return Cow::Borrowed(text);
        }
        let code = match tone {
            Tone::Good => 32,
            Tone::Fair => 33,
            Tone::Bad => 31,
            Tone::Faint => 2,
            Tone::Strong => 1,
        };
        Cow::Owned(format!("\u{1b}[{code}m{text}\u{1b}[0m"))
    }
}

/// Says something to the person at the terminal.
pub(crate) fn talk(line: &str) {
    // If stderr is closed, there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Whether to use colours there: only on a terminal, and not where <https://no-color.org> or a dumb terminal says no.
pub(crate) fn colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Text from a store, fit for a terminal: a status is data of others, and must not move the cursor.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let hostile = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(hostile) {
        Cow::Owned(text.replace(hostile, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}
