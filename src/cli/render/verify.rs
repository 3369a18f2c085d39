//! What verifying found, as a person reads it.

use std::collections::HashMap;

use crate::cli::render::text::{count, list, printable, wrap};
use crate::cli::render::units;
use crate::cli::rows::verify::{Becomes, StartKind, StartRow, VerifyReport};
use crate::cli::rows::{FindingRow, Severity};

/// How many findings of one code are shown; the others are counted.
const SHOWN: usize = 10;

/// Of what harms nothing, as daemons themselves leave it behind.
const SHOWN_UNTIDY: usize = 2;

/// Returns the report; if `quiet`, only what is wrong.
pub(crate) fn text(report: &VerifyReport, quiet: bool, width: usize) -> String {
    let mut out = findings(&report.findings, width);
    out += &starts(&report.starts, width);
    if !quiet {
        out += &wrap(&summary(report), width, "");
        out.push('\n');
        if report.open_by_daemon {
            let note = "A daemon is running here: what it wrote meanwhile can look like damage.";
            out += &wrap(note, width, "");
            out.push('\n');
        }
    }
    out
}

fn findings(findings: &[FindingRow], width: usize) -> String {
    let mut out = String::new();
    let groups = [
        (Severity::DataLost, "Data lost"),
        (Severity::WouldNotLoad, "Would not load"),
        (Severity::WrongMetadata, "Wrong metadata"),
        (Severity::Untidy, "Untidy"),
    ];
    for (severity, title) in groups {
        let group: Vec<_> = findings.iter().filter(|one| one.severity == severity).collect();
        if !group.is_empty() {
            let most = if severity == Severity::Untidy { SHOWN_UNTIDY } else { SHOWN };
            out += &format!("{title}\n{}\n", grouped(&group, most, width));
        }
    }
    out
}

/// Returns the findings of one severity; of many with one code only the first.
fn grouped(group: &[&FindingRow], most: usize, width: usize) -> String {
    let (mut out, mut of_code) = (String::new(), HashMap::<&str, usize>::new());
    for finding in group {
        let told = of_code.entry(&finding.code).or_default();
        *told += 1;
        if *told <= most {
            out += &one(finding, width);
        }
    }
    let mut more: Vec<_> = of_code.into_iter().filter(|(_, told)| *told > most).collect();
    more.sort_unstable();
    for (code, told) in more {
        let code = printable(code);
        out += &format!("  {code}: {} more, which --json lists\n", told.saturating_sub(most));
    }
    out
}

fn one(finding: &FindingRow, width: usize) -> String {
    let head = format!("  {}: {}", printable(&finding.code), printable(&finding.what));
    let mut out = wrap(&head, width, "    ") + "\n";
    if !finding.place.is_empty() {
        out += &format!("    at {}\n", printable(&finding.place));
    }
    if let Some(remedy) = &finding.remedy {
        out += &wrap(&format!("    hint: {}", printable(remedy)), width, "          ");
        out.push('\n');
    }
    out
}

/// Says what the daemon shows and what not, unless it shows all.
fn starts(starts: &[StartRow], width: usize) -> String {
    if starts.iter().all(|start| start.becomes == Becomes::Shown) {
        return String::new();
    }
    let mut out = String::from("At its next start\n");
    let mut roots: Vec<&str> = starts.iter().map(|start| start.root.as_str()).collect();
    roots.dedup();
    for root in &roots {
        let here: Vec<_> = starts.iter().filter(|start| start.root == *root).collect();
        let at = if roots.len() > 1 { format!(" at {}", printable(root)) } else { String::new() };
        out += &wrap(&format!("  the daemon{at} has {} to use", shown(&here)), width, "    ");
        out.push('\n');
        for (becomes, title) in [
            (Becomes::Broken, "  it cannot use:"),
            (Becomes::PassedOver, "  it passes over without a word:"),
        ] {
            let lines: String = here
                .iter()
                .filter(|start| start.becomes == becomes)
                .map(|start| line(start, width))
                .collect();
            if !lines.is_empty() {
                out += &format!("{title}\n{lines}");
            }
        }
    }
    out + "\n"
}

