//! What tranship does with stores. No operation names a store's kind: it has a source and a target.

pub mod host;
pub mod logs;
pub mod migrate;
pub mod transfer;
pub mod volumes;
