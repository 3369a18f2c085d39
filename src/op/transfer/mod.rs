//! Moving images from one store to another: read, [`plan`], [`apply`].

mod apply;
mod bind;
mod plan;
mod rebuilt;
mod select;

pub use apply::{Failed, FailedContainer, Moved, Outcome, apply};
pub use bind::bind;
pub use plan::{
    Bytes, LayerCounts, Loss, OnConflict, Options, Originals, Plan, Present, Stay, Without, plan,
};
pub use rebuilt::Rebuilt;
pub use select::{Containers, Selection};
