//! A container made into an image: what it changed becomes one layer more on those of its image.

mod config;
mod layer;
mod source;

pub use source::Committed;

/// How a container becomes an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// What to call the image.
    pub name: String,
    /// The container, by name or ID.
    pub container: String,
    /// What was done, for the image's history.
    pub message: String,
    /// Who did it.
    pub author: String,
    /// Changes to what containers of the image run, written as in a Dockerfile.
    pub changes: Vec<String>,
    /// Whether a container is taken that its daemon left running.
    pub force: bool,
    /// Whether the image goes to the store that the container is in. What is asked for says nothing of it.
    pub in_place: bool,
}
