//! Moving images from one store to another: read, [`plan`], [`apply`].

mod apply;
mod plan;
mod select;

pub use apply::{Failed, Moved, Outcome, apply};
pub use plan::{Bytes, Loss, OnConflict, Options, Plan, Present, Stay, TargetFacts, plan};
pub use select::Selection;