fn shown(starts: &[&StartRow]) -> String {
    let of = |kind, hidden| {
        let is = |start: &&&StartRow| {
            start.kind == kind && start.hidden == hidden && start.becomes == Becomes::Shown
        };
        starts.iter().filter(is).count() as u64
    };
    let both = |hidden| {
        let (images, containers) = (of(StartKind::Image, hidden), of(StartKind::Container, hidden));
        let text = format!("{} and {}", count(images, "image"), count(containers, "container"));
        (text, images.saturating_add(containers))
    };
    match both(true) {
        (_, 0) => both(false).0,
        (hidden, _) => format!("{}; {hidden} are in a store that it hides", both(false).0),
    }
}

fn line(start: &StartRow, width: usize) -> String {
    let digits = start.id.strip_prefix("sha256:").unwrap_or(&start.id);
    let id: String = digits.chars().take(12).collect();
    let names = printable(&start.names.join(", ")).into_owned();
    let kind = match start.kind {
        StartKind::Container => "container",
        StartKind::Image => "image",
    };
    let called = if names.is_empty() { id } else { format!("{names} ({id})") };
    let hidden = if start.hidden { ", in a hidden store" } else { "" };
    let why = printable(start.why.as_deref().unwrap_or_default());
    wrap(&format!("    {kind} {called}{hidden}: {why}"), width, "      ") + "\n"
}

/// What was looked at: the sorts that people know first.
const FIRST: [&str; 4] = ["images", "layers", "containers", "volumes"];

fn summary(report: &VerifyReport) -> String {
    let known = FIRST.iter().filter_map(|sort| Some((*sort, *report.checked.get(*sort)?)));
    let is_other = |sort: &str| !FIRST.contains(&sort) && !sort.ends_with("-read");
    let others = report.checked.iter().filter(|(sort, _)| is_other(sort));
    let all = known.chain(others.map(|(sort, n)| (sort.as_str(), *n)));
    let all: Vec<String> = all.filter(|(_, n)| *n > 0).map(|(sort, n)| counted(n, sort)).collect();
    let took = format!("{:.1} s", report.seconds);
    let read = |sort| report.checked.get(sort).copied().unwrap_or_default();
    let read: Vec<String> = [("layers-read", "layer"), ("blobs-read", "blob")]
        .map(|(sort, noun)| (read(sort), noun))
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, noun)| count(n, noun))
        .collect();
    let content = match read.as_slice() {
        [] => "no content".to_owned(),
        read => format!("{} with {}", list(read), units::size(report.bytes)),
    };
    let checked = if all.is_empty() { "nothing".to_owned() } else { list(&all) };
    format!("Checked {checked}; read {content}; {took}. {}", verdict(&report.findings))
}

fn counted(n: u64, sort: &str) -> String {
    let words = sort.replace('-', " ");
    match n {
        1 => format!("1 {}", words.strip_suffix('s').unwrap_or(&words)),
        n => format!("{n} {words}"),
    }
}

