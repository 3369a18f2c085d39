//! Containers.

use std::sync::Arc;

use crate::digest::Digest;
use crate::format::docker::container;

/// A container of a data root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its ID: 64 hex digits.
    pub id: String,
    /// Its name, without the slash before it.
    pub name: String,
    /// The graph driver or snapshotter that holds its writable layer.
    pub driver: String,
    /// The image it was made from, by the ID of its store.
    pub image: Option<Digest>,
    /// The name it was made from, as the user wrote it.
    pub image_name: String,
    /// Whether the daemon last knew it as running.
    pub running: bool,
    /// Whether its daemon removes it, with its unnamed volumes, as soon as it does not run: `--rm`.
    pub removes_itself: bool,
    /// All that its daemon wrote of it.
    pub record: Arc<container::Container>,
}

/// Returns those of `all` whose container is called `name`: that is its ID, else its name, else the start
/// of its ID.
pub fn called<'a, T: Copy>(
    all: impl Iterator<Item = T> + Clone,
    name: &str,
    container: impl Fn(T) -> &'a Container,
) -> Vec<T> {
    let plain = name.strip_prefix('/').unwrap_or(name);
    let ways: [&dyn Fn(&Container) -> bool; 3] =
        [&|one| one.id == plain, &|one| one.name == plain, &|one| {
            !plain.is_empty() && one.id.starts_with(plain)
        }];
    let by = |is: &dyn Fn(&Container) -> bool| -> Vec<T> {
        all.clone().filter(|one| is(container(*one))).collect()
    };
    ways.into_iter().map(by).find(|found| !found.is_empty()).unwrap_or_default()
}
