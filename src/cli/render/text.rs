//! Paragraphs.

use std::borrow::Cow;

/// Returns `text` escaped for a terminal.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    crate::error::printable(text.as_bytes())
}

/// Returns `text` broken between words so that no line is wider than `width`, each line after the
/// first behind `indent`. A word wider than a line is left whole, so it can still be copied.
pub(crate) fn wrap(text: &str, width: usize, indent: &str) -> String {
    let lead = text.len() - text.trim_start().len();
    let (mut out, words) = (text[..lead].to_owned(), &text[lead..]);
    let mut column = out.chars().count();
    for (n, word) in words.split_whitespace().enumerate() {
        let wide = word.chars().count();
        if n > 0 && column + 1 + wide > width {
            out.push('\n');
            out.push_str(indent);
            column = indent.chars().count();
        } else if n > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += wide;
    }
    out
}

/// Returns `n` and the noun, in the plural where it is due.
pub(crate) fn count(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// Returns `items` as a person lists them: `a, b and c`.
pub(crate) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// Returns the first `most` of `items`, and how many more there are.
pub(crate) fn first(items: &[String], most: usize) -> String {
    match items.get(..most) {
        Some(shown) if items.len() > most => {
            format!("{} and {} more", shown.join(", "), items.len() - most)
        }
        _ => items.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_only() {
        assert_eq!(wrap("one two three", 8, "  "), "one two\n  three");
        assert_eq!(wrap("  one two", 7, "    "), "  one\n    two");
        assert_eq!(wrap("sha256:0123456789 x", 8, ""), "sha256:0123456789\nx");
        assert_eq!(wrap("", 8, "  "), "");
    }

    #[test]
    fn of_many_items_the_first_are_shown() {
        let items = ["a", "b", "c"].map(String::from);
        assert_eq!(first(&items, 2), "a, b and 1 more");
        assert_eq!((first(&items, 3), first(&[], 3)), ("a, b, c".into(), String::new()));
    }

    #[test]
    fn a_list_reads_as_a_sentence() {
        let items = ["a", "b", "c"].map(String::from);
        assert_eq!(list(&items), "a, b and c");
        assert_eq!(list(&items[..1]), "a");
        assert_eq!(count(1, "image") + ", " + &count(0, "layer"), "1 image, 0 layers");
    }
}
