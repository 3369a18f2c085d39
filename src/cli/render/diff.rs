//! What is different, a line each: the letter and the path, as `docker diff` shows them.

use crate::cli::render::text::printable;
use crate::cli::rows::diff::{ChangeKind, ChangeRow};

/// Returns the lines of `rows`, with what is different about each if `verbose`.
pub(crate) fn text(rows: &[ChangeRow], verbose: bool) -> String {
    rows.iter().map(|row| line(row, verbose)).collect()
}

fn line(row: &ChangeRow, verbose: bool) -> String {
    let letter = match row.kind {
        ChangeKind::A => 'A',
        ChangeKind::C => 'C',
        ChangeKind::D => 'D',
    };
    let path = printable(&row.path);
    match row.changed.join(", ") {
        changed if verbose && !changed.is_empty() => {
            format!("{letter} {path}   {}\n", printable(&changed))
        }
        _ => format!("{letter} {path}\n"),
    }
}
