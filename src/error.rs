//! What can go wrong, always with the place where it did.

use std::borrow::Cow;
use std::fmt;
use std::io;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Where something was found: a tree of files, a path in it, a byte of that file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The tree: `/var/lib/docker`, `backup.tar.zst`, `disk.raw ▸ part 1 ▸ ext4`.
    pub origin: String,
    /// The path inside the tree, as its bytes; empty for the tree itself.
    pub path: Vec<u8>,
    /// The byte offset in the file, where one is known.
    pub offset: Option<u64>,
}

impl Place {
    /// Returns the place of `path` in the tree called `origin`.
    pub fn new(origin: impl Into<String>, path: impl Into<Vec<u8>>) -> Self {
        Self { origin: origin.into(), path: path.into(), offset: None }
    }

    /// Returns this place with a byte offset.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if !self.path.is_empty() {
            let slash = if self.origin.starts_with('/') { "/" } else { ":/" };
            let origin_ends = self.origin.ends_with('/');
            f.write_str(if origin_ends { "" } else { slash })?;
            f.write_str(&printable(&self.path))?;
        }
        match self.offset {
            Some(offset) => write!(f, " byte {offset}"),
            None => Ok(()),
        }
    }
}

/// Returns `bytes` as text that is safe on a terminal: control characters, bidirectional marks and
/// bytes that are not UTF-8 are escaped.
#[must_use]
pub fn printable(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && text.chars().all(is_harmless)
    {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_harmless(c) { out.push(c) } else { out.extend(c.escape_default()) }
        }
        for b in chunk.invalid() {
            out.push_str(&format!("\\x{b:02x}"));
        }
    }
    Cow::Owned(out)
}

/// Returns whether a terminal shows `c` and does nothing else: no control character, no bidirectional mark.
#[must_use]
pub fn is_harmless(c: char) -> bool {
    !c.is_control() && !is_invisible(c)
}

/// Characters that change how the text around them is shown, or show nothing at all.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// What sort of trouble an [`Error`] is; exit codes and retries follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The operating system said no.
    Io,
    /// Bytes are not what their format requires.
    Corrupt,
    /// Sound, but not something this version can handle.
    Unsupported,
    /// Something that must exist does not.
    Missing,
    /// Nothing was done because doing it would not be safe.
    Refused,
}

/// An error: its kind, where it happened, what was found, and where known what to do next.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    place: Option<Place>,
    what: String,
    hint: Option<String>,
    source: Option<io::Error>,
    is_of_target: bool,
}

impl Error {
    fn build(kind: ErrorKind, place: Option<Place>, what: impl Into<String>) -> Self {
        let (what, hint, source) = (what.into(), None, None);
        Self(Box::new(Inner { kind, place, what, hint, source, is_of_target: false }))
    }

    /// An answer of the operating system about `place`.
    #[must_use]
    pub fn io(place: Place, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::Missing,
            _ => ErrorKind::Io,
        };
        let mut error = Self::build(kind, Some(place), source.to_string());
        error.0.source = Some(source);
        error
    }

    /// Bytes at `place` that break their format; `what` says what was found and what was wanted.
    pub fn corrupt(place: Place, what: impl Into<String>) -> Self {
        Self::build(ErrorKind::Corrupt, Some(place), what)
    }

    /// Something sound at `place` that cannot be handled.
    pub fn unsupported(place: Place, what: impl Into<String>) -> Self {
        Self::build(ErrorKind::Unsupported, Some(place), what)
    }

    /// Something that should be at `place` and is not.
    pub fn missing(place: Place, what: impl Into<String>) -> Self {
        Self::build(ErrorKind::Missing, Some(place), what)
    }

    /// Nothing was done, and why.
    pub fn refused(what: impl Into<String>) -> Self {
        Self::build(ErrorKind::Refused, None, what)
    }

    /// Returns this error with advice on what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Returns this error with `context: ` before what it says.
    #[must_use]
    pub fn within(mut self, context: impl fmt::Display) -> Self {
        self.0.what = format!("{context}: {}", self.0.what);
        self
    }

    /// Returns this error as one of a target that fails: what is read meanwhile may be sound.
    #[must_use]
    pub fn of_target(mut self) -> Self {
        self.0.is_of_target = true;
        self
    }

    /// Returns whether it is of a target that fails.
    #[must_use]
    pub fn is_of_target(&self) -> bool {
        self.0.is_of_target
    }

    /// Returns what sort of trouble this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns where it happened, if it happened at a place.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }

    /// Returns what was found, without the place.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// Returns what the user can do next.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Returns what the operating system called it, if it was asked.
    #[must_use]
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        self.0.source.as_ref().map(io::Error::kind)
    }

    /// Returns whether the thing simply is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.0.kind == ErrorKind::Missing
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.place {
            Some(place) => write!(f, "{place}: {}", self.0.what),
            None => f.write_str(&self.0.what),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}

/// Carries an [`Error`] through an API that speaks [`io::Error`] and back.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

/// Turns an [`io::Error`] back into the [`Error`] inside it, gives a [`DecodeError`] inside it its
/// `place`, or wraps it with `place`.
#[must_use]
pub fn from_io(error: io::Error, place: impl FnOnce() -> Place) -> Error {
    let error = match error.downcast::<Error>() {
        Ok(inner) => return inner,
        Err(error) => error,
    };
    match error.downcast::<DecodeError>() {
        Ok(inner) => inner.at(place()),
        Err(error) => Error::io(place(), error),
    }
}

/// Bytes that break their format, as a decoder knows it: the byte, not the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Where in the decoded bytes.
    pub offset: u64,
    /// What was found and what was wanted.
    pub what: String,
}

impl DecodeError {
    /// Returns the error that `what` was found at `offset`.
    pub fn new(offset: u64, what: impl Into<String>) -> Self {
        Self { offset, what: what.into() }
    }

    /// Returns this error as one about the file at `place`.
    #[must_use]
    pub fn at(self, place: Place) -> Error {
        Error::corrupt(place.at(self.offset), self.what)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.offset, self.what)
    }
}

impl std::error::Error for DecodeError {}

/// Carries a [`DecodeError`] through an API that speaks [`io::Error`]; [`from_io`] gets it back.
impl From<DecodeError> for io::Error {
    fn from(error: DecodeError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_as_a_path() {
        let place = Place::new("/var/lib/docker", *b"image/x").at(12);
        assert_eq!(place.to_string(), "/var/lib/docker/image/x byte 12");
        let place = Place::new("root.tar.zst", *b"image/x");
        assert_eq!(place.to_string(), "root.tar.zst:/image/x");
    }

    #[test]
    fn hostile_names_cannot_steer_a_terminal() {
        assert_eq!(printable(b"plain \xc3\xbc"), "plain ü");
        assert_eq!(printable(b"a\x1b[31m\n\xff"), "a\\u{1b}[31m\\n\\xff");
        assert_eq!(printable("a\u{202e}b".as_bytes()), "a\\u{202e}b");
    }
}
