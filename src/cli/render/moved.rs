//! The containers of a migration.

use crate::cli::render::images::short;
use crate::cli::render::migrate::action;
use crate::cli::render::table::{self, Column};
use crate::cli::render::units;
use crate::cli::rows::migrate::MovedContainer;

/// Returns the table of the containers that move.
pub(super) fn table(rows: &[MovedContainer], width: Option<usize>) -> String {
    let columns = [
        Column::gives("CONTAINER", 1, 24),
        Column::gives("CONTAINER ID", 4, 12),
        Column::gives("IMAGE", 3, 24),
        Column::gives("STATE", 2, 8),
        Column::gives("SIZE", 2, 8),
        Column::whole("ACTION"),
    ];
    let cells = |row: &MovedContainer| {
        vec![
            row.name.clone(),
            short(&row.id).to_owned(),
            row.image.clone(),
            row.state.clone(),
            units::size(row.size),
            action(row.action, "move").to_owned(),
        ]
    };
    table::table(&columns, &rows.iter().map(cells).collect::<Vec<_>>(), width)
}
