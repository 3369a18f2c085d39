#![doc = include_str!("README.md")]

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
