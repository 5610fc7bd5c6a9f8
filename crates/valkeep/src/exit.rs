//! Exit codes: what a pipeline may rely on.

use std::process::ExitCode;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, and nothing is left to do.
    Ok,
    /// The command failed.
    Error,
    /// `plan`: there is something to do.
    Changes,
    /// `wait`, `apply --wait`, `verify`, `run --once`: not ready in time or stalled; `plan`: nothing to do without a person.
    NotReady,
    /// The command line is wrong.
    Usage,
    /// A bug of valkeep (`EX_SOFTWARE` of sysexits).
    Bug,
}

/// The table at the end of the long help.
pub(crate) const TABLE: &str = "\
Exit codes:
   0  done; `plan`: nothing to do
   1  error; `validate`: there are findings; `verify`: something was lost
   2  `plan`: there is something to do
   3  not ready: `wait`, `apply --wait`, `verify` and `run --once` ended with a document that is not, or `plan`
      found nothing to do without a person (a stalled document)
  64  the command line is wrong
  70  a bug of valkeep";

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Error => 1,
            Exit::Changes => 2,
            Exit::NotReady => 3,
            Exit::Usage => 64,
            Exit::Bug => 70,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}
