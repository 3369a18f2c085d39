//! What goes, and what became of it.

use crate::cli::render::Widths;
use crate::cli::render::text::{count, printable, wrap};
use crate::cli::render::units;
use crate::cli::rows::migrate::StayRow;
use crate::cli::rows::reclaim::{Reclaimed, RunRow, WasteRow};

/// So many things of a sort are named.
const NAMED: usize = 4;

/// How long a plan is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) widths: Widths,
    /// Whether everything is named.
    pub(crate) all: bool,
}

impl Style {
    /// Returns a text as it is shown: IDs are long, and few are ever copied from here.
    fn shown(self, text: &str) -> String {
        let text = printable(text);
        if self.all { text.into_owned() } else { shortened(&text) }
    }
}

/// So many digits are an ID, and the first of them are shown.
const ID: usize = 64;
const SHOWN: usize = 12;

/// Returns `text` with IDs as Docker shows them.
fn shortened(text: &str) -> String {
    let is_digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    let mut out = String::new();
    let mut left = text;
    while let Some(at) = left.find(is_digit) {
        let (before, from) = left.split_at(at);
        let end = from.find(|c| !is_digit(c)).unwrap_or(from.len());
        let (digits, after) = from.split_at(end);
        out += before;
        out += if digits.len() == ID { &digits[..SHOWN] } else { digits };
        left = after;
    }
    out + left
}

/// Returns the plan: what goes with the proof, what that frees, what stays and what will not work.
pub(crate) fn plan(plan: &Reclaimed, style: Style) -> String {
    let width = style.widths.text;
    let mut out = format!("{}\n", printable(&plan.root));
    out += &unverified(&plan.unverified, style);
    if plan.waste.is_empty() && plan.runs.is_empty() {
        return out + "\nNothing can go.\n" + &stays(&plan.stays, style);
    }
    out += "\nGoes:\n";
    for group in groups(&plan.waste) {
        out += &sort(&group, style);
    }
    out += &records(plan, width);
    out += &plan.runs.iter().map(|run| kept(run, width)).collect::<String>();
    let mut sum =
        format!("{} on disk, to the block: {} bytes", units::size(plan.bytes), plan.bytes);
    if plan.shared > 0 {
        let shared = units::size(plan.shared);
        sum += &format!("; another {shared} stay, for their files have names elsewhere too");
    }
    out += &format!("\n{}.\n", wrap(&format!("Frees {sum}"), width, ""));
    if !plan.losses.is_empty() {
        out += "\nStops working:\n";
        let line = |loss: &String| wrap(&format!("  {}", style.shown(loss)), width, "    ") + "\n";
        out += &plan.losses.iter().map(line).collect::<String>();
    }
    out + &stays(&plan.stays, style)
}

/// Returns what became of the plan.
pub(crate) fn outcome(done: &Reclaimed, width: usize) -> String {
    let text = match (done.undo, done.freed) {
        (Some(number), _) => format!(
            "All of it is put aside. `tranship undo {number}` brings it back; `tranship reclaim \
             --quarantine` gives the room back."
        ),
        (None, Some(freed)) => format!("Freed {}: {freed} bytes.", units::size(freed)),
        (None, None) if done.refused && done.dry_run => "Nothing was removed: this was a dry run. \
             Without it, it is refused; `--force-unverified` loses what is in this store alone."
            .to_owned(),
        (None, None) if done.refused => "Nothing was done.".to_owned(),
        (None, None) => "Nothing was removed: this was a dry run.".to_owned(),
    };
    format!("\n{}\n", wrap(&text, width, ""))
}

/// Things of one sort, with one proof.
fn groups(waste: &[WasteRow]) -> Vec<Vec<&WasteRow>> {
    let mut groups: Vec<Vec<&WasteRow>> = Vec::new();
    let mut known = std::collections::HashMap::new();
    for row in waste {
        let at = *known.entry((&row.code, &row.proof)).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[at].push(row);
    }
    groups
}

fn sort(group: &[&WasteRow], style: Style) -> String {
    let width = style.widths.text;
    let Some(first) = group.first() else { return String::new() };
    let bytes = group.iter().map(|row| row.bytes).fold(0, u64::saturating_add);
    let head = format!(
        "  {}, {}: {}",
        count(group.len() as u64, &first.code.replace('-', " ")),
        units::size(bytes),
        printable(&first.proof)
    );
    let mut out = wrap(&head, width, "      ") + "\n";
    let named = if style.all { group.len() } else { NAMED };
    for row in group.iter().take(named) {
        out += &format!("    {}  {}\n", style.shown(&row.what), units::size(row.bytes));
    }
    if group.len() > named {
        out += &format!("    and {} more (--verbose names them)\n", group.len() - named);
    }
    out
}

/// Files of records are written anew, and may be smaller then.
fn records(plan: &Reclaimed, width: usize) -> String {
    let waste = plan.waste.iter().map(|row| row.bytes);
    let told = waste.chain(plan.runs.iter().map(|run| run.bytes)).fold(0, u64::saturating_add);
    match plan.bytes.checked_sub(told).filter(|bytes| *bytes > 0) {
        Some(bytes) => {
            let size = units::size(bytes);
            let line = format!("  {size} of records: their files are written anew without these");
            wrap(&line, width, "      ") + "\n"
        }
        None => String::new(),
    }
}

