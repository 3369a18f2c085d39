//! Tests of the whole crate through its public interface.

#![allow(clippy::disallowed_methods, reason = "tests look at real files")]

mod host;
mod layers;
