//! Findings as a person reads them.

use crate::cli::render::text::{printable, wrap};
use crate::cli::rows::{FindingRow, Severity};

/// Returns `findings`, the worst first, as a compiler would list them.
pub(crate) fn text(findings: &[FindingRow], width: usize) -> String {
    let mut findings: Vec<&FindingRow> = findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings.iter().map(|finding| one(finding, width)).collect()
}

fn one(finding: &FindingRow, width: usize) -> String {
    let severity = match finding.severity {
        Severity::Untidy => "untidy",
        Severity::WrongMetadata => "wrong metadata",
        Severity::WouldNotLoad => "would not load",
        Severity::DataLost => "data lost",
    };
    let head = format!("{severity}[{}]: {}", printable(&finding.code), printable(&finding.what));
    let mut out = wrap(&head, width, "  ") + "\n";
    if !finding.place.is_empty() {
        out += &format!("  at {}\n", printable(&finding.place));
    }
    if let Some(remedy) = &finding.remedy {
        out += &wrap(&format!("  hint: {}", printable(remedy)), width, "        ");
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn the_worst_comes_first() {
        let finding = |severity, code: &str, remedy: Option<&str>| FindingRow {
            code: code.into(),
            severity,
            place: "/var/lib/docker/overlay2/9c\n".into(),
            what: "no image uses this layer".into(),
            remedy: remedy.map(String::from),
        };
        let findings = [
            finding(Severity::Untidy, "layer-without-image", None),
            finding(Severity::DataLost, "layer-gone", Some("pull the image again")),
        ];
        assert_snapshot!(text(&findings, 80), @r"
        data lost[layer-gone]: no image uses this layer
          at /var/lib/docker/overlay2/9c\n
          hint: pull the image again
        untidy[layer-without-image]: no image uses this layer
          at /var/lib/docker/overlay2/9c\n
        ");
    }
}