fn kept(run: &RunRow, width: usize) -> String {
    let text = format!(
        "  what `{}` put aside, number {}, at {}: {}; it cannot be undone then",
        printable(&run.verb),
        run.number,
        printable(&run.at),
        units::size(run.bytes)
    );
    wrap(&text, width, "      ") + "\n"
}

fn unverified(rows: &[StayRow], style: Style) -> String {
    if rows.is_empty() {
        return String::new();
    }
    format!("\nIn this store alone, and lost with it:\n{}", lines(rows.iter(), style))
}

/// Many things of a sort stay for one reason: they are named where there are few, or all are to be.
fn stays(rows: &[StayRow], style: Style) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut out = "\nStays:\n".to_owned();
    for (sort, group) in stays_by_sort(rows) {
        match group.first() {
            Some(first) if group.len() > NAMED && !style.all => {
                let line = format!(
                    "  {}: {} (--verbose names them)",
                    count(group.len() as u64, &printable(sort)),
                    style.shown(&first.why)
                );
                out += &(wrap(&line, style.widths.text, "    ") + "\n");
            }
            _ => out += &lines(group.into_iter(), style),
        }
    }
    out
}

/// Returns things that stay by their sort, which is how they are called first, and by the reason.
fn stays_by_sort(rows: &[StayRow]) -> Vec<(&str, Vec<&StayRow>)> {
    let mut groups: Vec<(&str, Vec<&StayRow>)> = Vec::new();
    for row in rows {
        let sort = row.what.split(' ').next().unwrap_or_default();
        let is_same = |(known, group): &&mut (&str, Vec<&StayRow>)| {
            *known == sort && group.first().is_some_and(|first| first.why == row.why)
        };
        match groups.iter_mut().find(is_same) {
            Some((_, group)) => group.push(row),
            None => groups.push((sort, vec![row])),
        }
    }
    groups
}

fn lines<'a>(rows: impl Iterator<Item = &'a StayRow>, style: Style) -> String {
    let line = |row: &StayRow| {
        let text = format!("  {}: {}", style.shown(&row.what), style.shown(&row.why));
        wrap(&text, style.widths.text, "    ") + "\n"
    };
    let mut lines: Vec<String> = rows.map(line).collect();
    lines.dedup();
    lines.concat()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn waste(code: &str, what: &str, bytes: u64) -> WasteRow {
        let proof = "no image, container, lease or label leads to it".to_owned();
        WasteRow { code: code.into(), what: what.into(), proof, paths: Vec::new(), bytes }
    }

    fn sample() -> Reclaimed {
        let id = "0123456789abcdef".repeat(4);
        let blobs = (0..6).map(|n| waste("blob", &format!("blob sha256:{id} {n}"), 1000 * n));
        let stay = |what: String, why: &str| StayRow { what, why: why.into() };
        let leases = (0..5).map(|n| stay(format!("lease {n}"), "it is not known why"));
        Reclaimed {
            root: "/var/lib/docker".into(),
            waste: blobs.chain([waste("snapshot", "snapshot 7, a\u{1b}b", 4096)]).collect(),
            bytes: 21_096,
            shared: 5_000_000,
            stays: leases.chain([stay("blob x".into(), "it is not known why")]).collect(),
            losses: vec![format!("app@sha256:{id} leads nowhere")],
            ..Reclaimed::default()
        }
    }

    #[test]
    fn things_of_a_sort_stand_together_with_their_proof() {
        let style = Style { widths: Widths { table: None, text: 60 }, all: false };
        assert_snapshot!(plan(&sample(), style), @r"
        /var/lib/docker

        Goes:
          6 blobs, 15kB: no image, container, lease or label leads
              to it
            blob sha256:0123456789ab 0  0B
            blob sha256:0123456789ab 1  1kB
            blob sha256:0123456789ab 2  2kB
            blob sha256:0123456789ab 3  3kB
            and 2 more (--verbose names them)
          1 snapshot, 4.1kB: no image, container, lease or label
              leads to it
            snapshot 7, a\u{1b}b  4.1kB
          2kB of records: their files are written anew without these

        Frees 21.1kB on disk, to the block: 21096 bytes; another 5MB
        stay, for their files have names elsewhere too.

        Stops working:
          app@sha256:0123456789ab leads nowhere

        Stays:
          5 leases: it is not known why (--verbose names them)
          blob x: it is not known why
        ");
        let all = plan(&sample(), Style { all: true, ..style });
        assert!(
            all.contains("abcdef 5") && all.contains("lease 4") && !all.contains("more"),
            "{all}"
        );
        let none = plan(&Reclaimed { root: "/d".into(), ..Reclaimed::default() }, style);
        assert_eq!(none, "/d\n\nNothing can go.\n");
    }

    #[test]
    fn the_end_says_what_was_done() {
        let mut done = sample();
        assert!(outcome(&done, 60).contains("dry run"));
        done.refused = true;
        assert_eq!(outcome(&done, 60), "\nNothing was done.\n");
        done.dry_run = true;
        assert!(outcome(&done, 200).contains("`--force-unverified` loses"));
        done.freed = Some(21_096);
        assert_eq!(outcome(&done, 60), "\nFreed 21.1kB: 21096 bytes.\n");
        done.undo = Some(3);
        assert!(outcome(&done, 80).contains("`tranship undo 3`"));
    }
}
