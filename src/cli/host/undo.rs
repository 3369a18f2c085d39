//! What became of containers whose migration was undone, in rows.

use super::this_platform;
use crate::cli::ops::Where;
use crate::cli::rows::undo::{UndoOutcome, UndoReport, UndoneRow};
use crate::error::Result;
use crate::op::migrate::{BoundBack, Undo, undo};
use crate::store::containers::End;

pub(super) fn rows(at: &Where) -> Result<UndoReport> {
    let done = undo(&Undo {
        at: at.root.clone(),
        containerd_root: at.containerd_root.clone(),
        daemon_config: at.daemon_config.clone(),
        platform: this_platform(),
    })?;
    Ok(UndoReport { containers: bound_back(done) })
}

/// Returns what became of each container.
pub(super) fn bound_back(done: Vec<BoundBack>) -> Vec<UndoneRow> {
    let row = |BoundBack { name, undone }: BoundBack| UndoneRow {
        id: undone.id,
        name,
        driver: undone.driver,
        outcome: match undone.end {
            End::AsBefore => UndoOutcome::AsBefore,
            End::UsedSince => UndoOutcome::UsedSince,
            End::Gone => UndoOutcome::Gone,
        },
    };
    done.into_iter().map(row).collect()
}