fn verdict(findings: &[FindingRow]) -> String {
    let matter = findings.iter().filter(|one| one.severity > Severity::Untidy).count() as u64;
    let untidy = (findings.len() as u64).saturating_sub(matter);
    match (matter, untidy) {
        (0, 0) => "All is well.".to_owned(),
        (0, untidy) => format!("All is well, but for {untidy} untidy."),
        (1, _) => "1 thing is wrong.".to_owned(),
        (matter, _) => format!("{matter} things are wrong."),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::cli::rows::StoreKind;

    /// A root with one lost file, and a container that ran from it.
    fn verified() -> VerifyReport {
        let finding =
            |severity, code: &str, place: &str, what: &str, remedy: Option<&str>| FindingRow {
                code: code.into(),
                severity,
                place: place.into(),
                what: what.into(),
                remedy: remedy.map(String::from),
            };
        let start = |kind, id: &str, name: &str, becomes, why: Option<&str>| StartRow {
            root: "/var/lib/docker".into(),
            store: Some(StoreKind::Classic),
            hidden: false,
            kind,
            id: format!("{id:0<64}"),
            names: vec![name.into()],
            becomes,
            why: why.map(String::from),
        };
        let counts = [("images", 13), ("layers", 21), ("databases", 1), ("layers-read", 21)];
        VerifyReport {
            findings: vec![
                finding(
                    Severity::DataLost,
                    "layer-damaged",
                    "/var/lib/docker/overlay2/9c/diff/etc/passwd",
                    "layer 08f3569b442b of weird:1: found 0 bytes, wanted 340",
                    Some("heal it with `tranship repair --from …`"),
                ),
                finding(
                    Severity::Untidy,
                    "layer-unused",
                    "/var/lib/docker/image/overlay2/layerdb/sha256/1a",
                    "layer 1a7e00000000: no image, container or build has it",
                    None,
                ),
            ],
            checked: counts.map(|(sort, n)| (sort.to_owned(), n)).into(),
            starts: vec![
                start(StartKind::Image, "45eef71f9c7e", "weird:1", Becomes::Shown, None),
                start(
                    StartKind::Container,
                    "9ebf0e561106",
                    "web",
                    Becomes::Broken,
                    Some("its files are gone"),
                ),
                start(
                    StartKind::Container,
                    "95ef598f3586",
                    "db",
                    Becomes::PassedOver,
                    Some("its config.v2.json cannot be read"),
                ),
            ],
            roots: vec!["/var/lib/docker".into()],
            bytes: 245_000_000,
            seconds: 1.25,
            open_by_daemon: true,
        }
    }

    #[test]
    fn a_sound_root_takes_one_sentence() {
        let report = VerifyReport { findings: Vec::new(), starts: Vec::new(), ..verified() };
        assert_snapshot!(text(&report, false, 80), @r"
        Checked 13 images, 21 layers and 1 database; read 21 layers with 245MB; 1.2 s.
        All is well.
        A daemon is running here: what it wrote meanwhile can look like damage.
        ");
        assert_eq!(text(&report, true, 80), "");
    }

    #[test]
    fn the_worst_comes_first_and_what_a_daemon_shows_last() {
        assert_snapshot!(text(&verified(), false, 80), @r"
        Data lost
          layer-damaged: layer 08f3569b442b of weird:1: found 0 bytes, wanted 340
            at /var/lib/docker/overlay2/9c/diff/etc/passwd
            hint: heal it with `tranship repair --from …`

        Untidy
          layer-unused: layer 1a7e00000000: no image, container or build has it
            at /var/lib/docker/image/overlay2/layerdb/sha256/1a

        At its next start
          the daemon has 1 image and 0 containers to use
          it cannot use:
            container web (9ebf0e561106): its files are gone
          it passes over without a word:
            container db (95ef598f3586): its config.v2.json cannot be read

        Checked 13 images, 21 layers and 1 database; read 21 layers with 245MB; 1.2 s. 1
        thing is wrong.
        A daemon is running here: what it wrote meanwhile can look like damage.
        ");
    }

    #[test]
    fn many_of_one_code_are_counted() {
        let mut report = verified();
        let last = report.findings.pop().expect("a finding");
        report.findings = vec![last; 25];
        let text = text(&report, false, 80);
        assert!(text.contains("layer-unused: 23 more"), "{text}");
        assert_eq!(text.matches("no image").count(), 2, "{text}");
        report.findings.iter_mut().for_each(|one| one.severity = Severity::DataLost);
        let text = super::text(&report, false, 80);
        assert!(text.contains("layer-unused: 15 more"), "{text}");
    }
}
