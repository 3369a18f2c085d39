//! What became of containers whose migration was undone.

use crate::cli::render::text::{count, printable, wrap};
use crate::cli::rows::undo::{UndoOutcome, UndoReport, UndoneRow};

/// Returns a line for each container, and one for all.
pub(crate) fn report(report: &UndoReport, width: usize) -> String {
    containers(&report.containers, width)
}

/// Returns the same of `rows`; nothing for none.
pub(crate) fn containers(rows: &[UndoneRow], width: usize) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let line = |row: &UndoneRow| {
        let what = match row.outcome {
            UndoOutcome::AsBefore => "as before the migration",
            UndoOutcome::UsedSince => {
                "back; it was used since, and what it did then is in the store that it leaves"
            }
            UndoOutcome::Gone => "stays: the store it came from does not have it any more",
        };
        let text = format!("{} ({}): {what}", printable(&row.name), printable(&row.driver));
        wrap(&text, width, "  ") + "\n"
    };
    let lines: String = rows.iter().map(line).collect();
    let back = rows.iter().filter(|row| row.outcome != UndoOutcome::Gone).count();
    let verb = if back == 1 { "is" } else { "are" };
    format!("{lines}{} {verb} bound to the old store again.\n", count(back as u64, "container"))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn each_container_has_a_line() {
        let row = |name: &str, outcome| UndoneRow {
            id: "4091".into(),
            name: name.into(),
            driver: "overlay2".into(),
            outcome,
        };
        let containers = vec![
            row("web", UndoOutcome::AsBefore),
            row("d\u{1b}b", UndoOutcome::UsedSince),
            row("old", UndoOutcome::Gone),
        ];
        assert_snapshot!(report(&UndoReport { containers }, 60), @r"
        web (overlay2): as before the migration
        d\u{1b}b (overlay2): back; it was used since, and what it
          did then is in the store that it leaves
        old (overlay2): stays: the store it came from does not have
          it any more
        2 containers are bound to the old store again.
        ");
    }
}
