//! JSON that may be shown on a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns the JSON `text` with every character escaped that a terminal might obey.
///
/// JSON lets all but the lowest 32 stand as they are: the delete character and the second set of controls
/// too, in which U+009B begins an order to a terminal. They can only be in strings, where an escape means
/// the same.
pub(crate) fn safe(text: &str) -> Cow<'_, str> {
    let harmless = |c: char| c == '\n' || crate::error::is_harmless(c);
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match harmless(c) {
            true => out.push(c),
            false => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _ = write!(out, "\\u{unit:04x}");
            }),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_means_the_same() {
        let text = "\u{1b}[2J\u{7f}\u{9b}31m\u{85}\u{202e}\u{feff} a\n\u{e9}\u{1f600}";
        let json = serde_json::to_string_pretty(&[text]).expect("it is text");
        let safe = safe(&json);
        assert!(safe.chars().all(|c| c == '\n' || crate::error::is_harmless(c)), "{safe}");
        assert!(safe.contains(r"\u009b31m\u0085\u202e\ufeff a\n") && safe.contains('\u{1f600}'));
        let read: Vec<String> = serde_json::from_str(&safe).expect("it is JSON");
        assert_eq!(read, [text]);
        assert!(matches!(super::safe("{\"a\": 1}\n"), Cow::Borrowed(_)));
    }
}
