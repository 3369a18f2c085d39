//! How the command ends.

use std::process::ExitCode;

use crate::error::{Error, ErrorKind};

/// What the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::from(0),
            Exit::Findings => Self::from(1),
            Exit::Failed => Self::from(2),
            Exit::Refused => Self::from(3),
        }
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
