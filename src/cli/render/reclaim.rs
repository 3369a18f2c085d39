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

/// Returns the plan: what goes with the proof, what that frees, what stays and what will not work.
pub(crate) fn plan(plan: &Reclaimed, style: Style) -> String {
    let width = style.widths.text;
    let mut out = format!("{}\n", printable(&plan.root));
    out += &unverified(&plan.unverified, width);
    if plan.waste.is_empty() && plan.runs.is_empty() {
        return out + "\nNothing can go.\n" + &stays(&plan.stays, style);
    }
    out += "\nGoes:\n";
    for group in groups(&plan.waste) {
        out += &sort(&group, style);
    }
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
        let line = |loss: &String| wrap(&format!("  {}", printable(loss)), width, "    ") + "\n";
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
        out += &format!("    {}  {}\n", printable(&row.what), units::size(row.bytes));
    }
    if group.len() > named {
        out += &format!("    and {} more (--verbose names them)\n", group.len() - named);
    }
    out
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

fn unverified(rows: &[StayRow], width: usize) -> String {
    if rows.is_empty() {
        return String::new();
    }
    format!("\nIn this store alone, and lost with it:\n{}", lines(rows.iter(), width))
}

/// Many things stay for the same reason.
fn stays(rows: &[StayRow], style: Style) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let named = if style.all { rows.len() } else { 4 * NAMED };
    let mut out = format!("\nStays:\n{}", lines(rows.iter().take(named), style.widths.text));
    if rows.len() > named {
        out += &format!("  and {} more (--verbose names them)\n", rows.len() - named);
    }
    out
}

fn lines<'a>(rows: impl Iterator<Item = &'a StayRow>, width: usize) -> String {
    let line = |row: &StayRow| {
        let text = format!("  {}: {}", printable(&row.what), printable(&row.why));
        wrap(&text, width, "    ") + "\n"
    };
    rows.map(line).collect()
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
        let blobs = (0..6).map(|n| waste("blob", &format!("blob sha256:{n}"), 1000 * n));
        Reclaimed {
            root: "/var/lib/docker".into(),
            waste: blobs.chain([waste("snapshot", "snapshot 7, a\u{1b}b", 4096)]).collect(),
            bytes: 19_096,
            shared: 5_000_000,
            stays: vec![StayRow { what: "lease x".into(), why: "it is not known why".into() }],
            losses: vec!["docker push of these images fails".into()],
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
            blob sha256:0  0B
            blob sha256:1  1kB
            blob sha256:2  2kB
            blob sha256:3  3kB
            and 2 more (--verbose names them)
          1 snapshot, 4.1kB: no image, container, lease or label
              leads to it
            snapshot 7, a\u{1b}b  4.1kB

        Frees 19.1kB on disk, to the block: 19096 bytes; another 5MB
        stay, for their files have names elsewhere too.

        Stops working:
          docker push of these images fails

        Stays:
          lease x: it is not known why
        ");
        let all = plan(&sample(), Style { all: true, ..style });
        assert!(all.contains("blob sha256:5") && !all.contains("more"), "{all}");
        let none = plan(&Reclaimed { root: "/d".into(), ..Reclaimed::default() }, style);
        assert_eq!(none, "/d\n\nNothing can go.\n");
    }

    #[test]
    fn the_end_says_what_was_done() {
        let mut done = sample();
        assert!(outcome(&done, 60).contains("dry run"));
        done.refused = true;
        assert_eq!(outcome(&done, 60), "\nNothing was done.\n");
        done.freed = Some(19_096);
        assert_eq!(outcome(&done, 60), "\nFreed 19.1kB: 19096 bytes.\n");
        done.undo = Some(3);
        assert!(outcome(&done, 80).contains("`tranship undo 3`"));
    }
}
