#![doc = include_str!("README.md")]

pub mod digest;
pub mod error;

pub mod format;
pub mod os;
pub mod tree;
pub mod model;
pub mod store;
pub mod op;

#[cfg(feature = "cli")]
pub mod cli;
