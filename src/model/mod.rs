//! model

pub mod next_start;
