#![doc = include_str!("README.md")]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests look at real files"))]

pub mod digest;
pub mod error;

pub mod format;
pub mod model;
pub mod op;
pub mod os;
pub mod store;
pub mod tree;

#[cfg(feature = "cli")]
pub mod cli;
