//! Bytes ⇄ values. Nothing here reads a file, knows the time, or panics on any input.
#![cfg_attr(
    not(test),
    warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)
)]

pub mod bbolt;
pub mod compression;
pub mod containerd;
pub mod docker;
pub mod edit;
pub mod oci;
pub mod overlay;
mod protobuf;
pub mod raw;
pub mod reference;
pub mod tar;
pub mod tar_split;
pub mod time;

/// Returns a length in memory as an offset in a file.
pub(crate) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
