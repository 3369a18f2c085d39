//! Errors as a person reads them.

use crate::cli::render::text::{printable, wrap};
use crate::error::{Error, ErrorKind};

/// Returns `error` as a headline, the place, what was found there, and advice.
///
/// Decoders say `found …, wanted …`; that part gets a line of its own.
pub(crate) fn text(error: &Error, width: usize) -> String {
    let (headline, found) = split(error);
    let mut out = format!("error: {}\n", printable(headline));
    if let Some(place) = error.place() {
        // A place escapes its own path; its origin is what the user typed.
        out += &format!("  at {}\n", printable(&place.to_string()));
    }
    if let Some(found) = found {
        out += &format!("  {}\n", printable(found));
    }
    if let Some(hint) = error.advice() {
        out += &format!("\n{}\n", wrap(&format!("hint: {}", printable(hint)), width, "      "));
    }
    out
}

fn split(error: &Error) -> (&str, Option<&str>) {
    let what = error.what();
    if what.starts_with("found ") {
        return (headline(error.kind()), Some(what));
    }
    match what.find(": found ") {
        Some(at) => (&what[..at], Some(&what[at + 2..])),
        None => (what, None),
    }
}

fn headline(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Io => "the operating system said no",
        ErrorKind::Corrupt => "damaged data",
        ErrorKind::Unsupported => "not supported",
        ErrorKind::Missing => "something is missing",
        ErrorKind::Refused => "refused",
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::error::Place;

    #[test]
    fn an_error_says_what_where_and_what_to_do() {
        let place = Place::new("docker.raw", *b"docker/overlay2/9c/link").at(12);
        let error = Error::corrupt(place, "found 25 bytes, wanted 26")
            .within("layer 3f2a cannot be read")
            .hint(
                "run `tranship verify` to see which images need this layer, then pull them again",
            );
        assert_snapshot!(text(&error, 60), @r"
        error: layer 3f2a cannot be read
          at docker.raw:/docker/overlay2/9c/link byte 12
          found 25 bytes, wanted 26

        hint: run `tranship verify` to see which images need this
              layer, then pull them again
        ");
    }

    #[test]
    fn an_error_without_a_context_still_has_a_headline() {
        let error = Error::corrupt(Place::new("/d", *b"a\x1b[2Jb"), "found 3, wanted 4");
        assert_eq!(
            text(&error, 80),
            "error: damaged data\n  at /d/a\\u{1b}[2Jb\n  found 3, wanted 4\n"
        );
        assert_eq!(text(&Error::refused("dockerd is up"), 80), "error: dockerd is up\n");
    }
}
