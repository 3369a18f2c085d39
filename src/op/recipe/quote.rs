//! Words as a shell takes them.

/// Returns `word` so that bash, zsh and ksh read it as the one word it is, and a terminal shows it
/// safely. Any shell reads it unless it has control characters in it.
#[must_use]
pub fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-+./:,@%=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) && !word.starts_with('=') {
        return word.to_owned();
    }
    let shown = crate::error::printable(word.as_bytes());
    if shown == word {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let mut out = "$'".to_owned();
    for c in word.chars() {
        match c {
            '\\' | '\'' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if crate::error::printable(c.to_string().as_bytes()) == c.to_string() => out.push(c),
            c => out.extend(c.to_string().bytes().map(|byte| format!("\\{byte:03o}"))),
        }
    }
    out + "'"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_change_them() {
        for (word, wanted) in [
            ("plain-word_1.2/3:4,5@6%7=8", "plain-word_1.2/3:4,5@6%7=8"),
            ("", "''"),
            ("a b", "'a b'"),
            ("=ls", "'=ls'"),
            ("it's", r"'it'\''s'"),
            ("$HOME `x` !y *", "'$HOME `x` !y *'"),
            ("~", "'~'"),
            ("é", "'é'"),
            ("two\nlines\t'\\", r"$'two\nlines\t\'\\'"),
            ("\u{1b}[2J", r"$'\033[2J'"),
            ("a\u{202e}b", r"$'a\342\200\256b'"),
        ] {
            assert_eq!(quote(word), wanted, "{word:?}");
        }
    }
}
