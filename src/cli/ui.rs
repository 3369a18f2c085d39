//! The two streams a person or a program reads, and nothing else that prints.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::render::{Widths, error, json};
use crate::error::{Error, Place, Result};

/// The widest a paragraph is set, however wide the terminal.
const WIDEST_TEXT: usize = 100;
/// How wide a paragraph is set where no terminal says.
const PIPE_TEXT: usize = 80;

/// Where a verb prints, and what it must know of the reader.
pub struct Ui<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    /// Whether stdout is left to something else.
    is_aside: bool,
    /// The width of the terminal that stdout is; none if it is no terminal.
    pub width: Option<usize>,
    /// Whether stderr is a terminal.
    pub err_is_terminal: bool,
    /// The time that "2 days ago" counts from.
    pub now: Timestamp,
}

impl fmt::Debug for Ui<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ui").field("width", &self.width).field("now", &self.now).finish()
    }
}

impl<'a> Ui<'a> {
    /// Returns a `Ui` for two streams that are no terminals.
    pub fn plain(out: &'a mut dyn Write, err: &'a mut dyn Write, now: Timestamp) -> Self {
        Self { out, err, is_aside: false, width: None, err_is_terminal: false, now }
    }

    /// Returns a `Ui` for this process's own streams, given as `out` and `err`.
    #[expect(clippy::disallowed_methods, reason = "the command is where the time comes in")]
    pub fn process(out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        let width = io::stdout()
            .is_terminal()
            .then(|| comfy_table::Table::new().width())
            .flatten()
            .map(|width| usize::from(width).max(20));
        let err_is_terminal = io::stderr().is_terminal();
        Self { out, err, is_aside: false, width, err_is_terminal, now: Timestamp::now() }
    }

    /// Returns how wide to set paragraphs.
    #[must_use]
    pub fn text_width(&self) -> usize {
        self.width.unwrap_or(PIPE_TEXT).min(WIDEST_TEXT)
    }

    /// Returns how wide to set tables and paragraphs.
    pub(crate) fn widths(&self) -> Widths {
        Widths { table: self.width, text: self.text_width() }
    }

    /// Leaves stdout to an archive: what would be printed goes to stderr from now on.
    pub fn stand_aside(&mut self) {
        self.is_aside = true;
    }

    /// Writes `text` to stdout as it is.
    pub fn print(&mut self, text: &str) -> Result<()> {
        if self.is_aside {
            self.note(text);
            return Ok(());
        }
        self.out.write_all(text.as_bytes()).map_err(stdout_failed)
    }

    /// Writes `bytes` to stdout as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(stdout_failed)
    }

    /// Writes `bytes` to stderr as they are, after all that stdout was given: a terminal that is both
    /// shows them in their order.
    pub fn write_err(&mut self, bytes: &[u8]) -> Result<()> {
        self.flush()?;
        self.err
            .write_all(bytes)
            .map_err(|error| Error::io(Place::new("stderr", Vec::new()), error))
    }

    /// Writes `value` to stdout as JSON and a newline.
    pub fn json<T: Serialize>(&mut self, value: &T) -> Result<()> {
        let mut text = serde_json::to_string_pretty(value)
            .map_err(|error| stdout_failed(io::Error::from(error)))?;
        text.push('\n');
        self.print(&json::safe(&text))
    }

    /// Writes `text` to stderr. A stderr that cannot be written leaves nobody to tell.
    pub fn note(&mut self, text: &str) {
        let _ = self.err.write_all(text.as_bytes());
    }

    /// Writes `error` to stderr.
    pub fn error(&mut self, error: &Error) {
        let text = error::text(error, self.text_width());
        self.note(&text);
    }

    /// Hands everything on to the operating system.
    pub fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(stdout_failed)
    }
}

fn stdout_failed(error: io::Error) -> Error {
    Error::io(Place::new("stdout", Vec::new()), error)
}

/// Returns whether `error` only says that the reader of our output has heard enough.
pub(crate) fn is_broken_pipe(error: &Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<io::Error>())
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_left_is_told_from_a_full_disk() {
        let mut err = Vec::new();
        let mut out = Closed;
        let mut ui = Ui::plain(&mut out, &mut err, Timestamp::UNIX_EPOCH);
        let error = ui.print("x").expect_err("the pipe is closed");
        assert!(is_broken_pipe(&error));
        assert!(!is_broken_pipe(&stdout_failed(io::ErrorKind::StorageFull.into())));
        assert!(!is_broken_pipe(&Error::refused("no")));
    }
}
