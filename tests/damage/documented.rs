//! Every code of a finding is explained, with its severity.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use tranship::model::Severity;

/// Returns the codes that the page explains, each with the severities it says.
pub(crate) fn page() -> BTreeMap<String, BTreeSet<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/findings.md");
    let text = fs::read_to_string(page).expect("the page");
    let mut codes = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let severities = cells[2].split(" or ").map(str::to_owned).collect();
        let code = cells[1].trim_matches('`').to_owned();
        assert!(codes.insert(code, severities).is_none(), "twice: {line}");
        assert!(!cells[3].is_empty(), "no meaning: {line}");
    }
    codes
}

pub(crate) fn words(severity: Severity) -> &'static str {
    match severity {
        Severity::Untidy => "untidy",
        Severity::WrongMetadata => "wrong metadata",
        Severity::WouldNotLoad => "would not load",
        Severity::DataLost => "data lost",
    }
}

#[test]
fn the_page_explains_every_code_and_no_other() {
    let mut source = String::new();
    for storey in ["store", "op", "cli/host"] {
        visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(storey), &mut source);
    }
    let used = codes(&source);
    assert!(used.len() > 50, "{used:?}");
    let explained: BTreeSet<String> = page().into_keys().collect();
    let missing: Vec<_> = used.difference(&explained).collect();
    let is_said = |code: &&String| source.contains(&format!("\"{code}\""));
    let stale: Vec<_> = explained.iter().filter(|code| !is_said(code)).collect();
    assert!(missing.is_empty() && stale.is_empty(), "missing {missing:?}, stale {stale:?}");
}

fn visit(folder: &Path, source: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder of the crate") {
        let path = entry.expect("a folder of the crate").path();
        if path.is_dir() {
            visit(&path, source);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("source is text");
            source.push_str(text.split("#[cfg(test)]").next().unwrap_or_default());
        }
    }
}

/// Returns the texts that stand where a code does: beside a severity, or after the word.
fn codes(source: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let text = source.split_whitespace().collect::<Vec<_>>().join(" ");
    for (at, _) in text.match_indices('"') {
        let (before, rest) = (text[..at].trim_end(), &text[at + 1..]);
        let Some((code, after)) = rest.split_once('"') else { continue };
        let is_code = code.contains('-')
            && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
            && !code.starts_with('-');
        let is_said = before.ends_with("Finding::of(")
            || before.ends_with("code:")
            || before.ends_with("code =")
            || after.trim_start_matches([',', ' ']).starts_with("Severity::");
        if is_code && is_said {
            used.insert(code.to_owned());
        }
    }
    used
}
