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
pub mod raw;
pub mod reference;
pub mod tar;
pub mod tar_split;
pub mod time;
