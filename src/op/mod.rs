//! What tranship does with stores. No operation names a store's kind: it has a source and a target.

pub mod aside;
pub mod commit;
pub mod diff;
pub mod host;
pub mod logs;
pub mod look;
pub mod migrate;
pub mod recipe;
pub mod reclaim;
pub mod repair;
pub mod transfer;
pub mod undo;
pub mod usage;
pub mod verify;
pub mod volumes;
