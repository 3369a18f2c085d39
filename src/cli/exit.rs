//! How the command ends.

use std::process::ExitCode;

use crate::error::{Error, ErrorKind};

/// The end of the help of every verb that writes.
const CODES: &str = "
Exit codes:
  0  done
  1  done, with findings: something was left out or needs a look
  2  failed
  3  refused or interrupted: a daemon runs, too little room, something is in the way, a plan does not
     hold any more
With 2 and 3, what Docker sees is as it was.";

/// Returns the end of the help of a verb that writes: its examples, and what the exit code says.
pub(crate) fn help(examples: &str) -> String {
    format!("{examples}\n{CODES}")
}

/// What the exit code says; of several, the largest is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Done, and something was found that needs a look.
    Findings = 1,
    /// Failed.
    Failed = 2,
    /// Not begun, because it would not be safe.
    Refused = 3,
}

impl Exit {
    /// Returns `Findings` if there are any, else `Done`.
    pub(crate) fn with_findings(any: bool) -> Self {
        if any { Self::Findings } else { Self::Done }
    }

    /// Returns the code itself.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Findings => 1,
            Self::Failed => 2,
            Self::Refused => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Refused => Self::Refused,
            ErrorKind::Io | ErrorKind::Corrupt | ErrorKind::Unsupported | ErrorKind::Missing => {
                Self::Failed
            }
        }
    }
}
