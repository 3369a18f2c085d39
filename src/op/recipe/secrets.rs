//! What should not be told by chance: values of variables that look like secrets.

/// What a name has in it if its value is a secret.
const MARKS: [&str; 8] =
    ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "PRIVATE"];

/// What stands for a secret.
const MASK: &str = "***";

/// Returns `value` without what looks like a secret in it; nothing if nothing does.
pub(super) fn masked(name: &str, value: &str) -> Option<String> {
    let upper = name.to_ascii_uppercase();
    if !value.is_empty() && MARKS.iter().any(|mark| upper.contains(mark)) {
        return Some(MASK.to_owned());
    }
    in_url(value)
}

/// Masks the password of `scheme://user:password@host`, however often there is one.
fn in_url(value: &str) -> Option<String> {
    let (mut out, mut rest, mut found) = (String::new(), value, false);
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after.find(['/', '?', '#', ' ', ',']).unwrap_or(after.len());
        // A password may have an @ in it, a host has none.
        let login = after[..end].rfind('@').map(|at| &after[..at]);
        rest = after;
        if let Some((user, password)) = login.and_then(|login| login.split_once(':'))
            && !password.is_empty()
        {
            out.push_str(&format!("{user}:{MASK}"));
            rest = &after[user.len() + 1 + password.len()..];
            found = true;
        }
    }
    out.push_str(rest);
    found.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_masked() {
        for (name, value, wanted) in [
            ("TOKEN", "s3cret", Some("***")),
            ("db_password", "x", Some("***")),
            ("AWS_SECRET_ACCESS_KEY", "x", Some("***")),
            ("TOKEN", "", None),
            ("PATH", "/bin", None),
            ("URL", "https://example.com/a:b@c", None),
            ("URL", "https://me@example.com/", None),
            ("URL", "redis://:pw@h:1/0", Some("redis://:***@h:1/0")),
            ("URL", "postgres://me:p@ss:w@db/x?y", Some("postgres://me:***@db/x?y")),
            ("URLS", "a://u:p@h,b://v:q@i", Some("a://u:***@h,b://v:***@i")),
            ("ODD", "://:@://", None),
        ] {
            assert_eq!(masked(name, value).as_deref(), wanted, "{name}={value}");
        }
    }
}
